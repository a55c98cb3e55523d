package idindex

import (
	"fmt"
	"math/bits"
	"slices"
	"sync"
)

const (
	// keptHashBits of a hash are kept while building: more than any index uses.
	keptHashBits = 40
	pageBits     = 64 - keptHashBits
	// MaxPage is the greatest page number.
	MaxPage = 1<<pageBits - 1

	// DefaultFingerprintBits makes one absent id in about 1,000 look present in
	// a block, for 12 bits and a page number an entry.
	DefaultFingerprintBits = 10
	// BlockFingerprintBits is for indexes that rule whole blocks out: one absent
	// id in a million looks present, so that hundreds of spellings can be asked of
	// hundreds of blocks without reading one.
	BlockFingerprintBits = 20
	minFingerprintBits   = 4
	maxFingerprintBits   = 20
)

// Builder collects the (hash, page) pairs of one block. The zero value is
// ready. Not safe for concurrent use. Its memory comes from the builders before
// it, and goes to the next ones when the index has been built.
type Builder struct {
	// FingerprintBits sets the rate of false pages: an absent id looks present
	// with probability 2^-FingerprintBits. 0 means DefaultFingerprintBits; kept
	// between 4 and 20. A merge of n indexes loses log2(n) of them.
	FingerprintBits int

	keys    []uint64 // the hash's upper 40 bits, then the page
	recent  [recentKeys]uint64
	maxPage uint32
	mixed   bool // pages did not come in ascending order
	tooBig  bool
}

// recentKeys remembers the latest pairs, which mostly come again and again:
// the records of a page share their ids. 8 KiB stay in the first cache.
const recentKeys = 1024

// Add notes that a page holds the id with a hash. Adding a pair again costs
// nothing in the index. Pages in ascending order build faster.
func (b *Builder) Add(hash uint64, page uint32) {
	if page > MaxPage {
		b.tooBig = true
		return
	}
	key := hash>>pageBits<<pageBits | uint64(page)
	slot := &b.recent[(hash>>pageBits)%recentKeys]
	if *slot == key+1 { // +1: a zero slot is an empty one
		return
	}
	*slot = key + 1
	b.mixed = b.mixed || page < b.maxPage
	b.maxPage = max(b.maxPage, page)
	if b.keys == nil {
		b.keys = takeKeys(0)
	}
	b.keys = append(b.keys, key)
}

// Len returns the number of pairs held, some of them double.
func (b *Builder) Len() int { return len(b.keys) }

// Bytes returns the memory held.
func (b *Builder) Bytes() int { return cap(b.keys) * 8 }

// Reset empties the builder.
func (b *Builder) Reset() {
	b.keys, b.maxPage, b.mixed, b.tooBig = b.keys[:0], 0, false, false
	clear(b.recent[:])
}

// keyRoom keeps the memory of keys from one block to the next.
var keyRoom sync.Pool

// takeKeys returns room for n keys or more, of any content.
func takeKeys(n int) []uint64 {
	if k, ok := keyRoom.Get().(*[]uint64); ok && cap(*k) >= n {
		return (*k)[:n]
	}
	return make([]uint64, n)
}

func giveKeys(keys []uint64) {
	if cap(keys) >= minRoom && cap(keys) <= maxRoom {
		keyRoom.Put(&keys)
	}
}

// minRoom and maxRoom are how many keys room is kept for: 8 MiB at most.
const minRoom, maxRoom = 4 << 10, 1 << 20

// Build returns the bytes of the index, and empties the builder. It fails when a
// page number passed MaxPage.
func (b *Builder) Build() ([]byte, error) {
	if b.tooBig {
		return nil, fmt.Errorf("cannot build id index: a page number passes %d; make larger pages", uint32(MaxPage))
	}
	f := b.FingerprintBits
	if f == 0 {
		f = DefaultFingerprintBits
	}
	f = min(max(f, minFingerprintBits), maxFingerprintBits)
	g := geometryFor(len(b.keys), f, bits.Len32(b.maxPage))
	packed := b.keys
	for i, k := range packed {
		packed[i] = k>>pageBits>>(keptHashBits-g.hashBits())<<g.pageBits | k&MaxPage
	}
	from := g.pageBits // the sort is stable: ascending pages stay so
	if b.mixed {
		from = 0
	}
	packed = sortKeys(packed, from, g.hashBits()+g.pageBits)
	out, err := encode(g, packed)
	b.keys = nil
	b.Reset()
	giveKeys(packed)
	return out, err
}

// sortKeys sorts keys of width bits and drops doubles. Keys that are equal
// above bit from must come in order.
func sortKeys(keys []uint64, from, width int) []uint64 {
	if len(keys) < 4096 {
		slices.Sort(keys)
		return slices.Compact(keys)
	}
	const maxDigit = 11 // 2,048 counters of 4 bytes stay in the first cache
	passes := (width - from + maxDigit - 1) / maxDigit
	digit := (width - from + passes - 1) / max(1, passes)
	counts := make([][1 << maxDigit]uint32, passes)
	for _, k := range keys {
		k >>= from
		for p := range counts {
			counts[p][k&(1<<digit-1)]++
			k >>= digit
		}
	}
	other := takeKeys(len(keys))
	for p := range counts {
		count, shift := &counts[p], from+p*digit
		at := uint32(0)
		for i, n := range count {
			count[i] = at
			at += n
		}
		for _, k := range keys {
			d := k >> shift & (1<<digit - 1)
			other[count[d]] = k
			count[d]++
		}
		keys, other = other, keys
	}
	giveKeys(other)
	return slices.Compact(keys)
}

// geometry says how many bits of a hash choose the place and how many are kept.
type geometry struct {
	quotientBits    int // the hash's upper bits: the place
	fingerprintBits int // those that follow: kept
	pageBits        int
}

func (g geometry) hashBits() int     { return g.quotientBits + g.fingerprintBits }
func (g geometry) superbuckets() int { return 1 << (g.quotientBits - superBits) }

// geometryFor chooses about one quotient an entry: fewer cost more false
// answers, more cost a bit each.
func geometryFor(entries, fingerprintBits, pageBits int) geometry {
	q := max(superBits, bits.Len(uint(entries+entries/2))-1)
	q = min(q, keptHashBits-minFingerprintBits)
	f := min(fingerprintBits, keptHashBits-q)
	return geometry{quotientBits: q, fingerprintBits: f, pageBits: pageBits}
}
