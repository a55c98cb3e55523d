package tracestore

import (
	"slices"

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
	// headSplits holds, by head, the traces that it shares with a block; across
	// those that heads share with each other.
	headSplits []traceSet
	across     traceSet
	stats      *model.QueryStats
	buf        []*blockReader
	sides      map[*blockReader]*sidecar
	shows      map[*blockReader]*pageCursor
	splitRows  map[*blockReader][]uint32 // traces to exclude; nil: not yet known
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

// prepare finds the traces that heads share with other parts. Each is looked at
// once in the life of a head and a set of blocks.
func (v *view) prepare() {
	for i, h := range v.parts {
		h.splitMu.Lock()
		if h.gen != v.set.gen {
			h.gen, h.checked, h.split = v.set.gen, 0, nil
		}
		if n := len(v.heads[i].trs); h.checked < n {
			h.split = h.split.with(v.set.sharedWith(&v.ten.dir, v.heads[i].trs[h.checked:]))
			h.checked = n
		}
		v.headSplits = append(v.headSplits, h.split)
		h.splitMu.Unlock()
	}
	if len(v.heads) > 1 {
		v.acrossHeads()
	}
}

func (v *view) acrossHeads() {
	v.across = traceSet{}
	seen := map[model.TraceID]int{}
	for i, h := range v.heads {
		for t := range h.trs {
			id := h.trs[t].id
			if at, ok := seen[id]; ok && at != i {
				v.across[id] = struct{}{}
			}
			seen[id] = i
		}
	}
}

// splitSets yields the sets that together are the split traces.
func (v *view) splitSets(yield func(traceSet) bool) {
	if !yield(v.set.split) || !yield(v.across) {
		return
	}
	for _, s := range v.headSplits {
		if !yield(s) {
			return
		}
	}
}

func (v *view) isSplit(id model.TraceID) bool {
	if _, ok := v.set.split[id]; ok {
		return true
	}
	for _, s := range v.headSplits {
		if _, ok := s[id]; ok {
			return true
		}
	}
	_, ok := v.across[id]
	return ok
}

// maxSplit is at least how many split traces there are.
func (v *view) maxSplit() (n int) {
	for s := range v.splitSets {
		n += len(s)
	}
	return n
}

// eachSplit yields the traces that several parts have, each once.
func (v *view) eachSplit(yield func(model.TraceID) bool) {
	var before []traceSet
	for s := range v.splitSets {
		for id := range s {
			dup := slices.ContainsFunc(before, func(o traceSet) bool {
				_, ok := o[id]
				return ok
			})
			if !dup && !yield(id) {
				return
			}
		}
		if len(s) > 0 {
			before = append(before, s)
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
