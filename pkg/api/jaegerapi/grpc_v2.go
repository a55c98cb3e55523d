package jaegerapi

import (
	"errors"
	"fmt"

	"braid/internal/rawgrpc"
	"braid/pkg/model"
	"braid/pkg/query/traceql"
)

// serviceV2 is jaeger.api_v2.QueryService: spans in Jaeger's own model.
func (a *API) serviceV2() rawgrpc.Service {
	return rawgrpc.Service{Name: "jaeger.api_v2.QueryService",
		Unary: map[string]rawgrpc.UnaryHandler{
			"GetServices":     a.unary(a.grpcServices),
			"GetOperations":   a.unary(a.grpcOperations(2)),
			"GetDependencies": a.unary(a.grpcDependencies(true)),
			"ArchiveTrace": a.unary(func(call) ([]byte, error) {
				return nil, fmt.Errorf("traces are kept by retention, there is no archive: %w", errors.ErrUnsupported)
			}),
		},
		Streams: map[string]rawgrpc.StreamHandler{
			"GetTrace":   a.streamed(a.grpcTraceV2),
			"FindTraces": a.streamed(a.grpcFindV2),
		}}
}

func (a *API) grpcTraceV2(c call) error {
	text, raw, err := traceRequest(c.body)
	if err != nil {
		return err
	}
	id, err := idBytes(text)
	if err != nil {
		return err
	}
	tr, err := a.opts.Engine.Trace(c.ctx, c.tenant, id)
	if err != nil {
		return err
	}
	return sendV2(c, tr.Spans, raw)
}

func (a *API) grpcFindV2(c call) error {
	q, err := grpcQuery(c.body, false)
	if err != nil {
		return err
	}
	if q.service == "" {
		return invalid("service_name is required")
	}
	found, err := a.find(c.ctx, c.tenant, q)
	if err != nil {
		return err
	}
	for _, m := range found {
		if err := sendV2(c, m.Spans, q.raw); err != nil {
			return err
		}
	}
	return nil
}

func sendV2(c call, rows []model.SpanRow, raw bool) error {
	var tree *traceql.Tree
	if !raw {
		rows, tree = apart(rows)
	}
	at := 0
	return sendTrace(c, rows, func(part []model.SpanRow) []byte {
		var e rawgrpc.Encoder
		for i := range part {
			var warnings []string
			if tree != nil {
				warnings = warningsOf(&part[i], tree, at)
			}
			e.Message(1, func(e *rawgrpc.Encoder) { encodeSpanV2(e, &part[i], warnings) })
			at++
		}
		return e.B
	})
}

// encodeSpanV2 writes jaeger.api_v2.Span; what the tags are is what the legacy
// JSON says.
func encodeSpanV2(e *rawgrpc.Encoder, r *model.SpanRow, warnings []string) {
	s := newLegacySpan(r)
	e.Bytes(1, r.TraceID[:])
	e.Bytes(2, r.SpanID[:])
	e.String(3, s.OperationName)
	if !r.ParentID.IsZero() {
		e.Message(4, func(e *rawgrpc.Encoder) { e.Bytes(1, r.TraceID[:]); e.Bytes(2, r.ParentID[:]) })
	}
	for i := range r.Links {
		l := &r.Links[i]
		e.Message(4, func(e *rawgrpc.Encoder) { e.Bytes(1, l.TraceID[:]); e.Bytes(2, l.SpanID[:]); e.Int(3, 1) })
	}
	e.Int(5, int64(s.Flags))
	e.Time(6, r.Start)
	e.Time(7, r.Duration()) // a Duration has the fields of a Timestamp
	encodeTags(e, 8, s.Tags)
	for i, l := range s.Logs {
		e.Message(9, func(e *rawgrpc.Encoder) {
			e.Time(1, r.Events[i].Time)
			encodeTags(e, 2, l.Fields)
		})
	}
	e.Message(10, func(e *rawgrpc.Encoder) {
		e.String(1, r.Resource.Service())
		if r.Resource == nil {
			return
		}
		var tags []legacyTag
		for _, a := range r.Resource.Attrs {
			if a.Key != "service.name" {
				tags = append(tags, legacyTagOf(a))
			}
		}
		encodeTags(e, 2, tags)
	})
	for _, w := range warnings {
		e.String(12, w)
	}
}

// encodeTags writes jaeger.api_v2.KeyValue fields.
func encodeTags(e *rawgrpc.Encoder, n int, tags []legacyTag) {
	for _, t := range tags {
		e.Message(rawgrpc.Number(n), func(e *rawgrpc.Encoder) {
			e.String(1, t.Key)
			switch v := t.Value.(type) {
			case bool:
				e.Int(2, 1)
				e.Int(4, int64(model.Bool(v).Num()))
			case legacyInt:
				e.Int(2, 2)
				e.Int(5, int64(v))
			case model.Value:
				f, _ := v.Float()
				e.Int(2, 3)
				e.Double(6, f)
			case string:
				if t.Type == "binary" {
					e.Int(2, 4)
					e.String(7, decodeBase64(v))
				} else {
					e.String(3, v)
				}
			}
		})
	}
}
