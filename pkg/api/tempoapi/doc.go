// Package tempoapi answers as Grafana Tempo does, so that Grafana's Tempo data
// source, Traces Drilldown and Tempo's command line work unmodified.
//
// The life of a request: api.go routes it and finds its tenant; params.go reads
// what it asks; the traceql engine answers; trace.go, search.go, tags.go and
// metrics.go write the answer in the shape of Tempo's public API: 64-bit
// numbers as strings, ids in traces as base64, errors as plain text.
// streaming.go is the same over gRPC, where partial answers are sent as they
// come.
package tempoapi
