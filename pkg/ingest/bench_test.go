package ingest

import (
	"bytes"
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"braid/internal/vfs"
	"braid/pkg/ingestlog"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// nowhere is three stores that take everything and keep nothing.
type nowhere struct{}

func (nowhere) AppendLogs(context.Context, tenant.ID, model.Position, *model.Logs) (model.Rejections, error) {
	return model.Rejections{}, nil
}
func (nowhere) AppendSpans(context.Context, tenant.ID, model.Position, *model.Spans) (model.Rejections, error) {
	return model.Rejections{}, nil
}
func (nowhere) AppendMetrics(context.Context, tenant.ID, model.Position, *model.Metrics) (model.Rejections, error) {
	return model.Rejections{}, nil
}
func (nowhere) OldestNeeded() (model.Position, bool) { return 0, false }

const benchItems = 1000

func benchLogs(b *testing.B) []byte {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "checkout")
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	for i := range benchItems {
		r := records.AppendEmpty()
		r.SetTimestamp(1772366400000000000)
		r.SetSeverityNumber(9)
		r.SetTraceID([16]byte{1, byte(i), byte(i >> 8)})
		r.Body().SetStr(fmt.Sprintf("order %d placed by user %d in %d ms", i*7919, i*31, i%100))
		r.Attributes().PutStr("x-request-id", fmt.Sprintf("req-%08x", i*2654435761))
		r.Attributes().PutStr("http.route", "/checkout")
		r.Attributes().PutInt("http.response.status_code", 200)
	}
	body, err := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	require.NoError(b, err)
	return body
}

func benchSpans(b *testing.B) []byte {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "checkout")
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	for i := range benchItems {
		s := spans.AppendEmpty()
		s.SetTraceID([16]byte{1, byte(i), byte(i >> 8)})
		s.SetSpanID([8]byte{1, byte(i), byte(i >> 8)})
		s.SetName("POST /checkout")
		s.SetStartTimestamp(1772366400000000000)
		s.SetEndTimestamp(1772366400100000000)
		for k := range 8 {
			s.Attributes().PutStr(fmt.Sprint("attribute.", k), fmt.Sprint("value ", i%50))
		}
	}
	body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	require.NoError(b, err)
	return body
}

// zipped packs a body as a sender would.
func zipped(b *testing.B, body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(body)
	require.NoError(b, err)
	require.NoError(b, w.Close())
	return out.Bytes()
}

// BenchmarkIngest is the way in without stores: gunzip, decode, validate, log on
// a disk in memory. It reports CPU-nanoseconds an item, which are
// CPU-milliseconds a million.
func BenchmarkIngest(b *testing.B) {
	l, err := ingestlog.Open(ingestlog.Options{Dir: "/log", FS: vfs.NewCrashable(), SyncDelay: -1, ReserveBytes: -1})
	require.NoError(b, err)
	defer l.Close()
	p, err := New(Options{Log: OnLog(l), Logs: nowhere{}, Spans: nowhere{}, Metrics: nowhere{}})
	require.NoError(b, err)
	defer func() { require.NoError(b, p.Close(context.Background())) }()
	for _, c := range []struct {
		name, proto string
		body        []byte
		packed      Compression
	}{
		{"logs/gzip", "otlp-logs-protobuf", zipped(b, benchLogs(b)), Gzip},
		{"logs/plain", "otlp-logs-protobuf", benchLogs(b), Plain},
		{"spans/gzip", "otlp-traces-protobuf", zipped(b, benchSpans(b)), Gzip},
		{"spans/plain", "otlp-traces-protobuf", benchSpans(b), Plain},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpuTime(b)
			n := 0
			for b.Loop() {
				_, err := p.Ingest(context.Background(), &Request{Tenant: "bench", Protocol: c.proto, Transport: "http", Compression: c.packed, Body: c.body})
				if err != nil {
					b.Fatal(err)
				}
				if n++; n%50 == 0 {
					p.trim()
				}
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/benchItems, "cpu-ns/item")
		})
	}
}

func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
