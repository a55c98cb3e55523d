package logql

import (
	"context"
	"fmt"
	"math"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

func (ev *evaluation) binary(ctx context.Context, e *Binary) (value, error) {
	l, err := ev.eval(ctx, e.Left)
	if err != nil {
		return value{}, err
	}
	r, err := ev.eval(ctx, e.Right)
	if err != nil {
		return value{}, err
	}
	switch {
	case l.scalar && r.scalar:
		v, keep := operate(e.Op, l.num, r.num)
		if isComparison(e.Op) {
			v = truth(keep)
		}
		return value{scalar: true, num: v}, nil
	case l.scalar:
		return withScalar(r, func(v float64) (float64, bool) { return comparable(e, l.num, v, v) }), nil
	case r.scalar:
		return withScalar(l, func(v float64) (float64, bool) { return comparable(e, v, r.num, v) }), nil
	case isSetOp(e.Op):
		return ev.setOp(ctx, e, l, r)
	case e.Group == "right":
		return ev.match(ctx, e, r, l, true)
	}
	return ev.match(ctx, e, l, r, false)
}

// operate applies an operator; for comparisons ok is the outcome.
func operate(op string, a, b float64) (v float64, ok bool) {
	switch op {
	case "+":
		return a + b, true
	case "-":
		return a - b, true
	case "*":
		return a * b, true
	case "/":
		if b == 0 {
			return math.NaN(), true // as Loki has it
		}
		return a / b, true
	case "%":
		return math.Mod(a, b), true
	case "^":
		return math.Pow(a, b), true
	}
	return a, compareNumbers(op, a, b)
}

// comparable applies the operator; a comparison without bool keeps the series'
// own value (kept) or drops the point.
func comparable(e *Binary, a, b, kept float64) (float64, bool) {
	v, ok := operate(e.Op, a, b)
	switch {
	case !isComparison(e.Op):
		return v, true
	case e.ReturnBool:
		return truth(ok), true
	}
	return kept, ok
}

func truth(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}

func withScalar(v value, f func(float64) (float64, bool)) value {
	out := value{sorted: v.sorted}
	for _, s := range v.series {
		pts := s.pts[:0:0]
		for _, p := range s.pts {
			if x, ok := f(p.v); ok {
				pts = append(pts, pt{p.step, x})
			}
		}
		if len(pts) > 0 {
			out.series = append(out.series, series{s.labels, pts})
		}
	}
	return out
}

// signer makes the key that series are matched by.
type signer struct {
	on    bool
	names []string
}

func (e *Binary) signer() signer {
	s := signer{on: e.Matching && !e.Ignoring}
	for _, n := range e.On {
		s.names = append(s.names, predicate.Underscore(n))
	}
	return s
}

func (s signer) labels(ls Labels) Labels { return ls.only(s.names, !s.on) }

func (s signer) bySignature(v value) map[string][]int {
	m := map[string][]int{}
	for i := range v.series {
		k := s.labels(v.series[i].labels).Key()
		m[k] = append(m[k], i)
	}
	return m
}

// match joins every point of the many side with the one of the other side that
// has the same signature. swapped: many is the right operand.
func (ev *evaluation) match(ctx context.Context, e *Binary, many, one value, swapped bool) (value, error) {
	sign := e.signer()
	ones, err := ev.joinOnes(sign, one)
	if err != nil {
		return value{}, err
	}
	var out value
	index := map[string]int{}
	for i := range many.series {
		if ctx.Err() != nil {
			return value{}, context.Cause(ctx)
		}
		m := &many.series[i]
		o, ok := ones[sign.labels(m.labels).Key()]
		if !ok {
			continue
		}
		if err := ev.spend(len(m.pts)); err != nil {
			return value{}, err
		}
		for _, part := range o {
			pts := joinPoints(e, m.pts, part.pts, swapped)
			if len(pts) == 0 {
				continue
			}
			ls := e.resultLabels(sign, m.labels, part.labels)
			k := ls.Key()
			at, ok := index[k]
			if !ok {
				index[k] = len(out.series)
				out.series = append(out.series, series{ls, pts})
				continue
			}
			if out.series[at].pts, ok = mergePoints(out.series[at].pts, pts); !ok {
				return value{}, manyMatches(e, ls)
			}
		}
	}
	return out, nil
}

func manyMatches(e *Binary, ls Labels) error {
	return fmt.Errorf("%w: operator %q finds several series for %s on one side: name more labels in on (…), aggregate, or allow it with group_left or group_right",
		model.ErrInvalid, e.Op, ls)
}

// joinOnes gathers the one side by signature; two series of one signature may
// not have a point at the same step.
func (ev *evaluation) joinOnes(sign signer, one value) (map[string][]series, error) {
	out := map[string][]series{}
	for k, idx := range sign.bySignature(one) {
		var seen []bool
		for _, i := range idx {
			if len(idx) > 1 {
				if seen == nil {
					seen = make([]bool, ev.steps)
				}
				for _, p := range one.series[i].pts {
					if seen[p.step] {
						return nil, fmt.Errorf("%w: several series match on one side for %s: name more labels in on (…), aggregate that side, or use group_left or group_right the other way round",
							model.ErrInvalid, sign.labels(one.series[i].labels))
					}
					seen[p.step] = true
				}
			}
			out[k] = append(out[k], one.series[i])
		}
	}
	return out, nil
}

func joinPoints(e *Binary, many, one []pt, swapped bool) []pt {
	var out []pt
	j := 0
	for _, m := range many {
		for j < len(one) && one[j].step < m.step {
			j++
		}
		if j == len(one) {
			break
		}
		if one[j].step != m.step {
			continue
		}
		l, r := m.v, one[j].v
		if swapped {
			l, r = r, l
		}
		if v, ok := comparable(e, l, r, l); ok {
			out = append(out, pt{m.step, v})
		}
	}
	return out
}

// mergePoints joins two sorted lists; ok is false when both have a step.
func mergePoints(a, b []pt) (out []pt, ok bool) {
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case j == len(b) || i < len(a) && a[i].step < b[j].step:
			out = append(out, a[i])
			i++
		case i == len(a) || b[j].step < a[i].step:
			out = append(out, b[j])
			j++
		default:
			return nil, false
		}
	}
	return out, true
}

