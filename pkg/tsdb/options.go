package tsdb

import (
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/otlptranslator"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Options of a Store. The zero value of every field but Dir works.
type Options struct {
	// Dir holds one folder a tenant.
	Dir        string
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// Retention and RetentionBytes bound what a tenant keeps; 0 means 15 days
	// and no bound on bytes. Limits may say otherwise for a tenant.
	Retention      time.Duration
	RetentionBytes int64
	// OutOfOrderWindow is how far behind the newest sample of its tenant a
	// sample may be; 0 means 1 h, negative means none.
	OutOfOrderWindow time.Duration
	// FutureWindow is how far ahead of the clock a sample may be; 0 means 10 min.
	FutureWindow time.Duration

	// Limits returns a tenant's limits; it is asked often and must be cheap.
	// nil means no limits.
	Limits func(tenant.ID) Limits
	// KeySpec tells which exemplar attributes carry correlation ids; nil means
	// the defaults.
	KeySpec func() *model.KeySpec

	// Strategy is how OTLP names become Prometheus names; "" means
	// UnderscoreEscapingWithSuffixes.
	Strategy otlptranslator.TranslationStrategyOption
	// ResourceLabels names the resource attributes that become labels of every
	// series, beside job and instance; nil means DefaultResourceLabels, "*"
	// means all of them.
	ResourceLabels []string
	// ScopeLabels adds otel_scope_name, otel_scope_version,
	// otel_scope_schema_url and the scope's attributes as labels.
	ScopeLabels bool
	// NoTargetInfo leaves the target_info series out.
	NoTargetInfo bool
	// NoZeroSample leaves out the sample of value 0 that is written at the
	// start time of a counter or histogram that begins or restarts.
	NoZeroSample bool
	// StoreStartTimes stores every sample's start time instead, in a chunk
	// encoding of its own; an engine that uses start times then needs no zero
	// samples.
	StoreStartTimes bool

	// MaxTenants bounds the tenants with a database of their own; 0 means 1,000.
	MaxTenants int
	// MaxCachedSeries bounds the reference cache of one tenant in series; 0
	// means 4,000,000 (about 30 bytes each).
	MaxCachedSeries int
	// MaxDeltaStreams bounds the delta streams of a tenant that are summed up;
	// 0 means 500,000. A stream that is silent for DeltaIdle (0: 1 h) is
	// forgotten. One that is not known, after that or after a restart, goes on
	// from the newest sample that the head holds of it; without one it starts
	// from 0, which PromQL sees as a reset.
	MaxDeltaStreams int
	DeltaIdle       time.Duration

	// SyncInterval is how often the write-ahead log is made durable; 0 means
	// 1 s. Negative means never by itself: Sync must be called (tests).
	SyncInterval time.Duration
	// ExemplarWindow is the span in which a series keeps its extreme, failed
	// and sampled exemplars; 0 means 1 min.
	ExemplarWindow time.Duration
}

// Limits of one tenant; 0 means unlimited.
type Limits struct {
	ActiveSeries       int           // series in the head
	NewSeriesPerMinute int           // series created
	LabelsPerSeries    int           // labels, the name included
	LabelNameLength    int           // bytes
	LabelValueLength   int           // bytes
	ExemplarsPerMinute int           // exemplars taken
	Retention          time.Duration // overrides Options.Retention; applies at open
	RetentionBytes     int64         // overrides Options.RetentionBytes; applies at open
}

// DefaultResourceLabels are the resource attributes that Prometheus's own
// documentation recommends to promote.
var DefaultResourceLabels = []string{
	"service.name", "service.namespace", "service.instance.id", "service.version",
	"deployment.environment", "deployment.environment.name",
	"cloud.region", "cloud.availability_zone",
	"k8s.cluster.name", "k8s.namespace.name", "k8s.pod.name", "k8s.container.name", "container.name",
	"k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.replicaset.name",
	"k8s.cronjob.name", "k8s.job.name",
}

const (
	defaultRetention = 15 * 24 * time.Hour
	// maxZeroSampleAge bounds how far before its first sample a stream's zero
	// sample is written: a process that runs for weeks must not stretch the
	// head over weeks.
	maxZeroSampleAge = time.Hour
)

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Retention <= 0 {
		o.Retention = defaultRetention
	}
	if o.OutOfOrderWindow == 0 {
		o.OutOfOrderWindow = time.Hour
	}
	o.OutOfOrderWindow = max(o.OutOfOrderWindow, 0)
	if o.FutureWindow <= 0 {
		o.FutureWindow = 10 * time.Minute
	}
	if o.Limits == nil {
		o.Limits = func(tenant.ID) Limits { return Limits{} }
	}
	if o.KeySpec == nil {
		spec := model.NewKeySpec(nil)
		o.KeySpec = func() *model.KeySpec { return spec }
	}
	if o.Strategy == "" {
		o.Strategy = otlptranslator.UnderscoreEscapingWithSuffixes
	}
	if o.ResourceLabels == nil {
		o.ResourceLabels = DefaultResourceLabels
	}
	if o.MaxTenants <= 0 {
		o.MaxTenants = 1000
	}
	if o.MaxCachedSeries <= 0 {
		o.MaxCachedSeries = 4_000_000
	}
	if o.MaxDeltaStreams <= 0 {
		o.MaxDeltaStreams = 500_000
	}
	if o.DeltaIdle <= 0 {
		o.DeltaIdle = time.Hour
	}
	if o.SyncInterval == 0 {
		o.SyncInterval = time.Second
	}
	if o.ExemplarWindow <= 0 {
		o.ExemplarWindow = time.Minute
	}
	return o
}
