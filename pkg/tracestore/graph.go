package tracestore

import (
	"context"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// The types of a GraphEdge.
const (
	// EdgeCall: both sides sent spans.
	EdgeCall = ""
	// EdgeMessaging: a producer and a consumer, or a producer whose consumer
	// sent none.
	EdgeMessaging = "messaging_system"
	// EdgeDatabase and EdgeVirtual: the server sent no span; its name is what the
	// client's span calls it.
	EdgeDatabase = "database"
	EdgeVirtual  = "virtual_node"
)

// ServiceGraph is who called whom, computed from the stored spans.
type ServiceGraph struct {
	Edges    []GraphEdge
	Services []GraphService
}

// GraphEdge counts the calls of one service to another. A call is a span of
// kind server or consumer, or of another service than its parent, with its
// parent; or a span of kind client or producer that names a peer and has no
// child of another service and none of kind server or consumer. A call is in a
// range by the start of its server's span, where there is one.
type GraphEdge struct {
	Client, Server, Type string
	Calls, Errors        uint64
	// ClientLatency and ServerLatency are the durations that each side saw.
	ClientLatency, ServerLatency Latency
}

// GraphService counts the spans of a service. Requests are its entry spans:
// those of kind server or consumer, and roots.
type GraphService struct {
	Name                    string
	Spans, Errors           uint64
	Requests, RequestErrors uint64
	Latency                 Latency // of the requests
	// Lonely services call nobody and are called by nobody.
	Lonely bool
}

// Latency sums durations up, in nanoseconds.
type Latency struct {
	Count, Sum uint64
	counts     latencyCount
}

// Sketch returns the distribution of the durations.
func (l Latency) Sketch() *model.Sketch {
	out := &model.Sketch{Zero: uint64(l.counts.zero), Total: l.Count}
	for i, n := range l.counts.counts {
		if n > 0 {
			if out.Positive == nil {
				out.Positive = map[int32]uint64{}
			}
			out.Positive[l.counts.low+int32(i)] = uint64(n)
		}
	}
	return out
}

// maxEdges bounds the edges that one question holds: a peer named by an address
// of its own each time would fill the memory.
const maxEdges = 20_000

// ServiceGraph computes the calls between services in a range of time. Blocks
// remember theirs by the minute, so that asking again costs little; what the
// head has is counted anew.
func (s *Store) ServiceGraph(ctx context.Context, t tenant.ID, r model.TimeRange, stats *model.QueryStats) (*ServiceGraph, error) {
	ten := s.tenant(t, false)
	if ten == nil {
		return &ServiceGraph{}, nil
	}
	v := ten.view(stats)
	defer v.release()
	v.prepare()
	g := newGraph()
	for _, h := range v.heads {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		v.headGraph(g, h, r)
	}
	for _, b := range v.blocks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := v.blockGraph(ctx, g, b, r); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			v.warn(b, err)
		}
	}
	if err := v.splitGraph(ctx, g, r); err != nil {
		return nil, err
	}
	if g.dropped > 0 {
		stats.Warn("the service graph has more than %d edges, %d calls are left out; ask for a shorter range", maxEdges, g.dropped)
	}
	return g.result(), nil
}

// headGraph counts the calls in memory.
func (v *view) headGraph(g *graph, h *rows, r model.TimeRange) {
	cur := &headCursor{s: h}
	var order []uint32
	var calls callTrace
	named := newPeers(&h.tables)
	v.stats.AddRows(int64(len(h.rows)))
	for t := range h.trs {
		if v.isSplit(h.trs[t].id) {
			continue
		}
		order = h.ofTrace(order[:0], uint32(t))
		calls.reset()
		for _, n := range order {
			x := &h.rows[n]
			c := &h.classes[x.class]
			calls.add(x.spanID, x.parent, callSpan{
				service: h.services[c.resource], kind: model.SpanKind(c.kind), failed: c.status == uint8(model.StatusError),
				start: x.start, duration: max(0, x.end-x.start), root: x.parent.IsZero(),
			})
		}
		calls.resolve()
		calls.count(1, inRange(g, r), func(i int) (string, string) { return named.of(cur, order[i], h.rows[order[i]].class) })
	}
}

