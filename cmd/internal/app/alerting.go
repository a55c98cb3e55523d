package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"

	"braid/cmd/internal/config"
	"braid/pkg/alert/evidence"
	"braid/pkg/alert/notify"
	"braid/pkg/alert/rule"
	"braid/pkg/alert/shared"
	"braid/pkg/api/alertapi"
	"braid/pkg/correlation"
	"braid/pkg/model"
	"braid/pkg/query/logql"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

// alerting is what an alerter runs: for each tenant its rules and an
// Alertmanager of its own, so that no tenant sees or silences another's alerts;
// the evidence of all; and the Alertmanagers elsewhere, if they page.
type alerting struct {
	a        *App
	api      http.Handler // Alertmanager's API, of the request's tenant
	rulesAPI *alertapi.API
	store    *rule.Store
	history  *evidence.Keeper
	external *url.URL
	outside  *notify.Outside // nil when the built-in one pages
	peers    *notify.Peers   // nil when this alerter is alone
	sharing                  // what the API has set, with the peers
	policy   atomic.Pointer[notify.Policy]
	pages    pages // how paging goes

	mu      sync.Mutex // guards below
	tenants map[tenant.ID]*tenantAlerts
	started bool
}

// tenantAlerts are one tenant's parts.
type tenantAlerts struct {
	rules   *rule.Manager
	manager *notify.Alertmanager
}

func (a *App) openAlerting(ctx context.Context) error {
	c := a.cfg.Load()
	external, err := url.Parse(a.url())
	if err != nil {
		return fmt.Errorf("external_url: %w", err)
	}
	al := &alerting{a: a, external: external, tenants: map[tenant.ID]*tenantAlerts{}}
	al.api = http.HandlerFunc(al.serveAlertmanager)
	policy, err := policyOf(c)
	if err != nil {
		return err
	}
	al.policy.Store(policy)
	log := a.log.With("part", "alerting")
	if err := a.reg.Register(notify.BuildInfo()); err != nil {
		return err
	}
	al.share(log)
	al.store, err = rule.OpenStore(rule.StoreOptions{Dir: filepath.Join(a.dir("alerting"), "rules"), Parser: a.engines.parser, By: al.name, Logger: log})
	if err != nil {
		return err
	}
	if len(c.Alerting.AlertmanagerURLs) > 0 {
		al.outside, err = notify.NewOutside(notify.OutsideOptions{URLs: c.Alerting.AlertmanagerURLs, Logger: log, Registerer: a.reg})
		if err != nil {
			return fmt.Errorf("alerting.alertmanager_urls: %w", err)
		}
		a.onStop("alertmanagers elsewhere", func(context.Context) error { return al.outside.Close() })
	}
	if g := c.Alerting.Peers; g.Listen != "" {
		al.peers, err = notify.Join(notify.ClusterOptions{Listen: g.Listen, Advertise: g.Advertise, Peers: g.Peers, PeerTimeout: g.Timeout.Std(),
			TLSConfig: g.TLSConfig, Shared: map[string]*shared.Set{"rules": al.groups, "receivers": al.receivers}, Logger: log, Registerer: a.reg})
		if err != nil {
			return fmt.Errorf("alerting.cluster: %w", err)
		}
		a.onStop("gossip of alerters", func(context.Context) error { return al.peers.Leave() })
	}
	a.onStop("alerting", func(context.Context) error { return al.close() })
	al.history, err = evidence.Open(evidence.Options{Dir: filepath.Join(a.dir("alerting"), "history"), Source: &evidenceSource{a: a}, Pager: pager{al},
		ExternalURL: external, Logger: log, Registerer: a.reg})
	if err != nil {
		return err
	}
	a.onStop("evidence", func(context.Context) error { return al.history.Close() })
	al.rulesAPI = alertapi.New(alertapi.Options{Store: al.store, Changed: al.changed, LogQL: checkLogQL, History: al.history, States: al.states, Pager: settings{al},
		Try: al.trier(), Logger: log})
	a.alerts = al
	a.health.add("rules", al.ruleHealth)
	if al.outside == nil {
		a.health.add("paging", func() partHealth { return al.pages.health(time.Now()) })
	}
	stored, err := al.store.Tenants()
	if err != nil {
		return err
	}
	for _, t := range append(append([]tenant.ID{tenant.Default}, stored...), al.withSettings()...) {
		if _, err := al.tenant(t); err != nil {
			return fmt.Errorf("tenant %q: %w", t, err)
		}
	}
	al.groups.Start()
	al.receivers.Start()
	a.onStop("sharing of rules", func(context.Context) error { al.groups.Close(); al.receivers.Close(); return nil })
	return nil
}

