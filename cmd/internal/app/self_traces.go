package app

import (
	"context"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// traceRequests records a span for each request to an API, under the trace
// that the caller's traceparent names. Health checks and static files are left
// out: they would bury the rest.
func (a *App) traceRequests(next http.Handler) http.Handler {
	c := a.cfg.Load().Self
	if !c.Traces || a.local == nil {
		return next
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithBatcher(ownSpans{a}, sdktrace.WithBatchTimeout(2*time.Second)))
	a.onStop("own traces", tp.Shutdown)
	return otelhttp.NewHandler(next, "braid", otelhttp.WithTracerProvider(tp),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})),
		otelhttp.WithFilter(func(r *http.Request) bool {
			p := r.URL.Path
			return strings.HasPrefix(p, "/api/") || strings.HasPrefix(p, "/loki/") || strings.HasPrefix(p, "/federate")
		}),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " " + routeOf(r.URL.Path) }))
}

// routeOf keeps ids out of span names: at most four segments of a path.
func routeOf(path string) string {
	parts := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 5)
	if len(parts) > 4 {
		parts = append(parts[:4], "…")
	}
	return "/" + strings.Join(parts, "/")
}

// ownSpans writes the program's own spans into its trace store. They do not
// pass the ingest log: a second of them lost in a crash is no loss.
type ownSpans struct{ a *App }

// ExportSpans implements sdktrace.SpanExporter.
func (o ownSpans) ExportSpans(ctx context.Context, list []sdktrace.ReadOnlySpan) error {
	batch := model.SpanBatch{Resource: o.a.ownResource(), Scope: &model.Scope{Name: "braid"}}
	for _, s := range list {
		batch.Spans = append(batch.Spans, ownSpan(s))
	}
	t := tenant.ID(o.a.cfg.Load().Self.TraceTenant)
	_, err := o.a.local.traces.AppendSpans(ctx, t, 0, &model.Spans{Batches: []model.SpanBatch{batch}})
	return err
}

// Shutdown implements sdktrace.SpanExporter.
func (ownSpans) Shutdown(context.Context) error { return nil }

func ownSpan(s sdktrace.ReadOnlySpan) model.Span {
	out := model.Span{TraceID: model.TraceID(s.SpanContext().TraceID()), SpanID: model.SpanID(s.SpanContext().SpanID()),
		ParentID: model.SpanID(s.Parent().SpanID()), Name: s.Name(), Kind: model.SpanKind(s.SpanKind()),
		Start: s.StartTime().UnixNano(), End: s.EndTime().UnixNano(), Flags: uint32(s.SpanContext().TraceFlags()), StatusMessage: s.Status().Description}
	switch s.Status().Code {
	case codes.Ok:
		out.Status = model.StatusOK
	case codes.Error:
		out.Status = model.StatusError
	}
	for _, kv := range s.Attributes() {
		out.Attrs = append(out.Attrs, model.Attr{Key: string(kv.Key), Value: ownValue(kv.Value)})
	}
	return out
}

func ownValue(v attribute.Value) model.Value {
	switch v.Type() {
	case attribute.BOOL:
		return model.Bool(v.AsBool())
	case attribute.INT64:
		return model.Int(v.AsInt64())
	case attribute.FLOAT64:
		return model.Double(v.AsFloat64())
	case attribute.STRING:
		return model.String(v.AsString())
	}
	return model.String(v.String())
}
