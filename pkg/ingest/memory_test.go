package ingest

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"braid/internal/vfs"
	"braid/pkg/ingestlog"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testLog is a real log on a disk in memory, with faults.
type testLog struct {
	Log     Log
	disk    *ingestlog.Log
	mu      sync.Mutex
	trimmed model.Position
	fail    error        // answer of Append
	syncErr atomic.Value // of the disk: an error holder
}

type holder struct{ err error }

func openLog(t testing.TB, fsys vfs.FS) *testLog {
	l := &testLog{}
	l.syncErr.Store(holder{})
	faulty := vfs.WithFaults(fsys, func(op vfs.Op) error {
		if op.Kind == "sync" {
			return l.syncErr.Load().(holder).err
		}
		return nil
	})
	var err error
	l.disk, err = ingestlog.Open(ingestlog.Options{Dir: "/log", FS: faulty, SyncDelay: -1, ReserveBytes: -1, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	l.Log = OnLog(l.disk)
	return l
}

func (l *testLog) Replay(ctx context.Context, from model.Position, fn func(model.Position, *Record) error) error {
	return l.Log.Replay(ctx, from, fn)
}

func (l *testLog) Append(ctx context.Context, r *Record) (Ticket, error) {
	l.mu.Lock()
	err := l.fail
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return l.Log.Append(ctx, r)
}

func (l *testLog) TrimBefore(pos model.Position) error {
	l.mu.Lock()
	l.trimmed = pos
	l.mu.Unlock()
	return l.Log.TrimBefore(pos)
}

// records reads the log back.
func (l *testLog) records(t testing.TB) (out []Record) {
	err := l.Log.Replay(context.Background(), 0, func(_ model.Position, r *Record) error {
		c := *r
		c.Body = slices.Clone(r.Body)
		out = append(out, c)
		return nil
	})
	require.NoError(t, err)
	return out
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
	log   *testLog
	fs    *vfs.Crashable
	store *memStore
}

func newFixture(t testing.TB, change func(*Options)) *fixture {
	f := &fixture{fs: vfs.NewCrashable(), store: newMemStore()}
	f.log = openLog(t, f.fs)
	opts := Options{
		Log: f.log, Logs: f.store, Spans: f.store, Metrics: f.store,
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return arrival },
		TrimEvery: time.Hour,
	}
	if change != nil {
		change(&opts)
	}
	p, err := New(opts)
	require.NoError(t, err)
	f.Pipeline = p
	t.Cleanup(func() {
		require.NoError(t, p.Close(context.Background()))
		f.log.disk.Close()
	})
	return f
}

var errDisk = errors.New("no space left on device")
