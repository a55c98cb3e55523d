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
		n.P50, n.P95, n.P99 = s.Latency.Quantiles()
		nodes[s.Name] = n
	}
	if err := f.versions(ctx, t, r, nodes, stats); err != nil {
		return nil, err
	}
	out := &ServiceMap{}
	type pair struct{ client, server string }
	edges, peers := make(map[pair]*edgeLatency, len(g.Edges)), map[string]*model.Latency{}
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
			if peers[e.Server] == nil {
				peers[e.Server] = &model.Latency{}
			}
			peers[e.Server].Merge(latency)
		} else if e.ServerLatency.Count == 0 {
			latency = &e.ClientLatency
		}
		if e.Client == e.Server {
			continue
		}
		p := pair{e.Client, e.Server}
		sum := edges[p]
		if sum == nil {
			sum = &edgeLatency{ServiceEdge: ServiceEdge{Client: e.Client, Server: e.Server}}
			edges[p] = sum
		}
		sum.Calls += int64(e.Calls)
		sum.Errors += int64(e.Errors)
		sum.seen.Merge(latency)
	}
	out.Edges = make([]ServiceEdge, 0, len(edges))
	for _, e := range edges {
		e.P50, e.P95, _ = e.seen.Quantiles()
		out.Edges = append(out.Edges, e.ServiceEdge)
	}
	for name, n := range nodes {
		if n.Type != "service" {
			n.P50, n.P95, n.P99 = peers[name].Quantiles()
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

// edgeLatency is an edge with what its calls took.
type edgeLatency struct {
	ServiceEdge
	seen model.Latency
}
