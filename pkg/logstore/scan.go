package logstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"braid/pkg/block"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// part is a head or block in a query's snapshot.
type part struct {
	t      *table
	filter node
	hide   []hidden // rows that deletions took away
	seqHi  uint32   // of a head; a block has a column
	chunks []*chunk // of a head
	reader *blockReader
	dir    *directory // of a block
}

// hidden is a deletion compiled for a part.
type hidden struct {
	rng    model.TimeRange
	filter node
}

// candidate is one page that may hold rows.
type candidate struct {
	part       *part
	index      int
	minT, maxT int64
}

// open returns the page, to be used by one goroutine, with the columns decoded
// into mem, which must hold no other page.
func (c *candidate) open(stats *model.QueryStats, mem *arena) *page {
	mem.reset()
	if c.part.reader != nil {
		return c.part.reader.page(c.part.dir, c.index, stats, mem)
	}
	return c.part.chunks[c.index].page(c.part.t)
}

// scan is the snapshot that a query works on. close releases it.
type scan struct {
	ctx    context.Context
	store  *Store
	rng    model.TimeRange
	stats  *model.QueryStats
	cands  []candidate
	blocks []*blockReader // held
	arenas []arena        // by worker
	leaves leaves
}

// newScan takes a snapshot and narrows it to candidate pages.
func (s *Store) newScan(ctx context.Context, id tenant.ID, rng model.TimeRange, filter predicate.Expr, stats *model.QueryStats) (*scan, error) {
	sc := &scan{ctx: ctx, store: s, rng: rng, stats: stats, leaves: leaves{}, arenas: takeArenas()}
	tn := s.lookup(id)
	if tn == nil {
		return sc, nil
	}
	for _, why := range tn.lost {
		stats.Warn("a block is left out: %s", why)
	}
	spec := s.opts.KeySpec()
	heads, blocks, tombs := tn.snapshot()
	rule := newRuler(tn, spec)
	reach, narrow := rule.reach(filter)
	byID := narrow && rule.asksIDs(filter)
	for _, h := range heads {
		sc.addHead(h, filter, rule, byID, tombs)
	}
	for i, b := range blocks {
		err := ctx.Err()
		_, reached := reach[b]
		if narrow && !reached && rule.sure(b) {
			stats.AddBlocks(0, 1)
			b.release()
			continue
		}
		if err == nil {
			err = sc.addBlock(b, filter, rule, tombs)
		}
		if err != nil {
			for _, rest := range blocks[i:] {
				if !slices.Contains(sc.blocks, rest) {
					rest.release()
				}
			}
			sc.close()
			return nil, err
		}
	}
	return sc, nil
}

func (sc *scan) addHead(h *head, filter predicate.Expr, rule *ruler, byID bool, tombs []*tombstone) {
	chunks, t := h.snapshot("head")
	spec, reach := rule.spec, reach{all: true}
	if byID { // a query that asks for no ids costs nothing
		if filter, reach = h.ids.narrow(filter, chunks, t, rule); !reach.all && reach.chunks.empty() {
			return
		}
	}
	p := &part{t: t, seqHi: h.gen, chunks: chunks}
	if p.filter = compileFilter(filter, t, spec, sc.leaves); p.filter == constNode(false) {
		return
	}
	p.hide = compileHidden(tombs, h.gen, nil, t, spec, sc.leaves)
	for i, c := range chunks {
		if c.rows > 0 && sc.rng.Overlaps(c.minT, c.maxT) && (reach.all || reach.chunks.has(i)) {
			sc.cands = append(sc.cands, candidate{p, i, c.minT, c.maxT})
		}
	}
}

// addBlock takes over the reference to b: it is in sc.blocks, or released.
func (sc *scan) addBlock(b *blockReader, filter predicate.Expr, rule *ruler, tombs []*tombstone) error {
	spec := rule.spec
	skip := func() error {
		sc.stats.AddBlocks(0, 1)
		b.release()
		return nil
	}
	if !b.block.Overlaps(sc.rng) {
		return skip()
	}
	filter, none := rule.without(b, filter)
	if none {
		return skip()
	}
	d, err := b.directory(sc.stats)
	if err != nil {
		if !damaged(err) {
			b.release()
			return err
		}
		sc.warn(b, err)
		return skip()
	}
	p := &part{t: d.table, reader: b, dir: d}
	if p.filter = compileFilter(filter, d.table, spec, sc.leaves); p.filter == constNode(false) {
		return skip()
	}
	pages, err := p.filter.pages(&pageIndex{r: b, d: d, stats: sc.stats})
	if err != nil {
		sc.store.noteDamage(b, err)
		pages = nil // the index does not help: scan them all
	}
	p.hide = compileHidden(tombs, b.gen, b.applied, d.table, spec, sc.leaves)
	found := false
	for i := range d.pages {
		pg := &d.pages[i]
		if (pages == nil || pages.has(i)) && sc.rng.Overlaps(pg.minT, pg.maxT) {
			sc.cands = append(sc.cands, candidate{p, i, pg.minT, pg.maxT})
			found = true
		}
	}
	if !found {
		return skip()
	}
	sc.stats.AddBlocks(1, 0)
	sc.blocks = append(sc.blocks, b)
	return nil
}

