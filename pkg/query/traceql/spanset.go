package traceql

import (
	"math"
	"strings"
	"time"

	"braid/pkg/model"
)

// evaluate runs the pipeline on a trace and returns the spansets left.
func (p *Plan) evaluate(s *scene) []spanset {
	if p.tree && s.tree == nil {
		s.tree = BuildTree(s.spans)
	}
	all := make([]int32, len(s.spans))
	for i := range all {
		all[i] = int32(i)
	}
	return p.stages(s, p.query.Pipeline.Stages, []spanset{{spans: all}})
}

func (p *Plan) stages(s *scene, stages []Stage, sets []spanset) []spanset {
	for _, st := range stages {
		sets = p.apply(s, st, sets)
		if len(sets) == 0 {
			return nil
		}
	}
	return sets
}

func (p *Plan) apply(s *scene, st Stage, sets []spanset) []spanset {
	var out []spanset
	switch st := st.(type) {
	case Coalesce:
		joined := spanset{}
		for _, x := range sets {
			joined.spans = merge(joined.spans, x.spans)
		}
		return []spanset{joined}
	case Select:
		return sets
	case GroupBy:
		for _, x := range sets {
			out = append(out, groupBy(s, st, x)...)
		}
	case ScalarFilter:
		for _, x := range sets {
			if x, ok := p.scalarFilter(s, st, x); ok {
				out = append(out, x)
			}
		}
	case *Pipeline:
		for _, x := range sets {
			out = append(out, p.stages(s, st.Stages, []spanset{x})...)
		}
	default:
		for _, x := range sets {
			if spans := p.spanset(s, st, x.spans); len(spans) > 0 {
				out = append(out, spanset{spans: spans, attrs: x.attrs})
			}
		}
	}
	return out
}

// spanset evaluates a filter, an operator or a pipeline in parentheses to the
// set of its spans.
func (p *Plan) spanset(s *scene, st Stage, among []int32) []int32 {
	switch st := st.(type) {
	case SpansetFilter:
		return p.matches(s, st, among)
	case *Pipeline:
		var out []int32
		for _, x := range p.stages(s, st.Stages, []spanset{{spans: among}}) {
			out = merge(out, x.spans)
		}
		return out
	case SpansetOp:
		l, r := p.spanset(s, st.L, among), p.spanset(s, st.R, among)
		switch st.Op {
		case "||":
			return merge(l, r)
		case "&&":
			if len(l) == 0 || len(r) == 0 {
				return nil
			}
			return merge(l, r)
		}
		if len(r) == 0 || len(l) == 0 && !strings.HasPrefix(st.Op, "!") {
			return nil
		}
		left, right := s.tree.relate(st.Op, l, r)
		return merge(left, right)
	}
	return nil
}

// groupBy splits a spanset by values; spans without one form a group of nil.
func groupBy(s *scene, g GroupBy, x spanset) []spanset {
	index := map[string]int{}
	var out []spanset
	for _, i := range x.spans {
		values := make([]model.Value, len(g.By))
		var key []byte
		for k, e := range g.By {
			values[k], _ = s.first(e, int(i))
			key = append(key, byte(values[k].Kind()))
			key = values[k].AppendText(key)
			key = append(key, 0)
		}
		at, ok := index[string(key)]
		if !ok {
			at = len(out)
			index[string(key)] = at
			attrs := append(model.Attrs(nil), x.attrs...)
			for k, e := range g.By {
				attrs = append(attrs, model.Attr{Key: "by(" + e.String() + ")", Value: values[k]})
			}
			out = append(out, spanset{attrs: attrs})
		}
		out[at].spans = append(out[at].spans, i)
	}
	return out
}

// scalarFilter keeps a spanset when the comparison holds. Where pipelines of
// their own are compared, the spans they measured are what is kept.
func (p *Plan) scalarFilter(s *scene, f ScalarFilter, x spanset) (spanset, bool) {
	m := &measurer{plan: p, scene: s, set: x}
	l, lok := m.scalar(f.L)
	r, rok := m.scalar(f.R)
	if !lok || !rok {
		return x, false
	}
	if holds, _ := compareValues(f.Op, model.Double(l), model.Double(r)); !holds {
		return x, false
	}
	out := spanset{spans: x.spans, attrs: append(append(model.Attrs(nil), x.attrs...), m.found...)}
	if m.piped {
		out.spans = m.spans
	}
	return out, len(out.spans) > 0
}

// measurer evaluates scalars on one spanset.
type measurer struct {
	plan  *Plan
	scene *scene
	set   spanset
	found model.Attrs // the aggregates, for the result
	piped bool        // a pipeline of its own was measured: spans are those
	spans []int32
}

func (m *measurer) scalar(sc Scalar) (float64, bool) {
	switch sc := sc.(type) {
	case ScalarStatic:
		return sc.Value.Float()
	case Aggregate:
		v, whole, ok := m.aggregate(sc, m.set.spans)
		if ok && !m.piped {
			m.found = append(m.found, model.Attr{Key: sc.String(), Value: sc.shown(v, whole)})
		}
		return v, ok
	case ScalarBinary:
		l, lok := m.scalar(sc.L)
		r, rok := m.scalar(sc.R)
		if !lok || !rok {
			return 0, false
		}
		v, ok := arithmetic(sc.Op, model.Double(l), model.Double(r))
		if !ok {
			return 0, false
		}
		return v.Float()
	case ScalarPipeline:
		inner := &measurer{plan: m.plan, scene: m.scene, piped: true}
		for _, x := range m.plan.stages(m.scene, sc.Pipeline.Stages, []spanset{m.set}) {
			inner.set.spans = merge(inner.set.spans, x.spans)
		}
		v, ok := inner.scalar(sc.Of)
		m.piped, m.spans = true, merge(m.spans, merge(inner.spans, inner.set.spans))
		return v, ok
	}
	return 0, false
}

// shown is the value as a result carries it: durations as users read them,
// what integers make up as an integer.
func (a Aggregate) shown(v float64, whole bool) model.Value {
	if f, ok := a.Of.(Field); ok && f.typ() == TypeDuration {
		return model.String(time.Duration(v).String())
	}
	if whole && math.Abs(v) < 1<<53 {
		return model.Int(int64(v))
	}
	return model.Double(v)
}

// aggregate measures the spans; avg, min, max and sum have no value where no
// span has a number. It tells whether the value is made of integers alone.
func (m *measurer) aggregate(a Aggregate, spans []int32) (v float64, whole, ok bool) {
	if a.Of == nil {
		return float64(len(spans)), true, true
	}
	n, sum, low, high := 0, 0.0, math.Inf(1), math.Inf(-1)
	whole = true
	for _, i := range spans {
		m.scene.values(a.Of, int(i), func(v model.Value) bool {
			if f, ok := v.Float(); ok {
				n++
				sum += f
				low, high = math.Min(low, f), math.Max(high, f)
				whole = whole && v.Kind() == model.KindInt
			}
			return true
		})
	}
	if n == 0 {
		return 0, false, false
	}
	switch a.Func {
	case "avg":
		return sum / float64(n), false, true
	case "min":
		return low, whole, true
	case "max":
		return high, whole, true
	}
	return sum, whole, true
}
