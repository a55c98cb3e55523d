package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"

	"braid/pkg/model"
)

// txn is one request on its way into a tenant's head. It is used by one
// goroutine and pooled.
type txn struct {
	t   *tenantDB
	app storage.AppenderV2
	h   hasher
	rej model.Rejections

	minTime, maxTime int64 // acceptable sample times, Unix ms
	now              int64 // Unix ns
	exclusive        bool  // holds tenantDB.mu alone

	targets  []target
	batches  []int // batch -> index in targets
	deferred []deferredPoint
	locked   uint64 // the shards held, by bit
	sampled  int    // samples appended
	offers   []offered
	// shared holds what this transaction appended to series that several
	// streams have, by reference.
	shared map[uint64]sharedPoint

	named namedMetric // the last one that was named
	// point is the stream at hand: see stream.
	point stream

	base    labelSet
	refs    []uint64
	builder labels.ScratchBuilder
}

// sharedPoint is enough of a point to tell whether another contradicts it.
type sharedPoint struct {
	time              int64
	value, sum, count uint64 // bits: NaN is equal to itself
}

// contradicts reports whether the point at hand says something else than one
// that the same transaction has appended to the same series.
func (x *txn) contradicts(ref uint64, p *model.Point) error {
	this := sharedPoint{p.Time / 1e6, math.Float64bits(p.Value), math.Float64bits(p.Sum), p.Count}
	other, ok := x.shared[ref]
	if ok && other.time == this.time && other != this {
		return storage.ErrDuplicateSampleForTimestamp
	}
	if x.shared == nil {
		x.shared = map[uint64]sharedPoint{}
	}
	x.shared[ref] = this
	return nil
}

// deferredPoint is a point of a foreign target: it waits for the exclusive lock.
type deferredPoint struct{ batch, metric, point int }

// stream is one point's series while they are appended.
type stream struct {
	id    identity
	shard *shard
	tg    *target
	scope *model.Scope
	m     *model.Metric
	p     *model.Point
	refs  []uint64 // known references, nil on a miss
	t, st int64    // Unix ms; st 0: no zero sample wanted
	built bool     // base and name are filled in
	name  string
	base  labelSet
	flags uint16
	fresh bool // refs changed: remember them
}

var txnPool = sync.Pool{New: func() any { return &txn{builder: labels.NewScratchBuilder(16)} }}

func newTxn(t *tenantDB) *txn {
	x := txnPool.Get().(*txn)
	now := t.opts.Now()
	x.t, x.rej, x.now = t, model.Rejections{}, now.UnixNano()
	x.maxTime = now.Add(t.opts.FutureWindow).UnixMilli()
	x.minTime = now.Add(-t.retention()).UnixMilli()
	x.targets, x.batches, x.deferred = x.targets[:0], x.batches[:0], x.deferred[:0]
	x.sampled, x.offers = 0, x.offers[:0]
	return x
}

// release gives the transaction back. Nothing of the request stays referenced.
func (x *txn) release() {
	clear(x.targets)
	clear(x.offers)
	clear(x.shared)
	x.point, x.named = stream{}, namedMetric{}
	clear(x.base[:cap(x.base)])
	x.t, x.app = nil, nil
	txnPool.Put(x)
}

// lock takes the shards in ascending order, or everything.
func (x *txn) lock(shards uint64, exclusive bool) {
	x.exclusive, x.locked = exclusive, shards
	if exclusive {
		x.t.mu.Lock()
		return
	}
	x.t.mu.RLock()
	for i := range x.t.shards {
		if shards&(1<<i) != 0 {
			x.t.shards[i].mu.Lock()
		}
	}
}

func (x *txn) unlock() {
	if x.exclusive {
		x.t.mu.Unlock()
		return
	}
	for i := range x.t.shards {
		if x.locked&(1<<i) != 0 {
			x.t.shards[i].mu.Unlock()
		}
	}
	x.t.mu.RUnlock()
}

// begin opens the head's appender, unless the database has to be opened anew.
func (x *txn) begin(ctx context.Context) error {
	if x.t.broken.Load() {
		return &model.OverloadError{Reason: fmt.Sprintf("metrics of tenant %q could not be written and are being opened again", x.t.id), RetryAfter: 5 * time.Second}
	}
	x.app = x.t.db.AppenderV2(ctx)
	return nil
}

