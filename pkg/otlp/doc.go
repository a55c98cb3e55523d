// Package otlp reads and writes the OpenTelemetry protocol's payloads: protobuf
// and JSON to the batches of package model, and rows of package model back.
//
// A payload's life: DecodeLogs (DecodeSpans, DecodeMetrics) walks the protobuf
// bytes in place, by the field numbers of opentelemetry-proto, and fills slabs of
// a pooled Buffers. Strings point into the payload, arrays and maps become JSON
// text in the Buffers' arena; next to nothing is allocated a record. JSON is
// first turned into the same protobuf bytes by a table of the fields' names
// (json_schema.go), so that both encodings have one meaning.
//
// What is refused, and how:
//
//   - Bytes that are not protobuf, a known field of the wrong wire type, text
//     that is not a JSON object, an id that is not hex, an enum by name: an error;
//     nothing is taken.
//   - An id of the wrong length: the span or log record is rejected and counted.
//     In an exemplar or a span link only the id or the link is left out, and
//     said.
//   - Strings that are not UTF-8 get U+FFFD in place of each bad run of bytes.
//   - Values nested more than MaxDepth deep are null from there on, and said.
//   - Equal keys in one set of attributes: the last value counts, at the place of
//     the first. Attributes without a key are left out and counted as dropped.
//   - A payload whose records would need more memory than the Buffers' limit:
//     ErrTooLarge. A few bytes of protobuf can stand for a large struct.
//
// The walk accepts and rejects what go.opentelemetry.io/collector/pdata does,
// and a differential fuzz test says so, with these exceptions: pdata refuses a
// whole request for one id of the wrong length, what lies deeper than MaxDepth is
// not looked at here, and pdata leaves an unknown group after its first field
// where the walk goes to the group's end. JSON differs in more: pdata takes snake_case
// names, enum names and text after the object, which the specification forbids.
package otlp
