package generate

import (
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// evil are texts that a page must show and never obey.
var evil = []string{
	`<script>alert("braid")</script>`,
	`"><img src=x onerror=alert(1)>`,
	`javascript:alert(1)//`,
	"{{constructor.constructor('alert(1)')()}}",
	"'; DROP TABLE spans; --",
	"\u202Egnp.exe\u202C and \u2066isolated\u2069",
	"שלום עולם مرحبا بالعالم",
	"日本語のログ 한국어 🧶🧵👩‍👩‍👧‍👦 Z̸̡̢͓͇͍a̷l̴g̶o̵",
	"zero\u200Bwidth\u200Dand\uFEFFmarks",
	"\x1b[31mred\x1b[0m \x07 bell",
	"line one\nline two\r\nline three\ttab",
	"%s%n%x ${jndi:ldap://x} $(reboot) `id`",
}

// hostile writes one trace and a set of logs of such texts, odd shapes and
// clocks, and one trace of many spans, all shortly before t.
func (s *shop) hostile(t time.Time, huge int) {
	r := s.newRequest()
	r.id = "req-hostile"
	at := instance{service: "hostile <b>service</b>", region: regions[0], version: "6.6.6", pod: "hostile-0"}
	t = t.Add(-20 * time.Second)
	root := r.begin(at, [8]byte{}, evil[0], ptrace.SpanKindServer, t)
	root.put("request.id", r.id)
	for i, text := range evil {
		f := r.begin(at, root.span.SpanID(), text, ptrace.SpanKindInternal, t)
		f.put("text", text, text, i, "url.full", "https://example.com/?q="+text)
		f.now = t.Add(time.Duration(i) * time.Millisecond)
		f.err = text
		f.end()
		f.log(plog.SeverityNumberError, text, text, text)
	}
	s.oddShapes(r, at, root, t)
	root.now = t.Add(time.Second)
	root.end()
	s.hugeTrace(at, t, huge)
	s.tries = append(s.tries, fmt.Sprintf("%-36s %s  (trace %s)", "hostile texts", r.id, r.trace))
}

func (s *shop) oddShapes(r *request, at instance, root *frame, t time.Time) {
	many := r.begin(at, root.span.SpanID(), "a thousand attributes", ptrace.SpanKindInternal, t)
	for i := range 1000 {
		many.put(fmt.Sprintf("attribute.%04d", i), fmt.Sprintf("value %d", i))
	}
	many.end()
	backwards := r.begin(at, root.span.SpanID(), "ends before it begins", ptrace.SpanKindInternal, t)
	backwards.now = t.Add(-3 * time.Second)
	backwards.end()
	r.begin(at, s.spanID(), "parent was never sent", ptrace.SpanKindInternal, t).end()
	r.begin(at, root.span.SpanID(), "", ptrace.SpanKindUnspecified, t).end()
	early := r.begin(at, root.span.SpanID(), "begins before its parent", ptrace.SpanKindInternal, t.Add(-time.Minute))
	early.now = t.Add(time.Hour)
	early.end()
	own := r.begin(at, root.span.SpanID(), "its own parent", ptrace.SpanKindInternal, t)
	own.span.SetParentSpanID(own.span.SpanID())
	own.end()

	root.log(plog.SeverityNumberInfo, strings.Repeat("a long line without a break ", 4000))
	root.log(plog.SeverityNumberInfo, strings.Repeat("x", 100_000))
	root.log(plog.SeverityNumberInfo, strings.Repeat("stack frame\n\tat com.example.Deep.call(Deep.java:1)\n", 2000))
	root.logJSON(plog.SeverityNumberWarn, map[string]any{"<b>key</b>": evil[0], "nested": map[string]any{"deep": evil}})
	root.log(plog.SeverityNumberFatal, "")
}

// hugeTrace is one trace of n spans, deep at first and then wide.
func (s *shop) hugeTrace(at instance, t time.Time, n int) {
	const deep = 200
	r := s.newRequest()
	r.id = "req-huge"
	parents := [][8]byte{{}}
	for i := range n {
		parent := parents[len(parents)-1]
		if i >= deep {
			parent = parents[s.rng.IntN(len(parents)-1)+1]
		}
		f := r.begin(at, parent, fmt.Sprintf("step %d", i%97), ptrace.SpanKindInternal, t.Add(time.Duration(i)*time.Microsecond*50))
		f.put("request.id", r.id, "step", i)
		f.now = t.Add(10*time.Second - time.Duration(min(i, deep))*time.Millisecond)
		if i >= deep {
			f.now = t.Add(time.Duration(i)*time.Microsecond*50 + s.took(30*time.Millisecond))
		}
		f.end()
		if i < deep || len(parents) < 2000 {
			parents = append(parents, f.span.SpanID())
		}
	}
	s.tries = append(s.tries, fmt.Sprintf("%-36s %s  (trace %s)", fmt.Sprintf("a trace of %d spans", n), r.id, r.trace))
}
