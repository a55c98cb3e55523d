package calls

import "braid/pkg/model"

// The types of a call.
const (
	// TypeCall: both sides sent spans.
	TypeCall = ""
	// TypeMessaging: a producer and a consumer, or a producer whose consumer
	// sent none.
	TypeMessaging = "messaging_system"
	// TypeDatabase and TypeVirtual: the server sent no span; its name is what the
	// client's span calls it.
	TypeDatabase = "database"
	TypeVirtual  = "virtual_node"
)

// Span is what calls need of a span. Times are nanoseconds.
type Span struct {
	Service         string
	Start, Duration int64
	Parent          int32 // index in the trace, -1: not here
	Kind            model.SpanKind
	Failed, Root    bool
	Called          bool // has a child that is the other side of its call
}

// Trace resolves the parents of one trace's spans. The zero value is empty; it
// may be used again after Reset. Not safe for concurrent use.
type Trace struct {
	Spans   []Span
	ids     []model.SpanID
	parents []model.SpanID
	at      map[model.SpanID]int32 // of traces that are not small
	noted   []int32                // of small ones: by span, who stands for its id; -1 is another
}

// Reset empties the trace.
func (c *Trace) Reset() {
	if c.at == nil {
		c.at = map[model.SpanID]int32{}
	}
	if len(c.Spans) > smallTrace {
		clear(c.at)
	}
	c.Spans, c.ids, c.parents, c.noted = c.Spans[:0], c.ids[:0], c.parents[:0], c.noted[:0]
}

// Add appends a span, in the order of the trace, for Resolve to find its parent.
func (c *Trace) Add(id, parent model.SpanID, s Span) {
	s.Parent = -1
	c.Spans, c.ids, c.parents = append(c.Spans, s), append(c.ids, id), append(c.parents, parent)
}

// smallTrace is up to how many spans looking through them all is quicker than
// a map.
const smallTrace = 48

// find returns the span that children of an id belong to, among those noted.
func (c *Trace) find(id model.SpanID) (int32, bool) {
	if len(c.Spans) > smallTrace {
		i, ok := c.at[id]
		return i, ok
	}
	for i := range c.noted {
		if c.ids[i] == id && c.noted[i] >= 0 {
			return c.noted[i], true
		}
	}
	return 0, false
}

// note makes span i the one that children of its id belong to.
func (c *Trace) note(i int32) {
	if len(c.Spans) > smallTrace {
		c.at[c.ids[i]] = i
		return
	}
	for k := range c.noted {
		if c.ids[k] == c.ids[i] && c.noted[k] >= 0 {
			c.noted[k] = i
			break
		}
	}
}

// Resolve finds the parents of the added spans.
func (c *Trace) Resolve() {
	for i := range c.Spans {
		o, shared := c.find(c.ids[i])
		client := c.Spans[i].Kind == model.SpanKindClient
		c.noted = append(c.noted, -1)
		switch {
		case !shared:
			c.noted[i] = int32(i)
			c.note(int32(i))
		case !client && c.Spans[o].Kind == model.SpanKindClient:
			c.note(int32(i))
			c.Spans[i].Parent = o
		case client && c.Spans[o].Kind == model.SpanKindServer:
			c.Spans[o].Parent = int32(i)
		}
	}
	for i := range c.Spans {
		if c.Spans[i].Parent >= 0 || c.parents[i].IsZero() || c.parents[i] == c.ids[i] {
			continue
		}
		if p, ok := c.find(c.parents[i]); ok && p != int32(i) {
			c.Spans[i].Parent = p
		}
	}
}

// Mark sets Called, once parents are known.
func (c *Trace) Mark() {
	for i := range c.Spans {
		if c.IsCall(i) {
			c.Spans[c.Spans[i].Parent].Called = true
		}
	}
}

// IsCall reports whether span i is the answering side of a call by its parent.
func (c *Trace) IsCall(i int) bool {
	s := &c.Spans[i]
	if s.Parent < 0 {
		return false
	}
	return s.Kind == model.SpanKindServer || s.Kind == model.SpanKindConsumer || s.Service != c.Spans[s.Parent].Service
}

// TypeOf returns the type of the call that span i answers.
func (c *Trace) TypeOf(i int) string {
	if c.Spans[i].Kind == model.SpanKindConsumer {
		return TypeMessaging
	}
	return TypeCall
}

// Failed reports whether the call that span i answers failed: by its own word,
// or by that of the client's span.
func (c *Trace) Failed(i int) bool {
	s := &c.Spans[i]
	p := &c.Spans[s.Parent]
	return s.Failed || p.Failed && p.Kind == model.SpanKindClient
}

// Lonely reports whether span i is a call of which the other side sent no span.
func (c *Trace) Lonely(i int) bool {
	s := &c.Spans[i]
	return Calls(s.Kind) && !s.Called
}

// Calls reports whether spans of a kind call somebody.
func Calls(k model.SpanKind) bool { return k == model.SpanKindClient || k == model.SpanKindProducer }