// splitGraph counts the traces that several parts hold, as a whole. Blocks have
// counted their part of them: that is taken off.
func (v *view) splitGraph(ctx context.Context, g *graph, r model.TimeRange) error {
	var calls callTrace
	v.eachSplit(func(id model.TraceID) bool {
		refs := v.refs(id)
		for _, x := range refs {
			if x.block == nil {
				continue
			}
			if err := v.callsOf(ctx, x.block, x.side, []traceRange{{x.trace, x.trace + 1}}, -1, inRange(g, r)); err != nil {
				v.warn(x.block, err)
			}
		}
		var rows []model.SpanRow
		calls.reset()
		v.joined(refs, nil, func(s *model.SpanRow) bool {
			calls.add(s.SpanID, s.ParentID, callSpan{
				service: s.Resource.Service(), kind: s.Kind, failed: s.Status == model.StatusError,
				start: s.Start, duration: s.Duration(), root: s.ParentID.IsZero(),
			})
			if s.Kind == model.SpanKindClient || s.Kind == model.SpanKindProducer {
				rows = append(rows, model.SpanRow{Span: model.Span{Attrs: s.Attrs}})
			} else {
				rows = append(rows, model.SpanRow{})
			}
			return true
		})
		calls.resolve()
		calls.count(1, inRange(g, r), func(i int) (string, string) {
			return peer(func(name string) string { return rows[i].Attrs.Text(name) })
		})
		return ctx.Err() == nil
	})
	return ctx.Err()
}

// callSpan is what the graph needs of a span.
type callSpan struct {
	service         string
	start, duration int64
	parent          int32 // in the trace, -1: not here
	kind            model.SpanKind
	failed, root    bool
	called          bool // has a child that is the other side of its call
}

// callTrace resolves the parents of one trace's spans.
type callTrace struct {
	spans   []callSpan
	ids     []model.SpanID
	parents []model.SpanID
	at      map[model.SpanID]int32 // of traces that are not small
	noted   []int32                // of small ones: by span, who stands for its id; -1 is another
}

func (c *callTrace) reset() {
	if c.at == nil {
		c.at = map[model.SpanID]int32{}
	}
	if len(c.spans) > smallTrace {
		clear(c.at)
	}
	c.spans, c.ids, c.parents, c.noted = c.spans[:0], c.ids[:0], c.parents[:0], c.noted[:0]
}

func (c *callTrace) add(id, parent model.SpanID, s callSpan) {
	s.parent = -1
	c.spans, c.ids, c.parents = append(c.spans, s), append(c.ids, id), append(c.parents, parent)
}

// smallTrace is up to how many spans looking through them all is quicker than
// a map.
const smallTrace = 48

