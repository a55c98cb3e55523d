// Package query is the contract between those who ask and those who hold data.
// MetricSource, LogSource and TraceSource are satisfied by the local stores, by
// a remote ingester (pkg/remote) and by many of them at once (pkg/query/fanout);
// whoever asks cannot tell which. There is no engine here: the languages and
// their evaluation are in the sub-packages, which import this package and are
// never imported by it.
//
// Rules for every source:
//
//   - The tenant is a field of every question. Data of another tenant is never
//     looked at; an unknown tenant is an empty answer, not an error.
//   - Sequences yield batches of at most a few thousand rows. A batch belongs to
//     the consumer from the moment it is yielded: the source neither reuses nor
//     changes it. Resources and scopes are shared between rows and immutable.
//   - An error ends the sequence. What was yielded before it is true but not
//     whole. Nothing found is an empty sequence, never an error.
//   - A cancelled context ends the work within a second, with the context's error.
//   - Sources add what they cost to the question's Stats. A part that could not
//     answer while others could is a warning in Stats, not an error.
//   - Sources are safe for concurrent use.
package query

import (
	"context"
	"iter"

	"github.com/prometheus/prometheus/storage"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// MetricSource holds series. Its way of reading is Prometheus's own
// storage.Queryable, so that Prometheus's engine runs on it unchanged
// (docs/adr/0002).
type MetricSource interface {
	// Queryable returns the tenant's series. It never fails: an unknown tenant
	// has none. The result may be kept.
	Queryable(t tenant.ID) storage.SampleAndChunkQueryable
	// Exemplars yields exemplars, oldest first.
	Exemplars(ctx context.Context, q *ExemplarQuery) iter.Seq2[[]model.ExemplarRow, error]
	// Metadata returns type, help and unit by metric name; "" means all metrics.
	Metadata(ctx context.Context, t tenant.ID, metric string, limit int) (map[string]model.MetricMeta, error)
}

// ExemplarQuery asks for exemplars; it lives with the other questions that
// travel to the data.
type ExemplarQuery = predicate.ExemplarQuery

// LabelMatcher is one Prometheus matcher.
type LabelMatcher = predicate.LabelMatcher

// LogSource holds log records.
type LogSource interface {
	// SelectLogs yields rows in exactly the order asked for. Rows with equal
	// times keep their order of arrival (reversed when newest first), so that a
	// caller may page by time and drop what it has seen.
	SelectLogs(ctx context.Context, q *predicate.LogQuery) iter.Seq2[[]model.LogRow, error]
	// AggregateLogs counts and measures rows. The answer has no group for a key
	// that no row has.
	AggregateLogs(ctx context.Context, q *predicate.Aggregation) (*model.Aggregate, error)
	// LogFields lists fields or values, most frequent first.
	LogFields(ctx context.Context, q *predicate.FieldQuery) ([]predicate.FieldInfo, error)
}

// TraceSource holds spans.
type TraceSource interface {
	// Trace yields all spans of one trace, whatever their time, ordered by start
	// then span id. A trace that is not there is an empty sequence. Identical
	// spans (a retry) come once; spans that share an id but differ all come.
	Trace(ctx context.Context, t tenant.ID, id model.TraceID, stats *model.QueryStats) iter.Seq2[[]model.SpanRow, error]
	// SelectSpans yields traces that answer, each once, in the order asked for
	// by the start (or duration) of the trace as this source knows it.
	SelectSpans(ctx context.Context, q *predicate.SpanQuery) iter.Seq2[*model.TraceMatch, error]
	// AggregateSpans counts and measures spans by their start time.
	AggregateSpans(ctx context.Context, q *predicate.Aggregation) (*model.Aggregate, error)
	// SpanFields lists fields or values, most frequent first.
	SpanFields(ctx context.Context, q *predicate.FieldQuery) ([]predicate.FieldInfo, error)
}

// GraphSource is a TraceSource that keeps the service graph; whoever asks looks
// whether its source does.
type GraphSource interface {
	// ServiceGraph computes who called whom in a range.
	ServiceGraph(ctx context.Context, t tenant.ID, r model.TimeRange, stats *model.QueryStats) (*model.ServiceGraph, error)
	// TraceIDs lists the traces that have spans in a range, each once, sorted;
	// others may be among them. More than limit are model.ErrTooMuch.
	TraceIDs(ctx context.Context, t tenant.ID, r model.TimeRange, limit int) ([]model.TraceID, error)
}

// OutlineSource is a TraceSource that shows pieces of a large trace without
// reading all of it for each; whoever asks looks whether its source does.
type OutlineSource interface {
	// Outline returns the structure of a trace that has more than over spans; nil
	// when it has not: Trace serves for those. known is the Version of an outline
	// that the caller has: when the trace is still as it was, the answer has this
	// Version and no spans.
	Outline(ctx context.Context, t tenant.ID, id model.TraceID, known string, over int, stats *model.QueryStats) (*model.Outline, error)
	// SpansAt returns spans of an outline in whole: at are their At. It is
	// model.ErrChanged when they are no longer where they were.
	SpansAt(ctx context.Context, t tenant.ID, id model.TraceID, version string, at []uint64, stats *model.QueryStats) ([]model.SpanRow, error)
}
