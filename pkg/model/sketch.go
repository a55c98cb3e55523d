package model

import (
	"fmt"
	"math"
	"sort"
)

// SketchScale is how many buckets a power of two has. A bucket is wider than the
// one before by gamma, its 35th root, which makes a quantile's relative error at
// most (gamma-1)/(gamma+1) = 0.99 %, after DDSketch (Masson, Rim, Lee; VLDB 2019);
// and every power of two is the end of a bucket, so that counts by powers of two
// are exact.
const SketchScale = 35

var sketchGamma = math.Exp2(1.0 / SketchScale)

// Sketch counts numbers in logarithmic buckets so that quantiles of merged
// sketches keep their error bound. The zero value is empty and ready.
type Sketch struct {
	Positive map[int32]uint64 // bucket i holds (gamma^(i-1), gamma^i]
	Negative map[int32]uint64 // of the absolute value
	Zero     uint64
	Total    uint64
}

// Add counts v n times; NaN is ignored.
func (s *Sketch) Add(v float64, n uint64) {
	switch {
	case math.IsNaN(v):
		return
	case v == 0:
		s.Zero += n
	case v > 0:
		if s.Positive == nil {
			s.Positive = map[int32]uint64{}
		}
		s.Positive[sketchIndex(v)] += n
	default:
		if s.Negative == nil {
			s.Negative = map[int32]uint64{}
		}
		s.Negative[sketchIndex(-v)] += n
	}
	s.Total += n
}

// sketchIndex finds the bucket within a power of two by a logarithm, which can
// not lead out of that power.
func sketchIndex(v float64) int32 {
	if math.IsInf(v, 1) {
		return math.MaxInt32
	}
	frac, exp := math.Frexp(v)
	if frac == 0.5 {
		return SketchScale * int32(exp-1)
	}
	within := int32(math.Ceil(SketchScale * math.Log2(2*frac)))
	return SketchScale*int32(exp-1) + min(max(within, 1), SketchScale)
}

func sketchValue(i int32) float64 {
	if i == math.MaxInt32 {
		return math.Inf(1)
	}
	return 2 * math.Exp2(float64(i)/SketchScale) / (sketchGamma + 1)
}

// formerGamma was the base before SketchScale: programs that do not tell a scale
// count in its powers.
const formerGamma = 1.01 / 0.99

func formerValue(i int32) float64 { return 2 * math.Pow(formerGamma, float64(i)) / (formerGamma + 1) }

// OfScale returns a sketch that another program made, with the buckets of this
// one: scale is that program's SketchScale, 0 where it tells none.
func (s *Sketch) OfScale(scale int) (*Sketch, error) {
	switch {
	case scale == SketchScale || s == nil:
		return s, nil
	case scale != 0:
		return nil, errScale(scale)
	}
	out := &Sketch{Zero: s.Zero, Total: s.Zero}
	for i, n := range s.Positive {
		out.Add(formerValue(i), n)
	}
	for i, n := range s.Negative {
		out.Add(-formerValue(i), n)
	}
	return out, nil
}

func errScale(scale int) error {
	return fmt.Errorf("a distribution has %d buckets a power of two, this program reads %d: run the same version everywhere", scale, SketchScale)
}

// Merge adds another sketch.
func (s *Sketch) Merge(o *Sketch) {
	for i, n := range o.Positive {
		if s.Positive == nil {
			s.Positive = map[int32]uint64{}
		}
		s.Positive[i] += n
	}
	for i, n := range o.Negative {
		if s.Negative == nil {
			s.Negative = map[int32]uint64{}
		}
		s.Negative[i] += n
	}
	s.Zero += o.Zero
	s.Total += o.Total
}

// Quantile returns the q-quantile, 0 <= q <= 1; NaN when empty.
func (s *Sketch) Quantile(q float64) float64 {
	if s == nil || s.Total == 0 || math.IsNaN(q) {
		return math.NaN()
	}
	rank := uint64(math.Min(math.Max(q, 0), 1) * float64(s.Total-1))
	var seen uint64
	neg := sketchKeys(s.Negative)
	for k := len(neg) - 1; k >= 0; k-- {
		if seen += s.Negative[neg[k]]; seen > rank {
			return -sketchValue(neg[k])
		}
	}
	if seen += s.Zero; seen > rank {
		return 0
	}
	pos := sketchKeys(s.Positive)
	for _, i := range pos {
		if seen += s.Positive[i]; seen > rank {
			return sketchValue(i)
		}
	}
	return math.NaN()
}

// Each calls visit with a value that stands for each bucket and its count, in
// ascending order.
func (s *Sketch) Each(visit func(v float64, n uint64)) {
	neg := sketchKeys(s.Negative)
	for k := len(neg) - 1; k >= 0; k-- {
		visit(-sketchValue(neg[k]), s.Negative[neg[k]])
	}
	if s.Zero > 0 {
		visit(0, s.Zero)
	}
	for _, i := range sketchKeys(s.Positive) {
		visit(sketchValue(i), s.Positive[i])
	}
}

func sketchKeys(m map[int32]uint64) []int32 {
	out := make([]int32, 0, len(m))
	for i := range m {
		out = append(out, i)
	}
	sort.Slice(out, func(a, b int) bool { return out[a] < out[b] })
	return out
}
