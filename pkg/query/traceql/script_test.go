package traceql

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// epoch is when the traces of scripts begin.
const epoch = int64(1_700_000_000_000_000_000)

const testTenant = tenant.ID("t")

// readTraces reads traces drawn as indented trees:
//
//	trace 1 at=0s
//	  a svc=front dur=10ms kind=server http.status_code=500 resource.zone="eu 1"
//	    b svc=back at=1ms dur=2ms status=error event=boom event.code=3
//
// A span's name is its first word unless name= says otherwise; its id is its
// place in the file.
func readTraces(t testing.TB, text string) []model.SpanRow {
	var rows []model.SpanRow
	var trace model.TraceID
	var base int64
	parents := map[int]model.SpanID{}
	for _, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		indent := (len(line) - len(strings.TrimLeft(line, " "))) / 2
		words := splitWords(line)
		if words[0] == "trace" {
			id, ok := model.ParseTraceID(words[1])
			require.True(t, ok, line)
			trace, base = id, epoch
			for _, w := range words[2:] {
				d, err := time.ParseDuration(strings.TrimPrefix(w, "at="))
				require.NoError(t, err, line)
				base += int64(d)
			}
			continue
		}
		row := model.SpanRow{Resource: &model.Resource{}, Scope: &model.Scope{}}
		row.TraceID, row.Name, row.Start, row.End = trace, words[0], base, base+int64(time.Millisecond)
		row.SpanID, _ = model.ParseSpanID(fmt.Sprintf("%x", len(rows)+1))
		row.ParentID = parents[indent-1]
		parents[indent] = row.SpanID
		for _, w := range words[1:] {
			k, v, ok := strings.Cut(w, "=")
			require.True(t, ok, line)
			setSpan(t, &row, base, k, v)
		}
		rows = append(rows, row)
	}
	return rows
}

func splitWords(line string) []string {
	var out []string
	quoted, word := false, ""
	for _, r := range line + " " {
		if r == '"' {
			quoted = !quoted
		}
		if r == ' ' && !quoted {
			if word != "" {
				out = append(out, word)
			}
			word = ""
			continue
		}
		word += string(r)
	}
	return out
}

func setSpan(t testing.TB, row *model.SpanRow, base int64, k, v string) {
	text := v
	if u, err := strconv.Unquote(v); err == nil {
		text = u
	}
	value := model.FromJSON([]byte(v))
	switch {
	case k == "name":
		row.Name = text
	case k == "at" || k == "dur":
		d, err := time.ParseDuration(v)
		require.NoError(t, err)
		if k == "dur" {
			row.End = row.Start + int64(d)
		} else {
			row.Start, row.End = base+int64(d), base+int64(d)+row.End-row.Start
		}
	case k == "svc":
		row.Resource.Attrs = append(row.Resource.Attrs, model.Attr{Key: "service.name", Value: model.String(text)})
	case k == "kind":
		row.Kind = map[string]model.SpanKind{"server": 2, "client": 3, "internal": 1, "producer": 4, "consumer": 5}[v]
	case k == "status":
		row.Status = map[string]model.StatusCode{"ok": 1, "error": 2}[v]
	case k == "msg":
		row.StatusMessage = text
	case k == "id":
		row.SpanID, _ = model.ParseSpanID(v)
	case k == "parent":
		row.ParentID, _ = model.ParseSpanID(v)
	case k == "scope":
		row.Scope.Name = text
	case k == "event":
		row.Events = append(row.Events, model.SpanEvent{Name: text, Time: row.Start + 1000})
	case k == "link":
		id, _ := model.ParseTraceID(v)
		row.Links = append(row.Links, model.SpanLink{TraceID: id})
	case strings.HasPrefix(k, "event."):
		e := &row.Events[len(row.Events)-1]
		e.Attrs = append(e.Attrs, model.Attr{Key: strings.TrimPrefix(k, "event."), Value: value})
	case strings.HasPrefix(k, "resource."):
		row.Resource.Attrs = append(row.Resource.Attrs, model.Attr{Key: strings.TrimPrefix(k, "resource."), Value: value})
	default:
		row.Attrs = append(row.Attrs, model.Attr{Key: k, Value: value})
	}
}

func loadSource(t testing.TB, path string) *testkit.MemTraces {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	m := testkit.NewMemTraces()
	m.Add(testTenant, readTraces(t, string(raw))...)
	return m
}
