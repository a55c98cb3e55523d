package tracestore

import (
	"container/heap"
	"math"
	"slices"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// splitSource finds traces that several parts hold. They are few: those that a
// flush cut, and late spans until a merge joins them. They are decided by
// predicate.Eval on the joined spans.
type splitSource struct {
	sel  *selection
	list []splitTrace // by start, ascending: taken from the end
}

type splitTrace struct {
	id    model.TraceID
	start int64
	refs  []ref
}

func (s *selection) splitSource() candidateSource {
	src := &splitSource{sel: s}
	s.v.eachSplit(func(id model.TraceID) bool {
		if s.ctx.Err() != nil {
			return false
		}
		refs := s.v.refs(id)
		start := int64(math.MaxInt64)
		for _, r := range refs {
			start = min(start, r.start())
		}
		src.list = append(src.list, splitTrace{id, start, refs})
		return true
	})
	if len(src.list) == 0 {
		return nil
	}
	slices.SortFunc(src.list, func(a, b splitTrace) int {
		if a.start != b.start {
			if a.start < b.start {
				return -1
			}
			return 1
		}
		return slices.Compare(a.id[:], b.id[:])
	})
	return src
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
	facts := sel.v.joinedFacts(tr.id, tr.refs)
	m := &model.TraceMatch{Facts: facts}
	want := sel.want
	if len(sel.q.Filters) > 0 {
		want = nil // the filters may read anything
	}
	var hits []hit
	sel.v.joined(tr.refs, want, func(r *model.SpanRow) bool {
		row := *r
		inRange := sel.q.Range.Contains(r.Start)
		if inRange || sel.q.Tree {
			row.Match = sel.evalMask(&row, &facts)
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
		heap.Push(&sel.found, &candidate{id: tr.id, start: facts.Start, end: facts.End, ready: m})
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

// joinedFacts computes what is known of a trace over all its parts.
func (v *view) joinedFacts(id model.TraceID, refs []ref) model.TraceFacts {
	var b factsBuilder
	b.reset(id)
	v.joined(refs, nil, func(r *model.SpanRow) bool {
		b.add(r.Start, r.End, !r.ParentID.IsZero(), r.Resource.Service(), r.Name, r.Status == model.StatusError)
		return true
	})
	return b.facts
}
