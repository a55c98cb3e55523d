// Package lokiapi speaks the HTTP API of Grafana Loki, so that an unmodified
// Loki data source, Logs Drilldown and logcli ask Braid for logs: queries,
// labels, series, volumes, detected labels and fields, patterns, tailing and
// deletion.
//
// A request's life: New's mux finds the handler, which reads the tenant and the
// parameters (params.go), asks the LogQL engine or the source, and encodes
// (encode.go). Errors are plain text with the status that the clients act on
// (errors.go). Answers are gzipped when the client takes that.
//
// The API was written from its public documentation and from the requests that
// these clients send.
package lokiapi
