package promapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"

	"braid/pkg/tenant"
)

// Handler answers /api/v1/* and /federate. Safe for concurrent use.
type Handler struct {
	opts   Options
	engine io.Closer // nil when the engine is the caller's
	config config.Config
	shared func() *instance
	start  time.Time

	openAPIOnce sync.Once
	openAPI     *apiv1.OpenAPIBuilder

	mu      sync.Mutex
	tenants map[tenant.ID]*instance // guarded by mu
	order   []tenant.ID             // oldest first, to bound tenants
}

// New makes the API.
func New(o Options) (*Handler, error) {
	o = o.withDefaults()
	if o.Source == nil {
		return nil, errors.New("cannot make the Prometheus API: Options.Source is nil")
	}
	h := &Handler{opts: o, tenants: map[tenant.ID]*instance{}, start: o.Now()}
	if o.Engine == nil {
		e, err := NewEngine(o)
		if err != nil {
			return nil, fmt.Errorf("cannot make the PromQL engine: %w", err)
		}
		h.opts.Engine, h.engine = e, e
	}
	if e, ok := h.opts.Engine.(*promql.Engine); ok && !o.PlainEngine {
		h.opts.Engine = NewFusedEngine(e, o)
	}
	cfg, err := config.Load("", o.Logger)
	if err != nil {
		return nil, fmt.Errorf("cannot make the Prometheus API: %w", err)
	}
	h.config = *cfg
	h.shared = sync.OnceValue(h.newShared)
	go h.shared() // it takes a tenth of a second: nobody waits for it but the first request
	return h, nil
}

// Close ends the engine if New made it.
func (h *Handler) Close() error {
	if h.engine == nil {
		return nil
	}
	return h.engine.Close()
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route, ok := findRoute(r.URL.Path)
	if !ok {
		respondError(w, http.StatusNotFound, "not_found", fmt.Sprintf("no such path %q: the Prometheus API is at /api/v1/", r.URL.Path))
		return
	}
	if !route.allows(r.Method) {
		w.Header().Set("Allow", route.methods)
		respondError(w, http.StatusMethodNotAllowed, "bad_data", fmt.Sprintf("method %s is not allowed for %q, use %s", r.Method, r.URL.Path, route.methods))
		return
	}
	id, err := tenant.FromHTTP(r)
	if err != nil {
		respondError(w, http.StatusBadRequest, "bad_data", err.Error())
		return
	}
	info := requestInfo{tenant: id, stats: route.kind == kindQuery && r.FormValue("stats") != ""}
	if budget := h.opts.Budget(id); route.kind == kindQuery && budget.countsSamples() {
		info.spending = &spending{budget: budget}
	}
	r = r.WithContext(withRequest(r.Context(), info))
	switch route.kind {
	case kindWrite:
		serveOptional(w, r, h.opts.Write, "remote write")
	case kindOTLP:
		serveOptional(w, r, h.opts.OTLP, "OTLP")
	case kindOpenAPI:
		h.serveOpenAPI(w, r)
	case kindMetadata:
		compressed(h.serveMetadata(id)).ServeHTTP(w, r)
	case kindFederate:
		compressed(h.guarded(id, h.serveFederate(id))).ServeHTTP(w, r)
	case kindSearch:
		h.guarded(id, h.own(id)).ServeHTTP(w, r)
	case kindRead:
		h.guarded(id, h.shared()).ServeHTTP(w, r)
	case kindQuery:
		zstdOr(h.guarded(id, h.shared())).ServeHTTP(w, r)
	case kindAdmin:
		h.own(id).ServeHTTP(w, r)
	default:
		zstdOr(h.shared()).ServeHTTP(w, r)
	}
}

func serveOptional(w http.ResponseWriter, r *http.Request, h http.Handler, what string) {
	if h == nil {
		respondError(w, http.StatusNotFound, "not_found", what+" is not served here")
		return
	}
	h.ServeHTTP(w, r)
}

// own returns the tenant's own instance of the API.
func (h *Handler) own(id tenant.ID) *instance {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t, ok := h.tenants[id]; ok {
		return t
	}
	if len(h.order) >= h.opts.MaxTenants {
		delete(h.tenants, h.order[0])
		h.order = h.order[1:]
	}
	t := h.newOwn(id)
	h.tenants[id] = t
	h.order = append(h.order, id)
	return t
}
