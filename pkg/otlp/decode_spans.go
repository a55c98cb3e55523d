package otlp

import "braid/pkg/model"

// DecodeSpans reads an ExportTraceServiceRequest (or TracesData); see
// DecodeLogs for the rules.
func DecodeSpans(body []byte, enc Encoding, b *Buffers) (*model.Spans, model.Rejections, error) {
	d := decoder{b: b}
	wire, err := wireBytes(body, enc, jsonTraces, b)
	if err != nil {
		return nil, model.Rejections{}, err
	}
	rej, err := d.finish(d.each(wire, d.scopeSpans))
	if err != nil {
		return nil, rej, err
	}
	return &b.spans, rej, nil
}

func (d *decoder) scopeSpans(res *model.Resource, b []byte) error {
	scope := d.newScope()
	spans := take(d.b, &d.b.spanRows, tally(b)[2])
	if d.b.overflow {
		return nil
	}
	n := 0
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			r.in("scope", d.scope(r.bytes(), scope))
		case 2:
			part := r.bytes()
			if r.err != nil {
				break
			}
			taken, err := d.span(part, &spans[n])
			r.in("span", err)
			if taken {
				n++
			}
		case 3:
			scope.SchemaURL = d.text(&r)
		default:
			r.skip()
		}
		if d.b.overflow {
			return nil
		}
	}
	if n > 0 {
		d.b.spans.Batches = append(d.b.spans.Batches, model.SpanBatch{Resource: res, Scope: scope, Spans: spans[:n]})
	}
	return r.err
}

// span reads one span; taken is false when it was rejected.
func (d *decoder) span(b []byte, s *model.Span) (taken bool, err error) {
	n := tally(b)
	attrs := d.attrRun(nil, n[9])
	events, links := take(d.b, &d.b.events, n[11]), take(d.b, &d.b.links, n[13])
	if d.b.overflow {
		return false, nil
	}
	events, links = events[:0], links[:0]
	goodID := true
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			goodID = id(s.TraceID[:], r.bytes()) && goodID
		case 2:
			goodID = id(s.SpanID[:], r.bytes()) && goodID
		case 3:
			s.TraceState = d.text(&r)
		case 4:
			goodID = id(s.ParentID[:], r.bytes()) && goodID
		case 5:
			s.Name = d.text(&r)
		case 6:
			s.Kind = model.SpanKind(known(r.varint(), 5))
		case 7:
			s.Start = r.nanos()
		case 8:
			s.End = r.nanos()
		case 9:
			attrs = d.attr(&r, attrs, &s.DroppedAttrs)
		case 10:
			s.DroppedAttrs = r.uint32()
		case 11:
			events = append(events, model.SpanEvent{})
			r.in("event", d.event(r.bytes(), &events[len(events)-1]))
		case 12:
			s.DroppedEvents = r.uint32()
		case 13:
			links = d.link(&r, links, &s.DroppedLinks)
		case 14:
			s.DroppedLinks = r.uint32()
		case 15:
			r.in("status", d.status(r.bytes(), s))
		case 16:
			s.Flags = r.fixed32()
		default:
			r.skip()
		}
	}
	s.Attrs, s.Events, s.Links = attrs, events, links
	if r.err != nil {
		return false, r.err
	}
	if !goodID {
		d.rej.Add(1, "span with a traceId that is not 16 bytes, or a spanId or parentSpanId that is not 8; send whole ids")
		*s = model.Span{}
		return false, nil
	}
	return true, nil
}

// known keeps the enum values up to last; others are unset.
func known(v uint64, last uint64) uint8 {
	if v > last {
		return 0
	}
	return uint8(v)
}

func (d *decoder) event(b []byte, e *model.SpanEvent) error {
	attrs := d.attrRun(nil, tally(b)[3])
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			e.Time = r.nanos()
		case 2:
			e.Name = d.text(&r)
		case 3:
			attrs = d.attr(&r, attrs, &e.DroppedAttrs)
		case 4:
			e.DroppedAttrs = r.uint32()
		default:
			r.skip()
		}
	}
	e.Attrs = attrs
	return r.err
}

// link reads one link; one with a bad id is left out, counted as dropped, said.
func (d *decoder) link(outer *reader, links []model.SpanLink, dropped *uint32) []model.SpanLink {
	b := outer.bytes()
	l := model.SpanLink{Attrs: d.attrRun(nil, tally(b)[4])}
	goodID := true
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			goodID = id(l.TraceID[:], r.bytes()) && goodID
		case 2:
			goodID = id(l.SpanID[:], r.bytes()) && goodID
		case 3:
			l.TraceState = d.text(&r)
		case 4:
			l.Attrs = d.attr(&r, l.Attrs, &l.DroppedAttrs)
		case 5:
			l.DroppedAttrs = r.uint32()
		case 6:
			l.Flags = r.fixed32()
		default:
			r.skip()
		}
	}
	outer.in("link", r.err)
	if !goodID {
		d.rej.Add(0, "span links with ids of the wrong length were left out")
		*dropped++
		return links
	}
	return append(links, l)
}

func (d *decoder) status(b []byte, s *model.Span) error {
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 2:
			s.StatusMessage = d.text(&r)
		case 3:
			s.Status = model.StatusCode(known(r.varint(), 2))
		default:
			r.skip()
		}
	}
	return r.err
}
