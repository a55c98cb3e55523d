package jaegerapi

import (
	"context"
	"math"
	"time"

	"google.golang.org/grpc"

	"braid/internal/rawgrpc"
	"braid/pkg/model"
	"braid/pkg/otlp"
	"braid/pkg/tenant"
)

// Register serves jaeger.api_v2.QueryService, jaeger.api_v3.QueryService, and
// the reading half of Jaeger's remote storage, jaeger.storage.v2.TraceReader,
// DependencyReader and Capabilities. The writing half is OTLP's own TraceService: register it on
// the same server, and Jaeger itself can keep its spans here.
func (a *API) Register(srv grpc.ServiceRegistrar) {
	a.serviceV2().Register(srv)
	rawgrpc.Service{Name: "jaeger.api_v3.QueryService",
		Unary: map[string]rawgrpc.UnaryHandler{
			"GetServices":     a.unary(a.grpcServices),
			"GetOperations":   a.unary(a.grpcOperations(1)),
			"GetDependencies": a.unary(a.grpcDependencies(false)),
		},
		Streams: map[string]rawgrpc.StreamHandler{
			"GetTrace":           a.streamed(a.grpcTraceV3),
			"FindTraces":         a.streamed(a.grpcFind(false)),
			"FindTraceSummaries": a.streamed(a.grpcSummaries(false)),
		}}.Register(srv)
	rawgrpc.Service{Name: "jaeger.storage.v2.TraceReader",
		Unary: map[string]rawgrpc.UnaryHandler{
			"GetServices":   a.unary(a.grpcServices),
			"GetOperations": a.unary(a.grpcOperations(1)),
			"FindTraceIDs":  a.unary(a.grpcFindIDs),
		},
		Streams: map[string]rawgrpc.StreamHandler{
			"GetTraces":          a.streamed(a.grpcTraces),
			"FindTraces":         a.streamed(a.grpcFind(true)),
			"FindTraceSummaries": a.streamed(a.grpcSummaries(true)),
		}}.Register(srv)
	rawgrpc.Service{Name: "jaeger.storage.v2.Capabilities",
		Unary: map[string]rawgrpc.UnaryHandler{"GetCapabilities": a.unary(a.grpcCapabilities)}}.Register(srv)
	rawgrpc.Service{Name: "jaeger.storage.v2.DependencyReader",
		Unary: map[string]rawgrpc.UnaryHandler{"GetDependencies": a.unary(a.grpcDependencies(true))}}.Register(srv)
}

// call is one call with its tenant.
type call struct {
	ctx    context.Context
	tenant tenant.ID
	body   []byte
	send   func([]byte) error // of a stream
}

func (a *API) unary(h func(call) ([]byte, error)) rawgrpc.UnaryHandler {
	return func(ctx context.Context, body []byte) ([]byte, error) {
		t, err := rawgrpc.Tenant(ctx)
		var out []byte
		if err == nil {
			out, err = h(call{ctx: ctx, tenant: t, body: body})
		}
		return out, rawgrpc.Status(err)
	}
}

func (a *API) streamed(h func(call) error) rawgrpc.StreamHandler {
	return func(ctx context.Context, body []byte, send func([]byte) error) error {
		t, err := rawgrpc.Tenant(ctx)
		if err == nil {
			err = h(call{ctx, t, body, send})
		}
		return rawgrpc.Status(err)
	}
}

func (a *API) grpcServices(c call) ([]byte, error) {
	names, err := a.serviceNames(c.ctx, c.tenant)
	var e rawgrpc.Encoder
	for _, n := range names {
		e.Bytes(1, []byte(n))
	}
	return e.B, err
}

