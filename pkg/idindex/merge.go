package idindex

import (
	"fmt"
	"math/bits"
)

// Part is one input of a merge: its pages come out moved by Offset.
type Part struct {
	Index  *Index
	Offset uint32
}

// Merge returns the bytes of the index of several blocks whose pages were put
// one behind the other. It needs 16 bytes of memory an entry. The hash bits
// that the least of the inputs has are kept, so the rate of false answers grows
// with the number of entries: rebuild from the ids where that is too much
// (FalseRate tells).
func Merge(parts []Part) ([]byte, error) {
	total, hashBits := 0, keptHashBits
	for _, p := range parts {
		total += p.Index.entries
		hashBits = min(hashBits, p.Index.hashBits())
	}
	keys := make([]uint64, 0, total)
	maxPage := uint64(0)
	for _, p := range parts {
		drop := p.Index.hashBits() - hashBits
		err := p.Index.each(func(hash uint64, page uint32) {
			moved := uint64(page) + uint64(p.Offset)
			maxPage = max(maxPage, moved)
			keys = append(keys, hash>>drop<<pageBits|moved&MaxPage)
		})
		if err != nil {
			return nil, fmt.Errorf("cannot merge id indexes: %w", err)
		}
	}
	if maxPage > MaxPage {
		return nil, fmt.Errorf("cannot merge id indexes: page %d passes %d", maxPage, uint32(MaxPage))
	}
	g := geometryFor(total, maxFingerprintBits, bits.Len64(maxPage))
	g.quotientBits = max(superBits, min(g.quotientBits, hashBits-minFingerprintBits))
	g.fingerprintBits = max(0, min(maxFingerprintBits, hashBits-g.quotientBits))
	for i, k := range keys {
		keys[i] = k>>pageBits>>(hashBits-g.hashBits())<<g.pageBits | k&MaxPage
	}
	return encode(g, sortKeys(keys, 0, g.hashBits()+g.pageBits))
}
