package model

import (
	"math"
	"sync"
)

// The table covers 2^-20 to 2^63: a microsecond in seconds to any duration in
// nanoseconds. A cell is 1/128 of a power of two wide (at most 0.8 %), so that no
// cell reaches over more than two buckets (2 %).
const (
	tableMin  = 1.0 / (1 << 20)
	tableMax  = 1 << 63
	cellBits  = 7
	cellShift = 52 - cellBits
)

type sketchCell struct {
	edge   float64 // numbers from here on are in the next bucket
	bucket int32
}

// bucketTable is filled once, by asking sketchIndex where numbers go, so that the
// two can never disagree.
var bucketTable = sync.OnceValue(func() SketchBuckets {
	lo, hi := math.Float64bits(tableMin)>>cellShift, math.Float64bits(tableMax)>>cellShift
	out := make(SketchBuckets, hi-lo)
	for i := range out {
		first, last := (lo+uint64(i))<<cellShift, (lo+uint64(i)+1)<<cellShift-1
		c := sketchCell{edge: math.Inf(1), bucket: sketchIndex(math.Float64frombits(first))}
		if sketchIndex(math.Float64frombits(last)) != c.bucket {
			for last-first > 1 {
				if mid := (first + last) / 2; sketchIndex(math.Float64frombits(mid)) == c.bucket {
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

// SketchBuckets finds the buckets of numbers as Sketch.Add does, without a
// logarithm.
type SketchBuckets []sketchCell

// SketchTable returns the finder.
func SketchTable() SketchBuckets { return bucketTable() }

// Bucket returns the bucket of a number; false for one that the table does not
// reach.
func (t SketchBuckets) Bucket(v float64) (int32, bool) {
	if !(v >= tableMin && v < tableMax) {
		return 0, false
	}
	c := &t[math.Float64bits(v)>>cellShift-math.Float64bits(tableMin)>>cellShift]
	if v >= c.edge {
		return c.bucket + 1, true
	}
	return c.bucket, true
}

// SketchBucket is Bucket of the table.
func SketchBucket(v float64) (int32, bool) { return bucketTable().Bucket(v) }
