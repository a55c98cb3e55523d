package promapi

import (
	"context"
	"errors"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/kahansum"
)

// errNotFusable sends a query to the engine: its data hold what only the engine
// knows how to treat.
var errNotFusable = errors.New("not fusable")

// fusedGroup is one group of the sum: a value a step.
type fusedGroup struct {
	labels labels.Labels
	sum, c []float64 // Kahan's sum and its compensation
	seen   []bool
}

// fusedEval computes one fusedSum: each series is decoded once, and its rate at
// every step goes straight into its group.
type fusedEval struct {
	f        *fusedSum
	at       steps
	n        int // steps
	maxCells int
	groups   map[uint64]*fusedGroup
	order    []*fusedGroup
	hashBuf  []byte

	ts     []int64
	vs     []float64
	resets []int // indices whose value is less than the one before
}

// eval reads the series and returns the groups in the order met.
func (e *fusedEval) eval(ctx context.Context, q storage.Querier) ([]*fusedGroup, error) {
	e.n = e.at.count()
	e.groups = map[uint64]*fusedGroup{}
	slices.Sort(e.f.grouping)
	offset, window := e.f.offset.Milliseconds(), e.f.window.Milliseconds()
	hints := &storage.SelectHints{
		Start: e.at.start - offset - window + 1, End: e.at.end - offset, Step: e.at.step, Range: window,
		Func: "rate", By: !e.f.without, Grouping: e.f.grouping, DisableTrimming: true,
	}
	set := q.Select(ctx, false, hints, e.f.matchers...)
	var it chunkenc.Iterator
	for count := 0; set.Next(); count++ {
		if count%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s := set.At()
		it = s.Iterator(it)
		if err := e.read(it, hints.Start, hints.End); err != nil {
			return nil, err
		}
		if len(e.ts) < 2 {
			continue
		}
		g, err := e.group(s.Labels())
		if err != nil {
			return nil, err
		}
		e.add(g, offset, window)
	}
	if err := set.Err(); err != nil {
		return nil, err
	}
	if len(set.Warnings()) > 0 {
		return nil, errNotFusable
	}
	return e.order, nil
}

// read decodes the samples of [from, to] without staleness markers.
func (e *fusedEval) read(it chunkenc.Iterator, from, to int64) error {
	e.ts, e.vs, e.resets = e.ts[:0], e.vs[:0], e.resets[:0]
	prev := 0.0
	for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
		if vt != chunkenc.ValFloat {
			return errNotFusable
		}
		t, v := it.At()
		if t < from || value.IsStaleNaN(v) {
			continue
		}
		if t > to {
			break
		}
		if len(e.vs) > 0 && v < prev {
			e.resets = append(e.resets, len(e.vs))
		}
		e.ts, e.vs = append(e.ts, t), append(e.vs, v)
		prev = v
	}
	return it.Err()
}

// group finds or makes the group of a series.
func (e *fusedEval) group(ls labels.Labels) (*fusedGroup, error) {
	var hash uint64
	if e.f.without {
		hash, e.hashBuf = ls.HashWithoutLabels(e.hashBuf, e.f.grouping...)
	} else {
		hash, e.hashBuf = ls.HashForLabels(e.hashBuf, e.f.grouping...)
	}
	if g := e.groups[hash]; g != nil {
		return g, nil
	}
	if (len(e.order)+1)*e.n > e.maxCells {
		return nil, errNotFusable // the engine words the refusal
	}
	b := labels.NewBuilder(ls)
	if e.f.without {
		b.Del(e.f.grouping...).Del(labels.MetricName)
	} else {
		b.Keep(e.f.grouping...)
	}
	g := &fusedGroup{labels: b.Labels(), sum: make([]float64, e.n), c: make([]float64, e.n), seen: make([]bool, e.n)}
	e.groups[hash] = g
	e.order = append(e.order, g)
	return g, nil
}

// add computes the rate at every step. The samples of a window are
// ts[lo:hi]; both ends only move forward.
func (e *fusedEval) add(g *fusedGroup, offset, window int64) {
	lo, hi, reset := 0, 0, 0
	seconds := e.f.window.Seconds()
	for i := range e.n {
		end := e.at.at(i) - offset
		start := end - window
		for hi < len(e.ts) && e.ts[hi] <= end {
			hi++
		}
		for lo < hi && e.ts[lo] <= start {
			lo++
		}
		if hi-lo < 2 {
			continue
		}
		for reset < len(e.resets) && e.resets[reset] <= lo {
			reset++
		}
		v := e.rate(lo, hi, reset, start, end)
		if e.f.isRate {
			v.factor /= seconds
		}
		g.sum[i], g.c[i] = kahansum.Inc(v.delta*v.factor, g.sum[i], g.c[i])
		g.seen[i] = true
	}
}

type extrapolated struct{ delta, factor float64 }

// rate follows PromQL's definition of the extrapolated increase of a counter:
// what the samples rose by, stretched to the window's ends where the samples
// come close enough to them, and never below zero.
func (e *fusedEval) rate(lo, hi, reset int, start, end int64) extrapolated {
	first, last := e.ts[lo], e.ts[hi-1]
	delta := e.vs[hi-1] - e.vs[lo]
	for _, i := range e.resets[reset:] {
		if i >= hi {
			break
		}
		delta += e.vs[i-1]
	}
	toStart, toEnd := float64(first-start)/1000, float64(end-last)/1000
	sampled := float64(last-first) / 1000
	between := sampled / float64(hi-lo-1)
	threshold := between * 1.1
	if toStart >= threshold {
		toStart = between / 2
	}
	toZero := toStart
	if delta > 0 && e.vs[lo] >= 0 {
		toZero = sampled * (e.vs[lo] / delta)
	}
	toStart = min(toStart, toZero)
	if toEnd >= threshold {
		toEnd = between / 2
	}
	factor := 1.0
	if sampled != 0 {
		factor = (sampled + toStart + toEnd) / sampled
	}
	return extrapolated{delta, factor}
}
