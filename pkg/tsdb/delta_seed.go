package tsdb

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"braid/pkg/model"
)

// A delta stream's running total is not written anywhere of its own: it is the
// newest sample that was stored of it, and the write-ahead log holds that. So
// after a restart, or after the stream was silent for so long that it was
// forgotten, the total is read back from the head.

// lastSample is the newest sample of a series in the head.
type lastSample struct {
	t  int64 // Unix ms
	v  float64
	fh *histogram.FloatHistogram
}

// headReader reads newest samples by reference.
type headReader struct {
	index   promtsdb.IndexReader
	chunks  promtsdb.ChunkReader
	builder labels.ScratchBuilder
	metas   []chunks.Meta
	it      chunkenc.Iterator
}

func newHeadReader(h *promtsdb.Head) (*headReader, error) {
	ix, err := h.Index()
	if err != nil {
		return nil, err
	}
	cr, err := h.Chunks()
	if err != nil {
		_ = ix.Close() // holds nothing
		return nil, err
	}
	return &headReader{index: ix, chunks: cr}, nil
}

func (r *headReader) close() {
	// Both hold memory of the head and nothing that could fail to be freed.
	_ = r.chunks.Close()
	_ = r.index.Close()
}

// last returns the newest sample of a series; ok is false when there is none,
// or when it says that the series has ended.
func (r *headReader) last(ref storage.SeriesRef) (s lastSample, ok bool) {
	if err := r.index.Series(ref, &r.builder, &r.metas); err != nil || len(r.metas) == 0 {
		return s, false
	}
	c, iterable, err := r.chunks.ChunkOrIterable(r.metas[len(r.metas)-1])
	if err != nil || iterable != nil {
		return s, false
	}
	r.it = c.Iterator(r.it)
	for vt := r.it.Next(); vt != chunkenc.ValNone; vt = r.it.Next() {
		ok = true
		if vt == chunkenc.ValFloat {
			s.t, s.v = r.it.At()
			s.fh = nil
		} else {
			s.t, s.fh = r.it.AtFloatHistogram(nil)
		}
	}
	if r.it.Err() != nil {
		return s, false
	}
	stale := s.fh == nil && value.IsStaleNaN(s.v) || s.fh != nil && value.IsStaleNaN(s.fh.Sum)
	return s, ok && !stale
}

// seedDelta makes the total of the stream at hand go on from what is stored.
func (x *txn) seedDelta(st *deltaState) {
	if x.t.db.Head().NumSeries() == 0 {
		return
	}
	r, err := newHeadReader(x.t.db.Head())
	if err != nil {
		x.t.opts.Logger.Warn("cannot read stored totals of a delta stream", "tenant", string(x.t.id), "err", err)
		return
	}
	defer r.close()
	var ok bool
	switch x.point.m.Type {
	case model.MetricSum:
		ok = x.seedSum(r, st)
	case model.MetricHistogram:
		ok = x.seedHistogram(r, st)
	default:
		ok = x.seedNative(r, st)
	}
	if ok {
		st.seeded, st.start = true, 0
		x.t.m.deltaSeeded.Inc()
	}
}

// lastOf reads the newest sample of series i of the stream at hand.
func (x *txn) lastOf(r *headReader, i int) (lastSample, bool) {
	ls, err := x.seriesLabels(i)
	if err != nil {
		return lastSample{}, false
	}
	known, ok := x.app.(storage.GetRef)
	if !ok {
		return lastSample{}, false
	}
	ref, _ := known.GetRef(ls, ls.Hash())
	if ref == 0 {
		return lastSample{}, false
	}
	return r.last(ref)
}

func (x *txn) seedSum(r *headReader, st *deltaState) bool {
	s, ok := x.lastOf(r, 0)
	if !ok || s.fh != nil || math.IsNaN(s.v) {
		return false
	}
	st.value, st.last = s.v, s.t*1e6
	return true
}

func (x *txn) seedNative(r *headReader, st *deltaState) bool {
	s, ok := x.lastOf(r, 0)
	if !ok || s.fh == nil {
		return false
	}
	s.fh.CounterResetHint = histogram.UnknownCounterReset
	st.native, st.last = s.fh, s.t*1e6
	return true
}

// seedHistogram reads the series of an explicit histogram: see addHistogram.
// They were appended together, so that a total is whole only when all of them
// end at the same time.
func (x *txn) seedHistogram(r *headReader, st *deltaState) bool {
	p := x.point.p
	count, ok := x.lastOf(r, 0)
	if !ok || !isCount(count) {
		return false
	}
	counts := make([]uint64, len(p.Counts))
	var below float64
	for i := range p.Bounds {
		s, ok := x.lastOf(r, 1+i)
		if !ok || s.t != count.t || !isCount(s) || s.v < below {
			return false
		}
		counts[i] = uint64(s.v - below)
		below = s.v
	}
	if len(counts) > 0 {
		if count.v < below {
			return false
		}
		counts[len(counts)-1] = uint64(count.v - below)
	}
	if p.HasSum {
		s, ok := x.lastOf(r, len(p.Bounds)+2)
		if !ok || s.t != count.t || s.fh != nil {
			return false
		}
		st.sum = s.v
	}
	st.bounds = append([]float64(nil), p.Bounds...)
	st.counts, st.count, st.last = counts, uint64(count.v), count.t*1e6
	return true
}

// isCount reports whether a sample is a count of events.
func isCount(s lastSample) bool {
	return s.fh == nil && s.v >= 0 && s.v < 1<<63
}
