package fanout

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"braid/pkg/model"
)

const (
	// maxJoinedSpans bounds the outline of a trace over all parts: 200 MB.
	maxJoinedSpans = 4 << 20
	// mergeStep is after how many spans the context is looked at.
	mergeStep = 4096
	// comparedAtOnce is about how many spans are read at a time to see whether
	// they are the same.
	comparedAtOnce = 4096
)

// outlineCursor goes through the outline of one part.
type outlineCursor struct {
	*model.Outline
	part int
	ops  []uint32 // by number: that of the operation in the joined outline, +1
	next model.OutlineSpan
	at   int // of the span after next
}

// merge joins the outlines in the order of the trace.
func (l *look) merge(ctx context.Context) (*model.Outline, error) {
	var cursors []*outlineCursor
	total := 0
	for part, o := range l.outlines {
		if o != nil && len(o.Spans) > 0 {
			cursors = append(cursors, &outlineCursor{Outline: o, part: part, ops: make([]uint32, len(o.Operations))})
			total += len(o.Spans)
		}
	}
	if total > maxJoinedSpans {
		return nil, fmt.Errorf("%w: trace %s has more than %d spans in several places; search it with TraceQL", model.ErrTooMuch, l.id, maxJoinedSpans)
	}
	if len(cursors) == 1 { // as it is
		o := cursors[0].Outline
		for i := range o.Spans {
			if !l.place(&o.Spans[i], cursors[0].part) {
				return nil, errPlaces
			}
		}
		return &model.Outline{Version: l.version(), Spans: o.Spans, Operations: o.Operations}, nil
	}
	var out model.Outliner
	out.Outline.Version = l.version()
	out.Outline.Spans = make([]model.OutlineSpan, 0, total)
	var left []*outlineCursor
	for _, c := range cursors {
		ok, err := l.advance(c, &out)
		if err != nil {
			return nil, err
		}
		if ok {
			left = append(left, c)
		}
	}
	for len(left) > 0 {
		least := 0
		for i := 1; i < len(left); i++ {
			if compareOutlined(&out.Outline, &left[i].next, &left[least].next) < 0 {
				least = i
			}
		}
		out.Outline.Spans = append(out.Outline.Spans, left[least].next)
		ok, err := l.advance(left[least], &out)
		if err != nil {
			return nil, err
		}
		if !ok {
			left = slices.Delete(left, least, least+1)
		}
		if len(out.Outline.Spans)%mergeStep == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return &out.Outline, l.dropRepeats(ctx, &out.Outline)
}

// advance takes the cursor's next span into the joined outline's numbers; false
// at the end.
func (l *look) advance(c *outlineCursor, out *model.Outliner) (bool, error) {
	if c.at == len(c.Spans) {
		return false, nil
	}
	c.next = c.Spans[c.at]
	c.at++
	n := c.next.Operation
	if c.ops[n] == 0 {
		c.ops[n] = out.Operation(c.Operations[n]) + 1
	}
	c.next.Operation = c.ops[n] - 1
	if !l.place(&c.next, c.part) {
		return false, errPlaces
	}
	return true, nil
}

var errPlaces = fmt.Errorf("%w: the places of spans leave no room to say which source has them", errors.ErrUnsupported)

// place makes At tell the part as well: what it is times the number of parts,
// and the part. False when 64 bits do not hold that.
func (l *look) place(s *model.OutlineSpan, part int) bool {
	parts := uint64(len(l.t.Parts))
	if s.At > (math.MaxUint64-uint64(part))/parts {
		return false
	}
	s.At = s.At*parts + uint64(part)
	return true
}

// compareOutlined is the order of sorted.
func compareOutlined(o *model.Outline, a, b *model.OutlineSpan) int {
	if a.Start != b.Start {
		return cmp.Compare(a.Start, b.Start)
	}
	return cmp.Or(bytes.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.End, b.End), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(o.Operations[a.Operation].Name, o.Operations[b.Operation].Name))
}

// alike are spans of an outline, by number, that differ in nothing it says.
type alike []int

// dropRepeats leaves out what the function of this name does: spans that are
// alike are read in whole, a few thousand at a time, and compared.
func (l *look) dropRepeats(ctx context.Context, o *model.Outline) error {
	var groups []alike
	var waiting int
	var gone []bool
	flush := func() (err error) {
		if gone == nil {
			gone = make([]bool, len(o.Spans))
		}
		err = l.compare(ctx, o, groups, gone)
		groups, waiting = groups[:0], 0
		return err
	}
	for from, to := 0, 0; from < len(o.Spans); from = to {
		a := &o.Spans[from]
		for to = from + 1; to < len(o.Spans) && o.Spans[to].Start == a.Start && o.Spans[to].ID == a.ID; to++ {
		}
		if to == from+1 {
			continue
		}
		for _, g := range alikeOf(o, from, to) {
			groups = append(groups, g)
			if waiting += len(g); waiting >= comparedAtOnce {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	if waiting > 0 {
		if err := flush(); err != nil {
			return err
		}
	}
	if gone != nil {
		kept := o.Spans[:0]
		for i := range gone {
			if !gone[i] {
				kept = append(kept, o.Spans[i])
			}
		}
		o.Spans = kept
	}
	return nil
}

// alikeOf groups the spans from one number to before another, which have start
// and id in common.
func alikeOf(o *model.Outline, from, to int) (out []alike) {
	list := make([]int, 0, to-from)
	for i := from; i < to; i++ {
		list = append(list, i)
	}
	compare := func(i, j int) int {
		a, b := &o.Spans[i], &o.Spans[j]
		return cmp.Or(cmp.Compare(a.End, b.End), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Operation, b.Operation),
			bytes.Compare(a.Parent[:], b.Parent[:]), cmp.Compare(a.Status, b.Status))
	}
	slices.SortStableFunc(list, compare)
	for len(list) > 0 {
		n := 1
		for n < len(list) && compare(list[0], list[n]) == 0 {
			n++
		}
		if n > 1 {
			out = append(out, list[:n:n])
		}
		list = list[n:]
	}
	return out
}

// compare marks the spans that are equal in everything to one before them.
func (l *look) compare(ctx context.Context, o *model.Outline, groups []alike, gone []bool) error {
	var at []uint64
	for _, g := range groups {
		for _, i := range g {
			at = append(at, o.Spans[i].At)
		}
	}
	rows, err := l.t.SpansAt(ctx, l.tn, l.id, o.Version, at, l.stats)
	if err != nil {
		return err
	}
	for _, g := range groups {
		mine := rows[:len(g)]
		rows = rows[len(g):]
		for k := range g {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			for j := range k {
				if !gone[g[j]] && sameRow(&mine[j], &mine[k]) {
					gone[g[k]] = true
					break
				}
			}
		}
	}
	return nil
}
