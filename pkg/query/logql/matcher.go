package logql

import (
	"fmt"
	"strconv"

	"github.com/grafana/regexp"
)

// anchored is a regular expression that must match the whole text.
type anchored struct{ re *regexp.Regexp }

func compileAnchored(pattern string) (anchored, error) {
	if len(pattern) > maxPattern {
		return anchored{}, fmt.Errorf("regular expression is %d bytes long, at most %d are allowed", len(pattern), maxPattern)
	}
	if _, err := regexp.Compile(pattern); err != nil {
		return anchored{}, err // without the anchors in its text
	}
	re, err := regexp.Compile("^(?s:" + pattern + ")$")
	return anchored{re}, err
}

func compileSearch(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("regular expression is %d bytes long, at most %d are allowed", len(pattern), maxPattern)
	}
	return regexp.Compile(pattern)
}

// maxPattern bounds the program that a regular expression compiles to.
const maxPattern = 16 << 10

// submatcher is a regular expression with named groups.
type submatcher struct {
	re    *regexp.Regexp
	names []string // by group, "" for unnamed
}

// Matcher compares a label with a text: Op is = != =~ !~. An absent label is
// the empty text.
type Matcher struct {
	Name, Op, Value string
	ref             labelRef
	re              anchored
}

func newMatcher(name, op, value string) (*Matcher, error) {
	m := &Matcher{Name: name, Op: op, Value: value, ref: refOf(name)}
	if op == "=~" || op == "!~" {
		re, err := compileAnchored(value)
		if err != nil {
			return nil, err
		}
		m.re = re
	}
	return m, nil
}

// Matches tries a value.
func (m *Matcher) Matches(v string) bool {
	switch m.Op {
	case "=":
		return v == m.Value
	case "!=":
		return v != m.Value
	case "=~":
		return m.re.re.MatchString(v)
	}
	return !m.re.re.MatchString(v)
}

func (m *Matcher) String() string { return quoteName(m.Name) + m.Op + strconv.Quote(m.Value) }
