package traceql

import (
	"strconv"
	"strings"
	"time"

	"braid/pkg/model"
)

// Query is a parsed query. String spells it so that it parses to itself.
type Query struct {
	Pipeline *Pipeline
	// Metrics is nil for a search.
	Metrics *Metrics
	// Math is arithmetic on metrics queries; Pipeline is then empty. Second
	// works on its result.
	Math   Math
	Second []SecondStage
	Hints  []Hint
	// Source is the text that was parsed.
	Source string
}

// Pipeline is a chain of stages, evaluated on one trace at a time.
type Pipeline struct {
	Stages []Stage
}

// Stage is SpansetFilter, SpansetOp, *Pipeline (in parentheses), ScalarFilter,
// GroupBy, Coalesce or Select.
type Stage interface {
	String() string
	stage()
}

// SpansetFilter keeps the spans for which Expr is true; a nil Expr keeps all.
type SpansetFilter struct {
	Expr Expr
	pos  int
}

// SpansetOp joins two spansets: see the structural operators in spanset.go.
type SpansetOp struct {
	Op   string
	L, R Stage
}

// ScalarFilter keeps the spansets for which the comparison holds.
type ScalarFilter struct {
	Op   string
	L, R Scalar
}

// GroupBy splits spansets by the value of an expression.
type GroupBy struct{ By []Expr }

// Coalesce joins all spansets of a trace into one.
type Coalesce struct{}

// Select adds fields to the spans of the result.
type Select struct{ Fields []Field }

// Scalar is one number of a spanset: ScalarStatic, Aggregate, ScalarBinary or
// ScalarPipeline.
type Scalar interface {
	String() string
	scalar()
}

// ScalarStatic is a literal.
type ScalarStatic struct{ Static }

// Aggregate measures a spanset: count, avg, min, max or sum. Of is nil for count.
type Aggregate struct {
	Func string
	Of   Expr
	pos  int
}

// ScalarBinary is arithmetic on scalars.
type ScalarBinary struct {
	Op   string
	L, R Scalar
}

// ScalarPipeline measures what a pipeline of its own leaves of the trace.
type ScalarPipeline struct {
	Pipeline *Pipeline
	Of       Scalar
}

// Metrics turns the spans of the pipeline into series.
type Metrics struct {
	Func      string
	Of        *Field    // the measured field, nil for rate and count_over_time
	Quantiles []float64 // quantile_over_time
	Compare   *Compare  // compare
	By        []Field
	Second    []SecondStage
	pos       int
}

// Compare splits the spans into a selection and a baseline.
type Compare struct {
	Selection SpansetFilter
	TopN      int
	// Start and End, Unix nanoseconds, bound the selection in time when set.
	Start, End int64
}

// SecondStage works on the series: "topk" and "bottomk" with N, or a comparison
// of every sample with Value.
type SecondStage struct {
	Op    string
	N     int
	Value float64
}

// Hint is one name=value of with(…).
type Hint struct {
	Name  string
	Value Static
}

// Expr is a field expression: Static, Array, Field, Unary or Binary.
type Expr interface {
	String() string
	expr()
}

// Type is the type of a literal or what is known of an expression's.
type Type uint8

// The types.
const (
	TypeUnknown Type = iota // an attribute's
	TypeNil
	TypeString
	TypeBool
	TypeInt
	TypeFloat
	TypeDuration
	TypeStatus
	TypeKind
)

// String names the type in errors.
func (t Type) String() string {
	return [...]string{"attribute", "nil", "string", "boolean", "integer", "float", "duration", "status", "kind"}[t]
}

// a names the type with its article.
func (t Type) a() string {
	if t == TypeInt || t == TypeUnknown {
		return "an " + t.String()
	}
	return "a " + t.String()
}

func (t Type) numeric() bool { return t >= TypeInt && t <= TypeDuration }

// Static is a literal. A duration is an int of nanoseconds, a status and a kind
// are their words.
type Static struct {
	Type  Type
	Value model.Value
}

// Array is a list of literals: = means any of them, != none of them.
type Array []Static

// Unary is "!" or "-".
type Unary struct {
	Op string
	X  Expr
}

// Binary is a boolean, comparing or arithmetic operation.
type Binary struct {
	Op   string
	L, R Expr
	pos  int
}

func (SpansetFilter) stage()   {}
func (SpansetOp) stage()       {}
func (*Pipeline) stage()       {}
func (ScalarFilter) stage()    {}
func (GroupBy) stage()         {}
func (Coalesce) stage()        {}
func (Select) stage()          {}
func (ScalarStatic) scalar()   {}
func (Aggregate) scalar()      {}
func (ScalarBinary) scalar()   {}
func (ScalarPipeline) scalar() {}
func (Static) expr()           {}
func (Array) expr()            {}
func (Field) expr()            {}
func (Unary) expr()            {}
func (Binary) expr()           {}

// String spells the query.
func (q *Query) String() string {
	s := q.Pipeline.String()
	if q.Metrics != nil {
		s += " | " + q.Metrics.String()
	}
	if q.Math != nil {
		s = q.Math.String()
		for _, x := range q.Second {
			s += x.String()
		}
	}
	if len(q.Hints) > 0 {
		h := make([]string, len(q.Hints))
		for i, x := range q.Hints {
			h[i] = x.Name + "=" + x.Value.String()
		}
		s += " with(" + strings.Join(h, ", ") + ")"
	}
	return s
}

