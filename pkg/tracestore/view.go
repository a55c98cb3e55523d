package tracestore

import (
	"braid/pkg/idindex"
	"braid/pkg/model"
)

var traceKind = idindex.NewKind(model.KeyTrace)

func traceHash(id model.TraceID) uint64 { return traceKind.HashHex(id) }

// view is what a tenant has at one moment: a query sees each span once, and
// nothing changes under it. release it.
type view struct {
	ten    *tenantStore
	heads  []*rows
	parts  []*headPart
	blocks []*blockReader
	set    *blockSet
	// headSplit holds the traces that a head shares with another head or with
	// a block.
	headSplit map[model.TraceID]struct{}
	stats     *model.QueryStats
	buf       []*blockReader
	sides     map[*blockReader]*sidecar
	shows     map[*blockReader]*pageCursor
	splitRows map[*blockReader][]uint32 // traces to exclude; nil: not yet known
}

func (t *tenantStore) view(stats *model.QueryStats) *view {
	t.mu.RLock()
	v := &view{ten: t, set: t.set, stats: stats}
	for _, h := range t.waiting {
		v.heads, v.parts = append(v.heads, h.set.snapshot()), append(v.parts, h)
	}
	if t.head != nil {
		v.heads, v.parts = append(v.heads, t.head.set.snapshot()), append(v.parts, t.head)
	}
	v.blocks = t.set.blocks
	for _, b := range v.blocks {
		b.acquire()
	}
	t.mu.RUnlock()
	return v
}

func (v *view) release() {
	for _, b := range v.blocks {
		b.release()
	}
}

// warn notes that a part did not answer.
func (v *view) warn(b *blockReader, err error) {
	v.stats.Warn("block %s of spans could not be read, the answer is without it: %v", b.ID, err)
}

// prepare finds the traces that heads share with other parts. Most are looked
// at once in the life of a head.
func (v *view) prepare() {
	v.headSplit = map[model.TraceID]struct{}{}
	for i, h := range v.parts {
		h.splitMu.Lock()
		if h.gen != v.set.gen {
			h.gen, h.checked = v.set.gen, 0
			h.split = map[model.TraceID]struct{}{}
		}
		for ; h.checked < len(v.heads[i].trs); h.checked++ {
			if id := v.heads[i].trs[h.checked].id; v.inBlocks(id) {
				h.split[id] = struct{}{}
			}
		}
		for id := range h.split {
			v.headSplit[id] = struct{}{}
		}
		h.splitMu.Unlock()
	}
	if len(v.heads) > 1 {
		v.acrossHeads()
	}
}

func (v *view) inBlocks(id model.TraceID) bool {
	hash := traceHash(id)
	v.buf = v.set.mayHold(&v.ten.dir, hash, v.buf)
	for _, b := range v.buf {
		if _, ok, err := b.lookup(id, hash); ok && err == nil {
			return true
		}
	}
	return false
}

func (v *view) acrossHeads() {
	seen := map[model.TraceID]int{}
	for i, h := range v.heads {
		for t := range h.trs {
			id := h.trs[t].id
			if at, ok := seen[id]; ok && at != i {
				v.headSplit[id] = struct{}{}
			}
			seen[id] = i
		}
	}
}

func (v *view) isSplit(id model.TraceID) bool {
	if _, ok := v.headSplit[id]; ok {
		return true
	}
	_, ok := v.set.split[id]
	return ok
}

// eachSplit yields the traces that several parts have, each once.
func (v *view) eachSplit(yield func(model.TraceID) bool) {
	for id := range v.set.split {
		if !yield(id) {
			return
		}
	}
	for id := range v.headSplit {
		if _, dup := v.set.split[id]; !dup && !yield(id) {
			return
		}
	}
}

// ref is where one part holds a trace.
type ref struct {
	head  *rows
	block *blockReader
	side  *sidecar
	trace uint32
	cur   *pageCursor // to read the block with; nil makes one
}

// refs finds a trace in all parts. A part that cannot answer is a warning.
func (v *view) refs(id model.TraceID) []ref {
	blocks, _ := v.blockRefs(id)
	return append(v.headRefs(id), blocks...)
}

func (v *view) headRefs(id model.TraceID) []ref {
	var out []ref
	for i, h := range v.heads {
		if t, ok := v.headTrace(i, id); ok {
			out = append(out, ref{head: h, trace: t})
		}
	}
	return out
}

// blockRefs finds a trace in the blocks; it is complete when all could answer.
func (v *view) blockRefs(id model.TraceID) (out []ref, complete bool) {
	complete = true
	hash := traceHash(id)
	v.buf = v.set.mayHold(&v.ten.dir, hash, v.buf)
	for _, b := range v.buf {
		t, ok, err := b.lookup(id, hash)
		if err == nil && ok {
			var side *sidecar
			if side, err = v.sidecar(b); err == nil {
				out = append(out, ref{block: b, side: side, trace: t})
			}
		}
		if err != nil {
			v.warn(b, err)
			complete = false
		}
	}
	return out, complete
}

// headTrace finds a trace in a head's snapshot. The live map may know traces
// that came after the snapshot: those are not there.
func (v *view) headTrace(i int, id model.TraceID) (uint32, bool) {
	v.ten.mu.RLock()
	t, ok := v.parts[i].set.traceOf[id]
	v.ten.mu.RUnlock()
	return t, ok && int(t) < len(v.heads[i].trs)
}
