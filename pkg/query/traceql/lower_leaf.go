package traceql

import (
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

var compareOps = map[string]predicate.Op{
	"=": predicate.Eq, "!=": predicate.Neq, "<": predicate.Lt, "<=": predicate.Lte, ">": predicate.Gt, ">=": predicate.Gte,
}

// lowerLeaf lowers the comparison of one field with a literal.
func lowerLeaf(f Field, op string, s Static) lowered {
	if f.Scope == ScopeIntrinsic {
		switch f.Name {
		case inNestedParent:
			return lowerNestedParent(op, s)
		case inStatusMessage:
			return lowerStatusMessage(op, s)
		case inTraceID, inSpanID, inParentID, inParent, inLinkTrace, inLinkSpan:
			s = canonicalID(f.Name, op, s)
		}
	}
	pf, ok := f.Predicate()
	if !ok {
		return unsure
	}
	return exactly(compare(pf, op, s))
}

func compare(pf predicate.Field, op string, s Static) predicate.Expr {
	there := predicate.Exists{Field: pf}
	switch {
	case s.Type == TypeNil && op == "=":
		return predicate.Not{X: there}
	case s.Type == TypeNil:
		return there
	case op == "=~" || op == "!~":
		m, err := predicate.NewMatch(pf, s.Value.Str())
		if err != nil { // Parse compiled it already
			return predicate.Or{}
		}
		if op == "=~" {
			return m
		}
		return predicate.AllOf(there, predicate.Not{X: m})
	}
	return predicate.Compare{Field: pf, Op: compareOps[op], Value: s.Value}
}

// lowerStatusMessage: every span has a status message, if only "".
func lowerStatusMessage(op string, s Static) lowered {
	pf := predicate.Intrinsic(predicate.StatusMessage)
	empty := predicate.Not{X: predicate.Exists{Field: pf}}
	if s.Type == TypeNil {
		if op == "=" {
			return never()
		}
		return everything
	}
	if s.Type != TypeString {
		return never()
	}
	switch op {
	case "!=":
		return exactly(negation(lowerStatusMessage("=", s).expr))
	case "!~":
		return exactly(negation(lowerStatusMessage("=~", s).expr))
	}
	onText := compare(pf, op, s)
	if holds, _ := compareValues(op, model.String(""), s.Value); holds {
		if op == "=" {
			return exactly(empty)
		}
		return anyOf(exactly(empty), exactly(onText))
	}
	return exactly(onText)
}

// lowerNestedParent knows that nestedSetParent is -1 for root spans and not
// negative for all others: the way Grafana asks for roots.
func lowerNestedParent(op string, s Static) lowered {
	n, ok := s.Value.Float()
	if !ok {
		return unsure
	}
	root := predicate.Not{X: predicate.Exists{Field: predicate.Intrinsic(predicate.ParentID)}}
	isRoot, _ := compareValues(op, model.Int(-1), s.Value)
	switch {
	case op == "=" && n == -1, op == "<" && n > -1 && n <= 0, op == "<=" && n >= -1 && n < 0:
		return exactly(root)
	case op == "!=" && n == -1, op == ">" && n >= -1 && n < 0, op == ">=" && n > -1 && n <= 0:
		return exactly(root.X)
	case n < -1:
		if isRoot {
			return everything
		}
		return never()
	}
	if !isRoot {
		return lowered{expr: root.X}
	}
	return unsure
}

// canonicalID lets an id be spelled as other systems do.
func canonicalID(name, op string, s Static) Static {
	if s.Type != TypeString || strings.HasSuffix(op, "~") {
		return s
	}
	text := s.Value.Str()
	if name == inTraceID || name == inLinkTrace {
		if id, ok := model.ParseTraceID(text); ok {
			return Static{TypeString, model.String(id.String())}
		}
	} else if id, ok := model.ParseSpanID(text); ok {
		return Static{TypeString, model.String(id.String())}
	}
	return s
}
