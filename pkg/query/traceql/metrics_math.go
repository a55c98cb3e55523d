package traceql

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Math is arithmetic on metrics queries: MathQuery, MathNumber or MathBinary.
type Math interface {
	String() string
	math()
}

// MathQuery is one metrics query in parentheses.
type MathQuery struct{ Query *Query }

// MathNumber is a literal, or what arithmetic on literals comes to: between
// integers it stays an integer, so that 1 / 2 is 0.
type MathNumber struct {
	Value float64
	Int   bool
}

// MathBinary joins series with equal labels, sample by sample; what has no
// partner is dropped. A series without labels joins every series of the other
// side, and so does a number.
type MathBinary struct {
	Op   string
	L, R Math
}

func (MathQuery) math()  {}
func (MathNumber) math() {}
func (MathBinary) math() {}

func (m MathQuery) String() string { return "(" + m.Query.String() + ")" }
func (m MathNumber) String() string {
	if m.Int {
		return strconv.FormatInt(int64(m.Value), 10)
	}
	return formatFloat(m.Value)
}
func (m MathBinary) String() string {
	p := exprPrecedence(m.Op)
	return wrapMath(m.L, p, false) + " " + m.Op + " " + wrapMath(m.R, p, true)
}

func wrapMath(m Math, outer int, right bool) string {
	if b, ok := m.(MathBinary); ok {
		if p := exprPrecedence(b.Op); p < outer || right && p == outer {
			return "(" + m.String() + ")"
		}
	}
	return m.String()
}

// math reads arithmetic on metrics queries; nil, with nothing read, when the
// text is none.
func (p *parser) math() (Math, error) {
	if !p.is("(") && p.peek().kind != tokNumber || !p.holdsMetrics() {
		return nil, nil
	}
	left, err := p.mathOperand()
	if err != nil {
		return nil, err
	}
	return p.mathRest(left, 0)
}

// holdsMetrics looks ahead: does the text begin with a metrics query in
// parentheses, and not with spansets only?
func (p *parser) holdsMetrics() bool {
	depth, braces := 0, 0
	for _, t := range p.toks[p.i:] {
		switch {
		case t.kind == tokIdent && braces == 0 && depth > 0 && slices.Contains(metricsFuncs, t.text):
			return true
		case t.kind != tokPunct:
		case t.text == "{":
			braces++
		case t.text == "}":
			braces--
		case t.text == "(":
			depth++
		case t.text == ")":
			depth--
		}
	}
	return false
}

// beginsWithNumber looks past parentheses: no spanset begins with a number.
func (p *parser) beginsWithNumber() bool {
	for _, t := range p.toks[p.i:] {
		if t.kind != tokPunct || t.text != "(" {
			return t.kind == tokNumber || t.kind == tokPunct && t.text == "-"
		}
	}
	return false
}

func (p *parser) mathRest(left Math, minPrec int) (Math, error) {
	for {
		t := p.peek()
		prec := 0
		if t.kind == tokPunct && strings.Contains("+-*/", t.text) {
			prec = exprPrecedence(t.text)
		}
		if prec <= minPrec {
			return left, nil
		}
		p.next()
		right, err := p.mathOperand()
		if err != nil {
			return nil, err
		}
		if right, err = p.mathRest(right, prec); err != nil {
			return nil, err
		}
		left = joinMath(t.text, left, right)
	}
}

// joinMath works out arithmetic on literals at once.
func joinMath(op string, left, right Math) Math {
	l, lok := left.(MathNumber)
	r, rok := right.(MathNumber)
	if !lok || !rok {
		return MathBinary{Op: op, L: left, R: right}
	}
	n := MathNumber{Value: mathOp(op, l.Value, r.Value), Int: l.Int && r.Int}
	if n.Int {
		n.Value = math.Trunc(n.Value)
	}
	if math.IsNaN(n.Value) || math.Abs(n.Value) >= 1<<53 {
		n.Int = false
	}
	return n
}

func (p *parser) mathOperand() (Math, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	if t := p.peek(); t.kind == tokNumber || p.is("-") {
		s, err := p.static()
		if err == nil && s.Type == TypeDuration {
			err = errorAt(p.src, t.pos, "a duration cannot be reckoned with a metrics query: write the seconds as a number")
		}
		v, _ := s.Value.Float()
		return MathNumber{Value: v, Int: s.Type == TypeInt && math.Abs(v) < 1<<53}, err
	}
	if err := p.expect("(", `"(" and a metrics query, or a number`); err != nil {
		return nil, err
	}
	if p.beginsWithNumber() || p.is("(") && p.holdsMetrics() {
		inner, err := p.mathOperand()
		if err == nil {
			inner, err = p.mathRest(inner, 0)
		}
		if err != nil {
			return nil, err
		}
		return inner, p.expect(")", `")" or an operator`)
	}
	q := &Query{Pipeline: &Pipeline{}, Source: p.src}
	if err := p.stages(q); err != nil {
		return nil, err
	}
	if q.Metrics == nil {
		return nil, p.expected(`"|" and a metrics function such as rate()`)
	}
	return MathQuery{q}, p.expect(")", `")", "|" or a comparison`)
}

