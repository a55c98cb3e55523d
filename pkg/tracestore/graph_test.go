package tracestore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/calls"
	"braid/pkg/model"
)

// TestServiceGraphCountsCalls holds the graph against what one reads off the
// spans, for each kind of edge.
func TestServiceGraphCountsCalls(t *testing.T) {
	s := open(t, Options{})
	defer func() { require.NoError(t, s.Close()) }()
	res := func(name string) *model.Resource {
		return &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String(name)}}}
	}
	span := func(id, parent byte, kind model.SpanKind, dur int64, attrs ...model.Attr) model.Span {
		sp := model.Span{TraceID: model.TraceID{1}, SpanID: model.SpanID{id}, Kind: kind, Start: 1000*second + int64(id), Attrs: attrs}
		if parent != 0 {
			sp.ParentID = model.SpanID{parent}
		}
		sp.End = sp.Start + dur
		return sp
	}
	str := func(k, v string) model.Attr { return model.Attr{Key: k, Value: model.String(v)} }
	failed := span(5, 4, model.SpanKindServer, 40)
	failed.Status = model.StatusError
	batches := []model.SpanBatch{
		{Resource: res("web"), Spans: []model.Span{
			span(1, 0, model.SpanKindServer, 100), span(2, 1, model.SpanKindClient, 50, str("server.address", "cart.svc")),
			span(4, 1, model.SpanKindClient, 45), span(6, 1, model.SpanKindProducer, 5, str("messaging.destination.name", "orders")),
			span(12, 1, model.SpanKindClient, 7, str("peer.service", "stripe")),
		}},
		{Resource: res("cart"), Spans: []model.Span{
			span(3, 2, model.SpanKindServer, 48), failed,
			span(8, 3, model.SpanKindClient, 9, str("db.system", "postgresql"), str("db.namespace", "shop"), str("server.address", "pg-0")),
			span(10, 3, model.SpanKindClient, 2, str("db.namespace", "shop"), str("db.system.name", "redis")),
			span(11, 3, model.SpanKindClient, 4, str("messaging.destination.name", "carts"), str("messaging.system", "kafka")),
		}},
		{Resource: res("mail"), Spans: []model.Span{span(7, 6, model.SpanKindConsumer, 3)}},
		{Resource: res("cron"), Spans: []model.Span{span(9, 99, model.SpanKindInternal, 3)}},
	}
	want := []string{
		"cart -> kafka messaging_system calls=1 errors=0 client=1/4 server=0/0",
		"cart -> postgresql database calls=1 errors=0 client=1/9 server=0/0",
		"cart -> redis database calls=1 errors=0 client=1/2 server=0/0",
		"web -> cart  calls=2 errors=1 client=2/95 server=2/88",
		"web -> mail messaging_system calls=1 errors=0 client=1/5 server=1/3",
		"web -> stripe virtual_node calls=1 errors=0 client=1/7 server=0/0",
	}
	check := func() {
		g, err := s.ServiceGraph(context.Background(), acme, model.TimeRange{}, nil)
		require.NoError(t, err)
		require.Equal(t, want, edges(g))
		require.Len(t, g.Services, 4)
		for _, x := range g.Services {
			require.Equal(t, x.Name == "cron", x.Lonely, x.Name)
		}
	}
	// The parts of the trace come one by one, and are flushed in between.
	for i := range batches {
		_, err := s.AppendSpans(context.Background(), acme, 0, &model.Spans{Batches: batches[i : i+1]})
		require.NoError(t, err)
		if i == len(batches)-1 {
			check()
		}
		require.NoError(t, s.Flush(context.Background()))
	}
	check()
	ten := s.tenant(acme, true)
	require.NoError(t, ten.mergeBlocks(context.Background(), ten.blocks()))
	check()
}

func edges(g *model.ServiceGraph) []string {
	var out []string
	for _, e := range g.Edges {
		out = append(out, e.String())
	}
	return out
}

// red lists everything of a graph that edges does not.
func red(g *model.ServiceGraph) []string {
	var out []string
	for _, e := range g.Edges {
		out = append(out, fmt.Sprint(e.Client, e.Server, *e.ClientLatency.Sketch(), *e.ServerLatency.Sketch()))
	}
	for _, s := range g.Services {
		out = append(out, fmt.Sprint(s.Name, s.Spans, s.Errors, s.Requests, s.RequestErrors, s.Lonely, s.Latency.Sum, *s.Latency.Sketch()))
	}
	return out
}

