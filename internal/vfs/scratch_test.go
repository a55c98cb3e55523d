package vfs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScratchHoldsBytesWithoutAName(t *testing.T) {
	each(t, func(t *testing.T, fsys FS, dir string) {
		a, err := Scratch(fsys, dir, []byte("one"))
		require.NoError(t, err)
		b, err := Scratch(fsys, dir, []byte("other"))
		require.NoError(t, err)
		left, err := fsys.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, left)
		got := make([]byte, 3)
		_, err = a.ReadAt(got, 0)
		require.NoError(t, err)
		require.Equal(t, "one", string(got))
		_, err = b.ReadAt(got, 2)
		require.NoError(t, err)
		require.Equal(t, "her", string(got))
		_, err = Scratch(fsys, dir+"/none", nil)
		require.ErrorContains(t, err, "scratch")
	})
}
