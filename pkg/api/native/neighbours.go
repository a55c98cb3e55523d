package native

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"

	"braid/pkg/correlation"
	"braid/pkg/model"
	"braid/pkg/tenant"
	braidv1 "braid/proto/braid/v1"
)

// SpanLogs implements braidv1.BraidServer.
func (s *Service) SpanLogs(ctx context.Context, req *braidv1.SpanLogsRequest) (*braidv1.SpanLogsResponse, error) {
	return guarded(ctx, s, "span-logs", req.GetTraceId()+"/"+req.GetSpanId(), func(ctx context.Context, t tenant.ID) (*braidv1.SpanLogsResponse, *model.QueryStats, error) {
		trace, ok := model.ParseTraceID(req.GetTraceId())
		if !ok {
			return nil, nil, fmt.Errorf("%w: trace_id %q is no trace id", model.ErrInvalid, req.GetTraceId())
		}
		span, ok := model.ParseSpanID(req.GetSpanId())
		if !ok {
			return nil, nil, fmt.Errorf("%w: span_id %q is no span id: up to 16 hex digits", model.ErrInvalid, req.GetSpanId())
		}
		got, err := s.o.Finder.SpanLogs(ctx, t, trace, span, int(req.GetLimit()))
		if err != nil {
			return nil, nil, err
		}
		resp := &braidv1.SpanLogsResponse{By: got.By, Complete: got.Complete, Warnings: got.Warnings}
		for i := range got.Logs {
			resp.Logs = append(resp.Logs, encodeLog(&got.Logs[i]))
		}
		return resp, nil, nil
	})
}

// LogTraces implements braidv1.BraidServer.
func (s *Service) LogTraces(ctx context.Context, req *braidv1.LogTracesRequest) (*braidv1.LogTracesResponse, error) {
	return guarded(ctx, s, "log-traces", req.GetLog().GetBody(), func(ctx context.Context, t tenant.ID) (*braidv1.LogTracesResponse, *model.QueryStats, error) {
		if req.GetLog() == nil {
			return nil, nil, fmt.Errorf("%w: log is empty: give the record as an answer has it", model.ErrInvalid)
		}
		row, err := decodeLog(req.GetLog())
		if err != nil {
			return nil, nil, err
		}
		found, warnings, err := s.o.Finder.TracesOfLog(ctx, t, row)
		if err != nil {
			return nil, nil, err
		}
		resp := &braidv1.LogTracesResponse{Warnings: warnings, Complete: len(warnings) == 0}
		for i := range found {
			resp.Traces = append(resp.Traces, &braidv1.LogTrace{Request: encodeRequest(&found[i].Request), Known: found[i].Known,
				Via: &braidv1.Id{Kind: found[i].Via.Kind, Id: text(found[i].Via.ID)}})
		}
		return resp, nil, nil
	})
}

// decodeLog reads what an answer said of a record.
func decodeLog(l *braidv1.Log) (*model.LogRow, error) {
	row := &model.LogRow{Resource: &model.Resource{Attrs: decodeAttrs(l.GetResource())}, LogRecord: model.LogRecord{Time: int64(l.GetTimeNs()),
		Body: model.String(l.GetBody()), Attrs: decodeAttrs(l.GetAttributes())}}
	if l.GetTraceId() != "" {
		id, ok := model.ParseTraceID(l.GetTraceId())
		if !ok {
			return nil, fmt.Errorf("%w: log.trace_id %q is no trace id", model.ErrInvalid, l.GetTraceId())
		}
		row.TraceID = id
	}
	return row, nil
}

func decodeAttrs(list []*braidv1.Attribute) model.Attrs {
	out := make(model.Attrs, 0, len(list))
	for _, a := range list {
		v := model.String(a.GetValue())
		switch a.GetType() {
		case "int":
			if n, err := strconv.ParseInt(a.GetValue(), 10, 64); err == nil {
				v = model.Int(n)
			}
		case "array":
			v = model.ArrayJSON(a.GetValue())
		case "map":
			v = model.MapJSON(a.GetValue())
		case "bytes":
			if raw, err := base64.StdEncoding.DecodeString(a.GetValue()); err == nil {
				v = model.Bytes(string(raw))
			}
		}
		out = append(out, model.Attr{Key: a.GetKey(), Value: v})
	}
	return out
}

// TraceMetrics implements braidv1.BraidServer.
func (s *Service) TraceMetrics(ctx context.Context, req *braidv1.TraceMetricsRequest) (*braidv1.TraceMetricsResponse, error) {
	return guarded(ctx, s, "trace-metrics", req.GetTraceId(), func(ctx context.Context, t tenant.ID) (*braidv1.TraceMetricsResponse, *model.QueryStats, error) {
		trace, ok := model.ParseTraceID(req.GetTraceId())
		if !ok {
			return nil, nil, fmt.Errorf("%w: trace_id %q is no trace id", model.ErrInvalid, req.GetTraceId())
		}
		got, err := s.o.Finder.TraceMetrics(ctx, t, trace, int(req.GetLimit()))
		if err != nil {
			return nil, nil, err
		}
		resp := &braidv1.TraceMetricsResponse{Range: &braidv1.TimeRange{Start: ns(got.Range.Start), End: ns(got.Range.End)},
			Warnings: got.Warnings, Complete: len(got.Warnings) == 0}
		for _, m := range got.Services {
			one := &braidv1.ServiceMetrics{Service: text(m.Service), Total: int32(m.Total)}
			for i := range m.Series {
				one.Series = append(one.Series, encodeMetric(&m.Series[i]))
			}
			resp.Services = append(resp.Services, one)
		}
		return resp, nil, nil
	})
}

func encodeMetric(m *correlation.MetricAt) *braidv1.MetricAt {
	out := &braidv1.MetricAt{Labels: encodeLabels(m.Labels), Type: m.Meta.Type, Unit: m.Meta.Unit, Help: text(m.Meta.Help), TimeNs: ns(m.Time), Value: m.Value}
	out.Name = out.Labels["__name__"]
	delete(out.Labels, "__name__")
	if !math.IsNaN(m.Rate) {
		out.Rate = &m.Rate
	}
	return out
}
