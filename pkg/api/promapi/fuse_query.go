package promapi

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// FusedEngine answers the commonest shape of dashboard query, a sum of rates,
// in one pass over the samples and lets the engine do the rest: the parts that
// it has answered stand in the query as series. Whatever it is not sure of
// (native histograms, warnings of a source, notes of the engine) is asked of
// the engine alone, unchanged.
type FusedEngine struct {
	inner      promql.QueryEngine
	parser     parser.Parser
	maxSamples int
	timeout    time.Duration
}

// NewFusedEngine wraps an engine made with the same options. The engine must
// not use start timestamps.
func NewFusedEngine(inner promql.QueryEngine, o Options) *FusedEngine {
	o = o.withDefaults()
	return &FusedEngine{inner: inner, parser: o.Parser(), maxSamples: o.MaxSamples, timeout: o.Timeout}
}

// NewInstantQuery implements promql.QueryEngine.
func (e *FusedEngine) NewInstantQuery(ctx context.Context, q storage.Queryable, o promql.QueryOpts, text string, ts time.Time) (promql.Query, error) {
	plain, err := e.inner.NewInstantQuery(ctx, q, o, text, ts)
	if err != nil {
		return nil, err
	}
	ms := ts.UnixMilli()
	return e.fuse(ctx, plain, q, text, steps{ms, ms, 0}, func(q storage.Queryable, text string) (promql.Query, error) {
		return e.inner.NewInstantQuery(ctx, q, o, text, ts)
	}), nil
}

// NewRangeQuery implements promql.QueryEngine.
func (e *FusedEngine) NewRangeQuery(ctx context.Context, q storage.Queryable, o promql.QueryOpts, text string, start, end time.Time, step time.Duration) (promql.Query, error) {
	plain, err := e.inner.NewRangeQuery(ctx, q, o, text, start, end, step)
	if err != nil {
		return nil, err
	}
	return e.fuse(ctx, plain, q, text, steps{start.UnixMilli(), end.UnixMilli(), step.Milliseconds()}, func(q storage.Queryable, text string) (promql.Query, error) {
		return e.inner.NewRangeQuery(ctx, q, o, text, start, end, step)
	}), nil
}

func (e *FusedEngine) fuse(ctx context.Context, plain promql.Query, q storage.Queryable, text string, at steps, again func(storage.Queryable, string) (promql.Query, error)) promql.Query {
	if wantsStats(ctx) || at.count() == 0 {
		return plain
	}
	expr, err := e.parser.ParseExpr(text)
	if err != nil {
		return plain
	}
	rewritten, sums := planFusion(expr)
	if len(sums) == 0 {
		return plain
	}
	return &fusedQuery{Query: plain, e: e, q: q, at: at, sums: sums, text: rewritten.String(), again: again}
}

// fusedQuery is the plain query, unless its Exec can do better.
type fusedQuery struct {
	promql.Query
	e     *FusedEngine
	q     storage.Queryable
	at    steps
	sums  []*fusedSum
	text  string
	again func(storage.Queryable, string) (promql.Query, error)
	rest  promql.Query // what evaluates the rewritten text
}

// Exec implements promql.Query.
func (f *fusedQuery) Exec(ctx context.Context) *promql.Result {
	if res := f.tryFused(ctx); res != nil {
		return res
	}
	return f.Query.Exec(ctx)
}

// tryFused returns nil when the engine has to do it all.
func (f *fusedQuery) tryFused(ctx context.Context) *promql.Result {
	bounded, cancel := context.WithTimeout(ctx, f.e.timeout)
	defer cancel()
	over := &overlay{Queryable: f.q}
	cells := 0
	for _, s := range f.sums {
		groups, err := f.evalSum(bounded, s, f.e.maxSamples-cells)
		if err != nil {
			if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
				return &promql.Result{Err: promql.ErrQueryTimeout("expression evaluation")}
			}
			return nil
		}
		cells += len(groups) * f.at.count()
		over.sets = append(over.sets, groups)
	}
	over.at = f.at
	rest, err := f.again(over, f.text)
	if err != nil {
		return nil
	}
	res := rest.Exec(bounded)
	if res.Err != nil || len(res.Warnings) > 0 {
		rest.Close()
		return nil
	}
	f.rest = rest
	return res
}

func (f *fusedQuery) evalSum(ctx context.Context, s *fusedSum, maxCells int) ([]*fusedGroup, error) {
	q, err := f.q.Querier(f.at.start-s.offset.Milliseconds()-s.window.Milliseconds()+1, f.at.end-s.offset.Milliseconds())
	if err != nil {
		return nil, err
	}
	defer q.Close()
	e := fusedEval{f: s, at: f.at, maxCells: maxCells}
	return e.eval(ctx, q)
}

// Close implements promql.Query.
func (f *fusedQuery) Close() {
	if f.rest != nil {
		f.rest.Close()
	}
	f.Query.Close()
}

// Cancel implements promql.Query.
func (f *fusedQuery) Cancel() { f.Query.Cancel() }

// overlay serves the place holders' series, and everything else from below.
type overlay struct {
	storage.Queryable
	sets [][]*fusedGroup
	at   steps
}

// Querier implements storage.Queryable.
func (o *overlay) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := o.Queryable.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return &overlayQuerier{q, o}, nil
}

type overlayQuerier struct {
	storage.Querier
	o *overlay
}

// Select implements storage.Querier.
func (q *overlayQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	if len(ms) == 1 && ms[0].Name == fusedLabel && ms[0].Type == labels.MatchEqual {
		if n, err := strconv.Atoi(ms[0].Value); err == nil && n >= 0 && n < len(q.o.sets) {
			return &groupSet{groups: q.o.sets[n], at: q.o.at}
		}
	}
	return q.Querier.Select(ctx, sorted, hints, ms...)
}

// groupSet yields the groups as series with a sample at every step; where a
// group has no value a staleness marker keeps the engine from looking back.
type groupSet struct {
	groups []*fusedGroup
	at     steps
	next   int
}

// Next implements storage.SeriesSet.
func (s *groupSet) Next() bool {
	s.next++
	return s.next <= len(s.groups)
}

// At implements storage.SeriesSet.
func (s *groupSet) At() storage.Series { return groupSeries{s.groups[s.next-1], s.at} }

// Err implements storage.SeriesSet.
func (s *groupSet) Err() error { return nil }

// Warnings implements storage.SeriesSet.
func (s *groupSet) Warnings() annotations.Annotations { return nil }

type groupSeries struct {
	g  *fusedGroup
	at steps
}

// Labels implements storage.Series.
func (s groupSeries) Labels() labels.Labels { return s.g.labels }

// Iterator implements storage.Series.
func (s groupSeries) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	return storage.NewListSeriesIterator(s)
}

// Get implements storage.Samples.
func (s groupSeries) Get(i int) chunks.Sample { return groupSample{s, i} }

// Len implements storage.Samples.
func (s groupSeries) Len() int { return len(s.g.sum) }

type groupSample struct {
	s groupSeries
	i int
}

var staleNaN = math.Float64frombits(value.StaleNaN)

func (s groupSample) ST() int64                     { return 0 }
func (s groupSample) T() int64                      { return s.s.at.at(s.i) }
func (s groupSample) H() *histogram.Histogram       { return nil }
func (s groupSample) FH() *histogram.FloatHistogram { return nil }
func (s groupSample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s groupSample) Copy() chunks.Sample           { return s }
func (s groupSample) F() float64 {
	if !s.s.g.seen[s.i] {
		return staleNaN
	}
	return s.s.g.sum[s.i] + s.s.g.c[s.i]
}
