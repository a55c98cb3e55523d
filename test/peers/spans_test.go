package peers_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"braid/pkg/model"
)

// maker makes the spans that both programs are given: always the same ones,
// but for the time at which they begin. They have attributes of every type at
// every level, names that are in several scopes, values of mixed types,
// failures, orphans, several roots, and ids that begin with zeros.
type maker struct {
	rng  *rand.Rand
	base int64 // Unix ns of the first trace
	rows []model.SpanRow
	id   model.TraceID
	last uint64 // the latest span id
}

// traceEvery parts the starts of the traces, so that their order is certain.
const traceEvery = 1_500_000_000

const bulkTraces = 380

func makeSpans(base int64) []model.SpanRow {
	m := &maker{rng: rand.New(rand.NewPCG(7, 11)), base: base}
	shops := newShops()
	for i := range bulkTraces {
		m.begin(i)
		m.tree(shops, i)
	}
	m.odd(bulkTraces)
	return m.rows
}

func (m *maker) begin(i int) {
	m.id = model.TraceID{}
	hi := m.rng.Uint64()
	if i%10 == 0 {
		hi = 0 // of 8 bytes, as older tracers have them
	}
	binary.BigEndian.PutUint64(m.id[:], hi)
	binary.BigEndian.PutUint64(m.id[8:], m.rng.Uint64()>>1|uint64(i+1))
}

func (m *maker) span(r *model.Resource, s *model.Scope, parent model.SpanID, name string, kind model.SpanKind, start, duration int64, attrs ...model.Attr) *model.SpanRow {
	m.last++
	sp := model.Span{TraceID: m.id, ParentID: parent, Name: name, Kind: kind, Start: start, End: start + duration, Attrs: attrs}
	binary.BigEndian.PutUint64(sp.SpanID[:], m.last<<20|m.rng.Uint64()&0xfffff)
	m.rows = append(m.rows, model.SpanRow{Resource: r, Scope: s, Span: sp})
	return &m.rows[len(m.rows)-1]
}

func attr(k string, v any) model.Attr {
	switch v := v.(type) {
	case string:
		return model.Attr{Key: k, Value: model.String(v)}
	case int:
		return model.Attr{Key: k, Value: model.Int(int64(v))}
	case float64:
		return model.Attr{Key: k, Value: model.Double(v)}
	case bool:
		return model.Attr{Key: k, Value: model.Bool(v)}
	case model.Value:
		return model.Attr{Key: k, Value: v}
	}
	panic(fmt.Sprintf("no attribute value: %T", v))
}

// shop is a service with its instances.
type shop struct {
	name      string
	resources []*model.Resource
	scope     *model.Scope
}

func newShops() (out []shop) {
	for i, name := range []string{"frontend", "cart", "checkout", "payments", "catalog", "mail"} {
		s := shop{name: name, scope: &model.Scope{Name: "lib/" + name, Version: fmt.Sprintf("1.%d.0", i), Attrs: model.Attrs{attr("scope.tier", i%2), attr("foo", "scope")}}}
		for pod := range 2 {
			attrs := model.Attrs{attr("service.name", name), attr("service.namespace", "shop"), attr("deployment.environment", []string{"prod", "dev"}[pod]),
				attr("cluster", fmt.Sprintf("c%d", (i+pod)%3)), attr("k8s.pod.name", fmt.Sprintf("%s-%d", name, pod)), attr("replicas", 2+i), attr("foo", "resource"),
				attr("zones", model.ArrayJSON(`["eu","us"]`)), attr("spot", pod == 1), attr("load", 0.5+float64(i))}
			s.resources = append(s.resources, &model.Resource{Attrs: attrs})
		}
		out = append(out, s)
	}
	return out
}

var (
	methods  = []string{"GET", "GET", "POST", "PUT", "DELETE"}
	statuses = []int{200, 200, 200, 201, 204, 301, 400, 404, 500, 503}
	kinds    = []model.SpanKind{model.SpanKindServer, model.SpanKindClient, model.SpanKindInternal, model.SpanKindProducer, model.SpanKindConsumer, model.SpanKindUnspecified}
)

// tree is a usual request.
func (m *maker) tree(shops []shop, i int) {
	start := m.base + int64(i)*traceEvery
	n := 3 + m.rng.IntN(14)
	type open struct {
		id         model.SpanID
		shop       int
		start, end int64
	}
	made := make([]open, 0, n)
	for k := range n {
		p := open{shop: m.rng.IntN(len(shops)), start: start, end: start + 50_000_000 + m.rng.Int64N(900_000_000)}
		if k > 0 {
			p = made[m.rng.IntN(min(k, 5))]
		}
		at, end := p.start, p.end
		svc := p.shop
		if k > 0 {
			at += m.rng.Int64N((p.end-p.start)/3 + 1)
			end = at + 1_000 + m.rng.Int64N(max(1, (p.end-at)/2))
			if k%2 == 1 {
				svc = (p.shop + 1 + k) % len(shops)
			}
		}
		s := shops[svc]
		method, status := methods[m.rng.IntN(len(methods))], statuses[m.rng.IntN(len(statuses))]
		row := m.span(s.resources[i%2], s.scope, p.id, fmt.Sprintf("%s /%s/%d", method, s.name, k%4), kinds[k%len(kinds)], at, end-at,
			attr("http.method", method), attr("http.status_code", status), attr("http.target", fmt.Sprintf("/%s/%d?x=%d", s.name, k%4, m.rng.IntN(50))),
			attr("size", m.rng.IntN(5000)), attr("ratio", float64(m.rng.IntN(1000))/1000))
		m.dress(row, i, k, status)
		made = append(made, open{row.SpanID, svc, at, end})
	}
}

