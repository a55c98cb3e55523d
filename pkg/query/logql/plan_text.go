package logql

import (
	"fmt"
	"regexp/syntax"
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

func text(s string) model.Value    { return model.String(s) }
func number(f float64) model.Value { return model.Double(f) }

// simplifyRegexp turns a regular expression that only spells texts into the
// search for these texts, which stores do faster: "a|b", "(?i)error".
func simplifyRegexp(t predicate.Text) predicate.Expr {
	if t.Mode != predicate.Regexp || t.Fold {
		return t
	}
	re, err := syntax.Parse(t.Query, syntax.Perl)
	if err != nil {
		return t
	}
	if e := literalSearch(re.Simplify(), t.Field); e != nil {
		return e
	}
	return t
}

// literalSearch returns nil when the expression is more than literals.
func literalSearch(re *syntax.Regexp, f predicate.Field) predicate.Expr {
	switch re.Op {
	case syntax.OpLiteral:
		fold := re.Flags&syntax.FoldCase != 0
		t, err := predicate.NewText(f, predicate.Contains, string(re.Rune), fold)
		if err != nil {
			return nil
		}
		return t
	case syntax.OpCapture:
		return literalSearch(re.Sub[0], f)
	case syntax.OpConcat:
		return trimmedConcat(re, f)
	case syntax.OpAlternate:
		var out []predicate.Expr
		for _, s := range re.Sub {
			e := literalSearch(s, f)
			if e == nil {
				return nil
			}
			out = append(out, e)
		}
		return anyOf(out...)
	}
	return nil
}

// trimmedConcat reads .*literal.*, which searches like the literal. Only with
// the dot matching newlines is that the same text.
func trimmedConcat(re *syntax.Regexp, f predicate.Field) predicate.Expr {
	subs := re.Sub
	for len(subs) > 1 && isDotStar(subs[0]) {
		subs = subs[1:]
	}
	for len(subs) > 1 && isDotStar(subs[len(subs)-1]) {
		subs = subs[:len(subs)-1]
	}
	if len(subs) != 1 || isDotStar(subs[0]) {
		return nil
	}
	return literalSearch(subs[0], f)
}

// isDotStar: an unanchored search may match .* with nothing, so that newlines
// do not matter.
func isDotStar(re *syntax.Regexp) bool {
	return re.Op == syntax.OpStar && (re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL)
}

// Explain renders how a query is answered.
func Explain(e Expr) string {
	var b strings.Builder
	explain(&b, e, 0)
	return b.String()
}

func explain(b *strings.Builder, e Expr, depth int) {
	pad := strings.Repeat("  ", depth)
	line := func(format string, args ...any) { fmt.Fprintf(b, pad+format+"\n", args...) }
	switch e := e.(type) {
	case *Selection:
		explainSelection(line, e)
	case *RangeAgg:
		explainRange(b, line, e, &rangeNeeds{}, depth)
	case *VectorAgg:
		group := ""
		if e.Grouping != nil {
			group = " " + e.Grouping.String()
		}
		line("%s%s", e.Op, group)
		if r, ok := e.Of.(*RangeAgg); ok {
			explainRange(b, func(format string, args ...any) { fmt.Fprintf(b, pad+"  "+format+"\n", args...) }, r, needsOf(e, r), depth+1)
			return
		}
		explain(b, e.Of, depth+1)
	case *Binary:
		line("operator %s", e.Op)
		explain(b, e.Left, depth+1)
		explain(b, e.Right, depth+1)
	case *LabelReplace:
		line("label_replace %s", e.Dst)
		explain(b, e.Of, depth+1)
	default:
		line("%s", e)
	}
}

func explainSelection(line func(string, ...any), s *Selection) {
	p := planSelection(s)
	line("select rows where %s", p.filter)
	for _, st := range p.stages {
		line("  then %s", st)
	}
}

func explainRange(b *strings.Builder, line func(string, ...any), r *RangeAgg, needs *rangeNeeds, depth int) {
	if push := planPush(r, needs); push != nil {
		line("%s over %s, counted at the source where %s by %v", r.Op, formatDuration(r.Range), push.filter, push.by.Fields)
		if push.probe != nil {
			line("  unless a row has %s", push.probe)
		}
		return
	}
	if sp := planSplit(r, needs); sp != nil {
		line("%s over %s, counted at the source where %s by %v", r.Op, formatDuration(r.Range), sp.stored.filter, sp.stored.by.Fields)
		line("and from rows where %s", sp.rest)
	} else {
		line("%s over %s, from rows", r.Op, formatDuration(r.Range))
	}
	sel := prunedSelection(r, needs)
	explain(b, sel, depth+1)
}