// find returns the span that children of an id belong to, among those noted.
func (c *callTrace) find(id model.SpanID) (int32, bool) {
	if len(c.spans) > smallTrace {
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
func (c *callTrace) note(i int32) {
	if len(c.spans) > smallTrace {
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

// resolve finds the parents by the rules of blockBuilder.link.
func (c *callTrace) resolve() {
	for i := range c.spans {
		o, shared := c.find(c.ids[i])
		client := c.spans[i].kind == model.SpanKindClient
		c.noted = append(c.noted, -1)
		switch {
		case !shared:
			c.noted[i] = int32(i)
			c.note(int32(i))
		case !client && c.spans[o].kind == model.SpanKindClient:
			c.note(int32(i))
			c.spans[i].parent = o
		case client && c.spans[o].kind == model.SpanKindServer:
			c.spans[o].parent = int32(i)
		}
	}
	for i := range c.spans {
		if c.spans[i].parent >= 0 || c.parents[i].IsZero() || c.parents[i] == c.ids[i] {
			continue
		}
		if p, ok := c.find(c.parents[i]); ok && p != int32(i) {
			c.spans[i].parent = p
		}
	}
}

// inRange is a target of count: one graph, for the times of a range.
func inRange(g *graph, r model.TimeRange) func(int64) *graph {
	return func(start int64) *graph {
		if r.Contains(start) {
			return g
		}
		return nil
	}
}

// count adds the calls of a trace whose parents are resolved, sign times, each
// to the graph that target returns for its time. peer names the other side of
// span i.
func (c *callTrace) count(sign int64, target func(start int64) *graph, peer func(i int) (name, kind string)) {
	for i := range c.spans {
		s := &c.spans[i]
		if s.parent >= 0 && isCall(s, &c.spans[s.parent]) {
			c.spans[s.parent].called = true
		}
	}
	for i := range c.spans {
		s := &c.spans[i]
		g := target(s.start)
		if g == nil {
			continue
		}
		g.service(s, sign)
		if s.parent >= 0 && isCall(s, &c.spans[s.parent]) {
			p := &c.spans[s.parent]
			kind := EdgeCall
			if s.kind == model.SpanKindConsumer {
				kind = EdgeMessaging
			}
			g.call(edgeKey{p.service, s.service, kind}, sign, s.failed || p.failed && p.kind == model.SpanKindClient, p.duration, s.duration, true)
		}
		if (s.kind == model.SpanKindClient || s.kind == model.SpanKindProducer) && !s.called {
			if name, kind := peer(i); name != "" {
				if s.kind == model.SpanKindProducer {
					kind = EdgeMessaging
				}
				g.call(edgeKey{s.service, name, kind}, sign, s.failed, s.duration, 0, false)
			}
		}
	}
}

func isCall(s, parent *callSpan) bool {
	return s.kind == model.SpanKindServer || s.kind == model.SpanKindConsumer || s.service != parent.service
}

// peerNames are the attributes by which a client's span names the other side,
// the most telling first.
var peerNames = []string{"peer.service", "db.namespace", "db.name", "db.system.name", "db.system", "messaging.destination.name", "messaging.system", "server.address", "net.peer.name", "net.sock.peer.name"}

var databaseNames = []string{"db.system.name", "db.system", "db.namespace", "db.name"}

func peer(text func(name string) string) (name, kind string) {
	for _, n := range peerNames {
		if name = text(n); name != "" {
			break
		}
	}
	for _, n := range databaseNames {
		if text(n) != "" {
			return name, EdgeDatabase
		}
	}
	return name, EdgeVirtual
}

// peers finds, once a class, which attributes name the peer of its spans.
type peers struct {
	t     *tables
	known []*peerPlaces // by class
}

type peerPlaces struct {
	names     []int // attributes, the most telling first
	databases []int
}

func newPeers(t *tables) *peers { return &peers{t: t, known: make([]*peerPlaces, len(t.classes))} }

// of names the peer of a row out of its own attributes.
func (p *peers) of(cur cursor, n, class uint32) (name, kind string) {
	sh := p.t.classes[class].shape
	at := p.known[class]
	if at == nil {
		at = &peerPlaces{names: placesOf(p.t.shapes[sh], peerNames), databases: placesOf(p.t.shapes[sh], databaseNames)}
		p.known[class] = at
	}
	for _, i := range at.names {
		if name = cur.attr(n, sh, i).Text(); name != "" {
			break
		}
	}
	for _, i := range at.databases {
		if cur.attr(n, sh, i).Text() != "" {
			return name, EdgeDatabase
		}
	}
	return name, EdgeVirtual
}

func placesOf(sh shape, names []string) (out []int) {
	for _, name := range names {
		for i, k := range sh {
			if k.name == name {
				out = append(out, i)
				break
			}
		}
	}
	return out
}
