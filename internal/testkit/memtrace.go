package testkit

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"sync"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// MemTraces is a query.TraceSource that holds spans in memory and answers by
// trying predicate.Eval on every one of them: slow, and right by definition.
// Tests of languages and APIs run on it, and tests of stores compare with it.
// It is safe for concurrent use.
type MemTraces struct {
	Spec *model.KeySpec // nil means the default keys

	mu   sync.RWMutex
	rows map[tenant.ID][]model.SpanRow // guarded by mu
}

// NewMemTraces returns an empty source.
func NewMemTraces() *MemTraces {
	return &MemTraces{Spec: model.NewKeySpec(nil), rows: map[tenant.ID][]model.SpanRow{}}
}

// Add stores spans of a tenant; it keeps them.
func (m *MemTraces) Add(t tenant.ID, rows ...model.SpanRow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows[t] = append(m.rows[t], rows...)
}

// AddBatches stores spans as they are written.
func (m *MemTraces) AddBatches(t tenant.ID, spans *model.Spans) {
	for i := range spans.Batches {
		b := &spans.Batches[i]
		for j := range b.Spans {
			m.Add(t, model.SpanRow{Resource: b.Resource, Scope: b.Scope, Span: b.Spans[j]})
		}
	}
}

// traces returns the tenant's traces, each with its spans in order.
func (m *MemTraces) traces(t tenant.ID) []*model.TraceMatch {
	m.mu.RLock()
	defer m.mu.RUnlock()
	byID := map[model.TraceID]*model.TraceMatch{}
	var out []*model.TraceMatch
	for i := range m.rows[t] {
		r := m.rows[t][i]
		x := byID[r.TraceID]
		if x == nil {
			x = &model.TraceMatch{}
			byID[r.TraceID] = x
			out = append(out, x)
		}
		x.Spans = append(x.Spans, r)
	}
	for _, x := range out {
		SortSpans(x.Spans)
		for i := range x.Spans {
			x.Facts.Add(&x.Spans[i])
		}
	}
	return out
}

// SortSpans orders spans as sources do: by start, then id.
func SortSpans(rows []model.SpanRow) {
	slices.SortStableFunc(rows, func(a, b model.SpanRow) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), bytes.Compare(a.SpanID[:], b.SpanID[:]))
	})
}

// Trace implements query.TraceSource.
func (m *MemTraces) Trace(ctx context.Context, t tenant.ID, id model.TraceID, stats *model.QueryStats) iter.Seq2[[]model.SpanRow, error] {
	return func(yield func([]model.SpanRow, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(nil, err)
			return
		}
		for _, x := range m.traces(t) {
			if x.Facts.ID == id {
				stats.AddRows(int64(len(x.Spans)))
				yield(x.Spans, nil)
			}
		}
	}
}

// SelectSpans implements query.TraceSource.
func (m *MemTraces) SelectSpans(ctx context.Context, q *predicate.SpanQuery) iter.Seq2[*model.TraceMatch, error] {
	return func(yield func(*model.TraceMatch, error) bool) {
		var found []*model.TraceMatch
		for _, x := range m.traces(q.Tenant) {
			q.Stats.AddRows(int64(len(x.Spans)))
			if m.match(q, x) {
				found = append(found, x)
			}
		}
		slices.SortStableFunc(found, func(a, b *model.TraceMatch) int { return compareTraces(q.Order, &a.Facts, &b.Facts) })
		if q.Limit > 0 && len(found) > q.Limit {
			found = found[:q.Limit]
		}
		for _, x := range found {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !yield(x, nil) {
				return
			}
		}
	}
}

func compareTraces(o predicate.Order, a, b *model.TraceFacts) int {
	c := 0
	switch o {
	case predicate.NewestFirst:
		c = cmp.Compare(b.Start, a.Start)
	case predicate.OldestFirst:
		c = cmp.Compare(a.Start, b.Start)
	case predicate.LongestFirst:
		c = cmp.Compare(b.End-b.Start, a.End-a.Start)
	}
	return cmp.Or(c, bytes.Compare(a.ID[:], b.ID[:]))
}

// match sets the bits of a trace's spans, tells whether it answers, and cuts
// its spans to those asked for.
func (m *MemTraces) match(q *predicate.SpanQuery, x *model.TraceMatch) bool {
	var all uint64
	inRange := false
	for i := range x.Spans {
		s := &x.Spans[i]
		s.Match = 0
		row := predicate.SpanRow{SpanRow: s, Facts: &x.Facts, Spec: m.Spec}
		for bit, f := range q.Filters {
			if f == nil || predicate.Eval(f, row) {
				s.Match |= 1 << bit
			}
		}
		if q.Range.Contains(s.Start) && (s.Match != 0 || len(q.Filters) == 0) {
			all |= s.Match
			inRange = true
		}
	}
	if !inRange || !satisfied(q.Require, all) {
		return false
	}
	if q.Tree {
		return true
	}
	kept := x.Spans[:0]
	for i := range x.Spans {
		if q.Range.Contains(x.Spans[i].Start) && (x.Spans[i].Match != 0 || len(q.Filters) == 0) {
			kept = append(kept, x.Spans[i])
		}
	}
	x.Matched = len(kept)
	if q.SpansPerTrace > 0 && len(kept) > q.SpansPerTrace {
		kept = kept[:q.SpansPerTrace]
	}
	x.Spans = kept
	return true
}

