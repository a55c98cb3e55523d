package traceql

import (
	"context"
	"fmt"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// MetricsParams of a metrics query. Times are Unix nanoseconds.
type MetricsParams struct {
	Query      string
	Start, End int64
	// Step is the width of a sample in ns; 0 lets the engine choose.
	Step int64
	// Exemplars bounds the exemplars of the whole answer; 0 means none, unless
	// the hint exemplars says otherwise.
	Exemplars int
}

// MetricsResult is the answer of a metrics query, series ordered by labels.
type MetricsResult struct {
	Series     []Series
	Start, End int64 // as aligned
	Step       int64
	Stats      *model.QueryStats
}

// Series is one line of a chart. A sample at T tells of the spans that start in
// [T-step, T).
type Series struct {
	Labels    []Label
	Samples   []Sample
	Exemplars []Exemplar
}

// Label names a series. Its value keeps its type; "nil" stands for a field
// that the spans lack.
type Label struct {
	Name  string
	Value model.Value
}

// Sample is one value. T is Unix nanoseconds.
type Sample struct {
	T     int64
	Value float64
}

// Exemplar is one span behind a sample.
type Exemplar struct {
	T       int64
	Value   float64
	TraceID model.TraceID
	SpanID  model.SpanID
}

// MetricsRange answers a metrics query with series.
func (e *Engine) MetricsRange(ctx context.Context, t tenant.ID, p MetricsParams) (*MetricsResult, error) {
	if p.End <= p.Start {
		return nil, fmt.Errorf("%w: end must lie after start", model.ErrInvalid)
	}
	if p.Step <= 0 {
		p.Step = DefaultStep(p.End - p.Start)
	}
	p.align()
	if steps := (p.End - p.Start) / p.Step; steps > int64(e.limits.MaxSteps) {
		return nil, fmt.Errorf("%w: the query asks for %d samples a series, at most %d are allowed: widen the step or shorten the range", model.ErrTooMuch, steps, e.limits.MaxSteps)
	}
	return e.metrics(ctx, t, p)
}

// align widens the range to whole steps, so that the same moment falls into
// the same sample in every refresh. A single step is taken as it is.
func (p *MetricsParams) align() {
	if p.Step >= p.End-p.Start {
		p.Step = p.End - p.Start
		return
	}
	p.Start -= mod(p.Start, p.Step)
	if m := mod(p.End, p.Step); m != 0 {
		p.End += p.Step - m
	}
}

func mod(a, b int64) int64 { return ((a % b) + b) % b }

// MetricsInstant answers a metrics query with one sample a series, over the
// whole range.
func (e *Engine) MetricsInstant(ctx context.Context, t tenant.ID, p MetricsParams) (*MetricsResult, error) {
	if p.End <= p.Start {
		return nil, fmt.Errorf("%w: end must lie after start", model.ErrInvalid)
	}
	p.Step = p.End - p.Start
	return e.metrics(ctx, t, p)
}

// DefaultStep aims at about 120 samples, at a width that people read easily.
func DefaultStep(rangeNS int64) int64 {
	want := time.Duration(rangeNS / 120)
	for _, s := range []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour} {
		if s >= want {
			return int64(s)
		}
	}
	return int64(24 * time.Hour)
}

func (e *Engine) metrics(ctx context.Context, t tenant.ID, p MetricsParams) (res *MetricsResult, err error) {
	if r := time.Duration(p.End - p.Start); e.limits.MaxRange > 0 && r > e.limits.MaxRange {
		return nil, fmt.Errorf("%w: the range of %s is longer than %s: shorten it", model.ErrTooMuch, r, e.limits.MaxRange)
	}
	q, err := Parse(p.Query)
	if err != nil {
		return nil, err
	}
	if q.Metrics == nil && q.Math == nil {
		return nil, fmt.Errorf("%w: expected a metrics function such as rate() at the end of the query: %s", model.ErrInvalid, q)
	}
	p.Exemplars = exemplars(q, p.Exemplars)
	ctx, done, err := e.begin(ctx, t, p.Query)
	if err != nil {
		return nil, err
	}
	res = &MetricsResult{Start: p.Start, End: p.End, Step: p.Step, Stats: &model.QueryStats{}}
	defer func() { done(res.Stats, err) }()
	if q.Math != nil {
		if res.Series, _, err = e.evalMath(ctx, t, q.Math, p, res.Stats); err != nil {
			return res, err
		}
		for _, s := range q.Second {
			res.Series = secondStage(s, res.Series)
		}
		return res, nil
	}
	plan, err := NewPlan(q)
	if err != nil {
		return nil, err
	}
	res.Series, err = e.metricSeries(ctx, t, plan, p, res.Stats)
	return res, err
}

