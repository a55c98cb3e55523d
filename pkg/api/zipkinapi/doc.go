// Package zipkinapi answers as Zipkin's query API v2 does, so that Zipkin's UI
// and Grafana's Zipkin data source work unmodified.
//
// The life of a request: api.go routes it and finds its tenant; query.go reads
// what it looks for; the source answers; span.go turns spans into Zipkin's.
package zipkinapi
