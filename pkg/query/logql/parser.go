package logql

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxQueryLength bounds a query's text in bytes.
	maxQueryLength = 128 << 10
	// maxDepth bounds the nesting of parentheses and operators.
	maxDepth = 256
	// maxTopK bounds k.
	maxTopK = 1 << 20
)

// Parse reads a query. Errors are *ParseError, with position and what was
// expected.
func Parse(text string) (e Expr, err error) {
	if len(text) > maxQueryLength {
		return nil, &ParseError{Line: 1, Col: 1, Msg: "query is " + strconv.Itoa(len(text)) + " bytes long, at most " + strconv.Itoa(maxQueryLength) + " are allowed"}
	}
	toks, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &parser{src: text, toks: toks}
	// The parser's methods end by panicking with a *ParseError: a grammar reads
	// better without an error check behind every token.
	defer func() {
		if r := recover(); r != nil {
			pe, ok := r.(*ParseError)
			if !ok {
				panic(r)
			}
			e, err = nil, pe
		}
	}()
	e = p.expr(1)
	p.wantEnd()
	return e, nil
}

// ParseSelector reads {…} alone, as the series and label endpoints take it.
func ParseSelector(text string) ([]*Matcher, error) {
	e, err := Parse(text)
	if err != nil {
		return nil, err
	}
	s, ok := e.(*Selection)
	if !ok || len(s.Stages) > 0 {
		return nil, &ParseError{Line: 1, Col: 1, Msg: `expected a stream selector such as {service_name="x"} and nothing else`}
	}
	return s.Matchers, nil
}

// ParseSelection reads a log query.
func ParseSelection(text string) (*Selection, error) {
	e, err := Parse(text)
	if err != nil {
		return nil, err
	}
	s, ok := e.(*Selection)
	if !ok {
		return nil, &ParseError{Line: 1, Col: 1, Msg: "expected a log query, found a metric query"}
	}
	return s, nil
}

type parser struct {
	src   string
	toks  []token
	i     int
	depth int
}

func (p *parser) cur() token { return p.toks[p.i] }

func (p *parser) peekAt(n int) token { return p.toks[min(p.i+n, len(p.toks)-1)] }

func (p *parser) next() token {
	t := p.toks[p.i]
	if p.i < len(p.toks)-1 {
		p.i++
	}
	return t
}

func (p *parser) fail(t token, format string, args ...any) {
	panic(errorAt(p.src, t.pos, format, args...))
}

func (p *parser) expected(what string) {
	t := p.cur()
	p.fail(t, "expected %s, found %s", what, t)
}

func (p *parser) isOp(ops ...string) bool {
	return p.cur().kind == tokOp && slices.Contains(ops, p.cur().text)
}

// isWord reports whether a keyword is at hand; upper case is the same.
func (p *parser) isWord(w string) bool { return p.cur().isWord(w) }

func (t token) isWord(w string) bool { return t.kind == tokIdent && t.keyword() == w }

func (t token) keyword() string { return strings.ToLower(t.text) }

func (p *parser) accept(op string) bool {
	if p.isOp(op) {
		p.next()
		return true
	}
	return false
}

func (p *parser) want(op, what string) token {
	if !p.isOp(op) {
		p.expected(what)
	}
	return p.next()
}

func (p *parser) wantEnd() {
	if p.cur().kind != tokEOF {
		p.expected("an operator or the end of the query")
	}
}

func (p *parser) enter() {
	if p.depth++; p.depth > maxDepth {
		p.fail(p.cur(), "query is nested more than %d deep", maxDepth)
	}
}

func (p *parser) leave() { p.depth-- }

// name reads a label name, quoted or not.
func (p *parser) name(what string) string {
	t := p.cur()
	if t.kind != tokIdent && t.kind != tokString {
		p.expected(what)
	}
	if t.text == "" {
		p.fail(t, "%s", errEmptyName)
	}
	return p.next().text
}

func (p *parser) str(what string) token {
	if p.cur().kind != tokString {
		p.expected(what)
	}
	return p.next()
}

