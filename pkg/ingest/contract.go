// Package ingest is the way in. A receiver (OTLP over HTTP or gRPC, and the
// other protocols) authenticates a request and finds its tenant; the pipeline
// writes the payload to the ingest log and, at the same time, decodes and
// validates it and hands the batches to the three stores; when both are done
// the sender is answered. What was acknowledged is on disk; what was not taken
// is said by name (partial success); overload is said with the time to wait.
//
// After a crash the log is replayed through the same code.
package ingest

import (
	"context"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// LogAppender takes log records into a store.
//
// Rules for all three appenders:
//
//   - The batch belongs to the caller: strings alias the request's payload.
//     The store copies what it keeps before it returns.
//   - pos is the request's place in the ingest log. Appends arrive in any
//     order of position and from many goroutines. A store that already holds
//     the position in a durable block (a replay after a crash) takes nothing and
//     returns no error.
//   - Once the call returns, the rows are visible to queries.
//   - Rejections name what was not taken while the rest was. An error means
//     that nothing was taken: *model.OverloadError asks for a retry, any other
//     is a fault of the system.
//   - OldestNeeded returns the least position that the store would still need
//     replayed if the process died now: the least one that it has taken but not
//     yet made durable by itself; ok is false when there is none.
type LogAppender interface {
	AppendLogs(ctx context.Context, t tenant.ID, pos model.Position, logs *model.Logs) (model.Rejections, error)
	OldestNeeded() (pos model.Position, ok bool)
}

// SpanAppender takes spans: see LogAppender for the rules.
type SpanAppender interface {
	AppendSpans(ctx context.Context, t tenant.ID, pos model.Position, spans *model.Spans) (model.Rejections, error)
	OldestNeeded() (pos model.Position, ok bool)
}

// MetricAppender takes metric points: see LogAppender for the rules.
type MetricAppender interface {
	AppendMetrics(ctx context.Context, t tenant.ID, pos model.Position, metrics *model.Metrics) (model.Rejections, error)
	OldestNeeded() (pos model.Position, ok bool)
}

// Holder is an appender that can tell, without the payload, that it would take
// nothing of a position that is replayed: the payload is then not even unpacked.
type Holder interface {
	Holds(t tenant.ID, pos model.Position) bool
}
