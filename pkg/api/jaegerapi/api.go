package jaegerapi

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"braid/pkg/api/apierr"
	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

// Graph knows which service calls which. The range is of the calls' time. The
// trace store has it; GraphOf computes it from any source.
type Graph interface {
	Dependencies(ctx context.Context, t tenant.ID, r model.TimeRange) ([]model.ServiceEdge, error)
}

// Options of the API. Engine is required.
type Options struct {
	Engine *traceql.Engine
	// Source answers searches; nil means the engine's.
	Source query.TraceSource
	Graph  Graph // nil means GraphOf(Source)
	Guard  traceql.Guard
	Logger *slog.Logger
	Now    func() time.Time
	// MaxSpans bounds the spans that one search returns; 0 means 2,000,000.
	MaxSpans int
}

func (o Options) withDefaults() Options {
	if o.Source == nil {
		o.Source = o.Engine.Source()
	}
	if o.Graph == nil {
		o.Graph = GraphOf(o.Source)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxSpans == 0 {
		o.MaxSpans = 2_000_000
	}
	return o
}

// API serves Jaeger's HTTP API, at the root and under /jaeger. It is safe for
// concurrent use.
type API struct {
	opts Options
	mux  *http.ServeMux
}

// New makes the API.
func New(o Options) *API {
	a := &API{opts: o.withDefaults(), mux: http.NewServeMux()}
	for _, p := range []string{"", "/jaeger"} {
		a.legacy("GET "+p+"/api/services", a.services)
		a.legacy("GET "+p+"/api/services/{service}/operations", a.operationNames)
		a.legacy("GET "+p+"/api/operations", a.operations)
		a.legacy("GET "+p+"/api/traces", a.search)
		a.legacy("GET "+p+"/api/traces/{id}", a.trace)
		a.legacy("POST "+p+"/api/archive/{id}", a.archive)
		a.legacy("POST "+p+"/api/transform", a.transform)
		a.legacy("GET "+p+"/api/dependencies", a.dependencies)
		a.legacy("GET "+p+"/api/metrics/minstep", a.minStep)
		a.plain("GET "+p+"/api/metrics/{kind}", a.metrics)
		a.v3("GET "+p+"/api/v3/services", a.servicesV3)
		a.v3("GET "+p+"/api/v3/operations", a.operationsV3)
		a.v3("GET "+p+"/api/v3/traces", a.searchV3)
		a.v3("GET "+p+"/api/v3/traces/{id}", a.traceV3)
		a.v3("GET "+p+"/api/v3/trace-summaries", a.summariesV3)
	}
	return a
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Patterns lists what the API serves, for whoever mounts it beside others.
func Patterns() []string {
	return []string{"/api/services", "/api/services/", "/api/operations", "/api/traces", "/api/archive/", "/api/transform",
		"/api/dependencies", "/api/metrics/minstep", "/api/metrics/latencies", "/api/metrics/calls", "/api/metrics/errors",
		"/api/v3/", "/jaeger/"}
}

// Dispatch serves GET /api/traces/{id}, which Tempo and Jaeger share: who
// accepts protobuf is a client of Tempo.
func Dispatch(tempo, jaeger http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, h := range r.Header.Values("Accept") {
			if strings.Contains(h, "application/protobuf") || strings.Contains(h, "application/x-protobuf") {
				tempo.ServeHTTP(w, r)
				return
			}
		}
		jaeger.ServeHTTP(w, r)
	})
}

// handler returns what a client asked for, to be put into its envelope.
type handler func(r *http.Request, t tenant.ID) (any, error)

// envelope is the frame of every legacy answer.
type envelope struct {
	Data   any           `json:"data"`
	Total  int           `json:"total"`
	Limit  int           `json:"limit"`
	Offset int           `json:"offset"`
	Errors []legacyError `json:"errors"`
}

type legacyError struct {
	Code    int    `json:"code"`
	Message string `json:"msg"`
	TraceID string `json:"traceID,omitempty"`
}

// list is data that tells its length in the envelope.
type list struct {
	items any
	total int
}

func (a *API) legacy(pattern string, h handler) {
	a.handle(pattern, h, func(v any) any {
		if l, ok := v.(list); ok {
			return envelope{Data: l.items, Total: l.total}
		}
		return envelope{Data: v}
	}, legacyFailure)
}

func legacyFailure(status int, err error) any {
	return envelope{Errors: []legacyError{{Code: status, Message: err.Error()}}}
}

// plain answers without an envelope, as the metrics endpoints do.
func (a *API) plain(pattern string, h handler) {
	a.handle(pattern, h, func(v any) any { return v }, legacyFailure)
}

func (a *API) v3(pattern string, h handler) {
	a.handle(pattern, h, func(v any) any { return v }, func(status int, err error) any {
		return map[string]any{"error": map[string]any{"httpCode": status, "message": err.Error()}}
	})
}

func (a *API) handle(pattern string, h handler, frame func(any) any, failure func(int, error) any) {
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		t, err := tenant.FromHTTP(r)
		var data any
		if err == nil {
			data, err = h(r, t)
		}
		status := http.StatusOK
		body := frame(data)
		if err != nil {
			status = apierr.Status(err)
			body = failure(status, err)
			apierr.SetRetryAfter(w.Header(), err)
			if status == http.StatusInternalServerError {
				a.opts.Logger.ErrorContext(r.Context(), "cannot answer", "path", r.URL.Path, "tenant", string(t), "err", err)
			}
		}
		writeJSON(w, status, body, r.URL.Query().Has("prettyPrint"))
	})
}

func writeJSON(w http.ResponseWriter, status int, body any, pretty bool) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if pretty {
		enc.SetIndent("", "    ")
	}
	if err := enc.Encode(body); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // an error means that the client has gone: nobody to tell
}
