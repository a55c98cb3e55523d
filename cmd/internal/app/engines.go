package app

import (
	"context"
	"math"
	"sort"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"braid/pkg/api/promapi"
	"braid/pkg/correlation"
	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/query/logql"
	braidpromql "braid/pkg/query/promql"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

// engines answer the languages over the sources.
type engines struct {
	metrics query.MetricSource // with virtual series
	promql  *promql.Engine
	prom    promapi.Options // what engine and API share
	parser  parser.Parser
	logql   *logql.Engine
	traceql *traceql.Engine
	finder  *correlation.Finder
}

func (a *App) openEngines(context.Context) error {
	c := a.cfg.Load()
	e := &engines{
		logql:   logql.NewEngine(logql.Options{Source: a.sources.logs, Guard: a.guard}),
		traceql: traceql.NewEngine(traceql.Options{Source: a.sources.traces, Guard: a.guard}),
	}
	a.engines = e
	e.metrics = &braidpromql.Federated{MetricSource: a.sources.metrics, Lookback: c.Query.Lookback.Std(),
		// Virtual series run inside a PromQL query that has its place already: a
		// second place could wait for ever.
		LogQL:   logqlSeries(logql.NewEngine(logql.Options{Source: a.sources.logs})),
		TraceQL: traceqlSeries(traceql.NewEngine(traceql.Options{Source: a.sources.traces}))}
	e.prom = promapi.Options{Source: e.metrics, Guard: a.guard, MaxSamples: c.Query.MaxSamples, Timeout: c.Query.Timeout.Std(),
		LookbackDelta: c.Query.Lookback.Std(), Experimental: c.Query.Experimental, ActiveQueryDir: a.dir("queries"),
		Logger: a.log.With("part", "promql"), Registerer: a.reg, Gatherer: a.reg, Retention: c.Metrics.Retention.String()}
	e.parser = e.prom.Parser()
	eng, err := promapi.NewEngine(e.prom)
	if err != nil {
		return err
	}
	e.promql, e.prom.Engine = eng, eng
	a.onStop("PromQL engine", func(context.Context) error { return eng.Close() })
	e.finder = correlation.New(correlation.Options{Metrics: pinnedMetrics{a.sources.metrics, a}, Logs: pinnedLogs{a.sources.logs, a}, Traces: pinTraces(a.sources.traces, a), KeySpec: a.keySpec,
		Alerts:       alertsDuring{a},
		Retention:    func(tenant.ID) time.Duration { return a.cfg.Load().Traces.Retention.Std() },
		LogRetention: func(tenant.ID) time.Duration { return a.cfg.Load().Logs.Retention.Std() }})
	return nil
}

// logqlSeries evaluates a LogQL metric query as PromQL's virtual series.
func logqlSeries(g *logql.Engine) braidpromql.Evaluator {
	return func(ctx context.Context, t tenant.ID, expr string, start, end, step int64) ([]braidpromql.Series, error) {
		p := logql.Params{Expr: expr, Start: time.UnixMilli(start), End: time.UnixMilli(end), Step: time.Duration(step) * time.Millisecond, Instant: step == 0}
		res, err := g.Query(ctx, t, p)
		if err != nil {
			return nil, err
		}
		out := make([]braidpromql.Series, 0, len(res.Series))
		for _, s := range res.Series {
			one := braidpromql.Series{}
			for _, l := range s.Labels {
				one.Labels = append(one.Labels, model.Label{Name: l.Name, Value: l.Value})
			}
			for _, pt := range s.Points {
				one.Points = append(one.Points, braidpromql.Point{T: pt.Time, V: pt.Value})
			}
			out = append(out, one)
		}
		return out, nil
	}
}

// traceqlSeries does the same for TraceQL. A TraceQL sample at T tells of the
// step before T; an instant looks five minutes back.
func traceqlSeries(g *traceql.Engine) braidpromql.Evaluator {
	const instantWindow = 5 * 60 * 1000
	return func(ctx context.Context, t tenant.ID, expr string, start, end, step int64) ([]braidpromql.Series, error) {
		width := step
		if width == 0 {
			width, start = instantWindow, end
		}
		ms := int64(time.Millisecond)
		res, err := g.MetricsRange(ctx, t, traceql.MetricsParams{Query: expr, Start: (start - width) * ms, End: end * ms, Step: width * ms})
		if err != nil {
			return nil, err
		}
		out := make([]braidpromql.Series, 0, len(res.Series))
		for _, s := range res.Series {
			one := braidpromql.Series{}
			for _, l := range s.Labels {
				one.Labels = append(one.Labels, model.Label{Name: l.Name, Value: l.Value.Text()})
			}
			for _, pt := range s.Samples {
				if at := pt.T / ms; at >= start && at <= end && !math.IsNaN(pt.Value) {
					one.Points = append(one.Points, braidpromql.Point{T: at, V: pt.Value})
				}
			}
			sort.Slice(one.Points, func(i, j int) bool { return one.Points[i].T < one.Points[j].T })
			out = append(out, one)
		}
		return out, nil
	}
}
