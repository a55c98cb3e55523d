package traceql

import (
	"cmp"
	"slices"
)

// Segment is a stretch of time, Unix nanoseconds, in which a trace waited for
// one span's own work.
type Segment struct {
	Span       int32
	Start, End int64
}

// CriticalPath returns what the trace's main root waited for, in the order of
// time: the segments cover the root's duration without gap
// or overlap. Shortening anything else does not make the request faster.
//
// Of the children that ran at some moment the one that ended last is waited
// for; a child that outlives its parent counts only up to the parent's end.
func (t *Tree) CriticalPath() []Segment {
	root := t.MainRoot()
	if root < 0 {
		return nil
	}
	var out []Segment
	stack := []*pathFrame{t.frame(root, t.spans[root].Start, t.spans[root].End)}
	for len(stack) > 0 {
		f := stack[len(stack)-1]
		child, at := f.next(t)
		if child < 0 {
			if f.cursor > f.start {
				out = append(out, Segment{f.span, f.start, f.cursor})
			}
			stack = stack[:len(stack)-1]
			continue
		}
		if at < f.cursor {
			out = append(out, Segment{f.span, at, f.cursor})
		}
		from := max(f.start, t.spans[child].Start)
		f.cursor = from
		stack = append(stack, t.frame(child, from, at))
	}
	slices.Reverse(out)
	return out
}

// MainRoot returns the longest root that has no parent by its own word, else
// the longest root; -1 for an empty trace.
func (t *Tree) MainRoot() int32 {
	best := int32(-1)
	better := func(a, b int32) bool {
		x, y := &t.spans[a], &t.spans[b]
		if x.ParentID.IsZero() != y.ParentID.IsZero() {
			return x.ParentID.IsZero()
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

// pathFrame is a span whose part of the path is being walked backwards from
// cursor. children are ordered by end, latest first; those before at are done.
type pathFrame struct {
	span          int32
	start, cursor int64
	children      []int32
	at            int
}

func (t *Tree) frame(span int32, start, end int64) *pathFrame {
	f := &pathFrame{span: span, start: start, cursor: max(start, end), children: slices.Clone(t.Children(int(span)))}
	slices.SortFunc(f.children, func(a, b int32) int {
		return cmp.Or(cmp.Compare(t.spans[b].End, t.spans[a].End), cmp.Compare(a, b))
	})
	return f
}

// next finds the child that the span waited for just before the cursor, and
// until when; -1 when there is none.
func (f *pathFrame) next(t *Tree) (child int32, until int64) {
	for f.at < len(f.children) {
		c := f.children[f.at]
		f.at++
		s := &t.spans[c]
		until = min(s.End, f.cursor)
		if s.Start < f.cursor && until > max(s.Start, f.start) {
			return c, until
		}
	}
	return -1, 0
}

// SelfTimes returns for every span the nanoseconds in which none of its
// children ran.
func (t *Tree) SelfTimes() []int64 {
	out := make([]int64, len(t.spans))
	for i := range t.spans {
		s := &t.spans[i]
		out[i] = s.Duration()
		children := slices.Clone(t.Children(i))
		slices.SortFunc(children, func(a, b int32) int { return cmp.Compare(t.spans[a].Start, t.spans[b].Start) })
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
