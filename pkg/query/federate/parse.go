package federate

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// Bounds of a text. They keep a query readable, and a hostile one small.
const (
	maxText    = 64 << 10
	maxSources = 16
	maxStages  = 64
	maxColumns = 64
	maxDepth   = 100
	maxTop     = 1_000_000
	maxBuckets = 1000
)

type parser struct {
	lexer
	tok   token
	depth int
}

// Parse reads a text. Errors wrap model.ErrInvalid and say where and what was
// expected.
func Parse(text string) (*Query, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%w: the query is %d bytes long, at most %d are read", model.ErrInvalid, len(text), maxText)
	}
	p := &parser{lexer: lexer{src: text}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	q := &Query{}
	for p.tok.kind == tokIdent && p.tok.text != "from" {
		if err := p.source(q); err != nil {
			return nil, err
		}
	}
	if len(q.Sources) == 0 {
		return nil, p.expected("a named query, such as: slow = traces { duration > 1s }")
	}
	return q, p.statement(q)
}

func (p *parser) advance() (err error) {
	p.tok, err = p.next()
	return err
}

func (p *parser) expected(what string) error {
	return p.errorAt(p.tok.at, "expected %s, found %s", what, p.tok)
}

func (p *parser) is(text string) bool {
	return (p.tok.kind == tokIdent || p.tok.kind == tokSign) && p.tok.text == text
}

// accept takes the token when it is the text.
func (p *parser) accept(text string) (bool, error) {
	if !p.is(text) {
		return false, nil
	}
	return true, p.advance()
}

func (p *parser) need(text string) error {
	if !p.is(text) {
		return p.expected(strconv.Quote(text))
	}
	return p.advance()
}

// source reads name = signal text.
func (p *parser) source(q *Query) error {
	s := Source{Name: p.tok.text, at: p.tok.at}
	if strings.ContainsAny(s.Name, ".:-/") || reserved[s.Name] || functions[s.Name] {
		return p.expected("a name of letters, digits and _ that is no word of the language")
	}
	for _, have := range q.Sources {
		if have.Name == s.Name {
			return p.errorAt(s.at, "expected a new name: %q is given twice", s.Name)
		}
	}
	if err := p.advance(); err != nil {
		return err
	}
	if !p.is("=") {
		return p.expected("= after the name of a query, or \"from\"")
	}
	if err := p.advance(); err != nil {
		return err
	}
	switch Signal(p.tok.text) {
	case Traces, Logs, Exemplars:
		s.Signal = Signal(p.tok.text)
	default:
		return p.expected("traces, logs or exemplars")
	}
	if p.tok.kind != tokIdent {
		return p.expected("traces, logs or exemplars")
	}
	at := p.pos
	var err error
	if s.Text, err = p.foreign(); err != nil {
		return err
	}
	if s.Text == "" {
		return p.errorAt(at, "expected a %s after %q", languageOf[s.Signal], string(s.Signal))
	}
	if q.Sources = append(q.Sources, s); len(q.Sources) > maxSources {
		return p.errorAt(s.at, "expected at most %d named queries", maxSources)
	}
	return p.advance()
}

var languageOf = map[Signal]string{Traces: "TraceQL span filter", Logs: "LogQL selector", Exemplars: "PromQL selector"}

// statement reads from name [by kind] stages.
func (p *parser) statement(q *Query) (err error) {
	if err = p.need("from"); err != nil {
		return err
	}
	if q.From, err = p.sourceName(q); err != nil {
		return err
	}
	if ok, err := p.accept("by"); err != nil {
		return err
	} else if ok {
		q.byAt = p.tok.at
		if q.By, err = p.name("a kind of id, such as trace or request"); err != nil {
			return err
		}
	}
	for {
		piped, err := p.accept("|")
		if err != nil {
			return err
		}
		if !piped {
			for p.is(";") {
				if err := p.advance(); err != nil {
					return err
				}
			}
			if p.tok.kind == tokEOF {
				return nil
			}
		}
		s, err := p.stage(q)
		if err != nil {
			return err
		}
		if q.Stages = append(q.Stages, s); len(q.Stages) > maxStages {
			return p.errorAt(s.where(), "expected at most %d steps", maxStages)
		}
	}
}

func (p *parser) sourceName(q *Query) (string, error) {
	if p.tok.kind == tokIdent {
		for _, s := range q.Sources {
			if s.Name == p.tok.text {
				return s.Name, p.advance()
			}
		}
	}
	return "", p.expected("the name of a query (" + sourceNames(q) + ")")
}

