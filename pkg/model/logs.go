package model

// SeverityNumber as OpenTelemetry counts it: 1-4 trace, 5-8 debug, 9-12 info,
// 13-16 warn, 17-20 error, 21-24 fatal, 0 unset.
type SeverityNumber uint8

// Level returns Loki's word for the severity ("trace" to "fatal", "unknown").
func (s SeverityNumber) Level() string {
	switch {
	case s == 0 || s > 24:
		return "unknown"
	case s <= 4:
		return "trace"
	case s <= 8:
		return "debug"
	case s <= 12:
		return "info"
	case s <= 16:
		return "warn"
	case s <= 20:
		return "error"
	}
	return "fatal"
}

// LogRecord is one structured log record.
type LogRecord struct {
	// Time and Observed are Unix nanoseconds. Time is never 0 once ingest has
	// validated the record: it falls back to Observed, then to the arrival.
	Time, Observed int64
	SeverityText   string
	// Body is the line. A body that was a map or an array keeps its JSON text
	// here; its leaves are also in Attrs under dotted paths.
	Body         Value
	EventName    string
	Attrs        Attrs
	TraceID      TraceID
	SpanID       SpanID
	Flags        uint32
	DroppedAttrs uint32
	Severity     SeverityNumber
}

// LogBatch are the records of one resource and scope.
type LogBatch struct {
	Resource *Resource
	Scope    *Scope
	Records  []LogRecord
}

// Logs is what one request carries. The receiver of a Logs does not own its
// memory past the call.
type Logs struct {
	Batches []LogBatch
}

// Count returns the number of records.
func (l *Logs) Count() int {
	n := 0
	for i := range l.Batches {
		n += len(l.Batches[i].Records)
	}
	return n
}

// LogRow is one record as a query returns it. Seq orders records with equal
// times by arrival, and is stable for a record as long as it is stored.
type LogRow struct {
	Resource *Resource
	Scope    *Scope
	LogRecord
	Seq uint64
}
