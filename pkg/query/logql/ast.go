package logql

import (
	"strconv"
	"strings"
	"time"
)

// Expr is a parsed query: a *Selection (a log query) or a metric expression
// (*RangeAgg, *VectorAgg, *Binary, *Literal, *VectorFn, *LabelReplace). Trees
// are immutable once parsed and safe for concurrent use.
type Expr interface {
	// String renders the query so that it parses to an equal tree.
	String() string
	expr()
}

// IsLog reports whether the query returns log lines rather than numbers.
func IsLog(e Expr) bool {
	_, ok := e.(*Selection)
	return ok
}

// Selection is a stream selector and its pipeline.
type Selection struct {
	Matchers []*Matcher
	Stages   []Stage
}

// Stage is one step of a pipeline.
type Stage interface {
	String() string
	stage()
}

// RangeAgg is a function over the lines of a window: rate({…}[5m]).
type RangeAgg struct {
	Op       string
	Param    float64 // of quantile_over_time
	Log      *Selection
	Unwrap   *Unwrap // nil without
	Range    time.Duration
	Offset   time.Duration
	Grouping *Grouping // nil without
}

// Unwrap takes the sample's value out of a label. Conversion is "", "duration",
// "duration_seconds" or "bytes". After are the label filters behind it.
type Unwrap struct {
	Label      string
	Conversion string
	After      []Stage
}

// Grouping is by (…) or without (…).
type Grouping struct {
	Without bool
	Labels  []string
}

// VectorAgg aggregates series: sum by (x) (…). Param is k of topk and its like.
type VectorAgg struct {
	Op       string
	Param    int
	Grouping *Grouping // nil without
	Of       Expr
}

// Binary is an operation on two metric expressions.
type Binary struct {
	Op         string
	Left       Expr
	Right      Expr
	ReturnBool bool
	// On lists the labels to match on (Ignoring: all but them); Matching tells
	// whether any were given.
	Matching bool
	Ignoring bool
	On       []string
	// Group is "", "left" or "right"; Include lists labels taken from the one side.
	Group   string
	Include []string
}

// Literal is a number.
type Literal struct{ Value float64 }

// VectorFn is vector(number).
type VectorFn struct{ Value float64 }

// LabelReplace is label_replace(of, dst, replacement, src, regexp).
type LabelReplace struct {
	Of                           Expr
	Dst, Replacement, Src, Regex string
	re                           anchored
}

func (*Selection) expr()    {}
func (*RangeAgg) expr()     {}
func (*VectorAgg) expr()    {}
func (*Binary) expr()       {}
func (*Literal) expr()      {}
func (*VectorFn) expr()     {}
func (*LabelReplace) expr() {}

func (s *Selection) String() string {
	var b strings.Builder
	s.writeSelector(&b)
	writeStages(&b, s.Stages)
	return b.String()
}

func (s *Selection) writeSelector(b *strings.Builder) {
	b.WriteByte('{')
	for i, m := range s.Matchers {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(m.String())
	}
	b.WriteByte('}')
}

func writeStages(b *strings.Builder, stages []Stage) {
	for _, s := range stages {
		b.WriteByte(' ')
		b.WriteString(s.String())
	}
}

func (r *RangeAgg) String() string {
	var b strings.Builder
	b.WriteString(r.Op)
	b.WriteByte('(')
	if r.Op == opQuantile {
		b.WriteString(formatNumber(r.Param))
		b.WriteString(", ")
	}
	b.WriteString(r.Log.String())
	if r.Unwrap != nil {
		b.WriteByte(' ')
		b.WriteString(r.Unwrap.String())
	}
	b.WriteString(" [" + formatDuration(r.Range) + "]")
	if r.Offset != 0 {
		b.WriteString(" offset " + formatDuration(r.Offset))
	}
	b.WriteByte(')')
	if r.Grouping != nil {
		b.WriteString(" " + r.Grouping.String())
	}
	return b.String()
}

func (u *Unwrap) String() string {
	var b strings.Builder
	b.WriteString("| unwrap ")
	if u.Conversion == "" {
		b.WriteString(quoteName(u.Label))
	} else {
		b.WriteString(u.Conversion + "(" + quoteName(u.Label) + ")")
	}
	writeStages(&b, u.After)
	return b.String()
}

func (g *Grouping) String() string {
	kind := "by"
	if g.Without {
		kind = "without"
	}
	return kind + " (" + joinNames(g.Labels) + ")"
}

func joinNames(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quoteName(n)
	}
	return strings.Join(out, ", ")
}

func (v *VectorAgg) String() string {
	s := v.Op
	if v.Grouping != nil {
		s += " " + v.Grouping.String() + " "
	}
	s += "("
	if takesK(v.Op) {
		s += strconv.Itoa(v.Param) + ", "
	}
	return s + v.Of.String() + ")"
}

func (b *Binary) String() string {
	return operand(b.Left) + " " + b.operator() + " " + operand(b.Right)
}

// operator renders the operator with its modifiers.
func (b *Binary) operator() string {
	s := b.Op
	if b.ReturnBool {
		s += " bool"
	}
	if b.Matching {
		kind := " on"
		if b.Ignoring {
			kind = " ignoring"
		}
		s += kind + " (" + joinNames(b.On) + ")"
	}
	if b.Group != "" {
		s += " group_" + b.Group + " (" + joinNames(b.Include) + ")"
	}
	return s
}

// operand puts parentheses around what would otherwise bind differently.
func operand(e Expr) string {
	if _, ok := e.(*Binary); ok {
		return "(" + e.String() + ")"
	}
	return e.String()
}

func (l *Literal) String() string { return formatNumber(l.Value) }

func (v *VectorFn) String() string { return "vector(" + formatNumber(v.Value) + ")" }

func (l *LabelReplace) String() string {
	return "label_replace(" + l.Of.String() + ", " + strconv.Quote(l.Dst) + ", " + strconv.Quote(l.Replacement) +
		", " + strconv.Quote(l.Src) + ", " + strconv.Quote(l.Regex) + ")"
}
