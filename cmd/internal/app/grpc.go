package app

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"

	"braid/pkg/api/native"
	"braid/pkg/remote"
)

// openGRPC serves what other processes ask of this one's sources, and, with
// the querier role, the native API; the latter also in memory, where the REST
// gateway calls it.
func (a *App) openGRPC(ctx context.Context) error {
	var opts []grpc.ServerOption
	if a.local != nil { // OTLP on this port too: Jaeger writes its spans where it reads them
		opts = a.local.pipeline.ServerOptions()
	}
	srv := grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(remote.MaxMessage), grpc.MaxSendMsgSize(remote.MaxMessage))...)
	if a.local != nil {
		a.local.pipeline.RegisterGRPC(srv)
	}
	remote.Register(srv, remote.Sources{Metrics: a.sources.metrics, Logs: a.sources.logs, Traces: a.sources.traces})
	hs := health.NewServer()
	healthv1.RegisterHealthServer(srv, hs)
	if a.o.Role.has(Querier) {
		a.nativeService().Register(srv)
		a.dialects = a.newDialects()
		a.dialects.tempo.Register(srv)
		a.dialects.jaeger.Register(srv)
		a.front.grpc.Store(srv)
	}
	ln, err := listen(ctx, a.cfg.Load().GRPC)
	if err != nil {
		return err
	}
	a.ports.grpc = ln.Addr().String()
	a.serveGRPC(srv, ln)
	if a.o.Role.has(Querier) {
		if err := a.openGateway(ctx, srv); err != nil {
			return err
		}
	}
	a.onStop("gRPC port", func(ctx context.Context) error {
		hs.Shutdown()
		done := make(chan struct{})
		go func() { srv.GracefulStop(); close(done) }()
		select {
		case <-done:
		case <-ctx.Done():
			srv.Stop()
		}
		return nil
	})
	return nil
}

func (a *App) serveGRPC(srv *grpc.Server, ln net.Listener) {
	go func() {
		if err := srv.Serve(ln); err != nil {
			a.log.Error("gRPC port failed", "err", err)
		}
	}()
}

// gatewayBuffer is the size of the pipe between gateway and server.
const gatewayBuffer = 1 << 20

// openGateway makes the REST form of the native API.
func (a *App) openGateway(ctx context.Context, srv *grpc.Server) error {
	pipe := bufconn.Listen(gatewayBuffer)
	a.serveGRPC(srv, pipe)
	conn, err := grpc.NewClient("passthrough:braid", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(remote.MaxMessage)))
	if err != nil {
		return fmt.Errorf("cannot connect the REST gateway: %w", err)
	}
	a.onStop("REST gateway", func(context.Context) error { return conn.Close() })
	a.gateway, err = native.Handler(context.WithoutCancel(ctx), conn)
	return err
}
