package spanmetrics

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Store is what the generator asks of the trace store.
type Store interface {
	// SpanCounts returns how many spans the parts of the store hold of each trace,
	// retries included.
	SpanCounts(t tenant.ID, ids []model.TraceID) []int
	// TraceParts returns a trace as a query sees it, and as each part holds it.
	TraceParts(ctx context.Context, t tenant.ID, id model.TraceID) (whole []model.SpanRow, parts [][]model.SpanRow, err error)
}

// Sample is one sample of one series, as a Prometheus store takes it. Labels are
// sorted and hold __name__; Time is Unix nanoseconds.
type Sample struct {
	Labels    []model.Label
	Time      int64
	Value     float64
	Exemplars []model.Exemplar
}

// Options configure a Generator. Dir and Write must be set.
type Options struct {
	// Dir holds the file "state".
	Dir    string
	FS     vfs.FS       // default: the operating system's
	Logger *slog.Logger // default: discards
	// Write appends samples to a tenant's series. A batch belongs to the receiver.
	Write func(ctx context.Context, t tenant.ID, samples []Sample) error
	// Settled returns a position of the ingest log: the store has answered for
	// every request below it. Default: 0, none is known.
	Settled func() model.Position
	// Registerer takes the generator's own metrics; default none.
	Registerer prometheus.Registerer

	// Interval is how often series get a sample; default 15 s.
	Interval time.Duration
	// Quiet is how long nothing of a trace must have come before its spans are
	// counted; default 5 s. Longest bounds the wait of one that is never quiet;
	// default 30 s.
	Quiet, Longest time.Duration
	// MaxWaiting bounds the spans that wait in a tenant; beyond it traces are
	// settled early. Default 500,000.
	MaxWaiting int
	// Dimensions are attributes of the span or its resource that become labels of
	// traces_spanmetrics_*, with characters that a label cannot have as "_".
	Dimensions []string
	// LatencyBuckets and GraphBuckets are upper bounds in seconds, ascending.
	// Defaults: 2 ms doubled 13 times; 0.1 s doubled 7 times.
	LatencyBuckets, GraphBuckets []float64
	// MaxOperations bounds a tenant's combinations of labels, and its edges:
	// further ones are counted together under "(other)". Default 5,000.
	MaxOperations int
	// Labels are added to every series: they tell apart several processes that
	// write for one tenant.
	Labels []model.Label
	// Manual leaves everything to calls of Tick: for tests.
	Manual bool
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// other is the value of labels beyond MaxOperations.
const other = "(other)"

// idleAfter is when a series that does not change is no longer written, and
// may be forgotten.
const idleAfter = time.Hour

func doubled(from float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = from
		from *= 2
	}
	return out
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" || o.Write == nil {
		return o, errors.New("cannot make span metrics: Options.Dir and Options.Write must be set")
	}
	if o.FS == nil {
		o.FS = vfs.OS
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Settled == nil {
		o.Settled = func() model.Position { return 0 }
	}
	orDuration := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	orDuration(&o.Interval, 15*time.Second)
	orDuration(&o.Quiet, 5*time.Second)
	orDuration(&o.Longest, 30*time.Second)
	if o.MaxWaiting <= 0 {
		o.MaxWaiting = 500_000
	}
	if o.MaxOperations <= 0 {
		o.MaxOperations = 5_000
	}
	if len(o.LatencyBuckets) == 0 {
		o.LatencyBuckets = doubled(0.002, 14)
	}
	if len(o.GraphBuckets) == 0 {
		o.GraphBuckets = doubled(0.1, 8)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}
