package model

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
)

// TestLatencyAgreesWithSketch merges parts and asks for quantiles.
func TestLatencyAgreesWithSketch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	part := func() (l Latency) {
		counts := map[int32]int64{}
		for range rng.IntN(20) {
			d := rng.Int64N(1 << uint(1+rng.IntN(40)))
			l.Count, l.Sum = l.Count+1, l.Sum+uint64(d)
			if d == 0 {
				l.Zero++
				continue
			}
			counts[sketchIndex(float64(d))]++
		}
		if len(counts) == 0 {
			return l
		}
		low, high := int32(math.MaxInt32), int32(math.MinInt32)
		for i := range counts {
			low, high = min(low, i), max(high, i)
		}
		b := LatencyBuckets{Low: low, Counts: make([]int64, high-low+1)}
		for i, n := range counts {
			b.Counts[i-low] = n
		}
		l.Buckets = []LatencyBuckets{b}
		return l
	}
	for range 200 {
		var whole Latency
		want := &Sketch{}
		for range rng.IntN(5) {
			p := part()
			whole.Merge(&p)
			want.Merge(p.Sketch())
		}
		for _, q := range []float64{0, 0.1, 0.5, 0.95, 1} {
			if got, want := whole.Quantile(q), want.Quantile(q); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Fatalf("quantile %g: got %g, want %g of %+v", q, got, want, whole)
			}
		}
		p50, p95, p99 := whole.Quantiles()
		for q, got := range map[float64]float64{0.5: p50, 0.95: p95, 0.99: p99} {
			if want := whole.Quantile(q); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Fatalf("quantile %g of several: got %g, want %g of %+v", q, got, want, whole)
			}
		}
		var back Latency
		if b, err := json.Marshal(whole); err != nil || json.Unmarshal(b, &back) != nil || back.Count != whole.Count {
			t.Fatalf("JSON: %s, %v", b, err)
		}
		if got, want := back.Quantile(0.5), whole.Quantile(0.5); got != want && back.Count > 0 {
			t.Fatalf("quantile after JSON: got %g, want %g", got, want)
		}
		if got := whole.Sketch(); got.Total != want.Total || got.Quantile(0.5) != want.Quantile(0.5) && want.Total > 0 {
			t.Fatalf("sketch: got %+v, want %+v", got, want)
		}
	}
}
