package predicate

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/grafana/regexp"

	"braid/pkg/model"
)

// Scope says where a field is looked for.
type Scope uint8

// The scopes. Their numbers travel between versions: never renumber.
const (
	// ScopeAny looks at the record's (span's) own attributes, then the
	// instrumentation scope's, then the resource's: the first that has the key
	// wins.
	ScopeAny Scope = 0
	// ScopeResource looks at resource attributes.
	ScopeResource Scope = 1
	// ScopeRecord looks at the attributes of the log record or span itself.
	ScopeRecord Scope = 2
	// ScopeInstrumentation looks at the scope: "name", "version" and its attributes.
	ScopeInstrumentation Scope = 3
	// ScopeEvent looks at span events: "name", "timeSinceStart" and attributes.
	// A span has many: a comparison holds when it holds for one of them.
	ScopeEvent Scope = 4
	// ScopeLink looks at span links: "traceID", "spanID" and attributes.
	ScopeLink Scope = 5
	// ScopeIntrinsic names what every record or span has: see the constants.
	ScopeIntrinsic Scope = 6
	// ScopeTrace names what the whole trace has: rootName, rootServiceName,
	// traceDuration.
	ScopeTrace Scope = 7
)

// The intrinsic fields. Logs: body, severity (the OTLP number), level (Loki's
// word), severity_text, event_name, flags. Spans: name, duration (ns), kind
// and status (TraceQL's words), statusMessage, parentID. Both: time (Unix ns),
// traceID, spanID (lower-case hex).
const (
	Body          = "body"
	Severity      = "severity"
	Level         = "level"
	SeverityText  = "severity_text"
	EventName     = "event_name"
	Flags         = "flags"
	Time          = "time"
	TraceID       = "traceID"
	SpanID        = "spanID"
	ParentID      = "parentID"
	Name          = "name"
	Duration      = "duration"
	Kind          = "kind"
	Status        = "status"
	StatusMessage = "statusMessage"
	RootName      = "rootName"
	RootService   = "rootServiceName"
	TraceDuration = "traceDuration"
)

// Field names one field.
type Field struct {
	Scope Scope
	Name  string
	// Underscored means that Name may be the Prometheus spelling: it names any
	// attribute that becomes Name when every character outside [a-zA-Z0-9_] is
	// turned into '_'. An attribute spelled exactly Name wins.
	Underscored bool
}

// Intrinsic returns the intrinsic field of a name.
func Intrinsic(name string) Field { return Field{Scope: ScopeIntrinsic, Name: name} }

// String renders the field for EXPLAIN.
func (f Field) String() string {
	p := [...]string{".", "resource.", "record.", "instrumentation.", "event.", "link.", "", "trace:"}
	name := f.Name
	if strings.ContainsAny(name, " \"=<>!()&|{}") {
		name = strconv.Quote(name)
	}
	return p[f.Scope] + name
}

// Underscore turns an attribute name into its Prometheus spelling.
func Underscore(name string) string {
	ok := true
	for i := 0; i < len(name); i++ {
		if !wordByte(name[i]) {
			ok = false
			break
		}
	}
	if ok {
		return name
	}
	b := []byte(name)
	for i, c := range b {
		if !wordByte(c) {
			b[i] = '_'
		}
	}
	return string(b)
}

func wordByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// Expr is a condition on one row. The implementations are True, And, Or, Not,
// Compare, Match, Exists, Text and Correlated. Values are immutable once built.
type Expr interface {
	fmt.Stringer
	expr()
}

// True holds for every row.
type True struct{}

// And holds when all of its parts do; an empty And holds.
type And []Expr

// Or holds when one of its parts does; an empty Or never holds.
type Or []Expr

// Not holds when X does not.
type Not struct{ X Expr }

// Exists holds when the row has the field (with whatever value).
type Exists struct{ Field Field }

// Op compares.
type Op uint8

// The comparisons.
const (
	Eq Op = iota
	Neq
	Lt
	Lte
	Gt
	Gte
)

// String returns the operator's sign.
func (o Op) String() string { return [...]string{"=", "!=", "<", "<=", ">", ">="}[o] }

// Compare holds when the row has the field and its value compares so. A row
// without the field never satisfies it, not even with Neq: a language where
// absence counts as different writes Not(Compare Eq).
//
// Strict (Loose false): types must agree (ints and doubles are one type); an
// array satisfies Eq when one element does, and Neq when none is equal.
// Loose: against a string the value's text is compared; against a number the
// value's text is read as a number, and a value that is none fails.
type Compare struct {
	Field Field
	Op    Op
	Value model.Value
	Loose bool
}

