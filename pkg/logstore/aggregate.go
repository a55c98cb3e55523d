package logstore

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

const (
	defaultGroups = 10_000
	// maxCells bounds groups times buckets of an answer: some 400 MB.
	maxCells = 4 << 20
)

// AggregateLogs counts and measures rows: see query.LogSource.
func (s *Store) AggregateLogs(ctx context.Context, q *predicate.Aggregation) (*model.Aggregate, error) {
	s.metrics.queries.Inc()
	if q.Step < 0 {
		return nil, fmt.Errorf("%w: step %d ns; it must be positive, or 0 for one bucket", model.ErrInvalid, q.Step)
	}
	sc, err := s.newScan(ctx, q.Tenant, q.Range, q.Filter, q.Stats)
	if err != nil {
		return nil, err
	}
	defer sc.close()
	out := &model.Aggregate{Step: q.Step, Start: q.Range.Start, Buckets: 1}
	if q.Step > 0 {
		if err := setBuckets(out, q, sc.cands); err != nil {
			return nil, err
		}
	}
	workers := make([]*aggregator, len(sc.arenas))
	runs := sc.runs(4 * len(workers))
	ahead := out.Buckets > 1 || slices.ContainsFunc(q.By, byKeys)
	err = parallel(ctx, len(workers), len(runs), func(w, i int) (bool, error) {
		if workers[w] == nil {
			workers[w] = newAggregator(q, out)
		}
		run := runs[i]
		if c := &sc.cands[run.from]; ahead && run.end > run.from+1 && c.part.reader != nil {
			c.part.reader.readAhead(c.part.dir, c.index, sc.cands[run.end-1].index, sc.stats, &sc.arenas[w])
		}
		for i := run.from; i < run.end; i++ {
			if err := sc.aggregate(w, workers[w], i); err != nil {
				return false, err
			}
		}
		return true, ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	merged := &mergedGroups{}
	workers = slices.DeleteFunc(workers, func(a *aggregator) bool { return a == nil })
	for len(workers) > 1 && workers[0].absorb(workers[len(workers)-1]) {
		workers = workers[:len(workers)-1]
	}
	for i, w := range workers {
		w.result(merged, i == len(workers)-1)
	}
	out.Groups = merged.order
	out.Dropped = merged.drops
	return out, nil
}

// byKeys reports whether the values of a field are among a page's keys.
func byKeys(f predicate.Field) bool {
	return f.Scope == predicate.ScopeIntrinsic && (f.Name == predicate.Severity || f.Name == predicate.Level) || f.Scope == predicate.ScopeResource
}

// candidateRun is neighbouring candidates: pages of one part, one behind the
// other.
type candidateRun struct{ from, end int }

// maxRun bounds the pages of a run.
const maxRun = 32

// runs sorts the candidates by part, newest first so that the groups kept are
// the recent ones, and page, and cuts them into runs: at least so many, if the
// pages suffice.
func (sc *scan) runs(least int) []candidateRun {
	newest := map[*part]int64{}
	var parts []*part
	for i := range sc.cands {
		c := &sc.cands[i]
		if t, ok := newest[c.part]; !ok {
			newest[c.part] = c.maxT
			parts = append(parts, c.part)
		} else if c.maxT > t {
			newest[c.part] = c.maxT
		}
	}
	slices.SortStableFunc(parts, func(a, b *part) int { return cmp.Compare(newest[b], newest[a]) })
	order := make(map[*part]int, len(parts))
	for i, p := range parts {
		order[p] = i
	}
	slices.SortFunc(sc.cands, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(order[a.part], order[b.part]), cmp.Compare(a.index, b.index))
	})
	longest := min(maxRun, max(1, len(sc.cands)/least))
	var out []candidateRun
	for i := range sc.cands {
		c := &sc.cands[i]
		if n := len(out) - 1; n >= 0 && out[n].end-out[n].from < longest && sc.cands[i-1].part == c.part && sc.cands[i-1].index+1 == c.index {
			out[n].end++
			continue
		}
		out = append(out, candidateRun{i, i + 1})
	}
	return out
}

