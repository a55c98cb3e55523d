package otlp

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"braid/pkg/model"
)

// dump writes batches so that two can be compared: pointers followed, nil and
// empty alike, NaN equal to NaN, values with their kind.
func dump(v any) string {
	var b strings.Builder
	attrs := func(a model.Attrs) {
		for _, x := range a {
			fmt.Fprintf(&b, " %q=%d:%x:%q", x.Key, x.Value.Kind(), x.Value.Num(), x.Value.Str())
		}
	}
	head := func(r *model.Resource, s *model.Scope) {
		fmt.Fprintf(&b, "resource %q %d", r.SchemaURL, r.DroppedAttrs)
		attrs(r.Attrs)
		fmt.Fprintf(&b, "\nscope %q %q %q %d", s.Name, s.Version, s.SchemaURL, s.DroppedAttrs)
		attrs(s.Attrs)
		b.WriteByte('\n')
	}
	switch v := v.(type) {
	case *model.Logs:
		for _, l := range v.Batches {
			head(l.Resource, l.Scope)
			for _, r := range l.Records {
				fmt.Fprintf(&b, "  %d %d %d %q %d:%x:%q %q %s %s %d %d", r.Time, r.Observed, r.Severity, r.SeverityText,
					r.Body.Kind(), r.Body.Num(), r.Body.Str(), r.EventName, r.TraceID, r.SpanID, r.Flags, r.DroppedAttrs)
				attrs(r.Attrs)
				b.WriteByte('\n')
			}
		}
	case *model.Spans:
		for _, l := range v.Batches {
			head(l.Resource, l.Scope)
			for _, s := range l.Spans {
				fmt.Fprintf(&b, "  %s %s %s %q %q %d %d %d %d %q %d %d %d %d", s.TraceID, s.SpanID, s.ParentID, s.TraceState, s.Name,
					s.Kind, s.Start, s.End, s.Status, s.StatusMessage, s.Flags, s.DroppedAttrs, s.DroppedEvents, s.DroppedLinks)
				attrs(s.Attrs)
				for _, e := range s.Events {
					fmt.Fprintf(&b, "\n    event %d %q %d", e.Time, e.Name, e.DroppedAttrs)
					attrs(e.Attrs)
				}
				for _, k := range s.Links {
					fmt.Fprintf(&b, "\n    link %s %s %q %d %d", k.TraceID, k.SpanID, k.TraceState, k.Flags, k.DroppedAttrs)
					attrs(k.Attrs)
				}
				b.WriteByte('\n')
			}
		}
	case *model.Metrics:
		for _, l := range v.Batches {
			head(l.Resource, l.Scope)
			for _, m := range l.Metrics {
				fmt.Fprintf(&b, "  %q %q %q %d %d %v\n", m.Name, m.Description, m.Unit, m.Type, m.Temporality, m.Monotonic)
				for _, p := range m.Points {
					fmt.Fprintf(&b, "    %d %d %x %v sum %x min %v %x max %v %x count %d bounds %v counts %v scale %d zero %d %x pos %d %v neg %d %v flags %d quantiles %v",
						p.Start, p.Time, math.Float64bits(p.Value), p.IsInt, math.Float64bits(p.Sum), p.HasMin, math.Float64bits(p.Min), p.HasMax, math.Float64bits(p.Max),
						p.Count, p.Bounds, p.Counts, p.Scale, p.ZeroCount, math.Float64bits(p.ZeroThresh), p.Positive.Offset, p.Positive.Counts,
						p.Negative.Offset, p.Negative.Counts, p.Flags, p.Quantiles)
					if m.Type != model.MetricSummary { // pdata does not tell whether a summary has a sum
						fmt.Fprintf(&b, " %v", p.HasSum)
					}
					attrs(p.Attrs)
					for _, e := range p.Exemplars {
						fmt.Fprintf(&b, "\n      exemplar %d %x %s %s", e.Time, math.Float64bits(e.Value), e.TraceID, e.SpanID)
						attrs(e.Attrs)
					}
					b.WriteByte('\n')
				}
			}
		}
	}
	return b.String()
}

