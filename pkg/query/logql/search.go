package logql

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/grafana/regexp"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// ParseSearch reads a search as people type it into a search box:
//
//	timeout                    the word, whatever its case
//	"connection reset by"      the phrase
//	time*  co?l*r              words by prefix or wildcard
//	*imeou*                    the substring
//	/fail(ed|ure)/             a regular expression
//	a b                        both (also a AND b); a OR b; NOT a or -a; ( … )
//	user:ann  user:"ann b"     a field's value as a whole; ~ for the words in it: msg:~reset
//	user:an*  user:/a.+/       by wildcard, by regular expression
//	user:*                     records that have the field
//	status:>=500  size:<2KB    numbers, durations and sizes; status:[400 TO 499], {1 TO *}
//	time:>2026-01-02           times: RFC 3339 or a day
//
// Fields are attributes in either spelling, body, level, trace_id and the other
// labels of this package. Words are looked for in the body; one that looks like
// an id also finds the records that carry it as a correlation id.
func ParseSearch(text string) (predicate.Expr, error) {
	if len(text) > maxQueryLength {
		return nil, &ParseError{Line: 1, Col: 1, Msg: "search is " + strconv.Itoa(len(text)) + " bytes long, at most " + strconv.Itoa(maxQueryLength) + " are allowed"}
	}
	p := &searchParser{src: text}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.space(); p.i < len(p.src) {
		return nil, p.errorf(`expected a word or the end of the search, found %q`, p.src[p.i:p.i+1])
	}
	return e, nil
}

type searchParser struct {
	src   string
	i     int
	depth int
}

func (p *searchParser) errorf(format string, args ...any) error {
	return errorAt(p.src, p.i, format, args...)
}

func (p *searchParser) space() {
	for p.i < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.i]) >= 0 {
		p.i++
	}
}

// word reports whether a keyword stands here, and steps over it.
func (p *searchParser) word(w string) bool {
	rest := p.src[p.i:]
	if !strings.HasPrefix(rest, w) || len(rest) > len(w) && strings.IndexByte(" \t\r\n(", rest[len(w)]) < 0 {
		return false
	}
	p.i += len(w)
	return true
}

