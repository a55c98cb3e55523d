package tracestore

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

const (
	defaultMaxGroups = 10_000
	// maxBuckets bounds the cells of a group.
	maxBuckets = 11_000
)

// AggregateSpans counts and measures spans: see query.TraceSource and
// predicate.Aggregation.
func (s *Store) AggregateSpans(ctx context.Context, q *predicate.Aggregation) (*model.Aggregate, error) {
	return s.aggregate(ctx, q, false)
}

// aggregate is AggregateSpans; each counts a span once for every value of its
// one group-by field.
func (s *Store) aggregate(ctx context.Context, q *predicate.Aggregation, each bool) (*model.Aggregate, error) {
	a, err := newAggregator(q, s.opts.KeySpec())
	if err != nil {
		return nil, err
	}
	a.each = each
	ten := s.tenant(q.Tenant, false)
	if ten == nil {
		return a.result(), nil
	}
	v := ten.view(q.Stats)
	defer v.release()
	v.prepare()
	for i := range v.heads {
		a.head(v, i)
	}
	if err := a.blocks(ctx, v); err != nil {
		return nil, err
	}
	a.splits(ctx, v)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return a.result(), nil
}

// rowsAWorker is how many rows make another worker worth its start.
const rowsAWorker = 100_000

// blocks adds up the blocks, by as many workers as there are cores and enough
// rows for: each takes row groups, and what they found is added up.
func (a *aggregator) blocks(ctx context.Context, v *view) error {
	var jobs []*blockJob
	total := 0
	for _, b := range v.blocks {
		if j := a.job(v, b); j != nil && !a.shortcut(j) {
			jobs = append(jobs, j)
			total += j.side.rows
		}
	}
	n := max(1, min(runtime.GOMAXPROCS(0), total/rowsAWorker))
	workers := []*aggregator{a}
	for len(workers) < n {
		workers = append(workers, &aggregator{accumulator: newAccumulator(a.q, a.start, a.buckets), prog: a.prog, each: a.each})
	}
	g, gctx := errgroup.WithContext(ctx)
	for i, w := range workers {
		g.Go(func() error { return w.work(gctx, v, jobs, i, n) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, w := range workers[1:] {
		a.merge(&w.accumulator)
	}
	return nil
}

// blockJob is a block to add up; the same for all workers.
type blockJob struct {
	b     *blockReader
	side  *sidecar
	c     *groupCounter
	skip  rowRanges
	pages pageSet
}

func (a *aggregator) job(v *view, b *blockReader) *blockJob {
	side, err := b.sidecar()
	if err != nil {
		v.warn(b, err)
		return nil
	}
	var c *groupCounter
	if b.Overlaps(a.q.Range) {
		c = a.bindTo(&side.tables)
	}
	if c == nil || !c.b.any {
		v.stats.AddBlocks(0, 1)
		return nil
	}
	v.stats.AddBlocks(1, 0)
	return &blockJob{b, side, c, v.excluded(b, side), (&pruner{b: b, side: side, spec: a.prog.spec}).pages(a.prog.expr)}
}

// work adds up every n-th row group from the i-th on.
func (a *aggregator) work(ctx context.Context, v *view, jobs []*blockJob, i, n int) error {
	at := 0
	for _, j := range jobs {
		c := j.c.forWorker(a)
		cur := newPageCursor(j.b, j.side, len(a.prog.leaves), v.stats)
		for g := 0; g*groupRows < j.side.rows; g++ {
			if at++; at%n != i {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			for page := g * groupPages; page < min(j.side.pages(), (g+1)*groupPages) && cur.fault == nil; page++ {
				if j.pages.has(page) {
					c.page(v, cur, page, j.skip)
				}
			}
		}
		if cur.fault != nil {
			v.warn(j.b, cur.fault)
		}
	}
	return nil
}

// aggregator answers one question. Not safe for concurrent use.
type aggregator struct {
	accumulator
	prog *program
	each bool
	rows batch
}

func newAggregator(q *predicate.Aggregation, spec *model.KeySpec) (*aggregator, error) {
	start, buckets := int64(0), 1
	if !q.Range.All() {
		start = q.Range.Start
	}
	if q.Step > 0 {
		if q.Range.All() {
			return nil, fmt.Errorf("%w: an aggregation with a step of %d ns needs a time range", model.ErrInvalid, q.Step)
		}
		n := (q.Range.End - q.Range.Start + q.Step - 1) / q.Step
		if n > maxBuckets {
			return nil, fmt.Errorf("%w: %d time buckets, at most %d are allowed; use a larger step or a shorter range", model.ErrTooMuch, n, maxBuckets)
		}
		buckets = int(max(0, n))
	}
	return &aggregator{accumulator: newAccumulator(q, start, buckets), prog: compile(q.Filter, spec)}, nil
}

// exemplar keeps a row that wants had a place for.
func (a *aggregator) exemplar(g int, t int64, value float64, trace model.TraceID, span model.SpanID) {
	bucket := 0
	if a.step > 0 {
		bucket = int((t - a.start) / a.step)
	}
	a.exemplars[g] = append(a.exemplars[g], model.AggExemplar{Bucket: bucket, Time: t, Value: value, TraceID: trace, SpanID: span})
}

// asNumber returns a value as the number that the question measures.
func (a *aggregator) asNumber(v model.Value) (float64, bool) {
	if a.q.OfText {
		return v.ParseFloat()
	}
	return v.Float()
}

// splits counts the spans of the traces that several parts hold, joined.
func (a *aggregator) splits(ctx context.Context, v *view) {
	v.eachWhole(ctx, a.q.Range, a.prog, func(r *model.SpanRow, facts *model.TraceFacts) {
		a.row(predicate.SpanRow{SpanRow: r, Facts: facts, Spec: a.prog.spec})
	})
}

// row counts one span by the definition.
func (a *aggregator) row(r predicate.SpanRow) {
	if !a.q.Range.Contains(r.Start) || a.q.Filter != nil && !predicate.Eval(a.prog.expr, r) {
		return
	}
	if a.each {
		r.Lookup(a.q.By[0], func(v model.Value) bool { a.countValue(v, r.Start); return true })
		return
	}
	a.keys = a.keys[:0]
	for _, f := range a.q.By {
		a.keys = append(a.keys, first(r, f, anyValue))
	}
	value, ok := 0.0, false
	if a.q.Measure != predicate.CountOnly {
		value, ok = a.asNumber(first(r, a.q.Of, a.isNumber))
	}
	g := a.group()
	if a.add(g, r.Start, value, ok) {
		a.exemplar(g, r.Start, value, r.TraceID, r.SpanID)
	}
}

func (a *aggregator) countValue(v model.Value, start int64) {
	a.keys = append(a.keys[:0], v)
	a.add(a.group(), start, 0, false)
}

// first returns the first acceptable value of a field.
func first(r predicate.Row, f predicate.Field, accept func(model.Value) bool) (out model.Value) {
	r.Lookup(f, func(v model.Value) bool {
		if accept(v) {
			out = v
			return false
		}
		return true
	})
	return out
}

func anyValue(model.Value) bool { return true }

func (a *aggregator) isNumber(v model.Value) bool {
	_, ok := a.asNumber(v)
	return ok
}

// head adds up head i.
func (a *aggregator) head(v *view, i int) {
	h := v.heads[i]
	c := a.bindTo(&h.tables)
	if !c.b.any {
		return
	}
	shared := v.sharedTraces(i)
	if a.headShortcut(c, h, shared) {
		return
	}
	v.stats.AddRows(int64(len(h.rows)))
	cur := &headCursor{s: h}
	for lo := 0; lo < len(h.rows); lo += pageRows {
		c.headRows(cur, lo, min(len(h.rows), lo+pageRows), shared)
	}
}

// sharedTraces returns the traces of head i that other parts have too.
func (v *view) sharedTraces(i int) map[uint32]bool {
	if v.maxSplit() == 0 {
		return nil
	}
	out := map[uint32]bool{}
	h := v.heads[i]
	for t := range h.trs {
		if v.isSplit(h.trs[t].id) {
			out[uint32(t)] = true
		}
	}
	return out
}

// rowRanges are rows of a block: ranges that ascend and do not overlap.
type rowRanges []rowRange

// rowRange is the rows [from, to).
type rowRange struct{ from, to uint32 }

// within returns the ranges that have rows in [lo, hi).
func (r rowRanges) within(lo, hi uint32) rowRanges {
	from, _ := slices.BinarySearchFunc(r, lo, func(x rowRange, lo uint32) int { return cmp.Compare(x.to, lo+1) })
	to := from
	for to < len(r) && r[to].from < hi {
		to++
	}
	return r[from:to]
}

// has reports whether a row is in one of the ranges.
func (r rowRanges) has(n uint32) bool { return len(r) > 0 && len(r.within(n, n+1)) > 0 }

// excluded returns the rows of a block whose traces have spans elsewhere too.
func (v *view) excluded(b *blockReader, side *sidecar) rowRanges {
	if v.splitRows == nil {
		v.splitRows = map[*blockReader][]uint32{}
		v.eachSplit(func(id model.TraceID) bool {
			for _, r := range v.splitRefs(id) {
				if r.block != nil {
					v.splitRows[r.block] = append(v.splitRows[r.block], r.trace)
				}
			}
			return true
		})
	}
	var out rowRanges
	for _, t := range v.splitRows[b] {
		out = append(out, rowRange{side.traces.first[t], side.traces.first[t+1]})
	}
	slices.SortFunc(out, func(a, b rowRange) int { return cmp.Compare(a.from, b.from) })
	return out
}
