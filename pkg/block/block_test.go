package block

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)

func newID(t testing.TB) ID {
	id, err := NewID(epoch, rand.Reader)
	require.NoError(t, err)
	return id
}

func write(t testing.TB, dir string, tn tenant.ID, m Meta, files map[string]string) *Block {
	w, err := NewWriter(vfs.OS, dir, tn, newID(t))
	require.NoError(t, err)
	for _, name := range sorted(files) {
		require.NoError(t, w.WriteFile(name, []byte(files[name])))
	}
	b, err := w.Commit(m)
	require.NoError(t, err)
	return b
}

func sorted(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func list(t testing.TB, dir string) *Listing {
	l, err := List(context.Background(), vfs.OS, dir)
	require.NoError(t, err)
	return l
}

func ids(blocks []*Block) []ID {
	var out []ID
	for _, b := range blocks {
		out = append(out, b.ID)
	}
	return out
}

func TestIDsSortByTimeAndCarryIt(t *testing.T) {
	var last ID
	for i := range 100 {
		now := epoch.Add(time.Duration(i) * 97 * time.Hour)
		id, err := NewID(now, rand.Reader)
		require.NoError(t, err)
		require.Greater(t, id, last)
		require.Equal(t, now.UnixMilli(), id.Time().UnixMilli())
		_, err = ParseID(string(id))
		require.NoError(t, err)
		last = id
	}
	id, err := NewID(time.UnixMilli(1), bytes.NewReader(make([]byte, 10)))
	require.NoError(t, err)
	require.Equal(t, ID("00000000010000000000000000"), id)
	for _, bad := range []string{"", "tmp-0000000000000000000000", "0000000001000000000000000I", "00000000010000000000000000A"} {
		_, err := ParseID(bad)
		require.Error(t, err, bad)
	}
}

func TestCommittedBlockReadsBackWhole(t *testing.T) {
	dir := t.TempDir()
	m := Meta{Signal: "logs", MinTime: 5, MaxTime: 9, Rows: 3, Level: 1}
	m.Positions.AddRange(3, 7)
	m.Positions.Add(9)
	require.NoError(t, m.SetStat("levels", map[string]int{"error": 2}))
	b := write(t, dir, "tmp-acme", m, map[string]string{"rows": "abc", "ids": ""})
	l := list(t, dir)
	require.Empty(t, l.Problems)
	require.Equal(t, []*Block{b}, l.Blocks)
	got := l.Blocks[0]
	require.Equal(t, "3-7,9", got.Positions.String())
	var levels map[string]int
	ok, err := got.Stat("levels", &levels)
	require.True(t, ok)
	require.NoError(t, err)
	require.Equal(t, 2, levels["error"])
	data, err := got.ReadFile(vfs.OS, "rows")
	require.NoError(t, err)
	require.Equal(t, "abc", string(data))
	require.NoError(t, got.Verify(context.Background(), vfs.OS))
	_, err = got.Open(vfs.OS, "other")
	require.ErrorIs(t, err, ErrCorrupt)
}

func TestAbortedAndFailedWritesLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	w, err := NewWriter(vfs.OS, dir, "a", newID(t))
	require.NoError(t, err)
	_, err = w.Create("rows")
	require.NoError(t, err)
	_, err = w.Create("rows")
	require.ErrorContains(t, err, "has it already")
	for _, bad := range []string{"", "../x", "meta.json", "A", "a/b", ".x"} {
		_, err = w.Create(bad)
		require.Error(t, err, bad)
	}
	_, err = w.Commit(Meta{})
	require.ErrorContains(t, err, "not closed")
	require.NoError(t, w.Abort())
	entries, err := os.ReadDir(filepath.Join(dir, "a"))
	require.NoError(t, err)
	require.Empty(t, entries)
	for _, tn := range []tenant.ID{"", "../x", "a/b", ".."} {
		_, err = NewWriter(vfs.OS, dir, tn, newID(t))
		require.Error(t, err, tn)
	}
}

func TestListCleansUpHalfWork(t *testing.T) {
	dir := t.TempDir()
	a := write(t, dir, "x", Meta{Rows: 1}, map[string]string{"rows": "a"})
	b := write(t, dir, "x", Meta{Rows: 1}, map[string]string{"rows": "b"})
	other := write(t, dir, "y", Meta{Rows: 1}, map[string]string{"rows": "c"})
	merged := write(t, dir, "x", Meta{Rows: 2, Level: 1, Replaces: Replacing([]Meta{a.Meta, b.Meta})}, map[string]string{"rows": "ab"})
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "x", "tmp-1"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "x", "bad-1"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "LOCK@"), nil, 0o644))
	l := list(t, dir)
	require.Empty(t, l.Problems)
	require.Equal(t, []ID{merged.ID, other.ID}, ids(l.Blocks))
	require.Len(t, l.Removed, 3)
	l = list(t, dir)
	require.Empty(t, l.Removed)
	require.DirExists(t, filepath.Join(dir, "x", "bad-1"))
}