// expr reads operands joined by operators that bind at least as strongly as
// minPrec.
func (p *parser) expr(minPrec int) Expr {
	p.enter()
	defer p.leave()
	start := p.cur()
	left := p.primary()
	for {
		t := p.cur()
		prec := binaryOps[t.keyword()]
		if t.kind != tokOp && t.kind != tokIdent || prec < minPrec || prec == 0 {
			return left
		}
		if IsLog(left) {
			p.fail(start, "operator %q needs a metric query on its left, such as count_over_time({…}[5m]), found a log query", t.text)
		}
		p.next()
		b := &Binary{Op: t.keyword(), Left: left}
		p.binaryModifiers(b, t)
		next := prec + 1
		if t.text == "^" {
			next = prec
		}
		rhs := p.cur()
		b.Right = p.expr(next)
		if IsLog(b.Right) {
			p.fail(rhs, "operator %q needs a metric query on its right, such as count_over_time({…}[5m]), found a log query", t.text)
		}
		p.checkBinary(b, t)
		left = b
	}
}

func (p *parser) binaryModifiers(b *Binary, op token) {
	if p.isWord("bool") {
		if !isComparison(b.Op) {
			p.fail(p.cur(), "bool stands behind comparisons only, not behind %q", b.Op)
		}
		p.next()
		b.ReturnBool = true
	}
	if p.isWord("on") || p.isWord("ignoring") {
		b.Matching = true
		b.Ignoring = p.next().keyword() == "ignoring"
		b.On = p.nameList()
	}
	if p.isWord("group_left") || p.isWord("group_right") {
		t := p.cur()
		if !b.Matching {
			p.fail(t, "%s needs on (…) or ignoring (…) before it", t.text)
		}
		if isSetOp(b.Op) {
			p.fail(t, "%s cannot stand behind %q", t.text, b.Op)
		}
		b.Group = strings.TrimPrefix(p.next().keyword(), "group_")
		if p.isOp("(") {
			b.Include = p.nameList()
		}
	}
}

func (p *parser) checkBinary(b *Binary, op token) {
	l, r := isScalar(b.Left), isScalar(b.Right)
	switch {
	case isSetOp(b.Op) && (l || r):
		p.fail(op, "operator %q needs series on both sides, found a number", b.Op)
	case b.Matching && (l || r):
		p.fail(op, "on and ignoring need series on both sides of %q, found a number", b.Op)
	case l && r && isComparison(b.Op) && !b.ReturnBool:
		b.ReturnBool = true // two numbers compare to 0 or 1
	}
}

// isScalar reports whether an expression is a plain number.
func isScalar(e Expr) bool {
	switch e := e.(type) {
	case *Literal:
		return true
	case *Binary:
		return isScalar(e.Left) && isScalar(e.Right)
	}
	return false
}

func (p *parser) nameList() []string {
	p.want("(", `"(" and label names`)
	var out []string
	for !p.isOp(")") {
		out = append(out, p.name("a label name"))
		if !p.accept(",") && !p.isOp(")") {
			p.expected(`"," or ")"`)
		}
	}
	p.next()
	return out
}

const wantQuery = `a query: {selector}, a function such as rate({…}[5m]), an aggregation such as sum by (x) (…), or a number`

func (p *parser) primary() Expr {
	t := p.cur()
	switch {
	case p.isOp("("):
		p.next()
		e := p.expr(1)
		p.want(")", `")"`)
		return e
	case p.isOp("{"):
		return p.selection()
	case t.kind == tokNumber:
		return &Literal{p.number()}
	case p.isOp("-", "+") && p.peekAt(1).kind == tokNumber:
		p.next()
		v := p.number()
		if t.text == "-" {
			v = -v
		}
		return &Literal{v}
	case t.kind == tokIdent:
		return p.function(t)
	}
	p.expected(wantQuery)
	return nil
}

