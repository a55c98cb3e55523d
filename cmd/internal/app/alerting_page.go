package app

import (
	"context"
	"net/url"
	"time"

	"github.com/prometheus/alertmanager/alert"
	commonmodel "github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/rules"

	"braid/pkg/alert/evidence"
	"braid/pkg/alert/notify"
	"braid/pkg/alert/rule"
	"braid/pkg/tenant"
)

// notify hands a rule's alerts to the evidence keeper, which hands them on to
// the pager. Alerts of other tenants than the default one carry their tenant as
// a label, so that routes can tell them apart.
func (al *alerting) notify(t tenant.ID) rule.NotifyFunc {
	return func(ctx context.Context, expr string, about rule.About, list []*rules.Alert) {
		out := make([]evidence.Alert, 0, len(list))
		for _, r := range list {
			x := evidence.Alert{Tenant: t, Labels: r.Labels.Map(), Series: about.SeriesLabels(r.Labels), Annotations: r.Annotations.Map(), Expr: expr,
				Group: about.Group, File: about.File, Value: r.Value, ActiveAt: r.ActiveAt, FiredAt: r.FiredAt, ResolvedAt: r.ResolvedAt, ValidUntil: r.ValidUntil}
			if _, has := x.Labels["tenant"]; !has && t != tenant.Default {
				x.Labels["tenant"] = string(t)
			}
			out = append(out, x)
		}
		al.history.Notify(ctx, t, out)
	}
}

// pager makes the Alertmanagers what the evidence keeper pages by.
type pager struct{ al *alerting }

// keepFiring is how long an alert counts as firing without being sent again,
// when its rule does not say.
const keepFiring = 4 * time.Minute

func (p pager) alerts(list []evidence.Alert) []*alert.Alert {
	now := time.Now()
	out := make([]*alert.Alert, 0, len(list))
	for _, r := range list {
		x := &alert.Alert{Alert: commonmodel.Alert{Labels: labelSet(r.Labels), Annotations: labelSet(r.Annotations), StartsAt: r.FiredAt, EndsAt: r.ValidUntil,
			GeneratorURL: p.al.a.url() + "/explore/metrics?q=" + url.QueryEscape(r.Expr)}, UpdatedAt: now}
		switch {
		case !r.ResolvedAt.IsZero():
			x.EndsAt = r.ResolvedAt
		case x.EndsAt.IsZero():
			x.EndsAt, x.Timeout = now.Add(keepFiring), true
		}
		if x.StartsAt.After(x.EndsAt) {
			x.StartsAt = x.EndsAt
		}
		out = append(out, x)
	}
	return out
}

// Hold implements evidence.Pager.
func (p pager) Hold(_ context.Context, t tenant.ID, list []evidence.Alert) error {
	if p.al.outside != nil {
		return nil // the rules send again until the others have it
	}
	x, err := p.al.tenant(t)
	if err != nil {
		return err
	}
	return x.manager.Hold(p.alerts(list)...)
}

// Page implements evidence.Pager.
func (p pager) Page(ctx context.Context, t tenant.ID, list []evidence.Alert) error {
	if p.al.outside != nil {
		p.al.outside.Send(p.alerts(list)...)
		return nil
	}
	x, err := p.al.tenant(t)
	if err != nil {
		return err
	}
	return x.manager.Put(ctx, p.alerts(list)...)
}

func labelSet(m map[string]string) commonmodel.LabelSet {
	out := make(commonmodel.LabelSet, len(m))
	for k, v := range m {
		out[commonmodel.LabelName(k)] = commonmodel.LabelValue(v)
	}
	return out
}

// observe notes on the history what became of a notification.
func (al *alerting) observe(t tenant.ID, o notify.Outcome) {
	al.pages.note(t, o)
	page := evidence.Page{At: o.At.UTC(), Receiver: o.Receiver, Integration: o.Integration}
	if o.Err != nil {
		page.Error = o.Err.Error()
	}
	if len(o.Firing) > 0 {
		al.history.Paged(t, o.Firing, page)
	}
	if len(o.Resolved) > 0 {
		page.Resolved = true
		al.history.Paged(t, o.Resolved, page)
	}
}
