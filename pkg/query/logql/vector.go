package logql

import (
	"context"
	"math"
	"slices"

	"braid/pkg/predicate"
)

func (ev *evaluation) vectorAgg(ctx context.Context, e *VectorAgg) (value, error) {
	var v value
	var err error
	if r, ok := e.Of.(*RangeAgg); ok {
		needs := needsOf(e, r)
		needs.result = needs.collapse && e == ev.top
		if v, err = ev.rangeAgg(ctx, r, needs); err == nil && needs.collapse {
			return v, nil // one series a group already
		}
	} else {
		v, err = ev.eval(ctx, e.Of)
	}
	if err != nil {
		return value{}, err
	}
	switch {
	case isSort(e.Op):
		return sortSeries(v, e.Op == "sort_desc"), nil
	case takesK(e.Op):
		return ev.topk(ctx, e, v)
	}
	return ev.fold(ctx, e, v)
}

// groupLabels returns the labels of the group that a series belongs to.
func groupLabels(g *Grouping, names []string, ls Labels) Labels {
	if g == nil {
		return nil
	}
	return ls.only(names, g.Without)
}

func groupingNames(g *Grouping) []string {
	if g == nil {
		return nil
	}
	out := make([]string, len(g.Labels))
	for i, l := range g.Labels {
		out[i] = predicate.Underscore(l)
	}
	return out
}

// folded is one step of one group of an aggregation.
type folded struct {
	n                       float64
	sum, min, max, mean, m2 float64
}

func (f *folded) add(v float64) {
	if f.n == 0 {
		f.min, f.max = v, v
	} else {
		f.min, f.max = minNaN(f.min, v), maxNaN(f.max, v)
	}
	f.n++
	f.sum += v
	d := v - f.mean
	f.mean += d / f.n
	f.m2 += d * (v - f.mean)
}

func (f *folded) value(op string) float64 {
	switch op {
	case "sum":
		return f.sum
	case "avg":
		return f.sum / f.n
	case "min":
		return f.min
	case "max":
		return f.max
	case "count":
		return f.n
	case "stdvar":
		return f.m2 / f.n
	}
	return math.Sqrt(f.m2 / f.n)
}

// foldedPoints is what a folded costs of the budget of points.
const foldedPoints = 3

func (ev *evaluation) fold(ctx context.Context, e *VectorAgg, v value) (value, error) {
	type group struct {
		labels Labels
		steps  []folded
	}
	groups := map[string]*group{}
	var order []*group
	names := groupingNames(e.Grouping)
	var key []byte
	for i := range v.series {
		if i%1024 == 0 && ctx.Err() != nil {
			return value{}, context.Cause(ctx)
		}
		s := &v.series[i]
		ls := groupLabels(e.Grouping, names, s.labels)
		key = ls.appendKey(key[:0])
		g := groups[string(key)]
		if g == nil {
			if err := ev.spend(ev.steps * foldedPoints); err != nil {
				return value{}, err
			}
			g = &group{ls, make([]folded, ev.steps)}
			groups[string(key)] = g
			order = append(order, g)
		}
		for _, p := range s.pts {
			g.steps[p.step].add(p.v)
		}
	}
	out := value{series: make([]series, 0, len(order))}
	for _, g := range order {
		s := series{labels: g.labels}
		for i := range g.steps {
			if g.steps[i].n > 0 {
				s.pts = append(s.pts, pt{int32(i), g.steps[i].value(e.Op)})
			}
		}
		if len(s.pts) > 0 {
			out.series = append(out.series, s)
		}
	}
	return out, nil
}

// topk keeps, at every step, the k greatest (least) series of each group.
func (ev *evaluation) topk(ctx context.Context, e *VectorAgg, v value) (value, error) {
	names := groupingNames(e.Grouping)
	groups := map[string][]int{}
	var order []string
	for i := range v.series {
		k := groupLabels(e.Grouping, names, v.series[i].labels).Key()
		if _, ok := groups[k]; !ok {
			order = append(order, k)
		}
		groups[k] = append(groups[k], i)
	}
	out := make([]series, len(v.series))
	next := make([]int, len(v.series))
	type ranked struct {
		v float64
		i int
	}
	worse := func(a, b ranked) int {
		an, bn := math.IsNaN(a.v), math.IsNaN(b.v)
		switch {
		case an != bn: // NaN goes last
			if an {
				return 1
			}
			return -1
		case a.v != b.v && !an:
			if (a.v < b.v) == (e.Op == "bottomk") {
				return -1
			}
			return 1
		}
		return compareLabels(v.series[a.i].labels, v.series[b.i].labels)
	}
	var kept []ranked
	for step := range ev.steps {
		if ctx.Err() != nil {
			return value{}, context.Cause(ctx)
		}
		for _, k := range order {
			kept = kept[:0]
			for _, i := range groups[k] {
				pts := v.series[i].pts
				if next[i] >= len(pts) || int(pts[next[i]].step) != step {
					continue
				}
				kept = append(kept, ranked{pts[next[i]].v, i})
				next[i]++
				if len(kept) >= 2*e.Param+1024 { // keep the memory and the sorting small
					slices.SortFunc(kept, worse)
					kept = kept[:e.Param]
				}
			}
			slices.SortFunc(kept, worse)
			for _, r := range kept[:min(e.Param, len(kept))] {
				out[r.i].pts = append(out[r.i].pts, pt{int32(step), r.v})
			}
		}
	}
	res := value{}
	for i := range out {
		if len(out[i].pts) > 0 {
			out[i].labels = v.series[i].labels
			res.series = append(res.series, out[i])
		}
	}
	if ev.steps == 1 {
		return sortSeries(res, e.Op != "bottomk"), nil
	}
	return res, nil
}

// sortSeries orders the series of an instant query by value.
func sortSeries(v value, desc bool) value {
	first := func(s *series) float64 {
		if len(s.pts) == 0 {
			return math.NaN()
		}
		return s.pts[0].v
	}
	slices.SortStableFunc(v.series, func(a, b series) int {
		x, y := first(&a), first(&b)
		switch {
		case math.IsNaN(x) || math.IsNaN(y) || x == y:
			if math.IsNaN(x) != math.IsNaN(y) {
				if math.IsNaN(x) {
					return 1
				}
				return -1
			}
			return compareLabels(a.labels, b.labels)
		case (x < y) != desc:
			return -1
		}
		return 1
	})
	v.sorted = true
	return v
}
