package promapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/prometheus/config"

	"braid/pkg/tenant"
)

// Handler answers /api/v1/* and /federate. Safe for concurrent use.
type Handler struct {
	opts   Options
	engine io.Closer // nil when the engine is the caller's
	config config.Config
	start  time.Time

	mu      sync.Mutex
	tenants map[tenant.ID]*tenantAPI // guarded by mu
	order   []tenant.ID              // oldest first, to bound tenants
}

// New makes the API.
func New(o Options) (*Handler, error) {
	o = o.withDefaults()
	if o.Source == nil {
		return nil, errors.New("cannot make the Prometheus API: Options.Source is nil")
	}
	h := &Handler{opts: o, tenants: map[tenant.ID]*tenantAPI{}, start: o.Now()}
	if o.Engine == nil {
		e, err := NewEngine(o)
		if err != nil {
			return nil, fmt.Errorf("cannot make the PromQL engine: %w", err)
		}
		h.opts.Engine, h.engine = e, e
	}
	cfg, err := config.Load("", o.Logger)
	if err != nil {
		return nil, fmt.Errorf("cannot make the Prometheus API: %w", err)
	}
	h.config = *cfg
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
	switch route.kind {
	case kindWrite:
		serveOptional(w, r, h.opts.Write, "remote write")
	case kindOTLP:
		serveOptional(w, r, h.opts.OTLP, "OTLP")
	case kindMetadata:
		compressed(h.serveMetadata(id)).ServeHTTP(w, r)
	case kindFederate:
		compressed(h.guarded(id, h.serveFederate(id))).ServeHTTP(w, r)
	case kindQuery:
		h.guarded(id, h.tenant(id)).ServeHTTP(w, r)
	default:
		h.tenant(id).ServeHTTP(w, r)
	}
}

func serveOptional(w http.ResponseWriter, r *http.Request, h http.Handler, what string) {
	if h == nil {
		respondError(w, http.StatusNotFound, "not_found", what+" is not served here")
		return
	}
	h.ServeHTTP(w, r)
}

// tenant returns the tenant's instance of the API.
func (h *Handler) tenant(id tenant.ID) *tenantAPI {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t, ok := h.tenants[id]; ok {
		return t
	}
	if len(h.order) >= h.opts.MaxTenants {
		delete(h.tenants, h.order[0])
		h.order = h.order[1:]
	}
	t := h.newTenantAPI(id)
	h.tenants[id] = t
	h.order = append(h.order, id)
	return t
}
