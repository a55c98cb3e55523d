package logstore

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

const (
	// selectBatch is how many rows come in one batch, firstBatch how many come first
	// when there is no limit: whoever looks on often needs no more.
	selectBatch, firstBatch = 1024, 128
	// heapLimit is the limit up to which the winners are found first and then
	// decoded; beyond it rows are streamed.
	heapLimit = 20_000
	// maxPending bounds the rows found but not yet due, 24 bytes each.
	maxPending = 8 << 20
)

// hit is one row that answers.
type hit struct {
	time int64
	seq  uint64
	cand int32
	row  uint16
}

// before says whether a comes before b in the order.
func (a *hit) compare(b *hit, order predicate.Order) int {
	c := cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.seq, b.seq))
	if order == predicate.OldestFirst {
		return c
	}
	return -c
}

// SelectLogs yields rows in the order asked for: see query.LogSource. LongestFirst
// is for traces; it is taken as NewestFirst.
func (s *Store) SelectLogs(ctx context.Context, q *predicate.LogQuery) iter.Seq2[[]model.LogRow, error] {
	return func(yield func([]model.LogRow, error) bool) {
		s.metrics.queries.Inc()
		sc, err := s.newScan(ctx, q.Tenant, q.Range, q.Filter, q.Stats)
		if err != nil {
			yield(nil, err)
			return
		}
		defer sc.close()
		sortCandidates(sc.cands, q.Order)
		if q.Limit > 0 && q.Limit <= heapLimit {
			err = sc.selectTop(q, yield)
		} else {
			err = sc.selectAll(q, yield)
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// bound returns the time beyond which a page cannot hold better rows.
func (c *candidate) bound(order predicate.Order) int64 {
	if order == predicate.OldestFirst {
		return c.minT
	}
	return c.maxT
}

func worse(t, than int64, order predicate.Order) bool {
	if order == predicate.OldestFirst {
		return t > than
	}
	return t < than
}

// selectTop finds the first Limit rows with a heap, and stops at the page that
// cannot hold a better one.
func (sc *scan) selectTop(q *predicate.LogQuery, yield func([]model.LogRow, error) bool) error {
	best := &hitHeap{order: q.Order}
	var mu sync.Mutex // guards best
	var worst atomic.Int64
	none := int64(math.MinInt64)
	if q.Order == predicate.OldestFirst {
		none = math.MaxInt64
	}
	worst.Store(none)
	err := parallel(sc.ctx, len(sc.arenas), len(sc.cands), func(w, i int) (bool, error) {
		c := &sc.cands[i]
		if worse(c.bound(q.Order), worst.Load(), q.Order) {
			return false, nil
		}
		hits, err := sc.hits(w, i, q.Order, worst.Load(), q.Limit)
		if err != nil || len(hits) == 0 {
			return true, err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, h := range hits {
			if best.Len() < q.Limit {
				heap.Push(best, h)
			} else if h.compare(&best.hits[0], q.Order) < 0 {
				best.hits[0] = h
				heap.Fix(best, 0)
			}
		}
		if best.Len() == q.Limit {
			worst.Store(best.hits[0].time)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(best.hits, func(a, b hit) int { return a.compare(&b, q.Order) })
	m := newMaterializer(sc)
	m.once = best.Len() <= selectBatch
	for rest := best.hits; len(rest) > 0; {
		b := rest[:min(selectBatch, len(rest))]
		rest = rest[len(b):]
		rows, err := m.rows(b)
		if err != nil {
			return err
		}
		if len(rows) > 0 && !yield(rows, nil) {
			return nil
		}
	}
	return nil
}

// hits returns the rows of a page that answer and are no worse than a time; at
// most the limit best ones, when limit is not 0.
func (sc *scan) hits(worker, i int, order predicate.Order, worst int64, limit int) ([]hit, error) {
	c := &sc.cands[i]
	p := c.open(sc.stats, &sc.arenas[worker])
	rows, err := sc.match(c, p)
	if err != nil || rows == nil {
		return nil, err
	}
	hits, err := collect(c, p, rows, i, order, worst)
	if err != nil {
		if c.part.reader != nil && damaged(err) {
			sc.warn(c.part.reader, err)
			return nil, nil
		}
		return nil, err
	}
	if limit > 0 && len(hits) > limit {
		slices.SortFunc(hits, func(a, b hit) int { return a.compare(&b, order) })
		hits = hits[:limit]
	}
	return hits, nil
}

func collect(c *candidate, p *page, rows bitset, i int, order predicate.Order, worst int64) ([]hit, error) {
	times, err := p.time()
	if err != nil {
		return nil, err
	}
	lo, err := p.intrinsic(colSeqLo)
	if err != nil {
		return nil, err
	}
	hi, err := p.intrinsic(colSeqHi)
	if err != nil {
		return nil, err
	}
	if lo == nil || lo.n < p.rows || hi != nil && hi.n < p.rows {
		return nil, errShort
	}
	hits := make([]hit, 0, rows.count())
	rows.each(func(row int) {
		if worse(times[row], worst, order) {
			return
		}
		seq := uint64(c.part.seqHi)
		if hi != nil {
			seq = hi.nums[row]
		}
		hits = append(hits, hit{times[row], seq<<32 | lo.nums[row], int32(i), uint16(row)})
	})
	return hits, nil
}

// hitHeap has the worst hit on top.
type hitHeap struct {
	hits  []hit
	order predicate.Order
}

func (h *hitHeap) Len() int           { return len(h.hits) }
func (h *hitHeap) Less(i, j int) bool { return h.hits[i].compare(&h.hits[j], h.order) > 0 }
func (h *hitHeap) Swap(i, j int)      { h.hits[i], h.hits[j] = h.hits[j], h.hits[i] }
func (h *hitHeap) Push(x any)         { h.hits = append(h.hits, x.(hit)) }
func (h *hitHeap) Pop() any {
	x := h.hits[len(h.hits)-1]
	h.hits = h.hits[:len(h.hits)-1]
	return x
}

// selectAll goes through the pages in waves and yields what no later page can
// precede.
func (sc *scan) selectAll(q *predicate.LogQuery, yield func([]model.LogRow, error) bool) error {
	const wave = 16
	m := newMaterializer(sc)
	left := q.Limit
	if left == 0 {
		left = math.MaxInt
	}
	var pending []hit
	most := firstBatch
	m.once = true // as if it were the only one
	for at := 0; at < len(sc.cands) && left > 0; {
		end := min(at+wave, len(sc.cands))
		// a wave goes on while its pages overlap what is not due anyway
		found := make([][]hit, end-at)
		err := parallel(sc.ctx, len(sc.arenas), end-at, func(w, i int) (bool, error) {
			var err error
			found[i], err = sc.hits(w, at+i, q.Order, worstOf(q.Order), 0)
			return true, err
		})
		if err != nil {
			return err
		}
		at = end
		for _, f := range found {
			pending = append(pending, f...)
		}
		if len(pending) > maxPending {
			return fmt.Errorf("%w: more than %d rows overlap in time; narrow the time range or the filter, or set a limit", model.ErrTooMuch, maxPending)
		}
		due := len(pending)
		if at < len(sc.cands) && len(pending) > 0 {
			next := sc.cands[at].bound(q.Order)
			due = partition(pending, next, q.Order)
		}
		ready := pending[:due]
		slices.SortFunc(ready, func(a, b hit) int { return a.compare(&b, q.Order) })
		for len(ready) > 0 && left > 0 {
			b := ready[:min(most, len(ready), left)]
			ready = ready[len(b):]
			left -= len(b)
			rows, err := m.rows(b)
			if err != nil {
				return err
			}
			most, m.once = selectBatch, false
			if len(rows) > 0 && !yield(rows, nil) {
				return nil
			}
		}
		pending = append(pending[:0], pending[due:]...)
	}
	return nil
}

func worstOf(order predicate.Order) int64 {
	if order == predicate.OldestFirst {
		return math.MaxInt64
	}
	return math.MinInt64
}

// partition moves the hits that precede every row at next or later in the
// order to the front and returns how many they are.
func partition(hits []hit, next int64, order predicate.Order) int {
	n := 0
	for i := range hits {
		if worse(next, hits[i].time, order) {
			hits[i], hits[n] = hits[n], hits[i]
			n++
		}
	}
	return n
}