func (p *parser) function(t token) Expr {
	name := t.keyword()
	switch _, isRange := rangeOps[name]; {
	case isRange:
		return p.rangeAgg()
	case vectorOps[name]:
		return p.vectorAgg()
	}
	switch name {
	case "vector":
		p.next()
		p.want("(", `"("`)
		neg := p.accept("-")
		v := p.number()
		if neg {
			v = -v
		}
		p.want(")", `")"`)
		return &VectorFn{v}
	case "label_replace":
		return p.labelReplace()
	case "inf", "nan":
		return &Literal{p.number()}
	}
	if near := nearest(t.text); near != "" {
		p.fail(t, "unknown function %q, did you mean %s?", t.text, near)
	}
	p.expected(wantQuery)
	return nil
}

// nearest finds a function whose name differs by a letter or two.
func nearest(name string) string {
	best, bestDist := "", 3
	try := func(k string) {
		if d := editDistance(name, k); d < bestDist || d == bestDist && best != "" && k < best {
			best, bestDist = k, d
		}
	}
	for k := range rangeOps {
		try(k)
	}
	for k := range vectorOps {
		try(k)
	}
	return best
}

func editDistance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		prev := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			prev, row[j] = row[j], min(row[j]+1, row[j-1]+1, prev+cost)
		}
	}
	return row[len(b)]
}

func (p *parser) number() float64 {
	t := p.cur()
	if t.kind == tokIdent && (strings.EqualFold(t.text, "inf") || strings.EqualFold(t.text, "nan")) {
		v, _ := strconv.ParseFloat(p.next().text, 64)
		return v
	}
	if t.kind != tokNumber {
		p.expected("a number")
	}
	v, err := strconv.ParseFloat(t.text, 64)
	if err != nil && !math.IsInf(v, 0) {
		if n, err := strconv.ParseInt(t.text, 0, 64); err == nil {
			v = float64(n)
		} else {
			p.fail(t, "expected a number, found %q", t.text)
		}
	}
	p.next()
	return v
}

func (p *parser) vectorAgg() Expr {
	op := p.next()
	v := &VectorAgg{Op: op.keyword()}
	p.grouping(&v.Grouping)
	p.want("(", `"(" behind `+op.text)
	if takesK(v.Op) {
		t := p.cur()
		k := p.number()
		if k != math.Trunc(k) || k < 1 || k > maxTopK {
			p.fail(t, "expected a whole number of at least 1 as the first argument of %s, found %s", v.Op, t.text)
		}
		v.Param = int(k)
		p.want(",", `"," and the series to choose from`)
	}
	arg := p.cur()
	v.Of = p.expr(1)
	if IsLog(v.Of) {
		p.fail(arg, "%s needs a metric query inside, such as %s(count_over_time({…}[5m])), found a log query", v.Op, v.Op)
	}
	if isScalar(v.Of) {
		p.fail(arg, "%s needs series inside, found a number: write vector(…) around it", v.Op)
	}
	p.want(")", `")"`)
	if v.Grouping == nil {
		p.grouping(&v.Grouping)
	}
	if v.Grouping != nil && isSort(v.Op) {
		p.fail(op, "%s takes no grouping", v.Op)
	}
	return v
}

func (p *parser) grouping(g **Grouping) {
	if p.isWord("by") || p.isWord("without") {
		without := p.next().keyword() == "without"
		*g = &Grouping{Without: without, Labels: p.nameList()}
	}
}

func (p *parser) labelReplace() Expr {
	p.next()
	p.want("(", `"("`)
	l := &LabelReplace{}
	arg := p.cur()
	l.Of = p.expr(1)
	if IsLog(l.Of) || isScalar(l.Of) {
		p.fail(arg, "label_replace needs a metric query as its first argument")
	}
	for _, dst := range []struct {
		to   *string
		what string
	}{{&l.Dst, "the new label's name"}, {&l.Replacement, "the replacement"}, {&l.Src, "the source label's name"}, {&l.Regex, "a regular expression"}} {
		p.want(",", `"," and `+dst.what+" as a string")
		*dst.to = p.str(dst.what + " as a string").text
	}
	re, err := compileAnchored(l.Regex)
	if err != nil {
		p.fail(p.toks[p.i-1], "%v", err)
	}
	if l.Dst == "" {
		p.fail(arg, "label_replace needs a name for the new label, found an empty string")
	}
	l.re = re
	p.want(")", `")"`)
	return l
}