func satisfied(masks []uint64, have uint64) bool {
	for _, m := range masks {
		if have&m == m {
			return true
		}
	}
	return len(masks) == 0
}

// AggregateSpans implements query.TraceSource.
func (m *MemTraces) AggregateSpans(ctx context.Context, a *predicate.Aggregation) (*model.Aggregate, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := &model.Aggregate{Start: a.Range.Start, Step: a.Step, Buckets: 1}
	if a.Step > 0 {
		out.Buckets = int((a.Range.End - a.Range.Start + a.Step - 1) / a.Step)
	}
	maxGroups := cmp.Or(a.MaxGroups, 10_000)
	index := map[string]int{}
	for _, x := range m.traces(a.Tenant) {
		for i := range x.Spans {
			row := predicate.SpanRow{SpanRow: &x.Spans[i], Facts: &x.Facts, Spec: m.Spec}
			if !a.Range.Contains(row.Start) || a.Filter != nil && !predicate.Eval(a.Filter, row) {
				continue
			}
			a.Stats.AddRows(1)
			key, text := groupKey(row, a.By)
			g, ok := index[text]
			if !ok {
				if len(out.Groups) == maxGroups {
					out.Dropped++
					continue
				}
				g = len(out.Groups)
				index[text] = g
				out.Groups = append(out.Groups, model.AggGroup{Key: key, Cells: make([]model.Cell, out.Buckets)})
			}
			bucket := 0
			if a.Step > 0 {
				bucket = int((row.Start - a.Range.Start) / a.Step)
			}
			addTo(&out.Groups[g], a, row, bucket)
		}
	}
	return out, nil
}

func groupKey(row predicate.SpanRow, by []predicate.Field) ([]model.Value, string) {
	key := make([]model.Value, len(by))
	var text strings.Builder
	for i, f := range by {
		row.Lookup(f, func(v model.Value) bool { key[i] = v; return false })
		text.WriteByte(byte(key[i].Kind()))
		text.WriteString(key[i].Text())
		text.WriteByte(0)
	}
	return key, text.String()
}

func addTo(g *model.AggGroup, a *predicate.Aggregation, row predicate.SpanRow, bucket int) {
	c := &g.Cells[bucket]
	v, has := 0.0, false
	if a.Measure != predicate.CountOnly {
		row.Lookup(a.Of, func(x model.Value) bool {
			if a.OfText {
				v, has = x.ParseFloat()
			} else {
				v, has = x.Float()
			}
			return !has
		})
	}
	if has {
		c.Measure(v, a.Measure == predicate.Quantiles)
	} else {
		c.Add()
	}
	if len(g.Exemplars) < a.Exemplars {
		g.Exemplars = append(g.Exemplars, model.AggExemplar{Bucket: bucket, Time: row.Start, Value: v, TraceID: row.TraceID, SpanID: row.SpanID})
	}
}

// SpanFields implements query.TraceSource.
func (m *MemTraces) SpanFields(ctx context.Context, q *predicate.FieldQuery) ([]predicate.FieldInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	counts := map[predicate.FieldInfo]int64{}
	for _, x := range m.traces(q.Tenant) {
		for i := range x.Spans {
			row := predicate.SpanRow{SpanRow: &x.Spans[i], Facts: &x.Facts, Spec: m.Spec}
			if !q.Range.Contains(row.Start) || q.Filter != nil && !predicate.Eval(q.Filter, row) {
				continue
			}
			countFields(row, q, counts)
		}
	}
	out := make([]predicate.FieldInfo, 0, len(counts))
	for k, n := range counts {
		k.Count = n
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b predicate.FieldInfo) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Field.Scope, b.Field.Scope),
			strings.Compare(a.Field.Name, b.Field.Name), strings.Compare(a.Value.Text(), b.Value.Text()))
	})
	return out[:min(len(out), cmp.Or(q.Limit, 1000))], nil
}

func countFields(row predicate.SpanRow, q *predicate.FieldQuery, counts map[predicate.FieldInfo]int64) {
	if q.Field != nil {
		row.Lookup(*q.Field, func(v model.Value) bool {
			if strings.HasPrefix(v.Text(), q.Prefix) {
				counts[predicate.FieldInfo{Field: *q.Field, Value: v, Kind: v.Kind()}]++
			}
			return true
		})
		return
	}
	count := func(scope predicate.Scope, attrs model.Attrs) {
		for _, a := range attrs {
			if strings.HasPrefix(a.Key, q.Prefix) {
				counts[predicate.FieldInfo{Field: predicate.Field{Scope: scope, Name: a.Key}, Kind: a.Value.Kind()}]++
			}
		}
	}
	count(predicate.ScopeRecord, row.Attrs)
	if row.Resource != nil {
		count(predicate.ScopeResource, row.Resource.Attrs)
	}
	if row.Scope != nil {
		count(predicate.ScopeInstrumentation, row.Scope.Attrs)
	}
	for i := range row.Events {
		count(predicate.ScopeEvent, row.Events[i].Attrs)
	}
	for i := range row.Links {
		count(predicate.ScopeLink, row.Links[i].Attrs)
	}
}