func sourceNames(q *Query) string {
	var out []string
	for _, s := range q.Sources {
		out = append(out, s.Name)
	}
	return strings.Join(out, ", ")
}

// name takes a word or a quoted name.
func (p *parser) name(what string) (string, error) {
	if p.tok.kind != tokString && (p.tok.kind != tokIdent || reserved[p.tok.text] || strings.HasSuffix(p.tok.text, ".")) {
		return "", p.expected(what)
	}
	s := p.tok.text
	if s == "" {
		return "", p.expected(what)
	}
	return s, p.advance()
}

func (p *parser) names() (out []string, err error) {
	for {
		s, err := p.name("a column")
		if err != nil {
			return nil, err
		}
		if out = append(out, s); len(out) > maxColumns {
			return nil, p.expected(fmt.Sprintf("at most %d columns", maxColumns))
		}
		if more, err := p.accept(","); err != nil || !more {
			return out, err
		}
	}
}

func (p *parser) count(what string, most int) (int, error) {
	n, err := strconv.Atoi(p.tok.text)
	if p.tok.kind != tokNumber || err != nil || n < 1 || n > most {
		return 0, p.expected(fmt.Sprintf("%s from 1 to %d", what, most))
	}
	return n, p.advance()
}

const stageWords = "a step: semi join, anti join, enrich, where, group by, count, top, bottom, sort by, histogram, limit, select"

