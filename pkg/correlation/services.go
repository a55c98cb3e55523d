package correlation

import (
	"context"
	"fmt"
	"sort"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// ServiceMap is who calls whom in a time range, counted from the stored spans.
type ServiceMap struct {
	Nodes    []ServiceNode
	Edges    []ServiceEdge
	Warnings []string
}

// ServiceNode is a service, or something that services call and that sends no
// spans itself. Latency is of its server and consumer spans (of all its spans
// when it has none of these), in ns.
type ServiceNode struct {
	Name             string
	Type             string // service, database, messaging, external
	Spans            int64
	Requests, Errors int64
	P50, P95, P99    float64
	Versions         []string
}

// ServiceEdge counts calls from one to another. Latency is the called side's,
// in ns.
type ServiceEdge struct {
	Client, Server string
	Calls, Errors  int64
	P50, P95       float64
}

// maxGraphTraces bounds the traces whose structure is looked at: beyond it the
// edges come from the newest ones, which is said.
const maxGraphTraces = 20_000

// Services computes the map. Nodes count every span of the range; edges need
// the structure of traces.
func (f *Finder) Services(ctx context.Context, t tenant.ID, r model.TimeRange) (*ServiceMap, error) {
	stats := &model.QueryStats{}
	if src, ok := f.opts.Traces.(query.GraphSource); ok {
		return f.keptServices(ctx, src, t, r, stats)
	}
	nodes, err := f.nodes(ctx, t, r, stats)
	if err != nil {
		return nil, err
	}
	out := &ServiceMap{}
	edges, err := f.edges(ctx, t, r, nodes, stats)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		out.Nodes = append(out.Nodes, *n)
	}
	sort.Slice(out.Nodes, func(i, j int) bool { return out.Nodes[i].Name < out.Nodes[j].Name })
	out.Edges = edges
	out.Warnings = stats.Warnings()
	return out, nil
}

// nodes asks for counts and latencies where the data is.
func (f *Finder) nodes(ctx context.Context, t tenant.ID, r model.TimeRange, stats *model.QueryStats) (map[string]*ServiceNode, error) {
	service := predicate.Field{Scope: predicate.ScopeResource, Name: "service.name"}
	a, err := f.opts.Traces.AggregateSpans(ctx, &predicate.Aggregation{Tenant: t, Range: r, Measure: predicate.Quantiles, Of: predicate.Intrinsic(predicate.Duration),
		By: []predicate.Field{service, predicate.Intrinsic(predicate.Kind), predicate.Intrinsic(predicate.Status)}, Stats: stats})
	if err != nil {
		return nil, fmt.Errorf("cannot count spans by service: %w", err)
	}
	nodes := map[string]*ServiceNode{}
	entry, every := map[string]*model.Sketch{}, map[string]*model.Sketch{}
	for i := range a.Groups {
		g := &a.Groups[i]
		if len(g.Cells) == 0 {
			continue
		}
		name := g.Key[0].Text()
		if name == "" {
			name = "unknown_service"
		}
		n := nodes[name]
		if n == nil {
			n = &ServiceNode{Name: name, Type: "service"}
			nodes[name], entry[name], every[name] = n, &model.Sketch{}, &model.Sketch{}
		}
		c := &g.Cells[0]
		n.Spans += int64(c.Count)
		if c.Sketch != nil {
			every[name].Merge(c.Sketch)
		}
		if kind := g.Key[1].Text(); kind == "server" || kind == "consumer" {
			n.Requests += int64(c.Count)
			if g.Key[2].Text() == "error" {
				n.Errors += int64(c.Count)
			}
			if c.Sketch != nil {
				entry[name].Merge(c.Sketch)
			}
		}
	}
	for name, n := range nodes {
		s := entry[name]
		if s.Total == 0 {
			s = every[name]
		}
		n.P50, n.P95, n.P99 = s.Quantile(0.5), s.Quantile(0.95), s.Quantile(0.99)
	}
	return nodes, f.versions(ctx, t, r, nodes, stats)
}

