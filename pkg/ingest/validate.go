package ingest

import (
	"time"

	"braid/pkg/model"
	"braid/pkg/otlp"
)

// validator goes over decoded batches in place: it takes out what cannot be
// kept, cuts what is too large, and fills in what was left out. now is when the
// payload arrived, also in a replay, so that both agree.
type validator struct {
	limits Limits
	opts   *Options
	now    time.Time
	b      *otlp.Buffers
	rej    model.Rejections

	earliest, latest int64
}

func (v *validator) batches(b Batches) {
	v.latest = v.now.Add(v.limits.MaxFuture).UnixNano()
	v.earliest = -unlimited
	if v.limits.MaxAge < unlimited {
		v.earliest = v.now.Add(-v.limits.MaxAge).UnixNano()
	}
	if v.limits.MaxFuture >= unlimited {
		v.latest = unlimited
	}
	switch {
	case b.Logs != nil:
		v.logs(b.Logs)
	case b.Spans != nil:
		v.spans(b.Spans)
	case b.Metrics != nil:
		v.metrics(b.Metrics)
	}
}

// timely reports whether a time lies within the tenant's limits.
func (v *validator) timely(what string, ns int64) bool {
	switch {
	case ns > v.latest:
		v.rej.Add(1, "%s with a time more than %s ahead of the clock; check the sender's clock and that times are in nanoseconds", what, v.limits.MaxFuture)
		return false
	case ns < v.earliest:
		v.rej.Add(1, "%s older than the limit of %s", what, v.limits.MaxAge)
		return false
	}
	return true
}

func (v *validator) resource(r *model.Resource) {
	r.Attrs = v.attrs(r.Attrs, &r.DroppedAttrs)
}

func (v *validator) scope(s *model.Scope) {
	s.Name = v.cut("scope name", s.Name, v.limits.MaxKeyBytes)
	s.Version = v.cut("scope version", s.Version, v.limits.MaxKeyBytes)
	s.Attrs = v.attrs(s.Attrs, &s.DroppedAttrs)
}

// attrs holds attributes to the tenant's limits.
func (v *validator) attrs(attrs model.Attrs, dropped *uint32) model.Attrs {
	if over := len(attrs) - v.limits.MaxAttributes; over > 0 {
		v.rej.Add(0, "attributes beyond the limit of %d were left out", v.limits.MaxAttributes)
		attrs = attrs[:v.limits.MaxAttributes]
		*dropped += uint32(over)
	}
	for i := 0; i < len(attrs); i++ {
		a := &attrs[i]
		if len(a.Key) > v.limits.MaxKeyBytes {
			v.rej.Add(0, "attributes with a key longer than the limit of %d bytes were left out", v.limits.MaxKeyBytes)
			attrs = append(attrs[:i], attrs[i+1:]...)
			*dropped++
			i--
			continue
		}
		if len(a.Value.Str()) > v.limits.MaxValueBytes {
			a.Value = v.cutValue("attribute value", a.Value, v.limits.MaxValueBytes)
		}
	}
	return attrs
}

func (v *validator) cut(what, s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	v.rej.Add(0, "a %s longer than the limit of %d bytes was cut", what, limit)
	return clip(s, limit)
}

// cutValue shortens a value. Half of a JSON text is no JSON: it becomes a
// string.
func (v *validator) cutValue(what string, val model.Value, limit int) model.Value {
	if len(val.Str()) <= limit {
		return val
	}
	v.rej.Add(0, "a %s longer than the limit of %d bytes was cut", what, limit)
	if val.Kind() == model.KindBytes {
		return model.Bytes(val.Str()[:limit])
	}
	return model.String(clip(val.Str(), limit))
}

func (v *validator) logs(l *model.Logs) {
	for i := range l.Batches {
		b := &l.Batches[i]
		if i == 0 || b.Resource != l.Batches[i-1].Resource {
			v.resource(b.Resource)
		}
		v.scope(b.Scope)
		kept := b.Records[:0]
		for k := range b.Records {
			if v.log(&b.Records[k]) {
				kept = keep(kept, b.Records, k)
			}
		}
		b.Records = kept
	}
	l.Batches = nonEmpty(l.Batches, func(b *model.LogBatch) int { return len(b.Records) })
}

// keep moves element k to the end of kept, which is all[:len(kept)].
func keep[T any](kept, all []T, k int) []T {
	if len(kept) != k {
		all[len(kept)] = all[k]
	}
	return all[:len(kept)+1]
}

func nonEmpty[B any](batches []B, size func(*B) int) []B {
	kept := batches[:0]
	for i := range batches {
		if size(&batches[i]) > 0 {
			kept = keep(kept, batches, i)
		}
	}
	return kept
}

func (v *validator) log(r *model.LogRecord) bool {
	if r.Time == 0 {
		if r.Time = r.Observed; r.Time == 0 {
			r.Time = v.now.UnixNano()
		}
	}
	if !v.timely("log record", r.Time) {
		return false
	}
	r.SeverityText = v.cut("severity text", r.SeverityText, v.limits.MaxKeyBytes)
	r.EventName = v.cut("event name", r.EventName, v.limits.MaxKeyBytes)
	if len(r.Body.Str()) > v.limits.MaxBodyBytes {
		r.Body = v.cutValue("log body", r.Body, v.limits.MaxBodyBytes)
	}
	v.fields(r)
	r.Attrs = v.attrs(r.Attrs, &r.DroppedAttrs)
	return true
}

func (v *validator) spans(s *model.Spans) {
	for i := range s.Batches {
		b := &s.Batches[i]
		if i == 0 || b.Resource != s.Batches[i-1].Resource {
			v.resource(b.Resource)
		}
		v.scope(b.Scope)
		kept := b.Spans[:0]
		for k := range b.Spans {
			if v.span(&b.Spans[k]) {
				kept = keep(kept, b.Spans, k)
			}
		}
		b.Spans = kept
	}
	s.Batches = nonEmpty(s.Batches, func(b *model.SpanBatch) int { return len(b.Spans) })
}

func (v *validator) span(s *model.Span) bool {
	switch {
	case s.TraceID.IsZero():
		v.rej.Add(1, "span without a traceId, or with one of zeroes only")
		return false
	case s.SpanID.IsZero():
		v.rej.Add(1, "span without a spanId, or with one of zeroes only")
		return false
	case s.Start == 0:
		v.rej.Add(1, "span without startTimeUnixNano")
		return false
	case !v.timely("span", s.Start):
		return false
	}
	s.Name = v.cut("span name", s.Name, v.limits.MaxValueBytes)
	s.TraceState = v.cut("trace state", s.TraceState, v.limits.MaxValueBytes)
	s.StatusMessage = v.cut("status message", s.StatusMessage, v.limits.MaxValueBytes)
	s.Attrs = v.attrs(s.Attrs, &s.DroppedAttrs)
	for i := range s.Events {
		e := &s.Events[i]
		e.Name = v.cut("event name", e.Name, v.limits.MaxValueBytes)
		e.Attrs = v.attrs(e.Attrs, &e.DroppedAttrs)
	}
	for i := range s.Links {
		s.Links[i].Attrs = v.attrs(s.Links[i].Attrs, &s.Links[i].DroppedAttrs)
	}
	return true
}
