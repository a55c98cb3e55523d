package traceql

import (
	"hash/maphash"
	"math/bits"

	"braid/pkg/model"
)

// spanIndex finds the spans of a trace by id: an open-addressed table, because
// a map of slices costs several times as much as all else in building a tree.
type spanIndex struct {
	spans []model.OutlineSpan
	seed  maphash.Seed // ids come from outside: nobody shall choose them to collide
	shift uint
	slots []int32 // the first span of an id, plus one; 0 is free
	next  []int32 // the next span of the same id, plus one
}

func newSpanIndex(spans []model.OutlineSpan) *spanIndex {
	size := bits.Len(uint(2*len(spans) + 1))
	x := &spanIndex{spans: spans, seed: maphash.MakeSeed(), shift: uint(64 - size), slots: make([]int32, 1<<size), next: make([]int32, len(spans))}
	for i := len(spans) - 1; i >= 0; i-- { // so that chains ascend
		at := x.slot(spans[i].ID)
		x.next[i] = x.slots[at]
		x.slots[at] = int32(i + 1)
	}
	return x
}

// slot returns the place of an id: taken by it, or free.
func (x *spanIndex) slot(id model.SpanID) uint64 {
	at := maphash.Bytes(x.seed, id[:]) >> x.shift
	for x.slots[at] != 0 && x.spans[x.slots[at]-1].ID != id {
		at = (at + 1) & uint64(len(x.slots)-1)
	}
	return at
}

// first returns the first span with an id, then follow gives the others; -1
// ends.
func (x *spanIndex) first(id model.SpanID) int32 { return x.slots[x.slot(id)] - 1 }

func (x *spanIndex) follow(i int32) int32 { return x.next[i] - 1 }
