package correlation_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"braid/pkg/model"
)

const (
	epoch  = int64(1_760_000_000_000_000_000)
	second = int64(1_000_000_000)
)

// request is what the generator knows of one request: which record carries
// which of its two ids. It does not use the code under test to say so.
type request struct {
	n       int
	trace   model.TraceID
	id      string // canonical request id
	spans   map[string]carries
	logs    map[string]carries
	at      int64
	decimal bool
}

// carries says which ids a record has.
type carries struct{ trace, request bool }

// shop draws requests of four protocols of ids, with parts that are late,
// missing or on skewed clocks.
type shop struct {
	rnd       *rand.Rand
	resources []*model.Resource
	requests  []*request
}

func newShop(seed uint64) *shop {
	s := &shop{rnd: rand.New(rand.NewPCG(seed, 11))}
	for _, n := range []string{"web", "cart", "pay", "mail", "stock"} {
		s.resources = append(s.resources, &model.Resource{Attrs: model.Attrs{str("service.name", n)}})
	}
	return s
}

func str(k, v string) model.Attr { return model.Attr{Key: k, Value: model.String(v)} }

// parts is what some requests send, by when it arrives.
type parts struct {
	spans   map[int][]model.Span // by service
	logs    map[int][]model.LogRecord
	metrics []model.Point
}

func newParts() *parts {
	return &parts{spans: map[int][]model.Span{}, logs: map[int][]model.LogRecord{}}
}

// next draws one request into now and, what is late, into later.
func (s *shop) next(now, later *parts) *request {
	r, n := s.rnd, len(s.requests)
	q := &request{n: n, spans: map[string]carries{}, logs: map[string]carries{}, at: epoch + int64(n)*second/10}
	protocol := n % 4
	binary.BigEndian.PutUint64(q.trace[8:], r.Uint64()|1<<62) // a decimal id of 19 or 20 digits
	if protocol != 1 {
		binary.BigEndian.PutUint64(q.trace[:8], r.Uint64()|1<<63)
	}
	q.decimal = protocol == 1
	q.id = fmt.Sprintf("%08x-%04x-4000-8000-%012x", r.Uint32(), r.Uint32()&0xffff, n)
	s.requests = append(s.requests, q)
	when := func() *parts {
		if r.IntN(10) == 0 {
			return later
		}
		return now
	}
	skew := map[int]int64{}
	for k := range s.resources {
		skew[k] = int64(r.IntN(5)-2) * second / 2
	}
	var parent model.SpanID
	for hop := range 1 + r.IntN(6) {
		service := r.IntN(len(s.resources))
		if hop == 0 {
			service = 0
		}
		start := q.at + int64(hop)*5e6 + skew[service]
		span := model.Span{TraceID: q.trace, ParentID: parent, Name: fmt.Sprintf("hop %d", hop), Kind: model.SpanKindServer, Start: start, End: start + 50e6}
		binary.BigEndian.PutUint64(span.SpanID[:], uint64(n*100+hop)+1)
		c := carries{trace: true}
		switch r.IntN(5) {
		case 0:
			span.Attrs, c.request = append(span.Attrs, model.Attr{Key: "http.request.header.x-request-id", Value: model.ArrayJSON(`["` + s.spell(q.id) + `"]`)}), true
		case 1:
			span.Events, c.request = []model.SpanEvent{{Time: start, Name: "in", Attrs: model.Attrs{str("correlation.id", s.spell(q.id))}}}, true
		}
		if r.IntN(7) > 0 { // else it was never sent
			p := when()
			p.spans[service] = append(p.spans[service], span)
			q.spans[span.SpanID.String()] = c
		}
		for l := range r.IntN(3) {
			s.log(q, when(), service, protocol, fmt.Sprintf("request %d hop %d line %d", n, hop, l), start+int64(l)*1e6, span.SpanID)
		}
		parent = span.SpanID
	}
	if r.IntN(3) == 0 {
		e := model.Exemplar{Time: q.at, Value: float64(n), TraceID: q.trace}
		if r.IntN(4) == 0 {
			e.TraceID, e.Attrs = model.TraceID{}, model.Attrs{str("request_id", s.spell(q.id))}
		}
		now.metrics = append(now.metrics, model.Point{Attrs: model.Attrs{str("route", fmt.Sprint("/", n%200))}, Start: epoch - second, Time: q.at, Value: float64(n), Exemplars: []model.Exemplar{e}})
	}
	return q
}

func (s *shop) log(q *request, p *parts, service, protocol int, body string, at int64, span model.SpanID) {
	rec := model.LogRecord{Time: at, Observed: at, Body: model.String(body), Severity: 9}
	c := carries{}
	switch s.rnd.IntN(6) {
	case 0: // knows the request only
		c.request = true
	case 1: // knows both
		c.trace, c.request = true, true
	case 2: // knows none
	default:
		c.trace = true
	}
	if c.trace {
		name, text := spellTrace(protocol, q.trace)
		if name == "" {
			rec.TraceID, rec.SpanID = q.trace, span
		} else {
			rec.Attrs = append(rec.Attrs, str(name, text))
		}
	}
	if c.request {
		rec.Attrs = append(rec.Attrs, str([]string{"request_id", "x-request-id", "correlationId", "guid:x-request-id"}[s.rnd.IntN(4)], s.spell(q.id)))
	}
	p.logs[service] = append(p.logs[service], rec)
	q.logs[body] = c
}

// spellTrace spells a trace id as the protocol's agents do in logs; "" means
// in the field for it.
func spellTrace(protocol int, id model.TraceID) (attribute, text string) {
	hex := id.String()
	switch protocol {
	case 1:
		return "dd.trace_id", strconv.FormatUint(binary.BigEndian.Uint64(id[8:]), 10)
	case 2:
		return "x-amzn-trace-id", "Root=1-" + hex[:8] + "-" + hex[8:] + ";Parent=53995c3f42cd8ad8;Sampled=1"
	case 3:
		return "logging.googleapis.com/trace", "projects/shop/traces/" + hex
	}
	return "", ""
}

// spell writes a UUID in one of the ways that are about.
func (s *shop) spell(id string) string {
	switch s.rnd.IntN(3) {
	case 0:
		return strings.ToUpper(id)
	case 1:
		return "{" + id + "}"
	}
	return id
}

// whole returns the spans and logs that belong to a look-up of one of the two
// ids: those with it, and, when some record carries both, those with the other.
func (q *request) whole(byTrace bool) (spans, logs map[string]bool) {
	spans, logs = map[string]bool{}, map[string]bool{}
	both, known := false, false
	for _, set := range []map[string]carries{q.spans, q.logs} {
		for _, c := range set {
			both = both || c.trace && c.request
			known = known || c.trace && byTrace || c.request && !byTrace
		}
	}
	if !known {
		return spans, logs
	}
	pick := func(from map[string]carries, to map[string]bool) {
		for k, c := range from {
			if c.trace && (byTrace || both) || c.request && (!byTrace || both) {
				to[k] = true
			}
		}
	}
	pick(q.spans, spans)
	pick(q.logs, logs)
	return spans, logs
}