// resultLabels are the matched labels one to one, else the many side's, with
// those that the one side is asked for.
func (e *Binary) resultLabels(sign signer, many, one Labels) Labels {
	if e.Group == "" {
		if e.Matching {
			return sign.labels(many)
		}
		return many
	}
	out := many
	for _, n := range e.Include {
		u := predicate.Underscore(n)
		out = out.with(u, one.Get(u))
	}
	return out
}

// setOp is and, or, unless, step by step.
func (ev *evaluation) setOp(ctx context.Context, e *Binary, l, r value) (value, error) {
	sign := e.signer()
	present := func(v value) map[string][]bool {
		m := map[string][]bool{}
		for i := range v.series {
			k := sign.labels(v.series[i].labels).Key()
			if m[k] == nil {
				m[k] = make([]bool, ev.steps)
			}
			for _, p := range v.series[i].pts {
				m[k][p.step] = true
			}
		}
		return m
	}
	if err := ev.spend((len(l.series) + len(r.series)) * (ev.steps/16 + 1)); err != nil {
		return value{}, err
	}
	filter := func(v value, other map[string][]bool, want bool) []series {
		var out []series
		for _, s := range v.series {
			has := other[sign.labels(s.labels).Key()]
			var pts []pt
			for _, p := range s.pts {
				if (has != nil && has[p.step]) == want {
					pts = append(pts, p)
				}
			}
			if len(pts) > 0 {
				out = append(out, series{s.labels, pts})
			}
		}
		return out
	}
	if ctx.Err() != nil {
		return value{}, context.Cause(ctx)
	}
	switch e.Op {
	case "and":
		return value{series: filter(l, present(r), true)}, nil
	case "unless":
		return value{series: filter(l, present(r), false)}, nil
	}
	out := l.series
	index := map[string]int{}
	for i := range out {
		index[out[i].labels.Key()] = i
	}
	for _, s := range filter(r, present(l), false) {
		if at, ok := index[s.labels.Key()]; ok {
			if pts, ok := mergePoints(out[at].pts, s.pts); ok {
				out[at].pts = pts
			}
			continue
		}
		out = append(out, s)
	}
	return value{series: out}, nil
}
