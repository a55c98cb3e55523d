package sourcetest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"braid/pkg/model"
)

// Epoch is when random data begins, Unix ns.
const Epoch = int64(1_700_000_000_000_000_000)

const second = int64(1_000_000_000)

// words make log lines: some shared, some rare, one outside ASCII.
var words = []string{"payment", "failed", "timeout", "user", "Order", "accepted", "retry", "größe", "GET", "/cart", "ERROR", "x=1", "card_declined"}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func value(r *rand.Rand) model.Value {
	switch r.IntN(8) {
	case 0:
		return model.Int(int64(r.IntN(5)) * 100)
	case 1:
		return model.Double(float64(r.IntN(4)) + 0.5)
	case 2:
		return model.Bool(r.IntN(2) == 0)
	case 3:
		return model.ArrayJSON(`["a","b"]`)
	case 4:
		return model.Bytes("\x00\xff")
	}
	return model.String(pick(r, []string{"a", "b", "200", "500", "", "long value with spaces"}))
}

// keys are attribute names: dotted, underscored, one that clashes when dots
// become underscores, and two that carry ids. They are sorted: a columnar store
// may give a record's attributes back in that order.
var keys = []string{"http.route", "http.status_code", "k8s.pod", "k8s_pod", "status", "tags", "user.id", "x-request-id"}

func attrs(r *rand.Rand, n int) model.Attrs {
	var out model.Attrs
	for _, k := range keys {
		if r.IntN(len(keys)) >= n {
			continue
		}
		v := value(r)
		switch k {
		case "user.id":
			v = model.String(fmt.Sprintf("user-%d", r.IntN(6)))
		case "x-request-id":
			v = model.String(fmt.Sprintf("req-%04d", r.IntN(200)))
		}
		out = append(out, model.Attr{Key: k, Value: v})
	}
	return out
}

func resource(r *rand.Rand) *model.Resource {
	return &model.Resource{SchemaURL: pick(r, []string{"", "https://opentelemetry.io/schemas/1.30.0"}), Attrs: model.Attrs{
		{Key: "host.name", Value: model.String(fmt.Sprintf("host-%d", r.IntN(3)))},
		{Key: "service.name", Value: model.String(pick(r, []string{"cart", "checkout", "payment"}))}}}
}

func scope(r *rand.Rand) *model.Scope {
	return &model.Scope{Name: pick(r, []string{"lib.a", "lib.b"}), Version: pick(r, []string{"", "1.2"})}
}

func traceID(n int) (id model.TraceID) {
	binary.BigEndian.PutUint64(id[:8], 0xabcd)
	binary.BigEndian.PutUint64(id[8:], uint64(n)+1)
	return id
}

func spanID(n int) (id model.SpanID) {
	binary.BigEndian.PutUint64(id[:], uint64(n)+1)
	return id
}

// Logs draws a request of log records; times repeat and come in any order.
func Logs(r *rand.Rand, records int) *model.Logs {
	out := &model.Logs{}
	for left := records; left > 0; {
		n := min(left, 1+r.IntN(20))
		left -= n
		b := model.LogBatch{Resource: resource(r), Scope: scope(r)}
		for range n {
			rec := model.LogRecord{Time: Epoch + int64(r.IntN(600))*second/4, Severity: model.SeverityNumber(pick(r, []int{0, 5, 9, 9, 9, 13, 17, 21})),
				Attrs: attrs(r, 3), Flags: uint32(r.IntN(2))}
			rec.Observed = rec.Time + int64(r.IntN(1000))
			line := pick(r, words)
			for range r.IntN(6) {
				line += " " + pick(r, words)
			}
			rec.Body = model.String(line)
			if r.IntN(2) == 0 {
				rec.TraceID, rec.SpanID = traceID(r.IntN(100)), spanID(r.IntN(400))
			}
			if r.IntN(10) == 0 {
				rec.EventName, rec.SeverityText = "order.placed", "Notice"
			}
			b.Records = append(b.Records, rec)
		}
		out.Batches = append(out.Batches, b)
	}
	return out
}

// Rows are the records of a request as a source returns them, in the order
// received; Seq is not set.
func Rows(l *model.Logs) []model.LogRow {
	var out []model.LogRow
	for _, b := range l.Batches {
		for _, rec := range b.Records {
			out = append(out, model.LogRow{Resource: b.Resource, Scope: b.Scope, LogRecord: rec})
		}
	}
	return out
}

// Spans draws a request of spans of a hundred traces: call trees with orphans,
// several roots, events and links; a trace's spans come in many requests.
func Spans(r *rand.Rand, first, spans int) *model.Spans {
	out := &model.Spans{}
	for i := 0; i < spans; {
		b := model.SpanBatch{Resource: resource(r), Scope: scope(r)}
		for range 1 + r.IntN(10) {
			if i == spans {
				break
			}
			b.Spans = append(b.Spans, span(r, first+i))
			i++
		}
		out.Batches = append(out.Batches, b)
	}
	return out
}

func span(r *rand.Rand, n int) model.Span {
	trace := r.IntN(100)
	s := model.Span{TraceID: traceID(trace), SpanID: spanID(n), Name: pick(r, []string{"GET /cart", "SELECT", "charge", "publish"}),
		Kind: model.SpanKind(r.IntN(6)), Status: model.StatusCode(r.IntN(3)), Attrs: attrs(r, 3), Flags: uint32(r.IntN(2))}
	s.Start = Epoch + int64(trace)*second + int64(r.IntN(500))*1_000_000
	s.End = s.Start + int64(r.IntN(300))*1_000_000
	if r.IntN(3) > 0 {
		s.ParentID = spanID(r.IntN(n + 1))
	}
	if s.Status == model.StatusError {
		s.StatusMessage = pick(r, []string{"", "boom"})
	}
	for range r.IntN(3) {
		s.Events = append(s.Events, model.SpanEvent{Time: s.Start + int64(r.IntN(1000)), Name: pick(r, []string{"retry", "exception"}), Attrs: attrs(r, 1)})
	}
	if r.IntN(6) == 0 {
		s.Links = append(s.Links, model.SpanLink{TraceID: traceID(r.IntN(100)), SpanID: spanID(r.IntN(50)), TraceState: "a=b", Attrs: attrs(r, 1)})
	}
	return s
}

// SpanRows are the spans of a request as a source returns them.
func SpanRows(s *model.Spans) []model.SpanRow {
	var out []model.SpanRow
	for _, b := range s.Batches {
		for _, sp := range b.Spans {
			out = append(out, model.SpanRow{Resource: b.Resource, Scope: b.Scope, Span: sp})
		}
	}
	return out
}
