package shop

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"braid/pkg/model"
)

const second = int64(1_000_000_000)

// Request is what is known of one request: which record carries which of its
// two ids.
type Request struct {
	N         int
	Trace     model.TraceID
	ID        string             // canonical request id
	User      string             // "" when no record says it
	Spans     map[string]Carries // by span id
	Logs      map[string]Carries // by body
	Exemplars map[float64]Carries
	At        int64
}

// Carries says which ids a record has.
type Carries struct{ Trace, Request bool }

// Shop draws requests. Epoch is the time of the first one, Unix ns.
type Shop struct {
	Epoch    int64
	Requests []*Request

	rnd       *rand.Rand
	resources []*model.Resource
}

// Users is how many there are: every one has many requests.
const Users = 40

// New makes a shop; equal seeds draw equal requests.
func New(seed uint64, epoch int64) *Shop {
	s := &Shop{Epoch: epoch, rnd: rand.New(rand.NewPCG(seed, 11))}
	for _, n := range []string{"web", "cart", "pay", "mail", "stock"} {
		s.resources = append(s.resources, &model.Resource{Attrs: model.Attrs{str("service.name", n)}})
	}
	return s
}

func str(k, v string) model.Attr { return model.Attr{Key: k, Value: model.String(v)} }

// Parts is what some requests send, by when it arrives.
type Parts struct {
	Spans  []model.SpanBatch
	Logs   []model.LogBatch
	Points []model.Point // of one gauge, an exemplar each

	spanBatch, logBatch map[int]int // by service
}

// NewParts makes an empty one.
func NewParts() *Parts { return &Parts{spanBatch: map[int]int{}, logBatch: map[int]int{}} }

// Split deals the batches out to two.
func (p *Parts) Split() (left, right *Parts) {
	left, right = NewParts(), NewParts()
	for i, b := range p.Spans {
		to := left
		if i%2 == 1 {
			to = right
		}
		to.Spans = append(to.Spans, b)
	}
	for i, b := range p.Logs {
		to := right
		if i%2 == 1 {
			to = left
		}
		to.Logs = append(to.Logs, b)
	}
	left.Points = p.Points
	return left, right
}

// Resource is the one that the points belong to.
func (s *Shop) Resource() *model.Resource { return s.resources[0] }

// addSpan puts a span to those of its service, or, with an id of the request
// on its scope or its resource, into a batch of its own.
func (p *Parts) addSpan(s *Shop, service int, span model.Span, scope, resource model.Attrs) {
	if scope != nil || resource != nil {
		b := model.SpanBatch{Resource: s.resources[service], Spans: []model.Span{span}}
		if scope != nil {
			b.Scope = &model.Scope{Name: "shop", Attrs: scope}
		}
		if resource != nil {
			b.Resource = &model.Resource{Attrs: append(append(model.Attrs{}, s.resources[service].Attrs...), resource...)}
		}
		p.Spans = append(p.Spans, b)
		return
	}
	at, ok := p.spanBatch[service]
	if !ok {
		at = len(p.Spans)
		p.spanBatch[service] = at
		p.Spans = append(p.Spans, model.SpanBatch{Resource: s.resources[service]})
	}
	p.Spans[at].Spans = append(p.Spans[at].Spans, span)
}

func (p *Parts) addLog(s *Shop, service int, rec model.LogRecord) {
	at, ok := p.logBatch[service]
	if !ok {
		at = len(p.Logs)
		p.logBatch[service] = at
		p.Logs = append(p.Logs, model.LogBatch{Resource: s.resources[service]})
	}
	p.Logs[at].Records = append(p.Logs[at].Records, rec)
}

// Next draws one request into now and, what is late, into later.
func (s *Shop) Next(now, later *Parts) *Request {
	r, n := s.rnd, len(s.Requests)
	q := &Request{N: n, Spans: map[string]Carries{}, Logs: map[string]Carries{}, Exemplars: map[float64]Carries{}, At: s.Epoch + int64(n)*second/10}
	binary.BigEndian.PutUint64(q.Trace[8:], r.Uint64()|1<<62) // a decimal id of 19 or 20 digits
	if q.Protocol() != 1 {
		binary.BigEndian.PutUint64(q.Trace[:8], r.Uint64()|1<<63)
	}
	q.ID = fmt.Sprintf("%08x-%04x-4000-8000-%012x", r.Uint32(), r.Uint32()&0xffff, n)
	s.Requests = append(s.Requests, q)
	when := func() *Parts {
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
		start := q.At + int64(hop)*5e6 + skew[service]
		span := model.Span{TraceID: q.Trace, ParentID: parent, Name: fmt.Sprintf("hop %d", hop), Kind: model.SpanKindServer, Start: start, End: start + 50e6}
		binary.BigEndian.PutUint64(span.SpanID[:], uint64(n*100+hop)+1)
		c := Carries{Trace: true}
		var scope, resource model.Attrs
		switch r.IntN(10) {
		case 0, 1:
			span.Attrs, c.Request = append(span.Attrs, model.Attr{Key: "http.request.header.x-request-id", Value: model.ArrayJSON(`["` + s.spell(q.ID) + `"]`)}), true
		case 2:
			span.Events, c.Request = []model.SpanEvent{{Time: start, Name: "in", Attrs: model.Attrs{str("correlation.id", s.spell(q.ID))}}}, true
		case 3:
			if r.IntN(4) == 0 {
				scope, c.Request = model.Attrs{str("request.id", s.spell(q.ID))}, true
			}
		case 4:
			if r.IntN(4) == 0 {
				resource, c.Request = model.Attrs{str("aws.request_id", s.spell(q.ID))}, true
			}
		}
		sent := r.IntN(7) > 0 // else it was never sent
		if hop == 0 && sent {
			q.User = fmt.Sprintf("u%d", r.IntN(Users))
			span.Attrs = append(span.Attrs, str("user.id", q.User))
		}
		if sent {
			when().addSpan(s, service, span, scope, resource)
			q.Spans[span.SpanID.String()] = c
		}
		for l := range r.IntN(3) {
			s.log(q, when(), service, fmt.Sprintf("request %d hop %d line %d", n, hop, l), start+int64(l)*1e6, span.SpanID)
		}
		parent = span.SpanID
	}
	if r.IntN(3) == 0 {
		e, c := model.Exemplar{Time: q.At, Value: float64(n), TraceID: q.Trace}, Carries{Trace: true}
		if r.IntN(4) == 0 {
			e.TraceID, e.Attrs = model.TraceID{}, model.Attrs{str("request_id", s.spell(q.ID))}
			c = Carries{Request: true}
		}
		q.Exemplars[e.Value] = c
		now.Points = append(now.Points, model.Point{Attrs: model.Attrs{str("route", fmt.Sprint("/", n))}, Start: s.Epoch - second, Time: q.At, Value: float64(n), Exemplars: []model.Exemplar{e}})
	}
	return q
}

