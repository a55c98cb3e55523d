package block

import (
	"context"
	"crypto/rand"
	"errors"
	rand2 "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
)

var errBoom = errors.New("boom")

// history is a store's life in short: two flushes, their merge, the removal of
// the merged inputs, one more flush. It notes what is promised as it goes.
type history struct {
	promised []string // rows of blocks whose Commit returned
}

func (h *history) flush(fsys vfs.FS, rows string, level int, replaces ...ID) (*Block, error) {
	id, err := NewID(epoch, rand.Reader)
	if err != nil {
		return nil, err
	}
	w, err := NewWriter(fsys, "/data/logs", "acme", id)
	if err != nil {
		return nil, err
	}
	if err := w.WriteFile("rows", []byte(rows)); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	b, err := w.Commit(Meta{Signal: "logs", Rows: int64(len(rows)), Level: level, Replaces: replaces})
	if err == nil && level == 0 {
		h.promised = append(h.promised, rows)
	}
	return b, err
}

func (h *history) run(fsys vfs.FS) error {
	a, err := h.flush(fsys, "a", 0)
	if err != nil {
		return err
	}
	b, err := h.flush(fsys, "b", 0)
	if err != nil {
		return err
	}
	if _, err := h.flush(fsys, "ab", 1, Replacing([]Meta{a.Meta, b.Meta})...); err != nil {
		return err
	}
	if err := errors.Join(Remove(fsys, a), Remove(fsys, b)); err != nil {
		return err
	}
	_, err = h.flush(fsys, "c", 0)
	return err
}

// rowsOf lists and verifies the blocks and returns their rows, sorted.
func rowsOf(t *testing.T, fsys vfs.FS) []string {
	l, err := List(context.Background(), fsys, "/data/logs")
	require.NoError(t, err)
	require.Empty(t, l.Problems)
	var out []string
	for _, b := range l.Blocks {
		require.NoError(t, b.Verify(context.Background(), fsys))
		data, err := b.ReadFile(fsys, "rows")
		require.NoError(t, err)
		out = append(out, strings.Split(string(data), "")...)
	}
	slices.Sort(out)
	return out
}

func checkRows(t *testing.T, promised, got []string, at int) {
	for _, r := range promised {
		require.Contains(t, got, r, "operation %d: a committed row is lost", at)
	}
	require.Equal(t, slices.Compact(slices.Clone(got)), got, "operation %d: a row counts twice", at)
}

// TestPowerLossAtEveryOperation cuts the power before each operation of the
// history, several times with different luck: what was committed is there,
// nothing counts twice, nothing is damaged, and a second start finds the same.
func TestPowerLossAtEveryOperation(t *testing.T) {
	for at := 0; ; at++ {
		disk := vfs.NewCrashable()
		var h history
		var after []*vfs.Crashable
		var promised []string
		var mu sync.Mutex
		n := 0
		err := h.run(vfs.WithFaults(disk, func(vfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if n++; n == at {
				promised = slices.Clone(h.promised)
				after = append(after, disk.CrashClone(nil))
				for i := range 12 {
					after = append(after, disk.CrashClone(rand2.New(rand2.NewPCG(uint64(at), uint64(i)))))
				}
			}
			return nil
		}))
		require.NoError(t, err)
		for _, d := range after {
			got := rowsOf(t, d)
			checkRows(t, promised, got, at)
			require.Equal(t, got, rowsOf(t, d.CrashClone(nil)), "operation %d: the clean-up is not durable", at)
		}
		if n < at {
			require.Greater(t, at, 60)
			return
		}
	}
}

// TestFailureAtEveryOperation fails each operation in turn, once and for ever:
// the history ends with an error and the disk is as good as before.
func TestFailureAtEveryOperation(t *testing.T) {
	for _, forever := range []bool{false, true} {
		for at := 1; ; at++ {
			disk := vfs.NewCrashable()
			var h history
			n := 0
			err := h.run(vfs.WithFaults(disk, func(vfs.Op) error {
				if n++; n == at || forever && n > at {
					return errBoom
				}
				return nil
			}))
			checkRows(t, h.promised, rowsOf(t, disk), at)
			checkRows(t, h.promised, rowsOf(t, disk.CrashClone(nil)), at)
			if n < at {
				require.NoError(t, err)
				break
			}
		}
	}
}
