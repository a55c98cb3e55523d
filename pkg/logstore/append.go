package logstore

import (
	"context"
	"errors"
	"time"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// errClosed answers appends after Close.
var errClosed = errors.New("log store is closed")

// AppendLogs implements ingest.LogAppender.
func (s *Store) AppendLogs(ctx context.Context, id tenant.ID, pos model.Position, logs *model.Logs) (model.Rejections, error) {
	var rej model.Rejections
	if err := ctx.Err(); err != nil {
		return rej, err
	}
	t := s.state(id)
	lim := s.opts.Limits(id).withDefaults()
	t.appendMu.Lock()
	defer t.appendMu.Unlock()
	h, tombs, err := s.headFor(ctx, t, pos)
	if err != nil || h == nil {
		return rej, err
	}
	if err := s.admit(t, lim, logs); err != nil {
		return rej, err
	}
	cut := h.take(logs, pos, lim, gone(tombs, pos, s.opts.KeySpec()))
	s.metrics.appended.Add(float64(logs.Count()))
	s.metrics.cut.Add(float64(cut))
	if s.full(h) {
		t.mu.Lock()
		s.rotate(t)
		t.mu.Unlock()
	}
	return rej, nil
}

// Holds reports whether a block has a position of a tenant.
func (s *Store) Holds(id tenant.ID, pos model.Position) bool {
	s.mu.RLock()
	t := s.tenants[id]
	s.mu.RUnlock()
	if t == nil || pos == 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.durable.Contains(pos)
}

// headFor returns the head to append to, nil when a block holds the position
// already. It waits while too many heads are on their way to disk. The caller
// holds t.appendMu.
func (s *Store) headFor(ctx context.Context, t *tenantState, pos model.Position) (*head, []*tombstone, error) {
	for {
		s.mu.RLock()
		closed := s.closed
		s.mu.RUnlock()
		if closed {
			return nil, nil, errClosed
		}
		t.mu.Lock()
		if pos != 0 && t.durable.Contains(pos) {
			t.mu.Unlock()
			return nil, nil, nil
		}
		if len(t.flushing) < maxFlushing || t.active != nil && !s.full(t.active) {
			if t.active == nil {
				t.lastGen++
				t.active = newHead(t.lastGen, s.opts.Now(), cloneSet(t.plain), s.opts.chunkRows)
			}
			h, tombs := t.active, t.tombs
			t.mu.Unlock()
			return h, tombs, nil
		}
		failed, freed := t.failed, t.freed
		t.mu.Unlock()
		if failed != nil {
			return nil, nil, &model.OverloadError{Reason: "cannot take log records: blocks cannot be written: " + failed.Error(), RetryAfter: 5 * time.Second}
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// maxColumns seals a head early when senders make attribute names up.
const maxColumns = 8192

// full reports whether a head should become a block. The caller holds the
// tenant's appendMu.
func (s *Store) full(h *head) bool {
	return h.rows >= s.opts.HeadMaxRows || h.bytes >= s.opts.HeadMaxBytes || len(h.cols) >= maxColumns
}

func cloneSet(m map[columnKey]bool) map[columnKey]bool {
	out := make(map[columnKey]bool, len(m))
	for k := range m {
		out[k] = true
	}
	return out
}

// allowance is what a tenant may still send: it grows by the limit every second,
// up to a second's worth. A request may overdraw it, so that none is too big
// for ever.
type allowance struct {
	bytes float64
	at    time.Time
}

// admit holds a tenant to its bytes per second. The caller holds t.appendMu.
func (s *Store) admit(t *tenantState, lim Limits, logs *model.Logs) error {
	if lim.BytesPerSecond <= 0 {
		t.allowance = nil
		return nil
	}
	now := s.opts.Now()
	if t.allowance == nil {
		t.allowance = &allowance{bytes: lim.BytesPerSecond, at: now}
	}
	a := t.allowance
	if d := now.Sub(a.at); d > 0 {
		a.bytes = min(lim.BytesPerSecond, a.bytes+d.Seconds()*lim.BytesPerSecond)
		a.at = now
	}
	need := min(float64(sizeOf(logs)), lim.BytesPerSecond)
	if a.bytes+1 < need { // 1: rounding
		s.metrics.refused.Inc()
		return &model.OverloadError{Tenant: true, RetryAfter: time.Duration((need - a.bytes) / lim.BytesPerSecond * float64(time.Second)),
			Reason: "tenant " + string(t.id) + " sends more than its limit of log bytes a second; send less or raise the limit"}
	}
	a.bytes -= float64(sizeOf(logs))
	return nil
}

// sizeOf is the text of a request.
func sizeOf(logs *model.Logs) int {
	n := 0
	for i := range logs.Batches {
		for j := range logs.Batches[i].Records {
			r := &logs.Batches[i].Records[j]
			n += len(r.Body.Str()) + 32
			for k := range r.Attrs {
				n += len(r.Attrs[k].Key) + len(r.Attrs[k].Value.Str()) + 8
			}
		}
	}
	return n
}

// take appends a request to the head. All of it becomes visible at once.
func (h *head) take(logs *model.Logs, pos model.Position, lim Limits, gone func(*model.LogRow) bool) (cut int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range logs.Batches {
		b := &logs.Batches[i]
		if len(b.Records) == 0 {
			continue
		}
		st := h.streamID(b.Resource, b.Scope)
		for j := range b.Records {
			if gone != nil && gone(&model.LogRow{Resource: b.Resource, Scope: b.Scope, LogRecord: b.Records[j]}) {
				continue
			}
			if h.append(st, &b.Records[j], lim) {
				cut++
			}
		}
	}
	if pos != 0 {
		h.positions.Add(pos)
	}
	return cut
}
