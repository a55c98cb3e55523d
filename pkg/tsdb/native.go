package tsdb

import (
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/histogram"

	"braid/pkg/model"
)

// defaultZeroThreshold is the width of the zero bucket when the sender names
// none: the one Prometheus's own OTLP endpoint uses.
const defaultZeroThreshold = 1e-128

// maxNativeBuckets bounds the buckets that one side of an exponential histogram
// may span once its gaps are left out: SDKs send 160 at most.
const maxNativeBuckets = 10_000

// nativeHistogram turns an exponential histogram point into a native
// histogram. Scales above 8 are brought down by merging 2^n buckets into one;
// scales below -4 have no native form.
func nativeHistogram(p *model.Point) (*histogram.Histogram, error) {
	if p.Scale < histogram.ExponentialSchemaMin {
		return nil, fmt.Errorf("scale %d is below %d, the coarsest that can be stored", p.Scale, histogram.ExponentialSchemaMin)
	}
	if len(p.Positive.Counts) > maxNativeBuckets || len(p.Negative.Counts) > maxNativeBuckets {
		return nil, fmt.Errorf("more than %d buckets", maxNativeBuckets)
	}
	schema, down := p.Scale, int32(0)
	if schema > histogram.ExponentialSchemaMax {
		down = min(schema-histogram.ExponentialSchemaMax, 31)
		schema = histogram.ExponentialSchemaMax
	}
	h := &histogram.Histogram{
		Schema: schema, ZeroThreshold: defaultZeroThreshold, ZeroCount: p.ZeroCount, Count: p.Count,
	}
	if p.ZeroThresh > 0 && !math.IsInf(p.ZeroThresh, 1) {
		h.ZeroThreshold = p.ZeroThresh
	}
	if p.HasSum {
		h.Sum = p.Sum
	}
	var pos, neg uint64
	h.PositiveSpans, h.PositiveBuckets, pos = nativeBuckets(p.Positive, down)
	h.NegativeSpans, h.NegativeBuckets, neg = nativeBuckets(p.Negative, down)
	if total := pos + neg + p.ZeroCount; total != p.Count && !math.IsNaN(p.Sum) {
		return nil, fmt.Errorf("its buckets add up to %d, its count is %d", total, p.Count)
	}
	return h, nil
}

// nativeBuckets turns dense counts into spans and deltas. OTLP's bucket i
// covers (base^i, base^(i+1)], Prometheus's bucket i covers (base^(i-1), base^i].
// Runs of more than two empty buckets become a gap between spans.
func nativeBuckets(b model.Buckets, down int32) (spans []histogram.Span, deltas []int64, total uint64) {
	const maxEmptyRun = 2
	var prev int64
	next := int32(0) // the index after the last bucket written
	emit := func(index int32, count int64) {
		gap := index - next
		if len(spans) == 0 || gap > maxEmptyRun {
			spans = append(spans, histogram.Span{Offset: gap})
			if len(spans) == 1 {
				spans[0].Offset = index
			}
			gap = 0
		}
		for ; gap > 0; gap-- {
			spans[len(spans)-1].Length++
			deltas = append(deltas, -prev)
			prev = 0
		}
		spans[len(spans)-1].Length++
		deltas = append(deltas, count-prev)
		prev, next = count, index+1
	}
	for i := 0; i < len(b.Counts); {
		index := bucketIndex(b.Offset, i, down)
		var count uint64
		for i < len(b.Counts) && bucketIndex(b.Offset, i, down) == index {
			count += b.Counts[i]
			i++
		}
		total += count
		if count > 0 {
			emit(index, int64(count))
		}
	}
	return spans, deltas, total
}

func bucketIndex(offset int32, i int, down int32) int32 {
	return int32((int64(offset)+int64(i))>>down) + 1
}
