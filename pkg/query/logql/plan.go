package logql

import (
	"strings"

	"braid/pkg/predicate"
)

// plan is a selection split in two: the filter travels to the source, the
// stages stay. Every row that the whole selection lets through satisfies the
// filter.
type plan struct {
	filter predicate.Expr
	stages []Stage
	// strict, when not nil, selects exactly what the selection does, with no
	// stage left, provided that no row satisfies probe (nil: none can). Probe
	// finds rows whose value cannot be converted and would be an error.
	strict predicate.Expr
	probe  predicate.Expr
}

// lowered is one condition in the words of the store.
type lowered struct {
	super predicate.Expr // nil: nothing can be said
	exact bool           // super is the condition itself
	// strict and probe: see plan.
	strict, probe predicate.Expr
	// noErrors: entries marked with an error are not let through.
	noErrors bool
}

// planner walks the stages and remembers what they have changed.
type planner struct {
	line    bool            // the line is still the record's body
	hints   bool            // parsed values still occur in the body, maybe escaped
	escaped bool            // … with escapes undone
	parsed  bool            // a parser has made labels
	mayFail bool            // __error__ may be set
	soft    bool            // … but by a row that a probe finds
	softOr  bool            // … in an alternative, where it would let a row pass
	stopped bool            // nothing behind this stage may be applied before it
	all     bool            // every label may have changed
	names   map[string]bool // labels that may have changed
}

// planSelection splits a selection.
func planSelection(s *Selection) plan {
	p := &planner{line: true, hints: true, names: map[string]bool{}}
	var filters, strict, probes []predicate.Expr
	var pl plan
	whole := true
	for _, m := range s.Matchers {
		e := lowerMatcher(m)
		filters, strict = append(filters, e), append(strict, e)
	}
	for _, st := range s.Stages {
		l := p.lower(st)
		if l.super != nil {
			filters = append(filters, l.super)
		}
		switch {
		case l.exact:
			strict = append(strict, l.super)
			continue
		case l.strict != nil:
			strict = append(strict, l.strict)
			if l.probe != nil {
				probes = append(probes, l.probe)
			}
			if l.noErrors {
				probes = nil // rows that cannot be converted are not wanted
			}
		default:
			whole = false
		}
		pl.stages = append(pl.stages, st)
	}
	pl.filter = predicate.AllOf(filters...)
	if whole {
		pl.strict = predicate.AllOf(strict...)
		if len(probes) > 0 {
			pl.probe = anyOf(probes...)
		}
	}
	return pl
}

// lower says what a stage means to the store, and notes what it changes.
func (p *planner) lower(s Stage) lowered {
	switch s := s.(type) {
	case *LineFilter:
		if p.line && !p.stopped {
			return lowerLineFilter(s)
		}
	case *LabelFilter:
		if !p.stopped {
			return p.lowerCond(s.Cond)
		}
		p.mayFail = true
	case *JSONParser, *LogfmtParser:
		p.parsed, p.escaped, p.mayFail = true, true, true
	case *Unpack:
		p.parsed, p.escaped, p.mayFail, p.line = true, true, true, false
	case *RegexpParser, *PatternParser:
		p.parsed = true
	case *Decolorize:
		p.line, p.hints = false, false
	case *LineFormat:
		p.line, p.hints, p.mayFail = false, false, true
	case *LabelFormat:
		for _, it := range s.Items {
			p.names[predicate.Underscore(it.Dst)] = true
			if it.Src != "" {
				p.names[it.ref.under] = true
			} else {
				p.mayFail = true
			}
		}
	case *Keep:
		p.all = true
	case *Drop:
		for _, it := range s.Items {
			p.names[predicate.Underscore(it.Name)] = true
		}
	case *Distinct:
		p.stopped = true
	}
	return lowered{}
}

// clean reports whether a label still is what the record brought.
func (p *planner) clean(under string) bool {
	return !p.all && !p.parsed && !p.names[under]
}

func (p *planner) lowerCond(c Cond) lowered {
	switch c := c.(type) {
	case *CondAnd:
		return joinAnd(p.lowerCond(c.Left), p.lowerCond(c.Right))
	case *CondOr:
		l := joinOr(p.lowerCond(c.Left), p.lowerCond(c.Right))
		p.softOr = p.softOr || l.probe != nil
		return l
	case CondString:
		return p.lowerString(c.Matcher)
	case *CondNumber:
		return p.lowerNumber(c)
	case *CondIP:
		failed := p.mayFail || p.soft
		p.mayFail = true
		if !failed && p.clean(c.ref.under) && len(c.ref.chain) == 1 && c.ref.def == "" {
			return lowered{super: predicate.Exists{Field: c.ref.chain[0]}}
		}
	}
	return lowered{}
}

