package calls

import (
	"cmp"
	"math"
	"slices"

	"braid/pkg/model"
)

// MaxEdges bounds the edges that one graph holds: a peer named by an address of
// its own each time would fill the memory.
const MaxEdges = 20_000

// edgeKey is who called whom, and the type of the call.
type edgeKey struct{ client, server, kind string }

// Graph adds calls up; counts are signed so that parts can be taken off again.
type Graph struct {
	edges    map[edgeKey]*edgeCount
	services map[string]*serviceCount
	// Dropped counts the calls that were one edge too many.
	Dropped int64
	// The starts of the spans that were counted lie in [Lo, Hi].
	Lo, Hi int64
}

type edgeCount struct {
	calls, failed  int64
	client, server latencyCount
}

type serviceCount struct {
	spans, failed, requests, requestsFailed int64
	latency                                 latencyCount
}

// latencyCount is a latency whose counts may go down: the buckets are those of
// model.Sketch. A bucket has what counts and shared say, added up.
type latencyCount struct {
	n, sum, zero int64
	low          int32
	lent         bool // another graph reads counts: they are copied before they change
	counts       []int64
	shared       []model.LatencyBuckets // of other graphs
}

// NewGraph returns one without calls.
func NewGraph() *Graph {
	return &Graph{edges: map[edgeKey]*edgeCount{}, services: map[string]*serviceCount{}, Lo: math.MaxInt64, Hi: math.MinInt64}
}

func (l *latencyCount) add(d, sign int64) {
	l.n += sign
	l.sum += sign * d
	if d == 0 {
		l.zero += sign
		return
	}
	l.own()
	b, _ := model.SketchBucket(float64(d)) // a whole number above 0 is in the table
	*l.at(b) += sign
}

// own makes the counts this latency's alone.
func (l *latencyCount) own() {
	if l.lent {
		l.counts, l.lent = slices.Clone(l.counts), false
	}
}

func (l *latencyCount) at(bucket int32) *int64 {
	if i := int(bucket) - int(l.low); i < 0 || i >= len(l.counts) {
		l.cover(bucket, bucket+1)
	}
	return &l.counts[bucket-l.low]
}

// cover makes room for the buckets [lo, hi), and for some beside them: the more,
// the more there are, where they have grown.
func (l *latencyCount) cover(lo, hi int32) {
	n := int32(len(l.counts))
	if n > 0 && lo >= l.low && hi <= l.low+n {
		return
	}
	slack := max(16, n/4)
	if n == 0 || lo < l.low {
		lo -= slack
	} else {
		lo = l.low
	}
	if n == 0 || hi > l.low+n {
		hi += slack
	} else {
		hi = l.low + n
	}
	wider := make([]int64, hi-lo)
	if n > 0 {
		copy(wider[l.low-lo:], l.counts)
	}
	l.low, l.counts, l.lent = lo, wider, false
}

// merge adds another, sign times.
func (l *latencyCount) merge(o *latencyCount, sign int64) {
	l.n, l.sum, l.zero = l.n+sign*o.n, l.sum+sign*o.sum, l.zero+sign*o.zero
	if len(l.counts) == 0 && sign > 0 {
		l.low, l.counts = o.low, slices.Clone(o.counts)
	} else {
		l.addBuckets(o.low, o.counts, sign)
	}
	for _, b := range o.shared {
		l.addBuckets(b.Low, b.Counts, sign)
	}
}

func (l *latencyCount) addBuckets(low int32, counts []int64, sign int64) {
	if len(counts) == 0 {
		return
	}
	l.cover(low, low+int32(len(counts)))
	l.own()
	to := l.counts[low-l.low:][:len(counts)]
	for i, n := range counts {
		to[i] += sign * n
	}
}

