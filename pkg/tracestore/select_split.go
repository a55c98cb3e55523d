package tracestore

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"math"
	"slices"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// splitSource finds traces that several parts hold. They are few: those that a
// flush cut, and late spans until a merge joins them. Those that pass the sieve
// are decided by predicate.Eval on the joined spans.
type splitSource struct {
	sel   *selection
	sieve *sieve
	list  []splitTrace // by start, ascending: taken from the end
}

type splitTrace struct {
	id    model.TraceID
	start int64
	refs  []ref
}

func (s *selection) splitSource() candidateSource {
	src := &splitSource{sel: s, sieve: s.v.sieve(s.q.Range, s.progs, s.q.Require)}
	if src.list = s.v.splitTraces(s.ctx, src.sieve); len(src.list) == 0 {
		return nil
	}
	return src
}

// splitTraces lists the split traces that a sieve does not rule out without
// reading pages, by start.
func (v *view) splitTraces(ctx context.Context, in *sieve) []splitTrace {
	var out []splitTrace
	v.eachSplit(func(id model.TraceID) bool {
		refs := v.splitRefs(id)
		if in.may(refs, false) {
			start := int64(math.MaxInt64)
			for _, r := range refs {
				start = min(start, r.start())
			}
			out = append(out, splitTrace{id, start, refs})
		}
		return ctx.Err() == nil
	})
	slices.SortFunc(out, func(a, b splitTrace) int {
		return cmp.Or(cmp.Compare(a.start, b.start), bytes.Compare(a.id[:], b.id[:]))
	})
	return out
}

// eachWhole yields the spans, joined, of the split traces on which a program
// may hold in a range. Traces that follow each other in a block share pages.
func (v *view) eachWhole(ctx context.Context, in model.TimeRange, prog *program, yield func(*model.SpanRow, *model.TraceFacts)) {
	sv := v.sieve(in, []*program{prog}, nil)
	for _, tr := range v.splitTraces(ctx, sv) {
		if ctx.Err() != nil {
			return
		}
		if sv.may(tr.refs, true) {
			v.whole(tr.id, tr.refs, func(r *model.SpanRow, facts *model.TraceFacts) bool {
				yield(r, facts)
				return true
			})
		}
	}
}

func (r ref) start() int64 {
	if r.head == nil {
		return r.side.traces.start[r.trace]
	}
	start := int64(math.MaxInt64)
	for n := r.head.trs[r.trace].last; n != 0; n = r.head.rows[n-1].prev {
		start = min(start, r.head.rows[n-1].start)
	}
	return start
}

func (r ref) spans() int {
	if r.head == nil {
		return int(r.side.traces.first[r.trace+1] - r.side.traces.first[r.trace])
	}
	return int(r.head.trs[r.trace].rows)
}

func (s *splitSource) bound() (int64, bool) {
	if len(s.list) == 0 {
		return 0, false
	}
	return s.list[len(s.list)-1].start, true
}

func (s *splitSource) advance() error {
	tr := s.list[len(s.list)-1]
	s.list = s.list[:len(s.list)-1]
	sel := s.sel
	if !s.sieve.may(tr.refs, true) {
		return nil
	}
	m := &model.TraceMatch{}
	var hits []hit
	m.Facts = sel.v.whole(tr.id, tr.refs, func(r *model.SpanRow, facts *model.TraceFacts) bool {
		row := *r
		inRange := sel.q.Range.Contains(r.Start)
		if inRange || sel.q.Tree {
			row.Match = sel.evalMask(&row, facts)
		}
		matched := inRange && (row.Match != 0 || len(sel.q.Filters) == 0)
		if matched {
			m.Matched++
			if len(hits) == 0 || len(sel.q.Require) > 0 {
				hits = append(hits, hit{mask: row.Match})
			}
		}
		if (matched || sel.q.Tree) && !sel.full(m, tr.id) {
			m.Spans = append(m.Spans, row)
		}
		return sel.ctx.Err() == nil
	})
	if err := sel.ctx.Err(); err != nil {
		return err
	}
	if sel.accept(hits) {
		heap.Push(&sel.found, &candidate{id: tr.id, start: m.Facts.Start, end: m.Facts.End, ready: m})
	}
	return nil
}

func (s *selection) evalMask(row *model.SpanRow, facts *model.TraceFacts) uint64 {
	mask := uint64(0)
	for i, f := range s.q.Filters {
		if f == nil || predicate.Eval(f, predicate.SpanRow{SpanRow: row, Facts: facts, Spec: s.spec}) {
			mask |= 1 << i
		}
	}
	return mask
}
