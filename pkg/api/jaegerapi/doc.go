// Package jaegerapi answers as Jaeger's query service does, in both its
// generations: the legacy JSON under /api (older Jaeger UIs, Grafana's Jaeger
// data source) and /api/v3 (newer UIs), so that these work unmodified.
//
// The life of a request: api.go routes it and finds its tenant; find.go reads
// what it looks for and asks the source; legacy.go and v3.go write the answer,
// legacy_model.go turns spans into Jaeger's own JSON. metrics.go serves the
// Monitor tab from the spans themselves, graph.go the dependencies. grpc*.go is
// the same over gRPC.
//
// GET /api/traces/{id} is also Tempo's: Dispatch tells them apart.
package jaegerapi
