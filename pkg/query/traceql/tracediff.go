package traceql

import (
	"cmp"
	"slices"
	"strings"

	"braid/pkg/model"
)

// PathStats measures the spans of one trace that share a path.
type PathStats struct {
	Spans, Errors int
	Duration      int64 // ns, of all spans together
	Self          int64 // ns
}

// PathDiff is one path, the chain of service and operation from the root, in
// two traces. A side without the path has no spans.
type PathDiff struct {
	Path []PathStep
	A, B PathStats
}

// PathStep is one link of a path.
type PathStep struct {
	Service, Operation string
	Kind               model.SpanKind
}

// CompareTraces lines up two traces by the paths of their spans and returns what
// each has, in the order of the first trace, then what only the second has.
// Siblings with the same path are counted together: a loop that ran 3 times
// here and 300 times there shows as one line.
func CompareTraces(a, b *model.Outline) []PathDiff {
	index := map[string]int{}
	var out []PathDiff
	add := func(trace *model.Outline, side func(*PathDiff) *PathStats) {
		t := TreeOf(trace.Spans)
		self := t.SelfTimes()
		keys := make([]int, len(trace.Spans)) // of every span, its line in out
		for _, i := range t.Order {
			x := &trace.Spans[i]
			op := &trace.Operations[x.Operation]
			step := PathStep{op.Service, op.Name, x.Kind}
			var path []PathStep
			parent := -1
			if p := t.Parent[i]; p >= 0 {
				parent = keys[p]
			}
			key := stepKey(parent, step)
			at, ok := index[key]
			if !ok {
				if parent >= 0 {
					path = out[parent].Path
				}
				at = len(out)
				index[key] = at
				out = append(out, PathDiff{Path: append(clipPath(path), step)})
			}
			keys[i] = at
			s := side(&out[at])
			s.Spans++
			s.Duration += x.Duration()
			s.Self += self[i]
			if x.Status == model.StatusError {
				s.Errors++
			}
		}
	}
	add(a, func(d *PathDiff) *PathStats { return &d.A })
	add(b, func(d *PathDiff) *PathStats { return &d.B })
	return out
}

// maxPath bounds a path: of deeper spans the nearest ancestors are told.
const maxPath = 64

func clipPath(p []PathStep) []PathStep {
	if len(p) >= maxPath {
		p = p[len(p)-maxPath+1:]
	}
	return slices.Clone(p)
}

func stepKey(parent int, s PathStep) string {
	var b strings.Builder
	for n := parent + 1; n > 0; n >>= 7 {
		b.WriteByte(byte(n&0x7f) | 0x80)
	}
	b.WriteByte(byte(s.Kind))
	b.WriteString(s.Service)
	b.WriteByte(0)
	b.WriteString(s.Operation)
	return b.String()
}

// SlowerPaths orders differences by how much more time the second trace spent
// there by itself, most first.
func SlowerPaths(d []PathDiff) []PathDiff {
	out := slices.Clone(d)
	slices.SortStableFunc(out, func(x, y PathDiff) int { return cmp.Compare(y.B.Self-y.A.Self, x.B.Self-x.A.Self) })
	return out
}
