package logql

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth bounds recursion on hostile lines.
const maxJSONDepth = 128

var errJSONDepth = errors.New("nested too deeply")

// jsonError says where a line stops being JSON.
type jsonError struct {
	pos  int
	want string
}

func (e *jsonError) Error() string {
	return "expected " + e.want + " at byte " + strconv.Itoa(e.pos)
}

// jsonScanner walks a JSON text in place.
type jsonScanner struct {
	s string
	i int
}

func (j *jsonScanner) space() {
	for j.i < len(j.s) {
		switch j.s[j.i] {
		case ' ', '\t', '\n', '\r':
			j.i++
		default:
			return
		}
	}
}

func (j *jsonScanner) expected(what string) error { return &jsonError{j.i, what} }

func (j *jsonScanner) peek() byte {
	if j.i < len(j.s) {
		return j.s[j.i]
	}
	return 0
}

// str reads a string and returns its value.
func (j *jsonScanner) str() (string, error) {
	if j.peek() != '"' {
		return "", j.expected("a string")
	}
	start := j.i + 1
	for i := start; i < len(j.s); i++ {
		switch c := j.s[i]; {
		case c == '"':
			j.i = i + 1
			return j.s[start:i], nil
		case c == '\\':
			return j.escaped(start, i)
		case c < 0x20:
			j.i = i
			return "", j.expected("no control character in a string")
		}
	}
	j.i = len(j.s)
	return "", j.expected("the end of a string")
}

// escaped goes on with a string whose first backslash is at i.
func (j *jsonScanner) escaped(start, i int) (string, error) {
	b := append(make([]byte, 0, len(j.s)-start), j.s[start:i]...)
	for i < len(j.s) {
		c := j.s[i]
		if c == '"' {
			j.i = i + 1
			return string(b), nil
		}
		if c < 0x20 {
			break
		}
		if c != '\\' {
			b = append(b, c)
			i++
			continue
		}
		var n int
		if b, n = unescape(b, j.s[i:]); n == 0 {
			break
		}
		i += n
	}
	j.i = i
	return "", j.expected("the end of a string")
}

// unescape appends what the escape at the start of s stands for and returns
// its length, 0 when it is none.
func unescape(b []byte, s string) ([]byte, int) {
	if len(s) < 2 {
		return b, 0
	}
	switch s[1] {
	case '"', '\\', '/':
		return append(b, s[1]), 2
	case 'b':
		return append(b, '\b'), 2
	case 'f':
		return append(b, '\f'), 2
	case 'n':
		return append(b, '\n'), 2
	case 'r':
		return append(b, '\r'), 2
	case 't':
		return append(b, '\t'), 2
	case 'u':
		r, ok := hex4(s)
		if !ok {
			return b, 0
		}
		if utf16.IsSurrogate(r) {
			if low, ok := hex4(s[6:]); ok {
				if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
					return utf8.AppendRune(b, full), 12
				}
			}
			r = utf8.RuneError
		}
		return utf8.AppendRune(b, r), 6
	}
	return b, 0
}

func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[2:6], 16, 32)
	return rune(n), err == nil
}

// object walks an object; member must consume the value.
func (j *jsonScanner) object(member func(key string) error) error {
	if j.peek() != '{' {
		return j.expected("'{'")
	}
	j.i++
	j.space()
	if j.peek() == '}' {
		j.i++
		return nil
	}
	for {
		j.space()
		key, err := j.str()
		if err != nil {
			return err
		}
		j.space()
		if j.peek() != ':' {
			return j.expected("':'")
		}
		j.i++
		j.space()
		if err := member(key); err != nil {
			return err
		}
		j.space()
		switch j.peek() {
		case ',':
			j.i++
		case '}':
			j.i++
			return nil
		default:
			return j.expected("',' or '}'")
		}
	}
}

// array walks an array; element must consume the value.
func (j *jsonScanner) array(element func(index int) error) error {
	if j.peek() != '[' {
		return j.expected("'['")
	}
	j.i++
	j.space()
	if j.peek() == ']' {
		j.i++
		return nil
	}
	for n := 0; ; n++ {
		j.space()
		if err := element(n); err != nil {
			return err
		}
		j.space()
		switch j.peek() {
		case ',':
			j.i++
		case ']':
			j.i++
			return nil
		default:
			return j.expected("',' or ']'")
		}
	}
}

// skip consumes one value.
func (j *jsonScanner) skip(depth int) error {
	if depth > maxJSONDepth {
		return errJSONDepth
	}
	switch j.peek() {
	case '{':
		return j.object(func(string) error { return j.skip(depth + 1) })
	case '[':
		return j.array(func(int) error { return j.skip(depth + 1) })
	case '"':
		_, err := j.str()
		return err
	}
	_, err := j.literal()
	return err
}

// literal consumes a number, true, false or null, and returns it as written.
func (j *jsonScanner) literal() (string, error) {
	start := j.i
	for _, w := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(j.s[j.i:], w) {
			j.i += len(w)
			return w, nil
		}
	}
	j.digitsAfter('-')
	intStart := j.i
	if n := j.digits(); n == 0 || n > 1 && j.s[intStart] == '0' {
		j.i = start
		return "", j.expected("a value")
	}
	if j.digitsAfter('.') && j.digits() == 0 {
		return "", j.expected("a digit")
	}
	if j.digitsAfter('e') || j.digitsAfter('E') {
		if !j.digitsAfter('+') {
			j.digitsAfter('-')
		}
		if j.digits() == 0 {
			return "", j.expected("a digit")
		}
	}
	return j.s[start:j.i], nil
}

// digitsAfter consumes one sign before digits.
func (j *jsonScanner) digitsAfter(c byte) bool {
	if j.peek() == c {
		j.i++
		return true
	}
	return false
}

func (j *jsonScanner) digits() int {
	n := 0
	for isDigit(j.peek()) {
		j.i++
		n++
	}
	return n
}

// scalar consumes one value and returns its text: strings unescaped, null as
// "", objects and arrays as written.
func (j *jsonScanner) scalar(depth int) (string, error) {
	switch j.peek() {
	case '"':
		return j.str()
	case '{', '[':
		start := j.i
		if err := j.skip(depth); err != nil {
			return "", err
		}
		return j.s[start:j.i], nil
	}
	text, err := j.literal()
	if text == "null" {
		text = ""
	}
	return text, err
}

// end checks that nothing follows.
func (j *jsonScanner) end() error {
	j.space()
	if j.i < len(j.s) {
		return j.expected("the end of the line")
	}
	return nil
}
