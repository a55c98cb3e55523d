package app

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGarbageOfALargeHeapIsBounded(t *testing.T) {
	for live, want := range map[uint64]int{0: 100, 1 << 20: 100, 96 << 20: 100, 128 << 20: 75, 192 << 20: 50, 4 << 30: 50} {
		require.Equal(t, want, garbagePercent(live), live)
	}
}