func joinAnd(l, r lowered) lowered {
	out := lowered{exact: l.exact && r.exact}
	switch {
	case l.super == nil:
		out.super = r.super
	case r.super == nil:
		out.super = l.super
	default:
		out.super = predicate.AllOf(l.super, r.super)
	}
	if !out.exact && l.whole() != nil && r.whole() != nil {
		out.strict = predicate.AllOf(l.whole(), r.whole())
		out.probe = joinProbes(l.probe, r.probe)
	}
	return out
}

func joinProbes(l, r predicate.Expr) predicate.Expr {
	if l == nil && r == nil {
		return nil
	}
	return anyOf(l, r)
}

func joinOr(l, r lowered) lowered {
	if l.super == nil || r.super == nil {
		return lowered{}
	}
	out := lowered{super: anyOf(l.super, r.super), exact: l.exact && r.exact}
	if !out.exact && l.whole() != nil && r.whole() != nil {
		out.strict = anyOf(l.whole(), r.whole())
		out.probe = joinProbes(l.probe, r.probe)
	}
	return out
}

// whole returns the condition itself as far as the store can know it.
func (l lowered) whole() predicate.Expr {
	if l.exact {
		return l.super
	}
	return l.strict
}

// anyOf joins with Or, leaving out nil.
func anyOf(parts ...predicate.Expr) predicate.Expr {
	var out predicate.Or
	for _, e := range parts {
		switch e := e.(type) {
		case nil:
		case predicate.True:
			return e
		case predicate.Or:
			out = append(out, e...)
		default:
			out = append(out, e)
		}
	}
	if len(out) == 1 {
		return out[0]
	}
	return out
}

