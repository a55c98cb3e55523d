package spanmetrics

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
	"braid/pkg/calls"
	"braid/pkg/correlation"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/spanmetrics"
	"braid/pkg/tenant"
	"braid/pkg/tracestore"
)

const acme = tenant.ID("acme")

// world is a store with span metrics, the log of what was sent, and the series
// that were written: those outlive crashes.
type world struct {
	t      *testing.T
	fs     *vfs.Crashable
	now    time.Time
	gen    *spanmetrics.Generator
	store  *tracestore.Store
	log    map[model.Position]*model.Spans
	pos    model.Position
	series map[string]float64
	firsts map[string]float64
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, fs: vfs.NewCrashable(), now: time.Unix(1_700_000_000, 0), log: map[model.Position]*model.Spans{}, series: map[string]float64{}, firsts: map[string]float64{}}
	w.open()
	return w
}

func (w *world) open() {
	var err error
	w.gen, err = spanmetrics.New(spanmetrics.Options{Dir: "/red", FS: w.fs, Write: w.write, Settled: func() model.Position { return w.pos + 1 },
		Now: func() time.Time { return w.now }, Manual: true})
	require.NoError(w.t, err)
	w.store, err = tracestore.Open(tracestore.Options{Dir: "/traces", FS: w.fs, Observe: w.gen.Observe, BeforeMerge: w.gen.BeforeMerge, Manual: true})
	require.NoError(w.t, err)
	w.gen.Attach(w.store)
	for pos := model.Position(1); pos <= w.pos; pos++ {
		if spans := w.log[pos]; spans != nil {
			w.append(pos, spans)
		}
	}
	w.gen.Start()
}

func (w *world) append(pos model.Position, spans *model.Spans) {
	_, err := w.store.AppendSpans(context.Background(), acme, pos, spans)
	require.NoError(w.t, err)
}

// send takes a request, which the log has.
func (w *world) send(spans *model.Spans) {
	w.log[w.pos+1] = spans
	w.append(w.pos+1, spans)
	w.pos++
}

// trim drops from the log what nobody needs.
func (w *world) trim() {
	oldest := w.pos + 1
	for _, needed := range []func() (model.Position, bool){w.store.OldestNeeded, w.gen.OldestNeeded} {
		if p, ok := needed(); ok {
			oldest = min(oldest, p)
		}
	}
	for pos := range w.log {
		if pos < oldest {
			delete(w.log, pos)
		}
	}
}

// crash cuts the power: what was not synced may be gone.
func (w *world) crash(rng *rand.Rand) {
	fs := w.fs.CrashClone(rng)
	require.NoError(w.t, w.store.Close()) // into the old disk
	w.fs = fs
	w.open()
}

func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	require.NoError(w.t, w.gen.Tick(context.Background()))
}

// settle lets everything be counted and written.
func (w *world) settle() {
	w.pass(time.Minute)
	w.pass(time.Minute)
}

func (w *world) write(_ context.Context, t tenant.ID, samples []spanmetrics.Sample) error {
	require.Equal(w.t, acme, t)
	for _, s := range samples {
		var b strings.Builder
		for _, l := range s.Labels {
			fmt.Fprintf(&b, "%s=%s,", l.Name, l.Value)
		}
		key := b.String()
		if _, known := w.series[key]; !known {
			w.firsts[key] = s.Value
		}
		require.GreaterOrEqual(w.t, s.Value, w.series[key], "a counter went back: %s", key)
		w.series[key] = s.Value
	}
	return nil
}

// values returns the series of a name by their other labels.
func (w *world) values(name string) map[string]float64 {
	out := map[string]float64{}
	for key, v := range w.series {
		if rest, ok := strings.CutPrefix(key, "__name__="+name+","); ok {
			out[rest] = v
		}
	}
	return out
}

// stored counts the spans of the store as traces_spanmetrics_calls_total does.
func (w *world) stored() map[string]float64 {
	out := map[string]float64{}
	for m, err := range w.store.SelectSpans(context.Background(), &predicate.SpanQuery{Tenant: acme, Tree: true}) {
		require.NoError(w.t, err)
		for _, s := range m.Spans {
			out[fmt.Sprintf("service=%s,span_kind=SPAN_KIND_%s,span_name=%s,status_code=STATUS_CODE_%s,", s.Resource.Service(),
				strings.ToUpper(s.Kind.String()), s.Name, strings.ToUpper(s.Status.String()))]++
		}
	}
	return out
}

func (w *world) graph() map[string]float64 {
	g, err := w.store.ServiceGraph(context.Background(), acme, model.TimeRange{}, nil)
	require.NoError(w.t, err)
	out := map[string]float64{}
	for _, e := range g.Edges {
		out[fmt.Sprintf("client=%s,connection_type=%s,server=%s,", e.Client, e.Type, e.Server)] += float64(e.Calls)
	}
	return out
}

