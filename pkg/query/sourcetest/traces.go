package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/calls"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// TraceSubject is a source to try: see LogSubject.
type TraceSubject struct {
	// NoOutlines: one of its parts is an older program that makes no outlines.
	NoOutlines bool
	Append     func(t tenant.ID, pos model.Position, spans *model.Spans) error
	Reshape    func(r *rand.Rand) query.TraceSource
}

// RunTraces tries a trace source with random data and questions.
func RunTraces(t *testing.T, seed uint64, make func(t *testing.T) TraceSubject) {
	r := rand.New(rand.NewPCG(seed, 2))
	subject := make(t)
	ref := testkit.NewMemTraces()
	ctx := context.Background()
	next := 0
	for round := range 4 {
		for i := range 4 {
			pos := model.Position(round*4 + i + 1)
			who := pick(r, []tenant.ID{"a", "a", "a", "b"})
			n := 1 + r.IntN(120)
			spans := Spans(r, next, n)
			next += n
			ref.AddBatches(who, spans)
			require.NoError(t, subject.Append(who, pos, spans))
		}
		src := subject.Reshape(r)
		for range 12 {
			checkSpans(ctx, t, seed, r, src, ref)
			id := traceID(r.IntN(105))
			checkTrace(ctx, t, seed, src, ref, id)
			if o, ok := src.(query.OutlineSource); ok {
				CheckOutline(ctx, t, seed, o, id, subject.NoOutlines)
			}
			checkSpanAggregate(ctx, t, seed, r, src, ref)
		}
		checkGraph(ctx, t, seed, r, src, ref)
		checkGraph(ctx, t, seed, r, src, ref)
		rows, err := collectTrace(ctx, src, "nobody", traceID(1))
		require.NoError(t, err)
		require.Empty(t, rows)
	}
}

func collectTrace(ctx context.Context, s query.TraceSource, t tenant.ID, id model.TraceID) ([]model.SpanRow, error) {
	var out []model.SpanRow
	for batch, err := range s.Trace(ctx, t, id, nil) {
		if err != nil {
			return out, err
		}
		out = append(out, batch...)
	}
	return out, nil
}

func drawSpan(s *model.SpanRow) string {
	return fmt.Sprintf("%s %s %s %q %q %d %d %v %v %v %q %d %d %d | %v | %v", s.TraceID, s.SpanID, s.ParentID, s.TraceState, s.Name, s.Start, s.End,
		s.Attrs, s.Events, s.Links, s.StatusMessage, s.Flags, s.Kind, s.Status, *s.Resource, *s.Scope)
}

func checkTrace(ctx context.Context, t *testing.T, seed uint64, src, ref query.TraceSource, id model.TraceID) {
	t.Helper()
	want, err := collectTrace(ctx, ref, "a", id)
	require.NoError(t, err)
	got, err := collectTrace(ctx, src, "a", id)
	require.NoError(t, err)
	require.Len(t, got, len(want), "seed %d trace %s", seed, id)
	for i := range want {
		require.Equal(t, drawSpan(&want[i]), drawSpan(&got[i]), "seed %d trace %s span %d", seed, id, i)
	}
}

// CheckOutline compares a trace's outline, and its spans as they are found by it,
// with the whole. A source with an older part must say that it makes none.
func CheckOutline(ctx context.Context, t *testing.T, seed uint64, src query.OutlineSource, id model.TraceID, older bool) {
	t.Helper()
	whole, err := collectTrace(ctx, src.(query.TraceSource), "a", id)
	require.NoError(t, err)
	none, err := src.Outline(ctx, "a", id, "", 2*len(whole)+4, nil)
	if older {
		require.ErrorIs(t, err, errors.ErrUnsupported)
		return
	}
	require.NoError(t, err)
	require.Nil(t, none)
	o, err := src.Outline(ctx, "a", id, "", 0, nil)
	require.NoError(t, err)
	if len(whole) == 0 {
		require.Nil(t, o)
		return
	}
	var at []uint64
	for i := range o.Spans {
		at = append(at, o.Spans[i].At)
	}
	same, err := src.Outline(ctx, "a", id, o.Version, 0, nil)
	require.NoError(t, err)
	require.Empty(t, same.Spans)
	rows, err := src.SpansAt(ctx, "a", id, o.Version, at, nil)
	require.NoError(t, err)
	require.Len(t, rows, len(whole), "seed %d outline of %s", seed, id)
	want := model.OutlineOf(whole)
	for i := range rows {
		require.Equal(t, drawSpan(&whole[i]), drawSpan(&rows[i]), "seed %d outline of %s span %d", seed, id, i)
		require.Equal(t, want.Operations[want.Spans[i].Operation], o.Operations[o.Spans[i].Operation])
		o.Spans[i].At, o.Spans[i].Operation, want.Spans[i].Operation = 0, 0, 0
	}
	require.Equal(t, want.Spans, o.Spans, "seed %d outline of %s", seed, id)
	_, err = src.SpansAt(ctx, "a", id, o.Version, []uint64{1 << 60}, nil)
	require.ErrorIs(t, err, model.ErrChanged)
	_, err = src.SpansAt(ctx, "a", id, "h999999:1", []uint64{0}, nil)
	require.ErrorIs(t, err, model.ErrChanged)
}

