package ingest

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec of the other services
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"braid/pkg/otlp"
	"braid/pkg/tenant"
)

// ServerOptions make a gRPC server fit for RegisterGRPC: a codec that leaves
// OTLP's bytes as they came, gzip included, and the size limit. Other services
// on the same server work as ever.
func (p *Pipeline) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.RPCDecompressor(gzipAsItIs{}), //nolint:staticcheck // supported throughout 1.x; the only way to see the bytes as they came
		grpc.MaxRecvMsgSize(p.opts.MaxRequestBytes + len(gzipMark)),
	}
}

// RegisterGRPC adds OTLP's three services to a server made with ServerOptions.
func (p *Pipeline) RegisterGRPC(s *grpc.Server) {
	for signal, name := range map[Signal]string{
		SignalLogs:    "opentelemetry.proto.collector.logs.v1.LogsService",
		SignalTraces:  "opentelemetry.proto.collector.trace.v1.TraceService",
		SignalMetrics: "opentelemetry.proto.collector.metrics.v1.MetricsService",
	} {
		s.RegisterService(&grpc.ServiceDesc{
			ServiceName: name,
			HandlerType: (*any)(nil),
			Methods:     []grpc.MethodDesc{{MethodName: "Export", Handler: p.exportHandler(signal, "/"+name+"/Export")}},
			Metadata:    "opentelemetry/proto/collector",
		}, p)
	}
}

func (p *Pipeline) exportHandler(s Signal, method string) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		in := &rawMessage{}
		if err := decode(in); err != nil {
			return nil, err
		}
		defer in.free()
		handle := func(ctx context.Context, req any) (any, error) { return p.export(ctx, s, method, in) }
		if interceptor == nil {
			return handle(ctx, in)
		}
		return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: method}, handle)
	}
}

func (p *Pipeline) export(ctx context.Context, s Signal, method string, in *rawMessage) (reply any, err error) {
	defer func() {
		// net/http survives a handler's panic, gRPC does not: one bad request must
		// not end the process for all.
		if bug := recover(); bug != nil {
			p.log.Error("request failed by a bug", "where", method, "panic", fmt.Sprint(bug), "stack", string(debug.Stack()))
			reply, err = nil, status.Error(codes.Internal, "a bug in Braid: please report it")
		}
	}()
	header := func(name string) string {
		if v := metadata.ValueFromIncomingContext(ctx, strings.ToLower(name)); len(v) > 0 {
			return v[0]
		}
		return ""
	}
	id := requestID(header(requestIDHeader))
	_ = grpc.SetHeader(ctx, metadata.Pairs(strings.ToLower(requestIDHeader), id)) // fails only on a context without a stream
	out, err := p.exportFrom(ctx, s, header, in)
	if err != nil {
		f := classify(err)
		p.logFailure(f, err, method, id, header(tenant.Header))
		return nil, f.status().Err()
	}
	return &rawReply{body: out}, nil
}

func (p *Pipeline) exportFrom(ctx context.Context, s Signal, header func(string) string, in *rawMessage) ([]byte, error) {
	t, err := tenant.Parse(header(tenant.Header))
	if err != nil {
		return nil, err
	}
	if err := p.authorize(ctx, t, header); err != nil {
		return nil, err
	}
	req := &Request{Tenant: t, Protocol: protocolOf(s, otlp.Protobuf), Transport: "grpc", Compression: in.compression, Body: in.body}
	rej, err := p.Ingest(ctx, req)
	if err != nil {
		return nil, err
	}
	return response(s, otlp.Protobuf, rej), nil
}

// rawMessage is a request as its bytes.
type rawMessage struct {
	buf         mem.Buffer
	body        []byte
	compression Compression
}

func (m *rawMessage) free() {
	if m.buf != nil {
		m.buf.Free()
		m.buf = nil
	}
}

// rawReply is an encoded answer.
type rawReply struct{ body []byte }

// rawCodec hands the OTLP services their bytes, and everybody else protobuf
// messages.
type rawCodec struct{}

// Name is that of the codec it stands in for.
func (rawCodec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	if r, ok := v.(*rawReply); ok {
		return mem.BufferSlice{mem.SliceBuffer(r.body)}, nil
	}
	c := encoding.GetCodecV2("proto")
	if c == nil {
		return nil, status.Error(codes.Internal, "no protobuf codec is registered")
	}
	return c.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*rawMessage)
	if !ok {
		c := encoding.GetCodecV2("proto")
		if c == nil {
			return status.Error(codes.Internal, "no protobuf codec is registered")
		}
		return c.Unmarshal(data, v)
	}
	m.buf = data.MaterializeToBuffer(mem.DefaultBufferPool())
	m.body = m.buf.ReadOnlyData()
	if strings.HasPrefix(string(m.body[:min(len(m.body), len(gzipMark))]), gzipMark) {
		m.body, m.compression = m.body[len(gzipMark):], Gzip
	}
	return nil
}

// gzipMark is put before a body that is still packed. Its first byte is a
// protobuf tag of field 0 with wire type 7, which no message begins with.
const gzipMark = "\x07gzip"

// gzipAsItIs takes the place of gRPC's gzip decompressor and leaves the bytes
// packed: they go to the ingest log so, and are unpacked under our limits.
// Services on the same server that are not OTLP's must not be sent gzip.
type gzipAsItIs struct{}

// Type implements grpc.Decompressor.
func (gzipAsItIs) Type() string { return "gzip" }

// Do implements grpc.Decompressor.
func (gzipAsItIs) Do(r io.Reader) ([]byte, error) {
	size := 0
	if sized, ok := r.(interface{ Remaining() int }); ok {
		size = sized.Remaining()
	}
	out := make([]byte, len(gzipMark), len(gzipMark)+size+1)
	copy(out, gzipMark)
	for {
		if len(out) == cap(out) {
			out = append(out, 0)[:len(out)]
		}
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read a gzip message: %w", err)
		}
	}
}
