package idindex

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGrowingAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	var g Growing
	require.Empty(t, g.Find(1, nil))
	model := map[uint64][]uint32{}
	pairs := 0
	for n := range uint32(3000) {
		for range rng.IntN(4) {
			h := rng.Uint64N(2000) * 0x9e3779b97f4a7c15
			if rng.IntN(50) == 0 {
				h = 0
			}
			g.Add(h, n)
			if l := model[h]; len(l) == 0 || l[len(l)-1] != n {
				model[h] = append(l, n)
				pairs++
			}
		}
	}
	require.Equal(t, pairs, g.Len())
	for h, want := range model {
		got := g.Find(h, nil)
		slices.Reverse(got)
		require.Equal(t, want, got)
	}
	for range 1000 {
		require.Empty(t, g.Find(rng.Uint64()|1<<63, nil))
	}
}
