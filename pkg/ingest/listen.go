package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configgrpc"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/confignet"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
)

// The default addresses of OTLP, on loopback.
const (
	DefaultHTTPAddress = "127.0.0.1:4318"
	DefaultGRPCAddress = "127.0.0.1:4317"
)

// DefaultHTTPConfig returns the Collector's server settings with our defaults:
// loopback, no TLS, time limits on headers and idle connections.
func DefaultHTTPConfig() confighttp.ServerConfig {
	c := confighttp.NewDefaultServerConfig()
	c.NetAddr = confignet.AddrConfig{Endpoint: DefaultHTTPAddress, Transport: confignet.TransportTypeTCP}
	c.ReadHeaderTimeout = 10 * time.Second
	c.IdleTimeout = 2 * time.Minute
	c.KeepAlivesEnabled = true
	return c
}

// DefaultGRPCConfig returns the Collector's server settings with our defaults.
func DefaultGRPCConfig() configgrpc.ServerConfig {
	c := configgrpc.NewDefaultServerConfig()
	c.NetAddr = confignet.AddrConfig{Endpoint: DefaultGRPCAddress, Transport: confignet.TransportTypeTCP}
	return c
}

// Server is a listening server.
type Server struct {
	addr  net.Addr
	serve func() error
	stop  func(context.Context) error
	done  chan error
}

// Addr returns the address listened on.
func (s *Server) Addr() net.Addr { return s.addr }

// Done yields the error that ended the server, nil after Close.
func (s *Server) Done() <-chan error { return s.done }

// Close lets requests under way end, until the context does.
func (s *Server) Close(ctx context.Context) error { return s.stop(ctx) }

func (s *Server) start() *Server {
	s.done = make(chan error, 1)
	go func() { s.done <- s.serve() }()
	return s
}

// ListenHTTP serves a handler as the Collector's settings say. Decompression
// and the limit of a body's size are the handler's: they are switched off here.
func (p *Pipeline) ListenHTTP(ctx context.Context, cfg confighttp.ServerConfig, h http.Handler) (*Server, error) {
	cfg.CompressionAlgorithms = []string{}
	cfg.MaxRequestBodySize = int64(p.opts.MaxRequestBytes) + 1
	ln, err := cfg.ToListener(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for OTLP/HTTP on %q: %w", cfg.NetAddr.Endpoint, err)
	}
	srv, err := cfg.ToServer(ctx, nil, telemetry(p.log), h)
	if err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("cannot make the OTLP/HTTP server: %w", err)
	}
	s := &Server{addr: ln.Addr(), stop: srv.Shutdown, serve: func() error {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}}
	return s.start(), nil
}

// ListenGRPC serves the OTLP services as the Collector's settings say. More
// services may be added by register; they must not be sent gzip.
func (p *Pipeline) ListenGRPC(ctx context.Context, cfg configgrpc.ServerConfig, register ...func(*grpc.Server)) (*Server, error) {
	ln, err := cfg.NetAddr.Listen(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for OTLP/gRPC on %q: %w", cfg.NetAddr.Endpoint, err)
	}
	cfg.MaxRecvMsgSizeMiB = 0 // ServerOptions has the limit
	var opts []configgrpc.ToServerOption
	for _, o := range p.ServerOptions() {
		opts = append(opts, configgrpc.WithGrpcServerOption(o))
	}
	srv, err := cfg.ToServer(ctx, nil, telemetry(p.log), opts...)
	if err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("cannot make the OTLP/gRPC server: %w", err)
	}
	p.RegisterGRPC(srv)
	for _, r := range register {
		r(srv)
	}
	s := &Server{addr: ln.Addr(), serve: func() error { return srv.Serve(ln) }, stop: func(ctx context.Context) error {
		ended := make(chan struct{})
		go func() {
			srv.GracefulStop()
			close(ended)
		}()
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			srv.Stop()
			<-ended
			return ctx.Err()
		}
	}}
	return s.start(), nil
}

// telemetry gives the Collector's libraries our logger and no tracing or
// metrics of their own: ours are in metrics.go.
func telemetry(l *slog.Logger) component.TelemetrySettings {
	return component.TelemetrySettings{
		Logger:         zap.New(slogCore{l}),
		TracerProvider: tracenoop.NewTracerProvider(),
		MeterProvider:  metricnoop.NewMeterProvider(),
	}
}

// slogCore writes zap's entries to slog.
type slogCore struct{ l *slog.Logger }

var levels = map[zapcore.Level]slog.Level{
	zapcore.DebugLevel: slog.LevelDebug, zapcore.InfoLevel: slog.LevelInfo, zapcore.WarnLevel: slog.LevelWarn,
}

func level(l zapcore.Level) slog.Level {
	if s, ok := levels[l]; ok {
		return s
	}
	return slog.LevelError
}

// Enabled implements zapcore.Core.
func (c slogCore) Enabled(l zapcore.Level) bool {
	return c.l.Enabled(context.Background(), level(l))
}

// With implements zapcore.Core.
func (c slogCore) With(fields []zapcore.Field) zapcore.Core {
	return slogCore{c.l.With(attributes(fields)...)}
}

// Check implements zapcore.Core.
func (c slogCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements zapcore.Core.
func (c slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.l.Log(context.Background(), level(e.Level), e.Message, attributes(fields)...)
	return nil
}

// Sync implements zapcore.Core.
func (c slogCore) Sync() error { return nil }

func attributes(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	var out []any
	for k, v := range enc.Fields {
		out = append(out, slog.Any(k, v))
	}
	return out
}
