package notify

import (
	"context"
	"fmt"
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

// Reload reads the configuration file again. A broken file changes nothing.
func (a *Alertmanager) Reload() error {
	conf, err := readConfig(a.o.ConfigFile)
	if err != nil {
		return err
	}
	return a.apply(conf)
}

// apply builds all that can fail first, and only then stops what runs. The
// inhibitor must know the alerts before the dispatcher starts, or something
// inhibited would be paged.
func (a *Alertmanager) apply(conf *config.Config) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	tmpl, err := template.FromGlobs(conf.Templates)
	if err != nil {
		return fmt.Errorf("alertmanager templates: %w", err)
	}
	tmpl.ExternalURL = a.o.ExternalURL
	routes := dispatch.NewRoute(conf.Route, nil)
	receivers, err := a.receivers(conf, routes, tmpl)
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
	shown := original(a.o.text(), conf)
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
func (a *Alertmanager) receivers(conf *config.Config, routes *dispatch.Route, tmpl *template.Template) (map[string][]amnotify.Integration, error) {
	used := map[string]bool{}
	routes.Walk(func(r *dispatch.Route) { used[r.RouteOpts.Receiver] = true })
	out := map[string][]amnotify.Integration{}
	for _, rc := range conf.Receivers {
		if !used[rc.Name] {
			a.o.Logger.Warn("receiver is used by no route", "receiver", rc.Name)
			continue
		}
		build := a.o.integrations
		if build == nil {
			build = func(rc config.Receiver, tmpl *template.Template) ([]amnotify.Integration, error) {
				return receiver.BuildReceiverIntegrations(rc, tmpl, a.o.Logger)
			}
		}
		list, err := build(rc, tmpl)
		if err != nil {
			return nil, fmt.Errorf("alertmanager receiver %q: %w", rc.Name, err)
		}
		out[rc.Name] = a.watch(rc.Name, list)
	}
	return out, nil
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
