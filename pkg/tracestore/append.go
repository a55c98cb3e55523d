package tracestore

import (
	"context"
	"fmt"
	"time"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// retryAfter is what an overloaded store asks of senders: a flush takes about
// that long.
const retryAfter = 2 * time.Second

// AppendSpans takes a batch into the tenant's head: the rules are those of
// ingest.SpanAppender. Spans without a trace id or span id, and spans beyond
// the tenant's size limit, are rejected; a span equal to one in the head is a
// retry and is kept once.
func (s *Store) AppendSpans(ctx context.Context, t tenant.ID, pos model.Position, spans *model.Spans) (model.Rejections, error) {
	var rej model.Rejections
	if err := ctx.Err(); err != nil {
		return rej, err
	}
	s.mu.RLock()
	closed := s.closed
	s.mu.RUnlock()
	if closed {
		return rej, fmt.Errorf("cannot append spans: the trace store is closed")
	}
	maxBytes := s.opts.Limits(t).MaxSpanBytes
	if maxBytes <= 0 {
		maxBytes = defaultMaxSpanBytes
	}
	ten := s.tenant(t, true)
	ten.mu.Lock()
	defer ten.mu.Unlock()
	if pos != 0 && ten.holds(pos) {
		s.retell(t, pos, spans, maxBytes)
		return rej, nil
	}
	if err := ten.overloaded(); err != nil {
		return rej, err
	}
	if ten.head == nil {
		ten.head = &headPart{set: newRowsetFor(&ten.usual), since: s.opts.Now(), number: s.heads.Add(1)}
	}
	observe := s.observer(t, pos)
	taken := ten.head.add(spans, maxBytes, &rej, observe)
	if observe != nil {
		observe(nil, nil, 0)
	}
	if pos != 0 {
		ten.head.positions.Add(pos)
	}
	s.metrics.appended.Add(float64(taken))
	if len(ten.head.set.rows.rows) >= s.opts.HeadMaxSpans || ten.head.set.bytes() >= s.opts.MemoryBudget/4 {
		ten.rotate()
	}
	return rej, nil
}

// Holds reports whether the store has a position of a tenant.
func (s *Store) Holds(t tenant.ID, pos model.Position) bool {
	ten := s.tenant(t, false)
	if ten == nil || pos == 0 {
		return false
	}
	ten.mu.RLock()
	defer ten.mu.RUnlock()
	return ten.holds(pos)
}

// holds reports whether a block, or a head on its way to one, has a position.
// It needs mu.
func (t *tenantStore) holds(pos model.Position) bool {
	if t.set.positions.Contains(pos) || t.head != nil && t.head.positions.Contains(pos) {
		return true
	}
	for _, h := range t.waiting {
		if h.positions.Contains(pos) {
			return true
		}
	}
	return false
}

// maxWaiting is how many full heads may wait for the disk before senders must.
const maxWaiting = 2

// overloaded needs mu.
func (t *tenantStore) overloaded() error {
	if len(t.waiting) < maxWaiting {
		return nil
	}
	return &model.OverloadError{
		Reason:     fmt.Sprintf("the trace store has %d full heads of tenant %q to write first", len(t.waiting), t.id),
		RetryAfter: retryAfter,
	}
}

// rotate hands the head to the flusher. It needs mu.
func (t *tenantStore) rotate() {
	t.usual = t.head.set.size()
	t.waiting = append(t.waiting, t.head)
	t.head = nil
	select {
	case t.store.wake <- struct{}{}:
	default:
	}
}

func (s *Store) observer(t tenant.ID, pos model.Position) Observer {
	if s.opts.Observe == nil {
		return nil
	}
	return s.opts.Observe(t, pos)
}

// retell tells the observer of spans that a block has already.
func (s *Store) retell(t tenant.ID, pos model.Position, spans *model.Spans, maxBytes int) {
	observe := s.observer(t, pos)
	if observe == nil {
		return
	}
	for i := range spans.Batches {
		b := &spans.Batches[i]
		for k := range b.Spans {
			if sp := &b.Spans[k]; !sp.TraceID.IsZero() && !sp.SpanID.IsZero() && spanBytes(sp) <= maxBytes {
				observe(b.Resource, sp, 0)
			}
		}
	}
	observe(nil, nil, 0)
}

// add appends a batch and returns how many spans were new; each of them is told
// to the observer, which may be nil.
func (h *headPart) add(spans *model.Spans, maxBytes int, rej *model.Rejections, observe Observer) int {
	taken := 0
	for i := range spans.Batches {
		b := &spans.Batches[i]
		resource, scope := h.set.tab.resource(b.Resource), h.set.tab.scope(b.Scope)
		for k := range b.Spans {
			sp := &b.Spans[k]
			switch {
			case sp.TraceID.IsZero():
				rej.Add(1, "span without a trace id; set trace_id")
			case sp.SpanID.IsZero():
				rej.Add(1, "span without a span id; set span_id")
			case spanBytes(sp) > maxBytes:
				rej.Add(1, "span larger than %d bytes; shorten its attributes and events or raise the limit max_span_bytes", maxBytes)
			default:
				if class, fresh := h.set.add(resource, scope, sp); fresh {
					taken++
					if observe != nil {
						observe(b.Resource, sp, h.number<<32|uint64(class+1))
					}
				}
			}
		}
	}
	return taken
}

func spanBytes(s *model.Span) int {
	n := len(s.Name) + len(s.TraceState) + len(s.StatusMessage) + attrBytes(s.Attrs)
	for i := range s.Events {
		n += 16 + len(s.Events[i].Name) + attrBytes(s.Events[i].Attrs)
	}
	for i := range s.Links {
		n += 32 + len(s.Links[i].TraceState) + attrBytes(s.Links[i].Attrs)
	}
	return n
}

func attrBytes(a model.Attrs) int {
	n := 0
	for i := range a {
		n += len(a[i].Key) + len(a[i].Value.Str()) + 8
	}
	return n
}
