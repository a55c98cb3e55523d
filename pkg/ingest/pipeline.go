package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"braid/pkg/model"
	"braid/pkg/otlp"
	"braid/pkg/tenant"
)

// Pipeline takes payloads from the receivers to the log and the stores. Safe
// for concurrent use.
type Pipeline struct {
	opts    Options
	log     *slog.Logger
	budget  *budget
	flight  *flight
	rates   rates
	metrics *metrics
	tap     *Tap

	// protocols is filled by New and Register, before the first request.
	protocols map[string]*Protocol

	mu sync.Mutex
	// closed and running are guarded by mu: no request begins after Close.
	closed  bool
	running sync.WaitGroup

	stop    chan struct{}
	trimmed chan struct{} // closed when the trimmer has ended
}

// New makes a pipeline and starts its trimmer. Call Replay before requests are
// let in, and Close at the end.
func New(opts Options) (*Pipeline, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Pipeline{
		opts: opts, log: opts.Logger, budget: newBudget(opts.MemoryBytes), flight: newFlight(),
		tap: newTap(), protocols: map[string]*Protocol{}, stop: make(chan struct{}), trimmed: make(chan struct{}),
	}
	p.rates.limits = opts.Limits
	if p.metrics, err = newMetrics(opts.Registerer, p.budget); err != nil {
		return nil, fmt.Errorf("cannot register ingest metrics: %w", err)
	}
	for _, proto := range otlpProtocols() {
		p.Register(proto)
	}
	go p.trimLoop()
	return p, nil
}

// Settled returns a position of the log: the stores have answered for every
// request below it.
func (p *Pipeline) Settled() model.Position { return p.flight.oldest() }

// Tap returns the fan-out of accepted log records.
func (p *Pipeline) Tap() *Tap { return p.tap }

// Protocol is one way of writing telemetry. Its name is stored with every
// payload and must never change.
type Protocol struct {
	Name   string
	Signal Signal
	// Decode reads a payload, decompressed, into batches. The result may alias
	// body and b. An error is the sender's fault.
	Decode func(body []byte, b *otlp.Buffers) (Batches, model.Rejections, error)
	// Store, in place of Decode, hands a payload to a store as it came. Used
	// for Accept's payloads when they are replayed.
	Store func(ctx context.Context, t tenant.ID, pos model.Position, body []byte) (model.Rejections, error)
}

// Batches is what a payload decodes to: one of the three.
type Batches struct {
	Logs    *model.Logs
	Spans   *model.Spans
	Metrics *model.Metrics
}

func (b Batches) count() int {
	switch {
	case b.Logs != nil:
		return b.Logs.Count()
	case b.Spans != nil:
		return b.Spans.Count()
	case b.Metrics != nil:
		return b.Metrics.Count()
	}
	return 0
}

// Register adds a protocol. It must be called before Replay and the first
// request; a second one of the same name replaces the first.
func (p *Pipeline) Register(proto Protocol) { p.protocols[proto.Name] = &proto }

// Request is one payload of a registered protocol.
type Request struct {
	Tenant      tenant.ID
	Protocol    string
	Transport   string // "http" or "grpc": a label of the metrics
	Compression Compression
	// Body is the payload as it came. It must not change until Ingest returns.
	Body []byte

	// lease holds the memory of Body when the receiver has one already.
	lease *lease
}

// Ingest takes one payload: when it returns without error, everything that was
// not rejected is on disk and visible. Errors are *BadRequestError,
// *TooLargeError, *model.OverloadError, a context's, or a fault of the system.
func (p *Pipeline) Ingest(ctx context.Context, r *Request) (rej model.Rejections, err error) {
	proto, ok := p.protocols[r.Protocol]
	if !ok || proto.Decode == nil {
		return rej, fmt.Errorf("cannot ingest: no protocol %q is registered", r.Protocol)
	}
	done, err := p.begin()
	if err != nil {
		return rej, err
	}
	defer done()
	seen := p.metrics.start(proto, r.Tenant, r.Transport)
	items := 0
	defer func() { seen.end(len(r.Body), items, rej.Count, err) }()

	if r.lease == nil {
		r.lease = p.budget.lease(r.Tenant)
		defer r.lease.release()
		if err := r.lease.grow(int64(len(r.Body))); err != nil {
			return rej, err
		}
	}
	if err := p.rates.take(r.Tenant, len(r.Body), p.opts.Now()); err != nil {
		return rej, err
	}
	b := otlp.Get()
	defer otlp.Put(b)
	unpacked := getBuffer()
	defer putBuffer(unpacked)
	received := p.opts.Now()
	batches, rej, err := p.decode(proto, r, b, unpacked, received)
	seen.decoded()
	if err != nil {
		return rej, err
	}
	items = batches.count()
	if items > 0 {
		rec := &Record{Tenant: r.Tenant, Signal: proto.Signal, Encoding: joinEncoding(proto.Name, r.Compression), Received: received.UnixNano(), Body: r.Body}
		stored, err := p.commit(ctx, rec, func(ctx context.Context, pos model.Position) (model.Rejections, error) {
			return p.store(ctx, r.Tenant, pos, batches)
		})
		if err != nil {
			return model.Rejections{}, err
		}
		items -= int(stored.Count)
		rej.Merge(stored)
		if batches.Logs != nil {
			p.tap.publish(r.Tenant, batches.Logs)
		}
	}
	return rej, nil
}

