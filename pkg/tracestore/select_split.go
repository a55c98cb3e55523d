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
	src.sieve.ruler = s.ruler
	if src.list = s.v.splitTraces(s.ctx, src.sieve); len(src.list) == 0 {
		return nil
	}
	return src
}

// splitTraces lists the split traces that a sieve does not rule out without
// reading pages, by start.
func (v *view) splitTraces(ctx context.Context, in *sieve) []splitTrace {
	var out []splitTrace
	look := func(id model.TraceID) bool {
		in.looked++
		refs := v.splitRefs(id)
		if in.may(refs, false) {
			start := int64(math.MaxInt64)
			for _, r := range refs {
				start = min(start, r.start())
			}
			out = append(out, splitTrace{id, start, refs})
		}
		return ctx.Err() == nil
	}
	if ids, ok := v.splitsFound(in); !ok {
		v.eachSplit(look)
	} else {
		for id := range ids {
			if !look(id) {
				break
			}
		}
	}
	slices.SortFunc(out, func(a, b splitTrace) int {
		return cmp.Or(cmp.Compare(a.start, b.start), bytes.Compare(a.id[:], b.id[:]))
	})
	return out
}

// splitsFound returns those split traces of which some part has a span where a
// filter may hold: on the pages that the id indexes, statistics and zones leave,
// and in the heads. It is not ok when that is more work than to look at every
// split trace.
func (v *view) splitsFound(in *sieve) (ids traceSet, ok bool) {
	left := 4 * v.maxSplit() // asking whether a trace is split costs less than to look at one
	ids = traceSet{}
	if left == 0 {
		return ids, true
	}
	for _, b := range v.blocks {
		p, side := in.openPart(b)
		if p == nil {
			continue
		}
		tt, next := &side.traces, uint32(0)
		for page := range side.zones {
			z := &side.zones[page]
			if !p.onPage(page) || !in.in.Overlaps(z.minStart, z.maxStart) {
				continue
			}
			lo, hi := uint32(page*pageRows), uint32(min(side.rows, (page+1)*pageRows))
			for next = max(next, tt.ofRow(lo)); int(next) < tt.len() && tt.first[next] < hi; next++ {
				if v.isSplit(tt.ids[next]) {
					ids[tt.ids[next]] = struct{}{}
				}
				left--
			}
			if left < 0 {
				return nil, false
			}
		}
	}
	for i, h := range v.heads {
		p := in.part(ref{head: h})
		if p == nil {
			continue
		}
		for _, s := range []traceSet{v.headSplits[i], v.across} {
			for id := range s {
				t, here := v.headTrace(i, id)
				if !here {
					continue
				}
				found := sieved{}
				if in.inHead(p, ref{head: h, trace: t}, true, &found); found.any {
					ids[id] = struct{}{}
				}
			}
		}
	}
	return ids, true
}

// eachWhole yields the spans, joined, of the split traces on which a program
// may hold in a range. Traces that follow each other in a block share pages.
func (v *view) eachWhole(ctx context.Context, in model.TimeRange, prog *program, yield func(*model.SpanRow, *model.TraceFacts)) {
	sv := v.sieve(in, []*program{prog}, nil)
	sv.ruler = newRuler(v, prog.spec)
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
