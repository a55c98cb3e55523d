package tracestore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"braid/pkg/block"
)

// tick is how often the loops look for work that nobody called them for.
const tick = time.Second

// flushLoop writes heads that are full or old until the store is closed.
func (s *Store) flushLoop(ctx context.Context) {
	defer s.done.Done()
	timer := time.NewTicker(tick)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
			if s.opts.Manual {
				continue
			}
		}
		if !s.opts.Manual {
			s.relieve()
		}
		for _, t := range s.allTenants() {
			if !s.opts.Manual {
				t.rotateOld(s.opts.Now().Add(-s.opts.HeadMaxAge))
			}
			err := t.flushWaiting(ctx)
			if ctx.Err() != nil {
				return
			}
			s.trouble.Flushed(t.id, err)
			if err != nil {
				s.metrics.failures.Inc()
				s.opts.Logger.Error("cannot write spans to disk; they stay in memory and in the ingest log, and it is tried again", "tenant", t.id, "error", err)
			}
		}
	}
}

// relieve sends the largest heads to disk while all together take more than
// their half of the memory budget: many small tenants weigh as much as a large.
func (s *Store) relieve() {
	type weighed struct {
		t     *tenantStore
		bytes int64
	}
	var heads []weighed
	total := int64(0)
	for _, t := range s.allTenants() {
		t.mu.RLock()
		if t.head != nil {
			n := t.head.set.bytes()
			heads = append(heads, weighed{t, n})
			total += n
		}
		t.mu.RUnlock()
	}
	slices.SortFunc(heads, func(a, b weighed) int { return cmp.Compare(b.bytes, a.bytes) })
	for _, h := range heads {
		if total <= s.opts.MemoryBudget/2 {
			return
		}
		h.t.rotateOld(s.opts.Now().Add(time.Hour))
		total -= h.bytes
	}
}

func (t *tenantStore) rotateOld(before time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.head != nil && t.head.since.Before(before) && len(t.waiting) < maxWaiting {
		t.rotate()
	}
}

// Flush writes everything in memory to blocks.
func (s *Store) Flush(ctx context.Context) error {
	var errs []error
	for _, t := range s.allTenants() {
		t.mu.Lock()
		if t.head != nil {
			t.rotate()
		}
		t.mu.Unlock()
		errs = append(errs, t.flushWaiting(ctx))
	}
	return errors.Join(errs...)
}

// flushWaiting writes the waiting heads, oldest first.
func (t *tenantStore) flushWaiting(ctx context.Context) error {
	t.flushing.Lock()
	defer t.flushing.Unlock()
	for {
		t.mu.RLock()
		var h *headPart
		if len(t.waiting) > 0 {
			h = t.waiting[0]
		}
		t.mu.RUnlock()
		if h == nil {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.flush(h); err != nil {
			return err
		}
	}
}

// flush writes one head and puts the block in its place in one step, so that a
// query sees each span once. A head without spans leaves no block: its
// positions are needed by nobody.
func (t *tenantStore) flush(h *headPart) error {
	rs := h.set.snapshot()
	done := func() { t.waiting = slices.DeleteFunc(t.waiting, func(x *headPart) bool { return x == h }) }
	if len(rs.rows) == 0 {
		t.mu.Lock()
		done()
		t.mu.Unlock()
		return nil
	}
	began := time.Now()
	r, err := t.writeHead(rs, h)
	if err != nil {
		return fmt.Errorf("cannot flush %d spans: %w", len(rs.rows), err)
	}
	t.publish(func(old *blockSet) []*blockReader { return append(slices.Clone(old.blocks), r) }, []*blockReader{r}, done)
	t.store.metrics.flushed.Inc()
	t.store.opts.Logger.Debug("wrote a block of spans", "tenant", t.id, "block", r.ID, "spans", r.Rows, "bytes", r.Bytes(), "took", time.Since(began))
	return nil
}

func (t *tenantStore) writeHead(rs *rows, h *headPart) (*blockReader, error) {
	counts, p := keyCounts{}, present{}
	rs.countKeys(counts)
	rs.present(&p)
	return t.write(planColumns(counts, &p), blockSize{traces: len(rs.trs)}, func(b *blockBuilder) error {
		h.calls.giveTo(b.call, len(rs.rows))
		order := rs.order()
		for from := 0; from < len(order); from += groupRows {
			if err := b.group(rs, order[from:min(from+groupRows, len(order))]); err != nil {
				return err
			}
		}
		return nil
	}, block.Meta{Positions: h.positions, MinTime: rs.lo, MaxTime: rs.hi, Rows: int64(len(rs.rows))})
}

// order returns all rows in the order of a block: by trace (start, then id),
// and within a trace by compare.
func (s *rows) order() []uint32 {
	order := make([]uint32, 0, len(s.rows))
	type tr struct {
		start    int64
		n        uint32
		from, to int
	}
	traces := make([]tr, len(s.trs))
	for t := range s.trs {
		from := len(order)
		order = s.ofTrace(order, uint32(t))
		traces[t] = tr{n: uint32(t), from: from, to: len(order)}
		if from < len(order) {
			traces[t].start = s.rows[order[from]].start
		}
	}
	slices.SortFunc(traces, func(a, b tr) int {
		return cmp.Or(cmp.Compare(a.start, b.start), bytes.Compare(s.trs[a.n].id[:], s.trs[b.n].id[:]))
	})
	out := make([]uint32, 0, len(order))
	for _, x := range traces {
		out = append(out, order[x.from:x.to]...)
	}
	return out
}

// write makes a block: fill feeds the builder, size bounds its traces, meta gives positions, level, what
// is replaced, how many spans there are at the most and between which times.
func (t *tenantStore) write(cols []colDef, size blockSize, fill func(*blockBuilder) error, meta block.Meta) (*blockReader, error) {
	id, err := t.store.newID()
	if err != nil {
		return nil, err
	}
	w, err := block.NewWriter(t.store.opts.FS, t.store.opts.Dir, t.id, id)
	if err != nil {
		return nil, err
	}
	b, err := newBlockBuilder(w, cols, t.store.opts.KeySpec(), meta, size)
	if err == nil {
		err = fill(b)
	}
	var m block.Meta
	if err == nil {
		m, err = b.finish()
	}
	if err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	m.Positions, m.Level, m.Replaces = meta.Positions, meta.Level, meta.Replaces
	blk, err := w.Commit(m)
	if err != nil {
		return nil, err
	}
	// Not the builder's own: a pointer into the builder would keep all of it, and
	// the head that it was fed with, as long as the sidecar lives.
	return openBlock(t.store.opts.FS, blk, t.store.cache, b.side.compact())
}
