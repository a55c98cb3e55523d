package app

import (
	"context"
	"net/http"

	"braid/pkg/api/jaegerapi"
	"braid/pkg/api/tempoapi"
	"braid/pkg/api/zipkinapi"
	"braid/pkg/correlation"
	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// serviceGraph makes the service map what the Jaeger and Zipkin APIs ask for.
type serviceGraph struct {
	finder *correlation.Finder
	traces query.TraceSource
}

// Dependencies lists who calls whom: as the store keeps it, where it does.
func (g serviceGraph) Dependencies(ctx context.Context, t tenant.ID, r model.TimeRange) ([]model.ServiceEdge, error) {
	if src, ok := g.traces.(query.GraphSource); ok {
		return keptDependencies(ctx, src, t, r)
	}
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

func keptDependencies(ctx context.Context, src query.GraphSource, t tenant.ID, r model.TimeRange) ([]model.ServiceEdge, error) {
	kept, err := src.ServiceGraph(ctx, t, r, nil)
	if err != nil {
		return nil, err
	}
	var out []model.ServiceEdge
	for _, e := range kept.Edges { // sorted by client and server
		if e.Client == e.Server {
			continue
		}
		if n := len(out); n == 0 || out[n-1].Parent != e.Client || out[n-1].Child != e.Server {
			out = append(out, model.ServiceEdge{Parent: e.Client, Child: e.Server})
		}
		last := &out[len(out)-1]
		last.Calls += e.Calls
		last.Errors += e.Errors
	}
	return out, nil
}

// tempoVersion is the version of Tempo whose API is spoken.
const tempoVersion = "2.9.0"

// dialects are the three trace APIs, over HTTP and gRPC.
type dialects struct {
	tempo  *tempoapi.API
	jaeger *jaegerapi.API
	zipkin *zipkinapi.API
}

func (a *App) newDialects() *dialects {
	graph := serviceGraph{a.engines.finder, a.sources.traces}
	return &dialects{
		tempo:  tempoapi.New(tempoapi.Options{Engine: a.engines.traceql, Logger: a.log.With("part", "tempo API"), Version: tempoVersion}),
		jaeger: jaegerapi.New(jaegerapi.Options{Engine: a.engines.traceql, Graph: graph, Guard: a.guard, Logger: a.log.With("part", "jaeger API")}),
		zipkin: zipkinapi.New(zipkinapi.Options{Engine: a.engines.traceql, Graph: graph, Guard: a.guard, Logger: a.log.With("part", "zipkin API")}),
	}
}

// mount adds the HTTP APIs. The path of a single trace is Tempo's and Jaeger's
// both: the client's Accept header tells.
func (d *dialects) mount(mux *http.ServeMux) {
	for _, p := range tempoapi.Patterns() {
		if p != "/api/traces/" {
			mux.Handle(p, d.tempo)
		}
	}
	for _, p := range jaegerapi.Patterns() {
		mux.Handle(p, d.jaeger)
	}
	mux.Handle("/api/traces/", jaegerapi.Dispatch(d.tempo, d.jaeger))
	for _, p := range zipkinapi.Patterns() {
		mux.Handle(p, d.zipkin)
	}
}
