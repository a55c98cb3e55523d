package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
)

func reopen(t *testing.T, o Options) (*Journal, []string, int) {
	t.Helper()
	var got []string
	j, damaged, err := Open(o, func(_ Position, b []byte) error {
		got = append(got, string(b))
		return nil
	})
	require.NoError(t, err)
	return j, got, damaged
}

func TestAppendReadCompact(t *testing.T) {
	o := Options{FS: vfs.NewCrashable(), Dir: "/d/alerts", SegmentBytes: 60}
	j, got, _ := reopen(t, o)
	require.Empty(t, got)
	var places []Position
	for i := range 10 {
		at, err := j.Append(fmt.Appendf(nil, "record %d", i), nil)
		require.NoError(t, err)
		places = append(places, at[0])
	}
	for i, at := range places {
		b, err := j.Read(at)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("record %d", i), string(b))
	}
	require.NoError(t, j.Close())
	j, got, damaged := reopen(t, o)
	require.Zero(t, damaged)
	require.Len(t, got, 20)
	require.NoError(t, j.Compact([]byte("a"), []byte("b")))
	ids, err := j.Segments()
	require.NoError(t, err)
	require.Len(t, ids, 1)
	require.NoError(t, j.Close())
	_, err = j.Append([]byte("late"))
	require.Error(t, err)
	_, got, _ = reopen(t, o)
	require.Equal(t, []string{"a", "b"}, got)
}

// What Append answered for is there after power loss at any moment, in order,
// and nothing that was never appended is.
func TestPowerLossKeepsAcknowledged(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fs := vfs.NewCrashable()
		o := Options{FS: fs, Dir: "/d", SegmentBytes: 200}
		j, _, _ := reopen(t, o)
		n := rng.IntN(40)
		for i := range n {
			_, err := j.Append(fmt.Appendf(nil, "%d", i))
			require.NoError(t, err)
		}
		_, _, _, err := j.write([][]byte{[]byte("never acknowledged")})
		require.NoError(t, err)
		after := o
		after.FS = fs.CrashClone(rng)
		j2, got, _ := reopen(t, after)
		require.GreaterOrEqual(t, len(got), n, "seed %d", seed)
		for i := range n {
			require.Equal(t, fmt.Sprint(i), got[i], "seed %d", seed)
		}
		require.LessOrEqual(t, len(got), n+1)
		_, err = j2.Append([]byte("after"))
		require.NoError(t, err)
	}
}

func TestDamageIsFound(t *testing.T) {
	fs := vfs.NewCrashable()
	o := Options{FS: fs, Dir: "/d"}
	j, _, _ := reopen(t, o)
	at, err := j.Append([]byte("first"), []byte("second"))
	require.NoError(t, err)
	path := filepath.Join("/d", "0000000001.alj")
	data, err := fs.ReadFile(path)
	require.NoError(t, err)
	for i := int(at[1].Offset); i < len(data); i++ {
		flipped := append([]byte(nil), data...)
		flipped[i] ^= 0x10
		f, err := fs.Create(path)
		require.NoError(t, err)
		_, err = f.Write(flipped)
		require.NoError(t, err)
		_, err = j.Read(at[1])
		require.Error(t, err, "byte %d", i)
		_, got, damaged := reopen(t, o)
		require.Equal(t, []string{"first"}, got, "byte %d", i)
		require.Equal(t, 1, damaged)
	}
}

func TestFailedSyncIsNotAcknowledgedAndTheNextSegmentIs(t *testing.T) {
	var fail error
	var mu sync.Mutex
	fs := vfs.NewCrashable()
	o := Options{Dir: "/d", FS: vfs.WithFaults(fs, func(op vfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if op.Kind == "sync" {
			return fail
		}
		return nil
	})}
	j, _, _ := reopen(t, o)
	set := func(err error) { mu.Lock(); fail = err; mu.Unlock() }
	set(errors.New("disk on fire"))
	_, err := j.Append([]byte("lost"))
	require.ErrorContains(t, err, "disk on fire")
	set(nil)
	_, err = j.Append([]byte("kept"))
	require.NoError(t, err)
	_, got, _ := reopen(t, Options{Dir: "/d", FS: fs.CrashClone(nil)})
	require.Contains(t, got, "kept")
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(nil, []byte("hello")))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		body, n := decode(b)
		if n > 0 {
			require.Equal(t, b[:n], encode(nil, body))
		}
	})
}
