package otlp

import (
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf8"
)

// appendArray appends an ArrayValue as JSON. depth is how many arrays and maps
// it stands in, itself counted.
func (d *decoder) appendArray(dst, b []byte, depth int) ([]byte, error) {
	dst = append(dst, '[')
	first := true
	r := reader{b: b}
	for r.next() {
		if r.num != 1 {
			r.skip()
			continue
		}
		v := r.bytes()
		if r.err != nil {
			break
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		var err error
		dst, err = d.appendValue(dst, v, depth)
		r.in("array element", err)
	}
	return append(dst, ']'), r.err
}

// appendMap appends a KeyValueList as JSON, keys in the order received.
func (d *decoder) appendMap(dst, b []byte, depth int) ([]byte, error) {
	dst = append(dst, '{')
	first := true
	r := reader{b: b}
	for r.next() {
		if r.num != 1 {
			r.skip()
			continue
		}
		kv := r.bytes()
		if r.err != nil {
			break
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		var err error
		dst, err = d.appendKeyValue(dst, kv, depth)
		r.in("map entry", err)
	}
	return append(dst, '}'), r.err
}

func (d *decoder) appendKeyValue(dst, b []byte, depth int) ([]byte, error) {
	var key, value []byte
	parts := 0
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			key = r.bytes()
		case 2:
			v := r.bytes()
			if parts++; parts == 1 {
				value = v
			} else { // parts of one message are its concatenation
				value = append(value, v...)
			}
		case 3:
			r.varint()
		default:
			r.skip()
		}
	}
	if r.err != nil {
		return dst, r.err
	}
	dst = appendJSONString(dst, alias(key))
	dst = append(dst, ':')
	return d.appendValue(dst, value, depth)
}

// appendValue appends an AnyValue as JSON; of several fields the last counts.
func (d *decoder) appendValue(dst, b []byte, depth int) ([]byte, error) {
	mark := len(dst)
	dst = append(dst, "null"...)
	r := reader{b: b}
	for r.next() {
		var err error
		switch r.num {
		case 1:
			dst = appendJSONString(dst[:mark], alias(r.bytes()))
		case 2:
			dst = strconv.AppendBool(dst[:mark], r.varint() != 0)
		case 3:
			dst = strconv.AppendInt(dst[:mark], int64(r.varint()), 10)
		case 4:
			dst = appendJSONFloat(dst[:mark], r.double())
		case 5, 6:
			v := r.bytes()
			switch {
			case r.err != nil:
			case depth >= MaxDepth:
				d.deep = true
				dst = append(dst[:mark], "null"...)
			case r.num == 5:
				dst, err = d.appendArray(dst[:mark], v, depth+1)
			default:
				dst, err = d.appendMap(dst[:mark], v, depth+1)
			}
			r.in("value", err)
		case 7:
			dst = append(dst[:mark], '"')
			dst = base64.StdEncoding.AppendEncode(dst, r.bytes())
			dst = append(dst, '"')
		case 8:
			r.varint()
			dst = append(dst[:mark], "null"...)
		default:
			r.skip()
		}
	}
	return dst, r.err
}

// appendJSONFloat appends a number; what JSON has no number for is a string.
func appendJSONFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}

const hexDigits = "0123456789abcdef"

// appendJSONString appends a quoted string; bad UTF-8 becomes U+FFFD.
func appendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			_, size := utf8.DecodeRuneInString(s[i:])
			if size > 1 {
				i += size
				continue
			}
			dst = append(append(dst, s[start:i]...), "\uFFFD"...)
			for i++; i < len(s) && s[i] >= utf8.RuneSelf; i++ { // one mark a run
				if _, size := utf8.DecodeRuneInString(s[i:]); size > 1 {
					break
				}
			}
			start = i
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}
