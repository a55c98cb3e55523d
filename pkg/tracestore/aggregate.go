package tracestore

import (
	"context"
	"fmt"
	"runtime"

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
		w := *a
		w.groups, w.out.Groups, w.sketches, w.places, w.scratch, w.keys, w.until = map[string]int{}, nil, nil, nil, enc{}, nil, 0
		w.out.Dropped = 0
		workers = append(workers, &w)
	}
	g, gctx := errgroup.WithContext(ctx)
	for i, w := range workers {
		g.Go(func() error { return w.work(gctx, v, jobs, i, n) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, w := range workers[1:] {
		a.merge(w)
	}
	return nil
}

// blockJob is a block to add up; the same for all workers.
type blockJob struct {
	b     *blockReader
	side  *sidecar
	c     *groupCounter
	skip  []bool
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
		c := *j.c
		c.a, c.byClass, c.byCode = a, make([]int32, len(j.side.classes)), nil
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
					a.page(v, &c, cur, page, j.skip)
				}
			}
		}
		if cur.fault != nil {
			v.warn(j.b, cur.fault)
		}
	}
	return nil
}

// merge adds what another aggregator of the same question found.
func (a *aggregator) merge(o *aggregator) {
	from := o.result()
	a.out.Dropped += from.Dropped
	for i := range from.Groups {
		x := &from.Groups[i]
		a.keys = append(a.keys[:0], x.Key...)
		g := a.group()
		if g < 0 {
			for k := range x.Cells {
				a.out.Dropped += int64(x.Cells[k].Count)
			}
			continue
		}
		grp := &a.out.Groups[g]
		for k := range x.Cells {
			grp.Cells[k].Merge(&x.Cells[k])
		}
		for _, e := range x.Exemplars {
			if a.wants(g, e.Bucket) {
				grp.Exemplars = append(grp.Exemplars, e)
			}
		}
	}
}

// aggregator adds rows up. Not safe for concurrent use.
type aggregator struct {
	q       *predicate.Aggregation
	prog    *program
	out     model.Aggregate
	groups  map[string]int
	max     int
	each    bool
	scratch enc
	// sketches are the dense form of the cells' sketches, by group and bucket.
	sketches [][]*sketch
	// places counts the exemplars by group and part of the range.
	places [][]uint16
	// last is the bucket of the times in [from, until).
	last        int
	from, until int64
	keys        []model.Value
}

func newAggregator(q *predicate.Aggregation, spec *model.KeySpec) (*aggregator, error) {
	a := &aggregator{q: q, prog: compile(q.Filter, spec), groups: map[string]int{}, max: q.MaxGroups}
	if a.max <= 0 {
		a.max = defaultMaxGroups
	}
	a.out.Buckets = 1
	if !q.Range.All() {
		a.out.Start = q.Range.Start
	}
	if q.Step > 0 {
		if q.Range.All() {
			return nil, fmt.Errorf("%w: an aggregation with a step of %d ns needs a time range", model.ErrInvalid, q.Step)
		}
		n := (q.Range.End - q.Range.Start + q.Step - 1) / q.Step
		if n > maxBuckets {
			return nil, fmt.Errorf("%w: %d time buckets, at most %d are allowed; use a larger step or a shorter range", model.ErrTooMuch, n, maxBuckets)
		}
		a.out.Step, a.out.Buckets = q.Step, int(max(0, n))
	}
	return a, nil
}

// result finishes the sketches. Sketches of cells that merge filled add up.
func (a *aggregator) result() *model.Aggregate {
	for g, cells := range a.sketches {
		for i, s := range cells {
			if s != nil {
				a.out.Groups[g].Cells[i].Merge(&model.Cell{Sketch: s.finish()})
			}
		}
	}
	a.sketches = nil
	return &a.out
}

// bucket returns the bucket of a time; rows come nearly sorted, so that the
// last answer mostly holds.
func (a *aggregator) bucket(start int64) int {
	if a.out.Step == 0 {
		return 0
	}
	if start < a.from || start >= a.until {
		a.last = int((start - a.out.Start) / a.out.Step)
		a.from = a.out.Start + int64(a.last)*a.out.Step
		a.until = a.from + a.out.Step
	}
	return a.last
}