func (p *searchParser) or() (predicate.Expr, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.errorf("search is nested more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	e, err := p.and()
	if err != nil {
		return nil, err
	}
	for {
		p.space()
		if !p.word("OR") && !p.word("||") {
			return e, nil
		}
		r, err := p.and()
		if err != nil {
			return nil, err
		}
		e = anyOf(e, r)
	}
}

func (p *searchParser) and() (predicate.Expr, error) {
	var parts []predicate.Expr
	for {
		p.space()
		if p.i >= len(p.src) || p.src[p.i] == ')' {
			break
		}
		save := p.i
		if p.word("OR") || p.word("||") {
			if len(parts) == 0 {
				p.i = save
				return nil, p.errorf("expected a word before OR")
			}
			p.i = save
			break
		}
		if p.word("AND") || p.word("&&") {
			if len(parts) == 0 {
				p.i = save
				return nil, p.errorf("expected a word before AND")
			}
			if p.space(); p.i >= len(p.src) || p.src[p.i] == ')' {
				return nil, p.errorf("expected a word behind AND")
			}
		}
		e, err := p.unary()
		if err != nil {
			return nil, err
		}
		parts = append(parts, e)
	}
	if len(parts) == 0 && (p.depth > 1 || p.i > 0 && strings.TrimSpace(p.src[:p.i]) != "") {
		return nil, p.errorf("expected a word, a phrase or field:value")
	}
	return predicate.AllOf(parts...), nil
}

func (p *searchParser) unary() (predicate.Expr, error) {
	p.space()
	not := p.word("NOT")
	p.space()
	if !not && p.i+1 < len(p.src) && (p.src[p.i] == '-' || p.src[p.i] == '!') && strings.IndexByte(" \t\n", p.src[p.i+1]) < 0 {
		not = true
		p.i++
	}
	if not {
		if p.depth++; p.depth > maxDepth {
			return nil, p.errorf("search is nested more than %d deep", maxDepth)
		}
		defer func() { p.depth-- }()
		e, err := p.unary()
		if err != nil {
			return nil, err
		}
		return negate(e), nil
	}
	if p.i < len(p.src) && p.src[p.i] == '(' {
		p.i++
		e, err := p.or()
		if err != nil {
			return nil, err
		}
		if p.space(); p.i >= len(p.src) || p.src[p.i] != ')' {
			return nil, p.errorf(`expected ")"`)
		}
		p.i++
		return e, nil
	}
	return p.term()
}

// atom is one word, phrase or regular expression as typed.
type atom struct {
	text  string
	kind  byte // 0 a bare word, '"' a phrase, '/' a regular expression
	start int
}

func (p *searchParser) term() (predicate.Expr, error) {
	start := p.i
	if name, ok := p.field(); ok {
		return p.fieldTerm(name)
	}
	p.i = start
	a, err := p.atom()
	if err != nil {
		return nil, err
	}
	return p.bodyTerm(a)
}

// field reads name: where one stands.
func (p *searchParser) field() (string, bool) {
	if p.i < len(p.src) && p.src[p.i] == '"' {
		text, end, err := lexString(p.src, p.i)
		if err == nil && end < len(p.src) && p.src[end] == ':' {
			p.i = end + 1
			return text, text != ""
		}
		return "", false
	}
	for j := p.i; j < len(p.src); j++ {
		c := p.src[j]
		if c == ':' {
			// A time of day and a URL are no fields.
			if isDigit(p.src[p.i]) || strings.HasPrefix(p.src[j+1:], "//") {
				return "", false
			}
			name := p.src[p.i:j]
			p.i = j + 1
			return name, name != ""
		}
		if !predicate.WordByte(c) && c != '.' && c != '-' && c != '@' {
			return "", false
		}
	}
	return "", false
}

func (p *searchParser) atom() (atom, error) {
	p.space()
	a := atom{start: p.i}
	if p.i >= len(p.src) {
		return a, p.errorf("expected a word, a phrase or field:value, found the end")
	}
	switch p.src[p.i] {
	case '"':
		text, end, err := lexString(p.src, p.i)
		if err != nil {
			return a, err
		}
		p.i, a.text, a.kind = end, text, '"'
		return a, nil
	case '/':
		if end := closingSlash(p.src[p.i+1:]); end >= 0 {
			a.text, a.kind = strings.ReplaceAll(p.src[p.i+1:p.i+1+end], `\/`, "/"), '/'
			p.i += end + 2
			return a, nil
		}
	}
	start := p.i
	for p.i < len(p.src) && strings.IndexByte(" \t\r\n()", p.src[p.i]) < 0 {
		if p.src[p.i] == '\\' && p.i+1 < len(p.src) {
			p.i++
		}
		p.i++
	}
	if a.text = p.src[start:p.i]; a.text == "" {
		return a, p.errorf("expected a word, a phrase or field:value, found %q", p.src[p.i:p.i+1])
	}
	return a, nil
}

// closingSlash finds the end of a regular expression: a slash before a space,
// a parenthesis or the end. A path such as /var/log is none.
func closingSlash(s string) int {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == '/' && i > 0 && (i+1 == len(s) || strings.IndexByte(" \t\r\n)", s[i+1]) >= 0):
			return i
		}
	}
	return -1
}

// bodyTerm searches the body.
func (p *searchParser) bodyTerm(a atom) (predicate.Expr, error) {
	e, err := p.textTerm(predicate.Intrinsic(predicate.Body), a)
	if err != nil || a.kind == '/' || strings.ContainsAny(a.text, "*? ") || !looksLikeID(a.text) {
		return e, err
	}
	alternatives := []predicate.Expr{e}
	seen := map[string]bool{}
	ids := []string{a.text, model.Canonical("", a.text)}
	if len(a.text) >= 16 {
		ids = append(ids, model.Canonical(model.KeyTrace, a.text))
	}
	for _, id := range ids {
		if id != "" && !seen[id] {
			seen[id] = true
			alternatives = append(alternatives, predicate.Correlated{ID: id})
		}
	}
	return anyOf(alternatives...), nil
}

// looksLikeID: digits in it, no spaces, neither short nor long.
func looksLikeID(s string) bool {
	return len(s) >= 6 && len(s) <= 64 && strings.ContainsAny(s, "0123456789")
}

