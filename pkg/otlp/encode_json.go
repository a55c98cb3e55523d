package otlp

import (
	"encoding/hex"
	"strconv"

	"braid/pkg/model"
)

// EncodeTracesJSON writes spans as OTLP JSON TracesData.
func EncodeTracesJSON(rows []model.SpanRow) []byte {
	groups := group(rows, func(r *model.SpanRow) (*model.Resource, *model.Scope) { return r.Resource, r.Scope })
	w := &jsonWriter{}
	writeGroups(w, groups, [3]string{"resourceSpans", "scopeSpans", "spans"}, func(r *model.SpanRow) { w.span(&r.Span) })
	return w.b
}

// EncodeLogsJSON writes rows as OTLP JSON LogsData.
func EncodeLogsJSON(rows []model.LogRow) []byte {
	groups := group(rows, func(r *model.LogRow) (*model.Resource, *model.Scope) { return r.Resource, r.Scope })
	w := &jsonWriter{}
	writeGroups(w, groups, [3]string{"resourceLogs", "scopeLogs", "logRecords"}, func(r *model.LogRow) { w.logRecord(&r.LogRecord) })
	return w.b
}

// jsonWriter appends JSON; zero values are left out.
type jsonWriter struct{ b []byte }

// name begins a member, after a comma when it is not the first.
func (w *jsonWriter) name(n string) {
	w.comma()
	w.b = append(append(append(w.b, '"'), n...), `":`...)
}

func (w *jsonWriter) comma() {
	if c := w.b[len(w.b)-1]; c != '{' && c != '[' {
		w.b = append(w.b, ',')
	}
}

func (w *jsonWriter) object(fill func()) {
	w.b = append(w.b, '{')
	fill()
	w.b = append(w.b, '}')
}

func (w *jsonWriter) list(n string, count int, element func(i int)) {
	if count == 0 {
		return
	}
	w.name(n)
	w.b = append(w.b, '[')
	for i := range count {
		w.comma()
		element(i)
	}
	w.b = append(w.b, ']')
}

func (w *jsonWriter) str(n, s string) {
	if s != "" {
		w.name(n)
		w.b = appendJSONString(w.b, s)
	}
}

func (w *jsonWriter) id(n string, id []byte, zero bool) {
	if !zero {
		w.name(n)
		w.b = append(hex.AppendEncode(append(w.b, '"'), id), '"')
	}
}

func (w *jsonWriter) number(n string, v uint64) {
	if v != 0 {
		w.name(n)
		w.b = strconv.AppendUint(w.b, v, 10)
	}
}

// time writes nanoseconds as a string: they are 64-bit.
func (w *jsonWriter) time(n string, ns int64) {
	if ns > 0 {
		w.name(n)
		w.b = append(strconv.AppendInt(append(w.b, '"'), ns, 10), '"')
	}
}

func (w *jsonWriter) attrs(attrs model.Attrs) {
	w.list("attributes", len(attrs), func(i int) {
		w.object(func() {
			w.name("key")
			w.b = appendJSONString(w.b, attrs[i].Key)
			w.name("value")
			w.b = appendValueJSON(w.b, attrs[i].Value)
		})
	})
}

func writeGroups[R any](w *jsonWriter, groups []resourceGroup[R], names [3]string, row func(*R)) {
	w.object(func() {
		w.name(names[0])
		w.b = append(w.b, '[')
		for _, g := range groups {
			w.comma()
			w.object(func() {
				w.resource(g.resource)
				w.list(names[1], len(g.scopes), func(i int) {
					sg := g.scopes[i]
					w.object(func() {
						w.scope(sg.scope)
						w.list(names[2], len(sg.rows), func(k int) { w.object(func() { row(sg.rows[k]) }) })
					})
				})
			})
		}
		w.b = append(w.b, ']')
	})
}

func (w *jsonWriter) resource(r *model.Resource) {
	if r == nil {
		return
	}
	w.name("resource")
	w.object(func() {
		w.attrs(r.Attrs)
		w.number("droppedAttributesCount", uint64(r.DroppedAttrs))
	})
	w.str("schemaUrl", r.SchemaURL)
}

func (w *jsonWriter) scope(s *model.Scope) {
	if s == nil {
		return
	}
	w.name("scope")
	w.object(func() {
		w.str("name", s.Name)
		w.str("version", s.Version)
		w.attrs(s.Attrs)
		w.number("droppedAttributesCount", uint64(s.DroppedAttrs))
	})
	w.str("schemaUrl", s.SchemaURL)
}

func (w *jsonWriter) span(s *model.Span) {
	w.id("traceId", s.TraceID[:], s.TraceID.IsZero())
	w.id("spanId", s.SpanID[:], s.SpanID.IsZero())
	w.str("traceState", s.TraceState)
	w.id("parentSpanId", s.ParentID[:], s.ParentID.IsZero())
	w.number("flags", uint64(s.Flags))
	w.str("name", s.Name)
	w.number("kind", uint64(s.Kind))
	w.time("startTimeUnixNano", s.Start)
	w.time("endTimeUnixNano", s.End)
	w.attrs(s.Attrs)
	w.number("droppedAttributesCount", uint64(s.DroppedAttrs))
	w.list("events", len(s.Events), func(i int) {
		w.object(func() {
			e := &s.Events[i]
			w.time("timeUnixNano", e.Time)
			w.str("name", e.Name)
			w.attrs(e.Attrs)
			w.number("droppedAttributesCount", uint64(e.DroppedAttrs))
		})
	})
	w.number("droppedEventsCount", uint64(s.DroppedEvents))
	w.list("links", len(s.Links), func(i int) {
		w.object(func() {
			l := &s.Links[i]
			w.id("traceId", l.TraceID[:], l.TraceID.IsZero())
			w.id("spanId", l.SpanID[:], l.SpanID.IsZero())
			w.str("traceState", l.TraceState)
			w.attrs(l.Attrs)
			w.number("droppedAttributesCount", uint64(l.DroppedAttrs))
			w.number("flags", uint64(l.Flags))
		})
	})
	w.number("droppedLinksCount", uint64(s.DroppedLinks))
	w.name("status")
	w.object(func() {
		w.str("message", s.StatusMessage)
		w.number("code", uint64(s.Status))
	})
}

func (w *jsonWriter) logRecord(r *model.LogRecord) {
	w.time("timeUnixNano", r.Time)
	w.time("observedTimeUnixNano", r.Observed)
	w.number("severityNumber", uint64(r.Severity))
	w.str("severityText", r.SeverityText)
	if r.Body.Kind() != model.KindEmpty {
		w.name("body")
		w.b = appendValueJSON(w.b, r.Body)
	}
	w.attrs(r.Attrs)
	w.number("droppedAttributesCount", uint64(r.DroppedAttrs))
	w.number("flags", uint64(r.Flags))
	w.id("traceId", r.TraceID[:], r.TraceID.IsZero())
	w.id("spanId", r.SpanID[:], r.SpanID.IsZero())
	w.str("eventName", r.EventName)
}