// setBuckets computes the buckets; an unbounded range takes the data's.
func setBuckets(out *model.Aggregate, q *predicate.Aggregation, cands []candidate) error {
	end := q.Range.End
	if q.Range.All() {
		lo, hi := int64(math.MaxInt64), int64(math.MinInt64)
		for _, c := range cands {
			lo, hi = min(lo, c.minT), max(hi, c.maxT)
		}
		if lo > hi {
			return nil
		}
		out.Start = lo - ((lo%q.Step)+q.Step)%q.Step
		end = hi + 1
	}
	n := (end - out.Start + q.Step - 1) / q.Step
	if n > maxCells {
		return fmt.Errorf("%w: %d buckets; use a wider step or a shorter range", model.ErrTooMuch, n)
	}
	out.Buckets = int(max(1, n))
	return nil
}

// aggregate adds one candidate page.
func (sc *scan) aggregate(worker int, a *aggregator, i int) error {
	c := &sc.cands[i]
	p := c.open(sc.stats, &sc.arenas[worker])
	rows, err := sc.match(c, p)
	if err != nil || rows == nil {
		return err
	}
	if err = a.page(c.part, p, rows); err != nil && c.part.reader != nil && damaged(err) {
		sc.warn(c.part.reader, err)
		return nil
	}
	return err
}

// aggregator is one worker's partial answer.
type aggregator struct {
	q      *predicate.Aggregation
	start  int64
	n      int // buckets
	max    int // groups
	fields []*interner
	levels []comboLevel // of the second and later fields
	ids    []int32      // combination -> group + 1, -1: there were too many
	groups []*aggGroup
	slab   aggSlab
	drops  int64
	keys   []uint32 // by row, as are buckets and nums: scratch
	own    []uint32 // room for keys
	bucket []int32
	nums   []measured
	sel    []uint16 // the rows that answer: one of the two below
	list   []uint16 // scratch
	every  []uint16 // 0, 1, 2...
	parts  map[*part]*partReaders
	// flat counts rows by combination and bucket when counting is all that is
	// asked; groups are made of it in the end.
	flat   bool
	counts []uint64
	codes  []uint32 // scratch
}

// comboLevel numbers the combinations of what the fields before gave with the
// values of one more field.
type comboLevel struct {
	ids   map[uint64]uint32
	pairs []uint64
}

type partReaders struct {
	by []*fieldReader
	of *fieldReader
}

type aggGroup struct {
	key       []uint32 // values by field, in the field's interner
	cells     []model.Cell
	dense     []*denseSketch
	exemplars []model.AggExemplar
}

// other is the combination of rows whose group cannot be kept any more.
const other = math.MaxUint32

func newAggregator(q *predicate.Aggregation, out *model.Aggregate) *aggregator {
	a := &aggregator{q: q, start: out.Start, n: out.Buckets, max: q.MaxGroups, parts: map[*part]*partReaders{},
		flat: q.Measure == predicate.CountOnly && q.Exemplars == 0}
	if a.max <= 0 {
		a.max = defaultGroups
	}
	for range q.By {
		a.fields = append(a.fields, newInterner())
		a.levels = append(a.levels, comboLevel{ids: map[uint64]uint32{}})
	}
	return a
}

// page adds the rows of a page. Nothing is counted when it fails.
func (a *aggregator) page(part *part, p *page, rows bitset) error {
	r := a.parts[part]
	if r == nil {
		r = &partReaders{}
		for _, f := range a.q.By {
			r.by = append(r.by, newFieldReader(f, p.table))
		}
		r.of = newFieldReader(a.q.Of, p.table)
		a.parts[part] = r
	}
	if a.flat && a.n == 1 && len(r.by) == 0 {
		if len(a.counts) == 0 {
			a.counts = make([]uint64, 1)
		}
		a.counts[0] += uint64(rows.count())
		return nil
	}
	if rows.count() == p.rows {
		for i := len(a.every); i < p.rows; i++ {
			a.every = append(a.every, uint16(i))
		}
		a.sel = a.every[:p.rows]
	} else {
		a.list = rows.list(a.list[:0])
		a.sel = a.list
	}
	if a.flat && a.n == 1 && len(r.by) == 1 && len(a.sel) == p.rows {
		if done, err := a.countCodes(r.by[0], p); done || err != nil {
			return err
		}
	}
	if err := a.groupRows(r.by, p, rows); err != nil {
		return err
	}
	if a.flat && a.n > 1 && len(a.sel) == p.rows {
		return a.countStretches(p)
	}
	if err := a.bucketRows(p); err != nil {
		return err
	}
	if a.flat {
		return a.countFlat()
	}
	if a.q.Measure != predicate.CountOnly {
		var err error
		if a.nums, err = r.of.numbers(a.nums, p, rows, a.q); err != nil {
			return err
		}
	}
	var trace *vector
	if a.q.Exemplars > 0 {
		var err error
		if trace, err = p.intrinsic(colTrace); err != nil {
			return err
		}
		if _, err = p.intrinsic(colSpan); err != nil {
			return err
		}
		if _, err = p.time(); err != nil {
			return err
		}
	}
	return a.countRows(p, trace)
}

