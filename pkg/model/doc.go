// Package model holds the words that Braid speaks: attribute values, resources,
// scopes, log records, spans, metric points, identifiers, correlation keys, and
// the batches in which they travel.
//
// Write batches (Logs, Spans, Metrics) are grouped the way OTLP groups them, by
// resource and scope, so that what is constant is held once. Read rows (LogRow,
// TraceMatch, SpanRow) point at their resource and scope.
//
// The package does no I/O, reads no clock and knows no wire format. Strings in
// a write batch may alias the request's payload: whoever keeps one past the
// call that handed the batch over must copy it (strings.Clone).
package model
