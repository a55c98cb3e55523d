package tracestore

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

const (
	defaultMaxFields = 1000
	// maxDistinct bounds the different values that a value query counts.
	maxDistinct = 100_000
)

// SpanFields lists the fields of spans, or the values of one: see
// query.TraceSource and predicate.FieldQuery.
func (s *Store) SpanFields(ctx context.Context, q *predicate.FieldQuery) ([]predicate.FieldInfo, error) {
	ten := s.tenant(q.Tenant, false)
	if ten == nil {
		return nil, nil
	}
	var out []predicate.FieldInfo
	var err error
	if q.Field == nil {
		out, err = s.fieldNames(ctx, ten, q)
	} else {
		out, err = s.fieldValues(ctx, q)
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b predicate.FieldInfo) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Field.Scope, b.Field.Scope),
			cmp.Compare(a.Field.Name, b.Field.Name), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value.Text(), b.Value.Text()))
	})
	limit := q.Limit
	if limit <= 0 {
		limit = defaultMaxFields
	}
	return out[:min(len(out), limit)], nil
}

// fieldValues counts the values of a field as an aggregation by it does, but
// each of several values of one span.
func (s *Store) fieldValues(ctx context.Context, q *predicate.FieldQuery) ([]predicate.FieldInfo, error) {
	agg := &predicate.Aggregation{
		Tenant: q.Tenant, Range: q.Range, Filter: q.Filter, By: []predicate.Field{*q.Field}, MaxGroups: maxDistinct, Stats: q.Stats,
	}
	many := q.Field.Scope == predicate.ScopeEvent || q.Field.Scope == predicate.ScopeLink
	res, err := s.aggregate(ctx, agg, many)
	if err != nil {
		return nil, err
	}
	if res.Dropped > 0 {
		q.Stats.Warn("field %s has more than %d different values, not all were counted", q.Field, maxDistinct)
	}
	var out []predicate.FieldInfo
	for _, g := range res.Groups {
		v := g.Key[0]
		if g.Cells[0].Count == 0 || !strings.HasPrefix(v.Text(), q.Prefix) || v.Kind() == model.KindEmpty {
			continue
		}
		out = append(out, predicate.FieldInfo{Field: *q.Field, Value: v, Kind: v.Kind(), Count: int64(g.Cells[0].Count)})
	}
	return out, nil
}

type fieldKey struct {
	scope predicate.Scope
	name  string
	kind  model.ValueKind
}

// fieldNames counts the spans that carry each attribute. Attributes follow from
// the class, so that no column is read unless the filter needs one.
func (s *Store) fieldNames(ctx context.Context, ten *tenantStore, q *predicate.FieldQuery) ([]predicate.FieldInfo, error) {
	v := ten.view(q.Stats)
	defer v.release()
	v.prepare()
	prog := compile(q.Filter, s.opts.KeySpec())
	counts := map[fieldKey]int64{}
	for i := range v.heads {
		v.headFields(i, prog, q.Range, counts)
	}
	for _, b := range v.blocks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := v.blockFields(b, prog, q, counts); err != nil {
			v.warn(b, err)
		}
	}
	v.eachWhole(ctx, q.Range, prog, func(r *model.SpanRow, facts *model.TraceFacts) { splitFields(r, facts, prog, q, counts) })
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var out []predicate.FieldInfo
	for k, n := range counts {
		if strings.HasPrefix(k.name, q.Prefix) {
			out = append(out, predicate.FieldInfo{Field: predicate.Field{Scope: k.scope, Name: k.name}, Kind: k.kind, Count: n})
		}
	}
	return out, nil
}

