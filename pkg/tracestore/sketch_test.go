package tracestore

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

func TestSketchCountsAsTheModelDoes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		var got sketch
		var want model.Sketch
		for range 3000 {
			v := math.Exp(rng.Float64()*90 - 30)
			switch rng.IntN(40) {
			case 0:
				v = 0
			case 1:
				v = -v
			case 2:
				v = math.Inf(1)
			case 3:
				v = math.NaN()
			case 4:
				v = math.Exp(math.Log(1.01/0.99) * float64(rng.IntN(1000))) // a bucket's edge
			}
			got.add(v)
			want.Add(v, 1)
		}
		require.Equal(t, &want, got.finish())
	}
}

func TestSketchCountsBeyond32Bits(t *testing.T) {
	bucket, _ := model.SketchBucket(1000)
	var a, b sketch
	for _, s := range []*sketch{&a, &b} {
		s.add(1000)
		s.counts[bucket-s.low] = math.MaxUint32 // as if so many had come
	}
	a.add(1000)
	a.merge(&b)
	a.add(1000)
	require.Equal(t, &model.Sketch{Positive: map[int32]uint64{bucket: 2 << 32}, Total: 2 << 32}, a.finish())
}
