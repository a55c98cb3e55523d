package fanout

import (
	"context"
	"fmt"
	"iter"
	"math"
	"reflect"
	"slices"
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
	return dropRepeats(sorted(slices.Concat(parts...))), nil
}

// dropRepeats leaves out spans equal to one before them with the same id and
// start: what two replicas hold, or a retry that reached another ingester.
func dropRepeats(spans []model.SpanRow) []model.SpanRow {
	out := spans[:0]
	for i := range spans {
		repeat := false
		for j := len(out) - 1; j >= 0 && out[j].Start == spans[i].Start && out[j].SpanID == spans[i].SpanID; j-- {
			if sameRow(&out[j], &spans[i]) {
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

func sameRow(a, b *model.SpanRow) bool {
	return reflect.DeepEqual(&a.Span, &b.Span) && (a.Resource == b.Resource || reflect.DeepEqual(a.Resource, b.Resource))
}

// SelectSpans finds candidate traces in every part by any of the filters, then
// joins each candidate over all parts and tries the filters on the whole. So a
// trace whose spans lie in two places answers, and is ordered, as if they lay
// in one.
func (t *Traces) SelectSpans(ctx context.Context, q *predicate.SpanQuery) iter.Seq2[*model.TraceMatch, error] {
	if len(t.Parts) == 1 {
		return t.Parts[0].Source.SelectSpans(ctx, q)
	}
	return func(yield func(*model.TraceMatch, error) bool) {
		found, err := t.selectAll(ctx, q)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, m := range found {
			if !yield(m, nil) {
				return
			}
		}
	}
}

// selectAll answers with as many candidates as are needed to be sure of the
// first q.Limit. A part that holds only some spans of a trace sees it start
// later than it did, never earlier: so, newest first, no trace that the parts
// have not named yet can start after the last one that each has named. By
// duration, or oldest first, there is no such bound, and all are asked for.
func (t *Traces) selectAll(ctx context.Context, q *predicate.SpanQuery) ([]*model.TraceMatch, error) {
	ask := 0
	if q.Order == predicate.NewestFirst && q.Limit > 0 {
		ask = q.Limit
	}
	joined := map[model.TraceID]*model.TraceMatch{}
	for {
		ids, bound, err := t.candidates(ctx, q, ask)
		if err != nil {
			return nil, err
		}
		var found []*model.TraceMatch
		for _, id := range ids {
			m, known := joined[id]
			if !known {
				spans, err := t.join(ctx, q.Tenant, id, q.Stats)
				if err != nil {
					return nil, err
				}
				m = t.match(q, id, spans)
				joined[id] = m
			}
			if m != nil {
				found = append(found, m)
			}
		}
		sort.Slice(found, func(i, j int) bool { return traceBefore(&found[i].Facts, &found[j].Facts, q.Order) })
		if q.Limit == 0 {
			return found, nil
		}
		enough := len(found) >= q.Limit && found[q.Limit-1].Facts.Start > bound
		if ask == 0 || bound == noBound || enough {
			return found[:min(len(found), q.Limit)], nil
		}
		ask *= 4
	}
}

// noBound says that the parts have named all traces they have.
const noBound = math.MinInt64

// candidates lists the traces of which some part holds a matching span, asking
// each part for the first few (0: all), and the start after which none has been
// left out.
func (t *Traces) candidates(ctx context.Context, q *predicate.SpanQuery, few int) (ids []model.TraceID, bound int64, err error) {
	loose := *q
	loose.Require, loose.Tree, loose.SpansPerTrace, loose.Limit = nil, false, 1, few
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
		return nil, 0, err
	}
	bound = noBound
	seen := map[model.TraceID]bool{}
	for _, p := range parts {
		if few > 0 && len(p) == few {
			bound = max(bound, p[few-1].Start)
		}
		for i := range p {
			if !seen[p[i].ID] {
				seen[p[i].ID] = true
				ids = append(ids, p[i].ID)
			}
		}
	}
	return ids, bound, nil
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
