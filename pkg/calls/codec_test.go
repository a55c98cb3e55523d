package calls

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

func randomGraph(r *rand.Rand) *Graph {
	g := NewGraph()
	names := []string{"web", "cart", "orders", ""}
	for range r.IntN(200) {
		var tr Trace
		tr.Reset()
		for i := range 1 + r.IntN(6) {
			tr.Add(model.SpanID{byte(i + 1)}, model.SpanID{byte(r.IntN(i + 1))}, Span{Service: names[r.IntN(4)], Start: r.Int64N(1e12),
				Duration: r.Int64N(1 << r.IntN(62)), Kind: model.SpanKind(r.IntN(6)), Failed: r.IntN(3) == 0, Root: i == 0})
		}
		tr.Resolve()
		tr.Count(1-2*int64(r.IntN(5)/4), func(int64) *Graph { return g }, func(i int) (string, string) { return names[i%4], TypeVirtual })
	}
	return g
}

func TestGraphComesBackFromItsBytes(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		g := randomGraph(r)
		b := g.Append([]byte("head"))
		got, rest, err := ReadGraph(append(b[4:], "rest"...))
		require.NoError(t, err)
		require.Equal(t, "rest", string(rest))
		require.Equal(t, b, got.Append([]byte("head")))
		require.Equal(t, g.Lo, got.Lo)
		a, c := NewGraph(), NewGraph()
		a.Merge(g)
		c.Merge(got)
		want, have := a.Result(), c.Result()
		require.Len(t, have.Edges, len(want.Edges))
		for i := range want.Edges {
			require.Equal(t, want.Edges[i].String(), have.Edges[i].String())
		}
		for i := range want.Services {
			require.Equal(t, want.Services[i].Requests, have.Services[i].Requests)
			for _, q := range []float64{0, 0.5, 0.99, 1} {
				require.InDelta(t, orZero(want.Services[i].Latency.Quantile(q)), orZero(have.Services[i].Latency.Quantile(q)), 0)
			}
		}
	}
}

// TestReadGraphBoundsBuckets of which a part would make merging take all memory.
func TestReadGraphBoundsBuckets(t *testing.T) {
	for _, low := range []int64{-1 << 40, -1<<15 - 1, 1 << 15, math.MaxInt64} {
		w := writer{}
		for range 3 { // low and high start, dropped
			w.sv(0)
		}
		w.uv(1)
		w.uv(0) // the name
		w.uv(0) // edges
		w.uv(1)
		w.uv(0)
		for range 4 + 3 { // counts; count, sum and zero
			w.sv(1)
		}
		w.sv(low)
		w.uv(1)
		w.sv(1)
		_, _, err := ReadGraph(w.b)
		require.ErrorIs(t, err, errGraph, "low %d", low)
	}
}

// orZero is for the quantiles of nothing.
func orZero(x float64) float64 {
	if x != x {
		return 0
	}
	return x
}

func FuzzReadGraph(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(randomGraph(rand.New(rand.NewPCG(seed, 2))).Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g, _, err := ReadGraph(b)
		if err == nil {
			_, _, err = ReadGraph(g.Append(nil))
			require.NoError(t, err)
		}
	})
}
