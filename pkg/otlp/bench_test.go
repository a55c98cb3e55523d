package otlp

import (
	"syscall"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// The benchmarks report nanoseconds of CPU an item, which are CPU-milliseconds a
// million items, and do not depend on what else the machine does.
func perItem(b *testing.B, items int, decode func()) {
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		decode()
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/float64(items), "cpu-ns/item")
	b.ReportMetric(0, "ns/op")
}

func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func BenchmarkDecode(b *testing.B) {
	logs, traces, metrics := samples(b)
	b.Run("logs/walk", func(b *testing.B) {
		perItem(b, 100, func() {
			m := Get()
			if _, _, err := DecodeLogs(logs, Protobuf, m); err != nil {
				b.Fatal(err)
			}
			Put(m)
		})
	})
	b.Run("logs/pdata", func(b *testing.B) {
		perItem(b, 100, func() {
			if _, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(logs); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("spans/walk", func(b *testing.B) {
		perItem(b, 100, func() {
			m := Get()
			if _, _, err := DecodeSpans(traces, Protobuf, m); err != nil {
				b.Fatal(err)
			}
			Put(m)
		})
	})
	b.Run("spans/pdata", func(b *testing.B) {
		perItem(b, 100, func() {
			if _, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(traces); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("points/walk", func(b *testing.B) {
		perItem(b, 100, func() {
			m := Get()
			if _, _, err := DecodeMetrics(metrics, Protobuf, m); err != nil {
				b.Fatal(err)
			}
			Put(m)
		})
	})
	b.Run("points/pdata", func(b *testing.B) {
		perItem(b, 100, func() {
			if _, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(metrics); err != nil {
				b.Fatal(err)
			}
		})
	})
}
