package fanout

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"braid/pkg/calls"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// maxCounted bounds the traces that are read of a part that keeps no graph.
const maxCounted = 20_000

// graphOf returns the calls that a part knows: as it keeps them, or, from one
// that keeps none (an older program), counted from its spans.
func graphOf(ctx context.Context, s query.TraceSource, t tenant.ID, r model.TimeRange, stats *model.QueryStats) (*model.ServiceGraph, error) {
	if src, ok := s.(query.GraphSource); ok {
		g, err := src.ServiceGraph(ctx, t, r, stats)
		if !errors.Is(err, errors.ErrUnsupported) {
			return g, err
		}
	}
	q := &predicate.SpanQuery{Tenant: t, Range: r, Filters: []predicate.Expr{predicate.True{}}, Tree: true, Limit: maxCounted, Stats: stats,
		Project: []predicate.Field{{Scope: predicate.ScopeResource, Name: "service.name"}}}
	for _, name := range calls.PeerNames {
		q.Project = append(q.Project, predicate.Field{Scope: predicate.ScopeRecord, Name: name})
	}
	g, traces := calls.NewGraph(), 0
	for m, err := range s.SelectSpans(ctx, q) {
		if err != nil {
			return nil, err
		}
		countTrace(g, r, sorted(m.Spans), 1)
		if traces++; traces == maxCounted {
			stats.Warn("a source keeps no service graph: its calls are counted over the newest %d traces of the range; ask for a shorter one", maxCounted)
		}
	}
	return g.Result(), nil
}

// idsOf lists the traces of a part in the same two ways.
func idsOf(ctx context.Context, s query.TraceSource, t tenant.ID, r model.TimeRange, limit int, stats *model.QueryStats) ([]model.TraceID, error) {
	if src, ok := s.(query.GraphSource); ok {
		ids, err := src.TraceIDs(ctx, t, r, limit)
		if !errors.Is(err, errors.ErrUnsupported) {
			return ids, err
		}
	}
	q := &predicate.SpanQuery{Tenant: t, Range: r, Filters: []predicate.Expr{predicate.True{}}, SpansPerTrace: 1, Limit: limit + 1, Stats: stats,
		Project: []predicate.Field{}}
	var out []model.TraceID
	for m, err := range s.SelectSpans(ctx, q) {
		if err != nil {
			return nil, err
		}
		out = append(out, m.Facts.ID)
	}
	if len(out) > limit {
		return nil, fmt.Errorf("%w: more than %d traces are in the range; ask for a shorter one", model.ErrTooMuch, limit)
	}
	slices.SortFunc(out, compareIDs)
	return out, nil
}