// run makes one transaction: what add appends is committed, or undone when add
// fails. The locks are held.
func (x *txn) run(ctx context.Context, add func() error) error {
	if err := x.begin(ctx); err != nil {
		return err
	}
	if err := add(); err != nil {
		x.rollback()
		return err
	}
	return x.commit()
}

// commit writes the transaction, or undoes it wholly.
func (x *txn) commit() error {
	err := x.app.Commit()
	x.eachDelta(func(d *deltaStore) {
		if err == nil {
			d.commit()
		} else {
			d.rollback()
		}
	})
	if err == nil {
		return nil
	}
	x.t.m.commitErrors.Inc()
	x.t.broken.Store(true)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &model.OverloadError{Reason: fmt.Sprintf("no space left to write metrics of tenant %q: free or add disk space", x.t.id), RetryAfter: 10 * time.Second}
	}
	return fmt.Errorf("cannot write metrics of tenant %q: %w", x.t.id, err)
}

func (x *txn) rollback() {
	if err := x.app.Rollback(); err != nil {
		x.t.opts.Logger.Error("cannot roll metrics back", "tenant", string(x.t.id), "err", err)
	}
	x.eachDelta((*deltaStore).rollback)
}

func (x *txn) eachDelta(f func(*deltaStore)) {
	for i := range x.t.shards {
		if x.exclusive || x.locked&(1<<i) != 0 {
			f(x.t.shards[i].delta)
		}
	}
}

// append writes one sample of the stream at hand: series i of it.
func (x *txn) append(i int, v float64) error { return x.appendAny(i, v, nil, nil) }

func (x *txn) appendAny(i int, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram) error {
	s := &x.point
	if i < len(s.refs) && s.refs[i] != 0 {
		_, err := x.app.Append(storage.SeriesRef(s.refs[i]), labels.EmptyLabels(), s.st, s.t, v, h, fh, storage.AOptions{})
		if err == nil {
			x.sampled++
			return nil
		}
		// The head has forgotten the series: without labels it cannot make it
		// again.
		if !errors.Is(err, promtsdb.ErrInvalidSample) {
			return err
		}
		x.t.m.staleRefs.Inc()
	}
	ls, err := x.seriesLabels(i)
	if err != nil {
		return err
	}
	ref, err := x.app.Append(0, ls, s.st, s.t, v, h, fh, storage.AOptions{})
	if err != nil {
		return err
	}
	x.sampled++
	x.remember(i, uint64(ref))
	return nil
}

// remember notes a reference learnt; x.refs becomes the stream's references.
func (x *txn) remember(i int, ref uint64) {
	s := &x.point
	if !s.fresh {
		x.refs = append(x.refs[:0], s.refs...)
		s.fresh = true
	}
	for len(x.refs) <= i {
		x.refs = append(x.refs, 0)
	}
	x.refs[i] = ref
}

// reject counts the point at hand as not taken.
func (x *txn) reject(m *model.Metric, err error) {
	var limit *limitError
	switch {
	case errors.As(err, &limit):
		x.t.m.rejected.WithLabelValues("limit_" + limit.limit).Inc()
		x.rej.Add(1, "%s", limit.Error())
	case errors.Is(err, storage.ErrTooOldSample), errors.Is(err, storage.ErrOutOfBounds):
		x.t.m.rejected.WithLabelValues("too_old").Inc()
		x.rej.Add(1, "metric %q: sample is too old: more than %s (out-of-order window) behind the newest", clip(m.Name), x.t.opts.OutOfOrderWindow)
	case errors.Is(err, storage.ErrOutOfOrderSample):
		x.t.m.rejected.WithLabelValues("out_of_order").Inc()
		x.rej.Add(1, "metric %q: sample is out of order", clip(m.Name))
	case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		x.t.m.rejected.WithLabelValues("duplicate").Inc()
		x.rej.Add(1, "metric %q: another value is stored for the same series and time: give each sender its own service.instance.id, or make what tells the streams apart a label", clip(m.Name))
	default:
		x.t.m.rejected.WithLabelValues("invalid").Inc()
		x.rej.Add(1, "metric %q: %s", clip(m.Name), clip(err.Error()))
	}
}
