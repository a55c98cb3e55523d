package generate

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip"

	"braid/pkg/model"
	"braid/pkg/otlp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 3, 1, 12, 16, 0, 0, time.UTC) // within the incident

// sink is a receiver that keeps what it was sent.
type sink struct {
	t         *testing.T
	mu        sync.Mutex
	spans     []model.SpanRow
	logs      []model.LogRow
	points    map[string]int
	exemplars int
	refuse    int // so many requests are answered 503 first
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse > 0 {
		s.refuse--
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	z, err := gzip.NewReader(r.Body)
	require.NoError(s.t, err)
	body, err := io.ReadAll(z)
	require.NoError(s.t, err)
	b := &otlp.Buffers{} // never reused: the rows keep pointing into it
	switch r.URL.Path {
	case "/v1/traces":
		v, rej, err := otlp.DecodeSpans(body, otlp.Protobuf, b)
		require.NoError(s.t, err)
		require.Zero(s.t, rej.Count)
		for _, batch := range v.Batches {
			for _, sp := range batch.Spans {
				s.spans = append(s.spans, model.SpanRow{Resource: batch.Resource, Scope: batch.Scope, Span: sp})
			}
		}
	case "/v1/logs":
		v, _, err := otlp.DecodeLogs(body, otlp.Protobuf, b)
		require.NoError(s.t, err)
		for _, batch := range v.Batches {
			for _, l := range batch.Records {
				s.logs = append(s.logs, model.LogRow{Resource: batch.Resource, Scope: batch.Scope, LogRecord: l})
			}
		}
	case "/v1/metrics":
		v, _, err := otlp.DecodeMetrics(body, otlp.Protobuf, b)
		require.NoError(s.t, err)
		for _, batch := range v.Batches {
			for _, m := range batch.Metrics {
				s.points[m.Name] += len(m.Points)
				for _, p := range m.Points {
					s.exemplars += len(p.Exemplars)
				}
			}
		}
	default:
		s.t.Errorf("unexpected path %s", r.URL.Path)
	}
}

func run(t *testing.T, o Options, s *sink) string {
	s.t, s.points = t, map[string]int{}
	srv := httptest.NewServer(s)
	defer srv.Close()
	var out bytes.Buffer
	o.Endpoint, o.Out, o.Now, o.Duration = srv.URL, &out, func() time.Time { return now }, -1
	require.NoError(t, Run(context.Background(), o))
	return out.String()
}

func TestTheShopTellsOneStoryInThreeSignals(t *testing.T) {
	s := &sink{refuse: 2}
	out := run(t, Options{Backfill: 80 * time.Second, Rate: 20, Seed: 7}, s)
	require.Contains(t, out, "request ids to try:")
	require.Contains(t, out, "2 retries")

	byTrace := map[model.TraceID][]model.SpanRow{}
	slow := map[string]int{}
	for _, sp := range s.spans {
		require.LessOrEqual(t, sp.End, now.UnixNano(), "nothing is from the future")
		byTrace[sp.TraceID] = append(byTrace[sp.TraceID], sp)
		if sp.Name == "shop.payment/Charge" && sp.Kind == model.SpanKindServer && sp.Duration() > int64(time.Second) {
			slow[sp.Resource.Attrs.Text("cloud.region")+" "+sp.Attrs.Text("user.tier")+" "+sp.Resource.Attrs.Text("service.version")[4:]]++
		}
	}
	require.Len(t, slow, 1, "what is slow has one cause: %v", slow)
	most := 0
	for _, spans := range byTrace {
		ids := map[model.SpanID]bool{}
		services := map[string]bool{}
		roots := 0
		for _, sp := range spans {
			ids[sp.SpanID] = true
			services[sp.Resource.Service()] = true
		}
		for _, sp := range spans {
			if sp.ParentID.IsZero() {
				roots++
			} else {
				require.True(t, ids[sp.ParentID], "every parent was sent")
			}
		}
		require.Equal(t, 1, roots)
		most = max(most, len(services))
	}
	require.GreaterOrEqual(t, most, 7, "a checkout passes through the shop")

	linked, byRequest := 0, 0
	for _, l := range s.logs {
		if len(byTrace[l.TraceID]) > 0 {
			linked++
		}
		if l.TraceID.IsZero() && strings.Contains(l.Body.Str(), `"request_id":"req-`) {
			byRequest++
		}
	}
	require.Greater(t, linked, len(s.logs)/2)
	require.Positive(t, byRequest, "a service without traces")
	for _, name := range []string{"http.server.request.duration", "rpc.server.duration", "shop.orders", "shop.revenue", "process.memory.usage", "payment.pool.waiting", "kafka.consumer.lag"} {
		require.Positive(t, s.points[name], name)
	}
	require.Positive(t, s.exemplars)
}

func TestDeploysAreEvents(t *testing.T) {
	s := &sink{}
	run(t, Options{Backfill: 5 * time.Minute, Rate: 0.2, Seed: 1}, s)
	n := 0
	for _, l := range s.logs {
		if l.EventName == "deployment" {
			n++
			require.Contains(t, l.Body.Str(), "canary")
		}
	}
	require.Equal(t, 1, n)
}

func TestHostileShopIsStillOTLP(t *testing.T) {
	s := &sink{}
	run(t, Options{Hostile: true, HugeTrace: 3000, Seed: 1}, s)
	sizes := map[model.TraceID]int{}
	for _, sp := range s.spans {
		sizes[sp.TraceID]++
	}
	require.Contains(t, sizes, s.spans[0].TraceID)
	largest := 0
	for _, n := range sizes {
		largest = max(largest, n)
	}
	require.Equal(t, 3000, largest)
	longest := 0
	for _, l := range s.logs {
		longest = max(longest, len(l.Body.Str()))
	}
	require.GreaterOrEqual(t, longest, 100_000)
}

type grpcSink struct {
	ptraceotlp.UnimplementedGRPCServer
	spans int
}

func (g *grpcSink) Export(_ context.Context, r ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	g.spans += r.Traces().SpanCount()
	return ptraceotlp.NewExportResponse(), nil
}

type grpcLogs struct {
	plogotlp.UnimplementedGRPCServer
}

func (grpcLogs) Export(context.Context, plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	return plogotlp.NewExportResponse(), nil
}

func TestOverGRPC(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := grpc.NewServer()
	sink := &grpcSink{}
	ptraceotlp.RegisterGRPCServer(srv, sink)
	plogotlp.RegisterGRPCServer(srv, &grpcLogs{})
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	o := Options{Endpoint: "grpc://" + ln.Addr().String(), Backfill: 4 * time.Second, Rate: 20, Seed: 3, Duration: -1, Now: func() time.Time { return now }}
	err = Run(context.Background(), o)
	require.ErrorContains(t, err, "Unimplemented", "a server without metrics is told, not tried for ever")
	require.Positive(t, sink.spans)
	srv.Stop()
	require.NoError(t, <-done)
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{{Endpoint: "localhost:4318"}, {Endpoint: "ftp://h:1"}, {Rate: -1}, {Rate: 1e9}, {Backfill: -1}} {
		require.Error(t, Run(context.Background(), o))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, Run(ctx, Options{Endpoint: "http://127.0.0.1:1", Backfill: time.Second, Rate: 100}), "the end of the context is no error")
}
