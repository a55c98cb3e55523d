package traceql

import (
	"slices"
	"strings"

	"braid/pkg/model"
)

// maxDepth bounds nesting: a recursive parser must not run out of stack.
const maxDepth = 128

// maxQueryBytes bounds the text of a query.
const maxQueryBytes = 128 << 10

// Parse reads a query and checks that it can be meant.
func Parse(text string) (*Query, error) {
	if len(text) > maxQueryBytes {
		return nil, errorAt(text, 0, "the query is %d bytes long, at most %d are allowed", len(text), maxQueryBytes)
	}
	toks, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &parser{src: text, toks: toks}
	q, err := p.query()
	if err != nil {
		return nil, err
	}
	q.Source = text
	if err := validate(q); err != nil {
		return nil, err
	}
	return q, nil
}

type parser struct {
	src   string
	toks  []token
	i     int
	depth int
}

func (p *parser) peek() token { return p.toks[p.i] }

func (p *parser) next() token {
	t := p.toks[p.i]
	if t.kind != tokEOF {
		p.i++
	}
	return t
}

func (p *parser) is(sign string) bool {
	t := p.peek()
	return t.kind == tokPunct && t.text == sign
}

func (p *parser) accept(sign string) bool {
	if p.is(sign) {
		p.i++
		return true
	}
	return false
}

func (p *parser) expect(sign, what string) error {
	if p.accept(sign) {
		return nil
	}
	return p.expected(what)
}

func (p *parser) expected(what string) error {
	t := p.peek()
	return errorAt(p.src, t.pos, "expected %s, found %s", what, t.describe())
}

// enter counts nesting; the caller leaves with p.depth--.
func (p *parser) enter() error {
	p.depth++
	if p.depth > maxDepth {
		return errorAt(p.src, p.peek().pos, "the query is nested deeper than %d levels", maxDepth)
	}
	return nil
}

func (p *parser) query() (*Query, error) {
	q := &Query{Pipeline: &Pipeline{}}
	var err error
	if q.Math, err = p.math(); err != nil {
		return nil, err
	}
	if q.Math != nil {
		q.Second, err = p.secondStages()
	} else {
		err = p.stages(q)
	}
	if err != nil {
		return nil, err
	}
	if p.peek().kind == tokIdent && p.peek().text == "with" {
		p.next()
		if err := p.hints(q); err != nil {
			return nil, err
		}
	}
	if p.peek().kind != tokEOF {
		if q.Metrics != nil || q.Math != nil {
			return nil, p.expected(`"|", "with", a comparison or the end of the query`)
		}
		return nil, p.expected(`"|", a spanset operator, "with" or the end of the query`)
	}
	return q, nil
}

// stages reads a pipeline up to its metrics function, if it has one.
func (p *parser) stages(q *Query) error {
	for {
		m, err := p.metrics(len(q.Pipeline.Stages) > 0)
		if err != nil || m != nil {
			q.Metrics = m
			return err
		}
		s, _, err := p.stage(len(q.Pipeline.Stages) == 0, false)
		if err != nil {
			return err
		}
		q.Pipeline.Stages = append(q.Pipeline.Stages, s)
		if !p.accept("|") {
			return nil
		}
	}
}

// pipelineInner reads the stages inside parentheses. A pipeline may end in a
// bare scalar, which only makes sense if a comparison follows.
func (p *parser) pipelineInner() (pipe *Pipeline, end Scalar, err error) {
	pipe = &Pipeline{}
	for {
		s, scalar, err := p.stage(len(pipe.Stages) == 0, true)
		if err != nil {
			return nil, nil, err
		}
		if scalar != nil {
			return pipe, scalar, nil
		}
		pipe.Stages = append(pipe.Stages, s)
		if !p.accept("|") {
			return pipe, nil, nil
		}
	}
}

var aggregates = []string{"count", "avg", "min", "max", "sum"}

// stage reads one stage. Where bare is allowed a scalar without a comparison
// is returned as such.
func (p *parser) stage(first, bare bool) (Stage, Scalar, error) {
	if err := p.enter(); err != nil {
		return nil, nil, err
	}
	defer func() { p.depth-- }()
	t := p.peek()
	if t.kind == tokIdent && !first {
		switch t.text {
		case "by":
			p.next()
			by, err := p.exprList()
			return GroupBy{By: by}, nil, err
		case "coalesce":
			p.next()
			if err := p.expect("(", `"("`); err != nil {
				return nil, nil, err
			}
			return Coalesce{}, nil, p.expect(")", `")"`)
		case "select":
			p.next()
			fields, err := p.fieldList()
			return Select{Fields: fields}, nil, err
		}
	}
	switch {
	case p.is("{") || p.is("("):
		return p.spansetOrScalar(bare)
	case t.kind == tokIdent && slices.Contains(aggregates, t.text) && (!first || bare), t.kind == tokNumber && (!first || bare), p.is("-") && (!first || bare):
		return p.scalarStage(nil, bare)
	}
	if first {
		return nil, nil, p.expected(`"{" or "("`)
	}
	return nil, nil, p.expected(`"{", "(", an aggregate (count, avg, min, max, sum), by, coalesce, select or a metrics function`)
}

func (p *parser) spansetOrScalar(bare bool) (Stage, Scalar, error) {
	left, scalar, err := p.spansetOperand()
	if err != nil {
		return nil, nil, err
	}
	if scalar != nil {
		return p.scalarStage(scalar, bare)
	}
	s, err := p.spansetRest(left, 0)
	return s, nil, err
}

