package tracestore

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// TestAccumulatorsMerge adds the same rows up in one accumulator and in three.
func TestAccumulatorsMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range 6 {
		measure, keys := predicate.Measure(i%3), int64(5+i/3) // of the sixth there is no room
		q := &predicate.Aggregation{Range: model.TimeRange{Start: 100, End: 200}, Step: 10, Measure: measure, MaxGroups: 5, Exemplars: 3}
		one := newAccumulator(q, 100, 10)
		parts := []accumulator{newAccumulator(q, 100, 10), newAccumulator(q, 100, 10), newAccumulator(q, 100, 10)}
		for range 3000 {
			key, at := model.Int(rng.Int64N(keys)), 100+rng.Int64N(100)
			value, measured := float64(rng.IntN(5000)-1000), measure != predicate.CountOnly && rng.IntN(5) > 0
			for _, a := range []*accumulator{&one, &parts[rng.IntN(len(parts))]} {
				a.keys = append(a.keys[:0], key)
				g := a.group()
				if a.add(g, at, value, measured) {
					a.exemplars[g] = append(a.exemplars[g], model.AggExemplar{Bucket: int(at-100) / 10})
				}
			}
		}
		for k := range parts[1:] {
			parts[0].merge(&parts[1+k])
		}
		want, got := one.result(), parts[0].result()
		require.Len(t, want.Groups, 5)
		require.Equal(t, total(want), total(got))
		for _, g := range got.Groups {
			require.Len(t, g.Exemplars, 3)
			if keys == 5 {
				i := slices.IndexFunc(want.Groups, func(x model.AggGroup) bool { return x.Key[0] == g.Key[0] })
				require.Equal(t, want.Groups[i].Cells, g.Cells)
			}
		}
	}
}

func total(a *model.Aggregate) (n int64) {
	for _, g := range a.Groups {
		for _, c := range g.Cells {
			n += int64(c.Count)
		}
	}
	return n + a.Dropped
}
