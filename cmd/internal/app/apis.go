package app

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"braid/pkg/api/boardapi"
	"braid/pkg/api/lokiapi"
	"braid/pkg/api/metricapi"
	"braid/pkg/api/native"
	"braid/pkg/api/promapi"
	"braid/pkg/api/searchapi"
	"braid/pkg/query/logql"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
	"braid/proto"
	"braid/ui"
)

// openAPIs mounts every dialect on the HTTP port. One port serves them all:
// where two share a path, the comment says how they are told apart.
func (a *App) openAPIs(context.Context) error {
	mux := http.NewServeMux()
	if a.o.Role.has(Ingester) {
		a.mountIngest(mux)
	}
	if a.o.Role.has(Querier) {
		if err := a.mountQueries(mux); err != nil {
			return err
		}
	}
	if err := a.mountAlerts(mux); err != nil {
		return err
	}
	if !a.o.Role.has(Querier) {
		mux.HandleFunc("/", notFound)
	}
	h := a.traceRequests(mux)
	a.front.apis.Store(&h)
	return nil
}

func notFound(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusNotFound, map[string]string{"status": "error", "errorType": "not_found", "error": "no API at " + r.URL.Path})
}

// mountIngest adds the ways in that share the HTTP port.
func (a *App) mountIngest(mux *http.ServeMux) {
	otlp := a.local.pipeline.HTTPHandler()
	for _, p := range []string{"/v1/metrics", "/v1/logs", "/v1/traces", "/otlp/"} {
		mux.Handle(p, otlp)
	}
	a.mountPushes(mux)
	metricapi.New(metricapi.Options{TempDir: a.dir("import"), Import: func(t tenant.ID) metricapi.Importer { return a.local.metrics.Import(t) }}).Register(mux)
	if !a.o.Role.has(Querier) { // else the Prometheus API mounts it
		mux.Handle("/api/v1/write", a.writeHandler())
	}
}

func (a *App) mountQueries(mux *http.ServeMux) error {
	prom := a.engines.prom
	prom.Rules, prom.Targets = a.retriever, a.targets
	prom.Write = a.writeHandler()
	prom.Budget = a.queryBudget
	if a.local != nil {
		prom.Admin = a.promAdmin
		prom.EnableAdmin = a.cfg.Load().Query.AdminAPI
		prom.SnapshotDir = a.dir("snapshots")
	}
	ph, err := promapi.New(prom)
	if err != nil {
		return err
	}
	a.onStop("Prometheus API", func(context.Context) error { return ph.Close() })
	mux.Handle("/api/v1/", ph)
	mux.Handle("/prometheus/", http.StripPrefix("/prometheus", ph))
	mux.Handle("/federate", ph)

	loki := lokiapi.New(a.lokiOptions())
	mux.Handle("/loki/", loki)
	mux.Handle("/api/prom/", loki)

	mux.Handle("/api/braid/v1/logs/", searchapi.New(searchapi.Options{Logger: a.log.With("part", "log search API"),
		Explorer: logql.NewExplorer(logql.ExplorerOptions{Source: a.sources.logs, Guard: a.guard})}))

	a.dialects.mount(mux)
	mux.Handle("/api/braid/v1/", a.gateway)
	a.mountFederated(mux)
	metricapi.New(metricapi.Options{Source: a.sources.metrics, Guard: a.guard}).Register(mux)
	mux.Handle("GET /api/braid/v1/storage", &usage{root: a.cfg.Load().DataDir, now: time.Now})
	boardapi.New(boardapi.Options{Dir: a.dir("dashboards")}).Register(mux)
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(proto.OpenAPI)
	})
	mux.Handle("/", ui.Handler())
	return nil
}

// nativeService joins what the native API needs.
func (a *App) nativeService() *native.Service {
	return native.New(native.Options{Finder: a.engines.finder, Traces: a.sources.traces, Guard: a.guard, Federator: a.newFederator(),
		SpanFilter: traceql.SpanFilter, LogFilter: logql.LogFilter})
}

// mountAlerts serves the Alertmanager API: the own one, or, from a querier
// without the alerter role, that of the alerter elsewhere.
func (a *App) mountAlerts(mux *http.ServeMux) error {
	paths := []string{"/api/v2/status", "/api/v2/receivers", "/api/v2/alerts", "/api/v2/alerts/", "/api/v2/silences", "/api/v2/silence/"}
	if a.alerts != nil {
		for _, p := range paths {
			mux.Handle(p, a.alerts.api)
		}
		a.alerts.register(mux)
		if a.o.Role == Alerter {
			return a.mountRulesOnly(mux)
		}
		return nil
	}
	to := a.cfg.Load().Cluster.Alerter
	if to == "" || !a.o.Role.has(Querier) {
		return nil
	}
	target, err := url.Parse(to)
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			writeJSON(w, http.StatusBadGateway, map[string]string{"status": "error", "errorType": "unavailable", "error": "the alerter at " + to + " does not answer: " + err.Error()})
		}}
	for _, p := range append(append(paths, "GET /api/v1/rules", "GET /api/v1/alerts"), alertingPaths()...) {
		mux.Handle(p, proxy)
	}
	return nil
}

// mountRulesOnly lets queriers ask an alerter for rules and alerts.
func (a *App) mountRulesOnly(mux *http.ServeMux) error {
	prom := a.engines.prom
	prom.Rules, prom.Registerer = a.retriever, nil
	ph, err := promapi.New(prom)
	if err != nil {
		return err
	}
	a.onStop("Prometheus API", func(context.Context) error { return ph.Close() })
	mux.Handle("/api/v1/rules", ph)
	mux.Handle("/api/v1/alerts", ph)
	return nil
}