// TestEveryFlippedBitIsFound flips each byte of each file of a block: List or
// Verify must say so, naming the file, and the other block must stay.
func TestEveryFlippedBitIsFound(t *testing.T) {
	src := t.TempDir()
	m := Meta{Signal: "logs", Rows: 2, MaxTime: 10}
	m.Positions.AddRange(1, 2)
	b := write(t, src, "x", m, map[string]string{"rows": "some rows", "ids": "ids"})
	for _, name := range []string{MetaName, "rows", "ids"} {
		good, err := os.ReadFile(b.Path(name))
		require.NoError(t, err)
		for i := range good {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(src)))
			bad := slices.Clone(good)
			bad[i] ^= 1 << (i % 8)
			path := filepath.Join(dir, "x", string(b.ID), name)
			require.NoError(t, os.WriteFile(path, bad, 0o644))
			l := list(t, dir)
			if len(l.Blocks) == 0 {
				require.Len(t, l.Problems, 1)
				require.ErrorContains(t, l.Problems[0], "meta.json")
				continue
			}
			err := l.Blocks[0].Verify(context.Background(), vfs.OS)
			if name == MetaName { // a blank outside of the checksum turned into another
				require.NoError(t, err)
				require.Equal(t, b.Meta, l.Blocks[0].Meta)
				continue
			}
			require.ErrorIs(t, err, ErrCorrupt)
			var c *CorruptionError
			require.True(t, errors.As(err, &c))
			require.Equal(t, path, c.File)
		}
	}
}

func TestDamagedBlocksAreSetAsideAndTheRestGoesOn(t *testing.T) {
	for name, damage := range map[string]func(b *Block) error{
		"meta missing":  func(b *Block) error { return os.Remove(b.Path(MetaName)) },
		"meta empty":    func(b *Block) error { return os.Truncate(b.Path(MetaName), 0) },
		"meta zeroed":   func(b *Block) error { return os.WriteFile(b.Path(MetaName), make([]byte, 300), 0o644) },
		"file missing":  func(b *Block) error { return os.Remove(b.Path("rows")) },
		"file cut":      func(b *Block) error { return os.Truncate(b.Path("rows"), 1) },
		"file grew":     func(b *Block) error { return os.Truncate(b.Path("rows"), 100) },
		"wrong folder":  func(b *Block) error { return os.Rename(b.Dir, b.Dir[:len(b.Dir)-1]+"0") },
		"meta of other": func(b *Block) error { return os.WriteFile(b.Path(MetaName), []byte("{}"), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			good := write(t, dir, "x", Meta{Rows: 1}, map[string]string{"rows": "good"})
			bad := write(t, dir, "x", Meta{Rows: 1}, map[string]string{"rows": "bad"})
			for strings.HasSuffix(string(bad.ID), "0") {
				require.NoError(t, Remove(vfs.OS, bad))
				bad = write(t, dir, "x", Meta{Rows: 1}, map[string]string{"rows": "bad"})
			}
			require.NoError(t, damage(bad))
			l := list(t, dir)
			require.Equal(t, []ID{good.ID}, ids(l.Blocks))
			require.Len(t, l.Problems, 1)
			require.ErrorContains(t, l.Problems[0], "bad-")
			l = list(t, dir)
			require.Empty(t, l.Problems)
			require.Equal(t, []ID{good.ID}, ids(l.Blocks))
		})
	}
}

func TestDamagedMergeLeavesItsInputsServing(t *testing.T) {
	dir := t.TempDir()
	a := write(t, dir, "x", Meta{Rows: 1}, map[string]string{"rows": "a"})
	m := write(t, dir, "x", Meta{Rows: 1, Replaces: []ID{a.ID}}, map[string]string{"rows": "a"})
	require.NoError(t, os.Truncate(m.Path("rows"), 0))
	require.Equal(t, []ID{a.ID}, ids(list(t, dir).Blocks))
}

func TestNewerVersionIsRefusedAndKept(t *testing.T) {
	dir := t.TempDir()
	b := write(t, dir, "x", Meta{Rows: 1}, nil)
	m := b.Meta
	m.Version = FormatVersion + 1
	data, err := encodeMeta(&m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(b.Path(MetaName), data, 0o644))
	l := list(t, dir)
	require.Empty(t, l.Blocks)
	require.Len(t, l.Problems, 1)
	require.ErrorIs(t, l.Problems[0], ErrVersion)
	require.DirExists(t, b.Dir)
}

func TestMetaOfVersion1StaysReadable(t *testing.T) {
	m, err := ReadMeta(vfs.OS, filepath.Join("testdata", "v1", "default", "01KDYFWZM60123456789ABCDEF"))
	require.NoError(t, err)
	require.Equal(t, "1-7,9", m.Positions.String())
	require.EqualValues(t, 42, m.Rows)
	require.True(t, m.Overlaps(model.TimeRange{Start: 1, End: 1e18}))
}

func FuzzMeta(f *testing.F) {
	good, err := encodeMeta(&Meta{Version: 1, ID: "01KDYFWZM60123456789ABCDEF", Tenant: "x"})
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte(`{"crc32c":0,"meta":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := decodeMeta("m", data)
		if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
			t.Fatalf("unnamed error: %v", err)
		}
	})
}
