package traceql

import (
	"braid/pkg/model"
)

// SpanFlag notes what is odd about a span's place in its trace.
type SpanFlag uint8

// The flags.
const (
	// FlagOrphan: the parent span is named but not there.
	FlagOrphan SpanFlag = 1 << iota
	// FlagSkewed: the span starts before its parent, so that one clock is wrong.
	FlagSkewed
	// FlagCycle: the span is its own ancestor; the tree was cut here.
	FlagCycle
	// FlagShared: client and server share one span id (Zipkin); the server is
	// shown as the client's child.
	FlagShared
)

// Tree is the structure of one trace. It is built from spans in whatever
// state: orphans and cycles become further roots, nothing is lost.
// Indexes are those of the spans it was built from. It is immutable.
type Tree struct {
	Parent []int32 // -1 for roots
	// Left and Right number the spans as nested sets: a span lies under
	// another when its numbers lie between the other's.
	Left, Right []int32
	Flags       []SpanFlag
	// Order lists the spans parents first, siblings in the order given.
	Order []int32
	Roots []int32

	spans      []model.OutlineSpan
	childStart []int32
	childList  []int32
}

// BuildTree builds the structure of spans in the order of their trace.
func BuildTree(rows []model.SpanRow) *Tree {
	spans := make([]model.OutlineSpan, len(rows))
	for i := range rows {
		r := &rows[i]
		spans[i] = model.OutlineSpan{ID: r.SpanID, Parent: r.ParentID, Start: r.Start, End: r.End, Kind: r.Kind}
	}
	return TreeOf(spans)
}

// TreeOf builds the structure in linear time. It keeps spans.
func TreeOf(spans []model.OutlineSpan) *Tree {
	n := len(spans)
	t := &Tree{spans: spans, Parent: make([]int32, n), Left: make([]int32, n), Right: make([]int32, n), Flags: make([]SpanFlag, n)}
	t.findParents()
	t.cutCycles()
	t.listChildren()
	t.number()
	for i, p := range t.Parent {
		if p >= 0 && spans[i].Start < spans[p].Start {
			t.Flags[i] |= FlagSkewed
		}
	}
	return t
}

func (t *Tree) findParents() {
	index := newSpanIndex(t.spans)
	for i := range t.spans {
		s := &t.spans[i]
		t.Parent[i] = -1
		if s.Kind == model.SpanKindServer {
			if c := t.ofKind(index, s.ID, int32(i), model.SpanKindClient); c >= 0 {
				t.Parent[i] = c
				t.Flags[i] |= FlagShared
				continue
			}
		}
		if s.Parent.IsZero() {
			continue
		}
		t.Parent[i] = t.bestParent(index, s.Parent, int32(i))
		if t.Parent[i] < 0 {
			if s.Parent == s.ID {
				t.Flags[i] |= FlagCycle
			} else {
				t.Flags[i] |= FlagOrphan
			}
		}
	}
}

// maxShared bounds the spans of one id that are looked at: two share an id in
// Zipkin, never hundreds.
const maxShared = 64

func (t *Tree) ofKind(index *spanIndex, id model.SpanID, not int32, kind model.SpanKind) int32 {
	for j, n := index.first(id), 0; j >= 0 && n < maxShared; j, n = index.follow(j), n+1 {
		if j != not && t.spans[j].Kind == kind {
			return j
		}
	}
	return -1
}

// bestParent prefers the server where client and server share an id: what the
// server calls is its child.
func (t *Tree) bestParent(index *spanIndex, id model.SpanID, child int32) int32 {
	best := int32(-1)
	for j, n := index.first(id), 0; j >= 0 && n < maxShared; j, n = index.follow(j), n+1 {
		switch {
		case j == child:
		case t.spans[j].Kind == model.SpanKindServer:
			return j
		case best < 0:
			best = j
		}
	}
	return best
}

// cutCycles makes the first span of every cycle a root.
func (t *Tree) cutCycles() {
	const unseen, onPath, done = 0, 1, 2
	state := make([]uint8, len(t.Parent))
	var path []int32
	for i := range t.Parent {
		path = path[:0]
		at := int32(i)
		for at >= 0 && state[at] == unseen {
			state[at] = onPath
			path = append(path, at)
			at = t.Parent[at]
		}
		if at >= 0 && state[at] == onPath {
			first := at
			for j := t.Parent[at]; j != at; j = t.Parent[j] {
				first = min(first, j)
			}
			t.Parent[first] = -1
			t.Flags[first] |= FlagCycle
		}
		for _, j := range path {
			state[j] = done
		}
	}
}

func (t *Tree) listChildren() {
	n := len(t.Parent)
	t.childStart = make([]int32, n+1)
	for i, p := range t.Parent {
		if p >= 0 {
			t.childStart[p+1]++
		} else {
			t.Roots = append(t.Roots, int32(i))
		}
	}
	for i := range n {
		t.childStart[i+1] += t.childStart[i]
	}
	t.childList = make([]int32, t.childStart[n])
	fill := append([]int32(nil), t.childStart...)
	for i, p := range t.Parent {
		if p >= 0 {
			t.childList[fill[p]] = int32(i)
			fill[p]++
		}
	}
}

// number walks the tree without recursion: a trace may be a chain of a million.
func (t *Tree) number() {
	t.Order = make([]int32, 0, len(t.Parent))
	next := int32(1)
	at := append([]int32(nil), t.childStart...)
	var stack []int32
	for _, r := range t.Roots {
		stack = append(stack, r)
		t.enter(r, &next)
		for len(stack) > 0 {
			i := stack[len(stack)-1]
			if at[i] < t.childStart[i+1] {
				c := t.childList[at[i]]
				at[i]++
				stack = append(stack, c)
				t.enter(c, &next)
				continue
			}
			t.Right[i] = next
			next++
			stack = stack[:len(stack)-1]
		}
	}
}

func (t *Tree) enter(i int32, next *int32) {
	t.Left[i] = *next
	*next++
	t.Order = append(t.Order, i)
}

// Children returns the children of span i, in the order given.
func (t *Tree) Children(i int) []int32 { return t.childList[t.childStart[i]:t.childStart[i+1]] }

// NestedParent is nestedSetParent: -1 for a span that names no parent, 0 where
// the parent is not there, else the parent's Left.
func (t *Tree) NestedParent(i int) int32 {
	switch {
	case t.spans[i].Parent.IsZero():
		return -1
	case t.Parent[i] < 0:
		return 0
	}
	return t.Left[t.Parent[i]]
}

// siblingKey groups spans that share a parent, present or not: the key of span
// i, or ok false for a root.
func (t *Tree) siblingKey(i int32) (key siblingKey, ok bool) {
	if p := t.Parent[i]; p >= 0 {
		return siblingKey{parent: p}, true
	}
	if t.Flags[i]&FlagOrphan != 0 {
		return siblingKey{parent: -1, missing: t.spans[i].Parent}, true
	}
	return siblingKey{}, false
}

type siblingKey struct {
	parent  int32
	missing model.SpanID
}

// Depth returns the distance of every span from its root.
func (t *Tree) Depth() []int32 {
	d := make([]int32, len(t.Parent))
	for _, i := range t.Order {
		if p := t.Parent[i]; p >= 0 {
			d[i] = d[p] + 1
		}
	}
	return d
}
