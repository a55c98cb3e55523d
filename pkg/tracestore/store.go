package tracestore

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"braid/internal/vfs"
	"braid/pkg/block"
	"braid/pkg/idindex"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Store keeps the spans of all tenants: see the package's comment for the life
// of a batch. It satisfies ingest.SpanAppender and query.TraceSource. Safe for
// concurrent use.
type Store struct {
	opts    Options
	cache   *sidecarCache
	metrics *metrics
	heads   atomic.Uint64 // how many were begun
	trouble block.Trouble

	mu      sync.RWMutex // guards tenants and closed
	tenants map[tenant.ID]*tenantStore
	closed  bool

	wake chan struct{} // a head wants to be flushed
	stop context.CancelFunc
	done sync.WaitGroup
}

// Open opens the store in a folder, made if absent. Damaged blocks are set
// aside and logged; they do not keep the store from opening.
func Open(o Options) (*Store, error) {
	if o.Dir == "" {
		return nil, errors.New("cannot open trace store: Dir is empty; name a folder")
	}
	o = o.withDefaults()
	cache, err := newSidecarCache(o.MemoryBudget / 2)
	if err != nil {
		return nil, fmt.Errorf("cannot open trace store: %w", err)
	}
	s := &Store{opts: o, cache: cache, metrics: newMetrics(o.Registerer), tenants: map[tenant.ID]*tenantStore{}, wake: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	if err := s.load(ctx); err != nil {
		stop()
		s.closeBlocks()
		return nil, fmt.Errorf("cannot open trace store %q: %w", o.Dir, err)
	}
	s.done.Add(1)
	go s.flushLoop(ctx)
	if !o.Manual {
		s.done.Add(1)
		go s.maintainLoop(ctx)
	}
	return s, nil
}

// load opens the blocks that are there.
func (s *Store) load(ctx context.Context) error {
	if err := vfs.MkdirAllDurable(s.opts.FS, s.opts.Dir); err != nil {
		return err
	}
	l, err := block.List(ctx, s.opts.FS, s.opts.Dir)
	if err != nil {
		return err
	}
	for _, p := range l.Problems {
		s.metrics.damaged.Inc()
		s.trouble.Found(p)
		s.opts.Logger.Error("a block of spans is damaged", "error", p)
	}
	found := map[tenant.ID][]*blockReader{}
	for _, b := range l.Blocks {
		if b.Signal != signalSpans {
			continue
		}
		r, err := openBlock(s.opts.FS, b, s.cache, nil)
		if err != nil {
			s.setAside(b, err)
			continue
		}
		if _, err := r.keyVerdict(s.opts.KeySpec()); err != nil { // now that its sidecar is at hand
			s.opts.Logger.Warn("cannot tell which ids a block of spans has; it is looked at for every id", "tenant", b.Tenant, "block", b.ID, "error", err)
		}
		found[b.Tenant] = append(found[b.Tenant], r)
	}
	for t, blocks := range found {
		ten := s.tenant(t, true)
		ten.publish(func(*blockSet) []*blockReader { return blocks }, blocks)
	}
	return nil
}

// Health returns nil, or why spans do not become blocks; they are kept in memory
// and the ingest log meanwhile, and it is tried again.
func (s *Store) Health() error { return s.trouble.Flush() }

// Damage returns how many blocks were found damaged since the start, and what is
// wrong with the last of them.
func (s *Store) Damage() (blocks int, last error) { return s.trouble.Damage() }

// setAside quarantines a block that cannot be read because it is damaged; what
// cannot be read for another reason stays where it is.
func (s *Store) setAside(b *block.Block, cause error) {
	s.metrics.damaged.Inc()
	s.trouble.Found(cause)
	if !errors.Is(cause, block.ErrCorrupt) {
		s.opts.Logger.Error("cannot open a block of spans; it is left out until the next start", "tenant", b.Tenant, "block", b.ID, "error", cause)
		return
	}
	bad, err := block.Quarantine(s.opts.FS, b.Dir)
	s.opts.Logger.Error("a block of spans is damaged and was set aside", "tenant", b.Tenant, "block", b.ID, "folder", bad, "error", errors.Join(cause, err))
}

// tenant returns a tenant's part of the store; nil when there is none and it
// is not to be made.
func (s *Store) tenant(t tenant.ID, create bool) *tenantStore {
	s.mu.RLock()
	ten := s.tenants[t]
	s.mu.RUnlock()
	if ten != nil || !create {
		return ten
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ten = s.tenants[t]; ten == nil {
		ten = &tenantStore{store: s, id: t, set: &blockSet{split: traceSet{}}}
		ten.dir.MaxBytes, ten.dir.Spill = s.opts.MemoryBudget/2, s.spillIDs
		s.tenants[t] = ten
	}
	return ten
}

func (s *Store) allTenants() []*tenantStore {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*tenantStore, 0, len(s.tenants))
	for _, t := range s.tenants {
		out = append(out, t)
	}
	return out
}

// OldestNeeded returns the least position whose spans are not yet in a durable
// block.
func (s *Store) OldestNeeded() (pos model.Position, ok bool) {
	for _, t := range s.allTenants() {
		if p, has := t.oldestNeeded(); has && (!ok || p < pos) {
			pos, ok = p, true
		}
	}
	return pos, ok
}

// Close flushes what is in memory and closes the blocks. Queries that are under
// way end as they would have.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.done.Wait()
	err := s.Flush(context.Background())
	s.closeBlocks()
	s.metrics.unregister()
	if err != nil {
		return fmt.Errorf("cannot close trace store %q: %w", s.opts.Dir, err)
	}
	return nil
}

