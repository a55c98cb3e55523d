package federate

import (
	"strconv"
	"strings"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// Signal is what a named query asks.
type Signal string

// The signals and their languages: TraceQL, LogQL, and PromQL selectors, whose
// exemplars carry the ids.
const (
	Traces    Signal = "traces"
	Logs      Signal = "logs"
	Exemplars Signal = "exemplars"
)

// Query is a parsed text. String returns its canonical spelling, which parses
// to the same query.
type Query struct {
	Sources []Source
	From    string
	By      string // the kind named after "by"; "" when not
	Stages  []Stage

	byAt int
}

// Source is one named query.
type Source struct {
	Name   string
	Signal Signal
	Text   string
	at     int
}

// Stage is one step on the rows: Join, Enrich, Where, Aggregate, Histogram,
// Sort, Top, Limit or Select.
type Stage interface {
	String() string
	where() int
}

type pos int

func (p pos) where() int { return int(p) }

// Join keeps the rows whose id is (Anti: is not) among those of a source.
type Join struct {
	pos
	Anti   bool
	Source string
	Kind   string
}

// Enrich adds columns from records that share the row's id.
type Enrich struct {
	pos
	Columns []EnrichColumn
}

// EnrichColumn is Name = Func(Source.Field). Field is "" for count.
type EnrichColumn struct {
	Name, Func, Source, Field string
}

// Where keeps the rows that satisfy a condition.
type Where struct {
	pos
	Cond Cond
}

// Aggregate makes one row of each group.
type Aggregate struct {
	pos
	By      []string
	Columns []AggColumn
}

// AggColumn is Name = Func(Column). Column is "" for count.
type AggColumn struct {
	Name, Func, Column string
}

// Histogram counts rows in Buckets ranges of a column, of equal width.
type Histogram struct {
	pos
	Column  string
	Buckets int
}

// Sort orders rows by columns, the first first.
type Sort struct {
	pos
	Keys []SortKey
}

// SortKey is one column of an order.
type SortKey struct {
	Column string
	Desc   bool
}

// Top keeps the N rows with the greatest (Bottom: least) values of a column.
type Top struct {
	pos
	Bottom bool
	N      int
	Column string
}

// Limit keeps the first N rows.
type Limit struct {
	pos
	N int
}

// Select keeps columns, in the order given.
type Select struct {
	pos
	Columns []string
}

// Cond is a condition on a row: AndCond, OrCond, NotCond or Compare.
type Cond interface {
	String() string
	cond()
}

// AndCond holds when both sides do.
type AndCond struct{ L, R Cond }

// OrCond holds when one side does.
type OrCond struct{ L, R Cond }

// NotCond holds when X does not.
type NotCond struct{ X Cond }

// Compare compares a column with a value. Op is = != < <= > >= =~ !~ or
// contains. A row without a value in the column never satisfies it.
type Compare struct {
	Column, Op string
	Value      model.Value
	Duration   bool // the value was written as a duration
	match      predicate.Expr
}

func (AndCond) cond() {}
func (OrCond) cond()  {}
func (NotCond) cond() {}
func (Compare) cond() {}

// String returns the canonical text.
func (q *Query) String() string {
	var b strings.Builder
	for _, s := range q.Sources {
		b.WriteString(s.Name + " = " + string(s.Signal) + " " + s.Text + "\n")
	}
	b.WriteString("from " + q.From)
	if q.By != "" {
		b.WriteString(" by " + name(q.By))
	}
	for _, s := range q.Stages {
		b.WriteString("\n| " + s.String())
	}
	return b.String()
}

// reserved words start a stage or are part of one: as names they are quoted.
var reserved = map[string]bool{"from": true, "semi": true, "anti": true, "join": true, "on": true, "by": true, "enrich": true, "where": true,
	"group": true, "top": true, "bottom": true, "sort": true, "limit": true, "histogram": true, "select": true, "and": true, "or": true,
	"not": true, "contains": true, "desc": true, "asc": true, "true": true, "false": true}

func isIdent(s string) bool {
	if s == "" || !identStart(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !identByte(s[i]) {
			return false
		}
	}
	return !strings.HasSuffix(s, ".")
}

func name(s string) string {
	if isIdent(s) && !reserved[s] {
		return s
	}
	return strconv.Quote(s)
}

func names(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = name(s)
	}
	return strings.Join(out, ", ")
}

func (j Join) String() string {
	word := "semi"
	if j.Anti {
		word = "anti"
	}
	return word + " join " + j.Source + " on " + name(j.Kind)
}

func (e Enrich) String() string {
	var out []string
	for _, c := range e.Columns {
		out = append(out, c.String())
	}
	return "enrich " + strings.Join(out, ", ")
}

// String returns name = func(source.field).
func (c EnrichColumn) String() string {
	of := c.Source
	if c.Field != "" {
		if isIdent("x." + c.Field) {
			of += "." + c.Field
		} else {
			of += "." + strconv.Quote(c.Field)
		}
	}
	return name(c.Name) + " = " + c.Func + "(" + of + ")"
}

func (w Where) String() string { return "where " + w.Cond.String() }

func (a Aggregate) String() string {
	var out []string
	for _, c := range a.Columns {
		out = append(out, c.String())
	}
	s := strings.Join(out, ", ")
	if len(a.By) > 0 {
		return "group by " + names(a.By) + " | " + s
	}
	return s
}

// String returns name = func(column).
func (c AggColumn) String() string {
	if c.Column == "" {
		return name(c.Name) + " = " + c.Func
	}
	return name(c.Name) + " = " + c.Func + "(" + name(c.Column) + ")"
}

func (h Histogram) String() string {
	return "histogram " + name(h.Column) + " " + strconv.Itoa(h.Buckets)
}

func (s Sort) String() string {
	var out []string
	for _, k := range s.Keys {
		text := name(k.Column)
		if k.Desc {
			text += " desc"
		}
		out = append(out, text)
	}
	return "sort by " + strings.Join(out, ", ")
}

func (t Top) String() string {
	word := "top "
	if t.Bottom {
		word = "bottom "
	}
	return word + strconv.Itoa(t.N) + " by " + name(t.Column)
}

func (l Limit) String() string  { return "limit " + strconv.Itoa(l.N) }
func (s Select) String() string { return "select " + names(s.Columns) }

func (c AndCond) String() string { return "(" + c.L.String() + " and " + c.R.String() + ")" }
func (c OrCond) String() string  { return "(" + c.L.String() + " or " + c.R.String() + ")" }
func (c NotCond) String() string { return "not " + c.X.String() }

func (c Compare) String() string {
	v := c.Value.Text()
	switch {
	case c.Duration:
		v = strings.ReplaceAll(time.Duration(c.Value.AsInt()).String(), "µ", "u")
	case c.Value.Kind() == model.KindString:
		v = strconv.Quote(v)
	}
	return name(c.Column) + " " + c.Op + " " + v
}
