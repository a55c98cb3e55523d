package traceql

import (
	"github.com/grafana/regexp"
)

// intrinsicTypes are the types of the intrinsics; others are strings.
var intrinsicTypes = map[string]Type{
	inDuration: TypeDuration, inTraceDuration: TypeDuration, inEventSince: TypeDuration,
	inStatus: TypeStatus, inKind: TypeKind,
	inNestedParent: TypeInt, inNestedLeft: TypeInt, inNestedRight: TypeInt, inChildCount: TypeInt,
}

func (f Field) typ() Type {
	if f.Scope != ScopeIntrinsic {
		return TypeUnknown
	}
	if t, ok := intrinsicTypes[f.Name]; ok {
		return t
	}
	return TypeString
}

// validator walks a parsed query and refuses what has no meaning, so that the
// answer is an error and not an empty list.
type validator struct {
	src string
}

func validate(q *Query) error {
	v := &validator{src: q.Source}
	if q.Math != nil {
		n := 0
		return eachQuery(q.Math, func(inner *Query) error {
			if n++; n > maxMathQueries {
				return errorAt(q.Source, 0, "at most %d metrics queries can be joined", maxMathQueries)
			}
			if m := inner.Metrics; m.Compare != nil {
				return errorAt(q.Source, m.pos, "compare cannot be joined with other metrics queries")
			}
			return validate(inner)
		})
	}
	if err := v.pipeline(q.Pipeline); err != nil {
		return err
	}
	if m := q.Metrics; m != nil {
		if m.Of != nil {
			if t := m.Of.typ(); t != TypeUnknown && !t.numeric() {
				return errorAt(v.src, m.pos, "%s measures numbers, but %s is %s", m.Func, m.Of, t.a())
			}
		}
		if m.Compare != nil && len(m.Second) > 0 {
			return errorAt(v.src, m.pos, "nothing can follow compare, but%s does", m.Second[0])
		}
		if m.Compare != nil {
			return v.stage(m.Compare.Selection)
		}
	}
	return nil
}

func (v *validator) pipeline(p *Pipeline) error {
	for _, s := range p.Stages {
		if err := v.stage(s); err != nil {
			return err
		}
	}
	return nil
}

