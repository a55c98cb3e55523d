package calls

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSharedGraphsStay adds graphs up by Share and by Merge: the sums are equal,
// and what was shared is what it was.
func TestSharedGraphsStay(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 3))
		var parts []*Graph
		var before [][]byte
		for range 1 + r.IntN(5) {
			g := randomGraph(r)
			parts, before = append(parts, g), append(before, g.Append(nil))
		}
		shared, merged := NewGraph(), NewGraph()
		changing, last := randomGraph(r), randomGraph(r)
		for range 10 {
			g := parts[r.IntN(len(parts))]
			switch r.IntN(5) {
			case 0:
				shared.Remove(g)
				merged.Remove(g)
			case 1:
				more := randomGraph(r)
				shared.Merge(more)
				merged.Merge(more)
			case 2:
				shared.Borrow(changing)
				merged.Merge(changing)
				changing.Merge(last)
				for _, e := range changing.edges {
					e.server.add(int64(r.IntN(1000)), 1)
				}
			default:
				shared.Share(g)
				merged.Merge(g)
			}
		}
		require.Equal(t, merged.Append(nil), shared.Append(nil), "seed %d", seed)
		for _, s := range shared.services { // as Count does
			s.latency.add(1000, 1)
		}
		for _, e := range shared.edges {
			e.client.add(1000, 1)
		}
		for i, g := range parts {
			require.Equal(t, before[i], g.Append(nil), "seed %d, part %d", seed, i)
		}
	}
}
