package ruletest

import (
	"encoding/binary"
	"fmt"
	"sort"
	"strings"
	"time"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

var levels = map[string]model.SeverityNumber{"": 0, "trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}

func attrs(m map[string]string) model.Attrs {
	var out model.Attrs
	for k, v := range m {
		out = append(out, model.Attr{Key: k, Value: model.String(v)})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out
}

// logs makes the records of a test.
func (t *Test) logs() (*testkit.MemLog, error) {
	src := &testkit.MemLog{BatchSize: 1000}
	var rows []model.LogRow
	for i, in := range t.InputLogs {
		times, err := in.times()
		if err != nil {
			return nil, fmt.Errorf("input_logs %d: %w", i+1, err)
		}
		severity, ok := levels[in.Level]
		if !ok {
			return nil, fmt.Errorf("input_logs %d: level %q: give trace, debug, info, warn, error or fatal", i+1, in.Level)
		}
		resource := &model.Resource{Attrs: attrs(in.Resource)}
		id, _ := model.ParseTraceID(in.TraceID)
		for _, at := range times {
			ns := t.StartTimestamp.Add(at).UnixNano()
			rows = append(rows, model.LogRow{Resource: resource, LogRecord: model.LogRecord{Time: ns, Observed: ns, Body: model.String(in.Line),
				Severity: severity, SeverityText: strings.ToUpper(in.Level), Attrs: attrs(in.Attributes), TraceID: id}})
		}
	}
	src.Append(tenant.Default, rows...)
	return src, nil
}

// spans makes the spans of a test.
func (t *Test) spans() (*testkit.MemTraces, error) {
	src := testkit.NewMemTraces()
	var rows []model.SpanRow
	kinds := map[string]model.SpanKind{"": 0}
	for k := model.SpanKind(0); k <= 5; k++ {
		kinds[k.String()] = k
	}
	status := map[string]model.StatusCode{"": 0, "unset": 0, "ok": 1, "error": 2}
	for i, in := range t.InputSpans {
		times, err := in.times()
		if err != nil {
			return nil, fmt.Errorf("input_spans %d: %w", i+1, err)
		}
		kind, ok := kinds[in.Kind]
		if !ok {
			return nil, fmt.Errorf("input_spans %d: kind %q: give server, client, producer, consumer or internal", i+1, in.Kind)
		}
		code, ok := status[in.Status]
		if !ok {
			return nil, fmt.Errorf("input_spans %d: status %q: give ok or error", i+1, in.Status)
		}
		resource := &model.Resource{Attrs: attrs(in.Resource)}
		for _, at := range times {
			start := t.StartTimestamp.Add(at)
			s := model.Span{Name: in.Name, Start: start.UnixNano(), End: start.Add(time.Duration(in.Duration)).UnixNano(), Kind: kind, Status: code, Attrs: attrs(in.Attributes)}
			binary.BigEndian.PutUint64(s.TraceID[8:], uint64(len(rows)+1))
			binary.BigEndian.PutUint64(s.SpanID[:], uint64(len(rows)+1))
			rows = append(rows, model.SpanRow{Resource: resource, Span: s})
		}
	}
	src.Add(tenant.Default, rows...)
	return src, nil
}
