package app

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"

	"braid/cmd/internal/config"
	"braid/pkg/ingest"
	"braid/pkg/model"
	"braid/pkg/spanmetrics"
	"braid/pkg/tenant"
	"braid/pkg/tracestore"
)

// openSpanMetrics makes what turns spans into series. It sees the spans that the
// ingest log's replay brings, and begins to write after it.
func (a *App) openSpanMetrics(s *stores, c *config.Config) (err error) {
	sm := c.Traces.SpanMetrics
	if !sm.Enabled {
		return nil
	}
	s.red, err = spanmetrics.New(spanmetrics.Options{Dir: a.dir("spanmetrics"), Logger: a.log.With("part", "span metrics"), Registerer: a.reg,
		Write: s.writeSamples, Settled: func() model.Position { return s.pipeline.Settled() },
		Interval: sm.Interval.Std(), Quiet: sm.Wait.Std(), Longest: 6 * sm.Wait.Std(), Dimensions: sm.Dimensions,
		LatencyBuckets: sm.LatencyBuckets, GraphBuckets: sm.GraphBuckets, MaxOperations: sm.MaxOperations, Labels: a.ingesterLabel()})
	if err != nil {
		return fmt.Errorf("cannot open the span metrics: %w", err)
	}
	return nil
}

// ingesterLabel tells the series of several ingesters apart: each counts its own
// spans.
func (a *App) ingesterLabel() []model.Label {
	if a.o.Role.has(Querier) {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	_, port, _ := net.SplitHostPort(a.ports.http)
	return []model.Label{{Name: "ingester", Value: net.JoinHostPort(host, port)}}
}

// writeSamples appends samples the way scraped ones are.
func (s *stores) writeSamples(ctx context.Context, t tenant.ID, samples []spanmetrics.Sample) error {
	app := s.metrics.Appendable(t).Appender(ctx)
	var b labels.ScratchBuilder
	for i := range samples {
		x := &samples[i]
		b.Reset()
		for _, l := range x.Labels {
			b.Add(l.Name, l.Value)
		}
		ls := b.Labels()
		if _, err := app.Append(0, ls, x.Time/1e6, x.Value); err != nil {
			return err
		}
		for _, e := range x.Exemplars {
			if _, err := app.AppendExemplar(0, ls, exemplar.Exemplar{Value: e.Value, Ts: e.Time / 1e6, HasTs: true,
				Labels: labels.FromStrings("span_id", e.SpanID.String(), "trace_id", e.TraceID.String())}); err != nil {
				return err
			}
		}
	}
	return app.Commit()
}

// spanAppender is the trace store; the ingest log is also kept for the span
// metrics.
func (s *stores) spanAppender() ingest.SpanAppender {
	if s.red == nil {
		return s.traces
	}
	return countedSpans{s.traces, s.red}
}

type countedSpans struct {
	*tracestore.Store
	red *spanmetrics.Generator
}

// OldestNeeded implements ingest.SpanAppender.
func (c countedSpans) OldestNeeded() (model.Position, bool) {
	pos, ok := c.Store.OldestNeeded()
	if p, needed := c.red.OldestNeeded(); needed && (!ok || p < pos) {
		return p, true
	}
	return pos, ok
}

// Holds implements ingest.Holder: what the store has may not be counted yet.
func (c countedSpans) Holds(t tenant.ID, pos model.Position) bool {
	return c.Store.Holds(t, pos) && c.red.Counted(pos)
}
