// Package metrics holds tests of the whole way of metrics: in by every protocol,
// out by the HTTP API. Prometheus's published PromQL cases run against it, and
// its own OTLP translation is the oracle of ours.
package metrics
