package model

// SpanKind as OTLP numbers it.
type SpanKind uint8

// The OTLP span kinds.
const (
	SpanKindUnspecified SpanKind = 0
	SpanKindInternal    SpanKind = 1
	SpanKindServer      SpanKind = 2
	SpanKindClient      SpanKind = 3
	SpanKindProducer    SpanKind = 4
	SpanKindConsumer    SpanKind = 5
)

// String returns TraceQL's word for the kind.
func (k SpanKind) String() string {
	switch k {
	case SpanKindInternal:
		return "internal"
	case SpanKindServer:
		return "server"
	case SpanKindClient:
		return "client"
	case SpanKindProducer:
		return "producer"
	case SpanKindConsumer:
		return "consumer"
	}
	return "unspecified"
}

// StatusCode as OTLP numbers it.
type StatusCode uint8

// The OTLP status codes.
const (
	StatusUnset StatusCode = 0
	StatusOK    StatusCode = 1
	StatusError StatusCode = 2
)

// String returns TraceQL's word for the status.
func (s StatusCode) String() string {
	switch s {
	case StatusOK:
		return "ok"
	case StatusError:
		return "error"
	}
	return "unset"
}

// SpanEvent is a timed note within a span. Time is Unix nanoseconds.
type SpanEvent struct {
	Time         int64
	Name         string
	Attrs        Attrs
	DroppedAttrs uint32
}

// SpanLink points at another span.
type SpanLink struct {
	TraceID      TraceID
	SpanID       SpanID
	TraceState   string
	Attrs        Attrs
	Flags        uint32
	DroppedAttrs uint32
}

// Span is one span. Start and End are Unix nanoseconds; End may lie before
// Start (a broken clock): Duration then says 0.
type Span struct {
	TraceID       TraceID
	SpanID        SpanID
	ParentID      SpanID
	TraceState    string
	Name          string
	Start, End    int64
	Attrs         Attrs
	Events        []SpanEvent
	Links         []SpanLink
	StatusMessage string
	Flags         uint32
	DroppedAttrs  uint32
	DroppedEvents uint32
	DroppedLinks  uint32
	Kind          SpanKind
	Status        StatusCode
}

// Duration returns End-Start in nanoseconds, never negative.
func (s *Span) Duration() int64 { return max(0, s.End-s.Start) }

// SpanBatch are the spans of one resource and scope.
type SpanBatch struct {
	Resource *Resource
	Scope    *Scope
	Spans    []Span
}

// Spans is what one request carries. The receiver does not own its memory
// past the call.
type Spans struct {
	Batches []SpanBatch
}

// Count returns the number of spans.
func (s *Spans) Count() int {
	n := 0
	for i := range s.Batches {
		n += len(s.Batches[i].Spans)
	}
	return n
}

// SpanRow is one span as a query returns it.
type SpanRow struct {
	Resource *Resource
	Scope    *Scope
	Span
	// Match has bit i set when the span satisfies filter i of the SpanQuery
	// that asked for it.
	Match uint64
}

// ServiceStats counts a service's part in a trace.
type ServiceStats struct {
	Spans, Errors int
}

// TraceFacts is what is known of a whole trace. Of a trace split over sources,
// each knows its part: Merge joins them.
type TraceFacts struct {
	ID           TraceID
	Start, End   int64 // Unix ns, of the earliest start and the latest end
	RootService  string
	RootName     string // "" while the root span has not been received
	RootDuration int64  // ns
	RootStart    int64
	Spans        int
	Errors       int
	Services     map[string]ServiceStats
}

// Merge adds another part of the same trace. Parts must not overlap: spans
// held by both are counted twice.
func (f *TraceFacts) Merge(o *TraceFacts) {
	if f.Spans == 0 {
		*f = *o
		f.Services = make(map[string]ServiceStats, len(o.Services))
		for k, v := range o.Services {
			f.Services[k] = v
		}
		return
	}
	f.Start = min(f.Start, o.Start)
	f.End = max(f.End, o.End)
	if o.RootName != "" && (f.RootName == "" || o.RootStart < f.RootStart) {
		f.RootService, f.RootName = o.RootService, o.RootName
		f.RootDuration, f.RootStart = o.RootDuration, o.RootStart
	}
	f.Spans += o.Spans
	f.Errors += o.Errors
	if f.Services == nil {
		f.Services = map[string]ServiceStats{}
	}
	for k, v := range o.Services {
		s := f.Services[k]
		f.Services[k] = ServiceStats{Spans: s.Spans + v.Spans, Errors: s.Errors + v.Errors}
	}
}

// Add counts one span into the facts.
func (f *TraceFacts) Add(r *SpanRow) {
	one := TraceFacts{ID: r.TraceID, Start: r.Start, End: max(r.Start, r.End), Spans: 1,
		Services: map[string]ServiceStats{r.Resource.Service(): {Spans: 1}}}
	if r.Status == StatusError {
		one.Errors = 1
		one.Services[r.Resource.Service()] = ServiceStats{Spans: 1, Errors: 1}
	}
	if r.ParentID.IsZero() {
		one.RootService, one.RootName = r.Resource.Service(), r.Name
		one.RootDuration, one.RootStart = r.Duration(), r.Start
	}
	f.Merge(&one)
}

// TraceMatch is one trace that answers a SpanQuery: its facts, and the spans
// asked for.
type TraceMatch struct {
	Facts TraceFacts
	Spans []SpanRow
	// Matched counts the spans that satisfied a filter, also those beyond
	// SpansPerTrace; 0 means that the source did not count, then Spans says it.
	Matched int
}
