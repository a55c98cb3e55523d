package jaegerapi

import (
	"context"
	"fmt"
	"sort"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

// GraphOf computes the service graph from the spans of any source: an edge
// counts the spans whose parent is of another service. It reads every trace of
// the range, so a source that keeps the graph itself should be asked instead.
func GraphOf(src query.TraceSource) Graph { return sourceGraph{src} }

// GraphFunc is a function as a Graph.
type GraphFunc func(ctx context.Context, t tenant.ID, r model.TimeRange) ([]model.ServiceEdge, error)

// Dependencies implements Graph.
func (f GraphFunc) Dependencies(ctx context.Context, t tenant.ID, r model.TimeRange) ([]model.ServiceEdge, error) {
	return f(ctx, t, r)
}

type sourceGraph struct{ src query.TraceSource }

// Dependencies implements Graph.
func (g sourceGraph) Dependencies(ctx context.Context, t tenant.ID, r model.TimeRange) ([]model.ServiceEdge, error) {
	q := &predicate.SpanQuery{Tenant: t, Range: r, Filters: []predicate.Expr{predicate.True{}}, Tree: true, Project: []predicate.Field{}}
	edges := map[[2]string]*model.ServiceEdge{}
	for m, err := range g.src.SelectSpans(ctx, q) {
		if err != nil {
			return nil, fmt.Errorf("cannot read spans: %w", err)
		}
		tree := traceql.BuildTree(m.Spans)
		for i, p := range tree.Parent {
			if p >= 0 && r.Contains(m.Spans[i].Start) {
				count(edges, &m.Spans[p], &m.Spans[i])
			}
		}
	}
	out := make([]model.ServiceEdge, 0, len(edges))
	for _, e := range edges {
		out = append(out, *e)
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Parent != out[j].Parent {
			return out[i].Parent < out[j].Parent
		}
		return out[i].Child < out[j].Child
	})
	return out, ctx.Err()
}

func count(edges map[[2]string]*model.ServiceEdge, parent, child *model.SpanRow) {
	key := [2]string{parent.Resource.Service(), child.Resource.Service()}
	if key[0] == key[1] {
		return
	}
	e := edges[key]
	if e == nil {
		e = &model.ServiceEdge{Parent: key[0], Child: key[1]}
		edges[key] = e
	}
	e.Calls++
	if child.Status == model.StatusError {
		e.Errors++
	}
}