// dress gives a span what only some have.
func (m *maker) dress(row *model.SpanRow, i, k, status int) {
	add := func(a ...model.Attr) { row.Attrs = append(row.Attrs, a...) }
	switch {
	case status >= 500:
		row.Status, row.StatusMessage = model.StatusError, "upstream "+fmt.Sprint(status)
		row.Events = append(row.Events, model.SpanEvent{Time: row.Start + 500, Name: "exception", Attrs: model.Attrs{attr("exception.type", "IOError"), attr("exception.code", status), attr("foo", "event")}})
	case status == 404:
		row.Status = model.StatusOK
	}
	if k%3 == 0 {
		add(attr("foo", "span"), attr("cached", i%2 == 0))
	}
	if k%4 == 1 {
		add(attr("tags", model.ArrayJSON(`["a","b"]`)), attr("nums", model.ArrayJSON(`[1,2,3]`)))
	}
	if k%4 == 2 {
		add(attr("tags", "a"), attr("nums", 2), attr("flags", model.ArrayJSON(`[true,false]`)), attr("floats", model.ArrayJSON(`[0.5,1.5]`)))
	}
	switch i % 5 {
	case 1:
		add(attr("code", 200))
	case 2:
		add(attr("code", "200"))
	case 3:
		add(attr("code", 200.0))
	case 4:
		add(attr("code", true))
	}
	if k == 2 {
		add(attr("odd name", "x y"), attr(`quo"te`, "q"), attr("größe", "groß"), attr("empty", ""), attr("bytes.v", model.Bytes("\x00\xff")),
			attr("map", model.MapJSON(`{"a":1,"b":"c"}`)), attr("neg", -5), attr("big", 1<<53+1), attr("none", model.ArrayJSON(`[]`)))
		row.Events = append(row.Events, model.SpanEvent{Time: row.Start + 2_000_000, Name: "note", Attrs: model.Attrs{attr("n", i%7), attr("ok", true), attr("f", 2.5), attr("list", model.ArrayJSON(`["p","q"]`))}})
	}
	if k == 3 && i > 0 {
		linked := &m.rows[m.rng.IntN(len(m.rows)-1)]
		row.Links = append(row.Links, model.SpanLink{TraceID: linked.TraceID, SpanID: linked.SpanID, Attrs: model.Attrs{attr("why", "retry"), attr("n", i%3)}})
	}
	if i%4 == 0 && k == 0 {
		add(attr("user.id", fmt.Sprintf("user-%03d", i%40)))
	}
}

// odd are the traces that tools get wrong.
func (m *maker) odd(i int) {
	const ms = 1_000_000
	lone := &model.Resource{Attrs: model.Attrs{attr("service.name", "lone")}}
	nameless := &model.Resource{Attrs: model.Attrs{attr("host.name", "h1")}}
	scope := &model.Scope{}
	next := func() int64 { m.begin(i); i++; return m.base + int64(i)*traceEvery }

	at := next() // an orphan beside a root
	root := m.span(lone, scope, model.SpanID{}, "root", model.SpanKindServer, at, 100*ms).SpanID
	m.span(lone, scope, root, "child", model.SpanKindClient, at+ms, 50*ms)
	m.span(lone, scope, model.SpanID{9, 9}, "orphan", model.SpanKindServer, at+2*ms, 10*ms)

	at = next() // no root at all
	first := m.span(lone, scope, model.SpanID{9, 8}, "rootless", model.SpanKindServer, at, 30*ms).SpanID
	m.span(lone, scope, first, "below", model.SpanKindClient, at+ms, 10*ms)

	at = next() // two roots
	for k := range 2 {
		r := m.span(lone, scope, model.SpanID{}, fmt.Sprintf("root-%d", k), model.SpanKindServer, at+int64(k)*5*ms, 20*ms).SpanID
		m.span(lone, scope, r, "twin", model.SpanKindInternal, at+int64(k)*5*ms+ms, ms)
	}

	at = next() // no service
	r := m.span(nameless, scope, model.SpanID{}, "nameless", model.SpanKindServer, at, 20*ms).SpanID
	m.span(nameless, scope, r, "", model.SpanKindClient, at+ms, 0)

	at = next() // a chain
	parent := model.SpanID{}
	for k := range 30 {
		parent = m.span(lone, scope, parent, "chain", model.SpanKindInternal, at+int64(k)*ms, int64(60-2*k)*ms, attr("depth", k)).SpanID
	}

	at = next() // a fan
	r = m.span(lone, scope, model.SpanID{}, "fan", model.SpanKindServer, at, 300*ms).SpanID
	for k := range 60 {
		m.span(lone, scope, r, "blade", model.SpanKindClient, at+int64(k)*ms, int64(k+1)*ms, attr("k", k))
	}

	at = next() // a child before its parent
	r = m.span(lone, scope, model.SpanID{}, "late parent", model.SpanKindServer, at+50*ms, 10*ms).SpanID
	m.span(lone, scope, r, "early child", model.SpanKindServer, at, 20*ms)
}
