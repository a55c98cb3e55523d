package promql

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"

	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// The labels that make a selector virtual.
const (
	LogQLLabel   = "__logql__"
	TraceQLLabel = "__traceql__"
)

// Point is one value of a virtual series; T is Unix milliseconds.
type Point struct {
	T int64
	V float64
}

// Series is one virtual series; its labels hold no __name__.
type Series struct {
	Labels []model.Label
	Points []Point
}

// Evaluator runs a metric query of another language at start, start+step, …,
// end (Unix milliseconds; step 0 means at end only).
type Evaluator func(ctx context.Context, t tenant.ID, expr string, start, end, step int64) ([]Series, error)

// Federated is a metric source with virtual series. The zero Evaluators make
// it the plain source.
type Federated struct {
	query.MetricSource
	LogQL, TraceQL Evaluator
	// Lookback is the engine's lookback delta: what the engine adds before the
	// first evaluation of a selector. 0 means five minutes.
	Lookback time.Duration
}

// Queryable implements query.MetricSource.
func (f *Federated) Queryable(t tenant.ID) storage.SampleAndChunkQueryable {
	return &federatedQueryable{f: f, t: t, base: f.MetricSource.Queryable(t)}
}

type federatedQueryable struct {
	f    *Federated
	t    tenant.ID
	base storage.SampleAndChunkQueryable
}

func (q *federatedQueryable) Querier(mint, maxt int64) (storage.Querier, error) {
	base, err := q.base.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return &federatedQuerier{Querier: base, q: q, mint: mint, maxt: maxt}, nil
}

func (q *federatedQueryable) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	return q.base.ChunkQuerier(mint, maxt)
}

type federatedQuerier struct {
	storage.Querier
	q          *federatedQueryable
	mint, maxt int64
}

// virtual returns the evaluator and the expression of a virtual selector.
func (q *federatedQuerier) virtual(ms []*labels.Matcher) (eval Evaluator, expr string, rest []*labels.Matcher, err error) {
	for _, m := range ms {
		var e Evaluator
		switch m.Name {
		case LogQLLabel:
			e = q.q.f.LogQL
		case TraceQLLabel:
			e = q.q.f.TraceQL
		default:
			rest = append(rest, m)
			continue
		}
		switch {
		case m.Type != labels.MatchEqual:
			return nil, "", nil, fmt.Errorf("%w: label %s takes = and the query, not %s", model.ErrInvalid, m.Name, m.Type)
		case eval != nil:
			return nil, "", nil, fmt.Errorf("%w: a selector can have one of %s and %s", model.ErrInvalid, LogQLLabel, TraceQLLabel)
		case e == nil:
			return nil, "", nil, fmt.Errorf("%w: label %s: this server does not answer that language", model.ErrInvalid, m.Name)
		}
		eval, expr = e, m.Value
	}
	return eval, expr, rest, nil
}

// maxVirtualPoints is Prometheus's own limit of points a series.
const maxVirtualPoints = 11_000

// Select evaluates a virtual selector at the moments at which the engine will
// look, or asks the store.
func (q *federatedQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	eval, expr, rest, err := q.virtual(ms)
	if err != nil {
		return storage.ErrSeriesSet(err)
	}
	if eval == nil {
		return q.Querier.Select(ctx, sorted, hints, ms...)
	}
	start, end, step := q.grid(hints)
	if step > 0 && (end-start)/step > maxVirtualPoints {
		return storage.ErrSeriesSet(fmt.Errorf("%w: more than %d points a series: use a longer step or a shorter range", model.ErrTooMuch, maxVirtualPoints))
	}
	list, err := eval(ctx, q.q.t, expr, start, end, step)
	if err != nil {
		return storage.ErrSeriesSet(fmt.Errorf("cannot evaluate %q: %w", expr, err))
	}
	for i := range list {
		list[i].Points = markGaps(list[i].Points, end, step)
	}
	return newVirtualSet(list, rest)
}

// grid returns the moments of evaluation. The hints' start lies a lookback (or
// the range of a range selector) before the first; inside a range selector the
// query is evaluated every step, or 60 times over the range when it is an
// instant query.
func (q *federatedQuerier) grid(h *storage.SelectHints) (start, end, step int64) {
	if h == nil {
		return q.maxt, q.maxt, 0
	}
	lookback := q.q.f.Lookback.Milliseconds()
	if lookback == 0 {
		lookback = (5 * time.Minute).Milliseconds()
	}
	start, end, step = h.Start, h.End, h.Step
	if h.Range > 0 {
		if step <= 0 {
			step = max(1000, h.Range/60)
		}
		return end - (end-start)/step*step, end, step
	}
	// The engine makes the start exclusive by a millisecond.
	start += lookback - 1
	if start < h.Start || start >= end || step <= 0 {
		return end, end, 0
	}
	return end - (end-start)/step*step, end, step
}

// LabelNames and LabelValues speak of stored series only: embedded.

type virtualSet struct {
	list []storage.Series
	at   int
}

func newVirtualSet(list []Series, rest []*labels.Matcher) storage.SeriesSet {
	s := &virtualSet{at: -1}
	lb := labels.NewScratchBuilder(8)
	for _, one := range list {
		lb.Reset()
		for _, l := range one.Labels {
			lb.Add(l.Name, l.Value)
		}
		lb.Sort()
		ls := lb.Labels()
		if !matches(ls, rest) {
			continue
		}
		samples := make([]chunks.Sample, 0, len(one.Points))
		for _, p := range one.Points {
			samples = append(samples, sample{p})
		}
		s.list = append(s.list, storage.NewListSeries(ls, samples))
	}
	sort.Slice(s.list, func(i, j int) bool { return labels.Compare(s.list[i].Labels(), s.list[j].Labels()) < 0 })
	return s
}

func matches(ls labels.Labels, ms []*labels.Matcher) bool {
	for _, m := range ms {
		if !m.Matches(ls.Get(m.Name)) {
			return false
		}
	}
	return true
}

func (s *virtualSet) Next() bool                        { s.at++; return s.at < len(s.list) }
func (s *virtualSet) At() storage.Series                { return s.list[s.at] }
func (s *virtualSet) Err() error                        { return nil }
func (s *virtualSet) Warnings() annotations.Annotations { return nil }

// Format writes a virtual selector: for messages and for the UI.
func Format(label, expr string) string { return fmt.Sprintf("{%s=%q}", label, expr) }

// markGaps adds a stale marker a step after the last point before a gap: the
// other languages have no staleness, and a point that is not there must not be
// looked back upon. Points need not lie on the engine's own grid: TraceQL aligns
// its steps to the epoch.
func markGaps(points []Point, end, step int64) []Point {
	if step <= 0 {
		return points
	}
	out := make([]Point, 0, len(points)+1)
	for i, p := range points {
		out = append(out, p)
		next := p.T + step
		if next <= end && (i+1 == len(points) || points[i+1].T > next) {
			out = append(out, Point{T: next, V: staleNaN})
		}
	}
	return out
}
