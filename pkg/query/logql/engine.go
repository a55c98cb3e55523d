package logql

import (
	"context"
	"fmt"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// Guard bounds how many queries run at once and keeps the query log. Begin
// returns the context to run under and done, to be called once with what the
// query cost and how it ended.
type Guard interface {
	Begin(ctx context.Context, t tenant.ID, language, text string) (context.Context, func(*model.QueryStats, error), error)
}

// Limits bound one query. Zero fields take the default.
type Limits struct {
	// MaxSeries bounds the series of a result (500).
	MaxSeries int
	// MaxInnerSeries bounds the series that a range function may make before
	// they are aggregated (100,000).
	MaxInnerSeries int
	// MaxSteps bounds the points of one series (11,000).
	MaxSteps int
	// MaxEntries bounds the limit of a log query (5,000).
	MaxEntries int
	// MaxPoints bounds the points and samples held at once, 16 to 150 bytes
	// each (10 million).
	MaxPoints int
	// MaxRange bounds the time asked for, ranges included; 0 means no limit.
	MaxRange time.Duration
}

func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.MaxSeries, 500)
	def(&l.MaxInnerSeries, 100_000)
	def(&l.MaxSteps, 11_000)
	def(&l.MaxEntries, 5_000)
	def(&l.MaxPoints, 10_000_000)
	return l
}

// DefaultLimits returns the limits of zero Options.
func DefaultLimits() Limits { return Limits{}.withDefaults() }

// Options of an engine.
type Options struct {
	Source query.LogSource
	Limits Limits
	Guard  Guard // optional
	// FullScan makes the source hand over every row of the time range and
	// evaluates all in the engine: the definition that pushing down must agree
	// with. For tests.
	FullScan bool
}

// Engine answers LogQL. It is safe for concurrent use.
type Engine struct {
	source   query.LogSource
	limits   Limits
	guard    Guard
	fullScan bool
}

// NewEngine makes an engine.
func NewEngine(o Options) *Engine {
	return &Engine{source: o.Source, limits: o.Limits.withDefaults(), guard: o.Guard, fullScan: o.FullScan}
}

// Limits returns the limits in force.
func (g *Engine) Limits() Limits { return g.limits }

// Source returns the source that the engine asks.
func (g *Engine) Source() query.LogSource { return g.source }

// Direction of a log query's result.
type Direction uint8

// The directions.
const (
	Backward Direction = iota // newest first
	Forward
)

// Params is one query.
type Params struct {
	Expr string
	// Start (inclusive) and End (exclusive) of a log query; first and last step
	// of a metric query. An instant query is evaluated at End.
	Start, End time.Time
	// Step of a metric query, more than 0 unless Instant.
	Step time.Duration
	// Interval, when more than 0, thins out a log query: entries are
	// at least that far apart.
	Interval time.Duration
	// Limit of a log query's entries; 0 means 100.
	Limit     int
	Direction Direction
	Instant   bool
}

// Result types.
const (
	Streams = "streams"
	Matrix  = "matrix"
	Vector  = "vector"
	Scalar  = "scalar"
)

// Result is the answer to a query.
type Result struct {
	// Type is Streams, Matrix, Vector or Scalar.
	Type string
	// Streams of a log query, in the order of their first entry.
	Streams []Stream
	// Series of a matrix, vector (one point each) or scalar (one series).
	Series []Series
	// Entries counts the lines returned.
	Entries  int
	Stats    *model.QueryStats
	Elapsed  time.Duration
	Warnings []string
}

// Stream are entries of one set of stream labels, in the query's direction.
type Stream struct {
	Labels  Labels
	Entries []Entry
}

// Entry is one line. Metadata are the record's own labels, Parsed those that
// the pipeline made.
type Entry struct {
	Time     int64 // Unix ns
	Line     string
	Metadata Labels
	Parsed   Labels
}

// Series is one time series.
type Series struct {
	Labels Labels
	Points []Point
}

// Point is one value. Time is Unix milliseconds.
type Point struct {
	Time  int64
	Value float64
}

// Query answers a query. Errors wrap model.ErrInvalid (the query is wrong),
// model.ErrTooMuch (a limit, naming it), or are the context's or the source's.
func (g *Engine) Query(ctx context.Context, t tenant.ID, p Params) (*Result, error) {
	e, err := Parse(p.Expr)
	if err != nil {
		return nil, err
	}
	return g.Eval(ctx, t, e, p)
}

// Eval answers a parsed query; p.Expr is only for the query log.
func (g *Engine) Eval(ctx context.Context, t tenant.ID, e Expr, p Params) (res *Result, err error) {
	if err := g.check(e, &p); err != nil {
		return nil, err
	}
	begin := time.Now()
	stats := &model.QueryStats{}
	if g.guard != nil {
		text := p.Expr
		if text == "" {
			text = e.String()
		}
		guarded, done, refused := g.guard.Begin(ctx, t, "logql", text)
		if refused != nil {
			return nil, refused
		}
		ctx = guarded
		defer func() { done(stats, err) }()
	}
	if s, ok := e.(*Selection); ok {
		res, err = g.selectStreams(ctx, t, s, p, stats)
	} else {
		res, err = g.evalMetric(ctx, t, e, p, stats)
	}
	if err != nil {
		return nil, err
	}
	res.Stats, res.Elapsed, res.Warnings = stats, time.Since(begin), append(res.Warnings, stats.Warnings()...)
	return res, nil
}

