package app

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGarbageOfALargeHeapIsBounded(t *testing.T) {
	for live, want := range map[uint64]int{0: 100, 1 << 20: 100, 80 << 20: 100, 160 << 20: 50, 200 << 20: 40, 240 << 20: 33, 4 << 30: 30} {
		require.Equal(t, want, garbagePercent(live), live)
	}
}