func (f *Finder) versions(ctx context.Context, t tenant.ID, r model.TimeRange, nodes map[string]*ServiceNode, stats *model.QueryStats) error {
	a, err := f.opts.Traces.AggregateSpans(ctx, &predicate.Aggregation{Tenant: t, Range: r, Stats: stats, By: []predicate.Field{
		{Scope: predicate.ScopeResource, Name: "service.name"}, {Scope: predicate.ScopeResource, Name: "service.version"}}})
	if err != nil {
		return fmt.Errorf("cannot list versions: %w", err)
	}
	for i := range a.Groups {
		n, version := nodes[a.Groups[i].Key[0].Text()], a.Groups[i].Key[1].Text()
		if n != nil && version != "" {
			n.Versions = append(n.Versions, version)
		}
	}
	for _, n := range nodes {
		sort.Strings(n.Versions)
	}
	return nil
}

// peerFields name what a client span calls, the most telling first, with the
// type of node that it makes.
var peerFields = []struct{ field, kind string }{
	{"peer.service", "external"}, {"db.system.name", "database"}, {"db.system", "database"},
	{"messaging.system", "messaging"}, {"server.address", "external"}, {"net.peer.name", "external"},
}

func (f *Finder) edges(ctx context.Context, t tenant.ID, r model.TimeRange, nodes map[string]*ServiceNode, stats *model.QueryStats) ([]ServiceEdge, error) {
	type pair struct{ client, server string }
	edges := map[pair]*ServiceEdge{}
	sketches := map[pair]*model.Sketch{}
	count := func(client, server string, s *model.SpanRow) {
		p := pair{client, server}
		if edges[p] == nil {
			edges[p], sketches[p] = &ServiceEdge{Client: client, Server: server}, &model.Sketch{}
		}
		edges[p].Calls++
		if s.Status == model.StatusError {
			edges[p].Errors++
		}
		sketches[p].Add(float64(s.Duration()), 1)
	}
	project := []predicate.Field{{Scope: predicate.ScopeResource, Name: "service.name"}}
	for _, x := range peerFields {
		project = append(project, predicate.Field{Scope: predicate.ScopeRecord, Name: x.field})
	}
	q := &predicate.SpanQuery{Tenant: t, Range: r, Filters: []predicate.Expr{predicate.True{}}, Tree: true, Project: project, Limit: maxGraphTraces, Stats: stats}
	traces := 0
	for m, err := range f.opts.Traces.SelectSpans(ctx, q) {
		if err != nil {
			return nil, fmt.Errorf("cannot read traces: %w", err)
		}
		if traces++; traces == maxGraphTraces {
			stats.Warn("calls are counted over the newest %d traces of the range", maxGraphTraces)
		}
		tr := linkTree(m.Spans)
		for i := range tr.nodes {
			s := &tr.nodes[i]
			if !r.Contains(s.Start) {
				continue
			}
			name := s.Resource.Service()
			if s.Parent >= 0 {
				if from := tr.nodes[s.Parent].Resource.Service(); from != name {
					count(from, name, &s.SpanRow)
				}
			}
			if peer := peerOf(tr, i); peer != nil && (s.Kind == model.SpanKindClient || s.Kind == model.SpanKindProducer) {
				if nodes[peer.Name] == nil {
					nodes[peer.Name] = peer
				}
				if n := nodes[peer.Name]; n.Type != "service" {
					n.Requests++
					if s.Status == model.StatusError {
						n.Errors++
					}
				}
				count(name, peer.Name, &s.SpanRow)
			}
		}
	}
	out := make([]ServiceEdge, 0, len(edges))
	for p, e := range edges {
		e.P50, e.P95 = sketches[p].Quantile(0.5), sketches[p].Quantile(0.95)
		out = append(out, *e)
	}
	for name, n := range nodes {
		if n.Type != "service" {
			s := &model.Sketch{}
			for p := range edges {
				if p.server == name {
					s.Merge(sketches[p])
				}
			}
			n.P50, n.P95, n.P99 = s.Quantile(0.5), s.Quantile(0.95), s.Quantile(0.99)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].Client < out[j].Client || out[i].Client == out[j].Client && out[i].Server < out[j].Server
	})
	return out, nil
}

// peerOf names what a call without a span on the other side went to; nil when
// another service answers for it.
func peerOf(t *tree, i int) *ServiceNode {
	own := t.nodes[i].Resource.Service()
	for _, c := range t.children[i] {
		if t.nodes[c].Resource.Service() != own {
			return nil
		}
	}
	for _, x := range peerFields {
		if v := t.nodes[i].Attrs.Text(x.field); v != "" && v != own {
			return &ServiceNode{Name: v, Type: x.kind}
		}
	}
	return nil
}
