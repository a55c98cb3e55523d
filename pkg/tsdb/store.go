package tsdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/otlptranslator"
	"golang.org/x/sync/errgroup"

	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Store keeps the metrics of all tenants. It satisfies ingest.MetricAppender
// and query.MetricSource. Safe for concurrent use.
type Store struct {
	opts Options
	tr   *translator
	m    *storeMetrics
	lock io.Closer

	mu      sync.RWMutex
	tenants map[tenant.ID]*tenantDB // guarded by mu
	closed  bool
	opening sync.Mutex // one tenant is opened at a time

	// durable is the set of positions that the previous run made durable; nil
	// once the replay is over.
	durable  atomic.Pointer[model.PositionSet]
	stateMu  sync.Mutex
	state    model.PositionSet // guarded by stateMu: what the state file says
	stop     chan struct{}
	finished sync.WaitGroup
}

// Open opens the store and the databases of all tenants that have one.
func Open(o Options) (*Store, error) {
	o = o.withDefaults()
	if o.Dir == "" {
		return nil, errors.New("cannot open the metric store: Options.Dir is empty")
	}
	if !knownStrategy(o.Strategy) {
		return nil, fmt.Errorf("cannot open the metric store: translation strategy %q is not known: use %s, %s, %s or %s", o.Strategy,
			otlptranslator.UnderscoreEscapingWithSuffixes, otlptranslator.UnderscoreEscapingWithoutSuffixes, otlptranslator.NoUTF8EscapingWithSuffixes, otlptranslator.NoTranslation)
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("cannot open the metric store: %w", err)
	}
	lock, err := vfs.OS.Lock(filepath.Join(o.Dir, "LOCK"))
	if err != nil {
		return nil, fmt.Errorf("cannot open the metric store: %w", err)
	}
	s := &Store{opts: o, tr: newTranslator(&o), tenants: map[tenant.ID]*tenantDB{}, lock: lock, stop: make(chan struct{})}
	s.m = newStoreMetrics(s, o.Registerer)
	if err := s.loadState(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := s.openAll(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.finished.Add(1)
	go s.run()
	return s, nil
}

func knownStrategy(s otlptranslator.TranslationStrategyOption) bool {
	switch s {
	case otlptranslator.UnderscoreEscapingWithSuffixes, otlptranslator.UnderscoreEscapingWithoutSuffixes,
		otlptranslator.NoUTF8EscapingWithSuffixes, otlptranslator.NoTranslation:
		return true
	}
	return false
}

// openAll opens the tenants that have a folder, two at a time.
func (s *Store) openAll() error {
	entries, err := os.ReadDir(s.opts.Dir)
	if err != nil {
		return fmt.Errorf("cannot list tenants: %w", err)
	}
	var g errgroup.Group
	g.SetLimit(2)
	for _, e := range entries {
		id, err := tenant.Parse(e.Name())
		if err != nil || !e.IsDir() {
			continue
		}
		g.Go(func() error {
			t, err := openTenant(&s.opts, s.tr, s.m, id)
			if err != nil {
				return err
			}
			s.mu.Lock()
			s.tenants[id] = t
			s.mu.Unlock()
			return nil
		})
	}
	return g.Wait()
}

// lookup returns a tenant's database if it has one.
func (s *Store) lookup(id tenant.ID) *tenantDB {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tenants[id]
}

// tenant returns a tenant's database and makes it if need be.
func (s *Store) tenant(id tenant.ID) (*tenantDB, error) {
	if t := s.lookup(id); t != nil {
		return t, nil
	}
	s.opening.Lock()
	defer s.opening.Unlock()
	s.mu.RLock()
	t, n, closed := s.tenants[id], len(s.tenants), s.closed
	s.mu.RUnlock()
	switch {
	case t != nil:
		return t, nil
	case closed:
		return nil, errClosed
	case n >= s.opts.MaxTenants:
		return nil, &model.OverloadError{Reason: fmt.Sprintf("cannot take metrics of new tenant %q: there are %d tenants, the most allowed", id, n), RetryAfter: time.Minute, Tenant: true}
	}
	t, err := openTenant(&s.opts, s.tr, s.m, id)
	if err != nil {
		return nil, err
	}
	if err := syncDir(s.opts.Dir); err != nil {
		return nil, errors.Join(err, t.close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.Join(errClosed, t.close())
	}
	s.tenants[id] = t
	return t, nil
}

var errClosed = errors.New("the metric store is closed")

// all returns the open tenants, sorted by name.
func (s *Store) all() []*tenantDB {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*tenantDB, 0, len(s.tenants))
	for _, t := range s.tenants {
		out = append(out, t)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].id < out[j].id })
	return out
}

