package logstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"braid/internal/vfs"
	"braid/pkg/block"
	"braid/pkg/idindex"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Store keeps the log records of all tenants. It implements ingest.LogAppender
// and query.LogSource and is safe for concurrent use.
type Store struct {
	opts    Options
	metrics *metrics
	cache   *cache
	trouble block.Trouble
	lock    io.Closer

	mu      sync.RWMutex // guards tenants and closed
	tenants map[tenant.ID]*tenantState
	closed  bool
	tombMu  sync.Mutex // serialises writing the list of deletions

	flushes chan struct{} // a place for each head being flushed
	work    sync.WaitGroup
	stop    context.CancelFunc
	ctx     context.Context // ends with Close
}

// tenantState is what the store holds of one tenant.
type tenantState struct {
	id tenant.ID

	appendMu  sync.Mutex // serialises appends; taken before mu
	allowance *allowance // guarded by appendMu

	mu       sync.Mutex // guards all below
	active   *head      // nil until the next append
	flushing []*head    // sealed, oldest first, still answering
	blocks   []*blockReader
	lost     []string          // what could not be opened, and why; set once, by Open
	durable  model.PositionSet // held by blocks
	lastGen  uint32
	plain    map[columnKey]bool
	tombs    []*tombstone
	failed   error         // of the last flush; nil when it went well
	freed    chan struct{} // closed and renewed when a head leaves flushing

	// ids tells which blocks hold a correlation id. It has every block that some
	// query may still look at, not only those of the list.
	ids idindex.Directory[*blockReader]
}

// maxFlushing bounds the sealed heads that wait for their block, a tenant.
const maxFlushing = 2

