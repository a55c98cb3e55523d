package tracestore

import (
	"slices"

	"braid/pkg/model"
)

// sketch counts numbers in the buckets of model.Sketch, in a slice instead of a
// map: the numbers of one cell lie close together.
type sketch struct {
	low    int32
	counts []uint32      // of bucket low+i
	rest   *model.Sketch // negative numbers, what the table does not reach, and what counts have no room for; nil: none
}

func (s *sketch) add(v float64) {
	if i, ok := model.SketchBucket(v); ok {
		s.count(i)
	} else {
		s.odd(v)
	}
}

// odd counts a number that has no bucket here.
func (s *sketch) odd(v float64) { s.more().Add(v, 1) }

func (s *sketch) more() *model.Sketch {
	if s.rest == nil {
		s.rest = &model.Sketch{}
	}
	return s.rest
}

// count counts a number of a bucket.
func (s *sketch) count(i int32) {
	at := int(i) - int(s.low)
	if uint(at) >= uint(len(s.counts)) {
		s.grow(i, i+1)
		at = int(i) - int(s.low)
	}
	s.counts[at]++
	if s.counts[at] == 0 {
		s.carry(i)
	}
}

// carry counts a number 2^32 times.
func (s *sketch) carry(i int32) {
	rest := s.more()
	if rest.Positive == nil {
		rest.Positive = map[int32]uint64{}
	}
	rest.Positive[i] += 1 << 32
	rest.Total += 1 << 32
}

// grow makes room for the buckets [lo, hi), and as many more on that side as
// there are: a cell's numbers reach far when it has many.
func (s *sketch) grow(lo, hi int32) {
	slack := max(64, int32(len(s.counts)/2))
	switch {
	case len(s.counts) == 0:
		lo, hi = lo-slack, hi+slack
	case lo < s.low:
		lo, hi = lo-slack, max(hi, s.low+int32(len(s.counts)))
	default:
		lo, hi = s.low, hi+slack
	}
	wider := make([]uint32, hi-lo)
	if len(s.counts) > 0 {
		copy(wider[s.low-lo:], s.counts)
	}
	s.low, s.counts = lo, wider
}

func (s *sketch) merge(o *sketch) {
	if o.rest != nil {
		s.more().Merge(o.rest)
	}
	if len(o.counts) == 0 {
		return
	}
	if len(s.counts) == 0 {
		s.low, s.counts = o.low, slices.Clone(o.counts)
		return
	}
	if o.low < s.low || int(o.low)+len(o.counts) > int(s.low)+len(s.counts) {
		s.grow(o.low, o.low+int32(len(o.counts)))
	}
	to := s.counts[o.low-s.low:]
	for i, n := range o.counts {
		if to[i] += n; to[i] < n {
			s.carry(o.low + int32(i))
		}
	}
}

// finish returns the sketch as the model has it, nil for an empty one.
func (s *sketch) finish() *model.Sketch {
	out := s.rest
	used := 0
	for _, n := range s.counts {
		if n > 0 {
			used++
		}
	}
	if used == 0 {
		return out
	}
	if out == nil {
		out = &model.Sketch{}
	}
	if out.Positive == nil {
		out.Positive = make(map[int32]uint64, used)
	}
	for i, n := range s.counts {
		if n > 0 {
			out.Positive[s.low+int32(i)] += uint64(n)
			out.Total += uint64(n)
		}
	}
	return out
}
