package zipkinapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"

	"braid/pkg/api/apierr"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

// Graph knows which service calls which.
type Graph interface {
	Dependencies(ctx context.Context, t tenant.ID, r model.TimeRange) ([]model.ServiceEdge, error)
}

// Options of the API. Engine and Graph are required.
type Options struct {
	Engine *traceql.Engine
	// Source answers searches; nil means the engine's.
	Source query.TraceSource
	Graph  Graph
	Guard  traceql.Guard
	Logger *slog.Logger
	Now    func() time.Time
	// AutocompleteKeys are the tags whose values the UI offers; nil means a few
	// that most services have.
	AutocompleteKeys []string
	// MaxSpans bounds the spans that one search returns; 0 means 1,000,000.
	MaxSpans int
}

func (o Options) withDefaults() Options {
	if o.Source == nil {
		o.Source = o.Engine.Source()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.AutocompleteKeys == nil {
		o.AutocompleteKeys = []string{"deployment.environment.name", "http.request.method", "http.response.status_code", "http.route"}
	}
	if o.MaxSpans == 0 {
		o.MaxSpans = 1_000_000
	}
	return o
}

// API serves Zipkin's query API, at /api/v2 and under /zipkin/api/v2. It is
// safe for concurrent use.
type API struct {
	opts Options
	mux  *http.ServeMux
}

// New makes the API.
func New(o Options) *API {
	a := &API{opts: o.withDefaults(), mux: http.NewServeMux()}
	for _, p := range []string{"", "/zipkin"} {
		a.handle("GET "+p+"/api/v2/services", a.services)
		a.handle("GET "+p+"/api/v2/spans", a.spanNames)
		a.handle("GET "+p+"/api/v2/remoteServices", a.remoteServices)
		a.handle("GET "+p+"/api/v2/traces", a.traces)
		a.handle("GET "+p+"/api/v2/trace/{id}", a.trace)
		a.handle("GET "+p+"/api/v2/traceMany", a.traceMany)
		a.handle("GET "+p+"/api/v2/dependencies", a.dependencies)
		a.handle("GET "+p+"/api/v2/autocompleteKeys", a.autocompleteKeys)
		a.handle("GET "+p+"/api/v2/autocompleteValues", a.autocompleteValues)
	}
	return a
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Patterns lists what the API serves, for whoever mounts it beside others.
// POST /api/v2/spans, the way in, is not its own: mount it with the method GET.
func Patterns() []string {
	return []string{"GET /api/v2/services", "GET /api/v2/spans", "GET /api/v2/remoteServices", "GET /api/v2/traces", "GET /api/v2/trace/",
		"GET /api/v2/traceMany", "GET /api/v2/dependencies", "GET /api/v2/autocompleteKeys", "GET /api/v2/autocompleteValues", "GET /zipkin/"}
}

func (a *API) handle(pattern string, h func(*http.Request, tenant.ID) (any, error)) {
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		t, err := tenant.FromHTTP(r)
		var data any
		if err == nil {
			data, err = h(r, t)
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(data); err != nil {
			a.fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(b.Bytes()) // an error means that the client has gone: nobody to tell
	})
}

// fail writes an error as Zipkin does: plain text.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := apierr.Status(err)
	apierr.SetRetryAfter(w.Header(), err)
	if status == http.StatusInternalServerError {
		a.opts.Logger.ErrorContext(r.Context(), "cannot answer", "path", r.URL.Path, "tenant", r.Header.Get(tenant.Header), "err", err)
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(err.Error()))
}

// maxNames bounds every list of names.
const maxNames = 20_000

func (a *API) values(ctx context.Context, t tenant.ID, f predicate.Field, filter predicate.Expr) ([]string, error) {
	infos, err := a.opts.Source.SpanFields(ctx, &predicate.FieldQuery{Tenant: t, Field: &f, Filter: filter, Limit: maxNames})
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", f, err)
	}
	out := make([]string, 0, len(infos))
	for _, i := range infos {
		if s := i.Value.Text(); s != "" {
			out = append(out, s)
		}
	}
	sort.Strings(out)
	return slices.Compact(out), nil
}

func (a *API) services(r *http.Request, t tenant.ID) (any, error) {
	return a.values(r.Context(), t, serviceField, nil)
}

func (a *API) spanNames(r *http.Request, t tenant.ID) (any, error) {
	service, err := required(r, "serviceName")
	if err != nil {
		return nil, err
	}
	return a.values(r.Context(), t, predicate.Intrinsic(predicate.Name), serviceIs(service))
}

func (a *API) remoteServices(r *http.Request, t tenant.ID) (any, error) {
	service, err := required(r, "serviceName")
	if err != nil {
		return nil, err
	}
	out := []string{}
	for _, key := range peerAttributes {
		names, err := a.values(r.Context(), t, predicate.Field{Scope: predicate.ScopeRecord, Name: key}, serviceIs(service))
		if err != nil {
			return nil, err
		}
		out = append(out, names...)
	}
	sort.Strings(out)
	return slices.Compact(out), nil
}

func required(r *http.Request, name string) (string, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return "", invalid("parameter %s is required", name)
	}
	return s, nil
}

func (a *API) trace(r *http.Request, t tenant.ID) (any, error) {
	tr, err := a.opts.Engine.TraceByText(r.Context(), t, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return newSpans(tr.Spans), nil
}

// maxMany bounds the traces of one traceMany.
const maxMany = 1000

// traceMany wants at least two distinct ids, as Zipkin does; traces that are
// not there are left out.
func (a *API) traceMany(r *http.Request, t tenant.ID) (any, error) {
	text, err := required(r, "traceIds")
	if err != nil {
		return nil, err
	}
	ids := strings.Split(text, ",")
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) < 2 || len(ids) > maxMany {
		return nil, invalid("traceIds: expected 2 to %d different ids parted by commas, got %d", maxMany, len(ids))
	}
	out := [][]span{}
	for _, id := range ids {
		tr, err := a.opts.Engine.TraceByText(r.Context(), t, id)
		if errors.Is(err, model.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, newSpans(tr.Spans))
	}
	return out, nil
}

type dependency struct {
	Parent     string `json:"parent"`
	Child      string `json:"child"`
	CallCount  uint64 `json:"callCount"`
	ErrorCount uint64 `json:"errorCount,omitempty"`
}

func (a *API) dependencies(r *http.Request, t tenant.ID) (any, error) {
	if _, err := required(r, "endTs"); err != nil {
		return nil, err
	}
	rng, err := a.timeRange(r)
	if err != nil {
		return nil, err
	}
	edges, err := a.opts.Graph.Dependencies(r.Context(), t, rng)
	if err != nil {
		return nil, fmt.Errorf("cannot list dependencies: %w", err)
	}
	out := make([]dependency, 0, len(edges))
	for _, e := range edges {
		out = append(out, dependency{e.Parent, e.Child, e.Calls, e.Errors})
	}
	return out, nil
}

func (a *API) autocompleteKeys(*http.Request, tenant.ID) (any, error) {
	return a.opts.AutocompleteKeys, nil
}

func (a *API) autocompleteValues(r *http.Request, t tenant.ID) (any, error) {
	key, err := required(r, "key")
	if err != nil {
		return nil, err
	}
	return a.values(r.Context(), t, predicate.Field{Scope: predicate.ScopeAny, Name: key}, nil)
}
