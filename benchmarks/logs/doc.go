// Package logs measures the log store: a deterministic generator of realistic
// log records and the queries that docs/benchmarks.md reports.
//
//	go test ./benchmarks/logs -run '^$' -bench . -benchtime 1x
//
// BRAID_BENCH_RECORDS sets how many records are written (default 1,000,000).
// The records come as decoded batches: receiving and decoding are measured
// elsewhere.
package logs
