package tracestore

import (
	"strings"

	"braid/pkg/calls"
	"braid/pkg/model"
)

// callCounter counts the calls of the traces that go into a block.
type callCounter struct {
	known *minuteGraphs
	tr    calls.Trace
	peers []callPeer // by span of the trace
	names map[string]string

	// only, when not nil, holds the traces to count: known has the others.
	only traceSet
	skip bool // the trace at hand

	from *rows
	cur  *headCursor
	of   *peers

	last   *calls.Graph // of the piece lastAt
	lastAt int64
}

type callPeer struct{ name, kind string }

func newCallCounter(minTime, maxTime int64) *callCounter {
	return &callCounter{known: newMinuteGraphs(graphStepOf(minTime, maxTime)), names: map[string]string{}}
}

// adopt takes the calls of all spans that will come from where they are known;
// traces of only are counted nevertheless. It is false when they must be counted.
func (c *callCounter) adopt(parts ...*minuteGraphs) bool {
	sum := newMinuteGraphs(c.known.step)
	for _, p := range parts {
		if p.whole.Dropped > 0 || !p.addTo(sum) {
			return false
		}
	}
	c.known, c.only = sum, traceSet{}
	return true
}

// begin says that the spans of a trace come next.
func (c *callCounter) begin(id model.TraceID) {
	if c.only != nil {
		_, count := c.only[id]
		c.skip = !count
	}
}

// span takes row n of a rowset, the next of its trace.
func (c *callCounter) span(from *rows, n uint32) {
	if c.skip {
		return
	}
	if c.from != from {
		c.from, c.cur, c.of = from, &headCursor{s: from}, newPeers(&from.tables)
	}
	r := &from.rows[n]
	k := &from.classes[r.class]
	kind := model.SpanKind(k.kind)
	c.tr.Spans = append(c.tr.Spans, calls.Span{Service: from.services[k.resource], Kind: kind, Failed: k.status == uint8(model.StatusError),
		Start: r.start, Duration: max(0, r.end-r.start), Parent: -1, Root: r.parent.IsZero()})
	p := callPeer{}
	if calls.Calls(kind) {
		p.name, p.kind = c.of.of(c.cur, n, r.class)
		p.name = c.own(p.name)
	}
	c.peers = append(c.peers, p)
}

// own returns a copy of a name: the rowset's texts do not stay.
func (c *callCounter) own(name string) string {
	s, ok := c.names[name]
	if !ok {
		s = strings.Clone(name)
		if len(c.names) < calls.MaxEdges {
			c.names[s] = s
		}
	}
	return s
}

// trace counts the trace at hand; parent has, by span, the place of its parent in
// the trace, +1, or 0.
func (c *callCounter) trace(parent func(i int) uint32) {
	for i := range c.tr.Spans {
		if p := parent(i); p > 0 {
			c.tr.Spans[i].Parent, c.tr.Spans[i].Root = int32(p-1), false
		}
	}
	c.tr.Count(1, c.target, func(i int) (string, string) { return c.peers[i].name, c.peers[i].kind })
	c.tr.Spans, c.peers = c.tr.Spans[:0], c.peers[:0]
}

func (c *callCounter) target(start int64) *calls.Graph {
	if c.known.minutes == nil {
		return c.known.whole
	}
	if k := floorDiv(start, c.known.step); c.last == nil || k != c.lastAt {
		c.last, c.lastAt = c.known.at(start), k
	}
	return c.last
}