func (s *Store) closeBlocks() {
	for _, t := range s.allTenants() {
		t.mu.Lock()
		blocks := t.set.blocks
		t.set = &blockSet{split: traceSet{}, gen: t.set.gen + 1}
		t.mu.Unlock()
		for _, b := range blocks {
			b.release()
		}
	}
}

// spillIDs keeps ids outside of memory.
func (s *Store) spillIDs(data []byte) (io.ReaderAt, error) {
	return vfs.Scratch(s.opts.FS, s.opts.Dir, data)
}

func (s *Store) newID() (block.ID, error) { return block.NewID(s.opts.Now(), rand.Reader) }

// tenantStore is one tenant's spans.
type tenantStore struct {
	store *Store
	id    tenant.ID

	flushing sync.Mutex // held while heads are written, one writer at a time
	changing sync.Mutex // held while the set of blocks is replaced
	merging  sync.Mutex // held by whoever merges or drops blocks

	// dir tells which blocks may hold a trace. It has every block that some view
	// may still look at, not only those of the set.
	dir idindex.Directory[*blockReader]

	// What the service graph was made of last.
	graphs      graphMemo
	pieces      pieceMemo
	largeSplits largeSplits

	// mu guards the head's rowset, the lists and the set (which is immutable).
	mu      sync.RWMutex
	head    *headPart
	waiting []*headPart // full, on their way to disk, oldest first
	usual   rowsetSize  // what the last head held: the next one is made as large
	set     *blockSet
}

// headPart is a head: rows that are not yet in a block.
type headPart struct {
	set       *rowset
	positions model.PositionSet
	since     time.Time
	number    uint64 // no other head of the process has it
	calls     headMemo
	ids       headIDs

	splitMu sync.Mutex // guards what follows
	gen     uint64
	checked int
	split   traceSet // those of the first checked traces that blocks have too
}

// blockSet is the blocks of a tenant at one moment. Immutable; the set holds a
// reference of each block.
type blockSet struct {
	blocks    []*blockReader
	has       map[*blockReader]bool
	positions model.PositionSet
	// split holds the traces of which more than one block has spans.
	split  traceSet
	gen    uint64
	spots  spotMemo
	judged atomic.Pointer[setVerdict]
	// splitCalls is what split changes of the sum of the blocks' calls.
	splitCalls splitMemo
}

// mayHold returns the blocks of the set that may hold a trace, by id, in the
// memory of buf.
func (s *blockSet) mayHold(dir *idindex.Directory[*blockReader], hash uint64, buf []*blockReader) []*blockReader {
	buf = dir.Candidates(hash, buf[:0])
	buf = slices.DeleteFunc(buf, func(b *blockReader) bool { return !s.has[b] })
	if len(buf) > 1 {
		slices.SortFunc(buf, func(a, b *blockReader) int { return cmp.Compare(a.ID, b.ID) })
	}
	return buf
}

func (t *tenantStore) oldestNeeded() (pos model.Position, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, h := range append([]*headPart{t.head}, t.waiting...) {
		if h == nil {
			continue
		}
		if p, has := h.positions.Min(); has && (!ok || p < pos) {
			pos, ok = p, true
		}
	}
	return pos, ok
}

// publish replaces the set of blocks. next gets the old set and returns the new
// list; added are the blocks that the old one did not have. References of
// blocks that left the set are let go.
func (t *tenantStore) publish(next func(*blockSet) []*blockReader, added []*blockReader, during ...func()) {
	t.changing.Lock()
	defer t.changing.Unlock()
	old := t.set // replaced only under changing
	set := &blockSet{blocks: next(old), gen: old.gen + 1, has: map[*blockReader]bool{}}
	for _, b := range set.blocks {
		set.positions.Union(b.Positions)
		set.has[b] = true
	}
	list := make([]idindex.Entry[*blockReader], len(added))
	for i, b := range added {
		b.forget = func() { t.dir.Remove(b) }
		list[i] = idindex.Entry[*blockReader]{Block: b, Index: b.ids}
	}
	if err := t.dir.AddAll(list); err != nil {
		t.store.opts.Logger.Warn("cannot read the id index of a block of spans; it is looked at for every trace", "tenant", t.id, "error", err)
	}
	set.split = t.splits(old, set, added)
	t.mu.Lock()
	t.set = set
	for _, f := range during {
		f()
	}
	t.mu.Unlock()
	for _, b := range old.blocks {
		if !set.has[b] {
			b.release()
			t.graphs.forget(b)
			t.pieces.forget(b)
		}
	}
}