// rangeAgg reads a range function behind its name.
func (p *parser) rangeAgg() Expr {
	op := p.next()
	r := &RangeAgg{Op: op.keyword()}
	p.grouping(&r.Grouping)
	p.want("(", `"(" behind `+op.text)
	if r.Op == opQuantile {
		t := p.cur()
		neg := p.accept("-")
		r.Param = p.number()
		if neg {
			r.Param = -r.Param
		}
		if r.Param < 0 || r.Param > 1 || math.IsNaN(r.Param) {
			p.fail(t, "expected a quantile between 0 and 1, found %s", formatNumber(r.Param))
		}
		p.want(",", `"," and a log range`)
	}
	p.logRange(r)
	p.want(")", `")"`)
	if r.Range == 0 {
		p.fail(op, "%s needs a time range: write [5m] behind the selector", r.Op)
	}
	switch rangeOps[r.Op] {
	case "must":
		if r.Unwrap == nil {
			p.fail(op, "%s measures a label: write | unwrap and the label's name before the range", r.Op)
		}
	case "no":
		if r.Unwrap != nil {
			p.fail(op, "%s counts lines and takes no unwrap: use sum_over_time or rate", r.Op)
		}
	}
	if r.Grouping == nil {
		p.grouping(&r.Grouping)
	}
	return r
}

// logRange reads a selection with its range, which may stand behind the
// selector or behind the pipeline, and in parentheses.
func (p *parser) logRange(r *RangeAgg) {
	p.enter()
	defer p.leave()
	if p.accept("(") {
		p.logRange(r)
		p.want(")", `")"`)
		p.rangeTail(r)
		return
	}
	if !p.isOp("{") {
		p.expected(`a stream selector "{…}"`)
	}
	r.Log = &Selection{Matchers: p.matchers()}
	for {
		p.rangeTail(r)
		if p.isOp("|") && p.peekAt(1).isWord("unwrap") {
			if r.Unwrap != nil {
				p.fail(p.cur(), "only one unwrap is allowed")
			}
			r.Unwrap = p.unwrap()
			continue
		}
		s := p.stage()
		if s == nil {
			return
		}
		if r.Unwrap == nil {
			r.Log.Stages = append(r.Log.Stages, s)
			continue
		}
		if _, ok := s.(*LabelFilter); !ok {
			p.fail(p.toks[p.i-1], "only label filters may stand behind unwrap")
		}
		r.Unwrap.After = append(r.Unwrap.After, s)
	}
}

// rangeTail reads [5m] and offset 5m where they stand.
func (p *parser) rangeTail(r *RangeAgg) {
	for {
		t := p.cur()
		switch {
		case p.isOp("["):
			if r.Range != 0 {
				p.fail(t, "only one time range is allowed")
			}
			p.next()
			r.Range = p.duration("a duration such as 5m")
			if r.Range <= 0 {
				p.fail(p.toks[p.i-1], "expected a time range longer than 0")
			}
			p.want("]", `"]"`)
		case p.isWord("offset"):
			if r.Range == 0 {
				p.fail(t, "expected the time range, such as [5m], before offset")
			}
			p.next()
			neg := p.accept("-")
			r.Offset = p.duration("a duration such as 1h")
			if neg {
				r.Offset = -r.Offset
			}
		default:
			return
		}
	}
}

func (p *parser) duration(what string) time.Duration {
	t := p.cur()
	if t.kind != tokNumber {
		p.expected(what)
	}
	d, err := parseDuration(t.text)
	if err != nil {
		p.fail(t, "expected %s: %v", what, err)
	}
	p.next()
	return d
}

func (p *parser) unwrap() *Unwrap {
	p.next()
	p.next()
	t := p.cur()
	u := &Unwrap{Label: p.name("a label name, or a conversion such as duration(label)")}
	if t.kind == tokIdent && p.isOp("(") {
		if !unwrapConversions[u.Label] {
			p.fail(t, "unknown conversion %q: expected duration, duration_seconds or bytes", u.Label)
		}
		p.next()
		u.Conversion = u.Label
		u.Label = p.name("a label name")
		p.want(")", `")"`)
	}
	return u
}
