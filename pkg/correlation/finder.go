package correlation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// AlertSource names the alerts that were firing in a time range. An error that
// is ErrAlertsNotAsked becomes a gap of the answer.
type AlertSource interface {
	AlertsDuring(ctx context.Context, t tenant.ID, r model.TimeRange) ([]Alert, error)
}

// ErrAlertsNotAsked says that there is nobody to ask for alerts.
var ErrAlertsNotAsked = errors.New("alerts were not asked for")

// Alert is an alert as it concerns a request. Starts is Unix ns.
type Alert struct {
	Fingerprint string
	Labels      map[string]string
	State       string
	Starts      int64
}

// Options of a Finder. Metrics, Logs, Traces and KeySpec are required.
type Options struct {
	Metrics query.MetricSource
	Logs    query.LogSource
	Traces  query.TraceSource
	KeySpec func() *model.KeySpec
	Alerts  AlertSource // nil: no alerts
	// MaxKeys bounds the ids followed from one look-up. 0 means 64.
	MaxKeys int
	// MaxRows bounds the spans, the logs and the exemplars of one answer, each,
	// unless the request asks for more (at most 20 times as many). 0 means 10,000.
	MaxRows int
	// MaxRequests bounds the requests listed for an id of many. 0 means 10,000.
	MaxRequests int
	// Retention tells how long spans are kept, so that a missing trace can be
	// explained; 0 means for ever.
	Retention func(tenant.ID) time.Duration
	// LogRetention tells the same of log records.
	LogRetention func(tenant.ID) time.Duration
	Now          func() time.Time
}

func (o Options) withDefaults() Options {
	if o.MaxKeys == 0 {
		o.MaxKeys = 64
	}
	if o.MaxRows == 0 {
		o.MaxRows = 10_000
	}
	if o.MaxRequests == 0 {
		o.MaxRequests = 10_000
	}
	if o.Retention == nil {
		o.Retention = func(tenant.ID) time.Duration { return 0 }
	}
	if o.LogRetention == nil {
		o.LogRetention = func(tenant.ID) time.Duration { return 0 }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Finder answers correlation look-ups. Safe for concurrent use.
type Finder struct {
	opts Options
}

// New makes a finder.
func New(o Options) *Finder { return &Finder{opts: o.withDefaults()} }

// Request asks for one id.
type Request struct {
	ID    string // any spelling
	Kind  string // "" means any
	Limit int    // rows of each signal; 0 means Options.MaxRows
}

// Whole is everything known of one id.
type Whole struct {
	ID        string
	Kinds     []model.CorrelationKey // what the id was found to be
	Aliases   []model.CorrelationKey
	Range     model.TimeRange
	Services  []ServicePart
	Spans     []SpanNode
	Logs      []model.LogRow // oldest first
	Exemplars []model.ExemplarRow
	Alerts    []Alert
	Gaps      []Gap
	Requests  []RequestSummary // when the id stands for many requests
	Timeline  []Entry
	Complete  bool
	Warnings  []string
	Near      []model.CorrelationKey // when nothing was found
	Stats     *model.QueryStats
	// Emitted tells which of the emitted parts is which.
	Emitted Emitted
}

// Emitted holds, for each of the whole's spans, log records and exemplars, its
// number among those of its signal in the order in which they were found.
type Emitted struct {
	Spans, Logs, Exemplars []int
}

// Found reports whether anything carries the id.
func (w *Whole) Found() bool { return len(w.Kinds) > 0 }

// ServicePart is a service's share. First is Unix ns.
type ServicePart struct {
	Name                string
	First               int64
	Spans, Logs, Errors int
}

// Gap says what is missing.
type Gap struct {
	Kind    string
	Message string
	Service string
	SpanID  string
}

// maxIDText is the longest text that Correlate reads: a pasted log line or
// stack trace, not a file.
const maxIDText = 64 << 10

// Correlate looks an id up. An id that nothing carries is a Whole with no
// Kinds, not an error. Errors: model.ErrInvalid for an empty or overlong text
// or an unknown kind, the context's error, or a source's when no source could
// answer.
func (f *Finder) Correlate(ctx context.Context, t tenant.ID, req Request) (*Whole, error) {
	return f.CorrelateEach(ctx, t, req, nil)
}

// CorrelateEach is Correlate that emits each span, log record and exemplar, once,
// as soon as its source has answered, whatever other sources are busy with. emit
// is called by one goroutine at a time, and an error of it ends the look-up.
func (f *Finder) CorrelateEach(ctx context.Context, t tenant.ID, req Request, emit func(Part) error) (*Whole, error) {
	if req.ID == "" {
		return nil, fmt.Errorf("%w: id is empty: give a trace id, a request id or any other id", model.ErrInvalid)
	}
	if len(req.ID) > maxIDText {
		return nil, fmt.Errorf("%w: id is %d bytes long, at most %d are read", model.ErrInvalid, len(req.ID), maxIDText)
	}
	spec := f.opts.KeySpec()
	if req.Kind != "" && !contains(spec.Kinds(), req.Kind) {
		return nil, fmt.Errorf("%w: kind %q is not configured; known kinds: %v", model.ErrInvalid, req.Kind, spec.Kinds())
	}
	w := newWalk(f, t, spec, req)
	w.emit = emit
	if err := w.start(ctx, req); err != nil {
		return nil, err
	}
	if !w.foundAny() {
		whole := w.finish(ctx)
		near, err := f.near(ctx, t, spec, req)
		if err != nil && ctx.Err() != nil {
			return nil, err
		}
		whole.Near = near
		whole.Gaps = append(whole.Gaps, w.tooOld(req.ID)...)
		return whole, nil
	}
	if w.many() {
		if err := w.listRequests(ctx); err != nil {
			return nil, err
		}
		return w.finish(ctx), nil
	}
	if err := w.follow(ctx); err != nil {
		return nil, err
	}
	return w.finish(ctx), nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
