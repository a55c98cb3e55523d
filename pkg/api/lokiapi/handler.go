package lokiapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

// TailReader delivers records as they are accepted. A slow reader never holds
// up ingestion: it loses records and is told how many.
type TailReader interface {
	// Rows delivers batches in the order accepted; they must not be changed. The
	// channel is closed by Close and when ingestion ends.
	Rows() <-chan []model.LogRow
	// Dropped returns how many records were lost since the last call.
	Dropped() int64
	Close()
}

// Tail starts to deliver a tenant's records.
type Tail func(t tenant.ID) TailReader

// Deletion is one request to delete records.
type Deletion struct {
	ID      string
	Query   string
	Range   model.TimeRange
	Filter  predicate.Expr // exactly the records to delete
	Status  string         // "received", "processed", …
	Created time.Time
}

// Deleter deletes records by query. The records are hidden when Delete returns.
type Deleter interface {
	Delete(ctx context.Context, t tenant.ID, d Deletion) (id string, err error)
	Deletions(ctx context.Context, t tenant.ID) ([]Deletion, error)
	// CancelDeletion takes a request back; model.ErrNotFound when there is none
	// that can be.
	CancelDeletion(ctx context.Context, t tenant.ID, id string, force bool) error
}

// Options of the API. Engine is needed, all else optional.
type Options struct {
	Engine *logql.Engine
	// Source is asked for labels, volumes and samples; nil means the engine's.
	Source query.LogSource
	Tail   Tail // nil: tail answers 501
	// Deleter nil: delete answers 501.
	Deleter Deleter
	// Guard bounds what does not pass the engine; optional.
	Guard  logql.Guard
	Logger *slog.Logger
	Now    func() time.Time
	// Version is the program's own: told as the build's revision. Clients switch
	// features by the version of Loki whose API is spoken (lokiVersion).
	Version string
	// Retention is told to Logs Drilldown; 0 means for ever.
	Retention time.Duration
	// AllowedOrigins are hosts (patterns as path.Match reads them) whose pages may
	// tail beside those of this server.
	AllowedOrigins []string
	// MaxTails bounds the tails open at once (64).
	MaxTails int
}

func (o Options) withDefaults() Options {
	if o.Source == nil && o.Engine != nil {
		o.Source = o.Engine.Source()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxTails <= 0 {
		o.MaxTails = 64
	}
	return o
}

// api is the handler's state; immutable but for the count of tails.
type api struct {
	Options
	tails chan struct{} // a place for each tail open
}

// New returns the handler of every path below /loki/api, the legacy /api/prom
// paths of the same, and /loki/ready-like probes are left to the program.
func New(o Options) http.Handler {
	o = o.withDefaults()
	a := &api{Options: o, tails: make(chan struct{}, o.MaxTails)}
	mux := http.NewServeMux()
	for _, prefix := range []string{"/loki/api/v1", "/api/prom"} {
		for path, h := range map[string]handlerFunc{
			"/query_range":                  a.queryRange,
			"/labels":                       a.labelNames,
			"/label":                        a.labelNames,
			"/label/{name}/values":          a.labelValues,
			"/series":                       a.series,
			"/index/stats":                  a.indexStats,
			"/index/volume":                 a.volume,
			"/index/volume_range":           a.volumeRange,
			"/detected_labels":              a.detectedLabels,
			"/detected_fields":              a.detectedFields,
			"/detected_field/{name}/values": a.detectedValues,
			"/patterns":                     a.patterns,
			"/format_query":                 a.formatQuery,
			"/drilldown-limits":             a.drilldownLimits,
			"/status/buildinfo":             a.buildInfo,
		} {
			mux.Handle(prefix+path, a.wrap(h))
		}
	}
	mux.Handle("/loki/api/v1/query", a.wrap(a.query))
	mux.Handle("/api/prom/query", a.wrap(a.legacyQuery))
	mux.HandleFunc("/loki/api/v1/tail", a.tail)
	mux.HandleFunc("/api/prom/tail", a.tail)
	// A page of another site must not delete through its visitor's browser.
	mux.Handle("/loki/api/v1/delete", http.NewCrossOriginProtection().Handler(http.HandlerFunc(a.delete)))
	mux.HandleFunc("/", notFound)
	return mux
}

// handlerFunc answers a request whose tenant is known and whose form is parsed.
// The error is rendered by wrap.
type handlerFunc func(w http.ResponseWriter, r *http.Request, t tenant.ID) error

// wrap does what all endpoints share: method, tenant, form, compression, errors.
func (a *api) wrap(h handlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, POST")
			writeText(w, http.StatusMethodNotAllowed, "method "+r.Method+" is not allowed: use GET or POST")
			return
		}
		t, err := tenant.FromHTTP(r)
		if err != nil {
			writeText(w, http.StatusBadRequest, err.Error())
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			writeText(w, http.StatusBadRequest, "cannot read the request's parameters: "+err.Error())
			return
		}
		zw := compress(w, r)
		defer zw.close()
		if err := h(zw, r, t); err != nil {
			a.writeError(zw, r, t, err)
		}
	})
}

// maxForm bounds the body of a form.
const maxForm = 1 << 20

func notFound(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(`{"message":"not found: ` + jsonSafe(r.URL.Path) + `"}`))
}
