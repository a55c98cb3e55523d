package tracestore

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Questions go through all blocks in turn: of a few more sidecars than there is
// room for, most must still be found.
func TestCacheOfSidecarsServesRounds(t *testing.T) {
	one := (&sidecar{}).bytes()
	c, err := newSidecarCache(90 * one)
	require.NoError(t, err)
	blocks := make([]*blockReader, 100)
	for i := range blocks {
		blocks[i] = &blockReader{}
	}
	hits := 0
	for range 10 {
		for _, b := range blocks {
			if c.held(b) != nil {
				hits++
			} else {
				c.put(b, &sidecar{})
			}
			require.LessOrEqual(t, c.used, c.budget)
			require.Len(t, c.at, len(c.all))
		}
	}
	require.Greater(t, hits, 600)
	for _, b := range blocks {
		c.drop(b)
	}
	require.Zero(t, c.used)
	require.Empty(t, c.all)

	// What is larger than the budget is held alone.
	c.budget = one / 2
	c.put(blocks[0], &sidecar{})
	require.NotNil(t, c.held(blocks[0]))
	c.put(blocks[1], &sidecar{})
	require.Nil(t, c.held(blocks[0]))
	require.NotNil(t, c.held(blocks[1]))
}