// groupRows sets a.keys to the combination of every row.
func (a *aggregator) groupRows(by []*fieldReader, p *page, rows bitset) error {
	full := a.full()
	if len(by) == 1 {
		var err error
		a.keys, err = by[0].values(p, rows, a.sel, a.fields[0], full)
		return err
	}
	if cap(a.own) < p.rows {
		a.own = make([]uint32, p.rows)
	}
	a.keys = a.own[:p.rows]
	clear(a.keys)
	for i, r := range by {
		vals, err := r.values(p, rows, a.sel, a.fields[i], full)
		if err != nil {
			return err
		}
		if i == 0 {
			copy(a.keys, vals)
			continue
		}
		l := &a.levels[i]
		lastFrom, lastTo := uint64(math.MaxUint64), uint32(0)
		for _, row := range a.sel {
			from := uint64(a.keys[row])<<32 | uint64(vals[row])
			if from != lastFrom {
				lastFrom, lastTo = from, l.number(from, full)
			}
			a.keys[row] = lastTo
		}
	}
	return nil
}

// full reports whether no more groups can be kept.
func (a *aggregator) full() bool {
	if a.flat {
		return a.combinations() > a.max
	}
	return len(a.groups) >= a.max
}

// combinations is how many combinations have a number.
func (a *aggregator) combinations() int {
	switch n := len(a.fields); n {
	case 0:
		return 1
	case 1:
		return len(a.fields[0].vals)
	default:
		return len(a.levels[n-1].pairs)
	}
}

func (l *comboLevel) number(pair uint64, full bool) uint32 {
	if uint32(pair) == other || uint32(pair>>32) == other {
		return other
	}
	to, ok := l.ids[pair]
	if !ok {
		if full {
			return other
		}
		to = uint32(len(l.pairs))
		l.pairs = append(l.pairs, pair)
		l.ids[pair] = to
	}
	return to
}

func (a *aggregator) bucketRows(p *page) error {
	if cap(a.bucket) < p.rows {
		a.bucket = make([]int32, p.rows)
	}
	a.bucket = a.bucket[:p.rows]
	if a.n == 1 {
		clear(a.bucket)
		return nil
	}
	times, err := p.time()
	if err != nil {
		return err
	}
	at, lo, hi := int32(0), int64(0), int64(0) // the last row's bucket and its bounds
	for _, row := range a.sel {
		if t := times[row]; t < lo || t >= hi {
			b := (t - a.start) / a.q.Step
			at, lo, hi = int32(b), a.start+b*a.q.Step, a.start+(b+1)*a.q.Step
		}
		a.bucket[row] = at
	}
	return nil
}

// countRows adds the rows to their cells.
func (a *aggregator) countRows(p *page, trace *vector) error {
	tooMany := false
	lastKey, lastGroup := uint32(other), (*aggGroup)(nil)
	for _, r := range a.sel {
		row := int(r)
		if k := a.keys[row]; k != lastKey {
			lastKey, lastGroup = k, a.group(k, &tooMany)
		}
		g := lastGroup
		if g == nil {
			a.drops++
			continue
		}
		b := a.bucket[row]
		cell := &g.cells[b]
		if a.q.Measure == predicate.CountOnly || !a.nums[row].ok {
			cell.Add()
		} else {
			cell.Measure(a.nums[row].v, false)
			if a.q.Measure == predicate.Quantiles {
				g.sketch(int(b), a.n).add(a.nums[row].v)
			}
		}
		if len(g.exemplars) < a.q.Exemplars {
			a.exemplar(g, p, row, trace)
		}
	}
	if tooMany {
		return errCells
	}
	return nil
}

var errCells = fmt.Errorf("%w: more than %d cells of groups and buckets; group by less, use a wider step or a shorter range", model.ErrTooMuch, maxCells)

