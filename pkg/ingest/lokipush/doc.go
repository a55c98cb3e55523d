// Package lokipush receives logs as Loki's clients push them (Promtail, Alloy,
// Fluent Bit, Vector, Docker's driver): POST /loki/api/v1/push, protobuf in a
// snappy block or JSON.
//
// A push's life: Handler reads the body, ingest.Pipeline writes it to the log as
// it came and calls decode, which makes a model.Logs of it: a stream's labels
// are the resource's attributes, structured metadata those of the record. A
// replay after a crash calls the same decode, so Register must come before it.
//
// Written from Loki's public description of the API.
package lokipush
