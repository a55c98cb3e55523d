package traceql

import (
	"math"
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// scene is one trace under evaluation: its spans, its facts, and, where the
// query needs it, its tree.
type scene struct {
	spans []model.SpanRow
	facts *model.TraceFacts
	tree  *Tree // nil unless the plan asked for it
}

// truth tries a condition on span i.
func (s *scene) truth(e Expr, i int) bool {
	if e == nil {
		return true
	}
	found := false
	s.values(e, i, func(v model.Value) bool {
		found, _ = compareValues("=", v, model.Bool(true))
		return !found
	})
	return found
}

// values yields what an expression is on span i: nothing when a field is
// missing, several values for events and links.
func (s *scene) values(e Expr, i int, yield func(model.Value) bool) {
	switch e := e.(type) {
	case Static:
		if e.Type != TypeNil {
			yield(e.Value)
		}
	case Field:
		s.lookup(e, i, yield)
	case Unary:
		s.unary(e, i, yield)
	case Binary:
		s.binary(e, i, yield)
	case test:
		yield(model.Bool(predicate.Eval(e.Expr, predicate.SpanRow{SpanRow: &s.spans[i], Facts: s.facts})))
	}
}

func (s *scene) unary(e Unary, i int, yield func(model.Value) bool) {
	if e.Op == "!" {
		yield(model.Bool(!s.truth(e.X, i)))
		return
	}
	s.values(e.X, i, func(v model.Value) bool {
		if n, ok := arithmetic("-", model.Int(0), v); ok {
			return yield(n)
		}
		return true
	})
}

func (s *scene) binary(b Binary, i int, yield func(model.Value) bool) {
	switch {
	case b.Op == "&&":
		yield(model.Bool(s.truth(b.L, i) && s.truth(b.R, i)))
	case b.Op == "||":
		yield(model.Bool(s.truth(b.L, i) || s.truth(b.R, i)))
	case isComparison(b.Op):
		yield(model.Bool(s.comparison(b, i)))
	default:
		more := true
		s.values(b.L, i, func(l model.Value) bool {
			s.values(b.R, i, func(r model.Value) bool {
				if v, ok := arithmetic(b.Op, l, r); ok {
					more = yield(v)
				}
				return more
			})
			return more
		})
	}
}

// comparison holds when it holds for one pair of values.
func (s *scene) comparison(b Binary, i int) bool {
	if isNil(b.L) || isNil(b.R) {
		return s.nilComparison(b, i)
	}
	if a, ok := b.R.(Array); ok {
		return s.arrayComparison(b, a, i)
	}
	found := false
	s.values(b.L, i, func(l model.Value) bool {
		s.values(b.R, i, func(r model.Value) bool {
			found, _ = compareValues(b.Op, l, r)
			return !found
		})
		return !found
	})
	return found
}

func isNil(e Expr) bool {
	s, ok := e.(Static)
	return ok && s.Type == TypeNil
}

func (s *scene) nilComparison(b Binary, i int) bool {
	x := b.L
	if isNil(x) {
		x = b.R
	}
	there := false
	s.values(x, i, func(model.Value) bool { there = true; return false })
	return there == (b.Op == "!=")
}

func (s *scene) arrayComparison(b Binary, a Array, i int) bool {
	op := strings.Replace(strings.TrimPrefix(b.Op, "!"), "~", "=~", 1)
	if b.Op == "=~" {
		op = b.Op
	}
	there, found := false, false
	s.values(b.L, i, func(v model.Value) bool {
		there = true
		for _, want := range a {
			if ok, _ := compareValues(op, v, want.Value); ok {
				found = true
			}
		}
		return !found
	})
	if strings.HasPrefix(b.Op, "!") {
		return there && !found
	}
	return found
}

// compareValues compares as predicate.Eval does; ok is false for an operator
// or a pattern that is none.
func compareValues(op string, v, want model.Value) (holds, ok bool) {
	if op == "=~" || op == "!~" {
		m, err := predicate.NewMatch(predicate.Field{}, want.Text())
		return err == nil && m.Holds(v) == (op == "=~"), err == nil
	}
	p, ok := compareOps[op]
	return ok && predicate.Compare{Op: p, Value: want}.Holds(v), ok
}

// arithmetic of ints stays an int; a division by zero, an overflow and what is
// not a number have no value.
func arithmetic(op string, l, r model.Value) (model.Value, bool) {
	a, aok := l.Float()
	b, bok := r.Float()
	if !aok || !bok {
		return model.Value{}, false
	}
	if l.Kind() == model.KindInt && r.Kind() == model.KindInt {
		if v, ok := intArithmetic(op, l.AsInt(), r.AsInt()); ok {
			return model.Int(v), true
		}
		if b == 0 && (op == "/" || op == "%") {
			return model.Value{}, false
		}
	}
	v := math.NaN()
	switch op {
	case "+":
		v = a + b
	case "-":
		v = a - b
	case "*":
		v = a * b
	case "/":
		v = a / b
	case "%":
		v = math.Mod(a, b)
	case "^":
		v = math.Pow(a, b)
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return model.Value{}, false
	}
	return model.Double(v), true
}

// intArithmetic fails where the result is not an int64.
func intArithmetic(op string, a, b int64) (int64, bool) {
	switch op {
	case "+":
		c := a + b
		return c, (c > a) == (b > 0)
	case "-":
		c := a - b
		return c, (c < a) == (b > 0)
	case "*":
		c := a * b
		return c, a == 0 || c/a == b && !(a == -1 && b == math.MinInt64)
	case "/":
		if b == 0 || a == math.MinInt64 && b == -1 {
			return 0, false
		}
		return a / b, true
	case "%":
		if b == 0 || b == -1 {
			return 0, b == -1
		}
		return a % b, true
	}
	return 0, false
}

// lookup yields the values of a field of span i.
func (s *scene) lookup(f Field, i int, yield func(model.Value) bool) {
	row := &s.spans[i]
	if f.Parent {
		if s.tree == nil || s.tree.Parent[i] < 0 {
			return
		}
		row = &s.spans[s.tree.Parent[i]]
	}
	if f.Scope == ScopeIntrinsic {
		switch f.Name {
		case inStatusMessage:
			yield(model.String(row.StatusMessage))
			return
		case inNestedLeft, inNestedRight, inNestedParent, inChildCount:
			if s.tree != nil {
				yield(s.nested(f.Name, i))
			} else if f.Name == inNestedParent && row.ParentID.IsZero() {
				yield(model.Int(-1))
			}
			return
		}
	}
	if pf, ok := (Field{Scope: f.Scope, Name: f.Name}).Predicate(); ok {
		predicate.SpanRow{SpanRow: row, Facts: s.facts}.Lookup(pf, yield)
	}
}

func (s *scene) nested(name string, i int) model.Value {
	switch name {
	case inNestedLeft:
		return model.Int(int64(s.tree.Left[i]))
	case inNestedRight:
		return model.Int(int64(s.tree.Right[i]))
	case inChildCount:
		return model.Int(int64(len(s.tree.Children(i))))
	}
	return model.Int(int64(s.tree.NestedParent(i)))
}

// first returns the first value of an expression on span i.
func (s *scene) first(e Expr, i int) (v model.Value, ok bool) {
	s.values(e, i, func(x model.Value) bool {
		v, ok = x, true
		return false
	})
	return v, ok
}
