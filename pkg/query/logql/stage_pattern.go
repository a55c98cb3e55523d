package logql

import (
	"errors"
	"fmt"
	"strings"

	"github.com/grafana/regexp"
)

// patternPart is a literal, or a capture: name is "_" for one without a label.
type patternPart struct {
	literal, name string
}

// parsePattern cuts "<ip> - <_>" into its parts.
func parsePattern(s string) ([]patternPart, error) {
	var out []patternPart
	literal := 0
	for i := 0; i < len(s); {
		end := -1
		if s[i] == '<' {
			if end = strings.IndexByte(s[i:], '>'); end > 0 {
				name := s[i+1 : i+end]
				if !isNameStartOrEmpty(name) {
					end = -1
				}
			}
		}
		if end < 0 {
			i++
			continue
		}
		if literal < i {
			out = append(out, patternPart{literal: s[literal:i]})
		}
		if n := len(out); n > 0 && out[n-1].name != "" {
			return nil, fmt.Errorf("pattern %q: expected some text between two captures", s)
		}
		out = append(out, patternPart{name: s[i+1 : i+end]})
		i += end + 1
		literal = i
	}
	if literal < len(s) {
		out = append(out, patternPart{literal: s[literal:]})
	}
	return out, nil
}

// isNameStartOrEmpty reports whether what stands in <…> is a capture's name.
func isNameStartOrEmpty(name string) bool {
	if name == "" || !isNameStart(name[0]) {
		return false
	}
	for i := range len(name) {
		if !isNameByte(name[i]) {
			return false
		}
	}
	return true
}

func newPatternParser(pattern string) (*PatternParser, error) {
	parts, err := parsePattern(pattern)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, p := range parts {
		if p.name == "" || p.name == "_" {
			continue
		}
		if seen[p.name] {
			return nil, fmt.Errorf("pattern %q: capture <%s> occurs twice", pattern, p.name)
		}
		seen[p.name] = true
	}
	if len(seen) == 0 {
		return nil, fmt.Errorf("pattern %q: expected at least one named capture such as <ip>", pattern)
	}
	return &PatternParser{Pattern: pattern, parts: parts}, nil
}

// process captures from the line's start. The first literal that is not found
// ends it: the capture before it takes the rest of the line.
func (p *PatternParser) process(e *entry) bool {
	s := e.line
	if s == "" {
		return true
	}
	for i, part := range p.parts {
		if part.name == "" {
			if !strings.HasPrefix(s, part.literal) {
				return true
			}
			s = s[len(part.literal):]
			continue
		}
		value := s
		if i+1 < len(p.parts) {
			if at := strings.Index(s, p.parts[i+1].literal); at >= 0 {
				value = s[:at]
			}
		}
		s = s[len(value):]
		if part.name != "_" {
			e.extract(part.name, value)
		}
	}
	return true
}

// patternLiterals cuts the pattern of |> into literals between wildcards;
// open tells whether the ends are wildcards.
func patternLiterals(pattern string) (literals []string, openStart, openEnd bool, err error) {
	parts, err := parsePattern(pattern)
	if err != nil {
		return nil, false, false, err
	}
	for i, p := range parts {
		switch {
		case p.name == "":
			literals = append(literals, p.literal)
		case p.name != "_":
			return nil, false, false, fmt.Errorf("pattern %q: expected <_>, a pattern filter has no named captures such as <%s>", pattern, p.name)
		default:
			openStart = openStart || i == 0
			openEnd = openEnd || i == len(parts)-1
		}
	}
	return literals, openStart, openEnd, nil
}

// patternTest compiles the pattern of |>, <_> standing for any text but none.
// It may begin anywhere in a line, and ends where the line ends.
func patternTest(pattern string) (func(string) bool, error) {
	lits, openStart, openEnd, err := patternLiterals(pattern)
	if err != nil {
		return nil, err
	}
	return func(s string) bool {
		if len(lits) == 0 {
			return openStart == (s != "")
		}
		for i, lit := range lits {
			if i > 0 || openStart {
				if s == "" {
					return false
				}
				s = s[1:] // at least that much is <_>
			}
			if i == len(lits)-1 && !openEnd {
				return strings.HasSuffix(s, lit)
			}
			at := strings.Index(s, lit)
			if at < 0 {
				return false
			}
			s = s[at+len(lit):]
		}
		return s != ""
	}, nil
}

// patternRegexp is the same test as a regular expression, for the store.
func patternRegexp(pattern string) (string, error) {
	lits, openStart, openEnd, err := patternLiterals(pattern)
	if err != nil {
		return "", err
	}
	quoted := make([]string, len(lits))
	for i, l := range lits {
		quoted[i] = regexp.QuoteMeta(l)
	}
	if len(lits) == 0 {
		if openStart {
			return "(?s).", nil
		}
		return "^$", nil
	}
	start, end := "", "$"
	if openStart {
		start = "."
	}
	if openEnd {
		end = "."
	}
	return "(?s)" + start + strings.Join(quoted, ".+") + end, nil
}

func newRegexpParser(pattern string) (*RegexpParser, error) {
	re, err := compileSearch(pattern)
	if err != nil {
		return nil, err
	}
	names := re.SubexpNames()
	any, seen := false, map[string]bool{}
	for i, n := range names {
		if n == "" {
			continue
		}
		if seen[n] {
			return nil, fmt.Errorf("regular expression %q: group %q occurs twice", pattern, n)
		}
		seen[n], any = true, true
		names[i] = string(sanitize(nil, n))
	}
	if !any {
		return nil, errors.New("expected at least one named group such as (?P<name>…) in the regular expression")
	}
	return &RegexpParser{Pattern: pattern, re: submatcher{re, names}}, nil
}

func (p *RegexpParser) process(e *entry) bool {
	m := p.re.re.FindStringSubmatchIndex(e.line)
	if m == nil {
		return true
	}
	for i, name := range p.re.names {
		switch {
		case name == "":
		case m[2*i] < 0:
			e.extract(name, "")
		default:
			e.extract(name, e.line[m[2*i]:m[2*i+1]])
		}
	}
	return true
}

// process removes ANSI escape sequences.
func (*Decolorize) process(e *entry) bool {
	e.line = decolorize(e.line)
	return true
}

func decolorize(s string) string {
	i := strings.IndexByte(s, 0x1b)
	if i < 0 {
		return s
	}
	b := append(make([]byte, 0, len(s)), s[:i]...)
	for i < len(s) {
		if s[i] == 0x1b && i+1 < len(s) && s[i+1] == '[' {
			end := i + 2
			for end < len(s) && (isDigit(s[end]) || s[end] == ';' || s[end] == '?') {
				end++
			}
			if end < len(s) && isLetter(s[end]) {
				i = end + 1
				continue
			}
		}
		b = append(b, s[i])
		i++
	}
	return string(b)
}
