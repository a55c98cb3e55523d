package native

import (
	"math"
	"strings"
	"time"

	"braid/pkg/correlation"
	"braid/pkg/model"
	braidv1 "braid/proto/braid/v1"
)

// ns writes a time or a duration; times before 1970 are shown as 0.
func ns(v int64) uint64 { return uint64(max(0, v)) }

var typeNames = map[model.ValueKind]string{model.KindEmpty: "empty", model.KindString: "string", model.KindBool: "bool", model.KindInt: "int",
	model.KindDouble: "double", model.KindBytes: "bytes", model.KindArray: "array", model.KindMap: "map"}

// text makes what senders wrote fit for protobuf, which refuses other than
// UTF-8.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func encodeAttrs(attrs model.Attrs) []*braidv1.Attribute {
	out := make([]*braidv1.Attribute, len(attrs))
	for i := range attrs {
		out[i] = &braidv1.Attribute{Key: text(attrs[i].Key), Value: text(attrs[i].Value.Text()), Type: typeNames[attrs[i].Value.Kind()]}
	}
	return out
}

func encodeLabels(ls []model.Label) map[string]string {
	out := make(map[string]string, len(ls))
	for _, l := range ls {
		out[text(l.Name)] = text(l.Value)
	}
	return out
}

func encodeIDs(keys []model.CorrelationKey) []*braidv1.Id {
	var out []*braidv1.Id
	for _, k := range keys {
		out = append(out, &braidv1.Id{Kind: k.Kind, Id: text(k.ID)})
	}
	return out
}

func encodeWhole(w *correlation.Whole, took time.Duration) *braidv1.CorrelateResponse {
	out := &braidv1.CorrelateResponse{Id: text(w.ID), Kinds: encodeIDs(w.Kinds), Aliases: encodeIDs(w.Aliases), Near: encodeIDs(w.Near),
		Range: &braidv1.TimeRange{Start: ns(w.Range.Start), End: ns(w.Range.End)}, Complete: w.Complete, Warnings: w.Warnings,
		Requests: encodeRequests(w.Requests)}
	for _, s := range w.Services {
		out.Services = append(out.Services, &braidv1.ServicePart{Name: text(s.Name), FirstNs: ns(s.First), Spans: int32(s.Spans), Logs: int32(s.Logs), Errors: int32(s.Errors)})
	}
	for i := range w.Spans {
		out.Spans = append(out.Spans, encodeSpan(&w.Spans[i]))
	}
	for i := range w.Logs {
		out.Logs = append(out.Logs, encodeLog(&w.Logs[i]))
	}
	for i := range w.Exemplars {
		out.Exemplars = append(out.Exemplars, encodeExemplar(&w.Exemplars[i]))
	}
	for _, a := range w.Alerts {
		out.Alerts = append(out.Alerts, &braidv1.Alert{Fingerprint: a.Fingerprint, Labels: a.Labels, State: a.State, StartsNs: ns(a.Starts)})
	}
	for _, g := range w.Gaps {
		out.Gaps = append(out.Gaps, &braidv1.Gap{Kind: g.Kind, Message: text(g.Message), Service: text(g.Service), SpanId: g.SpanID})
	}
	for _, e := range w.Timeline {
		entry := &braidv1.TimelineEntry{TimeNs: ns(e.Time), What: "span", Index: int32(e.Span), Depth: int32(e.Depth), Skewed: e.Skewed}
		switch {
		case e.Log >= 0:
			entry.What, entry.Index = "log", int32(e.Log)
		case e.Exemplar >= 0:
			entry.What, entry.Index = "exemplar", int32(e.Exemplar)
		case e.Alert >= 0:
			entry.What, entry.Index = "alert", int32(e.Alert)
		}
		out.Timeline = append(out.Timeline, entry)
	}
	out.Cost = &braidv1.Cost{Bytes: w.Stats.Bytes.Load(), Rows: w.Stats.Rows.Load(), Blocks: w.Stats.Blocks.Load(),
		BlocksSkipped: w.Stats.BlocksSkipped.Load(), Seconds: took.Seconds()}
	return out
}

// encodePart is one row as it is found. What only the whole tells of a span (its
// depth, own time, flags) is in the summary.
func encodePart(p correlation.Part) *braidv1.CorrelatePart {
	switch {
	case p.Span != nil:
		return &braidv1.CorrelatePart{Part: &braidv1.CorrelatePart_Span{Span: encodeSpan(&correlation.SpanNode{SpanRow: *p.Span})}}
	case p.Log != nil:
		return &braidv1.CorrelatePart{Part: &braidv1.CorrelatePart_Log{Log: encodeLog(p.Log)}}
	default:
		return &braidv1.CorrelatePart{Part: &braidv1.CorrelatePart_Exemplar{Exemplar: encodeExemplar(p.Exemplar)}}
	}
}