// lowerString lowers the comparison of a label's text. Behind a parser a label
// may come from the line: then its value occurs in the body, or the body has
// escapes that hide it.
func (p *planner) lowerString(m *Matcher) lowered {
	under := m.ref.under
	if under == labelError || under == labelDetails {
		if p.mayFail || p.names[under] || p.softOr {
			return lowered{}
		}
		if p.soft {
			if m.Op == "=" && m.Value == "" && under == labelError {
				return lowered{strict: predicate.True{}, noErrors: true}
			}
			return lowered{}
		}
		if m.Matches("") {
			return lowered{super: predicate.True{}, exact: true}
		}
		return lowered{super: predicate.Or{}, exact: true}
	}
	if p.clean(under) || p.fixed(under) {
		return lowered{super: lowerMatcher(m), exact: true}
	}
	if p.all || p.names[under] || !p.hints || m.Op != "=" || m.Value == "" {
		return lowered{}
	}
	alternatives := []predicate.Expr{lowerMatcher(m), bodyContains(m.Value)}
	if p.escaped {
		alternatives = append(alternatives, bodyContains(`\`))
	}
	return lowered{super: anyOf(alternatives...)}
}

// fixed reports whether a label is one that every record brings, so that no
// parser can take its name.
func (p *planner) fixed(under string) bool {
	return !p.all && !p.names[under] && (under == labelLevel || under == labelService)
}

func bodyContains(s string) predicate.Expr {
	t, err := predicate.NewText(predicate.Intrinsic(predicate.Body), predicate.Contains, s, false)
	if err != nil {
		return predicate.True{}
	}
	return t
}

// lowerNumber lowers a numeric comparison. What cannot be converted passes and
// is marked, so the store is asked for all but the numbers that fail.
func (p *planner) lowerNumber(c *CondNumber) lowered {
	if c.ref.under == labelError {
		return lowered{super: predicate.Or{}, exact: true}
	}
	if !p.clean(c.ref.under) || c.ref.def != "" {
		p.mayFail = true
		return lowered{}
	}
	var out lowered
	for i := len(c.ref.chain) - 1; i >= 0; i-- {
		f := c.ref.chain[i]
		l := p.lowerNumberOf(f, c)
		if i == len(c.ref.chain)-1 {
			out = l
			continue
		}
		lacks := func(rest predicate.Expr) predicate.Expr {
			return predicate.AllOf(predicate.Not{X: predicate.Exists{Field: f}}, rest)
		}
		joined := lowered{super: anyOf(l.super, lacks(out.super))}
		if l.strict != nil && out.strict != nil {
			joined.strict = anyOf(l.strict, lacks(out.strict))
			joined.probe = l.probe
			if out.probe != nil {
				joined.probe = joinProbes(l.probe, lacks(out.probe))
			}
		}
		out = joined
	}
	return out
}

// lowerNumberOf lowers a numeric comparison of one field.
func (p *planner) lowerNumberOf(f predicate.Field, c *CondNumber) lowered {
	exists := predicate.Exists{Field: f}
	if c.Unit != "" || c.Value != c.Value {
		p.mayFail = true
		return lowered{super: exists}
	}
	compare := func(op predicate.Op, v float64) predicate.Expr {
		return predicate.Compare{Field: f, Op: op, Value: number(v), Loose: true}
	}
	ops := map[string][2]predicate.Op{
		"==": {predicate.Eq, predicate.Neq}, "!=": {predicate.Neq, predicate.Eq},
		">": {predicate.Gt, predicate.Lte}, ">=": {predicate.Gte, predicate.Lt},
		"<": {predicate.Lt, predicate.Gte}, "<=": {predicate.Lte, predicate.Gt},
	}[c.Op]
	if f == predicate.Intrinsic(predicate.Severity) || f == predicate.Intrinsic(predicate.Flags) { // numbers always
		return lowered{super: compare(ops[0], c.Value), strict: compare(ops[0], c.Value)}
	}
	p.soft = true
	return lowered{
		super:  predicate.And{exists, predicate.Not{X: compare(ops[1], c.Value)}},
		strict: compare(ops[0], c.Value),
		probe: predicate.And{exists, predicate.Compare{Field: f, Op: predicate.Neq, Value: text(""), Loose: true},
			predicate.Not{X: anyOf(compare(predicate.Lt, 0), compare(predicate.Gte, 0))}},
	}
}

// lowerMatcher lowers a matcher on what a record brought, exactly.
func lowerMatcher(m *Matcher) predicate.Expr {
	switch m.Op {
	case "!=", "!~":
		return negate(lowerPositive(m, strings.Replace(strings.Replace(m.Op, "!=", "=", 1), "!~", "=~", 1)))
	}
	return lowerPositive(m, m.Op)
}

func negate(e predicate.Expr) predicate.Expr {
	switch e := e.(type) {
	case predicate.True:
		return predicate.Or{}
	case predicate.Or:
		if len(e) == 0 {
			return predicate.True{}
		}
	case predicate.Not:
		return e.X
	}
	return predicate.Not{X: e}
}

// lowerPositive builds: the first field of the chain that the record has
// matches, or it has none and the default does.
func lowerPositive(m *Matcher, op string) predicate.Expr {
	matches := func(v string) bool {
		if op == "=" {
			return v == m.Value
		}
		return m.re.re.MatchString(v)
	}
	switch {
	case op == "=~" && m.Value == ".*":
		return predicate.True{}
	case op == "=~" && m.Value == ".+" && m.ref.def != "" && len(m.ref.chain) == 1:
		return predicate.Not{X: lowerValue(&Matcher{}, "=", m.ref.chain[0])}
	}
	var out predicate.Expr = predicate.Or{}
	if matches(m.ref.def) {
		out = predicate.True{}
	}
	for i := len(m.ref.chain) - 1; i >= 0; i-- {
		f := m.ref.chain[i]
		has := lowerValue(m, op, f)
		switch rest := out.(type) {
		case predicate.Or:
			if len(rest) == 0 {
				out = has
				continue
			}
		}
		out = anyOf(has, predicate.AllOf(predicate.Not{X: predicate.Exists{Field: f}}, out))
	}
	return out
}

// lowerValue: the record has the field and its value matches.
func lowerValue(m *Matcher, op string, f predicate.Field) predicate.Expr {
	if op == "=" {
		return predicate.Compare{Field: f, Op: predicate.Eq, Value: text(m.Value), Loose: true}
	}
	if m.Value == ".+" {
		return predicate.Compare{Field: f, Op: predicate.Neq, Value: text(""), Loose: true}
	}
	e, err := predicate.NewMatch(f, m.Value)
	if err != nil {
		return predicate.Exists{Field: f} // compiled once already: cannot happen
	}
	return e
}

func lowerLineFilter(s *LineFilter) lowered {
	body := predicate.Intrinsic(predicate.Body)
	var parts []predicate.Expr
	for _, a := range s.Args {
		if a.IP {
			return lowered{}
		}
		mode, query := predicate.Contains, a.Text
		switch s.Op {
		case "|~", "!~":
			mode = predicate.Regexp
		case "|>", "!>":
			re, err := patternRegexp(a.Text)
			if err != nil {
				return lowered{}
			}
			mode, query = predicate.Regexp, re
		}
		if query == "" && mode == predicate.Contains {
			parts = append(parts, predicate.True{})
			continue
		}
		t, err := predicate.NewText(body, mode, query, false)
		if err != nil {
			return lowered{}
		}
		parts = append(parts, simplifyRegexp(t))
	}
	e := anyOf(parts...)
	if s.negated() {
		e = negate(e)
	}
	return lowered{super: e, exact: true}
}