// textTerm searches for words in a field's text.
func (p *searchParser) textTerm(f predicate.Field, a atom) (predicate.Expr, error) {
	mode, query := predicate.Word, a.text
	switch {
	case a.kind == '/':
		mode = predicate.Regexp
	case a.kind == '"':
	case strings.HasSuffix(query, "*") && len(query) > 1 && !hasWildcard(query[:len(query)-1]):
		mode, query = predicate.Prefix, unescapeWildcards(query[:len(query)-1])
	case len(query) > 2 && query[0] == '*' && query[len(query)-1] == '*' && !hasWildcard(query[1:len(query)-1]):
		mode, query = predicate.Contains, unescapeWildcards(query[1:len(query)-1])
	case hasWildcard(query):
		if strings.Trim(query, "*") == "" {
			return predicate.Exists{Field: f}, nil
		}
		mode, query = predicate.Regexp, wildcardWord(query)
	default:
		query = unescapeWildcards(query)
	}
	if query == "" {
		return predicate.True{}, nil
	}
	t, err := predicate.NewText(f, mode, query, a.kind != '/')
	if err != nil {
		return nil, errorAt(p.src, a.start, "regular expression: %v", err)
	}
	return t, nil
}

func hasWildcard(s string) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '*', '?':
			return true
		}
	}
	return false
}

func unescapeWildcards(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// wildcardPattern turns * and ? into a regular expression: any is what one
// character may be.
func wildcardPattern(s, any string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
		case s[i] == '*':
			b.WriteString(any + "*")
			i++
			continue
		case s[i] == '?':
			b.WriteString(any)
			i++
			continue
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		b.WriteString(regexp.QuoteMeta(s[i : i+n]))
		i += n
	}
	return b.String()
}

// wildcardWord matches a word of that shape.
func wildcardWord(s string) string {
	const inside = `[\pL\pN_]`
	p := wildcardPattern(s, inside)
	if s[0] != '*' {
		p = `(?:^|[^\pL\pN_])` + p
	}
	if s[len(s)-1] != '*' {
		p += `(?:[^\pL\pN_]|$)`
	}
	return p
}