// tenant returns a tenant's parts, made when they are not there yet.
func (al *alerting) tenant(t tenant.ID) (*tenantAlerts, error) {
	al.mu.Lock()
	defer al.mu.Unlock()
	if x := al.tenants[t]; x != nil {
		return x, nil
	}
	a, c := al.a, al.a.cfg.Load()
	dir := al.tenantDir(string(t))
	reg := prometheus.WrapRegistererWith(prometheus.Labels{"tenant": string(t)}, a.reg)
	log := a.log.With("part", "alerting", "tenant", string(t))
	x := &tenantAlerts{}
	var err error
	x.manager, err = notify.New(context.Background(), notify.Options{ConfigFile: c.Alerting.AlertmanagerConfig, Dir: dir, ExternalURL: al.external,
		Policy: func() notify.Policy { return *al.policy.Load() }, Peers: al.peers, Name: string(t), Observe: func(o notify.Outcome) { al.observe(t, o) }, Logger: log, Registerer: reg})
	if err != nil {
		return nil, err
	}
	var files []string
	if t == tenant.Default {
		files = c.Alerting.Rules
	}
	queryable := a.engines.metrics.Queryable(t)
	x.rules = rule.New(context.Background(), rule.Options{Files: files, More: func() ([]string, error) { return al.store.Files(t) },
		Interval: c.Alerting.Interval.Std(), Query: rules.EngineQueryFunc(a.engines.promql, queryable), Queryable: queryable,
		Appendable: a.recordTo(t), Notify: al.notify(t), Parser: a.engines.parser, Virtual: checkVirtual, Any: al.any(t),
		ExternalURL: al.external, Logger: log, Registerer: reg})
	if err := x.rules.Reload(); err != nil {
		return nil, errors.Join(err, x.manager.Close())
	}
	if al.started {
		x.rules.Start()
	}
	al.tenants[t] = x
	return x, nil
}

// known returns a tenant's parts, nil when there are none.
func (al *alerting) known(t tenant.ID) *tenantAlerts {
	al.mu.Lock()
	defer al.mu.Unlock()
	return al.tenants[t]
}

func (al *alerting) all() (out []*tenantAlerts) {
	al.mu.Lock()
	defer al.mu.Unlock()
	for _, x := range al.tenants {
		out = append(out, x)
	}
	return out
}

// changed loads a tenant's rules again after the API has changed them, and tells
// the other alerters.
func (al *alerting) changed(_ context.Context, t tenant.ID) error {
	changes, err := al.store.Touched(t)
	if err != nil {
		return err
	}
	if err := al.load(t); err != nil {
		return err
	}
	al.groups.Tell(changes)
	return nil
}

func (al *alerting) load(t tenant.ID) error {
	x, err := al.tenant(t)
	if err != nil {
		return err
	}
	return x.rules.Reload()
}

func (al *alerting) states(t tenant.ID) []rule.State {
	if x := al.known(t); x != nil {
		return x.rules.States()
	}
	return nil
}

// register mounts the rule API, evidence and history.
func (al *alerting) register(mux *http.ServeMux) { al.rulesAPI.Register(mux) }

// alertingPaths are what an alerter answers beside Alertmanager's API: a
// querier without one hands them on.
func alertingPaths() []string {
	out := []string{"/api/braid/v1/alerts/", alertapi.SettingsPath}
	for prefix := range alertapi.RulePrefixes {
		out = append(out, prefix, prefix+"/")
	}
	slices.Sort(out)
	return out
}

// serveAlertmanager answers with the tenant's Alertmanager. A tenant that has
// none is only given one when it writes; until then it sees an empty one.
func (al *alerting) serveAlertmanager(w http.ResponseWriter, r *http.Request) {
	t, err := tenant.FromHTTP(r)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, err.Error())
		return
	}
	x := al.known(t)
	if x == nil {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			t = noTenant
		}
		if x, err = al.tenant(t); err != nil {
			al.a.log.Error("cannot open the alertmanager of a tenant", "tenant", t, "err", err)
			writeJSON(w, http.StatusInternalServerError, "cannot open the alertmanager of tenant "+string(t))
			return
		}
	}
	x.manager.Handler().ServeHTTP(w, r)
}

