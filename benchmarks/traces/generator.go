package main

import (
	"fmt"
	"math/rand/v2"

	"braid/pkg/model"
)

// generator makes a deterministic load. Its batches alias nothing of each other.
type generator struct {
	rng       *rand.Rand
	services  []service
	begun     int64 // Unix ns
	now       int64
	perSecond int // traces started a second
	traces    int
	spans     int
	// recent and old are trace ids to ask for.
	recent, old model.TraceID
	// made, when set, is told of each trace and of its number of spans.
	made func(model.TraceID, int)
}

type service struct {
	name      string
	resources []*model.Resource
	scope     *model.Scope
	routes    []string
	kind      int // 0 HTTP, 1 RPC, 2 with a database
}

const (
	serviceCount = 30
	podsEach     = 3
)

func newGenerator(seed uint64, start int64) *generator {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 1)), begun: start, now: start, perSecond: 500}
	for i := range serviceCount {
		s := service{name: fmt.Sprintf("service-%02d", i), kind: i % 3, scope: &model.Scope{Name: "io.opentelemetry.contrib.instrumentation", Version: "2.9.0"}}
		for p := range podsEach {
			s.resources = append(s.resources, resource(s.name, i, p))
		}
		for r := range 6 {
			s.routes = append(s.routes, fmt.Sprintf("/api/v1/%s/resource%d/{id}", s.name, r))
		}
		g.services = append(g.services, s)
	}
	return g
}

func resource(name string, i, pod int) *model.Resource {
	str := func(k, v string) model.Attr { return model.Attr{Key: k, Value: model.String(v)} }
	return &model.Resource{Attrs: model.Attrs{
		str("service.name", name), str("service.namespace", "shop"), str("service.version", fmt.Sprintf("1.%d.0", i)),
		str("service.instance.id", fmt.Sprintf("%s-%d", name, pod)), str("k8s.pod.name", fmt.Sprintf("%s-6d5f7c9b8-%05d", name, pod*7919+i)),
		str("k8s.namespace.name", "prod"), str("k8s.node.name", fmt.Sprintf("node-%d", (i+pod)%12)), str("host.name", fmt.Sprintf("node-%d", (i+pod)%12)),
		str("telemetry.sdk.language", "go"), str("deployment.environment", "production"),
	}}
}

// batch returns about n spans, whole traces, grouped by resource.
func (g *generator) batch(n int) *model.Spans {
	by := map[*model.Resource]int{}
	out := &model.Spans{}
	for made := 0; made < n; {
		made += g.trace(func(svc *service, pod int, sp model.Span) {
			r := svc.resources[pod]
			at, ok := by[r]
			if !ok {
				at = len(out.Batches)
				by[r] = at
				out.Batches = append(out.Batches, model.SpanBatch{Resource: r, Scope: svc.scope})
			}
			out.Batches[at].Spans = append(out.Batches[at].Spans, sp)
		})
	}
	return out
}

// run makes batches until it has made so many spans.
func (g *generator) run(spans, batch int) {
	for g.spans < spans {
		g.batch(batch)
	}
}

func (g *generator) trace(put func(*service, int, model.Span)) int {
	var id model.TraceID
	for i := 0; i < 16; i += 8 {
		v := g.rng.Uint64()
		for b := range 8 {
			id[i+b] = byte(v >> (8 * b))
		}
	}
	g.traces++
	g.now += int64(1e9) / int64(g.perSecond)
	if g.traces == 100 {
		g.old = id
	}
	g.recent = id
	n := 5 + g.rng.IntN(36)
	type open struct {
		id         model.SpanID
		svc        int
		start, end int64
	}
	failed := g.rng.IntN(50) == 0
	spans := make([]open, 0, n)
	for i := range n {
		parent := open{svc: g.rng.IntN(serviceCount), start: g.now, end: g.now + 20_000_000 + g.rng.Int64N(400_000_000)}
		if i > 0 {
			parent = spans[g.rng.IntN(min(i, 6))]
		}
		room := max(1000, parent.end-parent.start)
		start := parent.start + g.rng.Int64N(room/2+1)
		end := start + 1000 + g.rng.Int64N(max(1, parent.end-start))
		o := open{id: g.spanID(), svc: parent.svc, start: start, end: end}
		if i%2 == 1 {
			o.svc = (parent.svc*7 + i) % serviceCount
		}
		if i == 0 {
			o.start, o.end = parent.start, parent.end
		}
		spans = append(spans, o)
		s := &g.services[o.svc]
		put(s, int(id[0])%podsEach, g.span(id, o.id, parent.id, s, i, o.start, o.end, failed && i == n-1))
	}
	g.spans += n
	if g.made != nil {
		g.made(id, n)
	}
	return n
}

