package otlp

import "braid/pkg/model"

// EncodeLogs writes rows as a LogsData (the bytes of an
// ExportLogsServiceRequest), grouped by resource and scope.
func EncodeLogs(rows []model.LogRow) []byte {
	e := &encoder{}
	groups := group(rows, func(r *model.LogRow) (*model.Resource, *model.Scope) { return r.Resource, r.Scope })
	appendGroups(e, groups, func(r *model.LogRow) { e.logRecord(&r.LogRecord) })
	return e.b
}

func (e *encoder) logRecord(r *model.LogRecord) {
	e.time(1, r.Time)
	e.varint(2, uint64(r.Severity))
	e.str(3, r.SeverityText)
	if r.Body.Kind() != model.KindEmpty {
		e.message(5, func() { e.value(r.Body) })
	}
	e.attrs(6, r.Attrs)
	e.varint(7, uint64(r.DroppedAttrs))
	e.fixed32(8, r.Flags)
	e.id(9, r.TraceID[:], r.TraceID.IsZero())
	e.id(10, r.SpanID[:], r.SpanID.IsZero())
	e.time(11, r.Observed)
	e.str(12, r.EventName)
}