// noTenant answers for tenants that have no alerts. A request cannot name it:
// tenant.Parse does not allow the sign.
const noTenant tenant.ID = "~none"

// recordTo is where rules write: the local store, or an ingester elsewhere.
func (a *App) recordTo(t tenant.ID) storage.Appendable {
	if a.local != nil {
		return a.local.metrics.Appendable(t)
	}
	to := a.cfg.Load().Cluster.Write
	if to == "" {
		to = "http://" + a.cfg.Load().OTLP.HTTP.Listen
	}
	return rule.Appendable(newRemoteWriter(to, t).write)
}

// startRules begins to evaluate once everything answers.
func (a *App) startRules(context.Context) error {
	al := a.alerts
	al.mu.Lock()
	defer al.mu.Unlock()
	al.started = true
	for _, x := range al.tenants {
		x.rules.Start()
	}
	a.onStop("rules", func(context.Context) error {
		for _, x := range al.all() {
			x.rules.Stop()
		}
		return nil
	})
	return nil
}

// reload reads rules and Alertmanager's configuration again, for all tenants.
// What the operator allows does not change when they cannot be read.
func (al *alerting) reload(c *config.Config) (err error) {
	policy, err := policyOf(c)
	if err != nil {
		return err
	}
	before := al.policy.Swap(policy)
	defer func() {
		if err != nil {
			al.policy.Store(before)
		}
	}()
	var errs []error
	for _, x := range al.all() {
		errs = append(errs, x.rules.Reload(), x.manager.Reload())
	}
	return errors.Join(errs...)
}

func (al *alerting) close() error {
	var errs []error
	for _, x := range al.all() {
		errs = append(errs, x.manager.Close())
	}
	return errors.Join(errs...)
}

// retriever gives the Prometheus API the rules of a tenant.
func (a *App) retriever(t tenant.ID) apiv1.RulesRetriever {
	if a.alerts != nil {
		if x := a.alerts.known(t); x != nil {
			return x.rules
		}
	}
	return noRules{}
}

type noRules struct{}

func (noRules) RuleGroups() []*rules.Group           { return nil }
func (noRules) AlertingRules() []*rules.AlertingRule { return nil }

// alertsDuring names the alerts that were firing while a request ran.
type alertsDuring struct{ a *App }

// AlertsDuring implements correlation.AlertSource. A querier asks its alerter.
func (d alertsDuring) AlertsDuring(ctx context.Context, t tenant.ID, r model.TimeRange) ([]correlation.Alert, error) {
	var list []evidence.Episode
	if d.a.alerts != nil {
		list = d.a.alerts.history.Firing(t, r)
	} else {
		if d.a.cfg.Load().Cluster.Alerter == "" {
			return nil, fmt.Errorf("%w: this process has no alerter, and none is named in cluster.alerter", correlation.ErrAlertsNotAsked)
		}
		var got struct{ Alerts []evidence.Episode }
		seconds := func(ns int64) string { return strconv.FormatFloat(float64(ns)/1e9, 'f', 3, 64) }
		err := d.a.askAlerter(ctx, t, "/api/braid/v1/alerts/history", url.Values{"start": {seconds(r.Start)}, "end": {seconds(r.End)}, "limit": {"1000"}}, &got)
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(got.Alerts, func(e evidence.Episode) bool { return e.FiredAt.UnixNano() >= r.End })
	}
	var out []correlation.Alert
	for _, e := range list {
		out = append(out, correlation.Alert{Fingerprint: e.Fingerprint, Labels: e.Labels, State: e.State(), Starts: e.PendingAt.UnixNano()})
	}
	return out, nil
}

// checkVirtual tries the query of a virtual selector.
func checkVirtual(language, expr string) error {
	if language == "logql" {
		return checkLogQL(expr)
	}
	q, err := traceql.Parse(expr)
	if err != nil {
		return fmt.Errorf("traceql: %w", err)
	}
	if q.Metrics == nil {
		return fmt.Errorf("%w: traceql: %s yields traces; a rule needs numbers: end it with | rate() or another metric", model.ErrInvalid, expr)
	}
	return nil
}

func checkLogQL(expr string) error {
	e, err := logql.Parse(expr)
	if err != nil {
		return fmt.Errorf("logql: %w", err)
	}
	if logql.IsLog(e) {
		return fmt.Errorf("%w: logql: %s yields lines; a rule needs numbers, such as count_over_time(… [5m])", model.ErrInvalid, expr)
	}
	return nil
}
