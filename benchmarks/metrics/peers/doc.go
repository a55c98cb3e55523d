// Command peers puts one load on Braid, Prometheus and VictoriaMetrics, one
// after the other on this machine, and prints what it cost each of them.
//
// All get the same series over remote write 1.0 on the loopback address; Braid
// gets them by OTLP as well, in a run of its own. CPU-seconds are those of the
// server's process, from /proc. A system whose program is not installed is left
// out, with a line that says so; Debian has prometheus and victoria-metrics.
//
//	go build -o bin/ ./cmd/braid
//	go run ./benchmarks/metrics/peers -braid bin/braid
//	go run ./benchmarks/metrics/peers -braid bin/braid -instances 1720 -steps 2
package main
