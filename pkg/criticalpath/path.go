package criticalpath

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

// Tree is a tree of spans, by number. Children end somewhere: no span is below
// itself. Start and End may be corrected for the clocks of their hosts.
type Tree struct {
	Children   func(span int32) []int32
	Start, End func(span int32) int64
}

// Of returns what a root waited for, in the order of time: the segments cover
// the root's duration without gap or overlap. Shortening anything else does not
// make the request faster.
//
// Of the children that ran at some moment the one that ended last is waited
// for; a child that outlives its parent counts only up to the parent's end.
func Of(t Tree, root int32) []Segment {
	var out []Segment
	stack := []*frame{t.frame(root, t.Start(root), t.End(root))}
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
		from := max(f.start, t.Start(child))
		f.cursor = from
		stack = append(stack, t.frame(child, from, at))
	}
	slices.Reverse(out)
	return out
}

// frame is a span whose part of the path is being walked backwards from cursor.
// children are ordered by end, latest first; those before at are done.
type frame struct {
	span          int32
	start, cursor int64
	children      []int32
	at            int
}

func (t Tree) frame(span int32, start, end int64) *frame {
	f := &frame{span: span, start: start, cursor: max(start, end), children: slices.Clone(t.Children(span))}
	slices.SortFunc(f.children, func(a, b int32) int {
		return cmp.Or(cmp.Compare(t.End(b), t.End(a)), cmp.Compare(a, b))
	})
	return f
}

// next finds the child that the span waited for just before the cursor, and
// until when; -1 when there is none.
func (f *frame) next(t Tree) (child int32, until int64) {
	for f.at < len(f.children) {
		c := f.children[f.at]
		f.at++
		until = min(t.End(c), f.cursor)
		if t.Start(c) < f.cursor && until > max(t.Start(c), f.start) {
			return c, until
		}
	}
	return -1, 0
}
