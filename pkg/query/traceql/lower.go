package traceql

import (
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// lowered is a span filter as a source can try it. When it is not exact it
// lets more spans through than the filter does (never fewer), and the filter
// is tried again on what comes back.
type lowered struct {
	expr  predicate.Expr
	exact bool
}

var everything = lowered{expr: predicate.True{}, exact: true}

// unsure lets everything through.
var unsure = lowered{expr: predicate.True{}}

func exactly(e predicate.Expr) lowered { return lowered{expr: e, exact: true} }

func never() lowered { return exactly(predicate.Or{}) }

// lowerFilter lowers the expression of a span filter.
func lowerFilter(e Expr) lowered {
	if e == nil {
		return everything
	}
	return lower(e)
}

func lower(e Expr) lowered {
	switch e := e.(type) {
	case Static:
		if e.Value == model.Bool(true) {
			return everything
		}
		return never()
	case Field:
		return lowerLeaf(e, "=", Static{TypeBool, model.Bool(true)})
	case Unary:
		if e.Op != "!" {
			return never() // a number is not true
		}
		if x := lower(e.X); x.exact {
			return exactly(negation(x.expr))
		}
		return unsure
	case Binary:
		return lowerBinary(e)
	}
	return unsure
}

func negation(e predicate.Expr) predicate.Expr {
	switch e := e.(type) {
	case predicate.Not:
		return e.X
	case predicate.True:
		return predicate.Or{}
	case predicate.Or:
		if len(e) == 0 {
			return predicate.True{}
		}
	}
	return predicate.Not{X: e}
}

func lowerBinary(b Binary) lowered {
	switch b.Op {
	case "&&":
		l, r := lower(b.L), lower(b.R)
		return lowered{predicate.AllOf(l.expr, r.expr), l.exact && r.exact}
	case "||":
		return anyOf(lower(b.L), lower(b.R))
	}
	if !isComparison(b.Op) {
		return never()
	}
	l, r := fold(b.L), fold(b.R)
	if f, ok := l.(Field); ok {
		switch r := r.(type) {
		case Static:
			return lowerLeaf(f, b.Op, r)
		case Array:
			return lowerArray(f, b.Op, r)
		}
	}
	if f, ok := r.(Field); ok {
		if s, ok := l.(Static); ok {
			return lowerLeaf(f, mirrored(b.Op), s)
		}
	}
	return lowerPresence(b)
}

func anyOf(parts ...lowered) lowered {
	out := lowered{exact: true}
	var or predicate.Or
	for _, p := range parts {
		out.exact = out.exact && p.exact
		switch e := p.expr.(type) {
		case predicate.Or:
			or = append(or, e...)
		case predicate.True:
			if p.exact {
				return everything
			}
			return unsure
		default:
			or = append(or, e)
		}
	}
	out.expr = or
	if len(or) == 1 {
		out.expr = or[0]
	}
	return out
}

func mirrored(op string) string {
	switch op {
	case "<":
		return ">"
	case "<=":
		return ">="
	case ">":
		return "<"
	case ">=":
		return "<="
	}
	return op
}

// fold computes arithmetic of literals.
func fold(e Expr) Expr {
	switch e := e.(type) {
	case Unary:
		x := fold(e.X)
		if s, ok := x.(Static); ok && e.Op == "-" && s.Type.numeric() {
			return negate(s)
		}
	case Binary:
		l, lok := fold(e.L).(Static)
		r, rok := fold(e.R).(Static)
		if lok && rok && exprPrecedence(e.Op) > precComparison {
			if v, ok := arithmetic(e.Op, l.Value, r.Value); ok {
				t := TypeFloat
				if v.Kind() == model.KindInt {
					t = TypeInt
				}
				return Static{t, v}
			}
		}
	}
	return e
}

// lowerArray: = any, != present and none, likewise for =~ and !~.
func lowerArray(f Field, op string, a Array) lowered {
	positive := "="
	if strings.HasSuffix(op, "~") {
		positive = "=~"
	}
	parts := make([]lowered, len(a))
	for i, s := range a {
		parts[i] = lowerLeaf(f, positive, s)
	}
	any := anyOf(parts...)
	if !strings.HasPrefix(op, "!") {
		return any
	}
	there := lowerLeaf(f, "!=", Static{Type: TypeNil})
	if !any.exact {
		return lowered{expr: there.expr}
	}
	return lowered{predicate.AllOf(there.expr, negation(any.expr)), there.exact}
}

// lowerPresence lowers a comparison that no source can make, such as of two
// attributes: both must at least be there.
func lowerPresence(b Binary) lowered {
	var parts []predicate.Expr
	eachField(b, func(f Field) {
		pf, ok := f.Predicate()
		if ok && f.Scope != ScopeIntrinsic {
			parts = append(parts, predicate.Exists{Field: pf})
		}
	})
	if hasNil(b) {
		return unsure
	}
	return lowered{expr: predicate.AllOf(parts...)}
}

func hasNil(e Expr) bool {
	switch e := e.(type) {
	case Static:
		return e.Type == TypeNil
	case Unary:
		return e.Op == "!" || hasNil(e.X)
	case Binary:
		return exprPrecedence(e.Op) <= precComparison && nested(e) || hasNil(e.L) || hasNil(e.R)
	}
	return false
}

// nested reports whether an operand is a condition itself: (.a = 1) = .b is
// true or false also where .a is missing.
func nested(b Binary) bool {
	for _, x := range []Expr{b.L, b.R} {
		if y, ok := x.(Binary); ok && exprPrecedence(y.Op) <= precComparison {
			return true
		}
	}
	return false
}

// eachField visits the fields of an expression.
func eachField(e Expr, visit func(Field)) {
	switch e := e.(type) {
	case Field:
		visit(e)
	case Unary:
		eachField(e.X, visit)
	case Binary:
		eachField(e.L, visit)
		eachField(e.R, visit)
	}
}
