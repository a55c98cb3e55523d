package correlation_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/pkg/correlation"
	"braid/pkg/logstore"
	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/tenant"
	"braid/pkg/tracestore"
	"braid/pkg/tsdb"
)

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
	spec := model.NewKeySpec(nil)
	h.finder = correlation.New(correlation.Options{Metrics: h.metrics, Logs: h.logs, Traces: h.traces, KeySpec: func() *model.KeySpec { return spec }})
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

// send writes parts as requests of their services.
func (h *house) send(s *shop, p *parts) {
	ctx := context.Background()
	for service, list := range p.spans {
		h.pos++
		rej, err := h.traces.AppendSpans(ctx, tenant.Default, h.pos, &model.Spans{Batches: []model.SpanBatch{{Resource: s.resources[service], Spans: list}}})
		require.NoError(h.t, err)
		require.Zero(h.t, rej.Count, rej.Message())
	}
	for service, list := range p.logs {
		h.pos++
		rej, err := h.logs.AppendLogs(ctx, tenant.Default, h.pos, &model.Logs{Batches: []model.LogBatch{{Resource: s.resources[service], Records: list}}})
		require.NoError(h.t, err)
		require.Zero(h.t, rej.Count, rej.Message())
	}
	if len(p.metrics) > 0 {
		h.pos++
		metric := model.Metric{Name: "orders", Type: model.MetricGauge, Points: p.metrics}
		rej, err := h.metrics.AppendMetrics(ctx, tenant.Default, h.pos, &model.Metrics{Batches: []model.MetricBatch{{Resource: s.resources[0], Metrics: []model.Metric{metric}}}})
		require.NoError(h.t, err)
		require.Zero(h.t, rej.Count, rej.Message())
	}
}

// scanExemplars reads every stored exemplar: the store keeps a choice of those
// sent, so the scan says which ones a look-up must find.
func (h *house) scanExemplars() map[string]map[float64]bool {
	out := map[string]map[float64]bool{}
	q := &query.ExemplarQuery{Tenant: tenant.Default, Limit: 1_000_000}
	for batch, err := range h.metrics.Exemplars(context.Background(), q) {
		require.NoError(h.t, err)
		for i := range batch {
			id := batch[i].TraceID.String()
			if batch[i].TraceID.IsZero() {
				id = model.Canonical(model.KeyRequest, batch[i].Attrs.Text("request_id"))
			}
			if out[id] == nil {
				out[id] = map[float64]bool{}
			}
			out[id][batch[i].Value] = true
		}
	}
	return out
}

// lookUps is how many requests are looked up at each stage of a test run; with
// BRAID_ALL=1 in the environment it is every one.
const lookUps = 30

// check compares look-ups with what the generator knows.
func (h *house) check(s *shop, seed uint64, stage string) {
	r := rand.New(rand.NewPCG(seed, 5))
	picks := r.Perm(len(s.requests))
	if os.Getenv("BRAID_ALL") == "" {
		picks = picks[:min(lookUps, len(picks))]
	}
	exemplars := h.scanExemplars()
	var wg sync.WaitGroup
	work := make(chan int)
	for range 2 {
		wg.Go(func() {
			for n := range work {
				h.checkOne(s.requests[n], exemplars, stage, n%2 == 0)
			}
		})
	}
	found := 0
	for _, n := range picks {
		if len(s.requests[n].spans) > 0 {
			found++
		}
		work <- n
	}
	close(work)
	wg.Wait()
	require.Greater(h.t, found, len(picks)/2)
}

func (h *house) checkOne(q *request, exemplars map[string]map[float64]bool, stage string, byTrace bool) {
	text := q.id
	if byTrace {
		text = q.trace.String()
		if name, spelt := spellTrace(q.n%4, q.trace); name != "" {
			text = spelt
		}
	}
	wantSpans, wantLogs := q.whole(byTrace)
	w, err := h.finder.Correlate(context.Background(), tenant.Default, correlation.Request{ID: text})
	if err != nil {
		h.t.Errorf("%s: request %d by %q: %v", stage, q.n, text, err)
		return
	}
	spans, logs := map[string]bool{}, map[string]bool{}
	for i := range w.Spans {
		spans[w.Spans[i].SpanID.String()] = true
	}
	for i := range w.Logs {
		logs[w.Logs[i].Body.Text()] = true
	}
	// An exemplar may be the only record of an id: then it alone is found.
	want, got := map[float64]bool{}, map[float64]bool{}
	linked := len(wantSpans)+len(wantLogs) > 0
	both := linked && q.linked()
	if byTrace || both {
		for v := range exemplars[q.trace.String()] {
			want[v] = true
		}
	}
	if !byTrace || both {
		for v := range exemplars[q.id] {
			want[v] = true
		}
	}
	for i := range w.Exemplars {
		got[w.Exemplars[i].Value] = true
	}
	ok := equal(wantSpans, spans) && equal(wantLogs, logs) && equal(want, got) && len(w.Spans) == len(spans) && len(w.Logs) == len(logs)
	if !ok {
		h.t.Errorf("%s: request %d by %q\nspans %v\nwant  %v\nlogs %v\nwant %v\nexemplars %v\nwant      %v", stage, q.n, text, spans, wantSpans, logs, wantLogs, got, want)
	}
	if !w.Complete {
		h.t.Errorf("%s: request %d is not complete: %v %v", stage, q.n, w.Warnings, w.Gaps)
	}
}

// linked reports whether some record carries both ids.
func (q *request) linked() bool {
	for _, set := range []map[string]carries{q.spans, q.logs} {
		for _, c := range set {
			if c.trace && c.request {
				return true
			}
		}
	}
	return false
}

func equal[K comparable](a, b map[K]bool) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if !b[k] {
			return false
		}
	}
	return true
}

// TestLookUpsEqualScan is the proof: requests in many flushes with late
// parts, then merged, then opened again.
func TestLookUpsEqualScan(t *testing.T) {
	s, h := newShop(1), openHouse(t, t.TempDir())
	const rounds, perRound = 12, 60
	later := newParts()
	for round := range rounds {
		now := newParts()
		late := later
		later = newParts()
		for range perRound {
			s.next(now, later)
		}
		h.send(s, now)
		h.send(s, late)
		if round < rounds-1 { // the last stays in memory
			h.flush()
		}
	}
	h.send(s, later)
	h.check(s, 1, "blocks and heads")
	h.flush()
	h.check(s, 2, "blocks")
	h.merge()
	h.check(s, 3, "merged")
	h.restart()
	h.check(s, 4, "restarted")
}
