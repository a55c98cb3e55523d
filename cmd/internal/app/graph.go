package app

import (
	"context"
	"net/http"

	"braid/pkg/api/jaegerapi"
	"braid/pkg/api/zipkinapi"
	"braid/pkg/correlation"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// serviceGraph makes the service map what the Jaeger and Zipkin APIs ask for.
type serviceGraph struct{ finder *correlation.Finder }

// Dependencies lists who calls whom.
func (g serviceGraph) Dependencies(ctx context.Context, t tenant.ID, r model.TimeRange) ([]model.ServiceEdge, error) {
	m, err := g.finder.Services(ctx, t, r)
	if err != nil {
		return nil, err
	}
	out := make([]model.ServiceEdge, 0, len(m.Edges))
	for _, e := range m.Edges {
		out = append(out, model.ServiceEdge{Parent: e.Client, Child: e.Server, Calls: uint64(e.Calls), Errors: uint64(e.Errors)})
	}
	return out, nil
}

// mountJaegerZipkin adds the two APIs beside Tempo's. The path of a single
// trace is Tempo's and Jaeger's both: the client's Accept header tells.
func (a *App) mountJaegerZipkin(mux *http.ServeMux, tempo http.Handler) {
	graph := serviceGraph{a.engines.finder}
	jaeger := jaegerapi.New(jaegerapi.Options{Engine: a.engines.traceql, Graph: graph, Guard: a.guard, Logger: a.log.With("part", "jaeger API")})
	for _, p := range jaegerapi.Patterns() {
		mux.Handle(p, jaeger)
	}
	mux.Handle("/api/traces/", jaegerapi.Dispatch(tempo, jaeger))
	zipkin := zipkinapi.New(zipkinapi.Options{Engine: a.engines.traceql, Graph: graph, Guard: a.guard, Logger: a.log.With("part", "zipkin API")})
	for _, p := range zipkinapi.Patterns() {
		mux.Handle(p, zipkin)
	}
}