// decode unpacks, decodes and validates a payload.
func (p *Pipeline) decode(proto *Protocol, r *Request, b *otlp.Buffers, unpacked *bytes.Buffer, received time.Time) (Batches, model.Rejections, error) {
	plain, err := unpack(unpacked, r.Body, r.Compression, p.opts.MaxRequestBytes, r.lease)
	if err != nil {
		return Batches{}, model.Rejections{}, err
	}
	batches, rej, err := proto.Decode(plain, b)
	if err != nil {
		if !errors.Is(err, otlp.ErrTooLarge) {
			err = &BadRequestError{Field: "body", Err: err}
		}
		return Batches{}, model.Rejections{}, err
	}
	v := validator{limits: p.opts.Limits(r.Tenant).withDefaults(), opts: &p.opts, now: received, b: b, rej: rej}
	v.batches(batches)
	if err := r.lease.grow(int64(b.Used())); err != nil {
		return Batches{}, model.Rejections{}, err
	}
	return batches, v.rej, nil
}

// store hands batches to their store.
func (p *Pipeline) store(ctx context.Context, t tenant.ID, pos model.Position, b Batches) (model.Rejections, error) {
	switch {
	case b.Logs != nil:
		return p.opts.Logs.AppendLogs(ctx, t, pos, b.Logs)
	case b.Spans != nil:
		return p.opts.Spans.AppendSpans(ctx, t, pos, b.Spans)
	case b.Metrics != nil:
		return p.opts.Metrics.AppendMetrics(ctx, t, pos, b.Metrics)
	}
	return model.Rejections{}, nil
}

// commit gives a record its position, lets it be written and applied at the
// same time, and waits for both: after it nobody reads the payload any more. From the moment that the log has the record,
// the sender's going away changes nothing: half of the work would be worse.
func (p *Pipeline) commit(ctx context.Context, rec *Record, apply func(context.Context, model.Position) (model.Rejections, error)) (model.Rejections, error) {
	token := p.flight.enter()
	defer p.flight.leave(token)
	ticket, err := p.opts.Log.Append(ctx, rec)
	if err != nil {
		return model.Rejections{}, fmt.Errorf("cannot write to the ingest log: %w", err)
	}
	p.flight.placed(token, ticket.Position())
	ctx = context.WithoutCancel(ctx)
	rej, applyErr := apply(ctx, ticket.Position())
	if err := ticket.Wait(ctx); err != nil {
		return rej, fmt.Errorf("cannot write to the ingest log: %w", err)
	}
	if applyErr != nil {
		p.withdraw(ctx, rec, ticket.Position())
	}
	return rej, applyErr
}

// Payload is what Accept writes to the log.
type Payload struct {
	Signal    Signal
	Encoding  string // a name given to Register, with a Store
	Transport string // "" means "http"
	Body      []byte // as it came
}

// Accept takes a payload that its receiver has already decoded: it is written
// to the log while apply hands it to a store. The Store registered for the
// encoding is called in its place when the log is replayed.
func (p *Pipeline) Accept(ctx context.Context, t tenant.ID, pl Payload, apply func(pos model.Position) (model.Rejections, error)) (rej model.Rejections, err error) {
	proto, ok := p.protocols[pl.Encoding]
	if !ok || proto.Store == nil {
		return rej, fmt.Errorf("cannot accept payload: no protocol %q with a Store is registered, so it could not be replayed", pl.Encoding)
	}
	done, err := p.begin()
	if err != nil {
		return rej, err
	}
	defer done()
	seen := p.metrics.start(proto, t, orHTTP(pl.Transport))
	defer func() { seen.end(len(pl.Body), 0, rej.Count, err) }()
	l := p.budget.lease(t)
	defer l.release()
	if err := l.grow(int64(len(pl.Body))); err != nil {
		return rej, err
	}
	if err := p.rates.take(t, len(pl.Body), p.opts.Now()); err != nil {
		return rej, err
	}
	rec := &Record{Tenant: t, Signal: pl.Signal, Encoding: pl.Encoding, Received: p.opts.Now().UnixNano(), Body: pl.Body}
	return p.commit(ctx, rec, func(_ context.Context, pos model.Position) (model.Rejections, error) { return apply(pos) })
}

func orHTTP(s string) string {
	if s == "" {
		return "http"
	}
	return s
}

// begin lets a request in unless the pipeline is closing.
func (p *Pipeline) begin() (done func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, &model.OverloadError{Reason: "shutting down; send to another instance or try again later", RetryAfter: defaultRetry}
	}
	p.running.Add(1)
	return p.running.Done, nil
}

// Close lets no request in, waits for those that run (or the context), and
// stops the trimmer after a last trim. The log and the stores stay open: they
// are the caller's.
func (p *Pipeline) Close(ctx context.Context) error {
	p.mu.Lock()
	already := p.closed
	p.closed = true
	p.mu.Unlock()
	if already {
		return nil
	}
	drained := make(chan struct{})
	go func() {
		p.running.Wait()
		close(drained)
	}()
	close(p.stop)
	<-p.trimmed
	p.tap.close()
	select {
	case <-drained:
		p.trim()
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot drain requests before closing: %w", ctx.Err())
	}
}

func isOverload(err error) bool {
	var o *model.OverloadError
	return errors.As(err, &o)
}
