package tempoapi

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"braid/pkg/api/apierr"
	"braid/pkg/query"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

// Options of the API. Engine is required.
type Options struct {
	Engine *traceql.Engine
	// Source answers lists of tags; nil means the engine's.
	Source query.TraceSource
	Logger *slog.Logger
	// Version is the version of Tempo that clients may count on.
	Version string
	Now     func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Source == nil {
		o.Source = o.Engine.Source()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Version == "" {
		o.Version = "2.9.0"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// API serves Tempo's HTTP API, at the root and under /tempo. It is safe for
// concurrent use.
type API struct {
	opts Options
	mux  *http.ServeMux
}

// New makes the API.
func New(o Options) *API {
	a := &API{opts: o.withDefaults(), mux: http.NewServeMux()}
	for _, prefix := range []string{"", "/tempo"} {
		a.mux.HandleFunc("GET "+prefix+"/api/echo", a.echo)
		a.mux.HandleFunc("GET "+prefix+"/api/status/buildinfo", a.buildInfo)
		a.mux.HandleFunc("GET "+prefix+"/api/overrides", a.overrides)
		a.handle("GET "+prefix+"/api/traces/{id}", a.traceV1)
		a.handle("GET "+prefix+"/api/v2/traces/{id}", a.traceV2)
		a.handle("GET "+prefix+"/api/search", a.search)
		a.handle("GET "+prefix+"/api/search/tags", a.tagsV1)
		a.handle("GET "+prefix+"/api/v2/search/tags", a.tagsV2)
		a.handle("GET "+prefix+"/api/search/tag/{rest...}", a.tagValuesV1)
		a.handle("GET "+prefix+"/api/v2/search/tag/{rest...}", a.tagValuesV2)
		a.handle("GET "+prefix+"/api/metrics/query_range", a.queryRange)
		a.handle("GET "+prefix+"/api/metrics/query", a.queryInstant)
	}
	return a
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Patterns lists what the API serves, for whoever mounts it beside others.
func Patterns() []string {
	return []string{"/api/echo", "/api/status/buildinfo", "/api/overrides", "/api/traces/", "/api/v2/traces/", "/api/search",
		"/api/search/", "/api/v2/search/", "/api/metrics/query_range", "/api/metrics/query", "/tempo/"}
}

type handler func(w http.ResponseWriter, r *http.Request, t tenant.ID) error

func (a *API) handle(pattern string, h handler) {
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		t, err := tenant.FromHTTP(r)
		if err == nil {
			err = h(w, r, t)
		}
		if err != nil {
			a.fail(w, r, err)
		}
	})
}

// fail writes an error as Tempo does: plain text.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := apierr.Status(err)
	apierr.SetRetryAfter(w.Header(), err)
	if status == http.StatusInternalServerError {
		a.opts.Logger.ErrorContext(r.Context(), "cannot answer", "path", r.URL.Path, "tenant", r.Header.Get(tenant.Header), "err", err)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, err.Error())
}

func writeJSON(w http.ResponseWriter, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b.Bytes()) // an error means that the client has gone: nobody to tell
	return nil
}

// wantsProto reports whether the client asks for protobuf.
func wantsProto(r *http.Request) bool {
	for _, h := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(h, ",") {
			media, _, _ := strings.Cut(strings.TrimSpace(part), ";")
			if media == "application/protobuf" || media == "application/x-protobuf" {
				return true
			}
		}
	}
	return false
}

func (a *API) echo(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "echo") }

func (a *API) buildInfo(w http.ResponseWriter, r *http.Request) {
	err := writeJSON(w, map[string]string{"version": a.opts.Version, "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": runtime.Version()})
	if err != nil {
		a.fail(w, r, err)
	}
}

// overrides answers that the tenant has none of its own.
func (a *API) overrides(w http.ResponseWriter, r *http.Request) {
	if err := writeJSON(w, struct{}{}); err != nil {
		a.fail(w, r, err)
	}
}