func (g *generator) spanID() (id model.SpanID) {
	v := g.rng.Uint64() | 1
	for b := range 8 {
		id[b] = byte(v >> (8 * b))
	}
	return id
}

var (
	methods = []string{"GET", "GET", "GET", "POST", "PUT", "DELETE"}
	tables  = []string{"orders", "users", "carts", "items", "payments"}
)

func (g *generator) span(t model.TraceID, id, parent model.SpanID, s *service, i int, start, end int64, failed bool) model.Span {
	str := func(k, v string) model.Attr { return model.Attr{Key: k, Value: model.String(v)} }
	num := func(k string, v int64) model.Attr { return model.Attr{Key: k, Value: model.Int(v)} }
	sp := model.Span{TraceID: t, SpanID: id, ParentID: parent, Start: start, End: end, Flags: 257}
	route := s.routes[g.rng.IntN(len(s.routes))]
	switch {
	case i == 0 || i%2 == 1:
		method, status := methods[g.rng.IntN(len(methods))], int64(200)
		if failed {
			status = 500
		}
		sp.Kind, sp.Name = model.SpanKindServer, method+" "+route
		sp.Attrs = model.Attrs{
			str("http.request.method", method), str("http.route", route), str("url.path", fmt.Sprintf("%s%d", route[:len(route)-4], g.rng.IntN(100000))),
			num("http.response.status_code", status), str("server.address", s.name+".prod.svc.cluster.local"), num("server.port", 8080),
			str("network.protocol.version", "1.1"), num("thread.id", int64(g.rng.IntN(64))),
		}
		if i == 0 {
			sp.Attrs = append(sp.Attrs, str("user.id", fmt.Sprintf("user-%06d", g.rng.IntN(50000))))
		}
	case s.kind == 2:
		table := tables[g.rng.IntN(len(tables))]
		sp.Kind, sp.Name = model.SpanKindClient, "SELECT shop."+table
		sp.Attrs = model.Attrs{
			str("db.system", "postgresql"), str("db.name", "shop"), str("db.operation", "SELECT"), str("db.sql.table", table),
			str("db.statement", "SELECT * FROM "+table+" WHERE id = $1 AND tenant = $2 ORDER BY created_at DESC LIMIT 50"),
			str("server.address", "postgres-0.prod.svc.cluster.local"), num("server.port", 5432), num("thread.id", int64(g.rng.IntN(64))),
		}
	default:
		sp.Kind, sp.Name = model.SpanKindClient, "shop.Service"+s.name[8:]+"/Call"
		sp.Attrs = model.Attrs{
			str("rpc.system", "grpc"), str("rpc.service", "shop.Service"+s.name[8:]), str("rpc.method", "Call"), num("rpc.grpc.status_code", 0),
			str("server.address", s.name), num("server.port", 50051), num("thread.id", int64(g.rng.IntN(64))),
		}
	}
	if failed {
		sp.Status, sp.StatusMessage = model.StatusError, "upstream connect error"
		sp.Events = []model.SpanEvent{{Time: end - 1000, Name: "exception", Attrs: model.Attrs{
			str("exception.type", "java.net.ConnectException"), str("exception.message", "Connection refused"),
		}}}
	}
	return sp
}
