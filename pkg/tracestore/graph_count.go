package tracestore

import (
	"cmp"
	"math"
	"slices"

	"braid/pkg/calls"
	"braid/pkg/model"
)

type edgeKey struct{ client, server, kind string }

// graph adds calls up; counts are signed so that parts can be taken off again.
type graph struct {
	edges    map[edgeKey]*edgeCount
	services map[string]*serviceCount
	dropped  int64
	lo, hi   int64 // starts of the spans that were counted lie in [lo, hi]
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
// model.Sketch.
type latencyCount struct {
	n, sum, zero int64
	low          int32
	counts       []int64
}

func newGraph() *graph {
	return &graph{edges: map[edgeKey]*edgeCount{}, services: map[string]*serviceCount{}, lo: math.MaxInt64, hi: math.MinInt64}
}

func (l *latencyCount) add(d, sign int64) {
	l.n += sign
	l.sum += sign * d
	if d == 0 {
		l.zero += sign
		return
	}
	*l.at(bucketOf(float64(d))) += sign
}

func (l *latencyCount) at(bucket int32) *int64 {
	if i := int(bucket) - int(l.low); i < 0 || i >= len(l.counts) {
		l.cover(bucket, bucket+1)
	}
	return &l.counts[bucket-l.low]
}

// cover makes room for the buckets [lo, hi), and for some beside them.
func (l *latencyCount) cover(lo, hi int32) {
	const slack = 16
	n := int32(len(l.counts))
	if n > 0 && lo >= l.low && hi <= l.low+n {
		return
	}
	lo, hi = lo-slack, hi+slack
	if n > 0 {
		lo, hi = min(lo, l.low), max(hi, l.low+n)
	}
	wider := make([]int64, hi-lo)
	if n > 0 {
		copy(wider[l.low-lo:], l.counts)
	}
	l.low, l.counts = lo, wider
}

func (l *latencyCount) merge(o *latencyCount) {
	l.n, l.sum, l.zero = l.n+o.n, l.sum+o.sum, l.zero+o.zero
	if len(o.counts) == 0 {
		return
	}
	l.cover(o.low, o.low+int32(len(o.counts)))
	to := l.counts[o.low-l.low:][:len(o.counts)]
	for i, n := range o.counts {
		to[i] += n
	}
}

// result hands the buckets over: the graph is not used after it.
func (l *latencyCount) result() model.Latency {
	return model.Latency{Count: uint64(l.n), Sum: uint64(l.sum), Zero: l.zero, Low: l.low, Buckets: l.counts}
}

func (g *graph) edge(k edgeKey, calls int64) *edgeCount {
	e := g.edges[k]
	if e == nil {
		if len(g.edges) >= maxEdges {
			g.dropped += calls
			return nil
		}
		e = &edgeCount{}
		g.edges[k] = e
	}
	return e
}

func (g *graph) call(k edgeKey, sign int64, failed bool, client, server int64, both bool) {
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

func (g *graph) service(s *calls.Span, sign int64) {
	g.lo, g.hi = min(g.lo, s.Start), max(g.hi, s.Start)
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

func (g *graph) merge(o *graph) {
	for k, x := range o.edges {
		if e := g.edge(k, x.calls); e != nil {
			e.calls, e.failed = e.calls+x.calls, e.failed+x.failed
			e.client.merge(&x.client)
			e.server.merge(&x.server)
		}
	}
	for k, x := range o.services {
		c := g.services[k]
		if c == nil {
			c = &serviceCount{}
			g.services[k] = c
		}
		c.spans, c.failed = c.spans+x.spans, c.failed+x.failed
		c.requests, c.requestsFailed = c.requests+x.requests, c.requestsFailed+x.requestsFailed
		c.latency.merge(&x.latency)
	}
	g.dropped += o.dropped
}

// result sorts edges and services by name.
func (g *graph) result() *model.ServiceGraph {
	out := &model.ServiceGraph{}
	met := map[string]bool{}
	for k, e := range g.edges {
		if e.calls == 0 {
			continue
		}
		met[k.client], met[k.server] = true, true
		out.Edges = append(out.Edges, model.GraphEdge{
			Client: k.client, Server: k.server, Type: k.kind, Calls: uint64(e.calls), Errors: uint64(e.failed),
			ClientLatency: e.client.result(), ServerLatency: e.server.result(),
		})
	}
	for name, c := range g.services {
		if c.spans == 0 {
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
