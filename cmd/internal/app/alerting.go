package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/prometheus/alertmanager/alert"
	commonmodel "github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"

	"braid/pkg/alert/notify"
	"braid/pkg/alert/rule"
	"braid/pkg/correlation"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// alerting is what an alerter runs: the rules of the default tenant, and the
// Alertmanager that pages.
type alerting struct {
	rules   *rule.Manager
	manager *notify.Alertmanager
	api     http.Handler
}

func (a *App) openAlerting(ctx context.Context) error {
	c := a.cfg.Load()
	external, err := url.Parse(a.url())
	if err != nil {
		return fmt.Errorf("external_url: %w", err)
	}
	al := &alerting{}
	al.manager, err = notify.New(context.WithoutCancel(ctx), notify.Options{ConfigFile: c.Alerting.AlertmanagerConfig, Dir: filepath.Join(a.dir("alerting")),
		ExternalURL: external, Logger: a.log.With("part", "alertmanager"), Registerer: a.reg})
	if err != nil {
		return err
	}
	a.onStop("alertmanager", func(context.Context) error { return al.manager.Close() })
	al.api = al.manager.Handler()

	queryable := a.engines.metrics.Queryable(tenant.Default)
	al.rules = rule.New(context.WithoutCancel(ctx), rule.Options{Files: c.Alerting.Rules, Interval: c.Alerting.Interval.Std(),
		Query: rules.EngineQueryFunc(a.engines.promql, queryable), Queryable: queryable, Appendable: a.recordTo(tenant.Default),
		Notify: al.notify(a), Parser: a.engines.parser, ExternalURL: external, Logger: a.log.With("part", "rules"), Registerer: a.reg})
	a.alerts = al
	return al.rules.Reload()
}

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
	a.alerts.rules.Start()
	a.onStop("rules", func(context.Context) error { a.alerts.rules.Stop(); return nil })
	return nil
}

func (al *alerting) reload() error { return errors.Join(al.rules.Reload(), al.manager.Reload()) }

// keepFiring is how long an alert counts as firing without being sent again:
// several evaluation and resend intervals.
const keepFiring = 4 * time.Minute

// notify hands the rules' alerts to the Alertmanager.
func (al *alerting) notify(a *App) rules.NotifyFunc {
	return func(ctx context.Context, expr string, list ...*rules.Alert) {
		if len(list) == 0 {
			return
		}
		now := time.Now()
		out := make([]*alert.Alert, 0, len(list))
		for _, r := range list {
			x := &alert.Alert{Alert: commonmodel.Alert{Labels: labelSet(r.Labels), Annotations: labelSet(r.Annotations), StartsAt: r.FiredAt,
				EndsAt: r.ValidUntil, GeneratorURL: a.url() + "/metrics?expr=" + url.QueryEscape(expr)}, UpdatedAt: now}
			if !r.ResolvedAt.IsZero() {
				x.EndsAt = r.ResolvedAt
			} else if x.EndsAt.IsZero() {
				x.EndsAt, x.Timeout = now.Add(keepFiring), true
			}
			out = append(out, x)
		}
		if err := al.manager.Put(ctx, out...); err != nil {
			a.log.Error("cannot hand alerts to the alertmanager", "err", err, "alerts", len(out))
		}
	}
}

func labelSet(ls labels.Labels) commonmodel.LabelSet {
	out := commonmodel.LabelSet{}
	ls.Range(func(l labels.Label) { out[commonmodel.LabelName(l.Name)] = commonmodel.LabelValue(l.Value) })
	return out
}

// retriever gives the Prometheus API the rules of a tenant.
func (a *App) retriever(t tenant.ID) apiv1.RulesRetriever {
	if a.alerts == nil || t != tenant.Default {
		return noRules{}
	}
	return a.alerts.rules
}

type noRules struct{}

func (noRules) RuleGroups() []*rules.Group           { return nil }
func (noRules) AlertingRules() []*rules.AlertingRule { return nil }

// alertsDuring names the alerts that were firing while a request ran.
type alertsDuring struct{ a *App }

// AlertsDuring implements correlation.AlertSource.
func (d alertsDuring) AlertsDuring(_ context.Context, t tenant.ID, r model.TimeRange) ([]correlation.Alert, error) {
	var out []correlation.Alert
	for _, ar := range d.a.retriever(t).AlertingRules() {
		for _, x := range ar.ActiveAlerts() {
			if x.State != rules.StateFiring || x.FiredAt.UnixNano() >= r.End {
				continue
			}
			if !x.ResolvedAt.IsZero() && x.ResolvedAt.UnixNano() < r.Start {
				continue
			}
			out = append(out, correlation.Alert{Fingerprint: fmt.Sprintf("%016x", x.Labels.Hash()), Labels: x.Labels.Map(),
				State: x.State.String(), Starts: x.ActiveAt.UnixNano()})
		}
	}
	return out, nil
}