// group returns the group of a combination, nil when there are too many.
func (a *aggregator) group(key uint32, tooMany *bool) *aggGroup {
	if key == other {
		return nil
	}
	if int(key) >= len(a.ids) {
		a.ids = append(a.ids, make([]int32, int(key)+1-len(a.ids)+len(a.ids)/2)...)
	}
	switch i := a.ids[key]; {
	case i > 0:
		return a.groups[i-1]
	case i < 0:
		return nil
	}
	if a.full() {
		a.ids[key] = -1
		return nil
	}
	if (len(a.groups)+1)*a.n > maxCells {
		*tooMany = true
		return nil
	}
	g := a.slab.group(a.n)
	g.key = a.keyOf(key)
	a.groups = append(a.groups, g)
	a.ids[key] = int32(len(a.groups))
	return g
}

// aggSlab makes groups many at a time.
type aggSlab struct {
	groups []aggGroup
	cells  []model.Cell
	keys   []uint32
}

func (s *aggSlab) group(buckets int) *aggGroup {
	if len(s.groups) == 0 {
		s.groups = make([]aggGroup, 64)
	}
	if len(s.cells) < buckets {
		s.cells = make([]model.Cell, max(buckets, min(64*buckets, 4096)))
	}
	g := &s.groups[0]
	s.groups = s.groups[1:]
	g.cells = s.cells[:buckets:buckets]
	s.cells = s.cells[buckets:]
	return g
}

func (s *aggSlab) key(n int) []uint32 {
	if len(s.keys) < n {
		s.keys = make([]uint32, max(n, 256))
	}
	k := s.keys[:n:n]
	s.keys = s.keys[n:]
	return k
}

// keyOf takes a combination apart.
func (a *aggregator) keyOf(key uint32) []uint32 {
	out := a.slab.key(len(a.q.By))
	for i := len(out) - 1; i > 0; i-- {
		pair := a.levels[i].pairs[key]
		out[i] = uint32(pair)
		key = uint32(pair >> 32)
	}
	if len(out) > 0 {
		out[0] = key
	}
	return out
}

func (g *aggGroup) sketch(bucket, of int) *denseSketch {
	if g.dense == nil {
		g.dense = make([]*denseSketch, of)
	}
	if g.dense[bucket] == nil {
		g.dense[bucket] = &denseSketch{}
	}
	return g.dense[bucket]
}

func (a *aggregator) exemplar(g *aggGroup, p *page, row int, trace *vector) {
	i := trace.index(row)
	if i < 0 {
		return
	}
	e := model.AggExemplar{Bucket: int(a.bucket[row]), Time: p.times[row]}
	copy(e.TraceID[:], trace.fixed(i))
	if span, _ := p.intrinsic(colSpan); span.index(row) >= 0 {
		copy(e.SpanID[:], span.fixed(span.index(row)))
	}
	if a.q.Measure != predicate.CountOnly {
		e.Value = a.nums[row].v
	}
	g.exemplars = append(g.exemplars, e)
}

// mergedGroups joins the workers' groups by key.
type mergedGroups struct {
	byKey map[string]int
	order []model.AggGroup
	drops int64
}

// result adds the worker's groups to the answer; last says that no other worker
// comes after it.
func (a *aggregator) result(m *mergedGroups, last bool) {
	if a.flat {
		a.flatGroups()
	}
	var key []byte
	all := make([]model.Value, len(a.groups)*len(a.q.By))
	m.order = slices.Grow(m.order, len(a.groups))
	for _, g := range a.groups {
		key = key[:0]
		vals := all[:len(g.key):len(g.key)]
		all = all[len(g.key):]
		for i, id := range g.key {
			vals[i] = a.fields[i].vals[id]
			if !last || m.byKey != nil {
				key = appendValue(key, vals[i])
			}
		}
		for b, d := range g.dense {
			if d != nil {
				g.cells[b].Sketch = d.sketch()
			}
		}
		at, ok := m.byKey[string(key)]
		if !ok {
			if len(m.order) >= a.max {
				for i := range g.cells {
					m.drops += int64(g.cells[i].Count)
				}
				continue
			}
			if !last {
				if m.byKey == nil {
					m.byKey = make(map[string]int, len(a.groups))
				}
				m.byKey[string(key)] = len(m.order)
			}
			m.order = append(m.order, model.AggGroup{Key: vals, Cells: g.cells, Exemplars: g.exemplars})
			continue
		}
		to := &m.order[at]
		for i := range g.cells {
			to.Cells[i].Merge(&g.cells[i])
		}
		for _, e := range g.exemplars {
			if len(to.Exemplars) < a.q.Exemplars {
				to.Exemplars = append(to.Exemplars, e)
			}
		}
	}
	m.drops += a.drops
}