// group returns the group of the key values at hand, -1 when there is no room
// for another.
func (a *aggregator) group() int {
	a.scratch.b = a.scratch.b[:0]
	for _, v := range a.keys {
		a.scratch.value(v)
	}
	if g, ok := a.groups[string(a.scratch.b)]; ok {
		return g
	}
	if len(a.out.Groups) >= a.max {
		return -1
	}
	g := len(a.out.Groups)
	a.groups[string(a.scratch.b)] = g
	a.out.Groups = append(a.out.Groups, model.AggGroup{Key: append([]model.Value(nil), a.keys...), Cells: make([]model.Cell, a.out.Buckets)})
	return g
}

// add counts one row with its measured number, if it has one, and returns its
// group when that wants exemplars still.
func (a *aggregator) add(g int, start int64, value float64, measured bool) *model.AggGroup {
	if g < 0 {
		a.out.Dropped++
		return nil
	}
	bucket := a.bucket(start)
	grp := &a.out.Groups[g]
	cell := &grp.Cells[bucket]
	if measured {
		cell.Measure(value, false)
		if a.q.Measure == predicate.Quantiles {
			a.sketch(g, bucket).add(value)
		}
	} else {
		cell.Add()
	}
	if a.q.Exemplars > 0 && a.wants(g, bucket) {
		grp.Exemplars = append(grp.Exemplars, model.AggExemplar{Bucket: bucket, Time: start, Value: value})
		return grp
	}
	return nil
}

// wants takes a place for one more exemplar of a group, when there is one. The
// places are spread over the range: the rows read first must not take them all,
// or a chart would name the requests of one end only.
func (a *aggregator) wants(g, bucket int) bool {
	if a.q.Exemplars <= 0 || a.out.Buckets == 0 {
		return false
	}
	slots := min(a.q.Exemplars, a.out.Buckets)
	for len(a.places) <= g {
		a.places = append(a.places, make([]uint16, slots))
	}
	taken := &a.places[g][bucket*slots/a.out.Buckets]
	if int(*taken) >= a.q.Exemplars/slots {
		return false
	}
	*taken++
	return true
}

func (a *aggregator) sketch(g, bucket int) *sketch {
	for len(a.sketches) <= g {
		a.sketches = append(a.sketches, make([]*sketch, a.out.Buckets))
	}
	s := a.sketches[g][bucket]
	if s == nil {
		s = &sketch{}
		a.sketches[g][bucket] = s
	}
	return s
}

// exemplar names the row behind the exemplar that add has just made.
func exemplar(grp *model.AggGroup, t model.TraceID, s model.SpanID) {
	e := &grp.Exemplars[len(grp.Exemplars)-1]
	e.TraceID, e.SpanID = t, s
}

func (a *aggregator) number(v model.Value) (float64, bool) {
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
		value, ok = a.number(first(r, a.q.Of, a.isNumber))
	}
	if grp := a.add(a.group(), r.Start, value, ok); grp != nil {
		exemplar(grp, r.TraceID, r.SpanID)
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
	_, ok := a.number(v)
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
	for n := range h.rows {
		r := &h.rows[n]
		if a.q.Range.Contains(r.start) && !shared[r.trace] {
			c.count(cur, uint32(n), r.class, r.start)
		}
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

func (a *aggregator) page(v *view, c *groupCounter, cur *pageCursor, page int, skip []bool) {
	side := cur.side
	z := &side.zones[page]
	if !a.q.Range.Overlaps(z.minStart, z.maxStart) {
		return
	}
	inside := a.q.Range.All() || z.minStart >= a.q.Range.Start && z.maxStart < a.q.Range.End
	seconds := a.q.Exemplars == 0 && inside && a.out.Start%1e9 == 0 && a.out.Step%1e9 == 0
	cur.turn(page)
	lo, hi := page*pageRows, min(side.rows, (page+1)*pageRows)
	v.stats.AddRows(int64(hi - lo))
	for n := lo; n < hi; n++ {
		class := side.class[n]
		if c.b.verdict[class] == no || skip != nil && skip[n] {
			continue
		}
		var start int64
		if seconds {
			start = (side.base + int64(side.second[n])) * 1e9
		} else if start = cur.start(uint32(n)); !a.q.Range.Contains(start) {
			continue
		}
		c.count(cur, uint32(n), class, start)
	}
}

// excluded marks the rows of a block whose traces have spans elsewhere too;
// nil when there are none.
func (v *view) excluded(b *blockReader, side *sidecar) []bool {
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
	var out []bool
	for _, t := range v.splitRows[b] {
		if out == nil {
			out = make([]bool, side.rows)
		}
		for n := side.traces.first[t]; n < side.traces.first[t+1]; n++ {
			out[n] = true
		}
	}
	return out
}
