package idindex

// Growing is an index in memory for what is in no block yet: from hashes to
// numbers of the caller's (rows, chunks), which come in ascending order. It keeps
// whole hashes and takes some 24 bytes a pair. The zero value is ready. Not safe
// for concurrent use.
type Growing struct {
	slots   []uint32 // entry + 1 by hash: the latest of the hash
	entries []growingEntry
}

type growingEntry struct {
	hash uint64
	n    uint32
	prev uint32 // entry + 1
}

// Add notes that number n has a hash; that it has it again costs nothing.
func (g *Growing) Add(hash uint64, n uint32) {
	if 2*(len(g.entries)+1) > len(g.slots) {
		g.grow()
	}
	at := g.slot(hash)
	prev := g.slots[at]
	if prev != 0 && g.entries[prev-1].n == n {
		return
	}
	g.entries = append(g.entries, growingEntry{hash, n, prev})
	g.slots[at] = uint32(len(g.entries))
}

// Find appends to dst the numbers that have a hash, the latest first.
func (g *Growing) Find(hash uint64, dst []uint32) []uint32 {
	if len(g.slots) == 0 {
		return dst
	}
	for e := g.slots[g.slot(hash)]; e != 0; e = g.entries[e-1].prev {
		dst = append(dst, g.entries[e-1].n)
	}
	return dst
}

// Len returns the number of pairs.
func (g *Growing) Len() int { return len(g.entries) }

// slot returns where a hash is, or where it belongs.
func (g *Growing) slot(hash uint64) uint64 {
	mask := uint64(len(g.slots) - 1)
	at := hash >> 20 & mask
	for g.slots[at] != 0 && g.entries[g.slots[at]-1].hash != hash {
		at = (at + 1) & mask
	}
	return at
}

func (g *Growing) grow() {
	g.slots = make([]uint32, max(256, 2*len(g.slots)))
	for i := range g.entries { // later ones of a hash take its slot over
		g.slots[g.slot(g.entries[i].hash)] = uint32(i) + 1
	}
}
