package tracestore

import (
	"math"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// accumulator adds rows up in cells that lie side by side, those of a group
// together: cell g*buckets+b is bucket b of group g. Not safe for concurrent use.
type accumulator struct {
	q       *predicate.Aggregation
	start   int64 // of the first bucket
	step    int64 // 0: one bucket
	buckets int
	max     int // groups

	groupOf   map[string]int
	names     [][]model.Value // by group
	counts    []uint64
	numbers   []number // nil when nothing is measured
	sketches  []sketch // nil when nobody asks for quantiles
	exemplars [][]model.AggExemplar
	dropped   int64

	// The places of exemplars, by group and part of the range: how many there are
	// of a part, and how many are taken.
	parts, allowed int
	taken          []uint16

	keys    []model.Value // of the group to find
	scratch enc
}

// number is what a cell knows of the field that is measured.
type number struct {
	rows          uint64
	sum, min, max float64
}

func (n *number) add(v float64) {
	if n.rows == 0 {
		n.min, n.max = v, v
	} else {
		n.min, n.max = min(n.min, v), max(n.max, v)
	}
	n.rows++
	n.sum += v
}

func (n *number) merge(o *number) {
	if o.rows == 0 {
		return
	}
	if n.rows == 0 {
		n.min, n.max = o.min, o.max
	}
	n.min, n.max = min(n.min, o.min), max(n.max, o.max)
	n.rows += o.rows
	n.sum += o.sum
}

func newAccumulator(q *predicate.Aggregation, start int64, buckets int) accumulator {
	a := accumulator{q: q, start: start, step: q.Step, buckets: buckets, groupOf: map[string]int{}, max: q.MaxGroups}
	if a.max <= 0 {
		a.max = defaultMaxGroups
	}
	a.max = min(a.max, math.MaxInt32/max(1, buckets))
	if q.Exemplars > 0 && buckets > 0 {
		a.parts = min(q.Exemplars, buckets)
		a.allowed = min(q.Exemplars/a.parts, math.MaxUint16)
	}
	return a
}

// group returns the group of the key values at hand, -1 when there is no room
// for another.
func (a *accumulator) group() int {
	a.scratch.b = a.scratch.b[:0]
	for _, v := range a.keys {
		a.scratch.value(v)
	}
	if g, ok := a.groupOf[string(a.scratch.b)]; ok {
		return g
	}
	if len(a.names) >= a.max {
		return -1
	}
	g := len(a.names)
	a.groupOf[string(a.scratch.b)] = g
	a.names = append(a.names, append([]model.Value(nil), a.keys...))
	a.exemplars = append(a.exemplars, nil)
	a.counts = append(a.counts, make([]uint64, a.buckets)...)
	if a.q.Measure != predicate.CountOnly {
		a.numbers = append(a.numbers, make([]number, a.buckets)...)
	}
	if a.q.Measure == predicate.Quantiles {
		a.sketches = append(a.sketches, make([]sketch, a.buckets)...)
	}
	a.taken = append(a.taken, make([]uint16, a.parts)...)
	return g
}

// add counts one row of a group, with its measured number if it has one, and
// reports whether the group wants the row as an exemplar.
func (a *accumulator) add(g int, start int64, value float64, measured bool) bool {
	if g < 0 {
		a.dropped++
		return false
	}
	bucket := 0
	if a.step > 0 {
		bucket = int((start - a.start) / a.step)
	}
	cell := g*a.buckets + bucket
	a.counts[cell]++
	if measured {
		a.measure(cell, value)
	}
	return a.wants(g, bucket)
}

func (a *accumulator) measure(cell int, value float64) {
	a.numbers[cell].add(value)
	if a.sketches != nil {
		a.sketches[cell].add(value)
	}
}

// addMany counts rows of the group of the key values at hand, of a question
// with one bucket.
func (a *accumulator) addMany(n uint64) {
	g := a.group()
	if g < 0 {
		a.dropped += int64(n)
		return
	}
	a.counts[g] += n
}

// wants takes a place for one more exemplar of a group, when there is one. The
// places are spread over the range: the rows read first must not take them all,
// or a chart would name the requests of one end only.
func (a *accumulator) wants(g, bucket int) bool {
	if a.allowed == 0 {
		return false
	}
	taken := &a.taken[g*a.parts+bucket*a.parts/a.buckets]
	if int(*taken) >= a.allowed {
		return false
	}
	*taken++
	return true
}

// merge adds what another accumulator of the same question has.
func (a *accumulator) merge(o *accumulator) {
	a.dropped += o.dropped
	for og := range o.names {
		a.keys = append(a.keys[:0], o.names[og]...)
		g := a.group()
		for b := range a.buckets {
			from := og*a.buckets + b
			if g < 0 {
				a.dropped += int64(o.counts[from])
				continue
			}
			cell := g*a.buckets + b
			a.counts[cell] += o.counts[from]
			if a.numbers != nil {
				a.numbers[cell].merge(&o.numbers[from])
			}
			if a.sketches != nil {
				a.sketches[cell].merge(&o.sketches[from])
			}
		}
		if g < 0 {
			continue
		}
		for _, e := range o.exemplars[og] {
			if a.wants(g, e.Bucket) {
				a.exemplars[g] = append(a.exemplars[g], e)
			}
		}
	}
}

// result returns the answer. The accumulator is of no use afterwards.
func (a *accumulator) result() *model.Aggregate {
	out := &model.Aggregate{Start: a.start, Step: a.step, Buckets: a.buckets, Dropped: a.dropped, Groups: make([]model.AggGroup, len(a.names))}
	cells := make([]model.Cell, len(a.counts))
	for i := range cells {
		cells[i].Count = a.counts[i]
		if a.numbers != nil {
			n := &a.numbers[i]
			cells[i].Measured, cells[i].Sum, cells[i].Min, cells[i].Max = n.rows, n.sum, n.min, n.max
		}
		if a.sketches != nil {
			cells[i].Sketch = a.sketches[i].finish()
		}
	}
	for g := range out.Groups {
		lo, hi := g*a.buckets, (g+1)*a.buckets
		out.Groups[g] = model.AggGroup{Key: a.names[g], Cells: cells[lo:hi:hi], Exemplars: a.exemplars[g]}
	}
	return out
}
