package logstore

import (
	"context"
	"slices"
	"time"

	"braid/pkg/block"
	"braid/pkg/tenant"
)

// maintain looks after age, retention and merges until Close.
func (s *Store) maintain() {
	defer s.work.Done()
	tick := time.NewTicker(s.opts.Maintenance)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			s.Maintain(s.ctx)
		}
	}
}

// Maintain does once what the store does in the background: it flushes heads
// that are old, drops blocks past retention, carries deletions out and merges
// small blocks. Failures are logged and counted, and tried again next time.
func (s *Store) Maintain(ctx context.Context) {
	for _, t := range s.allTenants() {
		if ctx.Err() != nil {
			return
		}
		s.flushOld(t)
		s.retire(t)
		s.compact(ctx, t)
	}
	s.forgetDeletions()
}

// deletionKept is how long a deletion stays in force after it was carried out:
// longer than the ingest log may be held back and replayed.
const deletionKept = 48 * time.Hour

// forgetDeletions drops the deletions that nothing needs any more.
func (s *Store) forgetDeletions() {
	changed := false
	for _, t := range s.allTenants() {
		t.mu.Lock()
		kept := slices.DeleteFunc(slices.Clone(t.tombs), func(d *tombstone) bool {
			return s.opts.Now().Sub(d.Created) > deletionKept && len(t.flushing) == 0 &&
				!slices.ContainsFunc(t.blocks, d.covers)
		})
		changed = changed || len(kept) < len(t.tombs)
		t.tombs = kept
		t.mu.Unlock()
	}
	if !changed {
		return
	}
	if err := s.saveTombstones(); err != nil {
		s.opts.Logger.Warn("cannot shorten the list of deletions", "err", err)
	}
}

// flushOld seals a head that has been open for long, and tries failed flushes
// again.
func (s *Store) flushOld(t *tenantState) {
	t.appendMu.Lock()
	defer t.appendMu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed != nil || t.active != nil && s.opts.Now().Sub(t.active.born) >= s.opts.HeadMaxAge {
		s.rotate(t)
	}
}

// retention returns how much of a tenant's records is kept.
func (s *Store) retention(id tenant.ID) block.Retention {
	r := block.Retention{MaxAge: s.opts.Retention, MaxBytes: s.opts.RetentionBytes}
	own := s.opts.Limits(id)
	if own.Retention > 0 {
		r.MaxAge = own.Retention
	}
	if own.RetentionBytes > 0 {
		r.MaxBytes = own.RetentionBytes
	}
	return r
}

// retire drops the blocks past retention.
func (s *Store) retire(t *tenantState) {
	t.mu.Lock()
	var blocks []*block.Block
	for _, r := range t.blocks {
		if !r.busy {
			blocks = append(blocks, r.block)
		}
	}
	drops := block.PlanRetention(blocks, s.retention(t.id), s.opts.Now())
	var gone []*blockReader
	for _, d := range drops {
		i := slices.IndexFunc(t.blocks, func(r *blockReader) bool { return r.block == d.Block })
		s.opts.Logger.Info("dropping a block", "tenant", t.id, "block", d.Block.ID, "rows", d.Block.Rows, "reason", d.Reason)
		gone = append(gone, t.blocks[i])
		t.blocks = slices.Delete(slices.Clone(t.blocks), i, i+1)
	}
	t.mu.Unlock()
	for _, r := range gone {
		s.metrics.retired.Inc()
		r.dropped.Store(true)
		r.release()
	}
}
