package app

import (
	"context"
	"math"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// openSelf keeps the program's own metrics as series, so that its dashboards
// and alert rules work without another Prometheus.
func (a *App) openSelf(ctx context.Context) error {
	c := a.cfg.Load().Self
	if !c.Metrics {
		return nil
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		tick := time.NewTicker(c.Interval.Std())
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				a.keepOwnMetrics(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	a.onStop("own telemetry", func(context.Context) error {
		cancel()
		wg.Wait()
		return nil
	})
	return nil
}

// keepOwnMetrics appends what /metrics shows. Own metrics do not pass the
// ingest log: a second of them lost in a crash is no loss.
func (a *App) keepOwnMetrics(ctx context.Context) {
	families, err := a.reg.Gather()
	if err != nil {
		a.log.Warn("cannot gather own metrics", "err", err)
	}
	now := time.Now().UnixNano()
	batch := model.MetricBatch{Resource: a.ownResource(), Scope: &model.Scope{Name: "braid"}}
	for _, f := range families {
		if !telling(f.GetName()) {
			continue
		}
		if m := ownMetric(f, now); len(m.Points) > 0 {
			batch.Metrics = append(batch.Metrics, m)
		}
	}
	t := tenant.ID(a.cfg.Load().Self.Tenant)
	if _, err := a.local.metrics.AppendMetrics(ctx, t, 0, &model.Metrics{Batches: []model.MetricBatch{batch}}); err != nil && ctx.Err() == nil {
		a.log.Warn("cannot keep own metrics", "err", err)
	}
}

// tellingPrefixes name the own metrics that are kept as series: what the
// shipped dashboards and rules ask for. The rest is at /metrics.
var tellingPrefixes = []string{"braid_", "process_", "go_goroutines", "go_memstats_heap_inuse", "prometheus_rule_", "prometheus_notifications_", "alertmanager_alerts", "alertmanager_cluster_", "alertmanager_notifications_"}

func telling(name string) bool {
	for _, p := range tellingPrefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

func (a *App) ownResource() *model.Resource {
	return &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String("braid")},
		{Key: "service.instance.id", Value: model.String(a.ports.http)}, {Key: "service.version", Value: model.String(a.o.Version)}}}
}

// ownMetric turns a Prometheus family into a metric of ours. The name is a
// Prometheus name already: it keeps its unit and _total as it is.
func ownMetric(f *dto.MetricFamily, now int64) model.Metric {
	m := model.Metric{Name: f.GetName(), Description: f.GetHelp(), Temporality: model.TemporalityCumulative}
	switch f.GetType() {
	case dto.MetricType_COUNTER:
		m.Type, m.Monotonic = model.MetricSum, true
	case dto.MetricType_HISTOGRAM:
		m.Type = model.MetricHistogram
	case dto.MetricType_SUMMARY:
		m.Type = model.MetricSummary
	default:
		m.Type = model.MetricGauge
	}
	for _, x := range f.GetMetric() {
		p := model.Point{Time: now}
		for _, l := range x.GetLabel() {
			p.Attrs = append(p.Attrs, model.Attr{Key: l.GetName(), Value: model.String(l.GetValue())})
		}
		switch {
		case x.GetCounter() != nil:
			p.Value = x.GetCounter().GetValue()
		case x.GetGauge() != nil:
			p.Value = x.GetGauge().GetValue()
		case x.GetUntyped() != nil:
			p.Value = x.GetUntyped().GetValue()
		case x.GetHistogram() != nil:
			ownHistogram(&p, x.GetHistogram())
		case x.GetSummary() != nil:
			s := x.GetSummary()
			p.Count, p.Sum, p.HasSum = s.GetSampleCount(), s.GetSampleSum(), true
			for _, q := range s.GetQuantile() {
				p.Quantiles = append(p.Quantiles, model.Quantile{Quantile: q.GetQuantile(), Value: q.GetValue()})
			}
		}
		m.Points = append(m.Points, p)
	}
	return m
}

// ownHistogram turns cumulative buckets into counts of each.
func ownHistogram(p *model.Point, h *dto.Histogram) {
	p.Count, p.Sum, p.HasSum = h.GetSampleCount(), h.GetSampleSum(), true
	var before uint64
	for _, b := range h.GetBucket() {
		if math.IsInf(b.GetUpperBound(), 1) {
			break
		}
		p.Bounds = append(p.Bounds, b.GetUpperBound())
		p.Counts = append(p.Counts, b.GetCumulativeCount()-before)
		before = b.GetCumulativeCount()
	}
	p.Counts = append(p.Counts, p.Count-before)
}
