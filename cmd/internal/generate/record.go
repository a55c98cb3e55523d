package generate

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// batch is what is sent at once.
type batch struct {
	traces  ptrace.Traces
	logs    plog.Logs
	metrics pmetric.Metrics
}

// recorder collects spans and logs by instance until they are taken.
type recorder struct {
	cur   batch
	spans map[instance]ptrace.SpanSlice
	lines map[instance]plog.LogRecordSlice
}

func newRecorder() *recorder {
	r := &recorder{}
	r.take()
	return r
}

// take returns what was collected and begins anew.
func (r *recorder) take() batch {
	b := r.cur
	r.cur = batch{ptrace.NewTraces(), plog.NewLogs(), pmetric.NewMetrics()}
	r.spans, r.lines = map[instance]ptrace.SpanSlice{}, map[instance]plog.LogRecordSlice{}
	return b
}

func fill(res pcommon.Resource, i instance) {
	for k, v := range i.attributes() {
		res.Attributes().PutStr(k, v)
	}
}

func (r *recorder) span(i instance) ptrace.Span {
	s, ok := r.spans[i]
	if !ok {
		rs := r.cur.traces.ResourceSpans().AppendEmpty()
		fill(rs.Resource(), i)
		ss := rs.ScopeSpans().AppendEmpty()
		ss.Scope().SetName("shop/" + i.service)
		ss.Scope().SetVersion("0.9.0")
		s = ss.Spans()
		r.spans[i] = s
	}
	return s.AppendEmpty()
}

func (r *recorder) line(i instance) plog.LogRecord {
	s, ok := r.lines[i]
	if !ok {
		rl := r.cur.logs.ResourceLogs().AppendEmpty()
		fill(rl.Resource(), i)
		sl := rl.ScopeLogs().AppendEmpty()
		sl.Scope().SetName("shop/" + i.service + "/log")
		s = sl.LogRecords()
		r.lines[i] = s
	}
	return s.AppendEmpty()
}

func stamp(t time.Time) pcommon.Timestamp { return pcommon.NewTimestampFromTime(t) }

// put sets attributes from name, value pairs.
func put(m pcommon.Map, pairs ...any) {
	for i := 0; i+1 < len(pairs); i += 2 {
		k, ok := pairs[i].(string)
		if !ok {
			continue
		}
		switch v := pairs[i+1].(type) {
		case string:
			m.PutStr(k, v)
		case int:
			m.PutInt(k, int64(v))
		case float64:
			m.PutDouble(k, v)
		case bool:
			m.PutBool(k, v)
		case []string:
			s := m.PutEmptySlice(k)
			for _, e := range v {
				s.AppendEmpty().SetStr(e)
			}
		case map[string]any:
			inner := m.PutEmptyMap(k)
			for ik, iv := range v {
				put(inner, ik, iv)
			}
		}
	}
}

var severityText = map[plog.SeverityNumber]string{
	plog.SeverityNumberDebug: "DEBUG", plog.SeverityNumberInfo: "INFO", plog.SeverityNumberWarn: "WARN",
	plog.SeverityNumberError: "ERROR", plog.SeverityNumberFatal: "FATAL",
}
