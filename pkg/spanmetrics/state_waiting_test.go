package spanmetrics

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

// TestWaitingTracesAreReadAsTheyWere: whatever waits is the same after a save,
// and no cut of it is taken for the whole.
func TestWaitingTracesAreReadAsTheyWere(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	w := newWaiting(100, nil)
	for n := range 40 {
		res := &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String([]string{"a", "b"}[n%2])}}}
		sp := model.Span{TraceID: model.TraceID{byte(n % 7), 1}, SpanID: model.SpanID{byte(n), 2}, ParentID: model.SpanID{byte(n / 2)},
			Name: "op", Kind: model.SpanKind(n % 6), Status: model.StatusCode(n % 3), Start: r.Int64(), End: r.Int64(),
			Attrs: model.Attrs{{Key: "peer.service", Value: model.String("db")}}}
		w.add(res, &sp, 0, 1_700_000_000_000_000_000+int64(n))
	}
	raw := w.appendTraces(nil)
	load := func(b []byte) (*waiting, error) {
		o := newWaiting(100, nil)
		o.classes, o.texts = w.classes, w.texts
		return o, o.readTraces(b)
	}
	o, err := load(raw)
	require.NoError(t, err)
	require.Equal(t, w.held, o.held)
	for id, tr := range w.traces {
		x := o.traces[id]
		require.Equal(t, [3]int64{tr.born, tr.hit, int64(tr.n)}, [3]int64{x.born, x.hit, int64(x.n)})
		require.ElementsMatch(t, w.take(id, nil), o.take(id, nil))
	}
	for n := range raw {
		if o, err := load(raw[:n]); err == nil {
			require.Less(t, o.held, 40, "cut at %d", n)
		}
	}
}

// TestPieces puts and takes spans of many traces and compares with lists.
func TestPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	var p pieces
	last, want := map[int]uint32{}, map[int][]span{}
	for n := range 20_000 {
		id := r.IntN(300)
		if r.IntN(30) == 0 {
			require.Equal(t, want[id], p.take(last[id], nil))
			delete(last, id)
			delete(want, id)
			continue
		}
		x := span{Start: int64(n)}
		last[id] = p.add(last[id], x)
		want[id] = append([]span{x}, want[id]...)
	}
	for id := range want {
		var got []span
		p.each(last[id], func(x *span) { got = append(got, *x) })
		require.Equal(t, want[id], got)
	}
	require.Less(t, p.made, uint32(20_000/pieceSpans), "pieces are used again")
}
