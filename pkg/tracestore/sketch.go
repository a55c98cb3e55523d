package tracestore

import "braid/pkg/model"

// sketch counts numbers in the buckets of model.Sketch, in a slice instead of a
// map: the numbers of one cell lie close together.
type sketch struct {
	model.Sketch // negative numbers and what the table does not reach
	low          int32
	counts       []uint64 // of bucket low+i
	total        uint64
}

func (s *sketch) add(v float64) {
	i, ok := model.SketchBucket(v)
	if !ok {
		s.Sketch.Add(v, 1)
		return
	}
	s.total++
	at := int(i) - int(s.low)
	if at < 0 || at >= len(s.counts) {
		s.grow(i)
		at = int(i) - int(s.low)
	}
	s.counts[at]++
}

func (s *sketch) grow(i int32) {
	const slack = 32
	lo, hi := i-slack, i+slack
	if len(s.counts) > 0 {
		lo, hi = min(lo, s.low), max(hi, s.low+int32(len(s.counts)))
	}
	wider := make([]uint64, hi-lo)
	if len(s.counts) > 0 {
		copy(wider[s.low-lo:], s.counts)
	}
	s.low, s.counts = lo, wider
}

// finish returns the sketch as the model has it.
func (s *sketch) finish() *model.Sketch {
	out := &s.Sketch
	for i, n := range s.counts {
		if n > 0 {
			if out.Positive == nil {
				out.Positive = map[int32]uint64{}
			}
			out.Positive[s.low+int32(i)] += n
		}
	}
	out.Total += s.total
	return out
}
