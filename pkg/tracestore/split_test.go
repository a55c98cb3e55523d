package tracestore

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/predicate"
)

// lateShop is a store of two blocks and a head: traces of four spans, a second
// apart, of which every tenth has a span in the second block, and every
// fiftieth one in the head.
type lateShop struct {
	tb testing.TB
	s  *Store
	n  int
}

func (l *lateShop) id(i int) (id model.TraceID) {
	binary.BigEndian.PutUint64(id[8:], uint64(i+1)*0x9e3779b97f4a7c15)
	return id
}

func (l *lateShop) span(i, k int) model.Span {
	start := (1000+int64(i))*second + int64(k)
	sp := model.Span{
		TraceID: l.id(i), SpanID: model.SpanID{1, byte(k)}, Name: "step", Start: start, End: start + 100,
		Attrs: model.Attrs{{Key: "user.id", Value: model.String(fmt.Sprintf("u%d", i))}, {Key: "k", Value: model.Int(int64(k))}},
	}
	if k > 0 {
		sp.ParentID = model.SpanID{1, 0}
	}
	return sp
}

func (l *lateShop) send(pos model.Position, every, from, to int) {
	b := model.SpanBatch{Resource: &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String("shop")}}}, Scope: &model.Scope{}}
	for i := 0; i < l.n; i += every {
		for k := from; k < to; k++ {
			b.Spans = append(b.Spans, l.span(i, k))
		}
	}
	_, err := l.s.AppendSpans(context.Background(), acme, pos, &model.Spans{Batches: []model.SpanBatch{b}})
	require.NoError(l.tb, err)
}

func newLateShop(tb testing.TB, s *Store, n int) *lateShop {
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	l := &lateShop{tb: tb, s: s, n: n}
	l.send(1, 1, 0, 4)
	require.NoError(tb, s.Flush(context.Background()))
	l.send(2, 10, 4, 5)
	require.NoError(tb, s.Flush(context.Background()))
	l.send(3, 50, 5, 6)
	return l
}

// ask returns the spans of the traces that answer, and what that cost.
func (l *lateShop) ask(in model.TimeRange, filter predicate.Expr) (traces, spans int, read int64) {
	stats := &model.QueryStats{}
	q := &predicate.SpanQuery{Tenant: acme, Range: in, Filters: []predicate.Expr{filter}, Stats: stats}
	for m, err := range l.s.SelectSpans(context.Background(), q) {
		require.NoError(l.tb, err)
		traces++
		spans += len(m.Spans)
	}
	return traces, spans, stats.Bytes.Load()
}

func TestSplitTracesOfOthersCostNothing(t *testing.T) {
	const n = 4000
	l := newLateShop(t, open(t, Options{}), n)
	_, all, whole := l.ask(model.TimeRange{}, predicate.True{})
	require.Equal(t, 4*n+n/10+n/50, all)

	for i, want := range map[int]int{7: 4, 1010: 5, 1050: 6} {
		byTrace := predicate.Correlated{Kind: model.KeyTrace, ID: l.id(i).String()}
		byUser := predicate.Correlated{ID: fmt.Sprintf("u%d", i)}
		byValue := predicate.Compare{Field: predicate.Field{Scope: predicate.ScopeRecord, Name: "user.id"}, Op: predicate.Eq, Value: model.String(fmt.Sprintf("u%d", i))}
		for _, f := range []predicate.Expr{byTrace, byUser, byValue} {
			traces, spans, read := l.ask(model.TimeRange{}, f)
			require.Equal(t, []int{1, want}, []int{traces, spans}, "trace %d by %v", i, f)
			require.Less(t, read, whole/2, "trace %d by %v", i, f)
		}
		stats := &model.QueryStats{}
		res, err := l.s.AggregateSpans(context.Background(), &predicate.Aggregation{Tenant: acme, Filter: byUser, Stats: stats})
		require.NoError(t, err)
		require.Equal(t, uint64(want), res.Groups[0].Cells[0].Count)
		require.Less(t, stats.Bytes.Load(), whole/2)
	}
	traces, _, read := l.ask(model.TimeRange{Start: 1, End: second}, predicate.True{})
	require.Zero(t, traces)
	require.Zero(t, read)
}

func TestFieldsOfTheTraceAreOfItsWhole(t *testing.T) {
	l := newLateShop(t, open(t, Options{}), 100)
	took := predicate.Compare{Field: predicate.Field{Scope: predicate.ScopeTrace, Name: predicate.TraceDuration}, Op: predicate.Eq, Value: model.Int(104)}
	traces, spans, _ := l.ask(model.TimeRange{}, took)
	require.Equal(t, []int{8, 40}, []int{traces, spans}, "those with the fifth span and not the sixth")
	traces, spans, _ = l.ask(model.TimeRange{}, predicate.And{predicate.Not{X: took}, predicate.Compare{Field: predicate.Field{Scope: predicate.ScopeRecord, Name: "k"}, Op: predicate.Gte, Value: model.Int(4)}})
	require.Equal(t, []int{2, 4}, []int{traces, spans})
}

func BenchmarkOneIDAmongSplitTraces(b *testing.B) {
	s, err := Open(Options{FS: vfs.NewCrashable(), Dir: "/traces", Manual: true})
	require.NoError(b, err)
	l := newLateShop(b, s, 20_000)
	for i := range b.N {
		traces, _, _ := l.ask(model.TimeRange{}, predicate.Correlated{Kind: model.KeyTrace, ID: l.id(i % l.n).String()})
		require.Equal(b, 1, traces)
	}
}