func sampleLogs() plog.Logs {
	ld := plog.NewLogs()
	for r := range 2 {
		rl := ld.ResourceLogs().AppendEmpty()
		rl.SetSchemaUrl("https://opentelemetry.io/schemas/1.30.0")
		rl.Resource().Attributes().PutStr("service.name", fmt.Sprintf("checkout-%d", r))
		rl.Resource().Attributes().PutInt("host.cpus", 8)
		sl := rl.ScopeLogs().AppendEmpty()
		sl.Scope().SetName("app.orders")
		sl.Scope().SetVersion("1.2")
		sl.Scope().Attributes().PutBool("beta", true)
		for i := range 50 {
			rec := sl.LogRecords().AppendEmpty()
			rec.SetTimestamp(1_700_000_000_000_000_000 + 1)
			rec.SetObservedTimestamp(1_700_000_000_000_000_002)
			rec.SetSeverityNumber(plog.SeverityNumberError)
			rec.SetSeverityText("ERROR")
			rec.SetTraceID([16]byte{1, 2, 3, byte(i)})
			rec.SetSpanID([8]byte{9, byte(i)})
			rec.SetFlags(1)
			rec.SetEventName("order.failed")
			rec.SetDroppedAttributesCount(3)
			rec.Attributes().PutStr("http.route", "/api/checkout")
			rec.Attributes().PutInt("http.response.status_code", 500)
			rec.Attributes().PutDouble("duration", 0.25)
			rec.Attributes().PutStr("user.id", fmt.Sprint("u-", i))
			switch i % 5 {
			case 0, 1:
				rec.Body().SetStr("could not charge card: upstream said \"no\" after 3 tries")
			case 2:
				m := rec.Body().SetEmptyMap()
				m.PutStr("msg", "structured")
				m.PutEmptyMap("http").PutInt("status", 500)
				m.PutEmptySlice("tags").AppendEmpty().SetStr("a\"b\u2028")
				m.PutDouble("nan", math.NaN())
				m.PutEmpty("none")
			case 3:
				rec.Attributes().PutEmptyBytes("raw").FromRaw([]byte{0, 255})
				rec.Attributes().PutEmptySlice("list").AppendEmpty().SetDouble(1e21)
			}
		}
	}
	return ld
}

func sampleTraces() ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "cart")
	rs.Resource().Attributes().PutStr("k8s.pod.name", "cart-7d9f")
	ss := rs.ScopeSpans().AppendEmpty()
	ss.Scope().SetName("otelhttp")
	for i := range 100 {
		s := ss.Spans().AppendEmpty()
		s.SetTraceID([16]byte{1, byte(i)})
		s.SetSpanID([8]byte{2, byte(i)})
		s.SetParentSpanID([8]byte{3})
		s.TraceState().FromRaw("a=b")
		s.SetName("GET /cart")
		s.SetKind(ptrace.SpanKindServer)
		s.SetStartTimestamp(1_700_000_000_000_000_000)
		s.SetEndTimestamp(1_700_000_000_020_000_000)
		s.SetFlags(0x101)
		s.Status().SetCode(ptrace.StatusCodeError)
		s.Status().SetMessage("boom")
		for k := range 6 {
			s.Attributes().PutStr(fmt.Sprint("http.key.", k), fmt.Sprint("value ", k))
		}
		s.Attributes().PutInt("http.response.status_code", 200)
		e := s.Events().AppendEmpty()
		e.SetName("exception")
		e.SetTimestamp(1_700_000_000_010_000_000)
		e.Attributes().PutStr("exception.type", "IOException")
		l := s.Links().AppendEmpty()
		l.SetTraceID([16]byte{7})
		l.SetSpanID([8]byte{7})
		l.SetFlags(3)
		l.Attributes().PutBool("retry", true)
	}
	return td
}

