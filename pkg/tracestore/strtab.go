package tracestore

import (
	"unsafe"

	"github.com/zeebo/xxh3"
)

// strtab is texts by number: number 0 is "". The bytes are append-only, so
// that a copy of the struct is a snapshot that stays true while its original
// grows, and a string handed out stays valid for ever.
type strtab struct {
	data []byte
	ends []uint32 // ends[i] is where text i ends in data
}

func newStrtab() strtab { return strtab{ends: []uint32{0}} }

// str returns text i without copying; "" for a number that is not there.
func (t *strtab) str(i uint32) string {
	if i == 0 || int(i) >= len(t.ends) {
		return ""
	}
	lo, hi := t.ends[i-1], t.ends[i]
	if lo == hi {
		return ""
	}
	return unsafe.String(&t.data[lo], int(hi-lo))
}

func (t *strtab) len() int { return len(t.ends) }

// interner gives equal texts equal numbers. It copies what it keeps.
// One writer; snapshots of its strtab may be read meanwhile.
type interner struct {
	strtab
	hashes []uint32
	slots  []uint32 // number+1, open addressing; len is a power of two
}

func newInterner() *interner {
	return &interner{strtab: newStrtab(), hashes: []uint32{0}, slots: make([]uint32, 1024)}
}

// intern returns the number of a text.
func (t *interner) intern(s string) uint32 {
	if s == "" {
		return 0
	}
	h := uint32(xxh3.HashString(s))
	mask := uint32(len(t.slots) - 1)
	i := h & mask
	for ; t.slots[i] != 0; i = (i + 1) & mask {
		if n := t.slots[i] - 1; t.hashes[n] == h && t.str(n) == s {
			return n
		}
	}
	n := uint32(len(t.ends))
	t.data = append(t.data, s...)
	t.ends = append(t.ends, uint32(len(t.data)))
	t.hashes = append(t.hashes, h)
	t.slots[i] = n + 1
	if len(t.ends)*2 > len(t.slots) {
		t.grow()
	}
	return n
}

func (t *interner) grow() {
	t.slots = make([]uint32, 2*len(t.slots))
	mask := uint32(len(t.slots) - 1)
	for n := 1; n < len(t.hashes); n++ {
		i := t.hashes[n] & mask
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = uint32(n) + 1
	}
}

// empty forgets all texts and keeps the memory: what str returned before is no
// longer true.
func (t *interner) empty() {
	t.data, t.ends, t.hashes = t.data[:0], t.ends[:1], t.hashes[:1]
	clear(t.slots)
}

// bytes tells about how much memory the texts take.
func (t *interner) bytes() int64 {
	return int64(cap(t.data)) + 4*int64(cap(t.ends)+cap(t.hashes)+len(t.slots))
}
