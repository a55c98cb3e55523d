package block

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTroubleEndsWithAFlushThatGoesWell(t *testing.T) {
	var tr Trouble
	require.NoError(t, tr.Flush())
	full := errors.New("no space left")
	tr.Flushed("a", full)
	tr.Flushed("b", full)
	tr.Flushed("b", nil)
	err := tr.Flush()
	require.ErrorIs(t, err, full)
	require.ErrorContains(t, err, "of 1 tenants")
	tr.Flushed("a", nil)
	require.NoError(t, tr.Flush())

	n, last := tr.Damage()
	require.Zero(t, n)
	require.NoError(t, last)
	tr.Found(errors.New("first"))
	tr.Found(ErrCorrupt)
	n, last = tr.Damage()
	require.Equal(t, 2, n)
	require.ErrorIs(t, last, ErrCorrupt)
}
