package vfs

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// each runs a test on the operating system's and on the memory file system.
func each(t *testing.T, test func(t *testing.T, fsys FS, dir string)) {
	t.Run("os", func(t *testing.T) { test(t, OS, t.TempDir()) })
	t.Run("crashable", func(t *testing.T) {
		c := NewCrashable()
		require.NoError(t, c.MkdirAll("/data"))
		test(t, c, "/data")
	})
	t.Run("faults", func(t *testing.T) { test(t, WithFaults(OS, func(Op) error { return nil }), t.TempDir()) })
}

func put(t testing.TB, fsys FS, path, text string, sync bool) {
	f, err := fsys.OpenAppend(path)
	require.NoError(t, err)
	_, err = io.WriteString(f, text)
	require.NoError(t, err)
	if sync {
		require.NoError(t, f.Sync())
	}
	require.NoError(t, f.Close())
}

func get(t testing.TB, fsys FS, path string) string {
	data, err := fsys.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "-"
	}
	require.NoError(t, err)
	return string(data)
}

func TestFileSystemsAgree(t *testing.T) {
	each(t, func(t *testing.T, fsys FS, dir string) {
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "sub", "b")
		_, err := fsys.Open(a)
		require.ErrorIs(t, err, fs.ErrNotExist)
		_, err = fsys.Create(b)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NoError(t, MkdirAllDurable(fsys, filepath.Dir(b)))
		put(t, fsys, a, "one", true)
		put(t, fsys, a, "two", false)
		require.Equal(t, "onetwo", get(t, fsys, a))
		f, err := fsys.Open(a)
		require.NoError(t, err)
		buf := make([]byte, 5)
		n, err := f.ReadAt(buf, 3)
		require.Equal(t, "two", string(buf[:n]))
		require.Equal(t, io.EOF, err)
		_, err = f.Write(nil)
		_ = err // an empty write to a file opened for reading may go either way
		require.NoError(t, f.Close())
		require.Error(t, f.Close())
		require.NoError(t, fsys.Rename(a, b))
		require.Equal(t, "-", get(t, fsys, a))
		require.Equal(t, "onetwo", get(t, fsys, b))
		entries, err := fsys.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.True(t, entries[0].IsDir())
		require.Error(t, fsys.Remove(filepath.Join(dir, "sub")))
		require.NoError(t, fsys.RemoveAll(filepath.Join(dir, "sub")))
		require.NoError(t, fsys.RemoveAll(filepath.Join(dir, "sub")))
		require.ErrorIs(t, fsys.Remove(b), fs.ErrNotExist)
		w, err := fsys.Create(a)
		require.NoError(t, err)
		_, _ = io.WriteString(w, "12345")
		require.NoError(t, w.Truncate(2))
		info, err := w.Stat()
		require.NoError(t, err)
		require.EqualValues(t, 2, info.Size())
		require.NoError(t, w.Close())
		lock, err := fsys.Lock(filepath.Join(dir, "lock"))
		require.NoError(t, err)
		_, err = fsys.Lock(filepath.Join(dir, "lock"))
		require.Error(t, err)
		require.NoError(t, lock.Close())
		lock, err = fsys.Lock(filepath.Join(dir, "lock"))
		require.NoError(t, err)
		require.NoError(t, lock.Close())
	})
}

func TestPowerLossDropsWhatWasNotSynced(t *testing.T) {
	c := NewCrashable()
	require.NoError(t, MkdirAllDurable(c, "/d"))
	put(t, c, "/d/a", "kept", true)
	require.Equal(t, "-", get(t, c.CrashClone(nil), "/d/a"), "the name was not synced")
	require.NoError(t, c.SyncDir("/d"))
	put(t, c, "/d/a", "lost", false)
	require.Equal(t, "kept", get(t, c.CrashClone(nil), "/d/a"))
	require.NoError(t, c.Rename("/d/a", "/d/b"))
	require.Equal(t, "kept", get(t, c.CrashClone(nil), "/d/a"))
	require.NoError(t, c.SyncDir("/d"))
	require.Equal(t, "kept", get(t, c.CrashClone(nil), "/d/b"))
	require.NoError(t, c.Remove("/d/b"))
	require.Equal(t, "kept", get(t, c.CrashClone(nil), "/d/b"))
	require.Equal(t, "-", get(t, c, "/d/b"))
}

func TestPowerLossKeepsSyncedPrefixAtRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	c := NewCrashable()
	require.NoError(t, MkdirAllDurable(c, "/d"))
	put(t, c, "/d/a", "kept", true)
	require.NoError(t, c.SyncDir("/d"))
	put(t, c, "/d/a", "torn", false)
	seen := map[string]bool{}
	for range 300 {
		got := get(t, c.CrashClone(rng), "/d/a")
		require.Equal(t, "kept", got[:4])
		seen[got] = true
	}
	require.True(t, seen["kept"] && seen["keptto"] && seen["kepttorn"] && seen["keptto\x00\x00"])
}

func TestFaultsStopTheOperation(t *testing.T) {
	boom := errors.New("boom")
	var fail func(Op) error
	c := NewCrashable()
	fsys := WithFaults(c, func(o Op) error {
		if fail != nil {
			return fail(o)
		}
		return nil
	})
	f, err := fsys.Create("/a")
	require.NoError(t, err)
	fail = func(o Op) error {
		if o.Kind == "write" {
			return &PartialWrite{N: 2, Err: boom}
		}
		return boom
	}
	n, err := io.WriteString(f, "abc")
	require.Equal(t, 2, n)
	require.ErrorIs(t, err, boom)
	require.ErrorIs(t, f.Sync(), boom)
	require.ErrorIs(t, f.Close(), boom)
	require.ErrorIs(t, fsys.Rename("/a", "/b"), boom)
	_, err = fsys.Open("/a")
	require.ErrorIs(t, err, boom)
	require.Equal(t, "ab", get(t, c, "/a"))
	require.Equal(t, "rename a -> b", Op{Kind: "rename", Path: "a", To: "b"}.String())
}
