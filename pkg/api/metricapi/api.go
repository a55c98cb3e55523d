package metricapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	"braid/pkg/model"
	"braid/pkg/query/engine"
	"braid/pkg/tenant"
)

// Source holds the series; query.MetricSource satisfies it.
type Source interface {
	Queryable(t tenant.ID) storage.SampleAndChunkQueryable
	Metadata(ctx context.Context, t tenant.ID, metric string, limit int) (map[string]model.MetricMeta, error)
}

// Importer takes history in.
type Importer interface {
	// OpenMetrics reads text whose samples have timestamps and returns how many
	// it stored. What the text did wrong wraps model.ErrInvalid.
	OpenMetrics(ctx context.Context, r io.Reader) (samples int, err error)
	// Block copies a Prometheus block out of a folder.
	Block(dir string) error
}

// Options of the API.
type Options struct {
	// Source is asked by the explorer; nil means that it is not served.
	Source Source
	// Guard bounds and logs the explorer's questions, and knows the running
	// queries that can be cancelled; nil means unbounded, and no cancelling.
	Guard *engine.Guard
	// Import gives a tenant's importer; nil means that it is not served.
	Import func(tenant.ID) Importer
	// TempDir holds blocks while they come in and is made when there is none; ""
	// means the system's.
	TempDir string
	// MaxImportBytes bounds one import; 0 means 64 GiB.
	MaxImportBytes int64
	// MaxSeries bounds the series that one question of the explorer looks at; 0
	// means 5 million. An answer that leaves some out says so.
	MaxSeries int
	Now       func() time.Time
}

func (o Options) withDefaults() Options {
	if o.MaxImportBytes <= 0 {
		o.MaxImportBytes = 64 << 30
	}
	if o.MaxSeries <= 0 {
		o.MaxSeries = 5_000_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// API answers. Safe for concurrent use.
type API struct {
	opts   Options
	parser parser.Parser
}

// New makes the API.
func New(o Options) *API {
	return &API{opts: o.withDefaults(), parser: parser.NewParser(parser.Options{})}
}

// Register mounts what the options allow.
func (a *API) Register(mux *http.ServeMux) {
	if a.opts.Source != nil {
		mux.HandleFunc("GET /api/braid/v1/cardinality", a.serveCardinality)
		mux.HandleFunc("POST /api/braid/v1/cardinality", a.serveCardinality)
	}
	if a.opts.Guard != nil {
		mux.HandleFunc("DELETE /api/braid/v1/queries/{id}", a.serveCancel)
	}
	if a.opts.Import != nil {
		mux.HandleFunc("POST /api/braid/v1/import/openmetrics", a.serveOpenMetrics)
		mux.HandleFunc("POST /api/braid/v1/import/block", a.serveBlock)
	}
}

// serveCancel ends a running query of the tenant, of any language.
func (a *API) serveCancel(w http.ResponseWriter, r *http.Request) {
	id, err := tenant.FromHTTP(r)
	if err != nil {
		fail(w, fmt.Errorf("%w: %w", model.ErrInvalid, err))
		return
	}
	if err := a.opts.Guard.Cancel(id, r.PathValue("id")); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func respondData(w http.ResponseWriter, data any) {
	respond(w, http.StatusOK, map[string]any{"status": "success", "data": data})
}

// fail answers an error in the words of Prometheus's API.
func fail(w http.ResponseWriter, err error) {
	status, kind := http.StatusInternalServerError, "internal"
	var over *model.OverloadError
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(over.RetryAfter.Seconds()))))
		status, kind = http.StatusServiceUnavailable, "unavailable"
		if over.Tenant {
			status = http.StatusTooManyRequests
		}
	case errors.As(err, &tooBig):
		status, kind = http.StatusRequestEntityTooLarge, "bad_data"
	case errors.Is(err, model.ErrNotFound):
		status, kind = http.StatusNotFound, "not_found"
	case errors.Is(err, model.ErrInvalid):
		status, kind = http.StatusBadRequest, "bad_data"
	case errors.Is(err, model.ErrTooMuch), errors.Is(err, context.DeadlineExceeded):
		status, kind = http.StatusServiceUnavailable, "timeout"
	case errors.Is(err, context.Canceled):
		status, kind = 499, "canceled"
	}
	respond(w, status, map[string]string{"status": "error", "errorType": kind, "error": err.Error()})
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A failed write means that the client has gone: there is nobody to tell.
	_ = json.NewEncoder(w).Encode(body)
}
