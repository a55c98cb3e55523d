package traceql

import (
	"fmt"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// Subset asks for the spans of one trace that a filter matches, and for what
// is around them.
type Subset struct {
	Filter string // a single span filter, { … }
	// Above and Below are how many levels of ancestors and descendants of each
	// span are kept with it; -1 means all of them.
	Above, Below int
}

// ofTheTrace are the intrinsics that are equal for all spans of a trace: they
// choose traces, not spans of one.
var ofTheTrace = map[string]bool{inTraceID: true, inTraceDuration: true, inRootName: true, inRootService: true}

// plan reads the filter. Errors wrap model.ErrInvalid.
func (s Subset) plan() (*Plan, SpansetFilter, error) {
	q, err := Parse(s.Filter)
	if err != nil {
		return nil, SpansetFilter{}, err
	}
	if q.Metrics != nil || q.Math != nil || len(q.Pipeline.Stages) != 1 {
		return nil, SpansetFilter{}, fmt.Errorf("%w: %s is more than one span filter; here it must have the form { … }", model.ErrInvalid, s.Filter)
	}
	f, ok := q.Pipeline.Stages[0].(SpansetFilter)
	if !ok {
		return nil, f, fmt.Errorf("%w: %s is more than one span filter; here it must have the form { … }", model.ErrInvalid, s.Filter)
	}
	if f.Expr != nil {
		eachField(f.Expr, func(x Field) {
			if err == nil && x.Scope == ScopeIntrinsic && ofTheTrace[x.Name] {
				err = fmt.Errorf("%w: %s is the same for all spans of a trace; here a filter chooses among them", model.ErrInvalid, x)
			}
		})
	}
	if err != nil {
		return nil, f, err
	}
	plan, err := NewPlan(q)
	return plan, f, err
}

// Of keeps of a trace's spans what is asked for, in their order, and reports
// whether some were left out.
func (s Subset) Of(spans []model.SpanRow) (kept []model.SpanRow, partial bool, err error) {
	plan, f, err := s.plan()
	if err != nil {
		return nil, false, err
	}
	sc := &scene{spans: spans, facts: &model.TraceFacts{}, tree: BuildTree(spans)}
	all := make([]int32, len(spans))
	for i := range spans {
		all[i] = int32(i)
		spans[i].Match = 0
		if predicate.Eval(plan.filters[0].low.expr, predicate.SpanRow{SpanRow: &spans[i], Facts: sc.facts}) {
			spans[i].Match = 1
		}
	}
	keep := make([]bool, len(spans))
	found := plan.matches(sc, f, all)
	for _, i := range found {
		keep[i] = true
	}
	s.keepAbove(sc.tree, found, keep)
	s.keepBelow(sc.tree, found, keep)
	for i := range spans {
		if keep[i] {
			kept = append(kept, spans[i])
		}
	}
	return kept, len(kept) < len(spans), nil
}

// keepAbove climbs from each span until it meets one from which another has
// climbed as far.
func (s Subset) keepAbove(tree *Tree, found []int32, keep []bool) {
	levels := s.Above
	if levels < 0 {
		levels = len(keep)
	}
	climbed := make([]int, len(keep))
	for _, i := range found {
		for n, p := levels, tree.Parent[i]; n > 0 && p >= 0 && climbed[p] < n; n, p = n-1, tree.Parent[p] {
			keep[p], climbed[p] = true, n
		}
	}
}

// keepBelow walks down level by level from all spans found: none is visited
// twice.
func (s Subset) keepBelow(tree *Tree, level []int32, keep []bool) {
	seen := make([]bool, len(keep))
	for n := s.Below; n != 0 && len(level) > 0; n-- {
		var next []int32
		for _, i := range level {
			for _, c := range tree.Children(int(i)) {
				if !seen[c] {
					seen[c], keep[c] = true, true
					next = append(next, c)
				}
			}
		}
		level = next
	}
}
