package tracestore

import (
	"math"
	"sync"

	"braid/pkg/model"
)

// sketch counts numbers in the buckets of model.Sketch, in a slice instead of a
// map: the numbers of one cell lie close together.
type sketch struct {
	model.Sketch // negative numbers and what the table does not reach
	low          int32
	counts       []uint64 // of bucket low+i
	total        uint64
}

func (s *sketch) add(v float64) {
	if !(v >= tableMin && v < tableMax) {
		s.Sketch.Add(v, 1)
		return
	}
	s.total++
	i := bucketOf(v)
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

// The table covers 2^-20 to 2^63: a microsecond in seconds to any duration in
// nanoseconds. A cell is an eighth bit of mantissa wide (0.4 %), so that no
// cell reaches over more than two buckets (2 %).
const (
	tableMin  = 1.0 / (1 << 20)
	tableMax  = 1 << 63
	cellBits  = 8
	cellShift = 52 - cellBits
)

type sketchCell struct {
	edge   float64 // numbers from here on are in the next bucket
	bucket int32
}

// bucketTable is filled once, by asking model.Sketch itself where numbers go,
// so that the two can never disagree.
var bucketTable = sync.OnceValue(func() []sketchCell {
	lo, hi := math.Float64bits(tableMin)>>cellShift, math.Float64bits(tableMax)>>cellShift
	out := make([]sketchCell, hi-lo)
	for i := range out {
		first, last := (lo+uint64(i))<<cellShift, (lo+uint64(i)+1)<<cellShift-1
		c := sketchCell{edge: math.Inf(1), bucket: modelBucket(math.Float64frombits(first))}
		if modelBucket(math.Float64frombits(last)) != c.bucket {
			for last-first > 1 {
				if mid := (first + last) / 2; modelBucket(math.Float64frombits(mid)) == c.bucket {
					first = mid
				} else {
					last = mid
				}
			}
			c.edge = math.Float64frombits(last)
		}
		out[i] = c
	}
	return out
})

var (
	modelGamma    = 1.01 / 0.99
	modelGammaLog = math.Log(modelGamma)
)

// modelBucket is model.Sketch's bucket of a positive number; a test holds them
// together.
func modelBucket(v float64) int32 { return int32(math.Ceil(math.Log(v) / modelGammaLog)) }

func bucketOf(v float64) int32 {
	c := &bucketTable()[math.Float64bits(v)>>cellShift-math.Float64bits(tableMin)>>cellShift]
	if v >= c.edge {
		return c.bucket + 1
	}
	return c.bucket
}
