package generate

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// request is one user request on its way through the shop.
type request struct {
	s      *shop
	trace  pcommon.TraceID
	id     string // x-request-id
	user   user
	order  string
	failed string // what the user is told
	slow   bool   // touched by the incident
}

// frame is one service at work on a request: its span, and its clock.
type frame struct {
	r    *request
	at   instance
	span ptrace.Span
	now  time.Time
	err  string
}

func (s *shop) spanID() (id pcommon.SpanID) {
	v := s.rng.Uint64() | 1
	for i := range id {
		id[i] = byte(v >> (8 * i))
	}
	return id
}

func (s *shop) traceID() (id pcommon.TraceID) {
	a, b := s.rng.Uint64()|1, s.rng.Uint64()
	for i := range 8 {
		id[i], id[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	return id
}

// took draws a duration with a long tail around a mean.
func (s *shop) took(mean time.Duration) time.Duration {
	return time.Duration(float64(mean) * math.Exp(0.5*s.rng.NormFloat64()))
}

func (r *request) begin(at instance, parent pcommon.SpanID, name string, kind ptrace.SpanKind, t time.Time) *frame {
	f := &frame{r: r, at: at, span: r.s.rec.span(at), now: t}
	f.span.SetTraceID(r.trace)
	f.span.SetSpanID(r.s.spanID())
	f.span.SetParentSpanID(parent)
	f.span.SetName(name)
	f.span.SetKind(kind)
	f.span.SetStartTimestamp(stamp(t))
	f.span.SetFlags(0x101)
	return f
}

func (f *frame) end() {
	f.span.SetEndTimestamp(stamp(f.now))
	if f.err != "" {
		f.span.Status().SetCode(ptrace.StatusCodeError)
		f.span.Status().SetMessage(f.err)
	}
}

func (f *frame) put(pairs ...any) { put(f.span.Attributes(), pairs...) }

// work lets time pass in the service itself.
func (f *frame) work(mean time.Duration) { f.now = f.now.Add(f.r.s.took(mean)) }

// call is a remote procedure call to another service; do works in it. The
// caller's frame fails when the callee does and must is set.
func (f *frame) call(service, method string, must bool, do func(*frame)) {
	s := f.r.s
	if !s.has(service) {
		return
	}
	full := "shop." + service + "/" + method
	client := f.r.begin(f.at, f.span.SpanID(), full, ptrace.SpanKindClient, f.now)
	client.put("rpc.system", "grpc", "rpc.service", "shop."+service, "rpc.method", method, "server.address", service, "server.port", 8080)
	client.work(400 * time.Microsecond)
	server := f.r.begin(s.on(service, f.r.user.region, f.now), client.span.SpanID(), full, ptrace.SpanKindServer, client.now)
	server.put("rpc.system", "grpc", "rpc.service", "shop."+service, "rpc.method", method, "request.id", f.r.id)
	server.work(300 * time.Microsecond)
	do(server)
	server.end()
	code := 0
	if server.err != "" {
		code = 13
	}
	server.put("rpc.grpc.status_code", code)
	s.measures.rpc(server, method, code, server.now.Sub(client.now))
	client.now = server.now
	client.work(300 * time.Microsecond)
	client.put("rpc.grpc.status_code", code)
	client.err = server.err
	client.end()
	f.now = client.now
	if must && server.err != "" {
		f.err = server.err
	}
}

// query is a call to a database or cache.
func (f *frame) query(system, op, target, text string, mean time.Duration) {
	c := f.r.begin(f.at, f.span.SpanID(), op+" "+target, ptrace.SpanKindClient, f.now)
	c.put("db.system.name", system, "db.operation.name", op, "db.collection.name", target, "db.namespace", "shop",
		"db.query.text", text, "server.address", system, "server.port", map[string]int{"postgresql": 5432, "redis": 6379}[system])
	c.work(mean)
	if system == "postgresql" && f.r.s.rng.Float64() < 0.004 {
		c.now = c.now.Add(800 * time.Millisecond)
		event := c.span.Events().AppendEmpty()
		event.SetName("lock wait")
		event.SetTimestamp(stamp(c.now))
		put(event.Attributes(), "db.lock.mode", "ShareLock", "db.lock.waited_ms", 800)
		f.logAt(c.now, plog.SeverityNumberWarn, "slow query: waited 800ms for ShareLock on "+target, "db.collection.name", target)
	}
	c.end()
	f.now = c.now
}

// log writes a line with the trace context and the request id.
func (f *frame) log(sev plog.SeverityNumber, text string, pairs ...any) plog.LogRecord {
	return f.logAt(f.now, sev, text, pairs...)
}

func (f *frame) logAt(t time.Time, sev plog.SeverityNumber, text string, pairs ...any) plog.LogRecord {
	rec := f.r.s.rec.line(f.at)
	rec.SetTimestamp(stamp(t))
	rec.SetObservedTimestamp(stamp(t.Add(30 * time.Millisecond)))
	rec.SetSeverityNumber(sev)
	rec.SetSeverityText(severityText[sev])
	rec.SetTraceID(f.r.trace)
	rec.SetSpanID(f.span.SpanID())
	rec.SetFlags(1)
	rec.Body().SetStr(text)
	put(rec.Attributes(), "x-request-id", f.r.id)
	put(rec.Attributes(), pairs...)
	return rec
}

// logJSON writes a line that is a JSON object, as many loggers do.
func (f *frame) logJSON(sev plog.SeverityNumber, fields map[string]any) {
	text, err := json.Marshal(fields)
	if err != nil {
		return // the fields are strings and numbers
	}
	f.log(sev, string(text))
}

// fail records an exception on the span and in the log, with its stack.
func (f *frame) fail(kind, message, stack string) {
	f.err = message
	e := f.span.Events().AppendEmpty()
	e.SetName("exception")
	e.SetTimestamp(stamp(f.now))
	put(e.Attributes(), "exception.type", kind, "exception.message", message, "exception.stacktrace", stack)
	f.log(plog.SeverityNumberError, message, "exception.type", kind, "exception.message", message, "exception.stacktrace", stack)
}

func (s *shop) newRequest() *request {
	trace := s.traceID()
	id := fmt.Sprintf("req-%s", hex.EncodeToString(trace[8:14]))
	return &request{s: s, trace: trace, id: id, user: s.visitor()}
}