func (s *Shop) log(q *Request, p *Parts, service int, body string, at int64, span model.SpanID) {
	rec := model.LogRecord{Time: at, Observed: at, Body: model.String(body), Severity: 9}
	c := Carries{}
	switch s.rnd.IntN(6) {
	case 0: // knows the request only
		c.Request = true
	case 1: // knows both
		c.Trace, c.Request = true, true
	case 2: // knows none
	default:
		c.Trace = true
	}
	if c.Trace {
		name, text := SpellTrace(q.Protocol(), q.Trace)
		if name == "" {
			rec.TraceID, rec.SpanID = q.Trace, span
		} else {
			rec.Attrs = append(rec.Attrs, str(name, text))
		}
	}
	if c.Request {
		rec.Attrs = append(rec.Attrs, str([]string{"request_id", "x-request-id", "correlationId", "guid:x-request-id"}[s.rnd.IntN(4)], s.spell(q.ID)))
	}
	p.addLog(s, service, rec)
	q.Logs[body] = c
}

// Protocol is that of the ids in the request's logs, 0 to 3: see SpellTrace.
func (q *Request) Protocol() int { return q.N % 4 }

// SpellTrace spells a trace id as the protocol's agents do in logs; "" means
// in the field for it.
func SpellTrace(protocol int, id model.TraceID) (attribute, text string) {
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
func (s *Shop) spell(id string) string {
	switch s.rnd.IntN(3) {
	case 0:
		return strings.ToUpper(id)
	case 1:
		return "{" + id + "}"
	}
	return id
}

// Whole returns what belongs to a look-up of one of the two ids: the records
// with it, and, when some record carries both, those with the other.
func (q *Request) Whole(byTrace bool) (spans, logs map[string]bool, exemplars map[float64]bool) {
	spans, logs, exemplars = map[string]bool{}, map[string]bool{}, map[float64]bool{}
	both := q.linked()
	pick := func(c Carries) bool { return c.Trace && (byTrace || both) || c.Request && (!byTrace || both) }
	for id, c := range q.Spans {
		if pick(c) {
			spans[id] = true
		}
	}
	for body, c := range q.Logs {
		if pick(c) {
			logs[body] = true
		}
	}
	for v, c := range q.Exemplars {
		if pick(c) {
			exemplars[v] = true
		}
	}
	return spans, logs, exemplars
}

// linked reports whether some record carries both ids.
func (q *Request) linked() bool {
	for _, set := range []map[string]Carries{q.Spans, q.Logs} {
		for _, c := range set {
			if c.Trace && c.Request {
				return true
			}
		}
	}
	return false
}

// Text is how somebody would paste one of the two ids.
func (q *Request) Text(byTrace bool) string {
	if !byTrace {
		return q.ID
	}
	if name, spelt := SpellTrace(q.Protocol(), q.Trace); name != "" {
		return spelt
	}
	return strings.ToUpper(q.Trace.String())
}

// Differences says how a look-up differs from what was sent; "" when not.
func (q *Request) Differences(byTrace bool, spans, logs []string, exemplars []float64) string {
	wantSpans, wantLogs, wantExemplars := q.Whole(byTrace)
	var b strings.Builder
	compare(&b, "spans", wantSpans, spans)
	compare(&b, "logs", wantLogs, logs)
	compare(&b, "exemplars", wantExemplars, exemplars)
	if b.Len() > 0 {
		return fmt.Sprintf("request %d by %q: %s", q.N, q.Text(byTrace), b.String())
	}
	return ""
}

func compare[K comparable](b *strings.Builder, what string, want map[K]bool, got []K) {
	seen := map[K]bool{}
	for _, k := range got {
		if seen[k] {
			fmt.Fprintf(b, "%s: %v comes twice; ", what, k)
		}
		seen[k] = true
		if !want[k] {
			fmt.Fprintf(b, "%s: %v does not belong; ", what, k)
		}
	}
	for k := range want {
		if !seen[k] {
			fmt.Fprintf(b, "%s: %v is missing; ", what, k)
		}
	}
}