func sampleMetrics() pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "payment")
	sm := rm.ScopeMetrics().AppendEmpty()
	const t0 = 1_700_000_000_000_000_000
	metric := func(name string) pmetric.Metric {
		m := sm.Metrics().AppendEmpty()
		m.SetName(name)
		m.SetUnit("s")
		m.SetDescription("about " + name)
		return m
	}
	gauge, sum := metric("process.memory").SetEmptyGauge(), metric("orders").SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	hist, exp := metric("http.server.request.duration").SetEmptyHistogram(), metric("exp").SetEmptyExponentialHistogram()
	hist.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	exp.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	summary := metric("rpc").SetEmptySummary()
	for i := range 20 {
		g := gauge.DataPoints().AppendEmpty()
		g.SetTimestamp(t0)
		g.SetDoubleValue(float64(i) / 3)
		g.Attributes().PutStr("host", fmt.Sprint(i))
		s := sum.DataPoints().AppendEmpty()
		s.SetStartTimestamp(t0)
		s.SetTimestamp(t0 + 10)
		s.SetIntValue(int64(-i))
		s.Attributes().PutStr("tier", "gold")
		x := s.Exemplars().AppendEmpty()
		x.SetIntValue(5)
		x.SetTraceID([16]byte{5})
		h := hist.DataPoints().AppendEmpty()
		h.SetTimestamp(t0)
		h.SetCount(6)
		h.SetSum(1.5)
		h.SetMin(0.1)
		h.SetMax(2)
		h.ExplicitBounds().FromRaw([]float64{0.1, 1})
		h.BucketCounts().FromRaw([]uint64{1, 2, 3})
		h.Attributes().PutStr("http.route", "/pay")
		e := h.Exemplars().AppendEmpty()
		e.SetDoubleValue(0.3)
		e.SetTimestamp(t0)
		e.SetTraceID([16]byte{1, 9})
		e.SetSpanID([8]byte{1})
		e.FilteredAttributes().PutStr("user.id", "u1")
		p := exp.DataPoints().AppendEmpty()
		p.SetCount(10)
		p.SetScale(-3)
		p.SetZeroCount(1)
		p.SetZeroThreshold(1e-9)
		p.Positive().SetOffset(-7)
		p.Positive().BucketCounts().FromRaw([]uint64{1, 300, 5})
		p.Negative().BucketCounts().FromRaw([]uint64{4})
		q := summary.DataPoints().AppendEmpty()
		q.SetCount(9)
		q.SetSum(3)
		v := q.QuantileValues().AppendEmpty()
		v.SetQuantile(0.99)
		v.SetValue(0.7)
	}
	return md
}

func samples(t testing.TB) (logs, traces, metrics []byte) {
	var err error
	logs, err = plogotlp.NewExportRequestFromLogs(sampleLogs()).MarshalProto()
	require.NoError(t, err)
	traces, err = ptraceotlp.NewExportRequestFromTraces(sampleTraces()).MarshalProto()
	require.NoError(t, err)
	metrics, err = pmetricotlp.NewExportRequestFromMetrics(sampleMetrics()).MarshalProto()
	require.NoError(t, err)
	return logs, traces, metrics
}

func TestWalkAgreesWithPdata(t *testing.T) {
	logs, traces, metrics := samples(t)
	b := Get()
	defer Put(b)
	for range 2 { // the second time in used memory
		b.Reset()
		got, rej, err := DecodeLogs(logs, Protobuf, b)
		require.NoError(t, err)
		require.Zero(t, rej.Count)
		want, err := oracleLogs(logs)
		require.NoError(t, err)
		require.Equal(t, dump(want), dump(got))
		require.Equal(t, 100, got.Count())

		spans, _, err := DecodeSpans(traces, Protobuf, b)
		require.NoError(t, err)
		wantSpans, err := oracleSpans(traces)
		require.NoError(t, err)
		require.Equal(t, dump(wantSpans), dump(spans))

		m, _, err := DecodeMetrics(metrics, Protobuf, b)
		require.NoError(t, err)
		wantMetrics, err := oracleMetrics(metrics)
		require.NoError(t, err)
		require.Equal(t, dump(wantMetrics), dump(m))
	}
}

func TestJSONMeansTheSameAsProtobuf(t *testing.T) {
	logs, traces, metrics := samples(t)
	b, b2 := Get(), Get()
	defer Put(b)
	defer Put(b2)

	text, err := plogotlp.NewExportRequestFromLogs(sampleLogs()).MarshalJSON()
	require.NoError(t, err)
	a, _, err := DecodeLogs(text, JSON, b)
	require.NoError(t, err)
	c, _, err := DecodeLogs(logs, Protobuf, b2)
	require.NoError(t, err)
	require.Equal(t, dump(c), dump(a))

	text, err = ptraceotlp.NewExportRequestFromTraces(sampleTraces()).MarshalJSON()
	require.NoError(t, err)
	s, _, err := DecodeSpans(text, JSON, b)
	require.NoError(t, err)
	s2, _, err := DecodeSpans(traces, Protobuf, b2)
	require.NoError(t, err)
	require.Equal(t, dump(s2), dump(s))

	text, err = pmetricotlp.NewExportRequestFromMetrics(sampleMetrics()).MarshalJSON()
	require.NoError(t, err)
	m, _, err := DecodeMetrics(text, JSON, b)
	require.NoError(t, err)
	m2, _, err := DecodeMetrics(metrics, Protobuf, b2)
	require.NoError(t, err)
	require.Equal(t, dump(m2), dump(m))
}

