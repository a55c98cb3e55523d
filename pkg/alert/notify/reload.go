package notify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/config/receiver"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/inhibit"
	amnotify "github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/common/model"
)

// Reload reads the configuration again: what the API has set, where the operator
// allows that, else the file. A broken one changes nothing.
func (a *Alertmanager) Reload() error {
	a.changing.Lock()
	defer a.changing.Unlock()
	src, err := a.current()
	if err != nil {
		return err
	}
	return a.apply(src, nil)
}

// apply builds all that can fail first, and only then, and after keep, stops
// what runs. The inhibitor must know the alerts before the dispatcher starts, or
// something inhibited would be paged.
func (a *Alertmanager) apply(src source, keep func() error) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	conf := src.conf
	tmpl, err := src.parse()
	if err != nil {
		return err
	}
	tmpl.ExternalURL = a.o.ExternalURL
	routes := dispatch.NewRoute(conf.Route, nil)
	receivers, err := a.receivers(src, routes, tmpl)
	if err != nil {
		return err
	}
	intervals := map[string][]timeinterval.TimeInterval{}
	for _, ti := range conf.MuteTimeIntervals {
		intervals[ti.Name] = ti.TimeIntervals
	}
	for _, ti := range conf.TimeIntervals {
		intervals[ti.Name] = ti.TimeIntervals
	}

	if keep != nil {
		if err := keep(); err != nil {
			return err
		}
	}
	a.quiesce()
	if old := a.inhibitor.Load(); old != nil {
		old.Stop()
	}
	if old := a.dispatcher.Load(); old != nil {
		old.Stop()
		a.quiesce() // what began between the two
	}
	inhibitor := inhibit.NewInhibitor(a.alerts, conf.InhibitRules, a.o.Logger, a.recorder)
	pipeline := a.pipelines.New(receivers, a.turn, inhibitor, a.silencer,
		timeinterval.NewIntervener(intervals), a.groups, pageLog{a}, a.settled())
	shown := original(src.text, conf)
	a.original.Store(&shown)
	a.api.Update(conf, func(ctx context.Context, ls model.LabelSet) {
		a.inhibitor.Load().Mutes(ctx, ls)
		a.silencer.Mutes(ctx, ls)
	})
	dispatcher := dispatch.NewDispatcher(a.alerts, routes, pipeline, a.groups,
		func(d time.Duration) time.Duration { return max(d, amnotify.MinTimeout) }, 30*time.Second, nil, a.o.Logger, a.recorder, a.metrics, tmpl)
	go inhibitor.Run()
	inhibitor.WaitForLoading()
	a.inhibitor.Store(inhibitor)
	go dispatcher.Run(time.Now())
	dispatcher.WaitForLoading()
	a.dispatcher.Store(dispatcher)
	return nil
}

// receivers builds those that some route uses.
func (a *Alertmanager) receivers(src source, routes *dispatch.Route, tmpl *template.Template) (map[string][]amnotify.Integration, error) {
	used := map[string]bool{}
	routes.Walk(func(r *dispatch.Route) { used[r.RouteOpts.Receiver] = true })
	build := a.o.integrations
	if p := a.policy(); build == nil {
		build = a.free
		if src.byAPI || p.GuardFile {
			build = a.guarded(egress{p.Allow})
		}
	}
	out := map[string][]amnotify.Integration{}
	for _, rc := range src.conf.Receivers {
		if !used[rc.Name] {
			a.o.Logger.Warn("receiver is used by no route", "receiver", rc.Name)
			continue
		}
		list, err := build(rc, tmpl)
		if err != nil {
			return nil, fmt.Errorf("alertmanager receiver %q: %w", rc.Name, err)
		}
		out[rc.Name] = a.watch(rc.Name, list)
	}
	return out, nil
}

// free builds receivers that reach everything.
func (a *Alertmanager) free(rc config.Receiver, tmpl *template.Template) ([]amnotify.Integration, error) {
	return receiver.BuildReceiverIntegrations(rc, tmpl, a.o.Logger)
}

// guarded builds receivers that reach what they may.
func (a *Alertmanager) guarded(e egress) func(config.Receiver, *template.Template) ([]amnotify.Integration, error) {
	return func(rc config.Receiver, tmpl *template.Template) ([]amnotify.Integration, error) {
		for _, c := range rc.SNSConfigs {
			if c.UseAWSHTTPClient || os.Getenv("AWS_CA_BUNDLE") != "" {
				return nil, errors.New("sns_configs: with use_aws_http_client, or AWS_CA_BUNDLE in the environment, addresses cannot be checked as alerting.receivers.guard_file asks")
			}
		}
		mails := rc.EmailConfigs
		rc.EmailConfigs = nil
		out, err := receiver.BuildReceiverIntegrations(rc, tmpl, a.o.Logger, e.http())
		for i, c := range mails {
			log := a.o.Logger.With("integration", "email")
			out = append(out, amnotify.NewIntegration(&guardedEmail{conf: c, tmpl: tmpl, log: log, egress: e}, c, "email", i, rc.Name))
		}
		return out, err
	}
}

// tend mends what the dispatcher has missed and forgets what is over. While the
// dispatcher is being replaced there is nothing to compare with.
func (a *Alertmanager) tend() {
	if !a.reloading.TryLock() {
		return
	}
	defer a.reloading.Unlock()
	d := a.dispatcher.Load()
	if d == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.o.Maintenance)
	defer cancel()
	groups, _, err := d.Groups(ctx, func(*dispatch.Route) bool { return true }, func(*alert.Alert, time.Time) bool { return true })
	if err != nil {
		a.o.Logger.Warn("cannot look at the groups of alerts", "err", err)
		return
	}
	held := map[model.Fingerprint]*alert.Alert{}
	for _, g := range groups {
		for _, x := range g.Alerts {
			f := x.Fingerprint()
			if old := held[f]; old == nil || x.UpdatedAt.Before(old.UpdatedAt) {
				held[f] = x
			}
		}
	}
	if err := a.alerts.tend(ctx, time.Now(), held, 2*a.o.Maintenance); err != nil {
		a.o.Logger.Warn("cannot tend the alerts", "err", err)
	}
}
