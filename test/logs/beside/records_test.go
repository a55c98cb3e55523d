package beside

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"braid/pkg/model"
	"braid/pkg/otlp"
)

// A record file is a list of blocks, separated by blank lines:
//
//	<way> <first second> <seconds between> <labels as a JSON object>
//	<line>[<tab><metadata as a JSON object>]
//	…
//
// way is json, protobuf (Loki's pushes) or otlp, where labels are the
// resource's attributes and metadata those of the record; "severity", "trace_id"
// and "scope" there are the record's own. A line in double quotes is a Go string.
type block struct {
	way          string
	first, every float64
	labels       map[string]string
	records      []record
}

type record struct {
	at   int64 // Unix ns
	line string
	meta map[string]string
}

func readBlocks(t *testing.T, file string) (out []block) {
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, text := range strings.Split(strings.Trim(string(raw), "\n"), "\n\n") {
		lines := strings.Split(text, "\n")
		head := strings.SplitN(lines[0], " ", 4)
		require.Len(t, head, 4, lines[0])
		b := block{way: head[0]}
		b.first, err = strconv.ParseFloat(head[1], 64)
		require.NoError(t, err, lines[0])
		b.every, err = strconv.ParseFloat(head[2], 64)
		require.NoError(t, err, lines[0])
		require.NoError(t, json.Unmarshal([]byte(head[3]), &b.labels), lines[0])
		for _, l := range lines[1:] {
			line, meta, _ := strings.Cut(l, "\t{")
			r := record{line: line}
			if strings.HasPrefix(line, `"`) {
				r.line, err = strconv.Unquote(line)
				require.NoError(t, err, line)
			}
			if meta != "" {
				require.NoError(t, json.Unmarshal([]byte("{"+meta), &r.meta), meta)
			}
			b.records = append(b.records, r)
		}
		b.stamp()
		out = append(out, b)
	}
	return out
}

func (b *block) stamp() {
	for i := range b.records {
		b.records[i].at = start.UnixNano() + int64((b.first+float64(i)*b.every)*1e9)
	}
}

// fileBlocks makes a block of every file of a folder, spread over the hour.
func fileBlocks(t *testing.T, dir string) (out []block) {
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	require.NoError(t, err)
	require.NotEmpty(t, files, dir)
	for i, f := range files {
		raw, err := os.ReadFile(f)
		require.NoError(t, err)
		lines := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
		b := block{way: []string{"json", "protobuf"}[i%2], first: 0.001 * float64(i+1), every: 3500 / float64(len(lines)),
			labels: map[string]string{"job": "files", "filename": filepath.Base(f)}}
		for _, l := range lines {
			b.records = append(b.records, record{line: strings.ToValidUTF8(strings.TrimSuffix(l, "\r"), "?")})
		}
		b.stamp()
		out = append(out, b)
	}
	return out
}

const perPush = 500

// push sends the blocks to both servers.
func push(t *testing.T, blocks []block) {
	for _, b := range blocks {
		for from := 0; from < len(b.records); from += perPush {
			part := b
			part.records = b.records[from:min(from+perPush, len(b.records))]
			for _, s := range servers {
				s.push(t, part)
			}
		}
	}
}

func (s *server) push(t *testing.T, b block) {
	path, kind, body := "/loki/api/v1/push", "application/x-protobuf", []byte(nil)
	switch b.way {
	case "json":
		kind, body = "application/json", b.json(t)
	case "protobuf":
		body = snappy.Encode(nil, b.protobuf())
	case "otlp":
		path, body = s.otlpPath, otlp.EncodeLogs(b.rows(t))
	default:
		t.Fatalf("unknown way %q", b.way)
	}
	base := s.base
	if b.way == "otlp" && s.otlpBase != "" {
		base = s.otlpBase
	}
	res, err := http.Post(base+path, kind, bytes.NewReader(body))
	require.NoError(t, err)
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	require.Less(t, res.StatusCode, 300, "%s: %s", s.name, text)
}

func (b *block) json(t *testing.T) []byte {
	values := [][]any{}
	for _, r := range b.records {
		v := []any{strconv.FormatInt(r.at, 10), r.line}
		if r.meta != nil {
			v = append(v, r.meta)
		}
		values = append(values, v)
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": b.labels, "values": values}}})
	require.NoError(t, err)
	return body
}

// protobuf is a PushRequest: streams (1) of labels (1) and entries (2), which
// are time (1), line (2) and pairs of metadata (3).
func (b *block) protobuf() []byte {
	text := func(dst []byte, num protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(dst, num, protowire.BytesType), s)
	}
	var names []string
	for _, k := range sortedKeys(b.labels) {
		names = append(names, k+"="+strconv.Quote(b.labels[k]))
	}
	s := text(nil, 1, "{"+strings.Join(names, ", ")+"}")
	for _, r := range b.records {
		at := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(r.at/1e9))
		at = protowire.AppendVarint(protowire.AppendTag(at, 2, protowire.VarintType), uint64(r.at%1e9))
		e := text(text(nil, 1, string(at)), 2, r.line)
		for _, k := range sortedKeys(r.meta) {
			e = text(e, 3, string(text(text(nil, 1, k), 2, r.meta[k])))
		}
		s = text(s, 2, string(e))
	}
	return text(nil, 1, string(s))
}

func (b *block) rows(t *testing.T) (rows []model.LogRow) {
	res := &model.Resource{}
	for _, k := range sortedKeys(b.labels) {
		res.Attrs = append(res.Attrs, model.Attr{Key: k, Value: model.String(b.labels[k])})
	}
	for _, r := range b.records {
		row := model.LogRow{Resource: res, Scope: &model.Scope{Name: r.meta["scope"]}, LogRecord: model.LogRecord{Time: r.at, Observed: r.at, Body: model.String(r.line)}}
		for _, k := range sortedKeys(r.meta) {
			v := r.meta[k]
			switch k {
			case "scope":
			case "severity":
				n, text, _ := strings.Cut(v, " ")
				number, err := strconv.Atoi(n)
				require.NoError(t, err, v)
				row.Severity, row.SeverityText = model.SeverityNumber(number), text
			case "trace_id":
				id, ok := model.ParseTraceID(v)
				require.True(t, ok, v)
				row.TraceID = id
			default:
				row.Attrs = append(row.Attrs, model.Attr{Key: k, Value: typed(v)})
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// typed makes a number of what looks like one: OTLP has types.
func typed(v string) model.Value {
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return model.Int(n)
	}
	return model.String(v)
}

// settle waits until both servers show as many lines.
func settle(t *testing.T, blocks []block) {
	want := 0
	for _, b := range blocks {
		want += len(b.records)
	}
	for _, s := range servers {
		require.Eventually(t, func() bool {
			got := s.ask(t, "/loki/api/v1/query?"+form("query", `sum(count_over_time({service_name=~".+"}[3601s]))`, "time", nano(3600)), nil)
			return strings.Contains(got.body, fmt.Sprintf(`"%d"`, want))
		}, time.Minute, time.Second, "%s shows not all of %d records", s.name, want)
	}
}

// hugeBlock are lines too long for a file of records.
func hugeBlock() block {
	b := block{way: "json", first: 23, every: 600, labels: map[string]string{"app": "huge", "env": "prod"}}
	for _, n := range []int{10_000, 100_000, 250_000} {
		b.records = append(b.records, record{line: "level=info n=" + strconv.Itoa(n) + " pad=" + strings.Repeat("long ", n/5) + "end"})
	}
	b.stamp()
	return b
}