func (p *parser) stage(q *Query) (Stage, error) {
	at := pos(p.tok.at)
	if p.tok.kind == tokString {
		return p.aggregate(at, nil)
	}
	if p.tok.kind != tokIdent {
		return nil, p.expected(stageWords)
	}
	word := p.tok.text
	if !reserved[word] {
		return p.aggregate(at, nil)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	switch word {
	case "semi", "anti":
		return p.join(at, q, word == "anti")
	case "enrich":
		return p.enrich(at, q)
	case "where":
		c, err := p.or()
		return Where{at, c}, err
	case "group":
		if err := p.need("by"); err != nil {
			return nil, err
		}
		by, err := p.names()
		if err != nil {
			return nil, err
		}
		if _, err := p.accept("|"); err != nil {
			return nil, err
		}
		return p.aggregate(at, by)
	case "histogram":
		return p.histogram(at)
	case "sort":
		return p.sort(at)
	case "top", "bottom":
		n, err := p.count("a number", maxTop)
		if err != nil {
			return nil, err
		}
		if err := p.need("by"); err != nil {
			return nil, err
		}
		column, err := p.name("a column")
		return Top{at, word == "bottom", n, column}, err
	case "limit":
		n, err := p.count("a number", maxTop)
		return Limit{at, n}, err
	case "select":
		columns, err := p.names()
		return Select{at, columns}, err
	}
	p.tok = token{tokIdent, word, int(at)}
	return nil, p.expected(stageWords)
}

func (p *parser) join(at pos, q *Query, anti bool) (Stage, error) {
	if err := p.need("join"); err != nil {
		return nil, err
	}
	source, err := p.sourceName(q)
	if err != nil {
		return nil, err
	}
	if err := p.need("on"); err != nil {
		return nil, err
	}
	kind, err := p.name("a kind of id, such as trace or request")
	return Join{at, anti, source, kind}, err
}

func (p *parser) histogram(at pos) (Stage, error) {
	column, err := p.name("a column of numbers")
	if err != nil {
		return nil, err
	}
	h := Histogram{at, column, 20}
	if p.tok.kind == tokNumber {
		h.Buckets, err = p.count("a number of buckets", maxBuckets)
	}
	return h, err
}

func (p *parser) sort(at pos) (Stage, error) {
	if err := p.need("by"); err != nil {
		return nil, err
	}
	out := Sort{pos: at}
	for {
		column, err := p.name("a column")
		if err != nil {
			return nil, err
		}
		k := SortKey{Column: column}
		if k.Desc, err = p.accept("desc"); err != nil {
			return nil, err
		}
		if !k.Desc {
			if _, err := p.accept("asc"); err != nil {
				return nil, err
			}
		}
		if out.Keys = append(out.Keys, k); len(out.Keys) > maxColumns {
			return nil, p.expected(fmt.Sprintf("at most %d columns", maxColumns))
		}
		if more, err := p.accept(","); err != nil || !more {
			return out, err
		}
	}
}

// functions of enrich and of aggregates; pNN are quantiles of aggregates.
var functions = map[string]bool{"count": true, "first": true, "last": true, "min": true, "max": true, "sum": true, "avg": true, "distinct": true}

// quantileOf reads p50, p99, p999 as 0.5, 0.99, 0.999.
func quantileOf(f string) (float64, bool) {
	if len(f) < 2 || len(f) > 6 || f[0] != 'p' || strings.Trim(f[1:], "0123456789") != "" {
		return 0, false
	}
	v, err := strconv.ParseFloat("0."+f[1:], 64)
	return v, err == nil
}

// enrich reads name = source.field or name = func(source.field), with commas.
func (p *parser) enrich(at pos, q *Query) (Stage, error) {
	out := Enrich{pos: at}
	for {
		column, err := p.name("the name of a new column")
		if err != nil {
			return nil, err
		}
		if err := p.need("="); err != nil {
			return nil, err
		}
		c := EnrichColumn{Name: column, Func: "first"}
		isFunc := p.tok.kind == tokIdent && functions[p.tok.text]
		if isFunc {
			c.Func = p.tok.text
			if err := p.advance(); err != nil {
				return nil, err
			}
			if err := p.need("("); err != nil {
				return nil, err
			}
		}
		if err := p.sourceField(q, &c); err != nil {
			return nil, err
		}
		if isFunc {
			if err := p.need(")"); err != nil {
				return nil, err
			}
		}
		if out.Columns = append(out.Columns, c); len(out.Columns) > maxColumns {
			return nil, p.expected(fmt.Sprintf("at most %d columns", maxColumns))
		}
		if more, err := p.accept(","); err != nil || !more {
			return out, err
		}
	}
}

// sourceField reads source.field, source."any field", or for count a source.
func (p *parser) sourceField(q *Query, c *EnrichColumn) error {
	t := p.tok
	dot := strings.IndexByte(t.text, '.')
	if t.kind != tokIdent {
		return p.expected("query.field, of the queries " + sourceNames(q))
	}
	c.Source = t.text
	if dot >= 0 {
		c.Source, c.Field = t.text[:dot], t.text[dot+1:]
	}
	known := false
	for _, s := range q.Sources {
		known = known || s.Name == c.Source
	}
	if !known {
		return p.expected("query.field, of the queries " + sourceNames(q))
	}
	if err := p.advance(); err != nil {
		return err
	}
	if dot >= 0 && c.Field == "" {
		if p.tok.kind != tokString || p.tok.text == "" {
			return p.expected("a field after " + strconv.Quote(t.text))
		}
		c.Field = p.tok.text
		if err := p.advance(); err != nil {
			return err
		}
	} else if strings.HasSuffix(c.Field, ".") {
		return p.errorAt(t.at, "expected a field, found %q, which ends in a point", c.Field)
	}
	if c.Field == "" && c.Func != "count" {
		return p.errorAt(t.at, "expected a field after the query: %s.field", c.Source)
	}
	return nil
}

// aggregate reads [name =] func(column), with commas.
func (p *parser) aggregate(at pos, by []string) (Stage, error) {
	out := Aggregate{pos: at, By: by}
	for {
		c, err := p.aggColumn()
		if err != nil {
			return nil, err
		}
		if out.Columns = append(out.Columns, c); len(out.Columns) > maxColumns {
			return nil, p.expected(fmt.Sprintf("at most %d columns", maxColumns))
		}
		if more, err := p.accept(","); err != nil || !more {
			return out, err
		}
	}
}

const aggWords = "an aggregate: count, sum(column), avg, min, max, first, last, distinct, p50 … p99"

func (p *parser) aggColumn() (c AggColumn, err error) {
	first := p.tok
	if first.kind != tokIdent && first.kind != tokString {
		return c, p.expected(aggWords)
	}
	if err := p.advance(); err != nil {
		return c, err
	}
	if ok, err := p.accept("="); err != nil {
		return c, err
	} else if ok {
		if first.text == "" || first.kind == tokIdent && (reserved[first.text] || strings.HasSuffix(first.text, ".")) {
			return c, p.errorAt(first.at, "expected the name of a column, found %s", first)
		}
		c.Name = first.text
		first = p.tok
		if err := p.advance(); err != nil {
			return c, err
		}
	}
	c.Func = first.text
	_, quantile := quantileOf(c.Func)
	if first.kind != tokIdent || !functions[c.Func] && !quantile {
		p.tok = first
		if c.Name == "" {
			return c, p.expected(stageWords + "; or " + aggWords)
		}
		return c, p.expected(aggWords)
	}
	if ok, err := p.accept("("); err != nil {
		return c, err
	} else if ok {
		if c.Column, err = p.name("a column"); err != nil {
			return c, err
		}
		if err := p.need(")"); err != nil {
			return c, err
		}
	}
	if c.Column == "" && c.Func != "count" {
		return c, p.errorAt(first.at, "expected %s(column)", c.Func)
	}
	if c.Name == "" {
		c.Name = c.Func
		if c.Column != "" {
			c.Name += "_" + c.Column
		}
	}
	return c, nil
}

func (p *parser) or() (Cond, error) {
	left, err := p.and()
	for err == nil {
		var more bool
		if more, err = p.accept("or"); err != nil || !more {
			break
		}
		var right Cond
		right, err = p.and()
		left = OrCond{left, right}
	}
	return left, err
}

func (p *parser) and() (Cond, error) {
	left, err := p.not()
	for err == nil {
		var more bool
		if more, err = p.accept("and"); err != nil || !more {
			break
		}
		var right Cond
		right, err = p.not()
		left = AndCond{left, right}
	}
	return left, err
}

func (p *parser) not() (Cond, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.expected(fmt.Sprintf("at most %d levels of brackets and not", maxDepth))
	}
	defer func() { p.depth-- }()
	if ok, err := p.accept("not"); err != nil {
		return nil, err
	} else if ok {
		x, err := p.not()
		return NotCond{x}, err
	}
	if ok, err := p.accept("("); err != nil {
		return nil, err
	} else if ok {
		x, err := p.or()
		if err != nil {
			return nil, err
		}
		return x, p.need(")")
	}
	return p.compare()
}

