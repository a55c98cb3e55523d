package promapi

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sort"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/features"
	"github.com/prometheus/prometheus/util/notifications"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"

	"braid/pkg/tenant"
)

// instance is Prometheus's API over the series of one tenant, or of the one in
// the request's context.
type instance struct{ router *route.Router }

// ServeHTTP answers a path of the route table.
func (i *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) { i.router.ServeHTTP(w, r) }

const (
	remoteReadSamples     = 50_000_000
	remoteReadConcurrency = 10
	remoteReadFrameBytes  = 1 << 20
	maxSearchResults      = 10_000
)

// newShared makes the instance that answers for the tenant in the context.
func (h *Handler) newShared() *instance {
	return h.newInstance(sharedQueryable{h.opts.Source}, noAdmin{}, "", h.opts.Gatherer)
}

// newOwn makes an instance for what needs a tenant and has no context:
// administration, and the search endpoints.
func (h *Handler) newOwn(id tenant.ID) *instance {
	return h.newInstance(h.opts.Source.Queryable(id), h.admin(id), filepath.Join(h.opts.SnapshotDir, string(id)), tenantGatherer{h.opts.Gatherer, id})
}

// newInstance calls NewAPI with its many arguments, each on a line of its own.
func (h *Handler) newInstance(queryable storage.SampleAndChunkQueryable, admin apiv1.TSDBAdminStats, dir string, gatherer prometheus.Gatherer) *instance {
	o := &h.opts
	api := apiv1.NewAPI(
		o.Engine,
		queryable,
		nil, // appendable: writing has handlers of its own
		nil, // appendable, second version
		exemplarQueryable{o.Source},
		func(ctx context.Context) apiv1.ScrapePoolsRetriever { return scrapePools{h.targets(ctx)} },
		h.targets,
		func(context.Context) apiv1.AlertmanagerRetriever { return alertmanagers{o.Alertmanagers} },
		func() config.Config { return h.config },
		o.Flags,
		apiv1.GlobalURLOptions{},
		func(f http.HandlerFunc) http.HandlerFunc { return f }, // always ready
		admin,
		dir,
		o.EnableAdmin,
		true, // search endpoints
		maxSearchResults,
		o.Logger,
		h.rules,
		remoteReadSamples,
		remoteReadConcurrency,
		remoteReadFrameBytes,
		false, // agent
		o.CORSOrigin,
		h.runtimeInfo,
		&apiv1.PrometheusVersion{Version: prometheusVersion, Revision: "braid", Branch: "braid", GoVersion: runtime.Version()},
		func() []notifications.Notification { return nil },
		func() (<-chan notifications.Notification, func(), bool) { return nil, nil, false },
		gatherer,
		prometheus.NewRegistry(), // one per instance: the API registers its own metrics
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
		// Rendering the OpenAPI document takes longer than all the rest, and it
		// is the same for all tenants: serveOpenAPI has the whole.
		apiv1.OpenAPIOptions{IncludePaths: []string{"-"}},
		o.Parser(),
	)
	r := route.New()
	api.Register(r.WithPrefix(apiPrefix))
	return &instance{router: r}
}

// serveOpenAPI answers with the description of the API, made when first asked for.
func (h *Handler) serveOpenAPI(w http.ResponseWriter, r *http.Request) {
	h.openAPIOnce.Do(func() {
		h.openAPI = apiv1.NewOpenAPIBuilder(apiv1.OpenAPIOptions{Version: prometheusVersion}, h.opts.Logger)
	})
	h.openAPI.ServeOpenAPI(w, r)
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

// What other parts of the process know, emptily without them.

func (h *Handler) targets(ctx context.Context) apiv1.TargetRetriever {
	if id, err := tenantOf(ctx); err == nil && h.opts.Targets != nil {
		if t := h.opts.Targets(id); t != nil {
			return t
		}
	}
	return noTargets{}
}

func (h *Handler) rules(ctx context.Context) apiv1.RulesRetriever {
	if id, err := tenantOf(ctx); err == nil && h.opts.Rules != nil {
		return h.opts.Rules(id)
	}
	return noRules{}
}

type scrapePools struct{ targets apiv1.TargetRetriever }

// ScrapePools implements apiv1.ScrapePoolsRetriever.
func (s scrapePools) ScrapePools() []string {
	pools := []string{}
	for name := range s.targets.TargetsActive() {
		pools = append(pools, name)
	}
	sort.Strings(pools)
	return pools
}

type alertmanagers struct{ list func() []*url.URL }

// Alertmanagers implements apiv1.AlertmanagerRetriever.
func (a alertmanagers) Alertmanagers() []*url.URL {
	if a.list == nil {
		return nil
	}
	return a.list()
}

// DroppedAlertmanagers implements apiv1.AlertmanagerRetriever.
func (alertmanagers) DroppedAlertmanagers() []*url.URL { return nil }

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
