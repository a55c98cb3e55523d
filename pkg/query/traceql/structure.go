package traceql

import "strings"

// relate evaluates a structural operator: right holds the spans of b that
// stand in the relation to a span of a; left, for the union forms, the spans
// of a that have such a partner.
//
//	a >> b   b under a         a > b   b child of a      a ~ b   b sibling of a
//	a << b   b above a         a < b   b parent of a
func (t *Tree) relate(op string, a, b []int32) (left, right []int32) {
	union := strings.HasPrefix(op, "&")
	op = strings.TrimPrefix(op, "&")
	negated := strings.HasPrefix(op, "!")
	op = strings.TrimPrefix(op, "!")
	right = keep(b, t.relatedTo(op, a, b), !negated)
	if union {
		left = keep(a, t.relatedTo(inverse(op), right, a), true)
	}
	return left, right
}

func inverse(op string) string {
	switch op {
	case ">>":
		return "<<"
	case "<<":
		return ">>"
	case ">":
		return "<"
	case "<":
		return ">"
	}
	return op
}

func keep(in []int32, is []bool, want bool) []int32 {
	var out []int32
	for k, i := range in {
		if is[k] == want {
			out = append(out, i)
		}
	}
	return out
}

// relatedTo tells for each span of b whether it stands in the relation to some
// span of a, in time linear in the trace.
func (t *Tree) relatedTo(op string, a, b []int32) []bool {
	out := make([]bool, len(b))
	mark := make([]int32, len(t.Parent)+1) // of every span: how many of a it counts
	switch op {
	case ">>":
		in := marked(len(t.Parent), a)
		for _, i := range t.Order {
			if p := t.Parent[i]; p >= 0 {
				mark[i] = mark[p]
				if in[p] {
					mark[i]++
				}
			}
		}
	case "<<":
		in := marked(len(t.Parent), a)
		for k := len(t.Order) - 1; k >= 0; k-- {
			i := t.Order[k]
			if p := t.Parent[i]; p >= 0 {
				mark[p] += mark[i]
				if in[i] {
					mark[p]++
				}
			}
		}
	case ">":
		for _, i := range a {
			for _, c := range t.Children(int(i)) {
				mark[c]++
			}
		}
	case "<":
		for _, i := range a {
			if p := t.Parent[i]; p >= 0 {
				mark[p]++
			}
		}
	case "~":
		t.markSiblings(a, mark)
	}
	for k, i := range b {
		out[k] = mark[i] > 0
	}
	return out
}

func marked(n int, a []int32) []bool {
	m := make([]bool, n)
	for _, i := range a {
		m[i] = true
	}
	return m
}

// markSiblings marks every span that has a sibling in a other than itself.
func (t *Tree) markSiblings(a []int32, mark []int32) {
	families := map[siblingKey]int32{}
	for _, i := range a {
		if k, ok := t.siblingKey(i); ok {
			families[k]++
		}
	}
	in := marked(len(t.Parent), a)
	for i := range t.Parent {
		if k, ok := t.siblingKey(int32(i)); ok {
			mark[i] = families[k]
			if in[i] {
				mark[i]--
			}
		}
	}
}

// merge joins two ascending lists of spans.
func merge(a, b []int32) []int32 {
	out := make([]int32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			out, a = append(out, a[0]), a[1:]
		case a[0] > b[0]:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}
