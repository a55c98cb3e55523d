package generate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/url"
	"time"
)

// Options of Run. Zero values are usable.
type Options struct {
	// Endpoint is where OTLP goes: http://host:4318, or grpc://host:4317.
	// https:// and grpcs:// use TLS. Default http://127.0.0.1:4318.
	Endpoint string
	Headers  map[string]string // sent with every request, for example X-Scope-OrgID
	// Rate is how many user requests a second come on average; each makes some
	// ten spans and ten log lines. Default 5, at most 1,000.
	Rate float64
	// Duration ends the live part; 0 means until the context ends, negative no
	// live part at all.
	Duration time.Duration
	// Backfill sends so much history first, at full speed; at most 7 days.
	Backfill time.Duration
	// Seed makes runs alike; 0 takes one from the clock.
	Seed uint64
	// Services limits the shop to its first so many services (at least 3);
	// default all.
	Services int
	// Incident forces the incident on; otherwise it comes from minute 12 to 20 of
	// every half hour.
	Incident bool
	// Hostile adds, once, what breaks user interfaces: markup, text from right to
	// left, long lines, a thousand attributes, broken clocks, and a trace of
	// HugeTrace spans (default 20,000, at most 200,000).
	Hostile   bool
	HugeTrace int
	Out       io.Writer // progress; default nowhere
	Now       func() time.Time
}

func (o Options) withDefaults() (Options, error) {
	if o.Endpoint == "" {
		o.Endpoint = "http://127.0.0.1:4318"
	}
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" {
		return o, fmt.Errorf("cannot read endpoint %q: want http://host:port or grpc://host:port", o.Endpoint)
	}
	if o.Rate == 0 {
		o.Rate = 5
	}
	if o.Rate < 0 || o.Rate > 1000 || math.IsNaN(o.Rate) {
		return o, fmt.Errorf("rate %v is not in 0 to 1000 requests a second", o.Rate)
	}
	if o.Backfill < 0 || o.Backfill > 7*24*time.Hour {
		return o, fmt.Errorf("backfill of %s is not in 0 to 168h", o.Backfill)
	}
	if o.Services <= 0 || o.Services > len(services) {
		o.Services = len(services)
	}
	o.Services = max(o.Services, 3)
	if o.HugeTrace <= 0 {
		o.HugeTrace = 20_000
	}
	o.HugeTrace = min(o.HugeTrace, 200_000)
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Seed == 0 {
		o.Seed = uint64(o.Now().UnixNano())
	}
	return o, nil
}

// settle is how far the simulated clock stays behind: requests that began must
// have ended, for nothing may come from the future.
const settle = 8 * time.Second

// step is how much simulated time is sent at once in a backfill.
const step = 5 * time.Second

// Run generates until the duration or the context ends; the end of the context
// is no error.
func Run(ctx context.Context, o Options) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	sender, err := dial(o)
	if err != nil {
		return err
	}
	defer sender.close()
	s := newShop(o)
	p := &progress{out: o.Out, now: o.Now, sender: sender}
	fmt.Fprintf(o.Out, "generating %.3g requests a second of a shop with %d services for %s (seed %d)\n", o.Rate, o.Services, o.Endpoint, o.Seed)

	end := o.Now().Add(-settle)
	clock := end.Add(-o.Backfill).Truncate(time.Second)
	err = func() error {
		if o.Hostile {
			s.hostile(end, o.HugeTrace)
			if err := sender.send(ctx, s.rec.take()); err != nil {
				return err
			}
		}
		for clock.Before(end) {
			next := clock.Add(step)
			if err := advance(ctx, s, sender, clock, next); err != nil {
				return err
			}
			clock = next
			p.say(s, clock, false)
		}
		return live(ctx, s, sender, p, clock)
	}()
	p.say(s, clock, true)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// live sends a second's requests every second.
func live(ctx context.Context, s *shop, sender *sender, p *progress, clock time.Time) error {
	if s.o.Duration < 0 {
		return nil
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	begun := s.o.Now()
	for s.o.Duration == 0 || s.o.Now().Sub(begun) < s.o.Duration {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		next := s.o.Now().Add(-settle)
		if err := advance(ctx, s, sender, clock, next); err != nil {
			return err
		}
		clock = next
		p.say(s, clock, false)
	}
	return nil
}

// advance simulates [from, to) and sends it.
func advance(ctx context.Context, s *shop, sender *sender, from, to time.Time) error {
	s.simulate(from, to)
	return sender.send(ctx, s.rec.take())
}

// arrivals returns how many requests begin in a stretch of time: Poisson around
// a rate that has a day and a ten-minute wave.
func arrivals(rng *rand.Rand, rate float64, from, to time.Time) int {
	t := float64(from.Unix())
	wave := 1 + 0.4*math.Sin(2*math.Pi*(t/86400-0.3)) + 0.15*math.Sin(2*math.Pi*t/600)
	mean := rate * wave * to.Sub(from).Seconds()
	if mean > 30 { // near enough to a normal distribution
		return max(0, int(math.Round(mean+math.Sqrt(mean)*rng.NormFloat64())))
	}
	n, limit := 0, math.Exp(-mean)
	for p := rng.Float64(); p > limit; p *= rng.Float64() {
		n++
	}
	return n
}

// progress tells the user what goes on, a line every few seconds.
type progress struct {
	out    io.Writer
	now    func() time.Time
	sender *sender
	last   time.Time
	shown  bool
}

func (p *progress) say(s *shop, clock time.Time, final bool) {
	now := p.now()
	if !final && now.Sub(p.last) < 5*time.Second {
		return
	}
	p.last = now
	c := &p.sender.sent
	fmt.Fprintf(p.out, "%s  sent %d spans, %d log records, %d points in %d requests (%d rejected, %d retries)\n",
		clock.Local().Format("15:04:05"), c.spans, c.logs, c.points, c.requests, c.rejected, c.retries)
	if len(s.tries) >= 3 && (!p.shown || final) {
		p.shown = true
		fmt.Fprintln(p.out, "request ids to try:")
		for _, t := range s.tries {
			fmt.Fprintln(p.out, "  "+t)
		}
	}
}
