package traceql

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"braid/pkg/model"
)

type tokenKind uint8

const (
	tokEOF tokenKind = iota
	tokPunct
	tokIdent
	tokField
	tokString
	tokNumber
)

// token is one word of a query. pos is its byte offset.
type token struct {
	kind  tokenKind
	text  string // as written, for messages; the sign of a tokPunct
	pos   int
	field Field  // tokField
	str   string // tokString, unquoted
	lit   Static // tokNumber
}

// describe names the token in an error.
func (t token) describe() string {
	switch t.kind {
	case tokEOF:
		return "end of query"
	case tokString:
		return "string " + t.text
	case tokNumber:
		return "number " + t.text
	case tokField:
		return "attribute " + t.text
	}
	return strconv.Quote(t.text)
}

// signs are tried longest first.
var signs = []string{
	"&!>>", "&!<<",
	"!>>", "!<<", "&>>", "&<<",
	"&&", "||", ">>", "<<", ">=", "<=", "!=", "=~", "!~", "!>", "!<", "&>", "&<", "&~",
	"{", "}", "(", ")", "[", "]", "|", ",", "=", "<", ">", "!", "~", "+", "-", "*", "/", "%", "^",
}

// maxTokens bounds what a query may ask a parser to hold.
const maxTokens = 20_000

func lex(src string) ([]token, error) {
	l := &lexer{src: src}
	for {
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		l.out = append(l.out, t)
		if t.kind == tokEOF {
			return l.out, nil
		}
		if len(l.out) > maxTokens {
			return nil, errorAt(src, t.pos, "the query has more than %d words", maxTokens)
		}
	}
}

type lexer struct {
	src string
	i   int
	out []token
}

func (l *lexer) next() (token, error) {
	l.skipSpace()
	start := l.i
	if start >= len(l.src) {
		return token{kind: tokEOF, pos: start}, nil
	}
	c := l.src[start]
	switch {
	case c == '"' || c == '`':
		s, err := l.quoted()
		return token{kind: tokString, text: l.src[start:l.i], pos: start, str: s}, err
	case c >= '0' && c <= '9':
		return l.number()
	case c == '.':
		return l.dotted()
	case isIdentStart(c):
		return l.word()
	}
	for _, s := range signs {
		if strings.HasPrefix(l.src[start:], s) {
			l.i += len(s)
			return token{kind: tokPunct, text: s, pos: start}, nil
		}
	}
	r, _ := utf8.DecodeRuneInString(l.src[start:])
	return token{}, errorAt(l.src, start, "unexpected character %q", r)
}

func (l *lexer) skipSpace() {
	for l.i < len(l.src) {
		r, n := utf8.DecodeRuneInString(l.src[l.i:])
		if !unicode.IsSpace(r) {
			return
		}
		l.i += n
	}
}

func isIdentStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isIdent(c byte) bool { return isIdentStart(c) || c >= '0' && c <= '9' }

// quoted reads a string in double quotes (Go's escapes) or backquotes (raw).
func (l *lexer) quoted() (string, error) {
	start := l.i
	q := l.src[start]
	for i := start + 1; i < len(l.src); i++ {
		switch c := l.src[i]; {
		case c == '\\' && q == '"':
			i++
		case c == q:
			l.i = i + 1
			if q == '`' {
				return l.src[start+1 : i], nil
			}
			return unescape(l.src, start, l.src[start+1:i])
		}
	}
	return "", errorAt(l.src, start, "the string that begins here has no closing %c", q)
}

func unescape(src string, pos int, s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for s != "" {
		r, multi, rest, err := strconv.UnquoteChar(s, '"')
		if err != nil {
			return "", errorAt(src, pos, "the string has an escape that means nothing; write a backslash as %q, or use backquotes", `\\`)
		}
		if r < utf8.RuneSelf || !multi {
			b.WriteByte(byte(r))
		} else {
			b.WriteRune(r)
		}
		s = rest
	}
	return b.String(), nil
}

// number reads an integer, a float, or a duration such as 1h30m or 1.5ms.
func (l *lexer) number() (token, error) {
	start := l.i
	end := scanNumber(l.src, start)
	text := l.src[start:end]
	if end < len(l.src) && (isIdentStart(l.src[end]) || l.src[end] >= utf8.RuneSelf) {
		return l.duration(start)
	}
	l.i = end
	t := token{kind: tokNumber, text: text, pos: start}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		t.lit = Static{Type: TypeInt, Value: model.Int(i)}
		return t, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return token{}, errorAt(l.src, start, "the number %s cannot be represented", text)
	}
	t.lit = Static{Type: TypeFloat, Value: model.Double(f)}
	return t, nil
}

func scanNumber(s string, i int) int {
	digits := func() {
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
	}
	digits()
	if i+1 < len(s) && s[i] == '.' && s[i+1] >= '0' && s[i+1] <= '9' {
		i++
		digits()
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if j < len(s) && s[j] >= '0' && s[j] <= '9' {
			i = j
			digits()
		}
	}
	return i
}

