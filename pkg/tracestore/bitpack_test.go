package tracestore

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHybridReadsWhatItWrote(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for width := uint(0); width <= 31; width++ {
		for range 50 {
			v := make([]int32, rng.IntN(300))
			for i := range v {
				if i > 0 && rng.IntN(4) > 0 {
					v[i] = v[i-1]
				} else {
					v[i] = int32(rng.Uint64() & (1<<width - 1))
				}
			}
			got := make([]int32, len(v))
			require.True(t, readHybrid(appendHybrid(nil, v, width), width, got))
			require.Equal(t, v, got)
		}
	}
}

// TestBitsAreReadAsHybrid of any length, with runs that begin and end anywhere.
func TestBitsAreReadAsHybrid(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	for range 5000 {
		want := make([]int32, rng.IntN(400))
		stay := 1 + rng.IntN(200)
		for i := range want {
			if want[i] = int32(rng.IntN(2)); i > 0 && rng.IntN(stay) > 0 {
				want[i] = want[i-1]
			}
		}
		bits := make([]byte, (len(want)+7)/8)
		for i, x := range want {
			bits[i/8] |= byte(x) << (i % 8)
		}
		if k := len(want) % 8; k > 0 && rng.IntN(2) == 0 {
			bits[len(bits)-1] |= 0xff << k // what lies behind the last
		}
		got := make([]int32, len(want))
		require.True(t, readHybrid(appendBits(nil, bits, len(want)), 1, got))
		require.Equal(t, want, got)
	}
}

func TestDeltaReadsWhatItWrote(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for bits := 1; bits <= 64; bits++ {
		v := make([]int64, rng.IntN(700))
		for i := range v {
			v[i] = int64(rng.Uint64() >> (64 - bits))
		}
		if bits == 64 {
			v = append(v, math.MinInt64, math.MaxInt64, 0, -1)
		}
		got := make([]int64, len(v))
		require.True(t, readDelta(appendDelta(nil, v), got), bits)
		require.Equal(t, v, got)
	}
}

func FuzzPageDecoders(f *testing.F) {
	f.Add(appendHybrid(nil, []int32{1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3}, 3), uint8(3), uint16(11))
	f.Add(appendDelta(nil, []int64{5, 9, 1 << 40, -7}), uint8(0), uint16(4))
	f.Fuzz(func(_ *testing.T, b []byte, width uint8, n uint16) {
		readHybrid(b, uint(width), make([]int32, n%4096))
		readDelta(b, make([]int64, n%4096))
	})
}
