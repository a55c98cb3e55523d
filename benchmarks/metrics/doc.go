// Package metrics measures what metrics cost: the way in, the disk, the
// questions.
//
// The workload is that of a fleet of services instrumented by an OpenTelemetry
// SDK: every instance has ten resource attributes, HTTP server and RPC client
// histograms with 14 bounds, counters and gauges; about 580 series an instance.
// It depends on nothing but its seed. 170 instances are about 98,000 series.
//
//	go test ./benchmarks/metrics -bench . -benchtime 1x
//
// prints, beside Go's own figures, CPU-seconds of the whole process per million
// samples (cpu-s/Msample), series held, heap, and bytes a sample on disk.
package metrics
