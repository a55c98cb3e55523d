package app

import (
	"context"

	"go.opentelemetry.io/collector/config/configoptional"

	"braid/pkg/ingest"
)

// openReceivers opens the two OTLP ports with the Collector's server settings.
func (a *App) openReceivers(ctx context.Context) error {
	c := a.cfg.Load()
	hc := ingest.DefaultHTTPConfig()
	hc.NetAddr.Endpoint = c.OTLP.HTTP.Listen
	if s := tlsSettings(c.OTLP.HTTP.TLS); s != nil {
		hc.TLS = configoptional.Some(*s)
	}
	h, err := a.local.pipeline.ListenHTTP(ctx, hc, a.guardRequest(a.local.pipeline.HTTPHandler()))
	if err != nil {
		return err
	}
	a.onStop("OTLP/HTTP port", h.Close)
	a.ports.otlpHTTP = h.Addr().String()

	gc := ingest.DefaultGRPCConfig()
	gc.NetAddr.Endpoint = c.OTLP.GRPC.Listen
	if s := tlsSettings(c.OTLP.GRPC.TLS); s != nil {
		gc.TLS = configoptional.Some(*s)
	}
	g, err := a.local.pipeline.ListenGRPC(ctx, gc)
	if err != nil {
		return err
	}
	a.onStop("OTLP/gRPC port", g.Close)
	a.ports.otlpGRPC = g.Addr().String()
	return nil
}
