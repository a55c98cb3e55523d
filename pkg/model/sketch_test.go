package model

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSketchCountsByPowersOfTwoExactly compares with counting the numbers
// themselves, those on the edges and right beside them among them.
func TestSketchCountsByPowersOfTwoExactly(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	upTo := func(v float64) int { // the least power of two that v does not pass
		frac, exp := math.Frexp(v)
		if frac == 0.5 {
			exp--
		}
		return exp
	}
	for range 200 {
		s, want := &Sketch{}, map[int]uint64{}
		for range 500 {
			v := math.Ldexp(1, r.IntN(62)-5)
			switch r.IntN(4) {
			case 0:
				v = math.Nextafter(v, math.Inf(1))
			case 1:
				v = math.Nextafter(v, 0)
			case 2:
				v *= 1 + r.Float64()
			}
			s.Add(v, 1)
			b, ok := SketchBucket(v)
			require.True(t, ok)
			require.Equal(t, sketchIndex(v), b)
			require.InEpsilon(t, v, sketchValue(b), 0.01)
			want[upTo(v)]++
		}
		got := map[int]uint64{}
		s.Each(func(v float64, n uint64) { got[upTo(v)] += n })
		require.Equal(t, want, got)
	}
}

// TestSketchOfAnotherScale reads what a program wrote that had other buckets.
func TestSketchOfAnotherScale(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	former := func(v float64) int32 { return int32(math.Ceil(math.Log(v) / math.Log(formerGamma))) }
	old, want := &Sketch{Positive: map[int32]uint64{}, Negative: map[int32]uint64{}}, &Sketch{}
	for range 1000 {
		v := math.Exp(r.Float64() * 40)
		old.Positive[former(v)]++
		old.Negative[former(v)]++
		old.Total += 2
		want.Add(v, 1)
		want.Add(-v, 1)
	}
	got, err := old.OfScale(0)
	require.NoError(t, err)
	require.Equal(t, want.Total, got.Total)
	for _, q := range []float64{0.01, 0.3, 0.6, 0.95, 0.99} {
		require.InEpsilon(t, want.Quantile(q), got.Quantile(q), 0.03)
	}
	same, err := want.OfScale(SketchScale)
	require.NoError(t, err)
	require.Same(t, want, same)
	_, err = want.OfScale(7)
	require.ErrorContains(t, err, "7 buckets a power of two")

	var l Latency
	require.NoError(t, l.UnmarshalJSON([]byte(`{"Count":3,"Sum":30,"Low":500,"Buckets":[1,0,2]}`)))
	require.InEpsilon(t, formerValue(502), l.Quantile(1), 0.02)
	require.InEpsilon(t, formerValue(500), l.Quantile(0), 0.02)
	for _, low := range []string{"-2147483648", "40000", "2147483647"} {
		for _, scale := range []string{"0", "35"} {
			require.ErrorContains(t, l.UnmarshalJSON([]byte(`{"Scale":`+scale+`,"Count":1,"Low":`+low+`,"Buckets":[1]}`)), "no duration")
		}
	}
	require.ErrorContains(t, l.UnmarshalJSON([]byte(`{"Scale":9,"Count":1,"Buckets":[1]}`)), "9 buckets")
}
