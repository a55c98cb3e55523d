package federate

import (
	"fmt"
	"slices"
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
)

// Options of an Engine. All but the bounds are required. The three parsers are
// those of the languages; their errors wrap model.ErrInvalid.
type Options struct {
	Metrics query.MetricSource
	Logs    query.LogSource
	Traces  query.TraceSource
	KeySpec func() *model.KeySpec

	SpanFilter func(string) (predicate.Expr, error)
	LogFilter  func(string) (predicate.Expr, error)
	Selectors  func(string) ([][]query.LabelMatcher, error)

	// MaxIDs and MaxBytes bound what one query keeps in memory, over all of its
	// sides; 0 means 1,000,000 ids and 512 MiB.
	MaxIDs   int
	MaxBytes int64
}

// Engine plans and runs queries. Safe for concurrent use.
type Engine struct{ o Options }

// New makes an engine.
func New(o Options) *Engine {
	if o.MaxIDs <= 0 {
		o.MaxIDs = 1_000_000
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 512 << 20
	}
	return &Engine{o}
}

// The types of a column. TypeValue is what an attribute has: it becomes
// TypeInt, TypeDouble or TypeString when the values are known.
const (
	TypeID       = "id"
	TypeString   = "string"
	TypeInt      = "int"
	TypeDouble   = "double"
	TypeBool     = "bool"
	TypeTime     = "time"     // Unix ns
	TypeDuration = "duration" // ns
	TypeValue    = "value"
)

// Column is one column of the rows.
type Column struct{ Name, Type string }

// baseColumns are what each row has to begin with. They tell of the records of
// the query after "from" that carry the row's id: the earliest start, the time
// from it to the latest end, the service of the earliest record, whether one
// failed, and how many there are.
var baseColumns = []Column{{"id", TypeID}, {"time", TypeTime}, {"duration", TypeDuration}, {"service", TypeString}, {"failed", TypeBool}, {"records", TypeInt}}

// Plan is a query whose parts were read by their languages and whose names were
// checked. Immutable: it may be run many times.
type Plan struct {
	Query   *Query
	Kind    string // of the ids of the rows
	Columns []Column
	sources []*planSource // in the order in which they are asked; the base first
}

// planSource is one named query as it will be asked.
type planSource struct {
	Source
	filter  predicate.Expr
	series  [][]query.LabelMatcher
	columns []planColumn
	project []predicate.Field
}

type planColumn struct {
	EnrichColumn
	get fieldGetter
}

// Plan parses and checks a text. Errors wrap model.ErrInvalid.
func (e *Engine) Plan(text string) (*Plan, error) {
	q, err := Parse(text)
	if err != nil {
		return nil, err
	}
	spec := e.o.KeySpec()
	p := &Plan{Query: q, Kind: model.KeyTrace, Columns: slices.Clone(baseColumns)}
	if err := p.chooseKind(text, spec); err != nil {
		return nil, err
	}
	p.use(q.From)
	for _, s := range q.Stages {
		if err := p.stage(text, s); err != nil {
			return nil, err
		}
	}
	for _, s := range q.Sources {
		if !slices.ContainsFunc(p.sources, func(u *planSource) bool { return u.Name == s.Name }) {
			return nil, errorAt(text, s.at, "query %q is named and not used: join it, enrich from it or leave it out", s.Name)
		}
	}
	for _, s := range p.sources {
		if err := e.lower(text, s); err != nil {
			return nil, err
		}
		s.projection(spec)
	}
	return p, nil
}

// chooseKind finds the one kind of id that rows have.
func (p *Plan) chooseKind(text string, spec *model.KeySpec) error {
	kind := p.Query.By
	at := p.Query.byAt
	for _, s := range p.Query.Stages {
		j, ok := s.(Join)
		if !ok {
			continue
		}
		if kind == "" {
			at = j.where()
		}
		if kind != "" && j.Kind != kind {
			return errorAt(text, j.where(), "expected on %s: rows have one kind of id, and this join is on %s", kind, j.Kind)
		}
		kind = j.Kind
	}
	if kind == "" {
		return nil
	}
	if !slices.Contains(spec.Kinds(), kind) {
		return errorAt(text, at, "expected a kind of id (%s), found %q", strings.Join(spec.Kinds(), ", "), kind)
	}
	p.Kind = kind
	return nil
}

func (p *Plan) use(name string) *planSource {
	for _, s := range p.sources {
		if s.Name == name {
			return s
		}
	}
	for _, s := range p.Query.Sources {
		if s.Name == name {
			p.sources = append(p.sources, &planSource{Source: s})
		}
	}
	return p.sources[len(p.sources)-1]
}

func (p *Plan) column(text string, at int, name string) (int, error) {
	for i, c := range p.Columns {
		if c.Name == name {
			return i, nil
		}
	}
	var have []string
	for _, c := range p.Columns {
		have = append(have, c.Name)
	}
	return 0, errorAt(text, at, "expected a column (%s), found %q", strings.Join(have, ", "), name)
}

func (p *Plan) columnsOf(text string, at int, names []string) (out []Column, err error) {
	for _, n := range names {
		i, err := p.column(text, at, n)
		if err != nil {
			return nil, err
		}
		out = append(out, p.Columns[i])
	}
	return out, unique(text, at, out)
}

func unique(text string, at int, columns []Column) error {
	seen := map[string]bool{}
	for _, c := range columns {
		if seen[c.Name] {
			return errorAt(text, at, "expected different columns: %q is there twice", c.Name)
		}
		seen[c.Name] = true
	}
	return nil
}