// share adds another, whose counts stay as they are.
func (l *latencyCount) share(o *latencyCount) {
	l.n, l.sum, l.zero = l.n+o.n, l.sum+o.sum, l.zero+o.zero
	if len(o.counts) > 0 {
		l.shared = append(l.shared, model.LatencyBuckets{Low: o.low, Counts: o.counts})
	}
	l.shared = append(l.shared, o.shared...)
}

func (l *latencyCount) include(o *model.Latency) {
	l.n, l.sum, l.zero = l.n+int64(o.Count), l.sum+int64(o.Sum), l.zero+o.Zero
	l.shared = append(l.shared, o.Buckets...)
}

// result hands the buckets over: the graph is not used after it.
func (l *latencyCount) result() model.Latency {
	out := model.Latency{Count: uint64(l.n), Sum: uint64(l.sum), Zero: l.zero, Buckets: l.shared}
	if len(l.counts) > 0 {
		out.Buckets = append(out.Buckets, model.LatencyBuckets{Low: l.low, Counts: l.counts})
	}
	return out
}

func (g *Graph) edge(k edgeKey, calls int64) *edgeCount {
	e := g.edges[k]
	if e == nil {
		if len(g.edges) >= MaxEdges {
			g.Dropped += calls
			return nil
		}
		e = &edgeCount{}
		g.edges[k] = e
	}
	return e
}

func (g *Graph) call(k edgeKey, sign int64, failed bool, client, server int64, both bool) {
	e := g.edge(k, sign)
	if e == nil {
		return
	}
	e.calls += sign
	if failed {
		e.failed += sign
	}
	e.client.add(client, sign)
	if both {
		e.server.add(server, sign)
	}
}

func (g *Graph) service(s *Span, sign int64) {
	g.Lo, g.Hi = min(g.Lo, s.Start), max(g.Hi, s.Start)
	c := g.services[s.Service]
	if c == nil {
		c = &serviceCount{}
		g.services[s.Service] = c
	}
	c.spans += sign
	if s.Failed {
		c.failed += sign
	}
	if s.Root || s.Kind == model.SpanKindServer || s.Kind == model.SpanKindConsumer {
		c.requests += sign
		if s.Failed {
			c.requestsFailed += sign
		}
		c.latency.add(s.Duration, sign)
	}
}

// Merge adds another graph.
func (g *Graph) Merge(o *Graph) { g.merge(o, 1) }

// Remove takes off another graph that was merged.
func (g *Graph) Remove(o *Graph) { g.merge(o, -1) }

func (g *Graph) merge(o *Graph, sign int64) {
	g.join(o, sign, func(to, from *latencyCount) { to.merge(from, sign) })
}

// Share adds another graph, whose buckets are not copied: it must not change any
// more. Every graph that is shared makes the quantiles of the result cost more.
func (g *Graph) Share(o *Graph) { g.join(o, 1, (*latencyCount).share) }

// Borrow adds another graph like Share. That graph may go on: it copies what it
// changes. Both must not be used by others meanwhile.
func (g *Graph) Borrow(o *Graph) {
	g.join(o, 1, func(to, from *latencyCount) {
		to.share(from)
		from.lent = true
	})
}

func (g *Graph) join(o *Graph, sign int64, latency func(to, from *latencyCount)) {
	if len(g.edges) == 0 && len(o.edges) <= MaxEdges { // room in one piece
		room := make([]edgeCount, len(o.edges))
		g.edges = make(map[edgeKey]*edgeCount, len(o.edges))
		for k := range o.edges {
			g.edges[k], room = &room[0], room[1:]
		}
	}
	for k, x := range o.edges {
		if e := g.edge(k, sign*x.calls); e != nil {
			e.calls, e.failed = e.calls+sign*x.calls, e.failed+sign*x.failed
			latency(&e.client, &x.client)
			latency(&e.server, &x.server)
		}
	}
	for k, x := range o.services {
		c := g.services[k]
		if c == nil {
			c = &serviceCount{}
			g.services[k] = c
		}
		c.spans, c.failed = c.spans+sign*x.spans, c.failed+sign*x.failed
		c.requests, c.requestsFailed = c.requests+sign*x.requests, c.requestsFailed+sign*x.requestsFailed
		latency(&c.latency, &x.latency)
	}
	g.Dropped += sign * o.Dropped
	g.Lo, g.Hi = min(g.Lo, o.Lo), max(g.Hi, o.Hi)
}

