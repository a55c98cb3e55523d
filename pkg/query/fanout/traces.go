package fanout

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"sort"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// Traces asks several trace sources. A trace may be split between them.
type Traces struct {
	Parts []Part[query.TraceSource]
	// KeySpec is needed to try filters again on joined traces.
	KeySpec func() *model.KeySpec
}

var _ query.TraceSource = (*Traces)(nil)

// traceBatch is how many spans of a joined trace are yielded at once.
const traceBatch = 4096

// Trace joins the parts of one trace.
func (t *Traces) Trace(ctx context.Context, tn tenant.ID, id model.TraceID, stats *model.QueryStats) iter.Seq2[[]model.SpanRow, error] {
	return func(yield func([]model.SpanRow, error) bool) {
		spans, err := t.join(ctx, tn, id, stats)
		if err != nil {
			yield(nil, err)
			return
		}
		for len(spans) > 0 {
			n := min(len(spans), traceBatch)
			if !yield(spans[:n:n], nil) {
				return
			}
			spans = spans[n:]
		}
	}
}

// join returns all spans of a trace, ordered by start then span id, identical
// ones once.
func (t *Traces) join(ctx context.Context, tn tenant.ID, id model.TraceID, stats *model.QueryStats) ([]model.SpanRow, error) {
	parts, err := gather(ctx, t.Parts, stats, func(ctx context.Context, s query.TraceSource) ([]model.SpanRow, error) {
		var out []model.SpanRow
		for batch, err := range s.Trace(ctx, tn, id, stats) {
			if err != nil {
				return nil, err
			}
			out = append(out, batch...)
		}
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	var all []model.SpanRow
	for _, p := range parts {
		all = append(all, p...)
	}
	sort.SliceStable(all, func(i, j int) bool {
		if all[i].Start != all[j].Start {
			return all[i].Start < all[j].Start
		}
		return string(all[i].SpanID[:]) < string(all[j].SpanID[:])
	})
	return dropRepeats(all), nil
}

// dropRepeats leaves out spans equal to one before them with the same id and
// start: what two replicas hold, or a retry that reached another ingester.
func dropRepeats(spans []model.SpanRow) []model.SpanRow {
	out := spans[:0]
	for i := range spans {
		repeat := false
		for j := len(out) - 1; j >= 0 && out[j].Start == spans[i].Start && out[j].SpanID == spans[i].SpanID; j-- {
			if reflect.DeepEqual(out[j].Span, spans[i].Span) && reflect.DeepEqual(out[j].Resource, spans[i].Resource) {
				repeat = true
				break
			}
		}
		if !repeat {
			out = append(out, spans[i])
		}
	}
	return out
}

// SelectSpans finds candidate traces in every part by any of the filters, then
// joins each candidate over all parts and tries the filters on the whole. So a
// trace whose spans lie in two places answers as if they lay in one.
func (t *Traces) SelectSpans(ctx context.Context, q *predicate.SpanQuery) iter.Seq2[*model.TraceMatch, error] {
	if len(t.Parts) == 1 {
		return t.Parts[0].Source.SelectSpans(ctx, q)
	}
	return func(yield func(*model.TraceMatch, error) bool) {
		ids, err := t.candidates(ctx, q)
		if err != nil {
			yield(nil, err)
			return
		}
		given := 0
		for _, id := range ids {
			spans, err := t.join(ctx, q.Tenant, id, q.Stats)
			if err != nil {
				yield(nil, err)
				return
			}
			m := t.match(q, id, spans)
			if m == nil {
				continue
			}
			if !yield(m, nil) {
				return
			}
			if given++; given == q.Limit {
				return
			}
		}
	}
}

// candidates lists the traces of which some part holds a matching span, in the
// order asked for. When a single part can decide whether a trace answers, each
// part is asked for no more than the limit.
func (t *Traces) candidates(ctx context.Context, q *predicate.SpanQuery) ([]model.TraceID, error) {
	loose := *q
	loose.Require, loose.Tree, loose.SpansPerTrace = nil, false, 1
	for _, mask := range q.Require {
		if mask&(mask-1) != 0 { // needs two filters at once: the parts cannot tell
			loose.Limit = 0
		}
	}
	parts, err := gather(ctx, t.Parts, q.Stats, func(ctx context.Context, s query.TraceSource) ([]model.TraceFacts, error) {
		var out []model.TraceFacts
		for m, err := range s.SelectSpans(ctx, &loose) {
			if err != nil {
				return nil, err
			}
			if out = append(out, m.Facts); len(out) > maxCandidates {
				return nil, fmt.Errorf("%w: more than %d traces match: narrow the time range or the query", model.ErrTooMuch, maxCandidates)
			}
		}
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	joined := map[model.TraceID]*model.TraceFacts{}
	for _, p := range parts {
		for i := range p {
			f := joined[p[i].ID]
			if f == nil {
				f = &model.TraceFacts{}
				joined[p[i].ID] = f
			}
			f.Merge(&p[i])
		}
	}
	list := make([]*model.TraceFacts, 0, len(joined))
	for _, f := range joined {
		list = append(list, f)
	}
	sort.Slice(list, func(i, j int) bool { return traceBefore(list[i], list[j], q.Order) })
	ids := make([]model.TraceID, len(list))
	for i, f := range list {
		ids[i] = f.ID
	}
	return ids, nil
}

// maxCandidates bounds the ids held in memory for one query: 100,000 traces
// are 20 MB of facts.
const maxCandidates = 100_000

func traceBefore(a, b *model.TraceFacts, order predicate.Order) bool {
	x, y := a.Start, b.Start
	switch order {
	case predicate.LongestFirst:
		x, y = a.End-a.Start, b.End-b.Start
	case predicate.OldestFirst:
		x, y = -x, -y
	}
	if x != y {
		return x > y
	}
	return string(a.ID[:]) < string(b.ID[:])
}

// match tries the filters on a joined trace; nil when it does not answer.
func (t *Traces) match(q *predicate.SpanQuery, id model.TraceID, spans []model.SpanRow) *model.TraceMatch {
	m := &model.TraceMatch{Facts: model.TraceFacts{ID: id}}
	for i := range spans {
		m.Facts.Add(&spans[i])
	}
	var spec *model.KeySpec
	if t.KeySpec != nil {
		spec = t.KeySpec()
	}
	var seen uint64
	inRange := false
	for i := range spans {
		spans[i].Match = 0
		if !q.Range.Contains(spans[i].Start) {
			continue
		}
		inRange = true
		row := predicate.SpanRow{SpanRow: &spans[i], Facts: &m.Facts, Spec: spec}
		for b, f := range q.Filters {
			if predicate.Eval(f, row) {
				spans[i].Match |= 1 << b
			}
		}
		seen |= spans[i].Match
	}
	if !inRange || !answers(q, seen) {
		return nil
	}
	for i := range spans {
		if q.Tree || spans[i].Match != 0 || len(q.Filters) == 0 && q.Range.Contains(spans[i].Start) {
			if !q.Tree && q.SpansPerTrace > 0 && len(m.Spans) == q.SpansPerTrace {
				break
			}
			m.Spans = append(m.Spans, spans[i])
		}
	}
	return m
}

func answers(q *predicate.SpanQuery, seen uint64) bool {
	if len(q.Filters) == 0 {
		return true
	}
	if len(q.Require) == 0 {
		return seen != 0
	}
	for _, mask := range q.Require {
		if seen&mask == mask {
			return true
		}
	}
	return false
}

// AggregateSpans adds the parts' partial results.
func (t *Traces) AggregateSpans(ctx context.Context, q *predicate.Aggregation) (*model.Aggregate, error) {
	parts, err := gather(ctx, t.Parts, q.Stats, func(ctx context.Context, s query.TraceSource) (*model.Aggregate, error) {
		return s.AggregateSpans(ctx, q)
	})
	if err != nil {
		return nil, err
	}
	return mergeAggregates(parts), nil
}

// SpanFields adds the parts' counts.
func (t *Traces) SpanFields(ctx context.Context, q *predicate.FieldQuery) ([]predicate.FieldInfo, error) {
	parts, err := gather(ctx, t.Parts, q.Stats, func(ctx context.Context, s query.TraceSource) ([]predicate.FieldInfo, error) {
		return s.SpanFields(ctx, q)
	})
	if err != nil {
		return nil, err
	}
	return mergeFields(parts, q.Limit), nil
}
