package tsdb

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
	"github.com/stretchr/testify/require"

	"braid/pkg/tenant"
)

// writtenLog fills a store and returns its options and the path of its log.
func writtenLog(t testing.TB, dir string) (Options, string) {
	o := testOptions(dir)
	s, err := Open(o)
	require.NoError(t, err)
	for i := range 1500 {
		m := batch(res("service.name", "x"), gauge("g", point(i/4, float64(i), "n", fmt.Sprint(i%10), "pad", strings.Repeat("x", 300))),
			gauge(fmt.Sprintf("new%d", i), point(i/4, 1, "pad", strings.Repeat("y", 500))))
		rej, err := s.AppendMetrics(context.Background(), tenant.Default, 0, m)
		require.NoError(t, err)
		require.Zero(t, rej.Count)
	}
	require.NoError(t, s.Close())
	return o, filepath.Join(o.Dir, string(tenant.Default), "tsdb", "wal", "00000000")
}

func samples(t *testing.T, o Options) int {
	t.Helper()
	s, err := Open(o)
	require.NoError(t, err)
	n := strings.Count(dump(t, s, tenant.Default), "@")
	require.NoError(t, s.Close())
	return n
}

// One flipped bit must cost one record, not all that come after it.
func TestAFlippedBitCostsOneRecord(t *testing.T) {
	o, path := writtenLog(t, t.TempDir())
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Greater(t, len(whole), 2*walPage, "the log spans pages")
	require.Equal(t, 3000, samples(t, copyOf(t, o)))
	r := rand.New(rand.NewPCG(5, 5))
	for range 15 {
		c := copyOf(t, o)
		damagedPath := strings.Replace(path, o.Dir, c.Dir, 1)
		b := bytes.Clone(whole)
		bit := r.IntN(len(b) * 8)
		b[bit/8] ^= 1 << (bit % 8)
		require.NoError(t, os.WriteFile(damagedPath, b, 0o600))
		n := samples(t, c)
		// At worst a page of new series is lost, and the samples that name them.
		require.Greater(t, n, 2000, "bit %d", bit)
		if n < 3000 {
			kept, err := os.ReadDir(filepath.Join(c.Dir, string(tenant.Default), "damaged"))
			require.NoError(t, err)
			require.Len(t, kept, 1)
		}
		require.Equal(t, n, samples(t, c), "a second start finds nothing new")
	}
}

func TestATornLogKeepsWhatIsWhole(t *testing.T) {
	o, path := writtenLog(t, t.TempDir())
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, cut := range []int{len(whole) - 1, len(whole) - 100, len(whole) / 2, walPage, walPage + 3} {
		c := copyOf(t, o)
		require.NoError(t, os.WriteFile(strings.Replace(path, o.Dir, c.Dir, 1), whole[:cut], 0o600))
		n := samples(t, c)
		require.Greater(t, n, 3000*cut/len(whole)/2)
		require.LessOrEqual(t, n, 3000)
	}
}

// What is whole must stay as it is, wherever the pages cut it: a first fragment
// may be one byte, too short to tell how long the record is.
func TestAWholeLogIsNotMended(t *testing.T) {
	for _, packed := range []compression.Type{compression.None, compression.Snappy, compression.Zstd} {
		for left := range 16 {
			dir := t.TempDir()
			w, err := wlog.NewSize(nil, nil, dir, 4*walPage, packed)
			require.NoError(t, err)
			noise := make([]byte, walPage-walHeader-left) // does not become shorter
			r := rand.New(rand.NewPCG(uint64(left), 1))
			for i := range noise {
				noise[i] = byte(r.Uint32())
			}
			noise[0] = 1 // a kind of record
			lines := bytes.Repeat([]byte("\x02 a record that is compressed, of some length"), 200)
			require.NoError(t, w.Log(noise, lines, []byte("\x02 short"), lines))
			require.NoError(t, w.Close())
			whole, err := os.ReadFile(filepath.Join(dir, "00000000"))
			require.NoError(t, err)
			got, damage := repairSegment(bytes.Clone(whole))
			require.Zero(t, damage, "%s, %d bytes left in the page", packed, left)
			require.True(t, bytes.Equal(whole, got))
		}
	}
}

func FuzzRepairSegment(f *testing.F) {
	record := func(kind byte, data string) []byte {
		b := binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(data)))
		return append(binary.BigEndian.AppendUint32(b, crc32.Checksum([]byte(data), castagnoli)), data...)
	}
	f.Add(bytes.Join([][]byte{record(walFull, "\x01abc"), record(walFirst, "\x02d"), record(walLast, "ef"), make([]byte, 40)}, nil), uint16(9), byte(4))
	f.Add(record(walFull|walSnappy, string(snappy.Encode(nil, []byte("\x01aaaaaaaaaaaaaaa")))), uint16(0), byte(walSnappy))
	f.Add([]byte{}, uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, b []byte, at uint16, flip byte) {
		b = bytes.Clone(b)
		if len(b) > 0 {
			b[int(at)%len(b)] ^= flip
		}
		mended, _ := repairSegment(b)
		again, d := repairSegment(bytes.Clone(mended))
		require.Zero(t, d.records, "what was mended needs no mending")
		require.Equal(t, mended, again)
	})
}
