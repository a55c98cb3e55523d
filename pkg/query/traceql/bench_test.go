package traceql

import (
	"fmt"
	"testing"

	"braid/pkg/model"
)

func BenchmarkParseAndPlan(b *testing.B) {
	const text = `{ resource.service.name = "api" && span.http.response.status_code >= 500 && duration > 10ms } >> { status = error } | count() > 2`
	b.ReportAllocs()
	for b.Loop() {
		q, err := Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := NewPlan(q); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStructure evaluates { } >> { } on one trace of so many spans, its
// tree included.
func BenchmarkStructure(b *testing.B) {
	for _, n := range []int{20, 1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			q, err := Parse(`{ name = "" } >> { kind = unspecified }`)
			if err != nil {
				b.Fatal(err)
			}
			plan, err := NewPlan(q)
			if err != nil {
				b.Fatal(err)
			}
			rows := chain(n)
			m := &model.TraceMatch{Spans: rows}
			for i := range rows {
				rows[i].ParentID = rows[i/3].SpanID
				rows[i].Match = 3
				m.Facts.Add(&rows[i])
			}
			rows[0].ParentID = model.SpanID{}
			b.ReportAllocs()
			for b.Loop() {
				if tr, _ := plan.result(m, &Params{SpansPerSet: 3}); tr == nil {
					b.Fatal("no answer")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/span")
		})
	}
}
