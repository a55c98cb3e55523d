package cli

import (
	"context"
	"errors"
	"os"
	"time"

	"braid/cmd/internal/generate"
	"braid/pkg/tenant"
)

type generateCmd struct {
	Endpoint string        `help:"Where OTLP goes: http://host:4318 or grpc://host:4317." default:"http://127.0.0.1:4318" env:"BRAID_OTLP_ENDPOINT"`
	Tenant   string        `help:"Tenant to send as." env:"BRAID_TENANT"`
	Rate     float64       `help:"User requests a second, on average." default:"5"`
	Duration time.Duration `help:"Stop after so long; 0 goes on until interrupted." default:"0"`
	Backfill time.Duration `help:"Send so much history first, for example 1h."`
	Only     bool          `name:"backfill-only" help:"Stop after the history."`
	Seed     uint64        `help:"Make runs alike; 0 takes one from the clock."`
	Services int           `help:"Use only the first so many services of the shop."`
	Incident bool          `help:"Keep the slow dependency on; otherwise it comes and goes every half hour."`
	Hostile  bool          `help:"Add data that breaks user interfaces."`
	Huge     int           `name:"huge-trace" help:"Spans of the huge trace that --hostile adds." default:"20000"`
}

// Run sends until the end or an interrupt.
func (c *generateCmd) Run(ctx context.Context) error {
	o := generate.Options{Endpoint: c.Endpoint, Rate: c.Rate, Duration: c.Duration, Backfill: c.Backfill, Seed: c.Seed, Services: c.Services,
		Incident: c.Incident, Hostile: c.Hostile, HugeTrace: c.Huge, Out: os.Stdout}
	if c.Only {
		o.Duration = -1
	}
	if c.Tenant != "" {
		o.Headers = map[string]string{tenant.Header: c.Tenant}
	}
	if err := generate.Run(ctx, o); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
