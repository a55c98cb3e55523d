package notify

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/notifier"
	"go.yaml.in/yaml/v3"
)

// OutsideOptions of an Outside. URLs is required.
type OutsideOptions struct {
	// URLs of Alertmanagers; user and password may stand in them.
	URLs       []string
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Outside sends alerts to Alertmanagers elsewhere, to each of them, as
// Prometheus does: queued, in batches, retried by the next sending of the rule.
// Safe for concurrent use.
type Outside struct {
	m  *notifier.Manager
	wg sync.WaitGroup
}

// queueCapacity is how many alerts wait for a slow Alertmanager.
const queueCapacity = 20_000

// NewOutside starts sending.
func NewOutside(o OutsideOptions) (*Outside, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	var list []map[string]any
	groups := map[string][]*targetgroup.Group{}
	for i, text := range o.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("%q is not the address of an Alertmanager: give one like http://alertmanager:9093", text)
		}
		one := map[string]any{"scheme": u.Scheme, "path_prefix": u.Path, "api_version": "v2"}
		if u.User != nil {
			password, _ := u.User.Password()
			one["basic_auth"] = map[string]any{"username": u.User.Username(), "password": password}
		}
		list = append(list, one)
		groups[fmt.Sprintf("config-%d", i)] = []*targetgroup.Group{{Source: text, Targets: []model.LabelSet{{model.AddressLabel: model.LabelValue(u.Host)}}}}
	}
	text, err := yaml.Marshal(map[string]any{"alerting": map[string]any{"alertmanagers": list}})
	if err != nil {
		return nil, err
	}
	conf, err := config.Load(string(text), o.Logger)
	if err != nil {
		return nil, fmt.Errorf("cannot set up the sending of alerts: %w", err)
	}
	x := &Outside{m: notifier.NewManager(&notifier.Options{QueueCapacity: queueCapacity, DrainOnShutdown: true, Registerer: o.Registerer},
		model.UTF8Validation, o.Logger)}
	if err := x.m.ApplyConfig(conf); err != nil {
		return nil, fmt.Errorf("cannot set up the sending of alerts: %w", err)
	}
	targets := make(chan map[string][]*targetgroup.Group, 1)
	targets <- groups
	x.wg.Add(1)
	go func() {
		defer x.wg.Done()
		x.m.Run(targets)
	}()
	return x, nil
}

// Send queues alerts; it does not wait for the Alertmanagers.
func (x *Outside) Send(alerts ...*alert.Alert) {
	out := make([]*notifier.Alert, 0, len(alerts))
	for _, a := range alerts {
		out = append(out, &notifier.Alert{Labels: toLabels(a.Labels), Annotations: toLabels(a.Annotations), StartsAt: a.StartsAt, EndsAt: a.EndsAt,
			GeneratorURL: a.GeneratorURL})
	}
	x.m.Send(out...)
}

func toLabels(ls model.LabelSet) labels.Labels {
	m := make(map[string]string, len(ls))
	for k, v := range ls {
		m[string(k)] = string(v)
	}
	return labels.FromMap(m)
}

// URLs are those that alerts are sent to.
func (x *Outside) URLs() []*url.URL { return x.m.Alertmanagers() }

// Close sends what is queued and ends.
func (x *Outside) Close() error {
	x.m.Stop()
	x.wg.Wait()
	if n := len(x.m.DroppedAlertmanagers()); n > 0 {
		return errors.New("some alertmanagers were never reached")
	}
	return nil
}