// Open opens or makes a store. Damaged blocks are set aside and logged.
func Open(o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := vfs.MkdirAllDurable(o.FS, o.Dir); err != nil {
		return nil, fmt.Errorf("cannot open log store %q: %w", o.Dir, err)
	}
	lock, err := o.FS.Lock(filepath.Join(o.Dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("cannot open log store %q: is another process using it? %w", o.Dir, err)
	}
	s := &Store{opts: o, lock: lock, tenants: map[tenant.ID]*tenantState{}, cache: newCache(o.MemoryBudget),
		flushes: make(chan struct{}, 1)}
	s.metrics = newMetrics(o.Registerer, s)
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.load(); err != nil {
		s.stop()
		return nil, errors.Join(fmt.Errorf("cannot open log store %q: %w", o.Dir, err), s.releaseAll(), lock.Close())
	}
	if o.Maintenance > 0 {
		s.work.Add(1)
		go s.maintain()
	}
	return s, nil
}

// lockFile has a name that no tenant's folder can have.
const lockFile = "~lock"

// load finds the blocks and tombstones on disk.
func (s *Store) load() error {
	l, err := block.List(s.ctx, s.opts.FS, s.opts.Dir)
	if err != nil {
		return err
	}
	for _, p := range l.Problems {
		s.metrics.damaged.Inc()
		s.trouble.Found(p)
		s.opts.Logger.Error("a block was set aside", "err", p)
		s.noteLost(p)
	}
	opened := map[*tenantState][]*blockReader{}
	for _, b := range l.Blocks {
		t := s.state(b.Tenant)
		r, err := openBlock(s.opts.FS, b, s.cache)
		if err != nil {
			s.metrics.damaged.Inc()
			s.trouble.Found(err)
			s.opts.Logger.Error("cannot open a block; it is left out", "tenant", b.Tenant, "block", b.ID, "err", err)
			t.lost = append(t.lost, err.Error())
			continue
		}
		t.add(r)
		opened[t] = append(opened[t], r)
	}
	for t, blocks := range opened {
		s.tellIDs(t, blocks...)
	}
	return s.loadTombstones()
}

// noteLost remembers damage found by listing, so that the tenant's queries can
// say that they are not whole.
func (s *Store) noteLost(problem error) {
	var c *block.CorruptionError
	if !errors.As(problem, &c) {
		return
	}
	rel, err := filepath.Rel(s.opts.Dir, c.File)
	if err != nil {
		return
	}
	name, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
	if id, err := tenant.Parse(name); err == nil {
		t := s.state(id)
		t.lost = append(t.lost, problem.Error())
	}
}

func (t *tenantState) add(r *blockReader) {
	t.blocks = append(t.blocks, r)
	t.durable.Union(r.block.Positions)
	t.lastGen = max(t.lastGen, r.gen)
}

// state returns a tenant's state, making it if need be.
func (s *Store) state(id tenant.ID) *tenantState {
	if t := s.lookup(id); t != nil {
		return t
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[id]
	if t == nil {
		t = &tenantState{id: id, plain: map[columnKey]bool{}, freed: make(chan struct{})}
		t.ids.MaxBytes, t.ids.Spill = s.opts.MemoryBudget/2, s.spillIDs
		s.tenants[id] = t
	}
	return t
}

func (s *Store) lookup(id tenant.ID) *tenantState {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tenants[id]
}

func (s *Store) allTenants() []*tenantState {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*tenantState, 0, len(s.tenants))
	for _, t := range s.tenants {
		out = append(out, t)
	}
	return out
}

// snapshot returns what a query reads; the blocks carry a reference each.
func (t *tenantState) snapshot() (heads []*head, blocks []*blockReader, tombs []*tombstone) {
	t.mu.Lock()
	defer t.mu.Unlock()
	heads = t.heads()
	for _, b := range t.blocks {
		if b.acquire() {
			blocks = append(blocks, b)
		}
	}
	return heads, blocks, slices.Clone(t.tombs)
}

// heads returns the heads that hold rows no block has; t.mu is held.
func (t *tenantState) heads() []*head {
	heads := slices.Clone(t.flushing)
	if t.active != nil {
		heads = append(heads, t.active)
	}
	return heads
}

// OldestNeeded implements ingest.LogAppender.
func (s *Store) OldestNeeded() (pos model.Position, ok bool) {
	for _, t := range s.allTenants() {
		t.mu.Lock()
		for _, h := range t.heads() {
			h.mu.Lock()
			p, has := h.positions.Min()
			h.mu.Unlock()
			if has && (!ok || p < pos) {
				pos, ok = p, true
			}
		}
		t.mu.Unlock()
	}
	return pos, ok
}

// Flush turns what is in memory into blocks and waits for it.
func (s *Store) Flush(ctx context.Context) error {
	var errs []error
	for _, t := range s.allTenants() {
		t.appendMu.Lock()
		t.mu.Lock()
		s.rotate(t)
		t.mu.Unlock()
		t.appendMu.Unlock()
		errs = append(errs, t.waitFlushed(ctx))
	}
	return errors.Join(errs...)
}

// waitFlushed waits until no sealed head is left, or one has failed.
func (t *tenantState) waitFlushed(ctx context.Context) error {
	for {
		t.mu.Lock()
		n, err, freed := len(t.flushing), t.failed, t.freed
		t.mu.Unlock()
		if n == 0 || err != nil {
			return err
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// rotate seals the active head and starts its flush. The caller holds
// t.appendMu and t.mu.
func (s *Store) rotate(t *tenantState) {
	h := t.active
	if h == nil || h.rows == 0 && h.positions.String() == "" {
		if t.failed != nil {
			t.failed = nil
			for _, old := range t.flushing {
				s.startFlush(t, old)
			}
		}
		return
	}
	h.mu.Lock()
	h.sealed = true
	if n := len(h.chunks); n > 0 {
		h.sealChunk(h.chunks[n-1])
	}
	for _, c := range h.cols {
		if hasText(c.key.kind) && c.dict == nil {
			t.plain[c.key] = true
		} else {
			delete(t.plain, c.key)
		}
	}
	h.mu.Unlock()
	t.active = nil
	t.flushing = append(t.flushing, h)
	if t.failed != nil {
		t.failed = nil
		for _, old := range t.flushing[:len(t.flushing)-1] {
			s.startFlush(t, old)
		}
	}
	s.startFlush(t, h)
}

// startFlush writes a sealed head in the background, unless that is under way
// already. The caller holds t.mu.
func (s *Store) startFlush(t *tenantState, h *head) {
	if h.writing {
		return
	}
	h.writing = true
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		s.flushes <- struct{}{}
		defer func() { <-s.flushes }()
		s.flushHead(t, h)
	}()
}

// flushHead writes one sealed head and puts the block in its place.
func (s *Store) flushHead(t *tenantState, h *head) {
	start := time.Now()
	var r *blockReader
	var err error
	if h.rows > 0 {
		var b *block.Block
		if b, err = s.writeHead(context.WithoutCancel(s.ctx), t.id, h); err == nil {
			if r, err = openBlock(s.opts.FS, b, s.cache); err != nil { // else its rows would count twice
				err = errors.Join(err, block.Remove(s.opts.FS, b))
			} else {
				s.tellIDs(t, r)
			}
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	h.writing = false
	s.trouble.Flushed(t.id, err)
	if err != nil {
		s.metrics.flushFailures.Inc()
		s.opts.Logger.Error("cannot flush; the records stay in memory and the ingest log", "tenant", t.id, "err", err)
		t.failed = err
	} else {
		t.flushing = slices.DeleteFunc(t.flushing, func(x *head) bool { return x == h })
		if r != nil {
			t.add(r)
			s.metrics.flushedRows.Add(float64(h.rows))
			s.metrics.flushSeconds.Observe(time.Since(start).Seconds())
		}
	}
	close(t.freed)
	t.freed = make(chan struct{})
}

// spillIDs keeps ids outside of memory.
func (s *Store) spillIDs(data []byte) (io.ReaderAt, error) {
	return vfs.Scratch(s.opts.FS, s.opts.Dir, data)
}

// blockGone is called when the last reference to a block has gone.
func (s *Store) blockGone(r *blockReader) {
	s.cache.drop(r.block.ID)
	if err := errors.Join(r.pages.Close(), r.ids.Close()); err != nil {
		s.opts.Logger.Warn("cannot close a block", "block", r.block.ID, "err", err)
	}
	if r.dropped.Load() {
		if err := block.Remove(s.opts.FS, r.block); err != nil {
			s.opts.Logger.Error("cannot remove a block", "block", r.block.ID, "err", err)
		}
	}
}

// Health returns nil, or why records do not become blocks; they are kept in
// memory and the ingest log meanwhile, and it is tried again.
func (s *Store) Health() error { return s.trouble.Flush() }

// Damage returns how many blocks were found damaged since the start, and what is
// wrong with the last of them.
func (s *Store) Damage() (blocks int, last error) { return s.trouble.Damage() }

// noteDamage says once a block that it is damaged.
func (s *Store) noteDamage(r *blockReader, err error) {
	r.damage.Do(func() {
		s.metrics.damaged.Inc()
		s.trouble.Found(err)
		s.opts.Logger.Error("a block is damaged; the rest of it still answers", "tenant", r.block.Tenant, "block", r.block.ID, "err", err)
	})
}

// Close flushes what is in memory and lets the folder go. After a Close that
// returned no error the next start has nothing to replay.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	err := s.Flush(context.Background())
	s.stop()
	s.work.Wait()
	return errors.Join(err, s.releaseAll(), s.lock.Close())
}

func (s *Store) releaseAll() error {
	for _, t := range s.allTenants() {
		t.mu.Lock()
		blocks := t.blocks
		t.blocks = nil
		t.mu.Unlock()
		for _, b := range blocks {
			b.release()
		}
	}
	return nil
}
