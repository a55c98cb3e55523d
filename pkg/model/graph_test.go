package model

import (
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
		l.Low, l.Buckets = low, make([]int64, high-low+1)
		for i, n := range counts {
			l.Buckets[i-low] = n
		}
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
		if got := whole.Sketch(); got.Total != want.Total || got.Quantile(0.5) != want.Quantile(0.5) && want.Total > 0 {
			t.Fatalf("sketch: got %+v, want %+v", got, want)
		}
	}
}