// headFields counts the attributes of head i: by class, where that decides, and
// else row by row.
func (v *view) headFields(i int, prog *program, in model.TimeRange, counts map[fieldKey]int64) {
	h := v.heads[i]
	b, shared, cur := prog.bind(&h.tables), v.sharedTraces(i), &headCursor{s: h}
	whole := len(shared) == 0 && (in.All() || h.lo >= in.Start && h.hi < in.End) && !slices.Contains(b.verdict, maybe)
	perClass := make([]int64, len(h.classes))
	parts := !whole
	if whole {
		for c, n := range h.classRows {
			if b.verdict[c] == yes {
				perClass[c] = int64(n)
				parts = parts || n > 0 && h.classes[c].bits&(hasEvents|hasLinks) != 0
			}
		}
	}
	for n := 0; parts && n < len(h.rows); n++ {
		r := &h.rows[n]
		if whole && b.verdict[r.class] == yes {
			countParts(counts, &h.tables, r.class, cur, uint32(n))
		} else if !whole && in.Contains(r.start) && !shared[r.trace] && b.matches(cur, uint32(n), r.class) {
			perClass[r.class]++
			countParts(counts, &h.tables, r.class, cur, uint32(n))
		}
	}
	countKeys(counts, &h.tables, perClass)
}

func (b *binding) matches(cur cursor, n, class uint32) bool {
	switch b.verdict[class] {
	case no:
		return false
	case yes:
		return true
	}
	return b.test(cur, n, class)
}

func (v *view) blockFields(b *blockReader, prog *program, q *predicate.FieldQuery, counts map[fieldKey]int64) error {
	if !b.Overlaps(q.Range) {
		v.stats.AddBlocks(0, 1)
		return nil
	}
	side, err := b.sidecar()
	if err != nil {
		return err
	}
	v.stats.AddBlocks(1, 0)
	bound, perClass := prog.bind(&side.tables), make([]int64, len(side.classes))
	cur, skip := newPageCursor(b, side, len(prog.leaves), v.stats), v.excluded(b, side)
	if b.coveredBy(q.Range) && !slices.Contains(bound.verdict, maybe) {
		countClasses(counts, cur, bound, skip)
		return cur.fault
	}
	for page := range side.zones {
		z := &side.zones[page]
		if !q.Range.Overlaps(z.minStart, z.maxStart) {
			continue
		}
		inside := q.Range.All() || z.minStart >= q.Range.Start && z.maxStart < q.Range.End
		cur.turn(page)
		for n := page * pageRows; n < min(side.rows, (page+1)*pageRows); n++ {
			class := side.class.at(uint32(n))
			if !skip.has(uint32(n)) && (inside || q.Range.Contains(cur.start(uint32(n)))) && bound.matches(cur, uint32(n), class) {
				perClass[class]++
				countParts(counts, &side.tables, class, cur, uint32(n))
			}
		}
		if cur.fault != nil {
			return cur.fault
		}
	}
	countKeys(counts, &side.tables, perClass)
	return nil
}

// partCount says how often the events and links of a class have an attribute.
type partCount struct {
	class uint32
	key   fieldKey
	n     int64
}

// maxPartCounts bounds what a sidecar remembers of events and links.
const maxPartCounts = 1 << 14

// countClasses counts the attributes of a block whose classes all are decided:
// those of all rows, less those to be left out.
func countClasses(counts map[fieldKey]int64, cur *pageCursor, bound *binding, skip rowRanges) {
	side := cur.side
	perClass, less := make([]int64, len(side.classes)), map[fieldKey]int64{}
	for c, verdict := range bound.verdict {
		if verdict == yes {
			perClass[c] = int64(side.classRows[c])
		}
	}
	for _, r := range skip {
		for n := r.from; n < r.to; n++ {
			if class := side.class.at(n); bound.verdict[class] == yes {
				perClass[class]--
				cur.turn(int(n / pageRows))
				countParts(less, &side.tables, class, cur, n)
			}
		}
	}
	countKeys(counts, &side.tables, perClass)
	for _, x := range partCounts(cur) {
		if bound.verdict[x.class] == yes {
			counts[x.key] += x.n
		}
	}
	for key, n := range less {
		if counts[key] -= n; counts[key] == 0 {
			delete(counts, key)
		}
	}
}

