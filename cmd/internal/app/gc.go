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

// The garbage that a program of much memory lets gather: as much as what it has
// in use up to garbageWhole, and down to leastPercent of it from there on. Small
// changes are left alone.
const (
	garbageWhole = 80 << 20
	leastPercent = 30
	gcSlack      = 3
)

// garbagePercent is GOGC for a heap.
func garbagePercent(live uint64) int {
	return int(min(100, max(leastPercent, garbageWhole*100/max(live, 1))))
}

// tuneGC keeps the garbage of a large heap in bounds: after every collection it
// chooses when the next one is due. What the operator chose with GOGC stays.
// It is called once.
func tuneGC() {
	if os.Getenv("GOGC") != "" {
		return
	}
	now := 0
	var collected func(*[16]byte)
	collected = func(*[16]byte) {
		if p := garbagePercent(liveHeap()); p < now-gcSlack || p > now+gcSlack { // it stops the world
			now = p
			debug.SetGCPercent(p)
		}
		runtime.SetFinalizer(&[16]byte{}, collected)
	}
	runtime.SetFinalizer(&[16]byte{}, collected)
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