// encodeSummary is encodeWhole without what was sent before: spans are as many
// as were sent and in that order, with what the whole tells of them only; the
// timeline counts spans, log records and exemplars as they were sent.
func encodeSummary(w *correlation.Whole, took time.Duration) *braidv1.CorrelateResponse {
	out := encodeWhole(w, took)
	out.Logs, out.Exemplars = nil, nil
	spans := make([]*braidv1.Span, len(out.GetSpans()))
	for i, s := range out.GetSpans() {
		spans[w.Emitted.Spans[i]] = &braidv1.Span{TraceId: s.GetTraceId(), SpanId: s.GetSpanId(), Critical: s.GetCritical(), SelfNs: s.GetSelfNs(), Flags: s.GetFlags(), Depth: s.GetDepth()}
	}
	out.Spans = spans
	for i, e := range w.Timeline {
		switch {
		case e.Span >= 0:
			out.Timeline[i].Index = int32(w.Emitted.Spans[e.Span])
		case e.Log >= 0:
			out.Timeline[i].Index = int32(w.Emitted.Logs[e.Log])
		case e.Exemplar >= 0:
			out.Timeline[i].Index = int32(w.Emitted.Exemplars[e.Exemplar])
		}
	}
	return out
}

func encodeExemplar(e *model.ExemplarRow) *braidv1.Exemplar {
	return &braidv1.Exemplar{Series: encodeLabels(e.Series), Value: e.Value, TimeNs: ns(e.Time), Attributes: encodeAttrs(e.Attrs),
		TraceId: traceID(e.TraceID), SpanId: spanID(e.SpanID)}
}

func traceID(id model.TraceID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

func spanID(id model.SpanID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

func encodeSpan(s *correlation.SpanNode) *braidv1.Span {
	out := &braidv1.Span{TraceId: s.TraceID.String(), SpanId: s.SpanID.String(), ParentId: spanID(s.ParentID), Name: text(s.Name),
		Service: text(s.Resource.Service()), Kind: s.Kind.String(), Status: s.Status.String(), StatusMessage: text(s.StatusMessage),
		StartNs: ns(s.Start), DurationNs: ns(s.Duration()), Attributes: encodeAttrs(s.Attrs), Critical: s.Critical, SelfNs: ns(s.Self),
		Flags: s.Flags, Depth: int32(s.Depth)}
	if s.Resource != nil {
		out.Resource = encodeAttrs(s.Resource.Attrs)
	}
	if s.Scope != nil {
		out.Scope = text(s.Scope.Name)
	}
	for i := range s.Events {
		out.Events = append(out.Events, &braidv1.SpanEvent{TimeNs: ns(s.Events[i].Time), Name: text(s.Events[i].Name), Attributes: encodeAttrs(s.Events[i].Attrs)})
	}
	for i := range s.Links {
		out.Links = append(out.Links, &braidv1.SpanLink{TraceId: s.Links[i].TraceID.String(), SpanId: s.Links[i].SpanID.String(), Attributes: encodeAttrs(s.Links[i].Attrs)})
	}
	return out
}

func encodeLog(l *model.LogRow) *braidv1.Log {
	out := &braidv1.Log{TimeNs: ns(l.Time), Service: text(l.Resource.Service()), Severity: int32(l.Severity), SeverityText: text(l.SeverityText),
		Level: l.Severity.Level(), Body: text(l.Body.Text()), TraceId: traceID(l.TraceID), SpanId: spanID(l.SpanID),
		Attributes: encodeAttrs(l.Attrs), EventName: text(l.EventName)}
	if l.Resource != nil {
		out.Resource = encodeAttrs(l.Resource.Attrs)
	}
	return out
}

func encodeRequests(rows []correlation.RequestSummary) []*braidv1.RequestSummary {
	var out []*braidv1.RequestSummary
	for i := range rows {
		out = append(out, encodeRequest(&rows[i]))
	}
	return out
}

func encodeRequest(r *correlation.RequestSummary) *braidv1.RequestSummary {
	return &braidv1.RequestSummary{TraceId: traceID(r.TraceID), RequestId: text(r.RequestID), StartNs: ns(r.Start), DurationNs: ns(r.Duration),
		Service: text(r.Service), Route: text(r.Route), Status: text(r.Status), Error: r.Error, Spans: int32(r.Spans), Errors: int32(r.Errors), Logs: int32(r.Logs)}
}

func encodeServices(m *correlation.ServiceMap, r model.TimeRange) *braidv1.ServicesResponse {
	out := &braidv1.ServicesResponse{Warnings: m.Warnings}
	seconds := float64(r.End-r.Start) / 1e9
	for _, n := range m.Nodes {
		one := &braidv1.ServiceNode{Name: text(n.Name), Type: n.Type, Spans: n.Spans, Requests: n.Requests, Errors: n.Errors,
			P50Ms: milliseconds(n.P50), P95Ms: milliseconds(n.P95), P99Ms: milliseconds(n.P99), Versions: n.Versions}
		if n.Requests > 0 {
			one.ErrorShare = float64(n.Errors) / float64(n.Requests)
		}
		if seconds > 0 {
			one.Rate = float64(n.Requests) / seconds
		}
		out.Nodes = append(out.Nodes, one)
	}
	for _, e := range m.Edges {
		out.Edges = append(out.Edges, &braidv1.ServiceEdge{Client: text(e.Client), Server: text(e.Server), Calls: e.Calls, Errors: e.Errors,
			P50Ms: milliseconds(e.P50), P95Ms: milliseconds(e.P95)})
	}
	return out
}

// milliseconds writes a latency; of nothing it is 0.
func milliseconds(ns float64) float64 {
	if math.IsNaN(ns) {
		return 0
	}
	return ns / 1e6
}