// farPast and farFuture bound the times asked for, so that no sum of a time, a
// range and an offset overflows: the years 1873 and 2166.
const farPast, farFuture = -3_060_000_000, 6_200_000_000

func (g *Engine) check(e Expr, p *Params) error {
	if IsLog(e) {
		if p.Instant {
			return fmt.Errorf("%w: an instant query must be a metric query such as count_over_time({…}[5m]), found a log query: ask query_range instead", model.ErrInvalid)
		}
		if p.Limit <= 0 {
			p.Limit = 100
		}
		if p.Limit > g.limits.MaxEntries {
			return fmt.Errorf("%w: limit %d is above the maximum of %d entries a query", model.ErrTooMuch, p.Limit, g.limits.MaxEntries)
		}
	} else if !p.Instant {
		if p.Step <= 0 {
			return fmt.Errorf("%w: step must be longer than 0", model.ErrInvalid)
		}
		if n := p.End.Sub(p.Start) / p.Step; int64(n) >= int64(g.limits.MaxSteps) {
			return fmt.Errorf("%w: %d points a series are above the maximum of %d: use a longer step or a shorter time range", model.ErrTooMuch, int64(n)+1, g.limits.MaxSteps)
		}
	}
	if !p.Instant && p.End.Before(p.Start) {
		return fmt.Errorf("%w: end %s lies before start %s", model.ErrInvalid, p.End.UTC().Format(time.RFC3339Nano), p.Start.UTC().Format(time.RFC3339Nano))
	}
	for _, t := range []time.Time{p.Start, p.End} {
		if s := t.Unix(); !(p.Instant && t == p.Start) && (s < farPast || s > farFuture) {
			return fmt.Errorf("%w: time %s lies outside the years 1873 to 2166", model.ErrInvalid, t.UTC().Format(time.RFC3339))
		}
	}
	if g.limits.MaxRange > 0 && !p.Instant && p.End.Sub(p.Start) > g.limits.MaxRange {
		return fmt.Errorf("%w: the time range of %s is above the maximum of %s", model.ErrTooMuch, p.End.Sub(p.Start), g.limits.MaxRange)
	}
	return nil
}

// split plans a selection, or keeps all of it here when the engine is told so.
func (g *Engine) split(s *Selection) (filter predicate.Expr, matchers []*Matcher, stages []Stage) {
	if g.fullScan {
		return predicate.True{}, s.Matchers, s.Stages
	}
	pl := planSelection(s)
	return pl.filter, nil, pl.stages
}

func (g *Engine) selectStreams(ctx context.Context, t tenant.ID, s *Selection, p Params, stats *model.QueryStats) (*Result, error) {
	filter, matchers, stages := g.split(s)
	pipe, err := newPipeline(matchers, stages)
	if err != nil {
		return nil, err
	}
	q := &predicate.LogQuery{
		Tenant: t, Filter: filter, Stats: stats,
		Range: model.TimeRange{Start: p.Start.UnixNano(), End: p.End.UnixNano()},
		Order: predicate.NewestFirst,
	}
	if q.Range.Start >= q.Range.End {
		return &Result{Type: Streams}, nil
	}
	if p.Direction == Forward {
		q.Order = predicate.OldestFirst
	}
	if len(matchers) == 0 && len(stages) == 0 && p.Interval <= 0 {
		q.Limit = p.Limit
	}
	c := newCollector(p)
	for rows, err := range g.source.SelectLogs(ctx, q) {
		if err != nil {
			return nil, fmt.Errorf("cannot read logs: %w", err)
		}
		for i := range rows {
			if e, ok := pipe.run(&rows[i]); ok && c.add(e) {
				return c.result(), nil
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
	}
	return c.result(), nil
}

// collector gathers entries into streams.
type collector struct {
	limit    int
	interval int64
	lastTime int64 // of the last entry taken
	streams  []Stream
	index    map[string]int
	key      []byte
	last     Labels
	lastAt   int
	n        int
}

func newCollector(p Params) *collector {
	return &collector{limit: p.Limit, interval: int64(p.Interval), index: map[string]int{}}
}

// add takes an entry and reports whether that was the last one wanted.
func (c *collector) add(e *entry) (full bool) {
	if c.interval > 0 && c.n > 0 {
		if d := e.row.Time - c.lastTime; d < c.interval && d > -c.interval {
			return false
		}
	}
	c.lastTime = e.row.Time
	s := c.stream(e.streamLabels())
	s.Entries = append(s.Entries, Entry{Time: e.row.Time, Line: e.line, Metadata: e.metadata(), Parsed: e.parsed()})
	c.n++
	return c.n >= c.limit
}

func (c *collector) stream(ls Labels) *Stream {
	// Rows of one stream come together, and share their labels.
	if c.last != nil && len(ls) == len(c.last) && (len(ls) == 0 || &ls[0] == &c.last[0]) {
		return &c.streams[c.lastAt]
	}
	c.key = ls.appendKey(c.key[:0])
	at, ok := c.index[string(c.key)]
	if !ok {
		at = len(c.streams)
		c.index[string(c.key)] = at
		c.streams = append(c.streams, Stream{Labels: ls})
	}
	c.last, c.lastAt = ls, at
	return &c.streams[at]
}

func (c *collector) result() *Result {
	return &Result{Type: Streams, Streams: c.streams, Entries: c.n}
}