func (p *parser) compare() (Cond, error) {
	column, err := p.name("a column, not or (")
	if err != nil {
		return nil, err
	}
	c := Compare{Column: column, Op: p.tok.text}
	switch {
	case p.tok.kind == tokSign && strings.Contains(" = != < <= > >= =~ !~ ", " "+c.Op+" "), p.is("contains"):
	default:
		return nil, p.expected("one of = != < <= > >= =~ !~ contains")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	t := p.tok
	if c.Value, c.Duration, err = p.literal(); err != nil {
		return nil, err
	}
	if c.Value.Kind() != model.KindString && (c.Op == "=~" || c.Op == "!~" || c.Op == "contains") {
		return nil, p.errorAt(t.at, "expected a string after %s, found %s", c.Op, t)
	}
	if c.match, err = c.lower(); err != nil {
		return nil, p.errorAt(t.at, "%w", err)
	}
	return c, nil
}

func (p *parser) literal() (v model.Value, duration bool, err error) {
	t := p.tok
	switch {
	case t.kind == tokString:
		v = model.String(t.text)
	case p.is("true"), p.is("false"):
		v = model.Bool(t.text == "true")
	case t.kind == tokNumber:
		if v, duration = number(t.text); v.Kind() == model.KindEmpty {
			return v, false, p.expected("a number or a duration such as 1.5s")
		}
	default:
		return v, false, p.expected("a string, a number, a duration, true or false")
	}
	return v, duration, p.advance()
}

func number(s string) (v model.Value, duration bool) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return model.Int(i), false
	}
	if d, err := time.ParseDuration(s); err == nil {
		return model.Int(int64(d)), true
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
		if f == 0 { // no -0, which would print as the integer
			return model.Int(0), false
		}
		return model.Double(f), false
	}
	return model.Value{}, false
}

var compareOps = map[string]predicate.Op{"=": predicate.Eq, "!=": predicate.Neq, "<": predicate.Lt, "<=": predicate.Lte, ">": predicate.Gt, ">=": predicate.Gte}

// lower makes the comparison a predicate over columns.
func (c Compare) lower() (predicate.Expr, error) {
	f := predicate.Field{Name: c.Column}
	switch c.Op {
	case "=~", "!~":
		m, err := predicate.NewMatch(f, c.Value.Text())
		if c.Op == "!~" {
			return predicate.And{predicate.Exists{Field: f}, predicate.Not{X: m}}, err
		}
		return m, err
	case "contains":
		return predicate.NewText(f, predicate.Contains, c.Value.Text(), false)
	}
	return predicate.Compare{Field: f, Op: compareOps[c.Op], Value: c.Value, Loose: true}, nil
}
