package ingest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memLog is a Log in memory.
type memLog struct {
	mu       sync.Mutex
	records  []Record
	trimmed  model.Position
	fail     error // answer of Append
	failWait error // answer of Wait
}

type memTicket struct {
	pos model.Position
	err error
}

func (t memTicket) Position() model.Position   { return t.pos }
func (t memTicket) Wait(context.Context) error { return t.err }

func (l *memLog) Append(_ context.Context, r *Record) (Ticket, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return nil, l.fail
	}
	c := *r
	c.Body = slices.Clone(r.Body)
	l.records = append(l.records, c)
	return memTicket{model.Position(len(l.records)), l.failWait}, nil
}

func (l *memLog) Replay(_ context.Context, from model.Position, fn func(model.Position, *Record) error) error {
	l.mu.Lock()
	records := slices.Clone(l.records)
	l.mu.Unlock()
	for i := range records {
		if pos := model.Position(i + 1); pos >= from {
			if err := fn(pos, &records[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *memLog) TrimBefore(pos model.Position) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trimmed = pos
	return nil
}

func (l *memLog) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.records)
}

// memStore is all three stores: it keeps copies by tenant.
type memStore struct {
	mu      sync.Mutex
	logs    map[tenant.ID][]model.LogRecord
	spans   map[tenant.ID][]model.Span
	metrics map[tenant.ID][]model.Metric
	at      []model.Position
	fail    error
	rej     model.Rejections
	needed  model.Position
}

func newMemStore() *memStore {
	return &memStore{logs: map[tenant.ID][]model.LogRecord{}, spans: map[tenant.ID][]model.Span{}, metrics: map[tenant.ID][]model.Metric{}}
}

func (s *memStore) take(pos model.Position, f func()) (model.Rejections, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return model.Rejections{}, s.fail
	}
	s.at = append(s.at, pos)
	f()
	return s.rej, nil
}

func (s *memStore) AppendLogs(_ context.Context, t tenant.ID, pos model.Position, l *model.Logs) (model.Rejections, error) {
	return s.take(pos, func() {
		for _, r := range copyRows(l) {
			s.logs[t] = append(s.logs[t], r.LogRecord)
		}
	})
}

func (s *memStore) AppendSpans(_ context.Context, t tenant.ID, pos model.Position, v *model.Spans) (model.Rejections, error) {
	return s.take(pos, func() {
		for _, b := range v.Batches {
			for _, sp := range b.Spans {
				sp.Name, sp.Attrs, sp.Events, sp.Links = strings.Clone(sp.Name), copyAttrs(sp.Attrs), slices.Clone(sp.Events), slices.Clone(sp.Links)
				s.spans[t] = append(s.spans[t], sp)
			}
		}
	})
}

func (s *memStore) AppendMetrics(_ context.Context, t tenant.ID, pos model.Position, m *model.Metrics) (model.Rejections, error) {
	return s.take(pos, func() {
		for _, b := range m.Batches {
			for _, x := range b.Metrics {
				x.Name, x.Points = strings.Clone(x.Name), slices.Clone(x.Points)
				s.metrics[t] = append(s.metrics[t], x)
			}
		}
	})
}

func (s *memStore) OldestNeeded() (model.Position, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.needed, s.needed > 0
}

func (s *memStore) counts() (logs, spans, points int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.logs {
		logs += len(l)
	}
	for _, v := range s.spans {
		spans += len(v)
	}
	for _, v := range s.metrics {
		for _, m := range v {
			points += len(m.Points)
		}
	}
	return logs, spans, points
}

// arrival is the clock of the tests.
var arrival = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type fixture struct {
	*Pipeline
	log   *memLog
	store *memStore
}

func newFixture(t testing.TB, change func(*Options)) *fixture {
	f := &fixture{log: &memLog{}, store: newMemStore()}
	opts := Options{
		Log: f.log, Logs: f.store, Spans: f.store, Metrics: f.store,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: func() time.Time { return arrival },
		TrimEvery: time.Hour,
	}
	if change != nil {
		change(&opts)
	}
	p, err := New(opts)
	require.NoError(t, err)
	f.Pipeline = p
	t.Cleanup(func() { require.NoError(t, p.Close(context.Background())) })
	return f
}

var errDisk = errors.New("no space left on device")