// eachQuery visits the metrics queries of an expression.
func eachQuery(m Math, visit func(*Query) error) error {
	switch m := m.(type) {
	case MathQuery:
		return visit(m.Query)
	case MathBinary:
		if err := eachQuery(m.L, visit); err != nil {
			return err
		}
		return eachQuery(m.R, visit)
	}
	return nil
}

// maxMathQueries bounds the metrics queries of one text.
const maxMathQueries = 16

// evalMath answers an expression. A number alone is a nil list and number.
func (e *Engine) evalMath(ctx context.Context, t tenant.ID, m Math, p MetricsParams, stats *model.QueryStats) (series []Series, number float64, err error) {
	switch m := m.(type) {
	case MathNumber:
		return nil, m.Value, nil
	case MathQuery:
		plan, err := NewPlan(m.Query)
		if err != nil {
			return nil, 0, err
		}
		series, err = e.metricSeries(ctx, t, plan, p, stats)
		return append([]Series{}, series...), 0, err
	case MathBinary:
		l, ln, err := e.evalMath(ctx, t, m.L, p, stats)
		if err != nil {
			return nil, 0, err
		}
		r, rn, err := e.evalMath(ctx, t, m.R, p, stats)
		if err != nil {
			return nil, 0, err
		}
		switch {
		case l == nil && r == nil:
			return nil, mathOp(m.Op, ln, rn), nil
		case l == nil:
			return mapSamples(r, func(v float64) float64 { return mathOp(m.Op, ln, v) }), 0, nil
		case r == nil:
			return mapSamples(l, func(v float64) float64 { return mathOp(m.Op, v, rn) }), 0, nil
		}
		return joinSeries(m.Op, l, r), 0, nil
	}
	return nil, 0, fmt.Errorf("%w: %s is no metrics query", model.ErrInvalid, m)
}

func mathOp(op string, a, b float64) float64 {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	}
	if b == 0 {
		return math.NaN() // of any number, and left out as such
	}
	return a / b
}

func mapSamples(in []Series, f func(float64) float64) []Series {
	out := slices.Clone(in)
	for i := range out {
		out[i].Samples = nil
		for _, x := range in[i].Samples {
			if v := f(x.Value); !math.IsNaN(v) && !math.IsInf(v, 0) {
				out[i].Samples = append(out[i].Samples, Sample{T: x.T, Value: v})
			}
		}
	}
	return slices.DeleteFunc(out, func(s Series) bool { return len(s.Samples) == 0 })
}

// joinSeries matches series by their labels; the function's name is none of
// them. Exemplars are the left side's.
func joinSeries(op string, l, r []Series) []Series {
	switch lone, other := isLone(l), isLone(r); {
	case other && !lone:
		return joinLone(l, r[0], func(a, b float64) float64 { return mathOp(op, a, b) })
	case lone && !other:
		return joinLone(r, l[0], func(a, b float64) float64 { return mathOp(op, b, a) })
	}
	byLabels := map[string]map[int64]float64{}
	for _, s := range r {
		at := map[int64]float64{}
		for _, x := range s.Samples {
			at[x.T] = x.Value
		}
		byLabels[joinKey(s.Labels)] = at
	}
	out := []Series{}
	for _, s := range l {
		partner := byLabels[joinKey(s.Labels)]
		joined := Series{Labels: s.Labels, Exemplars: s.Exemplars}
		if len(s.Labels) == 1 && s.Labels[0].Name == "__name__" {
			joined.Labels = []Label{{Name: "__name__", Value: model.String("expression")}}
		}
		for _, x := range s.Samples {
			b, ok := partner[x.T]
			if v := mathOp(op, x.Value, b); ok && !math.IsNaN(v) && !math.IsInf(v, 0) {
				joined.Samples = append(joined.Samples, Sample{T: x.T, Value: v})
			}
		}
		if len(joined.Samples) > 0 {
			out = append(out, joined)
		}
	}
	return out
}

// isLone reports whether a query that groups by nothing has made the series.
func isLone(s []Series) bool { return len(s) == 1 && joinKey(s[0].Labels) == "" }

// joinLone joins each of the series with the one that has no labels.
func joinLone(series []Series, lone Series, op func(each, lone float64) float64) []Series {
	at := map[int64]float64{}
	for _, x := range lone.Samples {
		at[x.T] = x.Value
	}
	out := []Series{}
	for _, s := range series {
		joined := Series{Labels: s.Labels, Exemplars: s.Exemplars}
		for _, x := range s.Samples {
			b, ok := at[x.T]
			if v := op(x.Value, b); ok && !math.IsNaN(v) && !math.IsInf(v, 0) {
				joined.Samples = append(joined.Samples, Sample{T: x.T, Value: v})
			}
		}
		if len(joined.Samples) > 0 {
			out = append(out, joined)
		}
	}
	return out
}

func joinKey(labels []Label) string {
	var b strings.Builder
	for _, l := range labels {
		if l.Name != "__name__" {
			fmt.Fprintf(&b, "%s\x00%d%s\x00", l.Name, l.Value.Kind(), l.Value.Text())
		}
	}
	return b.String()
}
