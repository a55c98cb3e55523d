package promapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/util/features"
	"github.com/prometheus/prometheus/util/notifications"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"

	"braid/pkg/tenant"
)

// tenantAPI is Prometheus's API over one tenant's series.
type tenantAPI struct{ router *route.Router }

// ServeHTTP answers a path of the route table.
func (t *tenantAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) { t.router.ServeHTTP(w, r) }

const (
	remoteReadSamples     = 50_000_000
	remoteReadConcurrency = 10
	remoteReadFrameBytes  = 1 << 20
	maxSearchResults      = 10_000
)

// newTenantAPI calls NewAPI with its many arguments, each on a line of its own.
func (h *Handler) newTenantAPI(id tenant.ID) *tenantAPI {
	o := &h.opts
	queryable := o.Source.Queryable(id)
	found := known{h, id}
	api := apiv1.NewAPI(
		o.Engine,
		queryable,
		nil, // appendable: writing has handlers of its own
		nil, // appendable, second version
		exemplarQueryable{o.Source, id},
		func(context.Context) apiv1.ScrapePoolsRetriever { return found },
		func(context.Context) apiv1.TargetRetriever { return found.targets() },
		func(context.Context) apiv1.AlertmanagerRetriever { return found },
		func() config.Config { return h.config },
		o.Flags,
		apiv1.GlobalURLOptions{},
		func(f http.HandlerFunc) http.HandlerFunc { return f }, // always ready
		h.admin(id),
		filepath.Join(o.SnapshotDir, string(id)),
		o.EnableAdmin,
		true, // search endpoints
		maxSearchResults,
		o.Logger.With(slog.String("tenant", string(id))),
		func(context.Context) apiv1.RulesRetriever { return found.rules() },
		remoteReadSamples,
		remoteReadConcurrency,
		remoteReadFrameBytes,
		false, // agent
		o.CORSOrigin,
		h.runtimeInfo,
		&apiv1.PrometheusVersion{Version: prometheusVersion, Revision: "braid", Branch: "braid", GoVersion: runtime.Version()},
		func() []notifications.Notification { return nil },
		func() (<-chan notifications.Notification, func(), bool) { return nil, nil, false },
		tenantGatherer{o.Gatherer, id},
		prometheus.NewRegistry(), // one per tenant: the API registers its own metrics
		nil,                      // statistics as Prometheus renders them
		false,                    // remote write
		remoteapi.MessageTypes{},
		false, // OTLP
		false, // OTLP delta to cumulative
		false, // OTLP native delta
		false, // start time zero ingestion
		o.LookbackDelta,
		false, // type and unit labels
		false, // append metadata
		nil,   // error codes as Prometheus chooses them
		features.NewRegistry(),
		apiv1.OpenAPIOptions{},
		o.Parser(),
	)
	r := route.New()
	api.Register(r.WithPrefix(apiPrefix))
	return &tenantAPI{router: r}
}

func (h *Handler) runtimeInfo() (apiv1.RuntimeInfo, error) {
	host, err := os.Hostname()
	if err != nil {
		return apiv1.RuntimeInfo{}, err
	}
	return apiv1.RuntimeInfo{
		StartTime: h.start, ServerTime: h.opts.Now(), Hostname: host, ReloadConfigSuccess: true, LastConfigTime: h.start,
		GoroutineCount: runtime.NumGoroutine(), GOMAXPROCS: runtime.GOMAXPROCS(0), GOMEMLIMIT: debug.SetMemoryLimit(-1),
		GOGC: os.Getenv("GOGC"), GODEBUG: os.Getenv("GODEBUG"), StorageRetention: h.opts.Retention,
	}, nil
}

// known answers what other parts of the process know, emptily without them.
type known struct {
	h  *Handler
	id tenant.ID
}

func (k known) targets() apiv1.TargetRetriever {
	if f := k.h.opts.Targets; f != nil {
		return f(k.id)
	}
	return noTargets{}
}

func (k known) rules() apiv1.RulesRetriever {
	if f := k.h.opts.Rules; f != nil {
		return f(k.id)
	}
	return noRules{}
}

// ScrapePools implements apiv1.ScrapePoolsRetriever.
func (k known) ScrapePools() []string {
	pools := []string{}
	for name := range k.targets().TargetsActive() {
		pools = append(pools, name)
	}
	return pools
}

// Alertmanagers implements apiv1.AlertmanagerRetriever.
func (k known) Alertmanagers() []*url.URL {
	if f := k.h.opts.Alertmanagers; f != nil {
		return f()
	}
	return nil
}

// DroppedAlertmanagers implements apiv1.AlertmanagerRetriever.
func (known) DroppedAlertmanagers() []*url.URL { return nil }

type noTargets struct{}

func (noTargets) TargetsActive() map[string][]*scrape.Target  { return nil }
func (noTargets) TargetsDropped() map[string][]*scrape.Target { return nil }
func (noTargets) TargetsDroppedCounts() map[string]int        { return nil }
func (noTargets) ScrapePoolConfig(string) (*config.ScrapeConfig, error) {
	return nil, os.ErrNotExist
}

type noRules struct{}

func (noRules) RuleGroups() []*rules.Group           { return nil }
func (noRules) AlertingRules() []*rules.AlertingRule { return nil }
