package correlation_test

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"braid/pkg/correlation"
	"braid/pkg/logstore"
	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/query/fanout"
	"braid/pkg/remote"
	"braid/pkg/tenant"
	"braid/pkg/tracestore"
	"braid/pkg/tsdb"
	"braid/test/correlation/shop"
)

const (
	epoch  = int64(1_760_000_000_000_000_000)
	second = int64(1_000_000_000)
)

var spec = model.NewKeySpec(nil)

// house is the three stores on one folder.
type house struct {
	t       *testing.T
	dir     string
	traces  *tracestore.Store
	logs    *logstore.Store
	metrics *tsdb.Store
	finder  *correlation.Finder
	pos     model.Position
}

func openHouse(t *testing.T, dir string) *house {
	h := &house{t: t, dir: dir}
	h.open()
	t.Cleanup(h.close)
	return h
}

func (h *house) open() {
	var err error
	// Near the records: the metric store refuses samples far from the clock.
	now := func() time.Time { return time.Unix(0, epoch+1200*second) }
	h.traces, err = tracestore.Open(tracestore.Options{Dir: filepath.Join(h.dir, "traces"), Manual: true, Now: now})
	require.NoError(h.t, err)
	h.logs, err = logstore.Open(logstore.Options{Dir: filepath.Join(h.dir, "logs"), Maintenance: -1, Now: now})
	require.NoError(h.t, err)
	h.metrics, err = tsdb.Open(tsdb.Options{Dir: filepath.Join(h.dir, "metrics"), Now: now})
	require.NoError(h.t, err)
	h.finder = finder(h.metrics, h.logs, h.traces)
}

func finder(m query.MetricSource, l query.LogSource, t query.TraceSource) *correlation.Finder {
	return correlation.New(correlation.Options{Metrics: m, Logs: l, Traces: t, KeySpec: func() *model.KeySpec { return spec }})
}

func (h *house) close() {
	require.NoError(h.t, h.traces.Close())
	require.NoError(h.t, h.logs.Close())
	require.NoError(h.t, h.metrics.Close())
}

func (h *house) restart() {
	h.close()
	h.open()
}

func (h *house) flush() {
	require.NoError(h.t, h.traces.Flush(context.Background()))
	require.NoError(h.t, h.logs.Flush(context.Background()))
}

func (h *house) merge() {
	require.NoError(h.t, h.traces.Maintain(context.Background()))
	h.logs.Maintain(context.Background())
}

// send writes parts.
func (h *house) send(s *shop.Shop, p *shop.Parts) {
	ctx := context.Background()
	for _, b := range p.Spans {
		h.pos++
		rej, err := h.traces.AppendSpans(ctx, tenant.Default, h.pos, &model.Spans{Batches: []model.SpanBatch{b}})
		require.NoError(h.t, err)
		require.Zero(h.t, rej.Count, rej.Message())
	}
	for _, b := range p.Logs {
		h.pos++
		rej, err := h.logs.AppendLogs(ctx, tenant.Default, h.pos, &model.Logs{Batches: []model.LogBatch{b}})
		require.NoError(h.t, err)
		require.Zero(h.t, rej.Count, rej.Message())
	}
	if len(p.Points) > 0 {
		h.pos++
		metric := model.Metric{Name: "orders", Type: model.MetricGauge, Points: p.Points}
		rej, err := h.metrics.AppendMetrics(ctx, tenant.Default, h.pos, &model.Metrics{Batches: []model.MetricBatch{{Resource: s.Resource(), Metrics: []model.Metric{metric}}}})
		require.NoError(h.t, err)
		require.Zero(h.t, rej.Count, rej.Message())
	}
}

// over serves the house's stores by gRPC and returns a client: what an ingester
// is to a querier.
func (h *house) over() *remote.Client {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(h.t, err)
	srv := grpc.NewServer(grpc.MaxSendMsgSize(remote.MaxMessage))
	remote.Register(srv, remote.Sources{Metrics: h.metrics, Logs: h.logs, Traces: h.traces})
	go func() { _ = srv.Serve(l) }()
	h.t.Cleanup(srv.Stop)
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(h.t, err)
	h.t.Cleanup(func() { _ = conn.Close() })
	return remote.NewClient(conn)
}

// fan is what a querier asks: ingesters in other processes.
func fan(houses ...*house) *correlation.Finder {
	m, l, t := &fanout.Metrics{}, &fanout.Logs{}, &fanout.Traces{KeySpec: func() *model.KeySpec { return spec }}
	for _, h := range houses {
		c := h.over()
		m.Parts = append(m.Parts, fanout.Part[query.MetricSource]{Name: h.dir, Source: c})
		l.Parts = append(l.Parts, fanout.Part[query.LogSource]{Name: h.dir, Source: c})
		t.Parts = append(t.Parts, fanout.Part[query.TraceSource]{Name: h.dir, Source: c})
	}
	return finder(m, l, t)
}

// requests is how many the proofs draw, and looks how many of them are looked
// up at each stage. With BRAID_PROOF_REQUESTS=10000 in the environment the
// proofs draw so many and look every one up.
func requests(t *testing.T, usual int) (draw, look int) {
	text := os.Getenv("BRAID_PROOF_REQUESTS")
	if text == "" {
		return usual, 30
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "BRAID_PROOF_REQUESTS")
	return n, n
}