var durationUnits = map[string]float64{
	"ns": 1, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9, "d": 86400e9, "w": 7 * 86400e9, "y": 365 * 86400e9,
}

func (l *lexer) duration(start int) (token, error) {
	end := start
	for end < len(l.src) {
		r, n := utf8.DecodeRuneInString(l.src[end:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' {
			break
		}
		end += n
	}
	text := l.src[start:end]
	d, ok := parseDuration(text)
	if !ok {
		return token{}, errorAt(l.src, start, "%q is neither a number nor a duration; durations look like 10ms, 1.5s or 1h30m", text)
	}
	l.i = end
	return token{kind: tokNumber, text: text, pos: start, lit: Static{Type: TypeDuration, Value: model.Int(int64(d))}}, nil
}

// parseDuration adds to Go's units days, weeks and years.
func parseDuration(s string) (time.Duration, bool) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, true
	}
	total := 0.0
	for s != "" {
		n := scanNumber(s, 0)
		v, err := strconv.ParseFloat(s[:n], 64)
		if err != nil {
			return 0, false
		}
		s = s[n:]
		u := strings.IndexAny(s, "0123456789.")
		if u < 0 {
			u = len(s)
		}
		unit, ok := durationUnits[s[:u]]
		if !ok {
			return 0, false
		}
		total += v * unit
		s = s[u:]
	}
	if total >= 1<<63 {
		return 0, false
	}
	return time.Duration(total), true
}

// dotted reads an unscoped attribute, or a fraction without its zero (.95).
func (l *lexer) dotted() (token, error) {
	start := l.i
	if end := start + 1; end < len(l.src) && l.src[end] >= '0' && l.src[end] <= '9' {
		for end < len(l.src) && l.src[end] >= '0' && l.src[end] <= '9' {
			end++
		}
		if r, _ := utf8.DecodeRuneInString(l.src[end:]); end >= len(l.src) || !isAttributeRune(r) {
			f, err := strconv.ParseFloat("0"+l.src[start:end], 64)
			if err == nil {
				l.i = end
				return token{kind: tokNumber, text: l.src[start:end], pos: start, lit: Static{Type: TypeFloat, Value: model.Double(f)}}, nil
			}
		}
	}
	l.i++
	name, err := l.attributeName(start)
	return token{kind: tokField, text: l.src[start:l.i], pos: start, field: Field{Scope: ScopeNone, Name: name}}, err
}

// isAttributeRune reports whether a character may stand in an attribute name
// without quotes. Arithmetic signs may: a space must part them from the name.
func isAttributeRune(r rune) bool {
	return !unicode.IsSpace(r) && !strings.ContainsRune("=<>!~&|^(){}[],\"`", r) && r != utf8.RuneError
}

// attributeName reads a name after its scope's dot; parts of it may be quoted.
func (l *lexer) attributeName(start int) (string, error) {
	var b strings.Builder
	for l.i < len(l.src) {
		if l.src[l.i] == '"' {
			s, err := l.quoted()
			if err != nil {
				return "", err
			}
			b.WriteString(s)
			continue
		}
		r, n := utf8.DecodeRuneInString(l.src[l.i:])
		if !isAttributeRune(r) {
			break
		}
		b.WriteString(l.src[l.i : l.i+n])
		l.i += n
	}
	if b.Len() == 0 {
		return "", errorAt(l.src, start, "expected an attribute name after %q", l.src[start:l.i])
	}
	return b.String(), nil
}

// word reads an identifier, a scoped attribute (span.x) or a scoped intrinsic
// (span:name).
func (l *lexer) word() (token, error) {
	start := l.i
	for l.i < len(l.src) && isIdent(l.src[l.i]) {
		l.i++
	}
	text := l.src[start:l.i]
	if l.i >= len(l.src) {
		return token{kind: tokIdent, text: text, pos: start}, nil
	}
	switch l.src[l.i] {
	case '.':
		if f, ok := attributeScopes[text]; ok {
			l.i++
			if f.Parent {
				f.Scope = l.parentScope()
			}
			var err error
			f.Name, err = l.attributeName(start)
			return token{kind: tokField, text: l.src[start:l.i], pos: start, field: f}, err
		}
	case ':':
		l.i++
		for l.i < len(l.src) && isIdent(l.src[l.i]) {
			l.i++
		}
		full := l.src[start:l.i]
		f, ok := intrinsicNames[full]
		if !ok {
			return token{}, errorAt(l.src, start, "there is no intrinsic %q; there are %s", full, scopedIntrinsics)
		}
		return token{kind: tokField, text: full, pos: start, field: f}, nil
	}
	return token{kind: tokIdent, text: text, pos: start}, nil
}

// parentScope reads the optional scope in parent.span.x and parent.resource.x.
func (l *lexer) parentScope() AttrScope {
	for _, s := range []string{"span.", "resource."} {
		if strings.HasPrefix(l.src[l.i:], s) {
			l.i += len(s)
			return attributeScopes[strings.TrimSuffix(s, ".")].Scope
		}
	}
	return ScopeNone
}