// metricSeries answers one metrics query.
func (e *Engine) metricSeries(ctx context.Context, t tenant.ID, plan *Plan, p MetricsParams, stats *model.QueryStats) ([]Series, error) {
	if plan.query.Metrics.Compare != nil {
		return e.compare(ctx, t, plan, p, stats)
	}
	agg, err := e.aggregate(ctx, t, plan, p, stats)
	if err != nil {
		return nil, fmt.Errorf("cannot aggregate spans: %w", cause(ctx, err))
	}
	if agg.Dropped > 0 {
		stats.Warn("the query has more than %d series: %d spans of the others are left out; group by fewer attributes", e.maxGroups(p), agg.Dropped)
	}
	return finish(plan.query.Metrics, agg, p), nil
}

// maxExemplars bounds what a hint may ask for.
const maxExemplars = 1000

func exemplars(q *Query, asked int) int {
	if h, ok := q.Hint("exemplars"); ok {
		switch h.Type {
		case TypeBool:
			if !h.Value.AsBool() {
				return 0
			}
			asked = max(asked, 100)
		case TypeInt:
			asked = int(h.Value.AsInt())
		}
	}
	return min(max(asked, 0), maxExemplars)
}

// maxCells bounds the memory of an aggregation: groups times buckets.
const maxCells = 4_000_000

func (e *Engine) maxGroups(p MetricsParams) int {
	steps := (p.End - p.Start) / p.Step
	return int(max(1, min(int64(e.limits.MaxSeries), maxCells/max(1, steps))))
}

// aggregate counts at the source when the plan allows, else from the spans.
func (e *Engine) aggregate(ctx context.Context, t tenant.ID, plan *Plan, p MetricsParams, stats *model.QueryStats) (*model.Aggregate, error) {
	m := plan.query.Metrics
	if !plan.pushed || !plan.aggregates(m) {
		return e.aggregateHere(ctx, t, plan, p, stats)
	}
	a := &predicate.Aggregation{Tenant: t, Range: model.TimeRange{Start: p.Start, End: p.End}, Filter: plan.filters[0].low.expr,
		Step: p.Step, Measure: measure(m), MaxGroups: e.maxGroups(p), Exemplars: p.Exemplars, Stats: stats}
	for _, f := range m.By {
		pf, _ := f.Predicate()
		a.By = append(a.By, pf)
	}
	if m.Of != nil {
		a.Of, _ = m.Of.Predicate()
	}
	return e.source.AggregateSpans(ctx, a)
}

func measure(m *Metrics) predicate.Measure {
	switch m.Func {
	case "rate", "count_over_time":
		return predicate.CountOnly
	case "histogram_over_time", "quantile_over_time":
		return predicate.Quantiles
	}
	return predicate.Numbers
}

// aggregateHere evaluates the pipeline trace by trace.
func (e *Engine) aggregateHere(ctx context.Context, t tenant.ID, plan *Plan, p MetricsParams, stats *model.QueryStats) (*model.Aggregate, error) {
	m := plan.query.Metrics
	acc := newAccumulator(p, len(m.By), e.maxGroups(p))
	acc.kind, acc.exemplars = measure(m), p.Exemplars
	err := e.eachMatch(ctx, t, plan, p, stats, func(s *scene, i int) {
		key := make([]model.Value, len(m.By))
		for k, f := range m.By {
			key[k], _ = s.first(f, i)
		}
		v, has := 0.0, false
		if m.Of != nil {
			s.lookup(*m.Of, i, func(x model.Value) bool {
				v, has = x.Float()
				return !has
			})
		}
		acc.add(key, &s.spans[i], v, has)
	})
	return acc.agg, err
}

// eachMatch visits every span that the pipeline leaves and that starts within
// the range.
func (e *Engine) eachMatch(ctx context.Context, t tenant.ID, plan *Plan, p MetricsParams, stats *model.QueryStats, visit func(*scene, int)) error {
	q := plan.spanQuery()
	q.Tenant, q.Range, q.Stats = t, model.TimeRange{Start: p.Start, End: p.End}, stats
	budget := spanBudget{left: e.limits.MaxSpans, limit: e.limits.MaxSpans}
	for match, err := range e.source.SelectSpans(ctx, q) {
		if err != nil {
			return err
		}
		if err := budget.spend(len(match.Spans)); err != nil {
			return err
		}
		s := &scene{spans: match.Spans, facts: &match.Facts}
		for _, set := range plan.evaluate(s) {
			for _, i := range set.spans {
				if q.Range.Contains(s.spans[i].Start) {
					visit(s, int(i))
				}
			}
		}
	}
	return ctx.Err()
}
