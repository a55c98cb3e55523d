package otlp

import "braid/pkg/model"

// EncodeTraces writes spans as a TracesData (the bytes of an
// ExportTraceServiceRequest), grouped by resource and scope.
func EncodeTraces(rows []model.SpanRow) []byte {
	e := &encoder{}
	groups := group(rows, func(r *model.SpanRow) (*model.Resource, *model.Scope) { return r.Resource, r.Scope })
	appendGroups(e, groups, func(r *model.SpanRow) { e.span(&r.Span) })
	return e.b
}

func (e *encoder) span(s *model.Span) {
	e.id(1, s.TraceID[:], s.TraceID.IsZero())
	e.id(2, s.SpanID[:], s.SpanID.IsZero())
	e.str(3, s.TraceState)
	e.id(4, s.ParentID[:], s.ParentID.IsZero())
	e.str(5, s.Name)
	e.varint(6, uint64(s.Kind))
	e.time(7, s.Start)
	e.time(8, s.End)
	e.attrs(9, s.Attrs)
	e.varint(10, uint64(s.DroppedAttrs))
	for i := range s.Events {
		e.message(11, func() { e.event(&s.Events[i]) })
	}
	e.varint(12, uint64(s.DroppedEvents))
	for i := range s.Links {
		e.message(13, func() { e.link(&s.Links[i]) })
	}
	e.varint(14, uint64(s.DroppedLinks))
	if s.Status != model.StatusUnset || s.StatusMessage != "" {
		e.message(15, func() {
			e.str(2, s.StatusMessage)
			e.varint(3, uint64(s.Status))
		})
	}
	e.fixed32(16, s.Flags)
}

func (e *encoder) event(v *model.SpanEvent) {
	e.time(1, v.Time)
	e.str(2, v.Name)
	e.attrs(3, v.Attrs)
	e.varint(4, uint64(v.DroppedAttrs))
}

func (e *encoder) link(l *model.SpanLink) {
	e.id(1, l.TraceID[:], l.TraceID.IsZero())
	e.id(2, l.SpanID[:], l.SpanID.IsZero())
	e.str(3, l.TraceState)
	e.attrs(4, l.Attrs)
	e.varint(5, uint64(l.DroppedAttrs))
	e.fixed32(6, l.Flags)
}
