package tracestore

import (
	"slices"

	"braid/pkg/model"
)

// sketch counts numbers in the buckets of model.Sketch, in a slice instead of a
// map: the numbers of one cell lie close together.
type sketch struct {
	low    int32
	counts []uint64      // of bucket low+i
	rest   *model.Sketch // negative numbers and what the table does not reach; nil: none
}

func (s *sketch) add(v float64) {
	if i, ok := model.SketchBucket(v); ok {
		s.count(i)
	} else {
		s.odd(v)
	}
}

// odd counts a number that has no bucket here.
func (s *sketch) odd(v float64) {
	if s.rest == nil {
		s.rest = &model.Sketch{}
	}
	s.rest.Add(v, 1)
}

// count counts a number of a bucket.
func (s *sketch) count(i int32) {
	at := int(i) - int(s.low)
	if uint(at) >= uint(len(s.counts)) {
		s.grow(i, i+1)
		at = int(i) - int(s.low)
	}
	s.counts[at]++
}

// grow makes room for the buckets [lo, hi), and some more.
func (s *sketch) grow(lo, hi int32) {
	const slack = 32
	lo, hi = lo-slack, hi+slack
	if len(s.counts) > 0 {
		lo, hi = min(lo, s.low), max(hi, s.low+int32(len(s.counts)))
	}
	wider := make([]uint64, hi-lo)
	if len(s.counts) > 0 {
		copy(wider[s.low-lo:], s.counts)
	}
	s.low, s.counts = lo, wider
}

func (s *sketch) merge(o *sketch) {
	if o.rest != nil {
		if s.rest == nil {
			s.rest = &model.Sketch{}
		}
		s.rest.Merge(o.rest)
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
		to[i] += n
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
			out.Positive[s.low+int32(i)] += n
			out.Total += n
		}
	}
	return out
}