// byClient sums calls by who made them.
func byClient(edges map[string]float64) map[string]float64 {
	out := map[string]float64{}
	for key, v := range edges {
		client, _, _ := strings.Cut(key, ",")
		out[client] += v
	}
	return out
}

// maker makes traces and cuts them into requests.
type maker struct {
	*rand.Rand
	resources []*model.Resource
	traces    uint32
}

func newMaker(seed uint64) *maker {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 3))}
	for _, name := range []string{"web", "cart", "pay", "stock"} {
		m.resources = append(m.resources, &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String(name)}}})
	}
	return m
}

type made struct {
	r *model.Resource
	s model.Span
}

// trace makes a random tree, in which clients have at most one answer.
func (m *maker) trace() (out []made) {
	m.traces++
	id := model.TraceID{byte(m.traces >> 8), byte(m.traces), 7}
	n := 1 + m.IntN(12)
	answered := map[int]bool{}
	for i := range n {
		s := model.Span{TraceID: id, SpanID: model.SpanID{byte(i + 1)}, Name: []string{"GET /", "read", "send"}[m.IntN(3)],
			Kind: model.SpanKind(m.IntN(6)), Status: model.StatusCode(m.IntN(3)), Start: 1_700_000_000e9 + int64(m.IntN(1e9))}
		s.End = s.Start + int64(m.IntN(3e9))
		if i > 0 && m.IntN(10) > 0 {
			p := m.IntN(i)
			if k := out[p].s.Kind; !calls.Calls(k) || !answered[p] {
				answered[p] = true
				s.ParentID = out[p].s.SpanID
			}
		}
		if calls.Calls(s.Kind) && m.IntN(2) == 0 {
			s.Attrs = model.Attrs{{Key: []string{"peer.service", "db.system", "server.address"}[m.IntN(3)], Value: model.String("far")}}
		}
		out = append(out, made{m.resources[m.IntN(len(m.resources))], s})
	}
	return out
}

func request(list []made) *model.Spans {
	out := &model.Spans{}
	for _, x := range list {
		out.Batches = append(out.Batches, model.SpanBatch{Resource: x.r, Scope: &model.Scope{}, Spans: []model.Span{x.s}})
	}
	return out
}

func checkFirsts(t *testing.T, w *world) {
	t.Helper()
	for key, v := range w.firsts {
		require.Zero(t, v, "the first sample of %s", key)
	}
}

// TestSeriesSayWhatTheStoreCounts sends whole traces, cut into requests of
// which some come twice, through flushes, merges and restarts.
func TestSeriesSayWhatTheStoreCounts(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w, m := newWorld(t), newMaker(seed)
			defer func() { require.NoError(t, w.store.Close()) }()
			for range 8 {
				var spans []made
				for range 1 + m.IntN(6) {
					spans = append(spans, m.trace()...)
				}
				m.Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
				var sent []*model.Spans
				for len(spans) > 0 {
					n := min(len(spans), 1+m.IntN(8))
					sent = append(sent, request(spans[:n]))
					w.send(sent[len(sent)-1])
					spans = spans[n:]
					if m.IntN(3) == 0 {
						w.send(sent[m.IntN(len(sent))])
					}
					if m.IntN(6) == 0 {
						w.pass(time.Second)
						require.NoError(t, w.store.Flush(context.Background()))
					}
				}
				if m.IntN(2) == 0 {
					require.NoError(t, w.store.Flush(context.Background()))
					require.NoError(t, w.store.Maintain(context.Background()))
				}
				w.settle()
				w.trim()
				for range m.IntN(3) { // a retry of what was counted long ago
					w.send(sent[m.IntN(len(sent))])
				}
				if m.IntN(3) == 0 { // which the store merges away before it is counted
					require.NoError(t, w.store.Flush(context.Background()))
					require.NoError(t, w.store.Maintain(context.Background()))
				}
				if m.IntN(3) == 0 {
					w.settle()
					w.crash(m.Rand)
				}
			}
			w.settle()
			require.Equal(t, w.stored(), w.values("traces_spanmetrics_calls_total"))
			require.Equal(t, w.stored(), w.values("traces_spanmetrics_latency_count"))
			require.Equal(t, w.graph(), w.values("traces_service_graph_request_total"))
			require.Equal(t, w.graph(), w.values("traces_service_graph_request_server_seconds_count"))
			checkFirsts(t, w)
		})
	}
}

