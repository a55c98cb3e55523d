package traceql

import (
	"fmt"
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// maxFilters is what the bits of SpanRow.Match allow.
const maxFilters = 64

// maxMasks bounds the combinations of filters told to a source.
const maxMasks = 64

// Plan is how a query will be answered: what travels to the source and what is
// done with what comes back. It is immutable.
type Plan struct {
	query   *Query
	filters []planFilter
	bits    map[string]int
	require []uint64
	tree    bool
	project []predicate.Field // nil: every field
	// shown are the fields that a search result carries for its spans, and tests
	// what the filters want of those that a span may have several values of.
	shown []Field
	tests map[Field][]Binary
	// pushed: one exact filter and nothing else, so that the source's answer is
	// the answer.
	pushed bool
}

type planFilter struct {
	filter   SpansetFilter
	low      lowered
	prepared Expr // tried again when low is not exact
}

// NewPlan lowers a query.
func NewPlan(q *Query) (*Plan, error) { return newPlan(q, nil) }

// newPlan also asks for the field that results are sorted by.
func newPlan(q *Query, sortBy *Field) (*Plan, error) {
	p := &Plan{query: q, bits: map[string]int{}, tests: map[Field][]Binary{}}
	b := planner{Plan: p, fields: map[predicate.Field]bool{}, shown: map[Field]bool{}}
	if err := b.pipeline(q.Pipeline); err != nil {
		return nil, err
	}
	if m := q.Metrics; m != nil {
		if err := b.metrics(m); err != nil {
			return nil, err
		}
	}
	if sortBy != nil {
		b.needShown(*sortBy)
	}
	p.require = masksOf(p, q.Pipeline)
	if len(q.Pipeline.Stages) == 1 && (q.Metrics == nil || q.Metrics.Compare == nil) {
		_, single := q.Pipeline.Stages[0].(SpansetFilter)
		p.pushed = single && p.filters[0].low.exact && !p.tree
	}
	p.project = []predicate.Field{}
	if q.Metrics != nil && q.Metrics.Compare != nil {
		p.project = nil
	} else {
		p.project = append(p.project, b.order...)
	}
	return p, nil
}

type planner struct {
	*Plan
	fields map[predicate.Field]bool
	order  []predicate.Field
	shown  map[Field]bool
}

func (b *planner) pipeline(p *Pipeline) error {
	for _, s := range p.Stages {
		if err := b.stage(s); err != nil {
			return err
		}
	}
	return nil
}

func (b *planner) stage(s Stage) error {
	switch s := s.(type) {
	case SpansetFilter:
		return b.filter(s)
	case SpansetOp:
		if spansetPrecedence(s.Op) == 3 {
			b.tree = true
		}
		if err := b.stage(s.L); err != nil {
			return err
		}
		return b.stage(s.R)
	case *Pipeline:
		return b.pipeline(s)
	case ScalarFilter:
		if err := b.scalar(s.L); err != nil {
			return err
		}
		return b.scalar(s.R)
	case GroupBy:
		for _, e := range s.By {
			eachField(e, b.needShown)
		}
	case Select:
		for _, f := range s.Fields {
			b.needShown(f)
		}
	}
	return nil
}

func (b *planner) scalar(s Scalar) error {
	switch s := s.(type) {
	case Aggregate:
		if s.Of != nil {
			eachField(s.Of, b.needShown)
		}
	case ScalarBinary:
		if err := b.scalar(s.L); err != nil {
			return err
		}
		return b.scalar(s.R)
	case ScalarPipeline:
		if err := b.pipeline(s.Pipeline); err != nil {
			return err
		}
		return b.scalar(s.Of)
	}
	return nil
}

func (b *planner) metrics(m *Metrics) error {
	for _, f := range m.By {
		b.need(f)
	}
	if m.Of != nil {
		b.need(*m.Of)
	}
	if m.Compare != nil {
		return b.filter(m.Compare.Selection)
	}
	return nil
}

// filter gives a span filter its bit; equal filters share one.
func (b *planner) filter(f SpansetFilter) error {
	key := f.String()
	if _, ok := b.bits[key]; ok {
		return nil
	}
	if len(b.filters) == maxFilters {
		return errorAt(b.query.Source, f.pos, "a query can hold at most %d different span filters", maxFilters)
	}
	low := lowerFilter(f.Expr)
	pf := planFilter{filter: f, low: low}
	if f.Expr != nil {
		eachField(f.Expr, b.show)
		b.test(f.Expr)
	}
	if !low.exact {
		pf.prepared = prepareCondition(f.Expr)
		eachField(f.Expr, b.need)
	} else if f.Expr != nil {
		eachField(f.Expr, b.project1)
	}
	b.bits[key] = len(b.filters)
	b.filters = append(b.filters, pf)
	return nil
}

// need asks for a field, or for the whole tree where only that tells it.
func (b *planner) need(f Field) {
	switch {
	case f.Parent:
		b.tree = true
	case f.Scope == ScopeIntrinsic:
		switch f.Name {
		case inNestedLeft, inNestedRight, inNestedParent, inChildCount:
			b.tree = true
		}
	}
	b.project1(f)
}

func (b *planner) needShown(f Field) {
	b.need(f)
	b.show(f)
}

func (b *planner) project1(f Field) {
	pf, ok := Field{Scope: f.Scope, Name: f.Name}.Predicate()
	if ok && pf.Scope != predicate.ScopeIntrinsic && pf.Scope != predicate.ScopeTrace && !b.fields[pf] {
		b.fields[pf] = true
		b.order = append(b.order, pf)
	}
}

// show makes the result carry a field, unless every result has it anyway.
func (b *planner) show(f Field) {
	if f.Scope == ScopeIntrinsic {
		switch f.Name {
		case inName, inDuration, inTraceID, inSpanID, inTraceDuration, inRootName, inRootService, inParent:
			return
		}
	}
	if !b.shown[f] {
		b.shown[f] = true
		b.Plan.shown = append(b.Plan.shown, f)
	}
}

// test remembers the comparisons of fields of events and links: of their values
// a result shows one that a filter wants.
func (b *planner) test(e Expr) {
	switch e := e.(type) {
	case Unary:
		b.test(e.X)
	case Binary:
		f, ok := e.L.(Field)
		if ok && !f.single() && isComparison(e.Op) && !isNil(e.R) {
			b.tests[f] = append(b.tests[f], e)
			return
		}
		b.test(e.L)
		b.test(e.R)
	}
}

// prepare replaces the conditions that a source could try by just that, so
// that regular expressions are compiled once.
func prepare(e Expr) Expr {
	switch e := e.(type) {
	case Unary:
		if e.Op == "!" {
			return Unary{Op: e.Op, X: prepareCondition(e.X)}
		}
		return Unary{Op: e.Op, X: prepare(e.X)}
	case Binary:
		p := exprPrecedence(e.Op)
		if p <= precComparison {
			if l := lowerBinary(e); l.exact {
				return test{l.expr}
			}
		}
		if p < precComparison {
			return Binary{Op: e.Op, L: prepareCondition(e.L), R: prepareCondition(e.R), pos: e.pos}
		}
		return Binary{Op: e.Op, L: prepare(e.L), R: prepare(e.R), pos: e.pos}
	}
	return e
}

// prepareCondition also takes a bare field for what it is there: a condition.
func prepareCondition(e Expr) Expr {
	if f, ok := e.(Field); ok {
		if l := lower(f); l.exact {
			return test{l.expr}
		}
	}
	return prepare(e)
}

// test is a condition in a source's words.
type test struct{ predicate.Expr }

func (test) expr() {}

// masksOf returns the combinations of filters of which a trace must satisfy
// one to have a chance; nil means any single filter.
func masksOf(p *Plan, s Stage) []uint64 {
	m := p.masks(s)
	for _, x := range m {
		if x == 0 {
			return nil
		}
	}
	return m
}

func (p *Plan) masks(s Stage) []uint64 {
	switch s := s.(type) {
	case SpansetFilter:
		return []uint64{1 << p.bits[s.String()]}
	case SpansetOp:
		r := p.masks(s.R)
		switch {
		case s.Op == "||":
			return bounded(append(append([]uint64{}, p.masks(s.L)...), r...))
		case strings.HasPrefix(s.Op, "!"):
			return r
		}
		return both(p.masks(s.L), r)
	case *Pipeline:
		out := []uint64{0}
		for _, x := range s.Stages {
			out = both(out, p.masks(x))
		}
		return out
	}
	return []uint64{0}
}

func both(a, b []uint64) []uint64 {
	var out []uint64
	for _, x := range a {
		for _, y := range b {
			out = append(out, x|y)
		}
	}
	return bounded(out)
}

// bounded drops repeated masks, and all of them when they are too many.
func bounded(m []uint64) []uint64 {
	seen := map[uint64]bool{}
	var out []uint64
	for _, x := range m {
		if !seen[x] {
			seen[x] = true
			out = append(out, x)
		}
	}
	if len(out) > maxMasks {
		return []uint64{0}
	}
	return out
}

// spanQuery is the question for the source; the caller adds tenant and range.
func (p *Plan) spanQuery() *predicate.SpanQuery {
	q := &predicate.SpanQuery{Require: p.require, Tree: p.tree, Project: p.project}
	for _, f := range p.filters {
		q.Filters = append(q.Filters, f.low.expr)
	}
	return q
}

// matches lists the spans, among those given, that filter f keeps.
func (p *Plan) matches(s *scene, f SpansetFilter, among []int32) []int32 {
	bit := p.bits[f.String()]
	pf := &p.filters[bit]
	var out []int32
	for _, i := range among {
		if s.spans[i].Match&(1<<bit) == 0 {
			continue
		}
		if pf.low.exact || s.truth(pf.prepared, int(i)) {
			out = append(out, i)
		}
	}
	return out
}

// String is EXPLAIN: what travels, and what is left to do.
func (p *Plan) String() string {
	var b strings.Builder
	for i, f := range p.filters {
		fmt.Fprintf(&b, "filter %d: %s", i, f.low.expr)
		if !f.low.exact {
			fmt.Fprintf(&b, ", then %s", f.filter)
		}
		b.WriteByte('\n')
	}
	if m := p.query.Metrics; p.pushed && m != nil && p.aggregates(m) {
		fmt.Fprintf(&b, "at the source: aggregate for %s\n", m)
		return b.String()
	}
	b.WriteString("traces: that have ")
	if len(p.require) == 0 {
		b.WriteString("any filter")
	}
	for i, m := range p.require {
		if i > 0 {
			b.WriteString(" or ")
		}
		b.WriteString(maskString(m))
	}
	b.WriteByte('\n')
	switch {
	case p.tree:
		b.WriteString("spans: all of these traces\n")
	default:
		b.WriteString("spans: those that match\n")
	}
	if p.project == nil {
		b.WriteString("fields: all\n")
	} else if len(p.project) > 0 {
		parts := make([]string, len(p.project))
		for i, f := range p.project {
			parts[i] = f.String()
		}
		fmt.Fprintf(&b, "fields: %s\n", strings.Join(parts, ", "))
	}
	if !p.pushed {
		fmt.Fprintf(&b, "then: %s\n", p.query.Pipeline)
	}
	if p.query.Metrics != nil {
		fmt.Fprintf(&b, "then: %s\n", p.query.Metrics)
	}
	return b.String()
}

func maskString(m uint64) string {
	var parts []string
	for i := range maxFilters {
		if m&(1<<i) != 0 {
			parts = append(parts, fmt.Sprint(i))
		}
	}
	return "(" + strings.Join(parts, " and ") + ")"
}

// aggregates reports whether the source can aggregate for a metrics function.
func (p *Plan) aggregates(m *Metrics) bool {
	if m.Compare != nil {
		return false
	}
	fields := append([]Field(nil), m.By...)
	if m.Of != nil {
		fields = append(fields, *m.Of)
	}
	for _, f := range fields {
		if _, ok := f.Predicate(); !ok || !f.single() || f == intrinsic(inStatusMessage) {
			return false
		}
	}
	return true
}

// spanset is a set of spans of one trace on its way through a pipeline. spans
// ascend. attrs are what by() and aggregates found.
type spanset struct {
	spans []int32
	attrs model.Attrs
}