// spansetPrecedence ranks the operators of spansets. As in Tempo, && and ||
// bind alike, from left to right.
func spansetPrecedence(op string) int {
	switch op {
	case "||", "&&":
		return 1
	case ">>", "<<", ">", "<", "~", "!>>", "!<<", "!>", "!<", "!~", "&>>", "&<<", "&>", "&<", "&~":
		return 3
	}
	return 0
}

func (p *parser) spansetRest(left Stage, minPrec int) (Stage, error) {
	for {
		t := p.peek()
		prec := 0
		if t.kind == tokPunct {
			prec = spansetPrecedence(t.text)
		}
		if prec == 0 || prec <= minPrec {
			return left, nil
		}
		p.next()
		right, scalar, err := p.spansetOperand()
		if err != nil {
			return nil, err
		}
		if scalar != nil {
			return nil, errorAt(p.src, t.pos, "operator %q joins spansets, but its right side is a number", t.text)
		}
		if right, err = p.spansetRest(right, prec); err != nil {
			return nil, err
		}
		left = SpansetOp{Op: t.text, L: left, R: right}
	}
}

// spansetOperand reads { … } or ( … ); the latter may turn out to be a scalar.
func (p *parser) spansetOperand() (Stage, Scalar, error) {
	if err := p.enter(); err != nil {
		return nil, nil, err
	}
	defer func() { p.depth-- }()
	if p.is("{") {
		f, err := p.spansetFilter()
		return f, nil, err
	}
	if err := p.expect("(", `"{" or "("`); err != nil {
		return nil, nil, err
	}
	pipe, scalar, err := p.pipelineInner()
	if err != nil {
		return nil, nil, err
	}
	if err := p.expect(")", `")", "|" or a spanset operator`); err != nil {
		return nil, nil, err
	}
	if scalar != nil {
		if len(pipe.Stages) == 0 {
			return nil, scalar, nil
		}
		return nil, ScalarPipeline{Pipeline: pipe, Of: scalar}, nil
	}
	if len(pipe.Stages) == 1 {
		switch pipe.Stages[0].(type) {
		case SpansetFilter, SpansetOp, *Pipeline:
			return pipe.Stages[0], nil, nil
		}
	}
	return pipe, nil, nil
}

func (p *parser) spansetFilter() (SpansetFilter, error) {
	pos := p.next().pos // "{"
	if p.accept("}") {
		return SpansetFilter{pos: pos}, nil
	}
	e, err := p.expr(0)
	if err != nil {
		return SpansetFilter{}, err
	}
	return SpansetFilter{Expr: e, pos: pos}, p.expect("}", `"}" or an operator`)
}

// scalarStage reads the rest of a scalar expression and its comparison.
func (p *parser) scalarStage(left Scalar, bare bool) (Stage, Scalar, error) {
	var err error
	if left == nil {
		if left, err = p.scalarOperand(); err != nil {
			return nil, nil, err
		}
	}
	if left, err = p.scalarRest(left, precComparison); err != nil {
		return nil, nil, err
	}
	t := p.peek()
	if t.kind != tokPunct || !isComparison(t.text) || strings.HasSuffix(t.text, "~") {
		if bare {
			return nil, left, nil
		}
		return nil, nil, p.expected("a comparison (=, !=, <, <=, > or >=) of the aggregate")
	}
	p.next()
	right, err := p.scalarOperand()
	if err == nil {
		right, err = p.scalarRest(right, precComparison)
	}
	return ScalarFilter{Op: t.text, L: left, R: right}, nil, err
}

func (p *parser) scalarRest(left Scalar, minPrec int) (Scalar, error) {
	for {
		t := p.peek()
		prec := 0
		if t.kind == tokPunct {
			prec = exprPrecedence(t.text)
		}
		if prec <= minPrec || prec == precUnary {
			return left, nil
		}
		p.next()
		right, err := p.scalarOperand()
		if err != nil {
			return nil, err
		}
		inner := prec
		if t.text == "^" {
			inner--
		}
		if right, err = p.scalarRest(right, inner); err != nil {
			return nil, err
		}
		left = ScalarBinary{Op: t.text, L: left, R: right}
	}
}

func (p *parser) scalarOperand() (Scalar, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	t := p.peek()
	switch {
	case t.kind == tokNumber:
		p.next()
		return ScalarStatic{t.lit}, nil
	case p.is("-"):
		p.next()
		n := p.next()
		if n.kind != tokNumber {
			p.i--
			return nil, p.expected("a number")
		}
		return ScalarStatic{negate(n.lit)}, nil
	case t.kind == tokIdent && slices.Contains(aggregates, t.text):
		return p.aggregate()
	case p.is("("):
		s, scalar, err := p.spansetOperand()
		if err != nil {
			return nil, err
		}
		if scalar == nil {
			return nil, errorAt(p.src, t.pos, "expected an aggregate at the end of the pipeline in parentheses, found the spanset %s", s)
		}
		return scalar, nil
	}
	return nil, p.expected("a number or an aggregate (count, avg, min, max, sum)")
}

func (p *parser) aggregate() (Scalar, error) {
	t := p.next()
	name := t.text
	if err := p.expect("(", `"("`); err != nil {
		return nil, err
	}
	if name == "count" {
		return Aggregate{Func: name, pos: t.pos}, p.expect(")", `")": count takes no argument`)
	}
	e, err := p.expr(0)
	if err != nil {
		return nil, err
	}
	return Aggregate{Func: name, Of: e, pos: t.pos}, p.expect(")", `")"`)
}

func negate(s Static) Static {
	switch s.Type {
	case TypeFloat:
		f, _ := s.Value.Float()
		return Static{Type: s.Type, Value: model.Double(-f)}
	case TypeInt, TypeDuration:
		return Static{Type: s.Type, Value: model.Int(-s.Value.AsInt())}
	}
	return s
}
