package logql

import (
	"context"
	"fmt"
	"slices"
	"time"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// pt is a series' value at a step.
type pt struct {
	step int32
	v    float64
}

// series is a series while it is computed: points sorted by step.
type series struct {
	labels Labels
	pts    []pt
}

// value is what an expression evaluates to: series, or a number.
type value struct {
	scalar bool
	num    float64
	series []series
	sorted bool // by sort, sort_desc, topk or bottomk: keep the order
}

// evaluation is one metric query at work.
type evaluation struct {
	g      *Engine
	tenant tenant.ID
	stats  *model.QueryStats
	start  int64 // first step, Unix ns
	step   int64
	steps  int
	points int // left of the budget
	top    Expr
}

func (g *Engine) evalMetric(ctx context.Context, t tenant.ID, e Expr, p Params, stats *model.QueryStats) (*Result, error) {
	ev := &evaluation{g: g, tenant: t, stats: stats, top: e, start: p.Start.UnixNano(), step: int64(p.Step), points: g.limits.MaxPoints}
	if p.Instant {
		ev.start, ev.step, ev.steps = p.End.UnixNano(), int64(time.Second), 1
	} else {
		ev.steps = int(p.End.Sub(p.Start)/p.Step) + 1
	}
	v, err := ev.eval(ctx, e)
	if err != nil {
		return nil, err
	}
	if len(v.series) > g.limits.MaxSeries {
		return nil, fmt.Errorf("%w: the result has %d series, more than the maximum of %d: aggregate them, for example sum by (label) (…) or topk(10, …), or narrow the selector",
			model.ErrTooMuch, len(v.series), g.limits.MaxSeries)
	}
	return ev.result(v, p.Instant), nil
}

func (ev *evaluation) result(v value, instant bool) *Result {
	if v.scalar {
		s := Series{}
		for i := range ev.steps {
			s.Points = append(s.Points, Point{ev.timeMS(i), v.num})
		}
		if instant {
			return &Result{Type: Scalar, Series: []Series{s}}
		}
		return &Result{Type: Matrix, Series: []Series{s}}
	}
	if !v.sorted || !instant {
		slices.SortFunc(v.series, func(a, b series) int { return compareLabels(a.labels, b.labels) })
	}
	res := &Result{Type: Matrix}
	if instant {
		res.Type = Vector
	}
	for _, s := range v.series {
		if len(s.pts) == 0 {
			continue
		}
		out := Series{Labels: s.labels, Points: make([]Point, len(s.pts))}
		for i, p := range s.pts {
			out.Points[i] = Point{ev.timeMS(int(p.step)), p.v}
		}
		res.Series = append(res.Series, out)
	}
	return res
}

func (ev *evaluation) timeMS(step int) int64 { return (ev.start + int64(step)*ev.step) / 1e6 }

// spend takes n points from the budget.
func (ev *evaluation) spend(n int) error {
	if ev.points -= n; ev.points < 0 {
		return fmt.Errorf("%w: the query holds more than %d points at once: use a longer step, a shorter time range, or aggregate by fewer labels",
			model.ErrTooMuch, ev.g.limits.MaxPoints)
	}
	return nil
}

func (ev *evaluation) eval(ctx context.Context, e Expr) (value, error) {
	if err := ctx.Err(); err != nil {
		return value{}, context.Cause(ctx)
	}
	switch e := e.(type) {
	case *Literal:
		return value{scalar: true, num: e.Value}, nil
	case *VectorFn:
		s := series{pts: make([]pt, ev.steps)}
		for i := range s.pts {
			s.pts[i] = pt{int32(i), e.Value}
		}
		return value{series: []series{s}}, ev.spend(ev.steps)
	case *RangeAgg:
		return ev.rangeAgg(ctx, e, &rangeNeeds{result: e == ev.top})
	case *VectorAgg:
		return ev.vectorAgg(ctx, e)
	case *Binary:
		return ev.binary(ctx, e)
	case *LabelReplace:
		return ev.labelReplace(ctx, e)
	}
	return value{}, fmt.Errorf("%w: expected a metric query, found %s", model.ErrInvalid, e)
}

func (ev *evaluation) labelReplace(ctx context.Context, e *LabelReplace) (value, error) {
	v, err := ev.eval(ctx, e.Of)
	if err != nil {
		return value{}, err
	}
	seen := map[string]bool{}
	for i := range v.series {
		s := &v.series[i]
		src := s.labels.Get(e.Src)
		if m := e.re.re.FindStringSubmatchIndex(src); m != nil {
			s.labels = s.labels.with(e.Dst, string(e.re.re.ExpandString(nil, e.Replacement, src, m)))
		}
		if k := s.labels.Key(); seen[k] {
			return value{}, fmt.Errorf("%w: label_replace makes two series with the labels %s", model.ErrInvalid, s.labels)
		} else {
			seen[k] = true
		}
	}
	return v, nil
}
