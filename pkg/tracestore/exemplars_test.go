package tracestore

import (
	"testing"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// The rows that are read first must not take every place for exemplars.
func TestExemplarsSpreadOverTheRange(t *testing.T) {
	for _, c := range []struct{ buckets, exemplars, want int }{{200, 100, 100}, {50, 100, 100}, {7, 100, 98}, {1, 5, 5}, {60, 0, 0}} {
		q := &predicate.Aggregation{Range: model.TimeRange{Start: 0, End: int64(c.buckets) * 1e9}, Step: 1e9, Exemplars: c.exemplars}
		a, err := newAggregator(q, nil)
		if err != nil {
			t.Fatal(err)
		}
		g := a.group()
		for b := range c.buckets {
			for i := range 200 {
				if t := int64(b)*1e9 + int64(i); a.add(g, t, 0, false) {
					a.exemplar(g, t, 0, model.TraceID{}, model.SpanID{})
				}
			}
		}
		got := a.result().Groups[g].Exemplars
		if len(got) != c.want {
			t.Errorf("%d buckets, %d asked: %d exemplars, want %d", c.buckets, c.exemplars, len(got), c.want)
		}
		if len(got) > 0 && got[len(got)-1].Bucket < c.buckets*9/10-1 {
			t.Errorf("%d buckets: the last exemplar is of bucket %d", c.buckets, got[len(got)-1].Bucket)
		}
	}
}