func TestStructuredBodyBecomesAttributes(t *testing.T) {
	body := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"kvlistValue":{"values":[
		{"key":"msg","value":{"stringValue":"paid \"twice\""}},
		{"key":"http","value":{"kvlistValue":{"values":[{"key":"status","value":{"intValue":"500"}}]}}},
		{"key":"user.id","value":{"stringValue":"from body"}},
		{"key":"tags","value":{"arrayValue":{"values":[{"intValue":1},{}]}}}]}},
		"attributes":[{"key":"user.id","value":{"stringValue":"from attribute"}}]}]}]}]}`
	b := Get()
	defer Put(b)
	logs, rej, err := DecodeLogs([]byte(body), JSON, b)
	require.NoError(t, err)
	require.Zero(t, rej.Message())
	rec := logs.Batches[0].Records[0]
	require.Equal(t, `{"msg":"paid \"twice\"","http":{"status":500},"user.id":"from body","tags":[1,null]}`, rec.Body.Str())
	require.Equal(t, model.Attrs{
		{Key: "user.id", Value: model.String("from attribute")},
		{Key: "msg", Value: model.String(`paid "twice"`)},
		{Key: "http.status", Value: model.Int(500)},
		{Key: "tags", Value: model.ArrayJSON("[1,null]")},
	}, rec.Attrs)
}

func TestRulesOfJSON(t *testing.T) {
	log := func(fields string) string {
		return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{` + fields + `}]}]}]}`
	}
	for _, tc := range []struct{ name, body, wrong string }{
		{"empty object", `{}`, ""},
		{"unknown fields", log(`"nonsense":[{"a":[1,2,{"b":null}]}],"timeUnixNano":"5"`), ""},
		{"null fields", log(`"body":null,"attributes":null,"traceId":null`), ""},
		{"upper-case ids", log(`"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174"`), ""},
		{"numbers as they like", log(`"timeUnixNano":1544712660000000000,"observedTimeUnixNano":"1544712660000000000","severityNumber":9.0`), ""},
		{"base64 id", log(`"traceId":"W47/95gDgQPSabYzgT/GDA=="`), "not hex"},
		{"enum by name", log(`"severityNumber":"SEVERITY_NUMBER_INFO"`), "enum"},
		{"array on top", `[]`, "not a JSON object"},
		{"number on top", `5`, "not a JSON object"},
		{"nothing", ``, "not a JSON object"},
		{"cut off", `{"resourceLogs":[`, "ends early"},
		{"text behind", `{} x`, "text after the end"},
		{"comma too many", `{"resourceLogs":[],}`, "comma"},
		{"overflow", log(`"timeUnixNano":"99999999999999999999"`), "64-bit"},
		{"negative time", log(`"timeUnixNano":-5`), "unsigned"},
		{"string for object", log(`"body":"text"`), `expected '{'`},
		{"deep", log(`"body":` + strings.Repeat(`{"arrayValue":{"values":[`, 5000) + strings.Repeat(`]}}`, 5000)), "levels deep"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := Get()
			defer Put(b)
			_, _, err := DecodeLogs([]byte(tc.body), JSON, b)
			if tc.wrong == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.wrong)
			}
		})
	}
	b := Get()
	defer Put(b)
	logs, _, err := DecodeLogs([]byte(log(`"severity_number":9,"trace_id":"xx","severityNumber":17`)), JSON, b)
	require.NoError(t, err, "snake_case names are unknown fields")
	require.EqualValues(t, 17, logs.Batches[0].Records[0].Severity)
}

