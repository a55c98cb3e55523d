package model

// MetricType is the OTLP kind of a metric.
type MetricType uint8

// The OTLP metric types.
const (
	MetricUnknown      MetricType = 0
	MetricGauge        MetricType = 1
	MetricSum          MetricType = 2
	MetricHistogram    MetricType = 3
	MetricExpHistogram MetricType = 4
	MetricSummary      MetricType = 5
)

// Temporality as OTLP numbers it.
type Temporality uint8

// The OTLP aggregation temporalities.
const (
	TemporalityUnspecified Temporality = 0
	TemporalityDelta       Temporality = 1
	TemporalityCumulative  Temporality = 2
)

// FlagNoRecordedValue marks a point that says "this series has ended".
const FlagNoRecordedValue uint32 = 1

// Buckets is one side of an exponential histogram: counts of buckets
// Offset, Offset+1, … .
type Buckets struct {
	Counts []uint64
	Offset int32
}

// Quantile is one value of a summary.
type Quantile struct {
	Quantile, Value float64
}

// Exemplar ties one measurement to a request. Time is Unix nanoseconds.
type Exemplar struct {
	Time    int64
	Value   float64
	TraceID TraceID
	SpanID  SpanID
	Attrs   Attrs
}

// Point is one data point of any metric type; the fields that its type does
// not have are zero. Start and Time are Unix nanoseconds.
type Point struct {
	Attrs       Attrs
	Start, Time int64
	Value       float64 // gauge, sum
	Sum         float64 // histograms, summary
	Min, Max    float64
	Count       uint64
	Bounds      []float64 // explicit histogram
	Counts      []uint64  // explicit histogram: len(Bounds)+1
	Positive    Buckets   // exponential histogram
	Negative    Buckets
	ZeroCount   uint64
	ZeroThresh  float64
	Quantiles   []Quantile
	Exemplars   []Exemplar
	Flags       uint32
	Scale       int32
	IsInt       bool
	HasSum      bool
	HasMin      bool
	HasMax      bool
}

// Metric is one named metric and its points.
type Metric struct {
	Name, Description, Unit string
	Type                    MetricType
	Temporality             Temporality
	Monotonic               bool
	Points                  []Point
}

// MetricBatch are the metrics of one resource and scope.
type MetricBatch struct {
	Resource *Resource
	Scope    *Scope
	Metrics  []Metric
}

// Metrics is what one request carries. The receiver does not own its memory
// past the call.
type Metrics struct {
	Batches []MetricBatch
}

// Count returns the number of data points, as OTLP counts them in partial
// success.
func (m *Metrics) Count() int {
	n := 0
	for i := range m.Batches {
		for j := range m.Batches[i].Metrics {
			n += len(m.Batches[i].Metrics[j].Points)
		}
	}
	return n
}

// Label is one label of a series.
type Label struct {
	Name, Value string
}

// ExemplarRow is one stored exemplar with the series that it belongs to.
// Labels are sorted by name and hold __name__.
type ExemplarRow struct {
	Series []Label
	Exemplar
}

// MetricMeta describes a metric as the Prometheus metadata API does.
type MetricMeta struct {
	Type, Help, Unit string
}
