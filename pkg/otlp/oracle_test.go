package otlp

import (
	"encoding/json"
	"math"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"braid/pkg/model"
)

// The oracle reads with pdata and follows the rules of doc.go in the plainest
// way.

func utf(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func instant(t pcommon.Timestamp) int64 { return int64(min(uint64(t), math.MaxInt64)) }

func oracleAttrs(m pcommon.Map, dropped uint32) (model.Attrs, uint32) {
	var out model.Attrs
	for k, v := range m.All() {
		key := utf(k)
		if key == "" {
			dropped++
			continue
		}
		value := oracleValue(v)
		found := false
		for i := range out {
			if out[i].Key == key {
				out[i].Value, found = value, true
			}
		}
		if !found {
			out = append(out, model.Attr{Key: key, Value: value})
		}
	}
	return out, dropped
}

func oracleValue(v pcommon.Value) model.Value {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return model.String(utf(v.Str()))
	case pcommon.ValueTypeBool:
		return model.Bool(v.Bool())
	case pcommon.ValueTypeInt:
		return model.Int(v.Int())
	case pcommon.ValueTypeDouble:
		return model.Double(v.Double())
	case pcommon.ValueTypeBytes:
		return model.Bytes(string(v.Bytes().AsRaw()))
	case pcommon.ValueTypeSlice:
		return model.ArrayJSON(oracleJSON(v, 0))
	case pcommon.ValueTypeMap:
		return model.MapJSON(oracleJSON(v, 0))
	}
	return model.Value{}
}