// Match holds when the row has the field and the value's text matches the
// regular expression from start to end (RE2, anchored both sides). An array
// also matches when the text of one of its elements does.
type Match struct {
	Field Field
	re    *regexp.Regexp
	src   string
}

// NewMatch compiles a Match.
func NewMatch(f Field, pattern string) (Match, error) {
	re, err := regexp.Compile("^(?s:" + pattern + ")$")
	if err != nil {
		return Match{}, fmt.Errorf("%w: regular expression %q: %w", model.ErrInvalid, pattern, err)
	}
	return Match{Field: f, re: re, src: pattern}, nil
}

// Pattern returns the regular expression as given, without anchors.
func (m Match) Pattern() string { return m.src }

// MatchText reports whether a text matches.
func (m Match) MatchText(s string) bool { return m.re.MatchString(s) }

// Holds tries the regular expression on one value.
func (m Match) Holds(v model.Value) bool {
	if m.re.MatchString(v.Text()) {
		return true
	}
	for _, e := range v.Elements() {
		if m.re.MatchString(e.Text()) {
			return true
		}
	}
	return false
}

// TextMode says how Text looks at a text.
type TextMode uint8

// The text modes.
const (
	// Contains: the substring occurs.
	Contains TextMode = 0
	// Regexp: the regular expression matches somewhere.
	Regexp TextMode = 1
	// Word: the text occurs and is not preceded or followed by a word byte
	// ([A-Za-z0-9_] or >= 0x80). With several words: a phrase.
	Word TextMode = 2
	// Prefix: Word, but the last word may go on.
	Prefix TextMode = 3
)

// Text searches the text of a field, usually the body. Fold ignores case.
type Text struct {
	Field Field
	Mode  TextMode
	Query string
	Fold  bool
	re    *regexp.Regexp // Regexp mode, and every folded mode
}

// NewText compiles a Text.
func NewText(f Field, mode TextMode, query string, fold bool) (Text, error) {
	t := Text{Field: f, Mode: mode, Query: query, Fold: fold}
	pattern := query
	if mode != Regexp {
		if !fold {
			return t, nil
		}
		pattern = regexp.QuoteMeta(query)
	}
	if fold {
		pattern = "(?i:" + pattern + ")"
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return Text{}, fmt.Errorf("%w: regular expression %q: %w", model.ErrInvalid, query, err)
	}
	t.re = re
	return t, nil
}

// Correlated holds when the row carries the correlation id: the id is
// canonical. An empty Kind means any kind.
type Correlated struct {
	Kind string
	ID   string
}

func (True) expr()       {}
func (And) expr()        {}
func (Or) expr()         {}
func (Not) expr()        {}
func (Exists) expr()     {}
func (Compare) expr()    {}
func (Match) expr()      {}
func (Text) expr()       {}
func (Correlated) expr() {}

func (True) String() string { return "true" }

func join(parts []Expr, sep, empty string) string {
	if len(parts) == 0 {
		return empty
	}
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = p.String()
	}
	return "(" + strings.Join(out, sep) + ")"
}

func (a And) String() string    { return join(a, " and ", "true") }
func (o Or) String() string     { return join(o, " or ", "false") }
func (n Not) String() string    { return "not " + n.X.String() }
func (e Exists) String() string { return "exists " + e.Field.String() }
func (c Compare) String() string {
	v := c.Value.Text()
	if c.Value.Kind() == model.KindString {
		v = strconv.Quote(v)
	}
	op := c.Op.String()
	if c.Loose {
		op = "~" + op
	}
	return c.Field.String() + " " + op + " " + v
}
func (m Match) String() string { return m.Field.String() + " matches " + strconv.Quote(m.src) }
func (t Text) String() string {
	s := t.Field.String() + [...]string{" contains ", " contains regexp ", " has word ", " has prefix "}[t.Mode] + strconv.Quote(t.Query)
	if t.Fold {
		s += " ignoring case"
	}
	return s
}
func (c Correlated) String() string {
	k := c.Kind
	if k == "" {
		k = "any"
	}
	return "correlated " + k + " " + strconv.Quote(c.ID)
}

// AllOf joins conditions with And, flattening and dropping True.
func AllOf(parts ...Expr) Expr {
	var out And
	for _, p := range parts {
		switch p := p.(type) {
		case nil, True:
		case And:
			out = append(out, p...)
		default:
			out = append(out, p)
		}
	}
	switch len(out) {
	case 0:
		return True{}
	case 1:
		return out[0]
	}
	return out
}
