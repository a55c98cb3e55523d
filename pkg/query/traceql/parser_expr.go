package traceql

import (
	"slices"

	"braid/pkg/model"
)

const (
	precComparison = 3
	precUnary      = 6
)

// exprPrecedence ranks the operators of field expressions, 0 for what is none.
// As in Tempo, && and || bind alike, from left to right.
func exprPrecedence(op string) int {
	switch op {
	case "||", "&&":
		return 1
	case "=", "!=", "<", "<=", ">", ">=", "=~", "!~":
		return precComparison
	case "+", "-":
		return 4
	case "*", "/", "%":
		return 5
	case "^":
		return 7
	}
	return 0
}

func isComparison(op string) bool { return exprPrecedence(op) == precComparison }

// expr is a Pratt parser over exprPrecedence: it reads operators that bind
// tighter than minPrec. Comparisons do not chain.
func (p *parser) expr(minPrec int) (Expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	left, err := p.unary()
	if err != nil {
		return nil, err
	}
	for {
		t := p.peek()
		prec := 0
		if t.kind == tokPunct {
			prec = exprPrecedence(t.text)
		}
		if prec <= minPrec {
			if prec == precComparison && minPrec == precComparison {
				return nil, errorAt(p.src, t.pos, "comparisons cannot be chained: join them with && or put one in parentheses")
			}
			return left, nil
		}
		p.next()
		inner := prec
		if t.text == "^" {
			inner-- // 2^3^2 is 2^(3^2)
		}
		right, err := p.expr(inner)
		if err != nil {
			return nil, err
		}
		left = Binary{Op: t.text, L: left, R: right, pos: t.pos}
	}
}

func (p *parser) unary() (Expr, error) {
	t := p.peek()
	if t.kind == tokPunct && (t.text == "!" || t.text == "-") {
		p.next()
		x, err := p.expr(precUnary)
		if err != nil {
			return nil, err
		}
		if s, ok := x.(Static); ok && t.text == "-" && s.Type.numeric() {
			return negate(s), nil
		}
		return Unary{Op: t.text, X: x}, nil
	}
	return p.primary()
}

var keywords = map[string]Static{
	"true": {TypeBool, model.Bool(true)}, "false": {TypeBool, model.Bool(false)}, "nil": {Type: TypeNil},
	"error": {TypeStatus, model.String("error")}, "ok": {TypeStatus, model.String("ok")}, "unset": {TypeStatus, model.String("unset")},
	"unspecified": {TypeKind, model.String("unspecified")}, "internal": {TypeKind, model.String("internal")},
	"server": {TypeKind, model.String("server")}, "client": {TypeKind, model.String("client")},
	"producer": {TypeKind, model.String("producer")}, "consumer": {TypeKind, model.String("consumer")},
}

func (p *parser) primary() (Expr, error) {
	t := p.peek()
	switch t.kind {
	case tokString:
		p.next()
		return Static{TypeString, model.String(t.str)}, nil
	case tokNumber:
		p.next()
		return t.lit, nil
	case tokField:
		p.next()
		return t.field, nil
	case tokIdent:
		if s, ok := keywords[t.text]; ok {
			p.next()
			return s, nil
		}
		if f, ok := intrinsicNames[t.text]; ok {
			p.next()
			return f, nil
		}
		return nil, errorAt(p.src, t.pos, "expected an attribute, an intrinsic or a value, found %q; write an attribute as .%s or span.%s, and text in double quotes", t.text, t.text, t.text)
	}
	if p.accept("(") {
		e, err := p.expr(0)
		if err != nil {
			return nil, err
		}
		return e, p.expect(")", `")" or an operator`)
	}
	if p.accept("[") {
		return p.array()
	}
	return nil, p.expected("an attribute, an intrinsic or a value")
}

func (p *parser) array() (Expr, error) {
	var a Array
	for {
		s, err := p.static()
		if err != nil {
			return nil, err
		}
		a = append(a, s)
		if p.accept("]") {
			return a, nil
		}
		if err := p.expect(",", `"," or "]"`); err != nil {
			return nil, err
		}
	}
}

func (p *parser) static() (Static, error) {
	minus := p.accept("-")
	t := p.peek()
	switch t.kind {
	case tokString:
		if !minus {
			p.next()
			return Static{TypeString, model.String(t.str)}, nil
		}
	case tokNumber:
		p.next()
		if minus {
			return negate(t.lit), nil
		}
		return t.lit, nil
	case tokIdent:
		if s, ok := keywords[t.text]; ok && !minus {
			p.next()
			return s, nil
		}
	}
	return Static{}, p.expected("a value")
}

func (p *parser) field() (Field, error) {
	t := p.peek()
	if t.kind == tokField {
		p.next()
		return t.field, nil
	}
	if t.kind == tokIdent {
		if f, ok := intrinsicNames[t.text]; ok {
			p.next()
			return f, nil
		}
	}
	return Field{}, p.expected("an attribute or an intrinsic")
}

func (p *parser) exprList() ([]Expr, error) {
	var out []Expr
	err := p.list(func() error {
		e, err := p.expr(0)
		out = append(out, e)
		return err
	})
	return out, err
}