func oracleJSON(v pcommon.Value, depth int) string {
	var parts []string
	switch v.Type() {
	case pcommon.ValueTypeSlice:
		if depth >= MaxDepth {
			return "null"
		}
		for _, e := range v.Slice().All() {
			parts = append(parts, oracleJSON(e, depth+1))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case pcommon.ValueTypeMap:
		if depth >= MaxDepth {
			return "null"
		}
		for k, e := range v.Map().All() {
			parts = append(parts, string(appendJSONString(nil, utf(k)))+":"+oracleJSON(e, depth+1))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case pcommon.ValueTypeStr:
		return string(appendJSONString(nil, utf(v.Str())))
	case pcommon.ValueTypeDouble:
		return string(appendJSONFloat(nil, v.Double()))
	case pcommon.ValueTypeBytes:
		text, _ := json.Marshal(v.Bytes().AsRaw())
		if string(text) == "null" {
			return `""`
		}
		return string(text)
	case pcommon.ValueTypeEmpty:
		return "null"
	}
	return v.AsString()
}

func oracleResource(r pcommon.Resource, schema string) *model.Resource {
	attrs, dropped := oracleAttrs(r.Attributes(), r.DroppedAttributesCount())
	return &model.Resource{Attrs: attrs, DroppedAttrs: dropped, SchemaURL: utf(schema)}
}

func oracleScope(s pcommon.InstrumentationScope, schema string) *model.Scope {
	attrs, dropped := oracleAttrs(s.Attributes(), s.DroppedAttributesCount())
	return &model.Scope{Name: utf(s.Name()), Version: utf(s.Version()), Attrs: attrs, DroppedAttrs: dropped, SchemaURL: utf(schema)}
}

func enum(v int32, last int32) uint8 {
	if v < 0 || v > last {
		return 0
	}
	return uint8(v)
}

func oracleLogs(body []byte) (*model.Logs, error) {
	ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(body)
	if err != nil {
		return nil, err
	}
	out := &model.Logs{}
	for _, rl := range ld.ResourceLogs().All() {
		res := oracleResource(rl.Resource(), rl.SchemaUrl())
		for _, sl := range rl.ScopeLogs().All() {
			batch := model.LogBatch{Resource: res, Scope: oracleScope(sl.Scope(), sl.SchemaUrl())}
			for _, r := range sl.LogRecords().All() {
				rec := model.LogRecord{
					Time: instant(r.Timestamp()), Observed: instant(r.ObservedTimestamp()),
					SeverityText: utf(r.SeverityText()), Severity: model.SeverityNumber(enum(int32(r.SeverityNumber()), 24)),
					Body: oracleValue(r.Body()), EventName: utf(r.EventName()), Flags: uint32(r.Flags()),
					TraceID: model.TraceID(r.TraceID()), SpanID: model.SpanID(r.SpanID()),
				}
				rec.Attrs, rec.DroppedAttrs = oracleAttrs(r.Attributes(), r.DroppedAttributesCount())
				if rec.Body.Kind() == model.KindMap {
					rec.Attrs = new(Buffers).AddLeaves(rec.Body.Str(), rec.Attrs)
				}
				batch.Records = append(batch.Records, rec)
			}
			if len(batch.Records) > 0 {
				out.Batches = append(out.Batches, batch)
			}
		}
	}
	return out, nil
}

func oracleSpans(body []byte) (*model.Spans, error) {
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(body)
	if err != nil {
		return nil, err
	}
	out := &model.Spans{}
	for _, rs := range td.ResourceSpans().All() {
		res := oracleResource(rs.Resource(), rs.SchemaUrl())
		for _, ss := range rs.ScopeSpans().All() {
			batch := model.SpanBatch{Resource: res, Scope: oracleScope(ss.Scope(), ss.SchemaUrl())}
			for _, s := range ss.Spans().All() {
				batch.Spans = append(batch.Spans, oracleSpan(s))
			}
			if len(batch.Spans) > 0 {
				out.Batches = append(out.Batches, batch)
			}
		}
	}
	return out, nil
}

func oracleSpan(s ptrace.Span) model.Span {
	sp := model.Span{
		TraceID: model.TraceID(s.TraceID()), SpanID: model.SpanID(s.SpanID()), ParentID: model.SpanID(s.ParentSpanID()),
		TraceState: utf(s.TraceState().AsRaw()), Name: utf(s.Name()), Start: instant(s.StartTimestamp()), End: instant(s.EndTimestamp()),
		StatusMessage: utf(s.Status().Message()), Status: model.StatusCode(enum(int32(s.Status().Code()), 2)),
		Kind: model.SpanKind(enum(int32(s.Kind()), 5)), Flags: s.Flags(),
		DroppedEvents: s.DroppedEventsCount(), DroppedLinks: s.DroppedLinksCount(),
	}
	sp.Attrs, sp.DroppedAttrs = oracleAttrs(s.Attributes(), s.DroppedAttributesCount())
	for _, e := range s.Events().All() {
		ev := model.SpanEvent{Time: instant(e.Timestamp()), Name: utf(e.Name())}
		ev.Attrs, ev.DroppedAttrs = oracleAttrs(e.Attributes(), e.DroppedAttributesCount())
		sp.Events = append(sp.Events, ev)
	}
	for _, l := range s.Links().All() {
		ln := model.SpanLink{TraceID: model.TraceID(l.TraceID()), SpanID: model.SpanID(l.SpanID()), TraceState: utf(l.TraceState().AsRaw()), Flags: l.Flags()}
		ln.Attrs, ln.DroppedAttrs = oracleAttrs(l.Attributes(), l.DroppedAttributesCount())
		sp.Links = append(sp.Links, ln)
	}
	return sp
}

func oracleMetrics(body []byte) (*model.Metrics, error) {
	md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(body)
	if err != nil {
		return nil, err
	}
	out := &model.Metrics{}
	for _, rm := range md.ResourceMetrics().All() {
		res := oracleResource(rm.Resource(), rm.SchemaUrl())
		for _, sm := range rm.ScopeMetrics().All() {
			batch := model.MetricBatch{Resource: res, Scope: oracleScope(sm.Scope(), sm.SchemaUrl())}
			for _, m := range sm.Metrics().All() {
				batch.Metrics = append(batch.Metrics, oracleMetric(m))
			}
			if len(batch.Metrics) > 0 {
				out.Batches = append(out.Batches, batch)
			}
		}
	}
	return out, nil
}

func oracleMetric(m pmetric.Metric) model.Metric {
	om := model.Metric{Name: utf(m.Name()), Description: utf(m.Description()), Unit: utf(m.Unit()), Type: model.MetricType(m.Type())}
	number := func(p pmetric.NumberDataPoint) model.Point {
		op := model.Point{Start: instant(p.StartTimestamp()), Time: instant(p.Timestamp()), Flags: uint32(p.Flags()), Exemplars: oracleExemplars(p.Exemplars())}
		op.Attrs, _ = oracleAttrs(p.Attributes(), 0)
		switch p.ValueType() {
		case pmetric.NumberDataPointValueTypeInt:
			op.Value, op.IsInt = float64(p.IntValue()), true
		case pmetric.NumberDataPointValueTypeDouble:
			op.Value = p.DoubleValue()
		}
		return op
	}
	temporality := func(t pmetric.AggregationTemporality) model.Temporality {
		return model.Temporality(enum(int32(t), 2))
	}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			om.Points = append(om.Points, number(p))
		}
	case pmetric.MetricTypeSum:
		om.Temporality, om.Monotonic = temporality(m.Sum().AggregationTemporality()), m.Sum().IsMonotonic()
		for _, p := range m.Sum().DataPoints().All() {
			om.Points = append(om.Points, number(p))
		}
	case pmetric.MetricTypeHistogram:
		om.Temporality = temporality(m.Histogram().AggregationTemporality())
		for _, p := range m.Histogram().DataPoints().All() {
			op := model.Point{
				Start: instant(p.StartTimestamp()), Time: instant(p.Timestamp()), Flags: uint32(p.Flags()), Count: p.Count(),
				Exemplars: oracleExemplars(p.Exemplars()), Bounds: p.ExplicitBounds().AsRaw(), Counts: p.BucketCounts().AsRaw(),
				Sum: p.Sum(), HasSum: p.HasSum(), Min: p.Min(), HasMin: p.HasMin(), Max: p.Max(), HasMax: p.HasMax(),
			}
			op.Attrs, _ = oracleAttrs(p.Attributes(), 0)
			om.Points = append(om.Points, op)
		}
	case pmetric.MetricTypeExponentialHistogram:
		om.Temporality = temporality(m.ExponentialHistogram().AggregationTemporality())
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			op := model.Point{
				Start: instant(p.StartTimestamp()), Time: instant(p.Timestamp()), Flags: uint32(p.Flags()), Count: p.Count(),
				Exemplars: oracleExemplars(p.Exemplars()), Scale: p.Scale(), ZeroCount: p.ZeroCount(), ZeroThresh: p.ZeroThreshold(),
				Positive: model.Buckets{Offset: p.Positive().Offset(), Counts: p.Positive().BucketCounts().AsRaw()},
				Negative: model.Buckets{Offset: p.Negative().Offset(), Counts: p.Negative().BucketCounts().AsRaw()},
				Sum:      p.Sum(), HasSum: p.HasSum(), Min: p.Min(), HasMin: p.HasMin(), Max: p.Max(), HasMax: p.HasMax(),
			}
			op.Attrs, _ = oracleAttrs(p.Attributes(), 0)
			om.Points = append(om.Points, op)
		}
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			op := model.Point{Start: instant(p.StartTimestamp()), Time: instant(p.Timestamp()), Flags: uint32(p.Flags()), Count: p.Count(), Sum: p.Sum()}
			for _, q := range p.QuantileValues().All() {
				op.Quantiles = append(op.Quantiles, model.Quantile{Quantile: q.Quantile(), Value: q.Value()})
			}
			op.Attrs, _ = oracleAttrs(p.Attributes(), 0)
			om.Points = append(om.Points, op)
		}
	}
	return om
}

func oracleExemplars(es pmetric.ExemplarSlice) []model.Exemplar {
	var out []model.Exemplar
	for _, e := range es.All() {
		oe := model.Exemplar{Time: instant(e.Timestamp()), TraceID: model.TraceID(e.TraceID()), SpanID: model.SpanID(e.SpanID())}
		oe.Attrs, _ = oracleAttrs(e.FilteredAttributes(), 0)
		switch e.ValueType() {
		case pmetric.ExemplarValueTypeInt:
			oe.Value = float64(e.IntValue())
		case pmetric.ExemplarValueTypeDouble:
			oe.Value = e.DoubleValue()
		}
		out = append(out, oe)
	}
	return out
}