// damaged reports whether an error is about a part of the data, so that the
// rest can still answer.
func damaged(err error) bool {
	return errors.Is(err, block.ErrCorrupt) || errors.Is(err, errShort) || errors.Is(err, fs.ErrNotExist)
}

func (sc *scan) warn(b *blockReader, err error) {
	sc.stats.Warn("block %s could not be read whole: %v", b.block.ID, err)
	sc.store.noteDamage(b, err)
}

func (sc *scan) close() {
	for _, b := range sc.blocks {
		b.release()
	}
	sc.blocks = nil
	arenas := sc.arenas
	for i := range arenas {
		arenas[i].aheadOf = nil
	}
	arenaPool.Put(&arenas)
	sc.arenas = nil
}

// arenaPool keeps the workers' memory from one query to the next.
var arenaPool sync.Pool

func takeArenas() []arena {
	if a, ok := arenaPool.Get().(*[]arena); ok && len(*a) == runtime.GOMAXPROCS(0) {
		return *a
	}
	return make([]arena, runtime.GOMAXPROCS(0))
}

// match returns the rows of a page that answer, nil when there are none. A
// damaged page is warned of and has none.
func (sc *scan) match(c *candidate, p *page) (bitset, error) {
	out, err := sc.eval(c, p)
	if err == nil {
		sc.stats.AddRows(int64(p.rows))
		if out.empty() {
			return nil, nil
		}
		return out, nil
	}
	if c.part.reader != nil && damaged(err) {
		sc.warn(c.part.reader, fmt.Errorf("page %d: %w", c.index, err))
		return nil, nil
	}
	return nil, err
}

func (sc *scan) eval(c *candidate, p *page) (bitset, error) {
	need := fullBitset(p.rows)
	if !sc.rng.All() && (c.minT < sc.rng.Start || c.maxT >= sc.rng.End) {
		times, err := p.time()
		if err != nil {
			return nil, err
		}
		for i, t := range times {
			if t < sc.rng.Start || t >= sc.rng.End {
				need.unset(i)
			}
		}
	}
	out := newBitset(p.rows)
	if err := c.part.filter.eval(p, need, out); err != nil {
		return nil, err
	}
	for i := range c.part.hide {
		if err := c.part.hide[i].apply(p, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// apply takes deleted rows out of rows.
func (h *hidden) apply(p *page, rows bitset) error {
	if rows.empty() || !h.rng.Overlaps(p.minT, p.maxT) {
		return nil
	}
	need := append(bitset(nil), rows...)
	if !h.rng.All() {
		times, err := p.time()
		if err != nil {
			return err
		}
		need.each(func(i int) {
			if !h.rng.Contains(times[i]) {
				need.unset(i)
			}
		})
	}
	gone := make(bitset, len(rows))
	if err := h.filter.eval(p, need, gone); err != nil {
		return err
	}
	rows.andNot(gone)
	return nil
}

// sortCandidates orders pages by their newest (oldest) row.
func sortCandidates(cands []candidate, order predicate.Order) {
	slices.SortFunc(cands, func(a, b candidate) int {
		if order == predicate.OldestFirst {
			return cmp.Compare(a.minT, b.minT)
		}
		return cmp.Compare(b.maxT, a.maxT)
	})
}

// parallel calls work for the numbers 0 to n-1 from as many goroutines as there
// are cores, each with its worker number; work returns false to stop all. It
// returns the first error, or the context's.
func parallel(ctx context.Context, cores, n int, work func(worker, i int) (bool, error)) error {
	workers := min(n, cores)
	var next atomic.Int64
	var stop atomic.Bool
	errs := make([]error, workers)
	run := func(w int) {
		for !stop.Load() {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			more, err := false, ctx.Err()
			if err == nil {
				more, err = work(w, i)
			}
			if err != nil || !more {
				errs[w] = err
				stop.Store(true)
				return
			}
		}
	}
	if workers <= 1 {
		if workers == 1 {
			run(0)
			return errs[0]
		}
		return ctx.Err()
	}
	var wg sync.WaitGroup
	for w := 1; w < workers; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			run(w)
		}()
	}
	run(0)
	wg.Wait()
	return errors.Join(errs...)
}
