package logql

import (
	"strconv"
	"strings"
)

// selection reads a log query.
func (p *parser) selection() *Selection {
	s := &Selection{Matchers: p.matchers()}
	for {
		if p.isOp("[") {
			p.fail(p.cur(), "a time range belongs into a function: write count_over_time(…[5m]) or rate(…[5m])")
		}
		if p.isOp("|") && p.peekAt(1).isWord("unwrap") {
			p.fail(p.peekAt(1), "unwrap belongs into a function that measures: write sum_over_time(… | unwrap label [5m])")
		}
		st := p.stage()
		if st == nil {
			return s
		}
		s.Stages = append(s.Stages, st)
	}
}

func (p *parser) matchers() []*Matcher {
	p.want("{", `"{"`)
	var out []*Matcher
	for !p.isOp("}") {
		out = append(out, p.matcher())
		if !p.accept(",") && !p.isOp("}") {
			p.expected(`"," or "}"`)
		}
	}
	p.next()
	return out
}

func (p *parser) matcher() *Matcher {
	name := p.name("a label name")
	op := p.cur()
	if !p.isOp("=", "!=", "=~", "!~") {
		p.expected("one of = != =~ !~")
	}
	p.next()
	return p.matcherValue(name, op)
}

func (p *parser) matcherValue(name string, op token) *Matcher {
	v := p.str("a value in quotes")
	m, err := newMatcher(name, op.text, v.text)
	if err != nil {
		p.fail(v, "%v", err)
	}
	return m
}

const wantStage = "a parser (json, logfmt, regexp, pattern, unpack), line_format, label_format, decolorize, drop, keep, distinct, unwrap, or a label filter such as status >= 500"

// stage reads one stage, nil when none stands here.
func (p *parser) stage() Stage {
	if p.isOp("|=", "!=", "|~", "!~", "|>", "!>") {
		return p.lineFilter()
	}
	if !p.isOp("|") {
		return nil
	}
	p.next()
	t := p.cur()
	if t.kind == tokIdent {
		if s, ok := p.keywordStage(t); ok {
			return s
		}
	}
	if t.kind != tokIdent && t.kind != tokString && !p.isOp("(") {
		p.expected(wantStage)
	}
	return &LabelFilter{p.cond()}
}

func (p *parser) keywordStage(t token) (Stage, bool) {
	parse := map[string]func() Stage{
		"json": p.jsonStage, "logfmt": p.logfmtStage,
		"regexp": p.regexpStage, "pattern": p.patternStage,
		"unpack": func() Stage { return &Unpack{} }, "decolorize": func() Stage { return &Decolorize{} },
		"line_format": p.lineFormatStage, "label_format": p.labelFormatStage,
		"keep":     func() Stage { return &Keep{p.labelItems()} },
		"drop":     func() Stage { return &Drop{p.labelItems()} },
		"distinct": p.distinctStage,
	}[t.keyword()]
	if parse == nil || t.text != t.keyword() && isCondOp(p.peekAt(1)) {
		return nil, false
	}
	p.next()
	return parse(), true
}

func (p *parser) lineFilter() Stage {
	op := p.next()
	var args []LineArg
	for {
		start := p.cur()
		if p.isWord("ip") {
			p.next()
			p.want("(", `"("`)
			args = append(args, LineArg{Text: p.str("an IP pattern in quotes").text, IP: true})
			p.want(")", `")"`)
		} else {
			args = append(args, LineArg{Text: p.str("a text in quotes, or ip(…)").text})
		}
		if err := args[len(args)-1].compile(op.text); err != nil {
			p.fail(start, "%v", err)
		}
		if !p.isWord("or") || p.peekAt(1).kind != tokString && !p.peekAt(1).isWord("ip") {
			return &LineFilter{Op: op.text, Args: args}
		}
		p.next()
	}
}

// cond reads the condition of a label filter. "and", "," and mere juxtaposition
// mean and, which binds tighter than or.
func (p *parser) cond() Cond {
	p.enter()
	defer p.leave()
	left := p.condAnd()
	for p.isWord("or") {
		p.next()
		left = &CondOr{left, p.condAnd()}
	}
	return left
}

func (p *parser) condAnd() Cond {
	left := p.condUnit()
	for {
		switch {
		case p.isWord("and"), p.isOp(","):
			p.next()
		case (p.cur().kind == tokIdent || p.cur().kind == tokString) && isCondOp(p.peekAt(1)):
		default:
			return left
		}
		left = &CondAnd{left, p.condUnit()}
	}
}

func isCondOp(t token) bool {
	if t.kind != tokOp {
		return false
	}
	switch t.text {
	case "=", "==", "!=", "=~", "!~", ">", ">=", "<", "<=":
		return true
	}
	return false
}

func (p *parser) condUnit() Cond {
	if p.accept("(") {
		c := p.cond()
		p.want(")", `")"`)
		return c
	}
	name := p.name("a label name")
	op := p.cur()
	if !isCondOp(op) {
		p.expected("a comparison (= == != =~ !~ > >= < <=) behind label " + strconv.Quote(name))
	}
	p.next()
	v := p.cur()
	switch {
	case v.kind == tokString:
		if op.text == "==" {
			op.text = "="
		}
		if strings.ContainsAny(op.text, "<>") {
			p.fail(v, "operator %s compares numbers, durations and sizes: expected one without quotes", op.text)
		}
		return CondString{p.matcherValue(name, op)}
	case p.isWord("ip"):
		return p.condIP(name, op)
	case v.kind == tokNumber || p.isOp("-", "+"):
		return p.condNumber(name, op)
	}
	p.expected("a text in quotes, a number, a duration, a size, or ip(…)")
	return nil
}

