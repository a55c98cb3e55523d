package tsdb

import (
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

// Every bucket must be where the definition says: OTLP's index i at scale s is
// Prometheus's index (i >> (s-8)) + 1 at scale 8.
func TestNativeBucketsAreWhereTheyBelong(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		down := int32(r.IntN(8))
		b := model.Buckets{Offset: int32(r.IntN(60) - 30)}
		want := map[int32]int64{}
		var total uint64
		for i := range r.IntN(40) {
			c := uint64(max(0, r.IntN(9)-5))
			b.Counts = append(b.Counts, c)
			total += c
			if c > 0 {
				want[(b.Offset+int32(i))>>down+1] += int64(c)
			}
		}
		spans, deltas, got := nativeBuckets(b, down)
		require.Equal(t, total, got)
		h := histogram.Histogram{Schema: 8, Count: total, PositiveSpans: spans, PositiveBuckets: deltas}
		require.NoError(t, h.Validate())
		have := map[int32]int64{}
		for it := h.PositiveBucketIterator(); it.Next(); {
			if bucket := it.At(); bucket.Count > 0 {
				have[bucket.Index] = int64(bucket.Count)
			}
		}
		require.Equal(t, want, have)
	}
}

func TestExponentialHistogramsThatCannotBe(t *testing.T) {
	for want, p := range map[string]model.Point{
		"scale -5 is below -4":                       {Scale: -5},
		"its buckets add up to 3, its count is 4":    {Count: 4, Positive: model.Buckets{Counts: []uint64{3}}},
		"more than 10000 buckets":                    {Positive: model.Buckets{Counts: make([]uint64, 10_001)}},
		"its buckets add up to 1, its count is 1000": {Count: 1000, ZeroCount: 1, Scale: 20},
	} {
		_, err := nativeHistogram(&p)
		require.ErrorContains(t, err, want)
	}
}

func FuzzNativeHistogram(f *testing.F) {
	f.Add(int32(3), int32(-5), []byte{1, 0, 0, 0, 7}, uint64(1))
	f.Add(int32(20), int32(2147483600), []byte{1, 2, 3}, uint64(0))
	f.Fuzz(func(t *testing.T, scale, offset int32, counts []byte, zero uint64) {
		p := model.Point{Scale: scale, ZeroCount: zero % 100, Positive: model.Buckets{Offset: offset}, Negative: model.Buckets{Offset: -offset}}
		p.Count = p.ZeroCount
		for _, c := range counts {
			p.Positive.Counts = append(p.Positive.Counts, uint64(c))
			p.Negative.Counts = append(p.Negative.Counts, uint64(c))
			p.Count += 2 * uint64(c)
		}
		if h, err := nativeHistogram(&p); err == nil {
			_ = h.Validate()
		}
	})
}
