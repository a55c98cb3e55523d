package federate

import (
	"fmt"
	"strconv"
	"strings"

	"braid/pkg/model"
)

type tokenKind uint8

const (
	tokEOF tokenKind = iota
	tokIdent
	tokString // value is unquoted
	tokNumber // numbers and durations
	tokSign   // = != < <= > >= =~ !~ ( ) , | ; .
)

type token struct {
	kind tokenKind
	text string // as written, or unquoted
	at   int
}

// String tells the token in an error.
func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "the end of the text"
	case tokString:
		return "the string " + strconv.Quote(t.text)
	}
	return strconv.Quote(t.text)
}

type lexer struct {
	src string
	pos int
}

// errorAt makes an error that says where.
func (l *lexer) errorAt(at int, format string, args ...any) error {
	return errorAt(l.src, at, format, args...)
}

func errorAt(src string, at int, format string, args ...any) error {
	before := src[:min(at, len(src))]
	line := strings.Count(before, "\n") + 1
	column := len(before) - strings.LastIndexByte(before, '\n')
	return fmt.Errorf("%w: line %d, column %d: %w", model.ErrInvalid, line, column, fmt.Errorf(format, args...))
}

func identStart(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func digit(c byte) bool      { return c >= '0' && c <= '9' }
func identByte(c byte) bool {
	return identStart(c) || digit(c) || c == '.' || c == ':' || c == '-' || c == '/'
}

func (l *lexer) skipSpace() {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			l.pos++
		case c == '#':
			for l.pos < len(l.src) && l.src[l.pos] != '\n' {
				l.pos++
			}
		default:
			return
		}
	}
}

// next returns the next token of a statement.
func (l *lexer) next() (token, error) {
	l.skipSpace()
	at := l.pos
	if at == len(l.src) {
		return token{at: at}, nil
	}
	c := l.src[at]
	switch {
	case identStart(c):
		for l.pos < len(l.src) && identByte(l.src[l.pos]) {
			l.pos++
		}
		return token{tokIdent, l.src[at:l.pos], at}, nil
	case digit(c), c == '-' && at+1 < len(l.src) && digit(l.src[at+1]):
		return l.number()
	case c == '"' || c == '`':
		end, err := l.quoted()
		if err != nil {
			return token{}, err
		}
		text, uerr := strconv.Unquote(l.src[at:end])
		if uerr != nil {
			return token{}, l.errorAt(at, "expected a string, found %s, which has a wrong escape or a line break", l.src[at:end])
		}
		return token{tokString, text, at}, nil
	}
	for _, sign := range []string{"!=", "=~", "!~", "<=", ">=", "=", "<", ">", "(", ")", ",", "|", ";", "."} {
		if strings.HasPrefix(l.src[at:], sign) {
			l.pos += len(sign)
			return token{tokSign, sign, at}, nil
		}
	}
	return token{}, l.errorAt(at, "expected a word, a number, a string or an operator, found %q", []rune(l.src[at:min(len(l.src), at+4)])[0])
}

// number takes digits with a fraction, an exponent or units of time.
func (l *lexer) number() (token, error) {
	at := l.pos
	l.pos++
	plain := true // only digits and points so far
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		switch {
		case digit(c) || c == '.':
		case (c == 'e' || c == 'E') && plain:
			plain = false
			if n := l.pos + 1; n < len(l.src) && (l.src[n] == '+' || l.src[n] == '-') {
				l.pos++
			}
		case identStart(c), strings.HasPrefix(l.src[l.pos:], "µ"):
			plain = false
			if c >= 0x80 {
				l.pos++
			}
		default:
			return token{tokNumber, l.src[at:l.pos], at}, nil
		}
		l.pos++
	}
	return token{tokNumber, l.src[at:l.pos], at}, nil
}

// quoted moves behind the quoted text that starts here.
func (l *lexer) quoted() (end int, err error) {
	at, quote := l.pos, l.src[l.pos]
	for l.pos++; l.pos < len(l.src); l.pos++ {
		switch c := l.src[l.pos]; {
		case c == '\\' && quote != '`':
			l.pos++
		case c == quote:
			l.pos++
			return l.pos, nil
		}
	}
	l.pos = len(l.src)
	return 0, l.errorAt(at, "expected the closing %c of the text that starts here", quote)
}

// foreign takes text in another language: to the end of the line outside
// brackets and strings, or to a semicolon there; a next line that starts with
// | goes on with it. Comments are left out.
func (l *lexer) foreign() (string, error) {
	var out strings.Builder
	var open []int // places of open brackets
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		switch {
		case c == '"' || c == '`' || c == '\'':
			from := l.pos
			if _, err := l.quoted(); err != nil {
				return "", err
			}
			out.WriteString(l.src[from:l.pos])
			continue
		case c == '#':
			for l.pos < len(l.src) && l.src[l.pos] != '\n' {
				l.pos++
			}
			continue
		case c == '{' || c == '(' || c == '[':
			open = append(open, l.pos)
		case c == '}' || c == ')' || c == ']':
			if len(open) == 0 {
				return "", l.errorAt(l.pos, "expected no %q: nothing is open", c)
			}
			if want := closing(l.src[open[len(open)-1]]); c != want {
				return "", l.errorAt(l.pos, "expected %q, found %q", want, c)
			}
			open = open[:len(open)-1]
		case len(open) == 0 && (c == ';' || c == '\n' && !l.goesOn()):
			l.pos++
			return strings.TrimSpace(out.String()), nil
		}
		out.WriteByte(c)
		l.pos++
	}
	if len(open) > 0 {
		at := open[len(open)-1]
		return "", l.errorAt(at, "expected the closing %q of the %q here", closing(l.src[at]), l.src[at])
	}
	return strings.TrimSpace(out.String()), nil
}

func closing(c byte) byte {
	switch c {
	case '{':
		return '}'
	case '(':
		return ')'
	}
	return ']'
}

// goesOn tells whether the next line, after blanks and comments, starts with |.
func (l *lexer) goesOn() bool {
	ahead := lexer{l.src, l.pos}
	ahead.skipSpace()
	return ahead.pos < len(l.src) && l.src[ahead.pos] == '|'
}