// whole reports whether rows still stand for ids.
func (p *Plan) whole() bool { return len(p.Columns) > 0 && p.Columns[0] == baseColumns[0] }

// stage checks one step and makes the columns those after it.
func (p *Plan) stage(text string, s Stage) (err error) {
	at := s.where()
	switch s := s.(type) {
	case Join:
		if !p.whole() {
			return errorAt(text, at, "expected joins before steps that change the rows")
		}
		p.use(s.Source)
	case Enrich:
		if !p.whole() {
			return errorAt(text, at, "expected enrich before steps that change the rows")
		}
		for _, c := range s.Columns {
			src := p.use(c.Source)
			get, typ := fieldOf(src.Signal, c)
			src.columns = append(src.columns, planColumn{c, get})
			p.Columns = append(p.Columns, Column{c.Name, typ})
		}
		return unique(text, at, p.Columns)
	case Where:
		return p.checkCond(text, at, s.Cond)
	case Aggregate:
		p.Columns, err = p.aggregateColumns(text, at, s)
		return err
	case Histogram:
		i, err := p.column(text, at, s.Column)
		if err != nil {
			return err
		}
		typ := p.Columns[i].Type
		if typ == TypeValue || typ == TypeInt {
			typ = TypeDouble
		}
		p.Columns = []Column{{"from", typ}, {"to", typ}, {"count", TypeInt}}
	case Sort:
		for _, k := range s.Keys {
			if _, err := p.column(text, at, k.Column); err != nil {
				return err
			}
		}
	case Top:
		_, err = p.column(text, at, s.Column)
	case Select:
		p.Columns, err = p.columnsOf(text, at, s.Columns)
	}
	return err
}

func (p *Plan) aggregateColumns(text string, at int, s Aggregate) ([]Column, error) {
	out, err := p.columnsOf(text, at, s.By)
	if err != nil {
		return nil, err
	}
	for _, c := range s.Columns {
		typ := TypeInt
		if c.Column != "" {
			i, err := p.column(text, at, c.Column)
			if err != nil {
				return nil, err
			}
			typ = aggType(c.Func, p.Columns[i].Type)
		}
		out = append(out, Column{c.Name, typ})
	}
	return out, unique(text, at, out)
}

// aggType is the type of an aggregate of a column.
func aggType(fn, of string) string {
	switch fn {
	case "count", "distinct":
		return TypeInt
	case "first", "last", "min", "max":
		return of
	}
	if of == TypeDuration || of == TypeTime {
		return of
	}
	if fn == "sum" && of == TypeInt {
		return TypeInt
	}
	return TypeValue
}

func (p *Plan) checkCond(text string, at int, c Cond) error {
	switch c := c.(type) {
	case AndCond:
		if err := p.checkCond(text, at, c.L); err != nil {
			return err
		}
		return p.checkCond(text, at, c.R)
	case OrCond:
		if err := p.checkCond(text, at, c.L); err != nil {
			return err
		}
		return p.checkCond(text, at, c.R)
	case NotCond:
		return p.checkCond(text, at, c.X)
	case Compare:
		_, err := p.column(text, at, c.Column)
		return err
	}
	return nil
}

// lower has the language read the text of a source.
func (e *Engine) lower(text string, s *planSource) (err error) {
	switch s.Signal {
	case Traces:
		s.filter, err = e.o.SpanFilter(s.Text)
	case Logs:
		s.filter, err = e.o.LogFilter(s.Text)
	case Exemplars:
		s.series, err = e.o.Selectors(s.Text)
	}
	if err != nil {
		return errorAt(text, s.at, "query %q: %w", s.Name, err)
	}
	return nil
}

// projection names what will be read of each record.
func (s *planSource) projection(spec *model.KeySpec) {
	for _, a := range spec.Attributes() {
		s.project = append(s.project, predicate.Field{Name: a})
		if s.Signal == Traces {
			s.project = append(s.project, predicate.Field{Scope: predicate.ScopeEvent, Name: a})
		}
	}
	for _, c := range s.columns {
		if c.get.field.Name != "" {
			s.project = append(s.project, c.get.field)
		}
	}
}

// String explains: what is asked of which source, in order, and what is done
// with the rows.
func (p *Plan) String() string {
	var b strings.Builder
	for i, s := range p.sources {
		fmt.Fprintf(&b, "%d. %s: ask %s for ", i+1, s.Name, s.Signal)
		if s.Signal == Exemplars {
			b.WriteString("the exemplars of " + s.Text)
		} else {
			b.WriteString(s.filter.String())
		}
		if i == 0 {
			fmt.Fprintf(&b, "; keep one entry a %s id", p.Kind)
		} else {
			fmt.Fprintf(&b, "; keep %s ids that can be in %s", p.Kind, p.sources[0].Name)
		}
		for _, c := range s.columns {
			b.WriteString("; " + c.String())
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d. rows: one a %s id of %s, newest first\n", len(p.sources)+1, p.Kind, p.Query.From)
	for i, s := range p.Query.Stages {
		fmt.Fprintf(&b, "%d. %s\n", len(p.sources)+2+i, s)
	}
	var cols []string
	for _, c := range p.Columns {
		cols = append(cols, c.Name+" "+c.Type)
	}
	b.WriteString("columns: " + strings.Join(cols, ", ") + "\n")
	return b.String()
}