// graphTruth counts the calls of all traces in a range, each trace as a whole.
func (w *world) graphTruth(r model.TimeRange) *model.ServiceGraph {
	g := calls.NewGraph()
	byTrace := map[model.TraceID][]model.SpanRow{}
	for _, x := range w.rows {
		byTrace[x.TraceID] = append(byTrace[x.TraceID], x)
	}
	for _, rows := range byTrace {
		slices.SortStableFunc(rows, func(a, b model.SpanRow) int { return compareSpans(&a, &b) })
		var tr calls.Trace
		tr.Reset()
		for _, s := range rows {
			tr.Add(s.SpanID, s.ParentID, calls.Span{Service: s.Resource.Service(), Kind: s.Kind, Failed: s.Status == model.StatusError, Start: s.Start, Duration: s.Duration(), Root: s.ParentID.IsZero()})
		}
		tr.Resolve()
		tr.Count(1, calls.InRange(g, r), func(i int) (string, string) { return calls.Peer(rows[i].Kind, rows[i].Attrs) })
	}
	return g.Result()
}

// TestServiceGraphIsTheSameInHeadBlocksAndMerged compares with the count over
// whole traces, in ranges that cut minutes, pages and traces.
func TestServiceGraphIsTheSameInHeadBlocksAndMerged(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, 300+seed)
			defer func() { require.NoError(t, w.s.Close()) }()
			rng := rand.New(rand.NewPCG(seed, 1))
			for range 12 {
				w.step()
				for range 4 {
					r := w.m.timeRange()
					if rng.IntN(3) == 0 && !r.All() {
						r.Start -= r.Start % graphStep
					}
					got, err := w.s.ServiceGraph(context.Background(), acme, r, nil)
					require.NoError(t, err)
					want := w.graphTruth(r)
					require.Equal(t, edges(want), edges(got), "range %v", r)
					require.Equal(t, red(want), red(got), "range %v", r)
				}
			}
		})
	}
}

// TestCallsOfABlockLieWithIt: after a restart no span is read for the graph, and
// a block of an older program, or one whose file is damaged, answers the same.
func TestCallsOfABlockLieWithIt(t *testing.T) {
	graph := func(s *Store) (*model.ServiceGraph, int64) {
		stats := &model.QueryStats{}
		g, err := s.ServiceGraph(context.Background(), acme, model.TimeRange{}, stats)
		require.NoError(t, err)
		require.Empty(t, stats.Warnings())
		return g, stats.Rows.Load()
	}
	o := Options{Dir: t.TempDir(), Manual: true}
	s, err := Open(o)
	require.NoError(t, err)
	appendRows(t, s, 1, testkit.Shop())
	want, _ := graph(s)
	require.NoError(t, s.Close())
	check := func(read bool) (file string) {
		s, err := Open(o)
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		got, rows := graph(s)
		require.Equal(t, edges(want), edges(got))
		require.Equal(t, red(want), red(got))
		require.Equal(t, read, rows > 0)
		require.NoError(t, s.Maintain(context.Background()))
		return s.tenant(acme, true).blocks()[0].Path(fileCalls)
	}
	file := check(false)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	data[len(data)-1] ^= 1
	require.NoError(t, os.WriteFile(file, data, 0o600))
	check(true)

	o.Dir = t.TempDir()
	require.NoError(t, os.CopyFS(o.Dir, os.DirFS("testdata/v1")))
	file = check(true)
	require.FileExists(t, file)
	check(false)
}

func FuzzDecodeCalls(f *testing.F) {
	z, err := zstd.NewWriter(nil)
	require.NoError(f, err)
	d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxSection))
	require.NoError(f, err)
	m := newMinuteGraphs(graphStep)
	m.at(1e12)
	f.Add(m.encode(z))
	f.Add(newMinuteGraphs(0).encode(z))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMinuteGraphs("calls", b, d); err == nil {
			_, err = decodeMinuteGraphs("calls", m.encode(z), d)
			require.NoError(t, err)
		}
	})
}
