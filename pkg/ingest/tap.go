package ingest

import (
	"strings"
	"sync"
	"sync/atomic"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Tap hands accepted log records to live readers. It never makes ingest wait:
// a reader that is slow loses batches and is told how many records.
type Tap struct {
	mu sync.RWMutex
	// readers and closed are guarded by mu.
	readers map[tenant.ID]map[*Subscription]struct{}
	closed  bool
}

func newTap() *Tap { return &Tap{readers: map[tenant.ID]map[*Subscription]struct{}{}} }

// Subscription is one live reader.
type Subscription struct {
	tap     *Tap
	tenant  tenant.ID
	c       chan []model.LogRow
	dropped atomic.Int64
}

// Subscribe starts to deliver a tenant's records. buffer is how many batches
// may wait for the reader; 0 means 64. Close must be called.
func (t *Tap) Subscribe(id tenant.ID, buffer int) *Subscription {
	if buffer <= 0 {
		buffer = 64
	}
	s := &Subscription{tap: t, tenant: id, c: make(chan []model.LogRow, buffer)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		close(s.c)
		return s
	}
	if t.readers[id] == nil {
		t.readers[id] = map[*Subscription]struct{}{}
	}
	t.readers[id][s] = struct{}{}
	return s
}

// Rows delivers batches in the order accepted. The rows belong to the readers
// together: they must not be changed. The channel is closed by Close and when
// the pipeline ends.
func (s *Subscription) Rows() <-chan []model.LogRow { return s.c }

// Dropped returns how many records were lost since the last call because the
// reader was slow.
func (s *Subscription) Dropped() int64 { return s.dropped.Swap(0) }

// Close ends the subscription.
func (s *Subscription) Close() {
	t := s.tap
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.readers[s.tenant][s]; !ok {
		return
	}
	delete(t.readers[s.tenant], s)
	if len(t.readers[s.tenant]) == 0 {
		delete(t.readers, s.tenant)
	}
	close(s.c)
}

func (t *Tap) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, readers := range t.readers {
		for s := range readers {
			close(s.c)
		}
	}
	clear(t.readers)
}

// publish copies the records once for all readers of the tenant; without
// readers it costs a map look-up.
func (t *Tap) publish(id tenant.ID, logs *model.Logs) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	readers := t.readers[id]
	if len(readers) == 0 {
		return
	}
	rows := copyRows(logs)
	for s := range readers {
		select {
		case s.c <- rows:
		default:
			s.dropped.Add(int64(len(rows)))
		}
	}
}

// copyRows makes rows that outlive the request.
func copyRows(logs *model.Logs) []model.LogRow {
	rows := make([]model.LogRow, 0, logs.Count())
	for i := range logs.Batches {
		b := &logs.Batches[i]
		res := &model.Resource{Attrs: copyAttrs(b.Resource.Attrs), SchemaURL: strings.Clone(b.Resource.SchemaURL), DroppedAttrs: b.Resource.DroppedAttrs}
		scope := &model.Scope{Name: strings.Clone(b.Scope.Name), Version: strings.Clone(b.Scope.Version),
			SchemaURL: strings.Clone(b.Scope.SchemaURL), Attrs: copyAttrs(b.Scope.Attrs), DroppedAttrs: b.Scope.DroppedAttrs}
		for _, r := range b.Records {
			r.SeverityText, r.EventName = strings.Clone(r.SeverityText), strings.Clone(r.EventName)
			r.Body = copyValue(r.Body)
			r.Attrs = copyAttrs(r.Attrs)
			rows = append(rows, model.LogRow{Resource: res, Scope: scope, LogRecord: r})
		}
	}
	return rows
}

func copyAttrs(attrs model.Attrs) model.Attrs {
	out := make(model.Attrs, len(attrs))
	for i, a := range attrs {
		out[i] = model.Attr{Key: strings.Clone(a.Key), Value: copyValue(a.Value)}
	}
	return out
}

func copyValue(v model.Value) model.Value {
	return model.Raw(v.Kind(), v.Num(), strings.Clone(v.Str()))
}
