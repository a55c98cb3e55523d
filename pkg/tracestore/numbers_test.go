package tracestore

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNumbers compares with a plain list, before and after a large number comes.
func TestNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 6))
	for range 300 {
		v, want := newNumbers(r.IntN(20)), []uint32{}
		top := uint32(1) << (1 + r.IntN(31))
		for range r.IntN(200) {
			x := r.Uint32N(top)
			if len(want) > 0 && r.IntN(3) == 0 {
				i := r.IntN(len(want))
				v.set(uint32(i), x)
				want[i] = x
				continue
			}
			v.add(x)
			want = append(want, x)
		}
		lo := r.IntN(len(want) + 1)
		hi := lo + r.IntN(len(want)-lo+1)
		require.Equal(t, want[lo:hi], v.slice(make([]uint32, 200), uint32(lo), uint32(hi)))
		fit := v.fitted()
		require.Equal(t, len(want), fit.len())
		for i, x := range want {
			require.Equal(t, x, v.at(uint32(i)))
			require.Equal(t, x, fit.at(uint32(i)))
		}
		var e enc
		planes(&e, &v)
		d := &dec{b: e.b}
		back := readPlanes(d, len(want))
		require.NoError(t, d.err)
		require.Empty(t, d.b)
		require.Equal(t, want, back.slice(make([]uint32, 200), 0, uint32(len(want))))
	}
}

// TestParentsBothWays are before their children, mostly.
func TestParentsBothWays(t *testing.T) {
	s := &sidecar{rows: 300_000}
	for range s.rows {
		s.parent.add(0)
	}
	want := map[uint32]uint32{}
	r := rand.New(rand.NewPCG(1, 7))
	for n := range 2000 {
		row, far := uint32(r.IntN(s.rows)), 20
		if n > 1000 {
			far = s.rows
		}
		p := min(max(int(row)+r.IntN(2*far)-far, 0), s.rows-1)
		if uint32(p) == row {
			continue
		}
		s.setParent(row, uint32(p)+1)
		want[row] = uint32(p) + 1
	}
	for row := range uint32(s.rows) {
		require.Equal(t, want[row], s.parentOf(row))
	}
}
