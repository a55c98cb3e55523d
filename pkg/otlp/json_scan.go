package otlp

import (
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth bounds the nesting of JSON: one level of an attribute value
// takes four levels of OTLP JSON.
const maxJSONDepth = 4*MaxDepth + 64

var errJSONDepth = fmt.Errorf("nested more than %d levels deep", maxJSONDepth)

// scanner reads JSON from left to right. The first error sticks.
type scanner struct {
	b     []byte
	p     int
	depth int
	err   error
	// unquoted holds the text of the last string that had escapes.
	unquoted []byte
}

func (s *scanner) fail(err error) {
	if s.err == nil {
		s.err = fmt.Errorf("at byte %d: %w", s.p, err)
	}
	s.p = len(s.b)
}

var errJSONSyntax = errors.New("not JSON")

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.p < len(s.b) {
		switch c := s.b[s.p]; c {
		case ' ', '\t', '\n', '\r':
			s.p++
		default:
			return c
		}
	}
	return 0
}

// open enters an object or array; close must be called for each.
func (s *scanner) open(c byte) bool {
	if s.peek() != c {
		s.fail(fmt.Errorf("%w: expected %q", errJSONSyntax, c))
		return false
	}
	if s.depth++; s.depth > maxJSONDepth {
		s.fail(errJSONDepth)
		return false
	}
	s.p++
	return true
}

// more moves to the next member of an object or array, past the comma; false at
// its end, which it consumes. first must be true for the first call.
func (s *scanner) more(first *bool, end byte) bool {
	if s.err != nil {
		return false
	}
	c := s.peek()
	if c == end {
		s.p++
		s.depth--
		return false
	}
	if *first {
		*first = false
		if c == 0 {
			s.fail(fmt.Errorf("%w: ends early", errJSONSyntax))
			return false
		}
		return true
	}
	if c != ',' {
		s.fail(fmt.Errorf("%w: expected a comma or %q", errJSONSyntax, end))
		return false
	}
	s.p++
	if s.peek() == end {
		s.fail(fmt.Errorf("%w: a comma before %q", errJSONSyntax, end))
		return false
	}
	return true
}

// key reads a member's name and the colon.
func (s *scanner) key() []byte {
	k := s.str()
	if s.peek() != ':' {
		s.fail(fmt.Errorf("%w: expected a colon", errJSONSyntax))
		return nil
	}
	s.p++
	return k
}

// str reads a string. The result aliases the input, or, when the string has
// escapes, the scanner's own memory until the next call.
func (s *scanner) str() []byte {
	if s.peek() != '"' {
		s.fail(fmt.Errorf("%w: expected a string", errJSONSyntax))
		return nil
	}
	s.p++
	start := s.p
	for s.p < len(s.b) {
		switch c := s.b[s.p]; {
		case c == '"':
			s.p++
			return s.b[start : s.p-1]
		case c == '\\':
			return s.escaped(start)
		case c < 0x20:
			s.fail(fmt.Errorf("%w: control character in a string", errJSONSyntax))
			return nil
		}
		s.p++
	}
	s.fail(fmt.Errorf("%w: string without an end", errJSONSyntax))
	return nil
}

// escaped goes on with a string from its first escape.
func (s *scanner) escaped(start int) []byte {
	out := append(s.unquoted[:0], s.b[start:s.p]...)
	for s.p < len(s.b) {
		c := s.b[s.p]
		switch {
		case c == '"':
			s.p++
			s.unquoted = out
			return out
		case c < 0x20:
			s.fail(fmt.Errorf("%w: control character in a string", errJSONSyntax))
			return nil
		case c != '\\':
			out = append(out, c)
			s.p++
		default:
			var ok bool
			if out, ok = s.escape(out); !ok {
				s.fail(fmt.Errorf("%w: bad escape in a string", errJSONSyntax))
				return nil
			}
		}
	}
	s.fail(fmt.Errorf("%w: string without an end", errJSONSyntax))
	return nil
}

func (s *scanner) escape(out []byte) ([]byte, bool) {
	if s.p+1 >= len(s.b) {
		return out, false
	}
	c := s.b[s.p+1]
	s.p += 2
	switch c {
	case '"', '\\', '/':
		return append(out, c), true
	case 'b':
		return append(out, '\b'), true
	case 'f':
		return append(out, '\f'), true
	case 'n':
		return append(out, '\n'), true
	case 'r':
		return append(out, '\r'), true
	case 't':
		return append(out, '\t'), true
	case 'u':
		r, ok := s.hex4()
		if !ok {
			return out, false
		}
		if utf16.IsSurrogate(r) && s.p+1 < len(s.b) && s.b[s.p] == '\\' && s.b[s.p+1] == 'u' {
			back := s.p
			s.p += 2
			r2, ok := s.hex4()
			if !ok {
				return out, false
			}
			if r = utf16.DecodeRune(r, r2); r == utf8.RuneError {
				s.p = back // the second stands for itself
			}
		}
		return utf8.AppendRune(out, r), true
	}
	return out, false
}

func (s *scanner) hex4() (rune, bool) {
	if len(s.b)-s.p < 4 {
		return 0, false
	}
	var r rune
	for _, c := range s.b[s.p : s.p+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	s.p += 4
	return r, true
}

// number reads a number's text.
func (s *scanner) number() []byte {
	s.peek()
	start := s.p
	digits := func() bool {
		from := s.p
		for s.p < len(s.b) && s.b[s.p] >= '0' && s.b[s.p] <= '9' {
			s.p++
		}
		return s.p > from
	}
	at := func(set string) bool {
		for i := 0; i < len(set); i++ {
			if s.p < len(s.b) && s.b[s.p] == set[i] {
				s.p++
				return true
			}
		}
		return false
	}
	at("-")
	zero := s.p < len(s.b) && s.b[s.p] == '0'
	intStart := s.p
	ok := digits()
	if zero && s.p-intStart > 1 {
		ok = false
	}
	if ok && at(".") {
		ok = digits()
	}
	if ok && at("eE") {
		at("+-")
		ok = digits()
	}
	if !ok {
		s.fail(fmt.Errorf("%w: bad number", errJSONSyntax))
		return nil
	}
	return s.b[start:s.p]
}

// word reads true, false or null.
func (s *scanner) word(w string) bool {
	if s.peek(); len(s.b)-s.p >= len(w) && string(s.b[s.p:s.p+len(w)]) == w {
		s.p += len(w)
		return true
	}
	s.fail(errJSONSyntax)
	return false
}

// skip passes over one value of any kind.
func (s *scanner) skip() {
	switch c := s.peek(); c {
	case '{':
		first := true
		for ok := s.open('{'); ok && s.more(&first, '}'); {
			s.key()
			s.skip()
		}
	case '[':
		first := true
		for ok := s.open('['); ok && s.more(&first, ']'); {
			s.skip()
		}
	case '"':
		s.str()
	case 't':
		s.word("true")
	case 'f':
		s.word("false")
	case 'n':
		s.word("null")
	default:
		s.number()
	}
}

// end checks that nothing but white space follows.
func (s *scanner) end() {
	if s.err == nil && (s.peek() != 0 || s.p < len(s.b)) {
		s.fail(fmt.Errorf("%w: text after the end", errJSONSyntax))
	}
}
