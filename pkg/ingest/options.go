package ingest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"braid/pkg/ingestlog"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Options configure a Pipeline. Log and the three appenders must be set.
type Options struct {
	// Log keeps accepted payloads until the stores have them on disk.
	Log Log

	Metrics MetricAppender
	Logs    LogAppender
	Spans   SpanAppender

	// Limits returns a tenant's limits; it is asked for every request, so a
	// reload shows at once. nil means DefaultLimits for everybody.
	Limits func(tenant.ID) Limits
	// Authorize decides whether a sender may write to a tenant. header returns
	// a header (gRPC: metadata) by name. nil lets everybody in. An error is
	// answered with 401, ErrForbidden with 403.
	Authorize func(ctx context.Context, t tenant.ID, header func(string) string) error

	// MaxRequestBytes bounds a request's payload, also after decompression.
	// 0 means 64 MiB.
	MaxRequestBytes int
	// MemoryBytes is the budget for all requests in flight: payloads, their
	// decompressed form, decoded batches. 0 means 512 MiB.
	MemoryBytes int64
	// BodyTimeout is how long a sender may take to send one body; 0 means 30 s.
	BodyTimeout time.Duration
	// TrimEvery is how often the log is trimmed; 0 means 5 s.
	TrimEvery time.Duration

	// KeepJSONText leaves log lines that are JSON objects as they are; by
	// default their leaves also become attributes, under dotted paths, where
	// the record has none of that name.
	KeepJSONText bool
	// KeepSeverity leaves log records without a severity as they are; by default
	// it is read from their text, attributes or line.
	KeepSeverity bool
	// ParseLogfmt makes attributes of lines like level=info msg="done" too.
	ParseLogfmt bool

	Logger     *slog.Logger          // nil: slog.Default
	Registerer prometheus.Registerer // nil: no metrics are registered
	Now        func() time.Time      // nil: time.Now
}

// ErrForbidden is what Authorize returns for a known sender who may not write
// to the tenant.
var ErrForbidden = errors.New("not allowed to write to this tenant")

// Log is the durable log of accepted payloads: OnLog(*ingestlog.Log), or another
// with the same promises.
type Log interface {
	// Append gives the record a position and begins to write it. The record and
	// its body must stay as they are until the ticket's Wait has returned.
	Append(ctx context.Context, r *Record) (Ticket, error)
	// Replay calls fn for every record from a position on, in order. The record
	// is valid during the call.
	Replay(ctx context.Context, from model.Position, fn func(model.Position, *Record) error) error
	// TrimBefore says that no position below pos is needed any more.
	TrimBefore(pos model.Position) error
}

// Ticket is the place of one record in the log.
type Ticket interface {
	Position() model.Position
	// Wait returns when the record is on disk, or when it is known that it may
	// not be.
	Wait(ctx context.Context) error
}

// Record is one accepted payload as the log keeps it.
type Record struct {
	Tenant   tenant.ID
	Signal   Signal
	Encoding string // protocol, and "+gzip" or the like when Body is compressed
	Received int64  // Unix ns
	Body     []byte // as it came
}

// Signal is one of the three kinds of telemetry, as the ingest log numbers it.
type Signal uint8

// The signals.
const (
	SignalMetrics = Signal(ingestlog.SignalMetrics)
	SignalLogs    = Signal(ingestlog.SignalLogs)
	SignalTraces  = Signal(ingestlog.SignalSpans)
)

// String returns the signal's word as OTLP's paths have it.
func (s Signal) String() string {
	switch s {
	case SignalLogs:
		return "logs"
	case SignalTraces:
		return "traces"
	case SignalMetrics:
		return "metrics"
	}
	return "unknown"
}

func (o Options) withDefaults() (Options, error) {
	if o.Log == nil || o.Metrics == nil || o.Logs == nil || o.Spans == nil {
		return o, errors.New("cannot open ingest pipeline: Log, Metrics, Logs and Spans must be set")
	}
	if o.Limits == nil {
		o.Limits = func(tenant.ID) Limits { return DefaultLimits() }
	}
	if o.MaxRequestBytes <= 0 {
		o.MaxRequestBytes = 64 << 20
	}
	if o.MemoryBytes <= 0 {
		o.MemoryBytes = 512 << 20
	}
	if o.BodyTimeout <= 0 {
		o.BodyTimeout = 30 * time.Second
	}
	if o.TrimEvery <= 0 {
		o.TrimEvery = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}

// Limits are what one tenant may send. A zero field means the default; a
// negative one means no limit.
type Limits struct {
	// BytesPerSecond and BurstBytes rule the payload bytes, as they came; beyond
	// them a request is answered 429. The default is no limit.
	BytesPerSecond float64 `yaml:"bytes_per_second"`
	BurstBytes     int     `yaml:"burst_bytes"`
	// MaxAttributes bounds the attributes of one record, span, event, point or
	// resource; those beyond it are left out and counted as dropped.
	MaxAttributes int `yaml:"max_attributes"`
	// MaxKeyBytes bounds an attribute's name; a longer one is left out.
	MaxKeyBytes int `yaml:"max_key_bytes"`
	// MaxValueBytes bounds an attribute's value; a longer one is cut.
	MaxValueBytes int `yaml:"max_value_bytes"`
	// MaxBodyBytes bounds a log line; a longer one is cut.
	MaxBodyBytes int `yaml:"max_body_bytes"`
	// MaxFuture is how far ahead of the clock a record may be; MaxAge how far
	// behind. Others are rejected.
	MaxFuture time.Duration `yaml:"max_future"`
	MaxAge    time.Duration `yaml:"max_age"`
}

// DefaultLimits are generous: they stop what would hurt the store, not what is
// merely large.
func DefaultLimits() Limits { return Limits{}.withDefaults() }

const unlimited = 1 << 62

func (l Limits) withDefaults() Limits {
	l.BytesPerSecond = orDefault(l.BytesPerSecond, unlimited)
	l.BurstBytes = orDefault(l.BurstBytes, max(64<<20, int(min(l.BytesPerSecond, 1<<40))))
	l.MaxAttributes = orDefault(l.MaxAttributes, 2048)
	l.MaxKeyBytes = orDefault(l.MaxKeyBytes, 1024)
	l.MaxValueBytes = orDefault(l.MaxValueBytes, 256<<10)
	l.MaxBodyBytes = orDefault(l.MaxBodyBytes, 4<<20)
	l.MaxFuture = orDefault(l.MaxFuture, time.Hour)
	l.MaxAge = orDefault(l.MaxAge, unlimited)
	return l
}

func orDefault[T int | float64 | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	if v < 0 {
		return unlimited
	}
	return v
}
