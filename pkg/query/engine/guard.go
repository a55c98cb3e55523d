// Package engine guards what is asked: every query of every language passes
// through one Guard, which bounds how many run at once and for how long, per
// tenant, and keeps the query log: what is running, what ran, and what it cost.
package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Options of a Guard. The zero value works.
type Options struct {
	// MaxConcurrent bounds the queries of one tenant that run at once; more
	// wait. 0 means 20.
	MaxConcurrent int
	// MaxWaiting bounds the queries of one tenant that wait; more are refused
	// with an OverloadError. 0 means 100.
	MaxWaiting int
	// Timeout ends a query. 0 means two minutes.
	Timeout time.Duration
	// LogSize is how many finished queries of a tenant are remembered. 0 means 200.
	LogSize    int
	Now        func() time.Time
	Registerer prometheus.Registerer
}

func (o Options) withDefaults() Options {
	if o.MaxConcurrent == 0 {
		o.MaxConcurrent = 20
	}
	if o.MaxWaiting == 0 {
		o.MaxWaiting = 100
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.LogSize == 0 {
		o.LogSize = 200
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Entry is one line of the query log.
type Entry struct {
	ID       string
	Language string
	Text     string
	Started  time.Time
	Duration time.Duration // so far, while Running
	Running  bool
	Error    string
	Bytes    int64
	Rows     int64
	Blocks   int64
	Skipped  int64
}

// Guard is safe for concurrent use.
type Guard struct {
	opts     Options
	nextID   atomic.Uint64
	seconds  *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	mu       sync.Mutex
	byTenant map[tenant.ID]*tenantState // guarded by mu
}

type tenantState struct {
	slots   chan struct{}
	waiting atomic.Int64
	mu      sync.Mutex
	running map[uint64]*running // guarded by mu
	done    []Entry             // guarded by mu; a ring, next is its write place
	next    int
}

type running struct {
	entry  Entry
	cancel context.CancelCauseFunc
}

// New makes a guard.
func New(o Options) *Guard {
	g := &Guard{opts: o.withDefaults(), byTenant: map[tenant.ID]*tenantState{},
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "braid_query_duration_seconds",
			Help: "Time that queries took, waiting for a place included.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 9)}, []string{"language", "outcome"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "braid_queries_refused_total",
			Help: "Queries refused because too many of the tenant's were waiting."}, []string{"language"})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(g.seconds, g.refused)
	}
	return g
}

// errCancelled is the cause of a query ended by Cancel.
var errCancelled = errors.New("the query was cancelled by a user")

func (g *Guard) tenant(t tenant.ID) *tenantState {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.byTenant[t]
	if s == nil {
		s = &tenantState{slots: make(chan struct{}, g.opts.MaxConcurrent), running: map[uint64]*running{}}
		g.byTenant[t] = s
	}
	return s
}

// Begin waits for a place and returns the context that the query must run
// under, and done, which must be called exactly once with what the query cost
// (nil is allowed) and how it ended. The error is *model.OverloadError when too
// many wait, or the context's.
func (g *Guard) Begin(ctx context.Context, t tenant.ID, language, text string) (context.Context, func(*model.QueryStats, error), error) {
	s := g.tenant(t)
	started := g.opts.Now()
	if s.waiting.Add(1) > int64(g.opts.MaxWaiting) {
		s.waiting.Add(-1)
		g.refused.WithLabelValues(language).Inc()
		return nil, nil, &model.OverloadError{Tenant: true, RetryAfter: 2 * time.Second,
			Reason: fmt.Sprintf("%d queries of tenant %q are running and %d waiting: try again later, or ask for shorter time ranges", g.opts.MaxConcurrent, t, g.opts.MaxWaiting)}
	}
	ctx, cancelTimeout := context.WithTimeoutCause(ctx, g.opts.Timeout, fmt.Errorf("%w: the query took longer than %s: narrow the time range or the selector", model.ErrTooMuch, g.opts.Timeout))
	ctx, cancel := context.WithCancelCause(ctx)
	select {
	case s.slots <- struct{}{}:
		s.waiting.Add(-1)
	case <-ctx.Done():
		s.waiting.Add(-1)
		err := context.Cause(ctx)
		cancel(nil)
		cancelTimeout()
		return nil, nil, err
	}
	id := g.nextID.Add(1)
	r := &running{cancel: cancel, entry: Entry{ID: strconv.FormatUint(id, 10), Language: language, Text: clip(text), Started: started, Running: true}}
	s.mu.Lock()
	s.running[id] = r
	s.mu.Unlock()
	var once sync.Once
	done := func(stats *model.QueryStats, err error) {
		once.Do(func() {
			cancel(nil)
			cancelTimeout()
			<-s.slots
			s.finish(id, g.opts, stats, err)
			outcome := "ok"
			if err != nil {
				outcome = "error"
			}
			g.seconds.WithLabelValues(language, outcome).Observe(g.opts.Now().Sub(started).Seconds())
		})
	}
	return ctx, done, nil
}

// maxTextLength keeps the log small when somebody sends a megabyte.
const maxTextLength = 4096

func clip(s string) string {
	if len(s) > maxTextLength {
		return s[:maxTextLength] + "…"
	}
	return s
}

func (s *tenantState) finish(id uint64, o Options, stats *model.QueryStats, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.running[id]
	delete(s.running, id)
	e := r.entry
	e.Running = false
	e.Duration = o.Now().Sub(e.Started)
	if err != nil {
		e.Error = err.Error()
	}
	if stats != nil {
		e.Bytes, e.Rows = stats.Bytes.Load(), stats.Rows.Load()
		e.Blocks, e.Skipped = stats.Blocks.Load(), stats.BlocksSkipped.Load()
	}
	if len(s.done) < o.LogSize {
		s.done = append(s.done, e)
		return
	}
	s.done[s.next] = e
	s.next = (s.next + 1) % o.LogSize
}

// Log returns the tenant's running queries, then the finished ones, newest
// first.
func (g *Guard) Log(t tenant.ID) []Entry {
	s := g.tenant(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Entry
	for _, r := range s.running {
		e := r.entry
		e.Duration = g.opts.Now().Sub(e.Started)
		out = append(out, e)
	}
	for i := range s.done {
		k := (s.next + len(s.done) - 1 - i) % len(s.done)
		out = append(out, s.done[k])
	}
	return out
}

// Cancel ends a running query of the tenant; model.ErrNotFound when it is not
// running.
func (g *Guard) Cancel(t tenant.ID, id string) error {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: query id %q", model.ErrInvalid, id)
	}
	s := g.tenant(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.running[n]
	if r == nil {
		return fmt.Errorf("query %s: %w", id, model.ErrNotFound)
	}
	r.cancel(errCancelled)
	return nil
}
