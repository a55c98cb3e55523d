package logql

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"braid/pkg/model"
)

// ParseError is a fault in a query's text. It wraps model.ErrInvalid.
type ParseError struct {
	Line, Col int // from 1, in characters
	Msg       string
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("parse error at line %d, col %d: %s", e.Line, e.Col, e.Msg)
}

// Unwrap makes errors.Is(err, model.ErrInvalid) true.
func (e *ParseError) Unwrap() error { return model.ErrInvalid }

type tokenKind uint8

const (
	tokEOF    tokenKind = iota
	tokIdent            // a name, dots included: k8s.pod.name
	tokString           // text is the unquoted value
	tokNumber           // a number, duration or size; text as written
	tokFlag             // --strict
	tokOp               // an operator or bracket
)

type token struct {
	kind tokenKind
	text string
	pos  int // byte offset
}

// String says what stands there, for errors.
func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "the end of the query"
	case tokString:
		return "string " + strconv.Quote(t.text)
	case tokNumber:
		return "number " + t.text
	}
	return strconv.Quote(t.text)
}

// operators, longest first.
var operators = []string{
	"|=", "|~", "|>", "!=", "!~", "!>", "==", "=~", ">=", "<=",
	"=", ">", "<", "|", "{", "}", "(", ")", "[", "]", ",", "+", "-", "*", "/", "%", "^", "@",
}

// lex cuts the whole text into tokens, the last of them tokEOF.
func lex(src string) ([]token, error) {
	var out []token
	for i := 0; i < len(src); {
		c := src[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '#':
			for i < len(src) && src[i] != '\n' {
				i++
			}
		case c == '"' || c == '`':
			text, end, err := lexString(src, i)
			if err != nil {
				return nil, err
			}
			out = append(out, token{tokString, text, i})
			i = end
		case isDigit(c) || c == '.' && i+1 < len(src) && isDigit(src[i+1]):
			end := lexNumber(src, i)
			out = append(out, token{tokNumber, src[i:end], i})
			i = end
		case isNameStart(c):
			end := lexName(src, i)
			out = append(out, token{tokIdent, src[i:end], i})
			i = end
		case c == '-' && i+2 < len(src) && src[i+1] == '-' && isNameStart(src[i+2]):
			end := i + 2
			for end < len(src) && (isNameByte(src[end]) || src[end] == '-') {
				end++
			}
			out = append(out, token{tokFlag, src[i:end], i})
			i = end
		default:
			op := ""
			for _, o := range operators {
				if strings.HasPrefix(src[i:], o) {
					op = o
					break
				}
			}
			if op == "" {
				r, _ := utf8.DecodeRuneInString(src[i:])
				return nil, errorAt(src, i, "unexpected character %q", r)
			}
			out = append(out, token{tokOp, op, i})
			i += len(op)
		}
	}
	return append(out, token{tokEOF, "", len(src)}), nil
}

func lexString(src string, start int) (text string, end int, err error) {
	quote := src[start]
	for i := start + 1; i < len(src); i++ {
		switch {
		case src[i] == quote:
			raw := src[start : i+1]
			if quote == '`' {
				return raw[1 : len(raw)-1], i + 1, nil
			}
			text, err := strconv.Unquote(strings.ReplaceAll(raw, "\n", `\n`))
			if err != nil {
				return "", 0, errorAt(src, start, "string %s has an invalid escape: double every backslash, or quote with ` instead", raw)
			}
			return text, i + 1, nil
		case src[i] == '\\' && quote == '"':
			i++
		}
	}
	return "", 0, errorAt(src, start, "string is not closed: expected %c", quote)
}

// lexNumber takes what may be a number, a duration or a size: 5, 1.5e-3, 10ms,
// 1h30m, 20KiB, 0x1F.
func lexNumber(src string, i int) int {
	hex := strings.HasPrefix(src[i:], "0x") || strings.HasPrefix(src[i:], "0X")
	for i < len(src) {
		c := src[i]
		switch {
		case isDigit(c) || c == '.' || isLetter(c):
			i++
		case strings.HasPrefix(src[i:], "µ") || strings.HasPrefix(src[i:], "μ"):
			i += 2
		case (c == '+' || c == '-') && !hex && (src[i-1] == 'e' || src[i-1] == 'E') && i+1 < len(src) && isDigit(src[i+1]):
			i++
		default:
			return i
		}
	}
	return i
}

// lexName takes a name; a dot belongs to it when a name goes on behind.
func lexName(src string, i int) int {
	for i < len(src) {
		if isNameByte(src[i]) || src[i] == '.' && i+1 < len(src) && isNameByte(src[i+1]) {
			i++
			continue
		}
		break
	}
	return i
}

func isDigit(c byte) bool     { return c >= '0' && c <= '9' }
func isLetter(c byte) bool    { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isNameStart(c byte) bool { return isLetter(c) || c == '_' }
func isNameByte(c byte) bool  { return isNameStart(c) || isDigit(c) }

// plainName reports whether a name needs no quotes.
func plainName(s string) bool {
	return s != "" && isNameStart(s[0]) && lexName(s, 0) == len(s)
}

func quoteName(s string) string {
	if plainName(s) {
		return s
	}
	return strconv.Quote(s)
}

// errorAt makes a ParseError at a byte offset.
func errorAt(src string, pos int, format string, args ...any) *ParseError {
	before := src[:min(pos, len(src))]
	line := strings.Count(before, "\n") + 1
	col := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return &ParseError{Line: line, Col: col, Msg: fmt.Sprintf(format, args...)}
}
