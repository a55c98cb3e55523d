package traceql

import (
	"cmp"
	"slices"

	"braid/pkg/criticalpath"
)

// CriticalPath returns what the trace's main root waited for: see criticalpath.Of.
func (t *Tree) CriticalPath() []criticalpath.Segment {
	root := t.MainRoot()
	if root < 0 {
		return nil
	}
	return criticalpath.Of(criticalpath.Tree{
		Children: func(i int32) []int32 { return t.Children(int(i)) },
		Start:    func(i int32) int64 { return t.spans[i].Start },
		End:      func(i int32) int64 { return t.spans[i].End },
	}, root)
}

// MainRoot returns the longest root that has no parent by its own word, else
// the longest root; -1 for an empty trace.
func (t *Tree) MainRoot() int32 {
	best := int32(-1)
	better := func(a, b int32) bool {
		x, y := &t.spans[a], &t.spans[b]
		if x.Parent.IsZero() != y.Parent.IsZero() {
			return x.Parent.IsZero()
		}
		return x.Duration() > y.Duration()
	}
	for _, r := range t.Roots {
		if best < 0 || better(r, best) {
			best = r
		}
	}
	return best
}

// SelfTimes returns for every span the nanoseconds in which none of its
// children ran.
func (t *Tree) SelfTimes() []int64 {
	out := make([]int64, len(t.spans))
	byStart := func(a, b int32) int { return cmp.Compare(t.spans[a].Start, t.spans[b].Start) }
	var scratch []int32
	for i := range t.spans {
		s := &t.spans[i]
		out[i] = s.Duration()
		children := t.Children(i)
		if !slices.IsSortedFunc(children, byStart) { // in the order of a trace they are
			scratch = append(scratch[:0], children...)
			children = scratch
			slices.SortFunc(children, byStart)
		}
		covered := s.Start
		for _, c := range children {
			from, to := max(covered, t.spans[c].Start), min(s.End, t.spans[c].End)
			if to > from {
				out[i] -= to - from
				covered = to
			}
		}
	}
	return out
}