func (v *validator) stage(s Stage) error {
	switch s := s.(type) {
	case SpansetFilter:
		if s.Expr == nil {
			return nil
		}
		t, err := v.expr(s.Expr, s.pos)
		if err == nil && t != TypeBool && t != TypeUnknown {
			err = errorAt(v.src, s.pos, "a span filter must be true or false, but %s is %s", s.Expr, t.a())
		}
		return err
	case SpansetOp:
		if err := v.stage(s.L); err != nil {
			return err
		}
		return v.stage(s.R)
	case *Pipeline:
		return v.pipeline(s)
	case ScalarFilter:
		if err := v.scalar(s.L); err != nil {
			return err
		}
		return v.scalar(s.R)
	case GroupBy:
		for _, e := range s.By {
			if _, err := v.expr(e, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *validator) scalar(s Scalar) error {
	switch s := s.(type) {
	case ScalarStatic:
		if !s.Type.numeric() {
			return errorAt(v.src, 0, "expected a number, found the %s %s", s.Type, s.Static)
		}
	case Aggregate:
		if s.Of == nil {
			return nil
		}
		t, err := v.expr(s.Of, s.pos)
		if err == nil && t != TypeUnknown && !t.numeric() {
			err = errorAt(v.src, s.pos, "%s measures numbers, but %s is %s", s.Func, s.Of, t.a())
		}
		return err
	case ScalarBinary:
		if err := v.scalar(s.L); err != nil {
			return err
		}
		return v.scalar(s.R)
	case ScalarPipeline:
		if err := v.pipeline(s.Pipeline); err != nil {
			return err
		}
		return v.scalar(s.Of)
	}
	return nil
}

// expr returns what is known of the type.
func (v *validator) expr(e Expr, pos int) (Type, error) {
	switch e := e.(type) {
	case Static:
		return e.Type, nil
	case Array:
		return TypeUnknown, errorAt(v.src, pos, "the array %s may only stand on the right of =, !=, =~ or !~", e)
	case Field:
		return e.typ(), nil
	case Unary:
		t, err := v.expr(e.X, pos)
		if err != nil {
			return t, err
		}
		if e.Op == "!" {
			if t != TypeBool && t != TypeUnknown {
				return t, errorAt(v.src, pos, "! negates true and false, but %s is %s", e.X, t.a())
			}
			return TypeBool, nil
		}
		if !t.numeric() && t != TypeUnknown {
			return t, errorAt(v.src, pos, "- negates numbers, but %s is %s", e.X, t.a())
		}
		return t, nil
	case Binary:
		return v.binary(e)
	}
	return TypeUnknown, nil
}

func (v *validator) binary(b Binary) (Type, error) {
	l, err := v.expr(b.L, b.pos)
	if err != nil {
		return l, err
	}
	if a, ok := b.R.(Array); ok {
		return TypeBool, v.array(b, l, a)
	}
	r, err := v.expr(b.R, b.pos)
	if err != nil {
		return r, err
	}
	switch p := exprPrecedence(b.Op); {
	case p < precComparison:
		for _, t := range []Type{l, r} {
			if t != TypeBool && t != TypeUnknown {
				return t, errorAt(v.src, b.pos, "%s joins conditions, but one side is %s", b.Op, t.a())
			}
		}
		return TypeBool, nil
	case b.Op == "=~" || b.Op == "!~":
		return TypeBool, v.regex(b, l, b.R)
	case p == precComparison:
		return TypeBool, v.comparable(b, l, r)
	}
	for _, t := range []Type{l, r} {
		if !t.numeric() && t != TypeUnknown {
			return t, errorAt(v.src, b.pos, "%s needs numbers, but one side is %s", b.Op, t.a())
		}
	}
	switch {
	case l == TypeDuration || r == TypeDuration:
		return TypeDuration, nil
	case l == TypeUnknown || r == TypeUnknown:
		return TypeUnknown, nil
	case l == TypeFloat || r == TypeFloat:
		return TypeFloat, nil
	}
	return TypeInt, nil
}

func (v *validator) array(b Binary, l Type, a Array) error {
	for _, s := range a {
		var err error
		switch b.Op {
		case "=", "!=":
			err = v.comparable(b, l, s.Type)
		case "=~", "!~":
			err = v.regex(b, l, s)
		default:
			err = errorAt(v.src, b.pos, "%s cannot compare with an array: use =, !=, =~ or !~", b.Op)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *validator) regex(b Binary, l Type, right Expr) error {
	s, ok := right.(Static)
	if !ok || s.Type != TypeString {
		return errorAt(v.src, b.pos, "expected a regular expression in quotes after %s, found %s", b.Op, right)
	}
	if l == TypeBool || l.numeric() || l == TypeNil {
		return errorAt(v.src, b.pos, "%s matches text, but its left side is %s", b.Op, l.a())
	}
	if _, err := regexp.Compile(s.Value.Str()); err != nil {
		return errorAt(v.src, b.pos, "%s is not a regular expression: %v", s, err)
	}
	return nil
}

func (v *validator) comparable(b Binary, l, r Type) error {
	ordered := b.Op != "=" && b.Op != "!="
	if l == TypeNil || r == TypeNil {
		if ordered {
			return errorAt(v.src, b.pos, "nil can only be compared with = and !=")
		}
		return nil
	}
	for _, t := range []Type{l, r} {
		if ordered && (t == TypeBool || t == TypeStatus || t == TypeKind) {
			return errorAt(v.src, b.pos, "%s can only be compared with = and !=", t.a())
		}
	}
	if l == TypeUnknown || r == TypeUnknown || l == r || l.numeric() && r.numeric() {
		return nil
	}
	return errorAt(v.src, b.pos, "cannot compare %s with %s: %s", l.a(), r.a(), b)
}