func (p *parser) condIP(name string, op token) Cond {
	if op.text != "=" && op.text != "!=" && op.text != "==" {
		p.fail(op, "ip() stands behind = or != only, not %s", op.text)
	}
	p.next()
	p.want("(", `"("`)
	t := p.str("an IP pattern in quotes")
	ip, err := parseIPPattern(t.text)
	if err != nil {
		p.fail(t, "%v", err)
	}
	p.want(")", `")"`)
	return &CondIP{Name: name, Negate: op.text == "!=", Pattern: t.text, ref: refOf(name), ip: ip}
}

func (p *parser) condNumber(name string, op token) Cond {
	if op.text == "=~" || op.text == "!~" {
		p.expected("a regular expression in quotes")
	}
	sign := ""
	if p.isOp("-", "+") {
		if t := p.next(); t.text == "-" {
			sign = "-"
		}
	}
	t := p.cur()
	if t.kind != tokNumber {
		p.expected("a number, a duration or a size")
	}
	p.next()
	c := &CondNumber{Name: name, Op: op.text, Raw: sign + t.text, ref: refOf(name)}
	if c.Op == "=" {
		c.Op = "=="
	}
	if v, err := strconv.ParseFloat(c.Raw, 64); err == nil {
		c.Value = v
		return c
	}
	if d, err := parseDuration(c.Raw); err == nil {
		c.Unit, c.Value = "duration", float64(d)
		return c
	}
	if b, err := parseBytes(c.Raw); err == nil {
		c.Unit, c.Value = "bytes", b
		return c
	}
	p.fail(t, "%q is no number, no duration (5s, 10ms) and no size (5KB, 1MiB)", c.Raw)
	return nil
}

func (p *parser) jsonStage() Stage {
	start := p.cur()
	s, err := newJSONParser(p.fieldExprs())
	if err != nil {
		p.fail(start, "%v", err)
	}
	return s
}

func (p *parser) logfmtStage() Stage {
	s := &LogfmtParser{}
	for p.cur().kind == tokFlag {
		switch t := p.next(); t.text {
		case "--strict":
			s.Strict = true
		case "--keep-empty":
			s.KeepEmpty = true
		default:
			p.fail(t, "unknown flag %s: expected --strict or --keep-empty", t.text)
		}
	}
	s.Fields = p.fieldExprs()
	return s
}

// fieldExprs reads a="x.y", b of a parser; a bare name means itself.
func (p *parser) fieldExprs() []FieldExpr {
	var out []FieldExpr
	quoted := p.cur().kind == tokString && p.peekAt(1).text == "=" && p.peekAt(1).kind == tokOp
	if !quoted && (p.cur().kind != tokIdent || p.startsSomethingElse()) {
		return nil
	}
	for {
		f := FieldExpr{Label: p.name("a label name")}
		f.Expr = f.Label
		if p.accept("=") {
			f.Expr = p.str("an expression in quotes").text
		}
		out = append(out, f)
		if !p.accept(",") {
			return out
		}
	}
}

// startsSomethingElse reports whether the word at hand goes on with the query
// rather than with the parser's fields.
func (p *parser) startsSomethingElse() bool {
	if p.peekAt(1).kind == tokOp && p.peekAt(1).text == "=" {
		return false
	}
	switch p.cur().keyword() {
	case "offset", "and", "or", "unless", "by", "without":
		return true
	}
	return false
}

func (p *parser) regexpStage() Stage {
	t := p.str("a regular expression in quotes")
	s, err := newRegexpParser(t.text)
	if err != nil {
		p.fail(t, "%v", err)
	}
	return s
}

func (p *parser) patternStage() Stage {
	t := p.str("a pattern in quotes such as \"<ip> - <_>\"")
	s, err := newPatternParser(t.text)
	if err != nil {
		p.fail(t, "%v", err)
	}
	return s
}

func (p *parser) lineFormatStage() Stage {
	t := p.str("a template in quotes")
	tm, err := newTemplate(t.text)
	if err != nil {
		p.fail(t, "template: %v", err)
	}
	return &LineFormat{t.text, tm}
}

func (p *parser) labelFormatStage() Stage {
	s := &LabelFormat{}
	seen := map[string]bool{}
	for {
		t := p.cur()
		it := FormatItem{Dst: p.name("a label name")}
		if seen[it.Dst] {
			p.fail(t, "label %q is set twice", it.Dst)
		}
		if it.Dst == labelError {
			p.fail(t, "label %s cannot be set", labelError)
		}
		seen[it.Dst] = true
		p.want("=", `"="`)
		v := p.cur()
		switch v.kind {
		case tokIdent:
			it.Src, it.ref = v.text, refOf(v.text)
		case tokString:
			tm, err := newTemplate(v.text)
			if err != nil {
				p.fail(v, "template: %v", err)
			}
			it.Template, it.tmpl = v.text, tm
		default:
			p.expected("a label name, or a template in quotes")
		}
		p.next()
		s.Items = append(s.Items, it)
		if !p.accept(",") {
			return s
		}
	}
}

func (p *parser) labelItems() []LabelItem {
	var out []LabelItem
	for {
		it := LabelItem{Name: p.name("a label name")}
		if p.isOp("=", "!=", "=~", "!~") {
			it.Matcher = p.matcherValue(it.Name, p.next())
		}
		out = append(out, it)
		if !p.accept(",") {
			return out
		}
	}
}

func (p *parser) distinctStage() Stage {
	d := &Distinct{}
	for {
		d.Labels = append(d.Labels, p.name("a label name"))
		if !p.accept(",") {
			break
		}
	}
	d.refs = refsOf(d.Labels)
	return d
}