// Tenants returns the tenants that have metrics, sorted.
func (s *Store) Tenants() []tenant.ID {
	all := s.all()
	out := make([]tenant.ID, len(all))
	for i, t := range all {
		out[i] = t.id
	}
	return out
}

// OldestNeeded returns the least position taken that is not yet durable.
func (s *Store) OldestNeeded() (pos model.Position, ok bool) {
	for _, t := range s.all() {
		if p, found := t.pos.oldest(); found && (!ok || p < pos) {
			pos, ok = p, true
		}
	}
	return pos, ok
}

// Sync makes durable what was appended before the call. It is called by itself
// every SyncInterval.
func (s *Store) Sync() error {
	start := time.Now()
	var err error
	for _, t := range s.all() {
		if e := t.sync(); e != nil {
			s.m.syncErrors.Inc()
			err = errors.Join(err, fmt.Errorf("cannot make the metrics of tenant %q durable: %w", t.id, e))
		}
	}
	if e := s.saveState(); e != nil {
		err = errors.Join(err, e)
	}
	s.m.syncSeconds.Observe(time.Since(start).Seconds())
	return err
}

// Health returns nil, or why nothing more is taken or becomes durable, and what
// to do.
func (s *Store) Health() error {
	for _, t := range s.all() {
		if t.broken.Load() {
			return fmt.Errorf("metrics of tenant %q cannot be written: free disk space; they are opened again by themselves", t.id)
		}
		if err := t.failed.Load(); err != nil {
			return fmt.Errorf("metrics of tenant %q do not become durable; the ingest log keeps them: check the disk and restart: %w", t.id, *err)
		}
	}
	return nil
}

// maintainInterval is how often idle delta streams are forgotten and full
// exemplar logs become blocks.
const maintainInterval = time.Minute

func (s *Store) run() {
	defer s.finished.Done()
	if s.opts.SyncInterval < 0 {
		<-s.stop
		return
	}
	tick := time.NewTicker(s.opts.SyncInterval)
	defer tick.Stop()
	sweep := time.NewTicker(maintainInterval)
	defer sweep.Stop()
	failing := false
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			err := s.Sync()
			if err != nil && !failing {
				s.opts.Logger.Error("cannot make metrics durable", "err", err)
			}
			failing = err != nil
			s.repair()
		case <-sweep.C:
			for _, t := range s.all() {
				if err := t.maintain(); err != nil {
					s.opts.Logger.Error("cannot maintain exemplars", "tenant", string(t.id), "err", err)
				}
			}
		}
	}
}

// repair opens databases anew whose commit failed.
func (s *Store) repair() {
	for _, t := range s.all() {
		if !t.broken.Load() {
			continue
		}
		if err := t.reopen(); err != nil {
			s.opts.Logger.Error("cannot open metrics again after a failed write", "tenant", string(t.id), "err", err)
			continue
		}
		s.opts.Logger.Info("metrics were opened again after a failed write", "tenant", string(t.id))
	}
}

// Close makes everything durable and closes the databases. Appends and queries
// must have ended.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.stop)
	s.finished.Wait()
	var err error
	for _, t := range s.all() {
		err = errors.Join(err, t.close())
	}
	return errors.Join(err, s.saveState(), s.lock.Close())
}

func (s *Store) cacheStats() (hits, misses uint64, series int) {
	for _, t := range s.all() {
		h, m, n := t.cacheStats()
		hits, misses, series = hits+h, misses+m, series+n
	}
	return hits, misses, series
}

// Metadata returns type, help and unit by metric name.
func (s *Store) Metadata(_ context.Context, id tenant.ID, metric string, limit int) (map[string]model.MetricMeta, error) {
	t := s.lookup(id)
	if t == nil {
		return map[string]model.MetricMeta{}, nil
	}
	return t.meta.get(metric, limit), nil
}