// partCounts counts the attributes of all events and links of a block. A block
// does not change: what was counted once is remembered, unless it is too much.
func partCounts(cur *pageCursor) []partCount {
	side := cur.side
	if known := side.within.Load(); known != nil {
		return *known
	}
	byClass := map[uint32]map[fieldKey]int64{}
	for n := range side.rows {
		class := side.class.at(uint32(n))
		if side.classes[class].bits&(hasEvents|hasLinks) == 0 {
			continue
		}
		counts := byClass[class]
		if counts == nil {
			counts = map[fieldKey]int64{}
			byClass[class] = counts
		}
		cur.turn(n / pageRows)
		countPartsOf(counts, cur.events(uint32(n)), cur.links(uint32(n)))
		if cur.fault != nil {
			return nil
		}
	}
	out := []partCount{}
	for class, counts := range byClass {
		for key, n := range counts {
			out = append(out, partCount{class, key, n})
		}
	}
	if len(out) <= maxPartCounts {
		side.within.Store(&out)
	}
	return out
}

// splitFields counts the attributes of a span of a trace that several parts
// hold.
func splitFields(r *model.SpanRow, facts *model.TraceFacts, prog *program, q *predicate.FieldQuery, counts map[fieldKey]int64) {
	if !q.Range.Contains(r.Start) || !predicate.Eval(prog.expr, predicate.SpanRow{SpanRow: r, Facts: facts, Spec: prog.spec}) {
		return
	}
	for scope, attrs := range map[predicate.Scope]model.Attrs{
		predicate.ScopeRecord: r.Attrs, predicate.ScopeResource: r.Resource.Attrs, predicate.ScopeInstrumentation: r.Scope.Attrs,
	} {
		for _, a := range attrs {
			counts[fieldKey{scope, a.Key, a.Value.Kind()}]++
		}
	}
	countPartsOf(counts, r.Events, r.Links)
}

// countKeys adds the attributes that follow from the classes. Many classes share
// a shape, a resource and a scope: those are added up first.
func countKeys(counts map[fieldKey]int64, t *tables, perClass []int64) {
	shapes, resources, scopes := make([]int64, len(t.shapes)), make([]int64, len(t.resources)), make([]int64, len(t.scopes))
	for c, n := range perClass {
		cl := &t.classes[c]
		shapes[cl.shape] += n
		resources[cl.resource] += n
		scopes[cl.scope] += n
	}
	for i, n := range shapes {
		if n == 0 {
			continue
		}
		for _, k := range t.shapes[i] {
			counts[fieldKey{predicate.ScopeRecord, k.name, k.kind}] += n
		}
	}
	for i, n := range resources {
		if n == 0 {
			continue
		}
		for _, a := range t.resources[i].Attrs {
			counts[fieldKey{predicate.ScopeResource, a.Key, a.Value.Kind()}] += n
		}
	}
	for i, n := range scopes {
		if n == 0 {
			continue
		}
		for _, a := range t.scopes[i].Attrs {
			counts[fieldKey{predicate.ScopeInstrumentation, a.Key, a.Value.Kind()}] += n
		}
	}
}

// countParts adds the attributes of a span's events and links.
func countParts(counts map[fieldKey]int64, t *tables, class uint32, cur cursor, n uint32) {
	if bits := t.classes[class].bits; bits&(hasEvents|hasLinks) != 0 {
		countPartsOf(counts, cur.events(n), cur.links(n))
	}
}

func countPartsOf(counts map[fieldKey]int64, events []model.SpanEvent, links []model.SpanLink) {
	for _, e := range events {
		for _, a := range e.Attrs {
			counts[fieldKey{predicate.ScopeEvent, a.Key, a.Value.Kind()}]++
		}
	}
	for _, l := range links {
		for _, a := range l.Attrs {
			counts[fieldKey{predicate.ScopeLink, a.Key, a.Value.Kind()}]++
		}
	}
}
