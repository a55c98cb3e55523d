package inflate

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func always(int) error { return nil }

func pack(t testing.TB, level int, parts ...[]byte) []byte {
	var b bytes.Buffer
	for i, p := range parts {
		z, err := gzip.NewWriterLevel(&b, level)
		require.NoError(t, err)
		if i == 1 {
			z.Name, z.Comment, z.Extra = "name", "a comment", []byte("extra")
		}
		_, err = z.Write(p)
		require.NoError(t, err)
		require.NoError(t, z.Close())
	}
	return b.Bytes()
}

// contents are of all kinds: nothing, noise, runs, text, short periods.
func contents(t testing.TB) [][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 200_000)
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	var lines strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&lines, "%d INFO request %x from user-%d took %dms\n", i, rnd.Uint64(), rnd.IntN(500), rnd.IntN(10_000))
	}
	skewed := make([]byte, 100_000) // codes of all lengths
	for i := range skewed {
		for skewed[i] < 250 && rnd.IntN(3) > 0 {
			skewed[i]++
		}
	}
	self, err := os.ReadFile("inflate.go")
	require.NoError(t, err)
	out := [][]byte{nil, {0}, []byte("hello"), noise, bytes.Repeat([]byte{'x'}, 1<<20), []byte(lines.String()), skewed, self}
	for _, n := range []int{2, 3, 7, 8, 9} {
		out = append(out, bytes.Repeat(noise[:n], 5000))
	}
	return out
}

func TestWhatWasPackedComesBack(t *testing.T) {
	for i, want := range contents(t) {
		for level := gzip.HuffmanOnly; level <= gzip.BestCompression; level++ {
			packed := pack(t, level, want)
			got, err := Gunzip(nil, packed, len(want), always)
			require.NoError(t, err, "content %d level %d", i, level)
			require.True(t, bytes.Equal(want, got), "content %d level %d", i, level)
		}
	}
	all := contents(t)
	got, err := Gunzip([]byte("before"), pack(t, 6, all...), 10<<20, always)
	require.NoError(t, err)
	require.True(t, bytes.Equal(append([]byte("before"), bytes.Join(all, nil)...), got), "several members")
}

func TestNoCutOrFlippedBitChangesTheContent(t *testing.T) {
	want := contents(t)[5][:900]
	for _, level := range []int{gzip.NoCompression, gzip.HuffmanOnly, 1, 9} {
		packed := pack(t, level, want)
		for n := range packed {
			_, err := Gunzip(nil, packed[:n], 1<<20, always)
			require.Error(t, err, "level %d cut at %d", level, n)
		}
		for bit := range 8 * len(packed) {
			bad := bytes.Clone(packed)
			bad[bit/8] ^= 1 << (bit % 8)
			got, err := Gunzip(nil, bad, 1<<20, always)
			if err == nil { // in what nobody reads, as the time in the header
				require.True(t, bytes.Equal(want, got), "level %d bit %d", level, bit)
			}
		}
	}
}

func TestContentIsBounded(t *testing.T) {
	want := bytes.Repeat([]byte("bomb"), 1<<20)
	packed := pack(t, 9, want)
	asked := 0
	count := func(n int) error { asked += n; return nil }
	_, err := Gunzip(nil, packed, 1000, count)
	require.ErrorIs(t, err, ErrTooLong)
	require.Less(t, asked, 1000+2*slack)
	for _, d := range []int{-1, 0, 1} {
		got, err := Gunzip(nil, packed, len(want)+d, always)
		if d < 0 {
			require.ErrorIs(t, err, ErrTooLong)
			continue
		}
		require.NoError(t, err)
		require.Len(t, got, len(want))
	}
	noise := contents(t)[3] // stored blocks
	_, err = Gunzip(nil, pack(t, 9, noise), len(noise)-1, always)
	require.ErrorIs(t, err, ErrTooLong)

	full := errors.New("full")
	asked = 0
	_, err = Gunzip(make([]byte, 0, 1<<24), packed, 1<<24, func(n int) error {
		if asked += n; asked > 100_000 {
			return full
		}
		return nil
	})
	require.ErrorIs(t, err, full, "memory that is there already is asked for too")
}

// FuzzGunzip: whatever comes, the answer is that of the standard library.
func FuzzGunzip(f *testing.F) {
	for i, c := range contents(f) {
		f.Add(pack(f, []int{-2, 0, 1, 6, 9}[i%5], c[:min(len(c), 3000)]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1 << 20
		got, err := Gunzip(nil, data, limit, always)
		z, werr := gzip.NewReader(bytes.NewReader(data))
		var want []byte
		if werr == nil {
			want, werr = io.ReadAll(io.LimitReader(z, limit+1))
		}
		switch {
		case errors.Is(err, ErrTooLong):
			require.True(t, werr != nil || len(want) > limit)
		case werr == nil && len(want) <= limit:
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))
		case err == nil: // it bounds the names in the header
			require.ErrorIs(t, werr, gzip.ErrHeader)
		}
	})
}

func BenchmarkGunzip(b *testing.B) {
	packed := pack(b, 1, contents(b)[5])
	var dst []byte
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			var err error
			if dst, err = Gunzip(dst[:0], packed, 10<<20, always); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(dst)))
		}
	})
}