// fieldTerm reads what stands behind name:.
func (p *searchParser) fieldTerm(name string) (predicate.Expr, error) {
	chain := searchFields(name)
	each := func(make func(f predicate.Field) (predicate.Expr, error)) (predicate.Expr, error) {
		var out []predicate.Expr
		for _, f := range chain {
			e, err := make(f)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
		return anyOf(out...), nil
	}
	rest := p.src[p.i:]
	for _, op := range []string{">=", "<=", ">", "<"} {
		if strings.HasPrefix(rest, op) {
			p.i += len(op)
			a, err := p.atom()
			if err != nil {
				return nil, err
			}
			return each(func(f predicate.Field) (predicate.Expr, error) { return p.compare(f, op, a) })
		}
	}
	if rest != "" && (rest[0] == '[' || rest[0] == '{') {
		return p.rangeTerm(each)
	}
	words := strings.HasPrefix(rest, "~")
	if words {
		p.i++
	}
	a, err := p.atom()
	if err != nil {
		return nil, err
	}
	return each(func(f predicate.Field) (predicate.Expr, error) {
		if words || f.Scope == predicate.ScopeIntrinsic && f.Name == predicate.Body {
			return p.textTerm(f, a)
		}
		return p.valueTerm(f, a)
	})
}

// searchFields resolves a field's name; labels' names mean what they mean in
// LogQL.
func searchFields(name string) []predicate.Field {
	switch name {
	case predicate.Body:
		return []predicate.Field{predicate.Intrinsic(predicate.Body)}
	case "message":
		return append(refOf(name).chain, predicate.Intrinsic(predicate.Body))
	case predicate.Time, "@timestamp":
		return []predicate.Field{predicate.Intrinsic(predicate.Time)}
	case predicate.TraceID:
		name = "trace_id"
	case predicate.SpanID:
		name = "span_id"
	}
	return refOf(name).chain
}

// valueTerm compares a field's whole value, whatever its case for wildcards and
// regular expressions only when they say so.
func (p *searchParser) valueTerm(f predicate.Field, a atom) (predicate.Expr, error) {
	pattern := ""
	switch {
	case a.kind == '/':
		pattern = a.text
	case a.kind == 0 && a.text == "*":
		return predicate.Exists{Field: f}, nil
	case a.kind == 0 && hasWildcard(a.text):
		pattern = "(?i:" + wildcardPattern(a.text, ".") + ")"
	default:
		v := a.text
		if a.kind == 0 {
			v = unescapeWildcards(v)
		}
		if f == predicate.Intrinsic(predicate.TraceID) {
			if id := model.Canonical(model.KeyTrace, v); id != "" {
				v = id
			}
		}
		return predicate.Compare{Field: f, Op: predicate.Eq, Value: text(v), Loose: true}, nil
	}
	m, err := predicate.NewMatch(f, pattern)
	if err != nil {
		return nil, errorAt(p.src, a.start, "regular expression: %v", err)
	}
	return m, nil
}

var searchOps = map[string]predicate.Op{">": predicate.Gt, ">=": predicate.Gte, "<": predicate.Lt, "<=": predicate.Lte}

// compare compares numbers; times when the field is the time; anything else as
// text, which orders dates and versions of equal length well.
func (p *searchParser) compare(f predicate.Field, op string, a atom) (predicate.Expr, error) {
	v, err := p.comparable(f, a)
	if err != nil {
		return nil, err
	}
	return predicate.Compare{Field: f, Op: searchOps[op], Value: v, Loose: f != predicate.Intrinsic(predicate.Time)}, nil
}

func (p *searchParser) comparable(f predicate.Field, a atom) (model.Value, error) {
	if f == predicate.Intrinsic(predicate.Time) {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
			if t, err := time.Parse(layout, a.text); err == nil {
				return model.Int(t.UnixNano()), nil
			}
		}
		if n, err := strconv.ParseInt(a.text, 10, 64); err == nil {
			return model.Int(n), nil
		}
		return model.Value{}, errorAt(p.src, a.start, "expected a time such as 2026-01-02T15:04:05Z or a day such as 2026-01-02, found %q", a.text)
	}
	if a.kind == 0 {
		if n, err := strconv.ParseFloat(a.text, 64); err == nil && !math.IsNaN(n) {
			return number(n), nil
		}
		if b, err := parseBytes(a.text); err == nil {
			return number(b), nil
		}
		if d, err := parseDuration(a.text); err == nil {
			return number(float64(d)), nil
		}
	}
	return text(a.text), nil
}

// rangeTerm reads [a TO b] (ends included) or {a TO b} (excluded); * is open.
func (p *searchParser) rangeTerm(each func(func(predicate.Field) (predicate.Expr, error)) (predicate.Expr, error)) (predicate.Expr, error) {
	loOp, open := ">=", p.i
	if p.src[p.i] == '{' {
		loOp = ">"
	}
	end := strings.IndexAny(p.src[p.i:], "]}")
	if end < 0 {
		return nil, p.errorf("expected ] or } at the end of the range")
	}
	inner := p.src[p.i+1 : p.i+end]
	hiOp := "<="
	if p.src[p.i+end] == '}' {
		hiOp = "<"
	}
	lo, hi, ok := strings.Cut(inner, " TO ")
	if !ok {
		return nil, p.errorf("expected a range such as [400 TO 499], found %q", p.src[p.i:p.i+end+1])
	}
	p.i += end + 1
	return each(func(f predicate.Field) (predicate.Expr, error) {
		parts := []predicate.Expr{}
		for _, side := range []struct{ op, text string }{{loOp, lo}, {hiOp, hi}} {
			a := atom{text: strings.TrimSpace(side.text), start: open}
			if a.text == "*" {
				continue
			}
			if strings.HasPrefix(a.text, `"`) {
				a.text, a.kind = strings.Trim(a.text, `"`), '"'
			}
			e, err := p.compare(f, side.op, a)
			if err != nil {
				return nil, err
			}
			parts = append(parts, e)
		}
		if len(parts) == 0 {
			return predicate.Exists{Field: f}, nil
		}
		return predicate.AllOf(parts...), nil
	})
}
