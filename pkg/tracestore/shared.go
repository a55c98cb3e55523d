package tracestore

import (
	"slices"

	"braid/pkg/idindex"
	"braid/pkg/model"
)

// traceSet is a set of traces. Immutable once published.
type traceSet map[model.TraceID]struct{}

// with returns the set with more ids; itself when there are none.
func (s traceSet) with(more traceSet) traceSet {
	if len(more) == 0 {
		return s
	}
	out := make(traceSet, len(s)+len(more))
	for id := range s {
		out[id] = struct{}{}
	}
	for id := range more {
		out[id] = struct{}{}
	}
	return out
}

// doubts finds which traces several blocks have. The directory and the id
// indexes name, by hash, the blocks that may have a trace; among many blocks one
// trace in some is named wrongly. So the names are gathered first, and then the
// ids of each named block are read once, whatever the number of traces.
type doubts struct {
	dir   *idindex.Directory[*blockReader]
	found map[model.TraceID]int // in how many places it is known to be
	named map[*blockReader][]model.TraceID
	buf   []*blockReader
}

func newDoubts(dir *idindex.Directory[*blockReader]) *doubts {
	return &doubts{dir: dir, found: map[model.TraceID]int{}, named: map[*blockReader][]model.TraceID{}}
}

// trace gathers the blocks that may have a trace, of those that ask lets pass.
// known is in how many other places it is.
func (d *doubts) trace(id model.TraceID, known int, ask func(*blockReader) bool) {
	hash := traceHash(id)
	d.buf = slices.DeleteFunc(d.dir.Candidates(hash, d.buf[:0]), func(b *blockReader) bool { return !ask(b) || !b.mayHold(hash) })
	if known+len(d.buf) < 2 {
		return
	}
	d.found[id] = known
	for _, b := range d.buf {
		d.named[b] = append(d.named[b], id)
	}
}

// settle reads the ids of the blocks that were named, and returns the traces
// that are in two places at least. A block that cannot be read counts as having
// what it is asked for: a trace that is said to be split and is not costs time
// only.
func (d *doubts) settle() traceSet {
	for b, ids := range d.named {
		asked := make(traceSet, len(ids))
		for _, id := range ids {
			asked[id] = struct{}{}
		}
		have, err := b.traceIDs()
		if err != nil {
			for id := range asked {
				d.found[id]++
			}
			continue
		}
		for i := range have {
			if _, ok := asked[have[i]]; ok {
				d.found[have[i]]++
			}
		}
	}
	out := traceSet{}
	for id, n := range d.found {
		if n > 1 {
			out[id] = struct{}{}
		}
	}
	return out
}

// splits finds the traces that several blocks of the new set have: those of the
// old set that still are, and those that the added blocks bring.
func (t *tenantStore) splits(old, set *blockSet, added []*blockReader) traceSet {
	if len(set.blocks) < 2 {
		return traceSet{}
	}
	d := newDoubts(&t.dir)
	stay := old.split
	if slices.ContainsFunc(old.blocks, func(b *blockReader) bool { return !set.has[b] }) {
		stay = traceSet{}
		for id := range old.split {
			d.trace(id, 0, func(b *blockReader) bool { return set.has[b] })
		}
	}
	// Of two added blocks, the later asks the earlier.
	later := make(map[*blockReader]bool, len(added))
	for _, b := range added {
		later[b] = true
	}
	for _, b := range added {
		ids, err := b.traceIDs()
		if err != nil {
			t.store.opts.Logger.Error("cannot read which traces a block has; those that other blocks have too are not joined", "tenant", t.id, "block", b.ID, "error", err)
		}
		for _, id := range ids {
			if _, known := old.split[id]; !known {
				d.trace(id, 1, func(o *blockReader) bool { return set.has[o] && !later[o] })
			}
		}
		delete(later, b)
	}
	return stay.with(d.settle())
}

// sharedWith returns which of a head's traces blocks of the set have too.
func (s *blockSet) sharedWith(dir *idindex.Directory[*blockReader], traces []traceEntry) traceSet {
	d := newDoubts(dir)
	for i := range traces {
		d.trace(traces[i].id, 1, func(b *blockReader) bool { return s.has[b] })
	}
	return d.settle()
}
