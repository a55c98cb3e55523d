package traceql

import (
	"context"
	"fmt"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// Guard bounds how many queries run at once and keeps the query log;
// engine.Guard is one.
type Guard interface {
	Begin(ctx context.Context, t tenant.ID, language, text string) (context.Context, func(*model.QueryStats, error), error)
}

// Limits bound one query. Zero fields take the defaults named.
type Limits struct {
	MaxSpans      int           // spans evaluated, 50,000,000
	MaxSeries     int           // series of a metrics query, 1,000
	MaxSteps      int           // samples of a series, 11,000
	MaxTraces     int           // traces of a search, 10,000
	MaxTraceSpans int           // spans of one trace held at once, 2,000,000
	MaxRange      time.Duration // of a metrics query, 0 for none
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.MaxSpans, 50_000_000}, {&l.MaxSeries, 1_000}, {&l.MaxSteps, 11_000}, {&l.MaxTraces, 10_000}, {&l.MaxTraceSpans, 2_000_000}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return l
}

// Options of an Engine. Source is required.
type Options struct {
	Source query.TraceSource
	Limits Limits
	Guard  Guard // nil lets every query run
}

// Engine answers TraceQL over a source. It is safe for concurrent use.
type Engine struct {
	source query.TraceSource
	limits Limits
	guard  Guard
}

// NewEngine makes an engine.
func NewEngine(o Options) *Engine {
	return &Engine{source: o.Source, limits: o.Limits.withDefaults(), guard: o.Guard}
}

// begin enters the guard.
func (e *Engine) begin(ctx context.Context, t tenant.ID, text string) (context.Context, func(*model.QueryStats, error), error) {
	if e.guard == nil {
		return ctx, func(*model.QueryStats, error) {}, nil
	}
	return e.guard.Begin(ctx, t, "traceql", text)
}

// Explain returns how a query would be answered.
func (e *Engine) Explain(text string) (string, error) {
	q, err := Parse(text)
	if err != nil {
		return "", err
	}
	if q.Math == nil {
		p, err := NewPlan(q)
		if err != nil {
			return "", err
		}
		return p.String(), nil
	}
	text = ""
	err = eachQuery(q.Math, func(inner *Query) error {
		p, err := NewPlan(inner)
		if err == nil {
			text += p.String() + "\n"
		}
		return err
	})
	return text + "join: " + q.Math.String() + "\n", err
}

// Trace is one whole trace. Spans are ordered by start, then id.
type Trace struct {
	ID    model.TraceID
	Facts model.TraceFacts
	Spans []model.SpanRow
	// Truncated: the trace has more spans than Limits.MaxTraceSpans; read
	// it with TraceBatches.
	Truncated bool
	Stats     *model.QueryStats
}

// Trace returns a trace from everything there is; model.ErrNotFound when it is
// not there. No time range narrows it: a trace is whole or it misleads.
func (e *Engine) Trace(ctx context.Context, t tenant.ID, id model.TraceID) (tr *Trace, err error) {
	ctx, done, err := e.begin(ctx, t, "trace "+id.String())
	if err != nil {
		return nil, err
	}
	tr = &Trace{ID: id, Stats: &model.QueryStats{}}
	defer func() { done(tr.Stats, err) }()
	for rows, err := range e.source.Trace(ctx, t, id, tr.Stats) {
		if err != nil {
			return tr, fmt.Errorf("cannot read trace %s: %w", id, err)
		}
		for i := range rows {
			if len(tr.Spans) == e.limits.MaxTraceSpans {
				tr.Truncated = true
				tr.Stats.Warn("trace %s has more than %d spans: the rest is left off", id, e.limits.MaxTraceSpans)
				return tr, nil
			}
			tr.Facts.Add(&rows[i])
			tr.Spans = append(tr.Spans, rows[i])
		}
	}
	if len(tr.Spans) == 0 {
		return tr, fmt.Errorf("trace %s: %w", id, model.ErrNotFound)
	}
	return tr, nil
}

// TraceByText is Trace for an id in any spelling: the likeliest reading that
// is there.
func (e *Engine) TraceByText(ctx context.Context, t tenant.ID, text string) (*Trace, error) {
	readings := model.TraceIDReadings(text)
	if len(readings) == 0 {
		return nil, notAnID(text)
	}
	var err error
	for _, id := range readings {
		var tr *Trace
		if tr, err = e.Trace(ctx, t, id); err == nil {
			return tr, nil
		}
	}
	return nil, err
}

// TraceBatches gives the spans of a trace to visit as they are read, without
// holding them: for traces of any size. The id may be in any spelling. An error
// of visit ends it; model.ErrNotFound when the trace is not there.
func (e *Engine) TraceBatches(ctx context.Context, t tenant.ID, text string, visit func([]model.SpanRow) error) (stats *model.QueryStats, err error) {
	readings := model.TraceIDReadings(text)
	if len(readings) == 0 {
		return nil, notAnID(text)
	}
	ctx, done, err := e.begin(ctx, t, "trace "+text)
	if err != nil {
		return nil, err
	}
	stats = &model.QueryStats{}
	defer func() { done(stats, err) }()
	for _, id := range readings {
		found := false
		for rows, err := range e.source.Trace(ctx, t, id, stats) {
			if err != nil {
				return stats, fmt.Errorf("cannot read trace %s: %w", id, cause(ctx, err))
			}
			found = true
			if err := visit(rows); err != nil {
				return stats, err
			}
		}
		if found {
			return stats, nil
		}
	}
	return stats, fmt.Errorf("trace %s: %w", readings[0], model.ErrNotFound)
}

func notAnID(text string) error {
	return fmt.Errorf("%w: %q is not a trace id: expected up to 32 hex digits", model.ErrInvalid, text)
}

// Source returns what the engine asks.
func (e *Engine) Source() query.TraceSource { return e.source }

// Filter returns what a search's span filters ask of single spans, for lists of
// tags and values that narrow while a query is typed. A text that is not (yet)
// a query filters nothing.
func Filter(text string) predicate.Expr {
	q, err := Parse(text)
	if err != nil || len(q.Pipeline.Stages) == 0 {
		return predicate.True{}
	}
	f, ok := q.Pipeline.Stages[0].(SpansetFilter)
	if !ok {
		return predicate.True{}
	}
	return lowerFilter(f.Expr).expr
}
