package correlation

import (
	"context"
	"fmt"
	"sort"

	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// peerTypes are the types of nodes by the type of the call that leads there, for
// nodes that send no spans.
var peerTypes = map[string]string{"database": "database", "messaging_system": "messaging", "virtual_node": "external"}

// keptServices makes the map of the graph that a source keeps: every call of the
// range counts.
func (f *Finder) keptServices(ctx context.Context, src query.GraphSource, t tenant.ID, r model.TimeRange, stats *model.QueryStats) (*ServiceMap, error) {
	g, err := src.ServiceGraph(ctx, t, r, stats)
	if err != nil {
		return nil, fmt.Errorf("cannot compute the service graph: %w", err)
	}
	nodes := map[string]*ServiceNode{}
	for i := range g.Services {
		s := &g.Services[i]
		n := &ServiceNode{Name: s.Name, Type: "service", Spans: int64(s.Spans), Requests: int64(s.Requests), Errors: int64(s.RequestErrors)}
		n.P50, n.P95, n.P99 = quantiles(&s.Latency)
		nodes[s.Name] = n
	}
	if err := f.versions(ctx, t, r, nodes, stats); err != nil {
		return nil, err
	}
	out := &ServiceMap{}
	type pair struct{ client, server string }
	edges, seen, peers := map[pair]*ServiceEdge{}, map[pair]*model.Latency{}, map[string]*model.Latency{}
	for i := range g.Edges {
		e := &g.Edges[i]
		latency := &e.ServerLatency
		n := nodes[e.Server]
		if n == nil {
			n = &ServiceNode{Name: e.Server, Type: peerTypes[e.Type]}
			nodes[e.Server] = n
		}
		if n.Type != "service" {
			n.Requests += int64(e.Calls)
			n.Errors += int64(e.Errors)
			latency = &e.ClientLatency // nobody else saw it
			merge(peers, e.Server, latency)
		} else if e.ServerLatency.Count == 0 {
			latency = &e.ClientLatency
		}
		if e.Client == e.Server {
			continue
		}
		p := pair{e.Client, e.Server}
		if edges[p] == nil {
			edges[p] = &ServiceEdge{Client: e.Client, Server: e.Server}
		}
		edges[p].Calls += int64(e.Calls)
		edges[p].Errors += int64(e.Errors)
		merge(seen, p, latency)
	}
	for p, e := range edges {
		e.P50, e.P95, _ = quantiles(seen[p])
		out.Edges = append(out.Edges, *e)
	}
	for name, n := range nodes {
		if n.Type != "service" {
			n.P50, n.P95, n.P99 = quantiles(peers[name])
		}
		out.Nodes = append(out.Nodes, *n)
	}
	sort.Slice(out.Nodes, func(i, j int) bool { return out.Nodes[i].Name < out.Nodes[j].Name })
	sort.Slice(out.Edges, func(i, j int) bool {
		a, b := &out.Edges[i], &out.Edges[j]
		return a.Client < b.Client || a.Client == b.Client && a.Server < b.Server
	})
	out.Warnings = stats.Warnings()
	return out, nil
}

func merge[K comparable](to map[K]*model.Latency, k K, l *model.Latency) {
	if to[k] == nil {
		to[k] = &model.Latency{}
	}
	to[k].Merge(l)
}

func quantiles(l *model.Latency) (p50, p95, p99 float64) {
	if l == nil {
		l = &model.Latency{}
	}
	return l.Quantile(0.5), l.Quantile(0.95), l.Quantile(0.99)
}
