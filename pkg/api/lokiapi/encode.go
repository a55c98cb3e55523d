package lokiapi

import (
	"io"
	"math"
	"net/http"
	"strconv"
	"unicode/utf8"

	"braid/pkg/query/logql"
)

// writeResult encodes a query's result. It is written by hand: results are
// large, and of four shapes only.
func writeResult(w http.ResponseWriter, res *logql.Result, categorized bool) error {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	e := encoder{w: w}
	e.raw(`{"status":"success","data":{"resultType":"` + res.Type + `"`)
	if categorized && res.Type == logql.Streams {
		e.raw(`,"encodingFlags":["` + flagCategorize + `"]`)
	}
	e.raw(`,"result":`)
	switch res.Type {
	case logql.Streams:
		streams := res.Streams
		if !categorized {
			streams = flatten(streams)
		}
		e.streams(streams, categorized)
	case logql.Scalar:
		e.point(res.Series[0].Points[0])
	default:
		e.series(res.Series, res.Type == logql.Vector)
	}
	e.raw(`,"stats":`)
	e.json(statsOf(res))
	e.raw("}")
	if len(res.Warnings) > 0 {
		e.raw(`,"warnings":`)
		e.json(res.Warnings)
	}
	e.raw("}")
	e.flush()
	return nil
}

// flatten makes streams of all labels: what clients get that do not ask for
// labels told apart. The order of entries within a stream stays.
func flatten(in []logql.Stream) []logql.Stream {
	out := make([]logql.Stream, 0, len(in))
	index := map[string]int{}
	for _, s := range in {
		for _, e := range s.Entries {
			ls := logql.Merge(s.Labels, e.Metadata, e.Parsed)
			k := ls.Key()
			at, ok := index[k]
			if !ok {
				at = len(out)
				index[k] = at
				out = append(out, logql.Stream{Labels: ls})
			}
			out[at].Entries = append(out[at].Entries, e)
		}
	}
	return out
}

// encoder appends to a buffer and writes it out as it fills.
type encoder struct {
	w   io.Writer
	buf []byte
}

const encodeChunk = 64 << 10

func (e *encoder) raw(s string) {
	e.buf = append(e.buf, s...)
	if len(e.buf) >= encodeChunk {
		e.flush()
	}
}

func (e *encoder) flush() {
	_, _ = e.w.Write(e.buf) // the client went away: nobody is left to tell
	e.buf = e.buf[:0]
}

func (e *encoder) streams(streams []logql.Stream, categorized bool) {
	e.raw("[")
	for i, s := range streams {
		if i > 0 {
			e.raw(",")
		}
		e.raw(`{"stream":`)
		e.labels(s.Labels)
		e.raw(`,"values":[`)
		for j, en := range s.Entries {
			if j > 0 {
				e.raw(",")
			}
			e.entry(en, categorized)
		}
		e.raw("]}")
	}
	e.raw("]")
}

func (e *encoder) entry(en logql.Entry, categorized bool) {
	e.buf = append(e.buf, `["`...)
	e.buf = strconv.AppendInt(e.buf, en.Time, 10)
	e.buf = append(e.buf, `",`...)
	e.str(en.Line)
	if categorized {
		e.buf = append(e.buf, `,{`...)
		sep := ""
		if len(en.Metadata) > 0 {
			e.buf = append(e.buf, `"structuredMetadata":`...)
			e.labels(en.Metadata)
			sep = ","
		}
		if len(en.Parsed) > 0 {
			e.buf = append(e.buf, sep+`"parsed":`...)
			e.labels(en.Parsed)
		}
		e.buf = append(e.buf, '}')
	}
	e.raw("]")
}

func (e *encoder) labels(ls logql.Labels) {
	e.buf = append(e.buf, '{')
	for i, l := range ls {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.str(l.Name)
		e.buf = append(e.buf, ':')
		e.str(l.Value)
	}
	e.raw("}")
}

func (e *encoder) series(series []logql.Series, instant bool) {
	e.raw("[")
	for i, s := range series {
		if i > 0 {
			e.raw(",")
		}
		e.raw(`{"metric":`)
		e.labels(s.Labels)
		if instant {
			e.raw(`,"value":`)
			e.point(s.Points[0])
		} else {
			e.raw(`,"values":[`)
			for j, p := range s.Points {
				if j > 0 {
					e.raw(",")
				}
				e.point(p)
			}
			e.raw("]")
		}
		e.raw("}")
	}
	e.raw("]")
}

func (e *encoder) point(p logql.Point) {
	e.buf = append(e.buf, '[')
	e.buf = strconv.AppendFloat(e.buf, float64(p.Time)/1e3, 'f', -1, 64)
	e.buf = append(e.buf, `,"`...)
	e.buf = appendValue(e.buf, p.Value)
	e.raw(`"]`)
}

func appendValue(b []byte, v float64) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(b, "+Inf"...)
	case math.IsInf(v, -1):
		return append(b, "-Inf"...)
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

const hexDigits = "0123456789abcdef"

// str appends a JSON string; bytes that are no UTF-8 become U+FFFD.
func (e *encoder) str(s string) {
	b := append(e.buf, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
			b = append(append(b, s[start:i]...), "\ufffd"...)
			i++
			start = i
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\t':
			b = append(b, '\\', 't')
		case '\r':
			b = append(b, '\\', 'r')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	e.buf = append(append(b, s[start:]...), '"')
}