// Hint returns the value of a hint.
func (q *Query) Hint(name string) (Static, bool) {
	for _, h := range q.Hints {
		if h.Name == name {
			return h.Value, true
		}
	}
	return Static{}, false
}

func (p *Pipeline) String() string {
	parts := make([]string, len(p.Stages))
	for i, s := range p.Stages {
		parts[i] = wrapStage(s, 0, false)
	}
	return strings.Join(parts, " | ")
}

func (f SpansetFilter) String() string {
	if f.Expr == nil {
		return "{ }"
	}
	return "{ " + f.Expr.String() + " }"
}

func (o SpansetOp) String() string {
	p := spansetPrecedence(o.Op)
	l, ok := o.L.(SpansetOp)
	mixed := ok && p == 1 && l.Op != o.Op
	return wrapStage(o.L, p, mixed) + " " + o.Op + " " + wrapStage(o.R, p, true)
}

func wrapStage(s Stage, outer int, right bool) string {
	text := s.String()
	switch s := s.(type) {
	case *Pipeline:
		return "(" + text + ")"
	case SpansetOp:
		if p := spansetPrecedence(s.Op); p < outer || right && p == outer {
			return "(" + text + ")"
		}
	}
	return text
}

func (f ScalarFilter) String() string { return f.L.String() + " " + f.Op + " " + f.R.String() }

func (g GroupBy) String() string {
	parts := make([]string, len(g.By))
	for i, e := range g.By {
		parts[i] = e.String()
	}
	return "by(" + strings.Join(parts, ", ") + ")"
}

func (Coalesce) String() string { return "coalesce()" }

func (s Select) String() string { return "select(" + joinFields(s.Fields) + ")" }

func joinFields(fs []Field) string {
	parts := make([]string, len(fs))
	for i, f := range fs {
		parts[i] = f.String()
	}
	return strings.Join(parts, ", ")
}

func (a Aggregate) String() string {
	if a.Of == nil {
		return a.Func + "()"
	}
	return a.Func + "(" + a.Of.String() + ")"
}

func (b ScalarBinary) String() string {
	p := exprPrecedence(b.Op)
	return wrapScalar(b.L, p, b.Op == "^") + " " + b.Op + " " + wrapScalar(b.R, p, b.Op != "^")
}

func wrapScalar(s Scalar, outer int, closer bool) string {
	if b, ok := s.(ScalarBinary); ok {
		if p := exprPrecedence(b.Op); p < outer || closer && p == outer {
			return "(" + s.String() + ")"
		}
	}
	if n, ok := s.(ScalarStatic); ok && strings.HasPrefix(n.String(), "-") && outer == exprPrecedence("^") {
		return "(" + s.String() + ")"
	}
	return s.String()
}

func (p ScalarPipeline) String() string {
	return "(" + p.Pipeline.String() + " | " + p.Of.String() + ")"
}

func (m *Metrics) String() string {
	var args []string
	if m.Of != nil {
		args = append(args, m.Of.String())
	}
	for _, q := range m.Quantiles {
		args = append(args, formatFloat(q))
	}
	if c := m.Compare; c != nil {
		args = append(args, c.Selection.String())
		if c.TopN != 0 || c.Start != 0 {
			args = append(args, strconv.Itoa(c.TopN))
		}
		if c.Start != 0 {
			args = append(args, strconv.FormatInt(c.Start, 10), strconv.FormatInt(c.End, 10))
		}
	}
	s := m.Func + "(" + strings.Join(args, ", ") + ")"
	if len(m.By) > 0 {
		s += " by(" + joinFields(m.By) + ")"
	}
	for _, x := range m.Second {
		s += x.String()
	}
	return s
}

// String spells the stage with what joins it to the one before.
func (s SecondStage) String() string {
	if s.Op == "topk" || s.Op == "bottomk" {
		return " | " + s.Op + "(" + strconv.Itoa(s.N) + ")"
	}
	return " " + s.Op + " " + formatFloat(s.Value)
}

// String spells the literal.
func (s Static) String() string {
	switch s.Type {
	case TypeNil:
		return "nil"
	case TypeString:
		return strconv.Quote(s.Value.Str())
	case TypeFloat:
		f, _ := s.Value.Float()
		return formatFloat(f)
	case TypeDuration:
		return time.Duration(s.Value.AsInt()).String()
	}
	return s.Value.Text()
}

// formatFloat keeps a float a float when it is read back.
func formatFloat(f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

func (a Array) String() string {
	parts := make([]string, len(a))
	for i, s := range a {
		parts[i] = s.String()
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (u Unary) String() string { return u.Op + wrapExpr(u.X, precUnary, false) }

func (b Binary) String() string {
	p := exprPrecedence(b.Op)
	right := b.Op == "^"
	l, ok := b.L.(Binary)
	mixed := ok && p == 1 && l.Op != b.Op // && and || bind alike: show which comes first
	return wrapExpr(b.L, p, right || isComparison(b.Op) || mixed) + " " + b.Op + " " + wrapExpr(b.R, p, !right)
}

// wrapExpr puts parentheses around what binds looser than its surroundings; or
// as tight, on the side where the operator does not associate.
func wrapExpr(e Expr, outer int, closer bool) string {
	p := 100
	switch e := e.(type) {
	case Binary:
		p = exprPrecedence(e.Op)
	case Unary:
		p = precUnary
	case Static:
		if strings.HasPrefix(e.String(), "-") {
			p = precUnary
		}
	}
	if p < outer || closer && p == outer {
		return "(" + e.String() + ")"
	}
	return e.String()
}