// grpcOperations answers with the operations in the field given; api_v2 has
// another than the rest.
func (a *API) grpcOperations(field int) func(call) ([]byte, error) {
	return func(c call) ([]byte, error) {
		var service, kind string
		err := rawgrpc.Each(c.body, func(f rawgrpc.Field) error {
			switch f.Number {
			case 1:
				service = string(f.Bytes)
			case 2:
				kind = string(f.Bytes)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		ops, err := a.operationsOf(c.ctx, c.tenant, service, kind)
		var e rawgrpc.Encoder
		for i, o := range ops {
			if field == 2 && (i == 0 || ops[i-1].Name != o.Name) {
				e.Bytes(1, []byte(o.Name)) // api_v2's older list of names
			}
		}
		for _, o := range ops {
			e.Message(rawgrpc.Number(field), func(e *rawgrpc.Encoder) { e.String(1, o.Name); e.String(2, o.SpanKind) })
		}
		return e.B, err
	}
}

// chunkSpans bounds the spans of one message: gRPC clients take 4 MiB.
const chunkSpans = 500

// sendTrace sends a trace in chunks; no chunk holds spans of two traces.
func sendTrace(c call, rows []model.SpanRow, encode func([]model.SpanRow) []byte) error {
	for len(rows) > 0 {
		n := min(chunkSpans, len(rows))
		if err := c.send(encode(rows[:n])); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// grpcQuery reads TraceQueryParameters, whose fields api_v2, api_v3 and storage
// share; only the attributes are spelled differently: keyValues says that they
// are OTLP's.
func grpcQuery(body []byte, keyValues bool) (*question, error) {
	q := &question{attributes: map[string]string{}, limit: defaultLimit}
	err := rawgrpc.Each(body, func(outer rawgrpc.Field) error {
		if outer.Number != 1 {
			return nil
		}
		return rawgrpc.Each(outer.Bytes, func(f rawgrpc.Field) (err error) {
			var ns int64
			switch f.Number {
			case 1:
				q.service = string(f.Bytes)
			case 2:
				q.operation = string(f.Bytes)
			case 3:
				read := f.Entry
				if keyValues {
					read = f.KeyValueText
				}
				k, v, err := read()
				q.attributes[k] = v
				return err
			case 4:
				q.rng.Start, err = f.Seconds()
			case 5:
				q.rng.End, err = f.Seconds()
			case 6:
				ns, err = f.Seconds()
				q.minDuration = time.Duration(ns)
			case 7:
				ns, err = f.Seconds()
				q.maxDuration = time.Duration(ns)
			case 8:
				if n := int(int32(f.Int)); n > 0 {
					q.limit = min(n, maxLimit)
				}
			case 9, 10: // the storage's filter is 9, the others' is 10, and 9 says raw
				if f.Number == 9 && !keyValues {
					q.raw = f.Int != 0
					return nil
				}
				return invalid("field %d, filter: expressions are not supported, as GetCapabilities says; ask by attributes", f.Number)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	if q.rng.Start != 0 && q.rng.End == 0 {
		q.rng.End = math.MaxInt64
	}
	if q.rng.End < q.rng.Start {
		return nil, invalid("start_time_max lies before start_time_min")
	}
	return q, nil
}

// grpcFind streams the traces that answer, as OTLP.
func (a *API) grpcFind(keyValues bool) func(call) error {
	return func(c call) error {
		q, err := grpcQuery(c.body, keyValues)
		if err != nil {
			return err
		}
		found, err := a.find(c.ctx, c.tenant, q)
		if err != nil {
			return err
		}
		for _, m := range found {
			if err := sendTrace(c, unlessRaw(m.Spans, q.raw || keyValues), otlp.EncodeTraces); err != nil {
				return err
			}
		}
		return nil
	}
}

func (a *API) grpcFindIDs(c call) ([]byte, error) {
	q, err := grpcQuery(c.body, true)
	if err != nil {
		return nil, err
	}
	found, err := a.find(c.ctx, c.tenant, q)
	var e rawgrpc.Encoder
	for _, m := range found {
		e.Message(1, func(e *rawgrpc.Encoder) {
			e.Bytes(1, m.Facts.ID[:])
			e.Time(2, m.Facts.Start)
			e.Time(3, m.Facts.End)
		})
	}
	return e.B, err
}

// grpcTraceV3 answers api_v3's GetTrace: the id is text.
func (a *API) grpcTraceV3(c call) error {
	text, raw, err := traceRequest(c.body)
	if err != nil {
		return err
	}
	tr, err := a.opts.Engine.TraceByText(c.ctx, c.tenant, string(text))
	if err != nil {
		return err
	}
	return sendTrace(c, unlessRaw(tr.Spans, raw), otlp.EncodeTraces)
}

// traceRequest reads a request for a trace: the id and whether it is wanted raw;
// the time range between them is a hint that is not needed.
func traceRequest(body []byte) (id []byte, raw bool, err error) {
	err = rawgrpc.Each(body, func(f rawgrpc.Field) error {
		switch f.Number {
		case 1:
			id = f.Bytes
		case 4:
			raw = f.Int != 0
		}
		return nil
	})
	return id, raw, err
}

// idBytes reads a trace id of 16 (or, from older clients, 8) bytes.
func idBytes(b []byte) (id model.TraceID, err error) {
	if len(b) != 16 && len(b) != 8 {
		return id, invalid("a trace id has 16 bytes, got %d", len(b))
	}
	copy(id[16-len(b):], b)
	return id, nil
}
