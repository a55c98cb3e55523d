package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"braid/pkg/model"
)

// start is the time of the first request: a fixed one, so that loads are equal.
const start = int64(1_760_000_000_000_000_000)

const (
	hops      = 5 // spans, and log records, of one request
	perSecond = 200
	users     = 100_000
)

var services = [hops]string{"gateway", "checkout", "cart", "payment", "ledger"}

// generator knows every request by its number, so that what was sent can be
// asked for without being kept.
type generator struct {
	resources [hops][3]*model.Resource // by service and region
	scope     *model.Scope
	ids       bool // records carry ids
}

var regions = [3]string{"eu-west-1", "eu-central-1", "us-east-1"}

func newGenerator() *generator {
	g := &generator{scope: &model.Scope{Name: "braid.dev/shop", Version: "1.0.0"}, ids: true}
	for i, name := range services {
		for r, region := range regions {
			g.resources[i][r] = &model.Resource{Attrs: model.Attrs{str("service.name", name), str("service.version", fmt.Sprintf("2.%d.0", i)),
				str("service.instance.id", fmt.Sprintf("%s-%d", name, r)), str("cloud.region", region), str("k8s.namespace.name", "shop")}}
		}
	}
	return g
}

func str(k, v string) model.Attr       { return model.Attr{Key: k, Value: model.String(v)} }
func num(k string, v int64) model.Attr { return model.Attr{Key: k, Value: model.Int(v)} }

// request is what is drawn of a request's number.
type request struct {
	n, region, route, user int
	trace                  model.TraceID
	id                     string
	at, lasts              int64
	failed, slow           bool
}

var routes = []string{"/", "/cart", "/checkout", "/product/{id}", "/search", "/login", "/orders", "/orders/{id}"}

func makeRequest(n int) request {
	r := rand.New(rand.NewPCG(uint64(n), 42))
	q := request{n: n, region: r.IntN(len(regions)), route: r.IntN(len(routes)), user: r.IntN(users), at: start + int64(n)*1e9/perSecond}
	binary.BigEndian.PutUint64(q.trace[:8], r.Uint64()|1)
	binary.BigEndian.PutUint64(q.trace[8:], r.Uint64()|1)
	q.id = fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", r.Uint32(), r.Uint32()&0xffff, r.Uint32()&0xfff, r.Uint32()&0xfff, r.Uint64()&0xffffffffffff)
	q.failed = r.IntN(100) == 0
	// What outliers are to find: most slow requests pay by card in one region.
	q.slow = r.IntN(200) == 0 || q.region == 0 && q.route == 2 && r.IntN(4) == 0
	q.lasts = 20e6 + r.Int64N(80e6)
	if q.slow {
		q.lasts += 1e9 + r.Int64N(2e9)
	}
	return q
}

// batch makes the spans and the log records of some requests.
func (g *generator) batch(from, n int) (*model.Spans, *model.Logs) {
	type place struct{ hop, region int }
	spans, logs := &model.Spans{}, &model.Logs{}
	at := map[place]int{}
	for i := from; i < from+n; i++ {
		q := makeRequest(i)
		for hop := range hops {
			p := place{hop, q.region}
			k, ok := at[p]
			if !ok {
				k = len(spans.Batches)
				at[p] = k
				res := g.resources[hop][q.region]
				spans.Batches = append(spans.Batches, model.SpanBatch{Resource: res, Scope: g.scope})
				logs.Batches = append(logs.Batches, model.LogBatch{Resource: res, Scope: g.scope})
			}
			span := g.span(&q, hop)
			spans.Batches[k].Spans = append(spans.Batches[k].Spans, span)
			logs.Batches[k].Records = append(logs.Batches[k].Records, g.log(&q, hop, &span))
		}
	}
	return spans, logs
}

func (g *generator) span(q *request, hop int) model.Span {
	begin := q.at + int64(hop)*1e6
	s := model.Span{TraceID: q.trace, Name: routes[q.route], Kind: model.SpanKindServer, Start: begin, End: begin + q.lasts - int64(hop)*2e6}
	binary.BigEndian.PutUint64(s.SpanID[:], uint64(q.n)*hops+uint64(hop)+1)
	if hop > 0 {
		binary.BigEndian.PutUint64(s.ParentID[:], uint64(q.n)*hops+uint64(hop))
	}
	code := int64(200)
	if q.failed && hop >= 3 {
		code, s.Status = 500, model.StatusError
	}
	s.Attrs = model.Attrs{str("http.route", routes[q.route]), num("http.response.status_code", code), str("http.request.method", "GET"),
		str("db.system.name", []string{"postgresql", "redis", "none"}[hop%3]), str("user.tier", []string{"gold", "free", "free", "free"}[q.user%4])}
	if hop == 0 && g.ids {
		s.Attrs = append(s.Attrs, str("http.request.header.x-request-id", q.id), str("user.id", userID(q.user)))
	}
	return s
}

func userID(n int) string { return fmt.Sprintf("user-%06d", n) }

func (g *generator) log(q *request, hop int, s *model.Span) model.LogRecord {
	l := model.LogRecord{Time: s.Start + 500_000, Observed: s.Start + 600_000, Severity: 9, SeverityText: "INFO"}
	l.Body = model.String(fmt.Sprintf("%s handled %s in %d ms with %d items", services[hop], routes[q.route], q.lasts/1e6, q.user%17))
	if s.Status == model.StatusError {
		l.Severity, l.SeverityText = 17, "ERROR"
		l.Body = model.String(fmt.Sprintf("cannot charge: gateway answered %d after %d ms", 500, q.lasts/1e6))
	}
	l.Attrs = model.Attrs{str("http.route", routes[q.route]), num("items", int64(q.user%17))}
	if g.ids {
		l.TraceID, l.SpanID = q.trace, s.SpanID
		if hop < 2 {
			l.Attrs = append(l.Attrs, str("request_id", q.id))
		}
	}
	return l
}
