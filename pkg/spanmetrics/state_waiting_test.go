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
		want, got := w.take(id, nil), o.take(id, nil)
		for i := range want {
			want[i].next, got[i].next = 0, 0
		}
		require.ElementsMatch(t, want, got)
	}
	for n := range raw {
		if o, err := load(raw[:n]); err == nil {
			require.Less(t, o.held, 40, "cut at %d", n)
		}
	}
}