func TestDoublesAsText(t *testing.T) {
	body := `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[
		{"asDouble":"NaN"},{"asDouble":"Infinity"},{"asDouble":"-Infinity"},{"asDouble":"1.5"},{"asInt":"-3"},{"asInt":7}]}}]}]}]}`
	b := Get()
	defer Put(b)
	m, _, err := DecodeMetrics([]byte(body), JSON, b)
	require.NoError(t, err)
	p := m.Batches[0].Metrics[0].Points
	require.True(t, math.IsNaN(p[0].Value))
	require.Equal(t, []float64{math.Inf(1), math.Inf(-1), 1.5, -3, 7}, []float64{p[1].Value, p[2].Value, p[3].Value, p[4].Value, p[5].Value})
	_, _, err = DecodeMetrics([]byte(strings.Replace(body, `"NaN"`, `"nan"`, 1)), JSON, b)
	require.ErrorContains(t, err, "not a number")
}

func TestIDsOfTheWrongLength(t *testing.T) {
	b := Get()
	defer Put(b)
	spans, rej, err := DecodeSpans([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[
		{"traceId":"5b8e","spanId":"eee19b7ec3c1b174"},
		{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","links":[{"traceId":"01"},{"traceId":"5b8efff798038103d269b633813fc60c"}]}]}]}]}`), JSON, b)
	require.NoError(t, err)
	require.EqualValues(t, 1, rej.Count)
	require.Contains(t, rej.Message(), "16 bytes")
	require.Contains(t, rej.Message(), "links")
	require.Equal(t, 1, spans.Count())
	require.Len(t, spans.Batches[0].Spans[0].Links, 1)
	require.EqualValues(t, 1, spans.Batches[0].Spans[0].DroppedLinks)
}

func TestDeepValuesAreCut(t *testing.T) {
	ld := plog.NewLogs()
	v := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body()
	for range 1000 {
		v = v.SetEmptySlice().AppendEmpty()
	}
	v.SetStr("bottom")
	body, err := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	require.NoError(t, err)
	b := Get()
	defer Put(b)
	logs, rej, err := DecodeLogs(body, Protobuf, b)
	require.NoError(t, err)
	require.Contains(t, rej.Message(), "64 levels")
	require.Zero(t, rej.Count)
	require.Equal(t, strings.Repeat("[", MaxDepth)+"null"+strings.Repeat("]", MaxDepth), logs.Batches[0].Records[0].Body.Str())
}

func TestSmallPayloadOfManyRecordsIsBounded(t *testing.T) {
	scope := []byte(strings.Repeat("\x12\x00", 100_000)) // empty log records
	scope = append(appendTag(nil, 2, wireLen), insertLength(scope, 0)...)
	body := append(appendTag(nil, 1, wireLen), insertLength(scope, 0)...)
	b := &Buffers{MaxBytes: 1 << 20}
	_, _, err := DecodeLogs(body, Protobuf, b)
	require.ErrorIs(t, err, ErrTooLarge)
	b.Reset()
	b.MaxBytes = 0
	logs, _, err := DecodeLogs(body, Protobuf, b)
	require.NoError(t, err)
	require.Equal(t, 100_000, logs.Count())
}

func TestManyAttributesKeepKeysUnique(t *testing.T) {
	ld := plog.NewLogs()
	rec := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	for i := range 500 {
		rec.Attributes().PutInt(fmt.Sprint("k", i), int64(i))
	}
	body, err := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	require.NoError(t, err)
	// A second copy of the same record's fields: equal keys, other order of bytes.
	b := Get()
	defer Put(b)
	logs, _, err := DecodeLogs(body, Protobuf, b)
	require.NoError(t, err)
	require.Len(t, logs.Batches[0].Records[0].Attrs, 500)

	twice := []byte{}
	for _, v := range []string{"1", "2"} {
		kv := append([]byte("\x0a\x01k\x12\x03\x0a\x01"), v...)
		twice = append(appendTag(twice, 6, wireLen), insertLength(kv, 0)...)
	}
	for i := range 60 {
		kv := fmt.Appendf(nil, "\x0a\x02%02d\x12\x03\x0a\x01x", i%30)
		twice = append(appendTag(twice, 6, wireLen), insertLength(kv, 0)...)
	}
	rl := append(appendTag(nil, 2, wireLen), insertLength(append([]byte{}, twice...), 0)...)
	sl := append(appendTag(nil, 2, wireLen), insertLength(rl, 0)...)
	body = append(appendTag(nil, 1, wireLen), insertLength(sl, 0)...)
	b2 := Get()
	defer Put(b2)
	logs, _, err = DecodeLogs(body, Protobuf, b2)
	require.NoError(t, err)
	require.Len(t, logs.Batches[0].Records[0].Attrs, 31)
	require.Equal(t, "2", logs.Batches[0].Records[0].Attrs.Text("k"))
}

// usesGroups reports whether some part of the bytes, read as a message, has a
// group: pdata leaves a group after its first field, the walk at its end.
func usesGroups(b []byte) bool {
	r := reader{b: b}
	for r.next() {
		switch r.wire {
		case wireStart, wireEnd:
			return true
		case wireLen:
			if usesGroups(r.rawBytes()) {
				return true
			}
		default:
			r.skip()
		}
	}
	return false
}

// agree checks the walk against the oracle on any bytes.
func agree(t *testing.T, body []byte) {
	b := Get()
	defer Put(b)
	check := func(name string, got any, rej model.Rejections, err error, want any, wantErr error) {
		switch {
		case errors.Is(err, ErrTooLarge):
		case (wantErr == nil) != (err == nil) && usesGroups(body):
		case wantErr == nil && err != nil:
			t.Fatalf("%s: pdata reads %x, the walk says %v", name, body, err)
		case wantErr == nil:
			if g, w := dump(got), dump(want); g != w && !usesGroups(body) {
				t.Fatalf("%s of %x:\nwalk  %s\npdata %s", name, body, g, w)
			}
		case err == nil && rej.Message() == "":
			t.Fatalf("%s: the walk reads %x, pdata says %v", name, body, wantErr)
		}
	}
	logs, rej, err := DecodeLogs(body, Protobuf, b)
	want, wantErr := oracleLogs(body)
	check("logs", logs, rej, err, want, wantErr)
	spans, rej, err := DecodeSpans(body, Protobuf, b)
	wantSpans, wantErr := oracleSpans(body)
	check("spans", spans, rej, err, wantSpans, wantErr)
	metrics, rej, err := DecodeMetrics(body, Protobuf, b)
	wantMetrics, wantErr := oracleMetrics(body)
	check("metrics", metrics, rej, err, wantMetrics, wantErr)
}

// firstItem is a small sound payload: the sample with few of its records, as
// fuzzing wants it.
func firstItem(body []byte) []byte {
	b := Get()
	defer Put(b)
	if l, _, err := DecodeLogs(body, Protobuf, b); err == nil && l.Count() > 0 && l.Batches[0].Records[0].Time > 0 {
		return EncodeLogs(logRows(l)[2:4])
	}
	if s, _, err := DecodeSpans(body, Protobuf, b); err == nil && s.Count() > 0 {
		return EncodeTraces(spanRows(s)[:1])
	}
	return body[:min(len(body), 1500)]
}

// FuzzWalkAgainstPdata holds the promise of doc.go.
func FuzzWalkAgainstPdata(f *testing.F) {
	logs, traces, metrics := samples(f)
	for _, s := range [][]byte{logs, traces, metrics} {
		f.Add(firstItem(s))
	}
	f.Add([]byte("\x0a\x06\xc2\x3e\x03\x12\x01\x00"))
	f.Fuzz(agree)
}

// FuzzJSON: whatever the text, there is an answer, and what pdata writes back
// from text that both take means the same.
func FuzzJSON(f *testing.F) {
	text, err := plogotlp.NewExportRequestFromLogs(sampleLogs()).MarshalJSON()
	require.NoError(f, err)
	f.Add(text[:900])
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","kind":2}]}]}]}`))
	f.Add([]byte(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"exponentialHistogram":{"dataPoints":[{"scale":-3,"positive":{"offset":"-1","bucketCounts":["1",2]}}]}}]}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		b := Get()
		defer Put(b)
		for _, m := range []*jsonMessage{jsonLogs, jsonTraces, jsonMetrics} {
			wire, err := transcode(nil, body, m)
			if err == nil {
				agree(t, wire)
			}
		}
		if _, _, err := DecodeLogs(body, JSON, b); err == nil {
			require.True(t, len(body) >= 2)
		}
	})
}