// Add adds a graph as Result returned it, which is not changed after that.
func (g *Graph) Add(m *model.ServiceGraph) {
	for i := range m.Edges {
		x := &m.Edges[i]
		if e := g.edge(edgeKey{x.Client, x.Server, x.Type}, int64(x.Calls)); e != nil {
			e.calls, e.failed = e.calls+int64(x.Calls), e.failed+int64(x.Errors)
			e.client.include(&x.ClientLatency)
			e.server.include(&x.ServerLatency)
		}
	}
	for i := range m.Services {
		x := &m.Services[i]
		c := g.services[x.Name]
		if c == nil {
			c = &serviceCount{}
			g.services[x.Name] = c
		}
		c.spans, c.failed = c.spans+int64(x.Spans), c.failed+int64(x.Errors)
		c.requests, c.requestsFailed = c.requests+int64(x.Requests), c.requestsFailed+int64(x.RequestErrors)
		c.latency.include(&x.Latency)
	}
}

// Result sorts edges and services by name. The graph is not used after it; the
// buckets of the result may be those of other graphs, and are only read.
func (g *Graph) Result() *model.ServiceGraph {
	out := &model.ServiceGraph{}
	met := map[string]bool{}
	for k, e := range g.edges {
		if e.calls <= 0 { // what came while parts were being counted may be taken off once too often
			continue
		}
		met[k.client], met[k.server] = true, true
		out.Edges = append(out.Edges, model.GraphEdge{
			Client: k.client, Server: k.server, Type: k.kind, Calls: uint64(e.calls), Errors: uint64(e.failed),
			ClientLatency: e.client.result(), ServerLatency: e.server.result(),
		})
	}
	for name, c := range g.services {
		if c.spans <= 0 {
			continue
		}
		out.Services = append(out.Services, model.GraphService{
			Name: name, Spans: uint64(c.spans), Errors: uint64(c.failed), Requests: uint64(c.requests),
			RequestErrors: uint64(c.requestsFailed), Latency: c.latency.result(), Lonely: !met[name],
		})
	}
	slices.SortFunc(out.Edges, func(a, b model.GraphEdge) int {
		return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Server, b.Server), cmp.Compare(a.Type, b.Type))
	})
	slices.SortFunc(out.Services, func(a, b model.GraphService) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// InRange is a target of Count: one graph, for the times of a range.
func InRange(g *Graph, r model.TimeRange) func(int64) *Graph {
	return func(start int64) *Graph {
		if r.Contains(start) {
			return g
		}
		return nil
	}
}

// Count adds the calls of a trace whose parents are resolved, sign times, each to
// the graph that target returns for its time. peer names the other side of
// span i, which is a client or producer.
func (c *Trace) Count(sign int64, target func(start int64) *Graph, peer func(i int) (name, kind string)) {
	c.Mark()
	for i := range c.Spans {
		s := &c.Spans[i]
		g := target(s.Start)
		if g == nil {
			continue
		}
		g.service(s, sign)
		if c.IsCall(i) {
			p := &c.Spans[s.Parent]
			g.call(edgeKey{p.Service, s.Service, c.TypeOf(i)}, sign, c.Failed(i), p.Duration, s.Duration, true)
		}
		if c.Lonely(i) {
			if name, kind := peer(i); name != "" {
				if s.Kind == model.SpanKindProducer {
					kind = TypeMessaging
				}
				g.call(edgeKey{s.Service, name, kind}, sign, s.Failed, s.Duration, 0, false)
			}
		}
	}
}
