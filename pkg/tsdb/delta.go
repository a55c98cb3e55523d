package tsdb

import (
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/zeebo/xxh3"

	"braid/pkg/model"
)

// deltaStore sums delta points up to the cumulative ones that PromQL expects.
// It belongs to one shard and is guarded by that shard's lock. What a
// transaction changed is undone when it fails.
type deltaStore struct {
	byStream map[identity]*deltaState
	byLabels map[identity]*deltaState // streams of other identities, same series
	max      int
	undo     []func()
}

// deltaState is the running total of one series.
type deltaState struct {
	start, last int64 // Unix ns: of the first point, of the newest point
	seen        int64 // Unix ns of the clock
	// seeded says that last is the time of a stored sample, in whole
	// milliseconds: what is not newer is contained already.
	seeded     bool
	value, sum float64
	count      uint64
	bounds     []float64
	counts     []uint64
	native     *histogram.FloatHistogram
}

func newDeltaStore(maxStreams int) *deltaStore {
	return &deltaStore{byStream: map[identity]*deltaState{}, byLabels: map[identity]*deltaState{}, max: max(maxStreams, 16)}
}

// state finds or makes the total of a stream; labels is asked once a stream,
// and seed once a series: it fills in what an earlier process stored.
// fresh is false when the point is already contained (a retry).
func (d *deltaStore) state(id identity, p *model.Point, now int64, labels func() (labelSet, error), seed func(*deltaState)) (st *deltaState, fresh bool, err error) {
	st = d.byStream[id]
	if st == nil {
		set, err := labels()
		if err != nil {
			return nil, false, err
		}
		key := set.identity()
		if st = d.byLabels[key]; st == nil {
			if len(d.byLabels) >= d.max {
				return nil, false, fmt.Errorf("more than %d delta streams are active: send cumulative temporality or fewer streams", d.max)
			}
			st = &deltaState{start: p.Start}
			if st.start == 0 {
				st.start = p.Time
			}
			seed(st)
			d.byLabels[key] = st
			d.undo = append(d.undo, func() { delete(d.byLabels, key) })
		}
		d.byStream[id] = st
		d.undo = append(d.undo, func() { delete(d.byStream, id) })
	}
	if p.Time == st.last || st.seeded && p.Time/1e6 <= st.last/1e6 {
		return st, false, nil
	}
	if p.Time < st.last {
		return nil, false, fmt.Errorf("delta point is older than the newest of its stream by %s: delta points must come in order", time.Duration(st.last-p.Time))
	}
	saved := *st
	saved.counts = append([]uint64(nil), st.counts...)
	d.undo = append(d.undo, func() { *st = saved })
	st.last, st.seen, st.seeded = p.Time, now, false
	return st, true, nil
}

// commit keeps and rollback undoes what the transaction changed.
func (d *deltaStore) commit() { d.undo = d.undo[:0] }

func (d *deltaStore) rollback() {
	for i := len(d.undo) - 1; i >= 0; i-- {
		d.undo[i]()
	}
	d.undo = d.undo[:0]
}

// sweep forgets streams that were silent since before.
func (d *deltaStore) sweep(before int64) {
	for id, st := range d.byStream {
		if st.seen < before {
			delete(d.byStream, id)
		}
	}
	for id, st := range d.byLabels {
		if st.seen < before {
			delete(d.byLabels, id)
		}
	}
}

// addNumber adds a delta number.
func (st *deltaState) addNumber(v float64) float64 {
	st.value += v
	return st.value
}

// addHistogram adds an explicit histogram and returns the cumulative point. New
// bounds begin a new count.
func (st *deltaState) addHistogram(p *model.Point) model.Point {
	if !equalFloats(st.bounds, p.Bounds) || len(st.counts) != len(p.Counts) {
		st.bounds = append([]float64(nil), p.Bounds...)
		st.counts = make([]uint64, len(p.Counts))
		st.sum, st.count = 0, 0
	}
	for i, c := range p.Counts {
		st.counts[i] += c
	}
	st.sum += p.Sum
	st.count += p.Count
	out := *p
	out.Counts = st.counts
	out.Sum, out.Count, out.Start = st.sum, st.count, st.start
	return out
}

// addNative adds an exponential histogram and returns the cumulative one,
// which the caller owns.
func (st *deltaState) addNative(h *histogram.Histogram) (*histogram.FloatHistogram, error) {
	f := h.ToFloat(nil)
	if st.native == nil {
		st.native = f
		return f.Copy(), nil
	}
	sum, _, _, err := st.native.Copy().Add(f)
	if err != nil {
		return nil, err
	}
	st.native = sum.Compact(0)
	return st.native.Copy(), nil
}

func equalFloats(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// identity hashes a label set whatever its order.
func (s labelSet) identity() identity {
	var id identity
	for _, l := range s {
		u := xxh3.HashString128(l.Name + "\xff" + l.Value)
		id[0] += u.Hi
		id[1] += u.Lo
	}
	return id
}