// TestLateSpansAndCrashes sends spans of a trace long after its others, and
// cuts the power at any moment: every span and every call is counted once. A
// call that was counted as one to a peer keeps that name when the peer's span
// comes at last.
func TestLateSpansAndCrashes(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w, m := newWorld(t), newMaker(100+seed)
			defer func() { require.NoError(t, w.store.Close()) }()
			var late []made
			for range 25 {
				spans := m.trace()
				for i := 0; i < len(spans); {
					if m.IntN(3) == 0 {
						late = append(late, spans[i])
						spans = slices.Delete(spans, i, i+1)
						continue
					}
					i++
				}
				if len(spans) > 0 {
					w.send(request(spans))
				}
				if len(late) > 4 && m.IntN(2) == 0 {
					n := 1 + m.IntN(4)
					w.send(request(late[:n]))
					late = late[n:]
				}
				switch m.IntN(6) {
				case 0:
					w.pass(time.Duration(m.IntN(20)) * time.Second)
				case 1:
					w.settle()
				case 2:
					require.NoError(t, w.store.Flush(context.Background()))
				case 3:
					w.trim()
				case 4:
					w.crash(m.Rand)
				}
			}
			if len(late) > 0 {
				w.settle()
				w.send(request(late))
			}
			w.settle()
			require.Equal(t, w.stored(), w.values("traces_spanmetrics_calls_total"))
			require.Equal(t, byClient(w.graph()), byClient(w.values("traces_service_graph_request_total")))
			checkFirsts(t, w)
		})
	}
}

// TestExemplarsNameTheSpan looks for the slowest span behind a bucket.
func TestExemplarsNameTheSpan(t *testing.T) {
	w := newWorld(t)
	defer func() { require.NoError(t, w.store.Close()) }()
	got := map[string]model.Exemplar{}
	g, err := spanmetrics.New(spanmetrics.Options{Dir: "/other", FS: w.fs, Manual: true, Now: func() time.Time { return w.now },
		Write: func(_ context.Context, _ tenant.ID, samples []spanmetrics.Sample) error {
			for _, s := range samples {
				for _, e := range s.Exemplars {
					got[s.Labels[0].Value+" "+e.SpanID.String()] = e
				}
			}
			return nil
		}})
	require.NoError(t, err)
	g.Attach(w.store)
	m := newMaker(1)
	spans := m.trace()
	observe := g.Observe(acme, 0)
	for i := range spans {
		observe(spans[i].r, &spans[i].s, 0)
	}
	observe(nil, nil, 0)
	for range 2 {
		w.now = w.now.Add(time.Minute)
		require.NoError(t, g.Tick(context.Background()))
	}
	for _, x := range spans {
		e, ok := got["traces_spanmetrics_latency_bucket "+x.s.SpanID.String()]
		if ok {
			require.Equal(t, x.s.TraceID, e.TraceID)
			require.InDelta(t, float64(x.s.Duration())/1e9, e.Value, 1e-9)
		}
	}
	require.NotEmpty(t, got)
	require.NoError(t, g.Close(context.Background()))
}

// TestServiceMapCountsEveryCall asks for the map of a store that keeps the
// graph: databases and peers without spans are nodes, and so are the lonely.
func TestServiceMapCountsEveryCall(t *testing.T) {
	w, m := newWorld(t), newMaker(9)
	defer func() { require.NoError(t, w.store.Close()) }()
	lonely := &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String("cron")}}}
	w.send(request([]made{{lonely, model.Span{TraceID: model.TraceID{1, 1, 1}, SpanID: model.SpanID{1}, Name: "tick", Start: 1, End: 2}}}))
	for range 30 {
		w.send(request(m.trace()))
	}
	f := correlation.New(correlation.Options{Traces: w.store})
	got, err := f.Services(context.Background(), acme, model.TimeRange{})
	require.NoError(t, err)
	want, calls := map[string]float64{}, map[string]float64{}
	for k, v := range w.graph() {
		var client, typ, server string
		_, err := fmt.Sscanf(strings.NewReplacer("client=", "", "connection_type=,", "- ", "connection_type=", "", "server=", "", ",", " ").Replace(k), "%s %s %s", &client, &typ, &server)
		require.NoError(t, err)
		if client != server {
			want[client+" "+server] += v
		}
	}
	for _, e := range got.Edges {
		calls[e.Client+" "+e.Server] += float64(e.Calls)
	}
	require.Equal(t, want, calls)
	types := map[string]string{}
	for _, n := range got.Nodes {
		types[n.Name] = n.Type
		require.True(t, n.Type != "service" || n.Spans > 0)
	}
	require.Equal(t, "service", types["cron"])
	require.Equal(t, "service", types["web"])
	require.Contains(t, []string{"database", "external", "messaging"}, types["far"])
}
