package app

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// startHeap is how far the heap may grow during a start before garbage is
// collected for the first time: nearly all that a start makes stays, and
// collecting it again at each doubling takes a fifth of the time.
const startHeap = 192 << 20

// deferGC puts the first collection of a start off and returns what ends that;
// it ends by itself with the first collection. What the operator chose with GOGC
// stays, and so does a memory limit that leaves no room.
func deferGC() (end func()) {
	if os.Getenv("GOGC") != "" || debug.SetMemoryLimit(-1) < 4*startHeap {
		return func() {}
	}
	percent := startHeap / max(liveHeap(), 4<<20) * 100
	before := debug.SetGCPercent(int(min(percent, math.MaxInt32)))
	end = sync.OnceFunc(func() { debug.SetGCPercent(before) })
	// The first collection finds this and ends it.
	runtime.SetFinalizer(&[16]byte{}, func(*[16]byte) { end() })
	return end
}

// liveHeap is what the last collection found in use.
func liveHeap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}
