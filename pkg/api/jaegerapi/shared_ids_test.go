package jaegerapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

// TestSharedIDs: Zipkin's servers share the ids of their clients; Jaeger's
// clients do not understand that, and get them apart unless they ask for raw
// traces.
func TestSharedIDs(t *testing.T) {
	src := testkit.NewMemTraces()
	span := func(id, parent byte, kind model.SpanKind) (r model.SpanRow) {
		r.TraceID[15], r.SpanID[7], r.ParentID[7], r.Kind = 1, id, parent, kind
		r.Start = testkit.ShopEpoch + int64(id)*10_000 + int64(kind)*1000
		r.End = r.Start + 1000
		r.Name = fmt.Sprintf("%s %d", kind, id)
		return r
	}
	for _, x := range []struct {
		id, parent byte
		kind       model.SpanKind
	}{{1, 0, model.SpanKindServer}, {5, 1, model.SpanKindClient}, {5, 1, model.SpanKindServer}, {6, 5, model.SpanKindInternal}, {7, 5, model.SpanKindClient}, {7, 5, model.SpanKindServer}} {
		src.Add(tenant.Default, span(x.id, x.parent, x.kind))
	}
	a := New(Options{Engine: traceql.NewEngine(traceql.Options{Source: src}), Now: func() time.Time { return time.Unix(0, testkit.ShopEpoch+60e9) }})
	conn := testkit.DialGRPC(t, a.Register)
	testkit.RunScript(t, "testdata/shared_ids.txt", func(q string) string {
		if strings.HasPrefix(q, "GET ") {
			return idsOf(testkit.AskHTTP(a, q))
		}
		lines := strings.Split(q, "\n")
		return testkit.AskGRPC(t.Context(), conn, "/"+lines[0], request(lines[1:]))
	})
}

// idsOf keeps of an answer its status and the lines that name spans.
func idsOf(answer string) string {
	status, _, _ := strings.Cut(answer, "\n")
	var out strings.Builder
	out.WriteString(status + "\n")
	for l := range strings.Lines(answer) {
		for _, field := range []string{`"spanID"`, `"spanId"`, `"parentSpanId"`, `"name"`, `"operationName"`} {
			if strings.Contains(l, field) {
				out.WriteString(strings.TrimSpace(l) + "\n")
			}
		}
	}
	return out.String()
}
