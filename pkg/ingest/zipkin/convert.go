package zipkin

import (
	"encoding/hex"
	"math"
	"strings"

	"braid/pkg/model"
)

// convert maps Zipkin spans to batches, one a service. Spans with ids that are
// not hex are rejected and counted.
func convert(spans []span) (*model.Spans, model.Rejections) {
	var rej model.Rejections
	out := &model.Spans{}
	at := map[endpoint]int{}
	for i := range spans {
		z := &spans[i]
		s, ok := convertSpan(z)
		if !ok {
			rej.Add(1, "span with a traceId, id or parentId that is not 1 to 32 (16) hex digits")
			continue
		}
		k, known := at[z.Local]
		if !known {
			k = len(out.Batches)
			at[z.Local] = k
			out.Batches = append(out.Batches, model.SpanBatch{Resource: resource(z.Local), Scope: &model.Scope{Name: "zipkin"}})
		}
		out.Batches[k].Spans = append(out.Batches[k].Spans, s)
	}
	return out, rej
}

func resource(e endpoint) *model.Resource {
	r := &model.Resource{}
	add := func(key, value string) {
		if value != "" {
			r.Attrs = append(r.Attrs, model.Attr{Key: key, Value: model.String(clean(value))})
		}
	}
	add("service.name", e.Service)
	add("host.ip", e.IPv4)
	if e.IPv4 == "" {
		add("host.ip", e.IPv6)
	}
	return r
}

func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func convertSpan(z *span) (s model.Span, ok bool) {
	if !hexID(s.TraceID[:], z.TraceID) || !hexID(s.SpanID[:], z.ID) || z.ParentID != "" && !hexID(s.ParentID[:], z.ParentID) {
		return s, false
	}
	s.Name = clean(z.Name)
	s.Kind = kindOf[strings.ToUpper(z.Kind)]
	s.Start = nanos(z.Timestamp)
	s.End = s.Start + min(nanos(z.Duration), math.MaxInt64-s.Start)
	if z.Duration == 0 {
		s.End = s.Start
	}
	for _, n := range z.Notes {
		s.Events = append(s.Events, model.SpanEvent{Time: nanos(n.Timestamp), Name: clean(n.Value)})
	}
	for _, name := range sortedTags(z.Tags) {
		tag(&s, clean(name), clean(z.Tags[name]))
	}
	remote(&s, z.Remote)
	return s, true
}

var kindOf = map[string]model.SpanKind{
	"": model.SpanKindInternal, "CLIENT": model.SpanKindClient, "SERVER": model.SpanKindServer,
	"PRODUCER": model.SpanKindProducer, "CONSUMER": model.SpanKindConsumer,
}

// hexID reads an id of up to len(dst) bytes, leading zeros optional.
func hexID(dst []byte, text string) bool {
	if text == "" || len(text) > 2*len(dst) {
		return false
	}
	padded := strings.Repeat("0", 2*len(dst)-len(text)) + text
	_, err := hex.Decode(dst, []byte(padded))
	return err == nil
}

// nanos reads microseconds; what lies beyond the year 2262 becomes it.
func nanos(us uint64) int64 { return int64(min(us, math.MaxInt64/1000)) * 1000 }

// tag becomes an attribute, or the status: by OpenTelemetry's rules for Zipkin.
func tag(s *model.Span, name, value string) {
	switch name {
	case "":
		return
	case "otel.status_code":
		switch strings.ToUpper(value) {
		case "OK":
			s.Status = model.StatusOK
		case "ERROR":
			s.Status = model.StatusError
		}
		return
	case "otel.status_description":
		s.StatusMessage = value
		return
	case "w3c.tracestate":
		s.TraceState = value
		return
	case "error":
		if value != "false" && s.Status != model.StatusOK {
			s.Status = model.StatusError
			if value != "true" && s.StatusMessage == "" {
				s.StatusMessage = value
			}
		}
	}
	s.Attrs = append(s.Attrs, model.Attr{Key: name, Value: model.String(value)})
}

// remote adds the other side of a call, unless a tag says it already.
func remote(s *model.Span, e endpoint) {
	add := func(key string, v model.Value) {
		if _, there := s.Attrs.Get(key); !there && v.Text() != "" && v.Text() != "0" {
			s.Attrs = append(s.Attrs, model.Attr{Key: key, Value: v})
		}
	}
	address := e.IPv4
	if address == "" {
		address = e.IPv6
	}
	add("peer.service", model.String(clean(e.Service)))
	add("network.peer.address", model.String(clean(address)))
	add("network.peer.port", model.Int(int64(e.Port)))
}
