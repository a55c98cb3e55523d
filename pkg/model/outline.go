package model

// Outline is a trace without all that its structure does not need: of each span,
// in the order of the trace, who its parent is and when it ran.
type Outline struct {
	// Version tells whether a trace is still as it was; "" where its source
	// cannot tell.
	Version    string
	Spans      []OutlineSpan
	Operations []Operation
}

// OutlineSpan is one span of an Outline.
type OutlineSpan struct {
	ID, Parent SpanID
	Start, End int64
	// At is where the source of the outline has the span.
	At        uint64
	Operation uint32 // number in Outline.Operations
	Kind      SpanKind
	Status    StatusCode
}

// Operation is what a span is called, and by whom.
type Operation struct{ Service, Name string }

// Duration is how long the span ran: 0 when its clock was broken.
func (s *OutlineSpan) Duration() int64 { return max(0, s.End-s.Start) }

// Outliner makes an Outline of spans in the order of their trace. The zero value
// is ready.
type Outliner struct {
	Outline Outline
	numbers map[Operation]uint32
}

// Operation numbers an operation.
func (o *Outliner) Operation(op Operation) uint32 {
	n, ok := o.numbers[op]
	if !ok {
		if o.numbers == nil {
			o.numbers = map[Operation]uint32{}
		}
		n = uint32(len(o.Outline.Operations))
		o.numbers[op] = n
		o.Outline.Operations = append(o.Outline.Operations, op)
	}
	return n
}

// Add appends spans.
func (o *Outliner) Add(rows []SpanRow) {
	for i := range rows {
		r := &rows[i]
		o.Outline.Spans = append(o.Outline.Spans, OutlineSpan{ID: r.SpanID, Parent: r.ParentID, Start: r.Start, End: r.End,
			Operation: o.Operation(Operation{r.Resource.Service(), r.Name}), Kind: r.Kind, Status: r.Status})
	}
}

// OutlineOf returns the outline of spans in the order of their trace.
func OutlineOf(rows []SpanRow) *Outline {
	var o Outliner
	o.Outline.Spans = make([]OutlineSpan, 0, len(rows))
	o.Add(rows)
	return &o.Outline
}
