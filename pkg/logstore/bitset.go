package logstore

import "math/bits"

// bitset holds one bit a row of a page.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

// fullBitset has the first n bits set.
func fullBitset(n int) bitset {
	b := newBitset(n)
	b.fill(n)
	return b
}

func (b bitset) fill(n int) {
	for i := range b {
		b[i] = ^uint64(0)
	}
	if n&63 != 0 {
		b[len(b)-1] = 1<<(n&63) - 1
	}
}

func (b bitset) has(i int) bool { return b[i>>6]>>(i&63)&1 == 1 }
func (b bitset) set(i int)      { b[i>>6] |= 1 << (i & 63) }
func (b bitset) unset(i int)    { b[i>>6] &^= 1 << (i & 63) }

func (b bitset) count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

func (b bitset) empty() bool {
	for _, w := range b {
		if w != 0 {
			return false
		}
	}
	return true
}

func (b bitset) or(o bitset) {
	for i, w := range o {
		b[i] |= w
	}
}

func (b bitset) and(o bitset) {
	for i, w := range o {
		b[i] &= w
	}
}

func (b bitset) andNot(o bitset) {
	for i, w := range o {
		b[i] &^= w
	}
}

// list appends the numbers of the set bits, ascending.
func (b bitset) list(dst []uint16) []uint16 {
	for wi, w := range b {
		base := wi << 6
		if w == ^uint64(0) {
			for i := range 64 {
				dst = append(dst, uint16(base+i))
			}
			continue
		}
		for w != 0 {
			dst = append(dst, uint16(base+bits.TrailingZeros64(w)))
			w &= w - 1
		}
	}
	return dst
}

// each calls yield for every set bit, ascending.
func (b bitset) each(yield func(i int)) {
	for wi, w := range b {
		for w != 0 {
			yield(wi<<6 + bits.TrailingZeros64(w))
			w &= w - 1
		}
	}
}
