// Package zipkin receives spans as Zipkin's clients report them: POST
// /api/v2/spans, JSON or protobuf.
//
// A report's life is that of an OTLP request: Handler reads the body,
// ingest.Pipeline logs it and calls decode, which maps Zipkin's words to
// OpenTelemetry's by the OpenTelemetry specification: the local endpoint is the
// resource's service, tags are attributes, annotations events, the tag "error"
// the status. A client and a server that share a span id are two spans of one
// id. Register must come before the pipeline's Replay.
package zipkin