func (p *parser) fieldList() (out []Field, err error) {
	err = p.list(func() error {
		f, err := p.field()
		out = append(out, f)
		return err
	})
	return out, err
}

// list reads ( item, item, … ).
func (p *parser) list(item func() error) error {
	if err := p.expect("(", `"("`); err != nil {
		return err
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if p.accept(")") {
			return nil
		}
		if err := p.expect(",", `"," or ")"`); err != nil {
			return err
		}
	}
}

var metricsFuncs = []string{"rate", "count_over_time", "min_over_time", "max_over_time", "avg_over_time",
	"sum_over_time", "histogram_over_time", "quantile_over_time", "compare"}

// metrics reads the metrics function and what follows it; nil when the next
// word is none.
func (p *parser) metrics(allowed bool) (*Metrics, error) {
	t := p.peek()
	if t.kind != tokIdent || !allowed || !slices.Contains(metricsFuncs, t.text) {
		return nil, nil
	}
	m := &Metrics{Func: p.next().text, pos: t.pos}
	if err := p.expect("(", `"("`); err != nil {
		return nil, err
	}
	if err := p.metricsArgs(m); err != nil {
		return nil, err
	}
	if err := p.expect(")", `")"`); err != nil {
		return nil, err
	}
	if p.peek().kind == tokIdent && p.peek().text == "by" {
		p.next()
		var err error
		if m.By, err = p.fieldList(); err != nil {
			return nil, err
		}
	}
	var err error
	m.Second, err = p.secondStages()
	return m, err
}

func (p *parser) metricsArgs(m *Metrics) error {
	switch m.Func {
	case "rate", "count_over_time":
		return nil
	case "compare":
		return p.compareArgs(m)
	}
	f, err := p.field()
	if err != nil {
		return err
	}
	m.Of = &f
	if m.Func != "quantile_over_time" {
		return nil
	}
	for first := true; first || p.is(","); first = false {
		if err := p.expect(",", `"," and a quantile between 0 and 1`); err != nil {
			return err
		}
		t := p.peek()
		q, ok := t.lit.Value.Float()
		if t.kind != tokNumber || !ok || q < 0 || q > 1 {
			return p.expected("a quantile between 0 and 1")
		}
		p.next()
		m.Quantiles = append(m.Quantiles, q)
	}
	return nil
}

func (p *parser) compareArgs(m *Metrics) error {
	if !p.is("{") {
		return p.expected(`"{": the spans to compare with the rest`)
	}
	sel, err := p.spansetFilter()
	if err != nil {
		return err
	}
	m.Compare = &Compare{Selection: sel}
	var nums []int64
	for len(nums) < 3 && p.accept(",") {
		t := p.peek()
		if t.kind != tokNumber || t.lit.Type != TypeInt {
			return p.expected("an integer")
		}
		p.next()
		nums = append(nums, t.lit.Value.AsInt())
	}
	if len(nums) > 0 {
		if nums[0] < 1 || nums[0] > 1000 {
			return errorAt(p.src, m.pos, "compare can show between 1 and 1000 values of an attribute")
		}
		m.Compare.TopN = int(nums[0])
	}
	if len(nums) == 2 {
		return p.expected(`"," and the end of the selection's time range`)
	}
	if len(nums) == 3 {
		m.Compare.Start, m.Compare.End = nums[1], nums[2]
	}
	return nil
}

// secondStages reads what works on series: topk, bottomk and comparisons.
func (p *parser) secondStages() (out []SecondStage, err error) {
	for {
		t := p.peek()
		if t.kind == tokPunct && isComparison(t.text) && t.text != "=~" && t.text != "!~" {
			p.next()
			s, err := p.static()
			if err != nil {
				return nil, err
			}
			v, ok := s.Value.Float()
			if !ok {
				p.i--
				return nil, p.expected("a number")
			}
			if s.Type == TypeDuration {
				v /= 1e9
			}
			out = append(out, SecondStage{Op: t.text, Value: v})
			continue
		}
		if !p.accept("|") {
			return out, nil
		}
		t = p.peek()
		if t.kind != tokIdent || t.text != "topk" && t.text != "bottomk" {
			return nil, p.expected("topk or bottomk")
		}
		p.next()
		if err := p.expect("(", `"("`); err != nil {
			return nil, err
		}
		n := p.peek()
		if n.kind != tokNumber || n.lit.Type != TypeInt || n.lit.Value.AsInt() < 1 || n.lit.Value.AsInt() > 1<<20 {
			return nil, p.expected("how many series to keep: a positive integer")
		}
		p.next()
		out = append(out, SecondStage{Op: t.text, N: int(n.lit.Value.AsInt())})
		if err := p.expect(")", `")"`); err != nil {
			return nil, err
		}
	}
}

func (p *parser) hints(q *Query) error {
	return p.list(func() error {
		t := p.peek()
		if t.kind != tokIdent {
			return p.expected("the name of a hint")
		}
		p.next()
		if err := p.expect("=", `"=" and the hint's value`); err != nil {
			return err
		}
		s, err := p.static()
		q.Hints = append(q.Hints, Hint{Name: t.text, Value: s})
		return err
	})
}
