package correlation

import (
	"sort"

	"braid/pkg/criticalpath"
	"braid/pkg/model"
)

// SpanNode is a span in its place in the request.
type SpanNode struct {
	model.SpanRow
	Depth    int
	Parent   int   // index of the parent in the slice, -1 for roots and orphans
	Self     int64 // ns not covered by children
	Critical bool
	Flags    []string // orphan, clock-skew, cycle, ends-before-start
	// Shift is what must be added to the span's times so that it does not
	// start before its parent; 0 when clocks agree.
	Shift int64
}

// The flags of a SpanNode.
const (
	FlagOrphan = "orphan"
	FlagSkew   = "clock-skew"
	FlagCycle  = "cycle"
	FlagNegEnd = "ends-before-start"
)

type tree struct {
	nodes    []SpanNode
	children [][]int
	roots    []int
}

// buildTree links spans (sorted by start) to their parents, within their trace.
// Spans that share an id (Zipkin's client and server halves) hang one below the
// other: the server half below the client half. Cycles are cut at the earliest
// span.
func buildTree(spans []model.SpanRow) *tree {
	t := linkTree(spans)
	t.place()
	t.markCritical()
	return t
}

// linkTree finds parents and children only.
func linkTree(spans []model.SpanRow) *tree {
	t := &tree{nodes: make([]SpanNode, len(spans)), children: make([][]int, len(spans))}
	type id struct {
		trace model.TraceID
		span  model.SpanID
	}
	holders := make(map[id][]int, len(spans))
	for i := range spans {
		t.nodes[i] = SpanNode{SpanRow: spans[i], Parent: -1}
		k := id{spans[i].TraceID, spans[i].SpanID}
		holders[k] = append(holders[k], i)
	}
	for i := range t.nodes {
		n := &t.nodes[i]
		if n.End < n.Start {
			n.Flags = append(n.Flags, FlagNegEnd)
		}
		if shared := holders[id{n.TraceID, n.SpanID}]; len(shared) > 1 && n.Kind == model.SpanKindServer {
			if p := otherKind(t.nodes, shared, i, model.SpanKindClient); p >= 0 {
				n.Parent = p
				continue
			}
		}
		if n.ParentID.IsZero() {
			continue
		}
		candidates := holders[id{n.TraceID, n.ParentID}]
		if p := otherKind(t.nodes, candidates, i, model.SpanKindServer); p >= 0 {
			n.Parent = p
		} else if len(candidates) > 0 && candidates[0] != i {
			n.Parent = candidates[0]
		} else {
			n.Flags = append(n.Flags, FlagOrphan)
		}
	}
	t.cutCycles()
	for i := range t.nodes {
		if p := t.nodes[i].Parent; p >= 0 {
			t.children[p] = append(t.children[p], i)
		} else {
			t.roots = append(t.roots, i)
		}
	}
	return t
}

func otherKind(nodes []SpanNode, candidates []int, self int, kind model.SpanKind) int {
	for _, c := range candidates {
		if c != self && nodes[c].Kind == kind {
			return c
		}
	}
	return -1
}

// cutCycles makes sure that every chain of parents ends. State: 0 unseen, 1 on
// the present chain, 2 known to end.
func (t *tree) cutCycles() {
	state := make([]uint8, len(t.nodes))
	for i := range t.nodes {
		var chain []int
		for j := i; j >= 0 && state[j] != 2; j = t.nodes[j].Parent {
			if state[j] == 1 {
				t.nodes[j].Parent = -1
				t.nodes[j].Flags = append(t.nodes[j].Flags, FlagCycle)
				break
			}
			state[j] = 1
			chain = append(chain, j)
		}
		for _, j := range chain {
			state[j] = 2
		}
	}
}

// place walks the tree from the roots, without recursion (a trace may be a
// million spans deep), and sets depth, clock shift and self time.
func (t *tree) place() {
	stack := append([]int(nil), t.roots...)
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		n := &t.nodes[i]
		if n.Parent >= 0 {
			p := &t.nodes[n.Parent]
			n.Depth = p.Depth + 1
			if n.Resource.Service() == p.Resource.Service() {
				n.Shift = p.Shift // one process, one clock
			}
			if lag := p.Start + p.Shift - (n.Start + n.Shift); lag > 0 {
				n.Shift += lag
				n.Flags = append(n.Flags, FlagSkew)
			}
		}
		n.Self = t.selfTime(i)
		stack = append(stack, t.children[i]...)
	}
}

// selfTime is the span's duration less the union of its children's times.
func (t *tree) selfTime(i int) int64 {
	n := &t.nodes[i]
	covered, until := int64(0), n.Start
	kids := t.children[i]
	sort.Slice(kids, func(a, b int) bool { return t.nodes[kids[a]].Start < t.nodes[kids[b]].Start })
	for _, c := range kids {
		from, to := max(t.nodes[c].Start, until), min(t.nodes[c].End, n.End)
		if to > from {
			covered += to - from
			until = to
		}
	}
	return max(0, n.Duration()-covered)
}

// markCritical marks, from each root, the spans whose own work the end of the
// request waited for, on corrected clocks.
func (t *tree) markCritical() {
	of := criticalpath.Tree{
		Children: func(i int32) []int32 {
			out := make([]int32, len(t.children[i]))
			for k, c := range t.children[i] {
				out[k] = int32(c)
			}
			return out
		},
		Start: func(i int32) int64 { return t.nodes[i].Start + t.nodes[i].Shift },
		End:   func(i int32) int64 { return t.nodes[i].End + t.nodes[i].Shift },
	}
	for _, r := range t.roots {
		if len(t.nodes[r].Flags) > 0 {
			continue
		}
		for _, x := range criticalpath.Of(of, int32(r)) {
			t.nodes[x.Span].Critical = true
		}
	}
}
