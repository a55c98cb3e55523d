package idindex

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew")

// TestHashesNeverChange holds the hashes that are in blocks on disks.
func TestHashesNeverChange(t *testing.T) {
	require.Equal(t, uint64(0x6ccc16c7dbd96bc0), Hash("trace", "0af7651916cd43dd8448eb211c80319c"))
	require.Equal(t, uint64(0x4025e4953713a7cd), Hash("request", "0af7651916cd43dd8448eb211c80319c"))
	require.Equal(t, uint64(0x79f88c3f9352a113), Hash("user", ""))
	id := [16]byte{0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c}
	require.Equal(t, Hash("trace", "0af7651916cd43dd8448eb211c80319c"), NewKind("trace").HashHex(id))
	require.Equal(t, Hash("x", "abc"), NewKind("x").HashBytes([]byte("abc")))
}

// pairs is the model: what was added.
type pairs map[uint64]map[uint32]bool

func (p pairs) add(b *Builder, hash uint64, page uint32) {
	if p[hash] == nil {
		p[hash] = map[uint32]bool{}
	}
	p[hash][page] = true
	b.Add(hash, page)
}

func (p pairs) check(t testing.TB, ix *Index) {
	for hash, pages := range p {
		got, err := ix.Pages(hash, nil)
		if err != nil || !slices.IsSorted(got) {
			t.Fatalf("hash %x: pages %v, error %v", hash, got, err)
		}
		for page := range pages {
			if !slices.Contains(got, page) {
				t.Fatalf("hash %x: page %d is not among %v", hash, page, got)
			}
		}
	}
}

func build(t testing.TB, b *Builder) (*Index, []byte) {
	data, err := b.Build()
	require.NoError(t, err)
	ix, err := Open(data)
	require.NoError(t, err)
	require.NoError(t, ix.Verify())
	return ix, data
}

// random fills a builder: mostly single ids, some on many pages, some hot.
func random(rng *rand.Rand, b *Builder, entries, pages int) pairs {
	p := pairs{}
	hot := rng.Uint64()
	for i := range entries {
		page := uint32(i * pages / max(1, entries))
		switch rng.IntN(10) {
		case 0:
			p.add(b, hot, page)
		case 1:
			p.add(b, uint64(rng.IntN(20))*0x9e3779b97f4a7c15, uint32(rng.IntN(pages)))
		default:
			p.add(b, rng.Uint64(), page)
		}
	}
	return p
}

func TestPagesFindsEverythingAdded(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, n := range []int{0, 1, 2, 100, 255, 256, 257, 1000, 4095, 5000, 60000} {
		for _, pages := range []int{1, 2, 64, 300, 70000} {
			b := &Builder{FingerprintBits: []int{0, 1, 4, 8, 16, 99}[rng.IntN(6)]}
			p := random(rng, b, n, pages)
			ix, data := build(t, b)
			p.check(t, ix)
			far, err := OpenReaderAt(bytes.NewReader(data), int64(len(data)))
			require.NoError(t, err)
			p.check(t, far)
			b.Reset()
			empty, _ := build(t, b)
			require.Zero(t, empty.Len())
		}
	}
}

func TestPagePastTheEndIsAnError(t *testing.T) {
	var b Builder
	b.Add(1, MaxPage)
	ix, _ := build(t, &b)
	got, err := ix.Pages(1, nil)
	require.NoError(t, err)
	require.Equal(t, []uint32{MaxPage}, got)
	b.Add(1, MaxPage+1)
	_, err = b.Build()
	require.ErrorContains(t, err, "larger pages")
}

func TestFalseAnswersStayAtTheirRate(t *testing.T) {
	for _, f := range []int{8, 10, 12} {
		rng := rand.New(rand.NewPCG(7, uint64(f)))
		b := &Builder{FingerprintBits: f}
		for i := range 100_000 {
			b.Add(rng.Uint64(), uint32(i/400))
		}
		ix, _ := build(t, b)
		const tries = 1 << 18
		wrong := 0
		for range tries {
			got, err := ix.Pages(rng.Uint64(), nil)
			if err != nil {
				t.Fatal(err)
			}
			wrong += len(got)
		}
		rate := float64(wrong) / tries
		require.InEpsilon(t, ix.FalseRate(), rate, 0.35, "f=%d", f)
		require.Less(t, rate, 1.5/float64(int(1)<<f))
	}
}

func TestMergeFindsEverythingInBoth(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 20 {
		all, parts, offset := pairs{}, []Part{}, uint32(0)
		for range 1 + rng.IntN(6) {
			b := &Builder{FingerprintBits: 4 + rng.IntN(13)}
			p := random(rng, b, rng.IntN(8000), 50)
			ix, _ := build(t, b)
			parts = append(parts, Part{ix, offset})
			for h, pages := range p {
				for page := range pages {
					if all[h] == nil {
						all[h] = map[uint32]bool{}
					}
					all[h][page+offset] = true
				}
			}
			offset += 50
		}
		data, err := Merge(parts)
		require.NoError(t, err)
		ix, err := Open(data)
		require.NoError(t, err)
		all.check(t, ix)
	}
}

// TestDamageIsFoundOrHarmless flips every byte and cuts at every length: never
// a panic, never an id missing without an error.
func TestDamageIsFoundOrHarmless(t *testing.T) {
	var b Builder
	p := pairs{}
	for i := range 40 {
		p.add(&b, uint64(i)*0x9e3779b97f4a7c15, uint32(i))
	}
	_, data := build(t, &b)
	for i := range data {
		bad := slices.Clone(data)
		bad[i] ^= 1 << (i % 8)
		ix, err := Open(bad)
		if err != nil {
			require.True(t, errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion))
			continue
		}
		require.ErrorIs(t, ix.Verify(), ErrCorrupt)
		for h := range p {
			_, err := ix.Pages(h, nil)
			require.ErrorIs(t, err, ErrCorrupt)
		}
		_, err = Open(data[:i])
		require.ErrorIs(t, err, ErrCorrupt)
	}
}

func TestIndexOfVersion1StaysReadable(t *testing.T) {
	var b Builder
	for i := range 1000 {
		b.Add(Hash("request", fmt.Sprint(i)), uint32(i/10))
	}
	const path = "testdata/v1.idx"
	if *rewrite {
		_, data := build(t, &b)
		require.NoError(t, os.WriteFile(path, data, 0o644))
	}
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	ix, err := Open(data)
	require.NoError(t, err)
	for i := range 1000 {
		got, err := ix.Pages(Hash("request", fmt.Sprint(i)), nil)
		require.NoError(t, err)
		require.Contains(t, got, uint32(i/10))
	}
	_, now := build(t, &b)
	require.Equal(t, data, now, "the format changed: raise its version")
}

func FuzzOpen(f *testing.F) {
	for _, n := range []int{0, 1, 300} {
		var b Builder
		for i := range n {
			b.Add(uint64(i)*0x9e3779b97f4a7c15, uint32(i))
		}
		data, err := b.Build()
		require.NoError(f, err)
		f.Add(data, uint64(n))
	}
	f.Add([]byte(magic+strings.Repeat("\x00", 40)), uint64(1))
	f.Fuzz(func(t *testing.T, data []byte, hash uint64) {
		repair(data)
		ix, err := Open(data)
		if err != nil {
			return
		}
		_ = ix.Verify()
		_, _ = ix.Pages(hash, nil)
		var d Directory[int]
		_ = d.Add(1, ix)
		_, _ = Merge([]Part{{ix, 7}})
	})
}