// drawMatch makes a match comparable: spans sorted, only what always comes.
func drawMatch(m *model.TraceMatch) string {
	f := &m.Facts
	var spans []string
	for i := range m.Spans {
		s := &m.Spans[i]
		spans = append(spans, fmt.Sprintf("%s %s %s %d %d %b %s", s.SpanID, s.ParentID, s.Name, s.Start, s.End, s.Match, s.Resource.Service()))
	}
	sort.Strings(spans)
	return fmt.Sprintf("%s [%d %d] root %q %q, %d spans %d errors %v: %v", f.ID, f.Start, f.End, f.RootService, f.RootName, f.Spans, f.Errors, f.Services, spans)
}

func selectSpans(ctx context.Context, s query.TraceSource, q *predicate.SpanQuery) ([]string, error) {
	var out []string
	for m, err := range s.SelectSpans(ctx, q) {
		if err != nil {
			return out, err
		}
		out = append(out, drawMatch(m))
	}
	return out, nil
}

func checkSpans(ctx context.Context, t *testing.T, seed uint64, r *rand.Rand, src, ref query.TraceSource) {
	t.Helper()
	q := &predicate.SpanQuery{Tenant: pick(r, []tenant.ID{"a", "a", "b"}), Range: timeRange(r), Tree: r.IntN(2) == 0,
		Order: predicate.Order(r.IntN(3)), Limit: pick(r, []int{0, 0, 1, 10})}
	for range r.IntN(4) {
		q.Filters = append(q.Filters, Expr(r, true, 1))
	}
	if len(q.Filters) > 1 && r.IntN(2) == 0 {
		q.Require = []uint64{3}
	}
	want, err := selectSpans(ctx, ref, q)
	require.NoError(t, err)
	got, err := selectSpans(ctx, src, q)
	require.NoError(t, err)
	require.Equal(t, want, got, "seed %d: %v require %v tree %v in %v, order %d, limit %d", seed, q.Filters, q.Require, q.Tree, q.Range, q.Order, q.Limit)
}

func checkSpanAggregate(ctx context.Context, t *testing.T, seed uint64, r *rand.Rand, src, ref query.TraceSource) {
	t.Helper()
	start := Epoch + int64(r.IntN(60))*second
	q := &predicate.Aggregation{Tenant: "a", Range: model.TimeRange{Start: start, End: start + int64(1+r.IntN(60))*second}, Filter: Expr(r, true, 1),
		Step: pick(r, []int64{0, 7 * second}), Measure: predicate.Measure(r.IntN(3)), Of: predicate.Intrinsic(predicate.Duration)}
	for range r.IntN(3) {
		q.By = append(q.By, field(r, true))
	}
	want, err := ref.AggregateSpans(ctx, q)
	require.NoError(t, err)
	got, err := src.AggregateSpans(ctx, q)
	require.NoError(t, err)
	require.Equal(t, drawAggregate(want), drawAggregate(got), "seed %d: %s by %v in %v step %d", seed, q.Filter, q.By, q.Range, q.Step)
}

// checkGraph compares the service graph with the count over whole traces.
func checkGraph(ctx context.Context, t *testing.T, seed uint64, r *rand.Rand, src query.TraceSource, ref *testkit.MemTraces) {
	t.Helper()
	source, ok := src.(query.GraphSource)
	if !ok {
		return
	}
	rng := timeRange(r)
	g, tr := calls.NewGraph(), calls.Trace{}
	for n := range 105 {
		rows, err := collectTrace(ctx, ref, "a", traceID(n))
		require.NoError(t, err)
		sort.SliceStable(rows, func(i, j int) bool {
			a, b := &rows[i], &rows[j]
			return a.Start < b.Start || a.Start == b.Start && string(a.SpanID[:]) < string(b.SpanID[:])
		})
		tr.Reset()
		for i := range rows {
			s := &rows[i]
			tr.Add(s.SpanID, s.ParentID, calls.Span{Service: s.Resource.Service(), Kind: s.Kind, Failed: s.Status == model.StatusError,
				Start: s.Start, Duration: s.Duration(), Root: s.ParentID.IsZero()})
		}
		tr.Resolve()
		tr.Count(1, calls.InRange(g, rng), func(i int) (string, string) { return calls.Peer(rows[i].Kind, rows[i].Attrs) })
	}
	stats := &model.QueryStats{}
	got, err := source.ServiceGraph(ctx, "a", rng, stats)
	require.NoError(t, err)
	require.Empty(t, stats.Warnings())
	require.Equal(t, drawGraph(g.Result()), drawGraph(got), "seed %d: graph of %v", seed, rng)
}

func drawGraph(g *model.ServiceGraph) (out []string) {
	for _, e := range g.Edges {
		out = append(out, fmt.Sprintf("%s, median %.6g", e, e.ServerLatency.Quantile(0.5)))
	}
	for _, s := range g.Services {
		out = append(out, fmt.Sprint(s.Name, s.Spans, s.Errors, s.Requests, s.RequestErrors, s.Lonely, s.Latency.Count, s.Latency.Sum))
	}
	return out
}
