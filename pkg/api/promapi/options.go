package promapi

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"time"

	"github.com/grafana/regexp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query/engine"
	"braid/pkg/tenant"
)

// Source holds the series; query.MetricSource satisfies it.
type Source interface {
	Queryable(t tenant.ID) storage.SampleAndChunkQueryable
	Exemplars(ctx context.Context, q *predicate.ExemplarQuery) iter.Seq2[[]model.ExemplarRow, error]
	Metadata(ctx context.Context, t tenant.ID, metric string, limit int) (map[string]model.MetricMeta, error)
}

// Options of the API. Source is needed; the zero value of the rest works.
type Options struct {
	Source Source
	// Engine evaluates PromQL; nil makes one from the fields below. Sums of
	// rates are answered in one pass (see FusedEngine), unless PlainEngine is
	// set, as it must be for an engine that uses start timestamps.
	Engine      promql.QueryEngine
	PlainEngine bool
	// Guard bounds and logs queries per tenant; nil means unbounded.
	Guard *engine.Guard
	// MaxSamples bounds the samples that one query may hold in memory; 0 means
	// 50 million. Timeout ends a query; 0 means 2 min.
	MaxSamples int
	Timeout    time.Duration
	// Budget bounds what one query of a tenant may take besides; nil means
	// nothing more. It is asked often and must be cheap.
	Budget func(tenant.ID) Budget
	// LookbackDelta is how old a sample may be to count as current; 0 means 5 min.
	LookbackDelta time.Duration
	// Experimental switches PromQL's experimental functions on.
	Experimental bool
	// ActiveQueryDir holds the log of running queries that a crash leaves
	// behind for the next start to report; "" means none.
	ActiveQueryDir string

	// Admin gives a tenant's statistics, deletion and snapshots; nil means
	// that the status endpoints answer emptily. EnableAdmin lets deletion and
	// snapshots be asked for; snapshots go to SnapshotDir/<tenant>.
	Admin       func(tenant.ID) apiv1.TSDBAdminStats
	EnableAdmin bool
	SnapshotDir string

	// Write takes remote write at /api/v1/write, OTLP takes OTLP metrics at
	// /api/v1/otlp/v1/metrics; nil means 404.
	Write, OTLP http.Handler

	// Targets may return nil for a tenant that scrapes nothing.
	// Rules, Targets and Alertmanagers give what other parts of the process
	// know; nil means that there are none.
	Rules         func(tenant.ID) apiv1.RulesRetriever
	Targets       func(tenant.ID) apiv1.TargetRetriever
	Alertmanagers func() []*url.URL

	// Flags is what /api/v1/status/flags says; Retention what runtimeinfo says.
	Flags     map[string]string
	Retention string

	// CORSOrigin names the origins of other sites' pages that may read
	// answers; nil means none.
	CORSOrigin *regexp.Regexp
	// MaxTenants bounds the tenants with an instance of the API; 0 means 1,000.
	MaxTenants int
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer
	Now        func() time.Time
}

// prometheusVersion is the version that we answer as: clients choose by it
// which calls they may make.
const prometheusVersion = "3.15.0"

func (o Options) withDefaults() Options {
	if o.MaxSamples <= 0 {
		o.MaxSamples = 50_000_000
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.LookbackDelta <= 0 {
		o.LookbackDelta = 5 * time.Minute
	}
	if o.CORSOrigin == nil {
		o.CORSOrigin = regexp.MustCompile(`^\b$`) // matches no origin
	}
	if o.Budget == nil {
		o.Budget = func(tenant.ID) Budget { return Budget{} }
	}
	if o.MaxTenants <= 0 {
		o.MaxTenants = 1000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Gatherer == nil {
		o.Gatherer = prometheus.NewRegistry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Parser returns the PromQL parser that the options ask for: engine, rules and
// API must share its choices.
func (o Options) Parser() parser.Parser {
	return parser.NewParser(parser.Options{
		EnableExperimentalFunctions: o.Experimental, ExperimentalDurationExpr: o.Experimental,
		EnableExtendedRangeSelectors: o.Experimental, EnableBinopFillModifiers: o.Experimental,
	})
}

// NewEngine makes the PromQL engine that the options ask for. Its owner closes
// it.
func NewEngine(o Options) (*promql.Engine, error) {
	o = o.withDefaults()
	opts := promql.EngineOpts{
		Logger: o.Logger, Reg: o.Registerer, MaxSamples: o.MaxSamples, Timeout: o.Timeout, LookbackDelta: o.LookbackDelta,
		EnableAtModifier: true, EnableNegativeOffset: true, EnablePerStepStats: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		Parser:                   o.Parser(),
	}
	if o.ActiveQueryDir != "" {
		tracker, err := promql.NewActiveQueryTracker(o.ActiveQueryDir, max(20, 4*runtime.GOMAXPROCS(0)), o.Logger)
		if err != nil {
			return nil, err
		}
		opts.ActiveQueryTracker = tracker
	}
	return promql.NewEngine(opts), nil
}
