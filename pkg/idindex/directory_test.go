package idindex

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// indexOf makes the index of some hashes.
func indexOf(t testing.TB, fingerprint int, pages int, hashes ...uint64) *Index {
	b := &Builder{FingerprintBits: fingerprint}
	for i, h := range hashes {
		b.Add(h, uint32(i%pages))
	}
	ix, _ := build(t, b)
	return ix
}

func inMemory(data []byte) (io.ReaderAt, error) { return bytes.NewReader(data), nil }

// TestDirectoryAgainstModel adds and removes blocks at random: alone and many at
// once, with room in memory and without, of indexes of several widths.
func TestDirectoryAgainstModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	noRoom := func([]byte) (io.ReaderAt, error) { return nil, errors.New("disk full") }
	for name, d := range map[string]*Directory[string]{
		"in memory": {}, "spilled": {MaxBytes: 4096, Spill: inMemory}, "no room": {MaxBytes: 4096, Spill: noRoom}, "no place to spill to": {MaxBytes: 4096},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			model := map[string][]uint64{}
			for step := range 120 {
				switch rng.IntN(6) {
				case 0:
					gone := []string{fmt.Sprint("block", rng.IntN(40)), fmt.Sprint("block", rng.IntN(40))}
					d.Remove(gone...)
					delete(model, gone[0])
					delete(model, gone[1])
				case 1:
					var list []Entry[string]
					for n := range rng.IntN(30) {
						h := manyHashes(rng, 400)
						block := fmt.Sprint("block", n)
						list, model[block] = append(list, Entry[string]{block, indexOf(t, 8+rng.IntN(3), 9, h...)}), h
					}
					require.NoError(t, d.AddAll(list))
				default:
					h := manyHashes(rng, 400)
					block := fmt.Sprint("block", rng.IntN(40))
					model[block] = h
					require.NoError(t, d.Add(block, indexOf(t, 8+rng.IntN(3), 9, h...)))
				}
				require.Equal(t, len(model), d.Len())
				if d.MaxBytes > 0 {
					require.LessOrEqual(t, d.Bytes(), d.MaxBytes)
				}
				for block, hashes := range model {
					for i := step % 7; i < len(hashes); i += 7 {
						if !slices.Contains(d.Candidates(hashes[i], nil), block) {
							t.Fatalf("%s is no candidate for a hash of its own", block)
						}
					}
				}
			}
			for block := range model {
				d.Remove(block)
			}
			require.Empty(t, d.Candidates(rng.Uint64(), nil))
			require.Zero(t, d.Bytes())
		})
	}
}

// manyHashes makes up to so many; a few are everybody's.
func manyHashes(rng *rand.Rand, most int) (out []uint64) {
	for range rng.IntN(most) {
		h := rng.Uint64()
		if rng.IntN(20) == 0 {
			h = uint64(rng.IntN(5)) * 0x9e3779b97f4a7c15
		}
		out = append(out, h)
	}
	return out
}

// TestDirectoryNamesNoMoreThanTheIndexes: the rate of false answers is that of
// the blocks' own indexes, whatever way the blocks came in, and the runs stay
// few.
func TestDirectoryNamesNoMoreThanTheIndexes(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 1))
	var one, bulk Directory[int]
	var list []Entry[int]
	rate := 0.0
	for i := range 100 {
		hashes := make([]uint64, 2000+rng.IntN(400))
		for k := range hashes {
			hashes[k] = rng.Uint64()
		}
		ix := indexOf(t, 10, 40, hashes...)
		rate += ix.FalseRate()
		list = append(list, Entry[int]{i, ix})
		require.NoError(t, one.Add(i, ix))
	}
	require.NoError(t, bulk.AddAll(list))
	require.LessOrEqual(t, bulk.Runs(), 2)
	require.Less(t, one.Runs(), 16)
	for name, d := range map[string]*Directory[int]{"one by one": &one, "at once": &bulk} {
		wrong := 0
		const tries = 1 << 17
		for range tries {
			wrong += len(d.Candidates(rng.Uint64(), nil))
		}
		require.InEpsilon(t, rate, float64(wrong)/tries, 0.1, name)
	}
}

func TestDirectoryForgetsTheIdsOfBlocksThatAreGone(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 1))
	var d Directory[int]
	var list []Entry[int]
	for i := range 40 {
		hashes := make([]uint64, 3000)
		for k := range hashes {
			hashes[k] = rng.Uint64()
		}
		list = append(list, Entry[int]{i, indexOf(t, BlockFingerprintBits, 1, hashes...)})
	}
	require.NoError(t, d.AddAll(list))
	before := d.Bytes()
	for i := range 38 {
		d.Remove(i)
	}
	require.NoError(t, d.Add(40, list[0].Index))
	require.Less(t, d.Bytes(), before/5)
	require.Equal(t, 3, d.Len())
}

func TestDirectoryKeepsBlocksWithoutIndexAsCandidates(t *testing.T) {
	var d Directory[int]
	require.Empty(t, d.Candidates(1, nil))
	var b Builder
	b.Add(1, 1)
	_, data := build(t, &b)
	bad := slices.Clone(data)
	bad[len(bad)-1] ^= 1
	ix, err := Open(bad)
	require.NoError(t, err)
	require.ErrorIs(t, d.Add(1, ix), ErrCorrupt)
	d.AddUnknown(2)
	require.Equal(t, []int{1, 2}, d.Candidates(12345, nil))
	good, err := Open(data)
	require.NoError(t, err)
	require.NoError(t, d.Add(1, good))
	require.Equal(t, []int{2}, d.Candidates(1<<63, nil))
}

// TestDirectoryTakesADamagedSpillForUnknown: what cannot be read rules nothing
// out.
func TestDirectoryTakesADamagedSpillForUnknown(t *testing.T) {
	d := Directory[int]{MaxBytes: 2000, Spill: func(data []byte) (io.ReaderAt, error) {
		bad := slices.Clone(data)
		for i := len(bad) / 2; i < len(bad); i += 100 {
			bad[i] ^= 0x55
		}
		return bytes.NewReader(bad), nil
	}}
	rng := rand.New(rand.NewPCG(13, 1))
	hashes := make([]uint64, 3000)
	for k := range hashes {
		hashes[k] = rng.Uint64()
	}
	require.NoError(t, d.Add(1, indexOf(t, 10, 1, hashes...)))
	require.Less(t, d.Bytes(), int64(2000))
	for _, h := range hashes {
		require.Equal(t, []int{1}, d.Candidates(h, nil))
	}
}