// check compares look-ups with what was sent. Each is by the trace or by the
// request id, in turn, in the spelling of its protocol.
func check(t *testing.T, f *correlation.Finder, s *shop.Shop, look int, seed uint64, stage string) {
	began := time.Now()
	picks := rand.New(rand.NewPCG(seed, 5)).Perm(len(s.Requests))
	picks = picks[:min(look, len(picks))]
	var wg sync.WaitGroup
	work := make(chan int)
	for range 2 {
		wg.Go(func() {
			for n := range work {
				checkOne(t, f, s.Requests[n], stage, (n+int(seed))%2 == 0)
			}
		})
	}
	found := 0
	for _, n := range picks {
		if t.Failed() {
			break
		}
		if len(s.Requests[n].Spans) > 0 {
			found++
		}
		work <- n
	}
	close(work)
	wg.Wait()
	if !t.Failed() {
		require.Greater(t, found, len(picks)/2)
	}
	t.Logf("%s: %d look-ups, %s", stage, len(picks), time.Since(began).Round(time.Millisecond))
}

func checkOne(t *testing.T, f *correlation.Finder, q *shop.Request, stage string, byTrace bool) {
	w, err := f.Correlate(context.Background(), tenant.Default, correlation.Request{ID: q.Text(byTrace)})
	if err != nil {
		t.Errorf("%s: request %d by %q: %v", stage, q.N, q.Text(byTrace), err)
		return
	}
	var spans, logs []string
	var exemplars []float64
	for i := range w.Spans {
		spans = append(spans, w.Spans[i].SpanID.String())
		if p := w.Spans[i].Parent; p >= 0 && w.Spans[i].Start+w.Spans[i].Shift < w.Spans[p].Start+w.Spans[p].Shift {
			t.Errorf("%s: request %d: a span comes before its parent", stage, q.N)
		}
	}
	for i := range w.Logs {
		logs = append(logs, w.Logs[i].Body.Text())
	}
	for i := range w.Exemplars {
		exemplars = append(exemplars, w.Exemplars[i].Value)
	}
	if d := q.Differences(byTrace, spans, logs, exemplars); d != "" {
		t.Errorf("%s: %s", stage, d)
	}
	if !w.Complete {
		t.Errorf("%s: request %d is not complete: %v %v", stage, q.N, w.Warnings, w.Gaps)
	}
}

// checkUsers compares the requests of a user with what was sent.
func checkUsers(t *testing.T, f *correlation.Finder, s *shop.Shop, stage string) {
	for _, user := range []string{"u3", "u17"} {
		want := map[string]bool{}
		for _, q := range s.Requests {
			if q.User == user {
				want[q.Trace.String()] = true
			}
		}
		list, err := f.Requests(context.Background(), tenant.Default, correlation.ListRequest{ID: user, Limit: 5000})
		require.NoError(t, err)
		got := map[string]bool{}
		for i := range list.Requests {
			got[list.Requests[i].TraceID.String()] = true
			require.Equal(t, "web", list.Requests[i].Service, "the entry speaks for the request")
		}
		require.Equal(t, want, got, "%s: requests of %s", stage, user)
		require.Equal(t, len(want), list.Total)
	}
}

// TestLookUpsEqualScan is the proof: requests in many flushes with late parts,
// then merged, then opened again, then asked through a network.
func TestLookUpsEqualScan(t *testing.T) {
	s, h := shop.New(1, epoch), openHouse(t, t.TempDir())
	draw, look := requests(t, 720)
	const rounds = 12
	later := shop.NewParts()
	for round := range rounds {
		now, late := shop.NewParts(), later
		later = shop.NewParts()
		for range draw / rounds {
			s.Next(now, later)
		}
		h.send(s, now)
		h.send(s, late)
		if round < rounds-1 { // the last stays in memory
			h.flush()
		}
	}
	h.send(s, later)
	check(t, h.finder, s, look, 1, "blocks and heads")
	h.flush()
	check(t, h.finder, s, look, 2, "blocks")
	h.merge()
	check(t, h.finder, s, look, 3, "merged")
	checkUsers(t, h.finder, s, "merged")
	h.restart()
	check(t, h.finder, s, look, 4, "restarted")
	check(t, fan(h), s, look, 5, "querier and ingester")
}

// TestLookUpsOverTwoIngesters has the parts of each request in two places.
func TestLookUpsOverTwoIngesters(t *testing.T) {
	s, a, b := shop.New(2, epoch), openHouse(t, t.TempDir()), openHouse(t, t.TempDir())
	draw, look := requests(t, 240)
	const rounds = 4
	for round := range rounds {
		now, later := shop.NewParts(), shop.NewParts()
		for range draw / rounds {
			s.Next(now, later)
		}
		// Batches are of services: each has its ingester.
		left, right := now.Split()
		a.send(s, left)
		b.send(s, right)
		b.send(s, later)
		if round < rounds-1 {
			a.flush()
			b.flush()
		}
	}
	f := fan(a, b)
	check(t, f, s, look, 1, "two ingesters")
	checkUsers(t, f, s, "two ingesters")
}
