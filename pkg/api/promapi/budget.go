package promapi

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"braid/pkg/model"
)

// Budget is what one query of a tenant may take; 0 means unbounded.
type Budget struct {
	Samples int64
	Bytes   int64 // of the labels and samples that come from the store
	Timeout time.Duration
}

func (b Budget) countsSamples() bool { return b.Samples > 0 || b.Bytes > 0 }

// spending is what a query has taken so far. The parts of a query are evaluated
// by several goroutines.
type spending struct {
	budget  Budget
	samples atomic.Int64
	bytes   atomic.Int64
}

// err says that the budget is spent, and how to ask for less.
func (s *spending) err() error {
	switch {
	case s.budget.Samples > 0 && s.samples.Load() > s.budget.Samples:
		return fmt.Errorf("%w: the query reads more than %d samples, which is the limit query_samples: narrow the time range or the selector, or use a larger step", model.ErrTooMuch, s.budget.Samples)
	case s.budget.Bytes > 0 && s.bytes.Load() > s.budget.Bytes:
		return fmt.Errorf("%w: the query reads more than %d bytes, which is the limit query_bytes: narrow the time range or the selector", model.ErrTooMuch, s.budget.Bytes)
	}
	return nil
}

func spendingOf(ctx context.Context) *spending {
	info, _ := ctx.Value(requestKey{}).(requestInfo)
	return info.spending
}

// meter counts what a set yields, when the tenant has a budget for that.
func meter(ctx context.Context, set storage.SeriesSet) storage.SeriesSet {
	if s := spendingOf(ctx); s != nil {
		return &meteredSet{SeriesSet: set, s: s}
	}
	return set
}

type meteredSet struct {
	storage.SeriesSet
	s *spending
}

// Next implements storage.SeriesSet.
func (m *meteredSet) Next() bool { return m.s.err() == nil && m.SeriesSet.Next() }

// Err implements storage.SeriesSet.
func (m *meteredSet) Err() error {
	if err := m.s.err(); err != nil {
		return err
	}
	return m.SeriesSet.Err()
}

// At implements storage.SeriesSet.
func (m *meteredSet) At() storage.Series {
	series := m.SeriesSet.At()
	m.s.bytes.Add(int64(series.Labels().ByteSize()))
	return meteredSeries{series, m.s}
}

type meteredSeries struct {
	storage.Series
	s *spending
}

// Iterator implements storage.Series.
func (m meteredSeries) Iterator(old chunkenc.Iterator) chunkenc.Iterator {
	it, ok := old.(*meteredIterator)
	if !ok {
		it = &meteredIterator{}
	}
	it.flush()
	it.s, it.spent, it.tell = m.s, m.s.err(), m.s.budget.tell()
	it.Iterator = m.Series.Iterator(it.Iterator)
	return it
}

// meteredIterator adds up what is looked at and tells the query every so often.
type meteredIterator struct {
	chunkenc.Iterator
	s              *spending
	samples, bytes int64
	tell           int64 // samples between two looks at the budget
	spent          error
}

const (
	mostPerTell = 256
	floatBytes  = 16 // a time and a value
)

// tell is small when the budget is, so that it is kept to within a hundredth.
func (b Budget) tell() int64 {
	n := int64(mostPerTell)
	if b.Samples > 0 {
		n = min(n, b.Samples/100)
	}
	if b.Bytes > 0 {
		n = min(n, b.Bytes/floatBytes/100)
	}
	return max(n, 1)
}

func (m *meteredIterator) flush() {
	if m.s != nil && m.samples > 0 {
		m.s.samples.Add(m.samples)
		m.s.bytes.Add(m.bytes)
	}
	m.samples, m.bytes = 0, 0
}

func (m *meteredIterator) count(bytes int) {
	m.samples++
	if m.bytes += int64(bytes); m.samples >= m.tell {
		m.flush()
		m.spent = m.s.err()
	}
}

// Next implements chunkenc.Iterator.
func (m *meteredIterator) Next() chunkenc.ValueType {
	if m.spent != nil {
		return chunkenc.ValNone
	}
	return m.Iterator.Next()
}

// At implements chunkenc.Iterator.
func (m *meteredIterator) At() (int64, float64) {
	m.count(floatBytes)
	return m.Iterator.At()
}

// AtHistogram implements chunkenc.Iterator.
func (m *meteredIterator) AtHistogram(h *histogram.Histogram) (int64, *histogram.Histogram) {
	t, h := m.Iterator.AtHistogram(h)
	m.count(floatBytes + 8*(len(h.PositiveBuckets)+len(h.NegativeBuckets)))
	return t, h
}

// AtFloatHistogram implements chunkenc.Iterator.
func (m *meteredIterator) AtFloatHistogram(h *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	t, h := m.Iterator.AtFloatHistogram(h)
	m.count(floatBytes + 8*(len(h.PositiveBuckets)+len(h.NegativeBuckets)))
	return t, h
}

// Err implements chunkenc.Iterator.
func (m *meteredIterator) Err() error {
	if m.spent != nil {
		return m.spent
	}
	return m.Iterator.Err()
}
