package tracestore

import (
	"reflect"
	"slices"

	"braid/pkg/model"
)

// spanStream yields the spans of one part of a trace in the order of a trace.
type spanStream struct {
	head *rows
	list []uint32
	cur  *pageCursor
	next uint32
	end  uint32
	want *wanted
	row  model.SpanRow
	ok   bool
}

func (v *view) stream(r ref, want *wanted) *spanStream {
	s := &spanStream{want: want}
	if r.head != nil {
		s.head, s.list = r.head, r.head.ofTrace(nil, r.trace)
	} else {
		if s.cur = r.cur; s.cur == nil {
			s.cur = newPageCursor(r.block, r.side, 0, v.stats)
		}
		s.next, s.end = r.side.traces.first[r.trace], r.side.traces.first[r.trace+1]
	}
	return s
}

// advance loads the next span into row.
func (s *spanStream) advance() error {
	s.ok = false
	if s.head != nil {
		if len(s.list) > 0 {
			s.row, s.ok = s.head.span(s.list[0]), true
			s.list = s.list[1:]
		}
		return nil
	}
	if s.next == s.end {
		return nil
	}
	s.cur.turn(int(s.next / pageRows))
	s.row = s.cur.span(s.next, s.want)
	s.next++
	s.ok = s.cur.fault == nil
	return s.cur.fault
}

// joined yields a trace's spans from all its parts, in order, identical ones
// once. A part that fails is left out with a warning.
func (v *view) joined(refs []ref, want *wanted, yield func(*model.SpanRow) bool) {
	var streams []*spanStream
	pull := func(s *spanStream) {
		if err := s.advance(); err != nil {
			v.warn(s.cur.pr.b, err)
		}
		if !s.ok {
			streams = slices.DeleteFunc(streams, func(x *spanStream) bool { return x == s })
		}
	}
	for _, r := range refs {
		s := v.stream(r, want)
		streams = append(streams, s)
		pull(s)
	}
	var run []model.SpanRow // spans equal in start and id, as yielded
	for len(streams) > 0 {
		least := streams[0]
		for _, s := range streams[1:] {
			if compareSpans(&s.row, &least.row) < 0 {
				least = s
			}
		}
		row := least.row
		pull(least)
		if len(run) > 0 && (run[0].Start != row.Start || run[0].SpanID != row.SpanID) {
			run = run[:0]
		}
		if slices.ContainsFunc(run, func(o model.SpanRow) bool { return sameSpan(&o, &row) }) {
			continue
		}
		run = append(run, row)
		if !yield(&row) {
			return
		}
	}
}

// sameSpan reports whether two spans of one id are equal in everything.
func sameSpan(a, b *model.SpanRow) bool {
	return a.SpanID == b.SpanID && a.Start == b.Start && a.End == b.End && a.Name == b.Name &&
		(a.Resource == b.Resource || reflect.DeepEqual(a.Resource, b.Resource)) &&
		(a.Scope == b.Scope || reflect.DeepEqual(a.Scope, b.Scope)) &&
		reflect.DeepEqual(&a.Span, &b.Span)
}
