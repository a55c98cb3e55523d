package inflate

import (
	"io"
	"math/bits"
	"slices"
	"sync"
)

// entry is what a code means: from the lowest bit on, 8 bits: how many of the
// code are used up here; 5 bits: extra bits, or bits of the table within the
// table that it leads to; the flags; 16 bits: the literal, the length or the
// distance less the extra bits, or where the other table begins.
type entry uint32

const (
	isSub     entry = 1 << 13 // it leads to another table
	isEnd     entry = 1 << 14 // of the block
	isBad     entry = 1 << 15 // no code
	isLiteral entry = 1 << 31
)

func (e entry) used() uint  { return uint(e) & 31 }
func (e entry) extra() uint { return uint(e) >> 8 & 31 }
func (e entry) base() uint  { return uint(e) >> 16 & 0x7fff }
func (e entry) value() byte { return byte(e >> 16) }

// litEntry is the meaning of a symbol of literals and lengths.
func litEntry(symbol int) entry {
	switch {
	case symbol < 256:
		return isLiteral | entry(symbol)<<16
	case symbol == 256:
		return isEnd
	case symbol == 285:
		return 258 << 16
	case symbol > 285:
		return isBad
	}
	k := symbol - 257
	if k < 8 {
		return entry(k+3) << 16
	}
	extra := k/4 - 1
	return entry(3+(4+k%4)<<extra)<<16 | entry(extra)<<8
}

// distEntry is the meaning of a symbol of distances. 32768 needs all of 16 bits,
// so that the base is one less than the least distance.
func distEntry(symbol int) entry {
	if symbol > 29 {
		return isBad
	}
	if symbol < 4 {
		return entry(symbol+1) << 16
	}
	extra := symbol/2 - 1
	return entry(1+(2+symbol%2)<<extra)<<16 | entry(extra)<<8
}

func lenEntry(symbol int) entry { return entry(symbol) << 16 }

// build makes the table of a code whose lengths are given: codes of up to first
// bits are looked up at once, others by a table within it. A code must be whole;
// only that of one symbol of one bit need not be, and one of none, which matches
// nothing.
func build(table []entry, lens []uint8, first int, meaning func(int) entry) ([]entry, error) {
	var count [maxBits + 1]int
	for _, l := range lens {
		count[l]++
	}
	count[0] = 0
	left, codes := 1, 0
	for l := 1; l <= maxBits; l++ {
		left = left<<1 - count[l]
		if left < 0 {
			return nil, ErrCorrupt
		}
		codes += count[l]
	}
	if left > 0 && codes > 0 && (codes != 1 || count[1] != 1) {
		return nil, ErrCorrupt
	}
	table = append(table[:0], make([]entry, 1<<first)...)
	if left > 0 {
		for i := range table {
			table[i] = isBad | 1
		}
	}
	var next [maxBits + 2]uint16
	for l := 1; l <= maxBits; l++ {
		next[l+1] = (next[l] + uint16(count[l])) << 1
	}
	starts := next
	// the longest code behind each beginning says how big its table must be
	for symbol, l := range lens {
		if l == 0 {
			continue
		}
		code := bits.Reverse16(next[l]) >> (16 - l)
		next[l]++
		if int(l) <= first {
			e := meaning(symbol) | entry(l)
			for at := int(code); at < 1<<first; at += 1 << l {
				table[at] = e
			}
			continue
		}
		at := int(code) & (1<<first - 1)
		if more := entry(int(l)-first) << 8; table[at] == 0 || table[at]&(31<<8) < more {
			table[at] = isSub | more
		}
	}
	for at := range 1 << first {
		if e := table[at]; e&isSub != 0 {
			table[at] = e | entry(len(table))<<16 | entry(first)
			table = append(table, make([]entry, 1<<e.extra())...)
		}
	}
	next = starts
	for symbol, l := range lens {
		if l == 0 {
			continue
		}
		code := int(bits.Reverse16(next[l]) >> (16 - l))
		next[l]++
		if int(l) <= first {
			continue
		}
		sub := table[code&(1<<first-1)]
		e := meaning(symbol) | entry(int(l)-first)
		for at := code >> first; at < 1<<sub.extra(); at += 1 << (int(l) - first) {
			table[int(sub.base())+at] = e
		}
	}
	return table, nil
}

var fixedTables = sync.OnceValues(func() (lit, dist []entry) {
	var lens [288]uint8
	for i := range lens {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		default:
			lens[i] = 8
		}
	}
	lit, _ = build(nil, lens[:], litBits, litEntry)
	dist, _ = build(nil, slices.Repeat([]uint8{5}, 32), distBits, distEntry)
	return lit, dist
})

var lenOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

const lenBits = 7

// tables reads the codes of a block.
func (d *decoder) tables() error {
	head, err := d.take(14)
	if err != nil {
		return err
	}
	lits, dists, lens := int(head&31)+257, int(head>>5&31)+1, int(head>>10)+4
	if lits > 286 || dists > 30 {
		return ErrCorrupt
	}
	var of [19]uint8
	for _, k := range lenOrder[:lens] {
		x, err := d.take(3)
		if err != nil {
			return err
		}
		of[k] = uint8(x)
	}
	if d.pre, err = build(d.pre, of[:], lenBits, lenEntry); err != nil {
		return err
	}
	all := d.lens[:lits+dists]
	for i := 0; i < len(all); {
		d.refill()
		e := d.pre[d.bits&(1<<lenBits-1)]
		d.bits >>= e.used()
		if d.n -= int(e.used()); d.n < 0 {
			return io.ErrUnexpectedEOF
		}
		if e&isBad != 0 {
			return ErrCorrupt
		}
		symbol := e.base()
		if symbol < 16 {
			all[i] = uint8(symbol)
			i++
			continue
		}
		value, least, extra := uint8(0), 3, 3
		switch symbol {
		case 16:
			if i == 0 {
				return ErrCorrupt
			}
			value, extra = all[i-1], 2
		case 18:
			least, extra = 11, 7
		}
		x, err := d.take(extra)
		if err != nil {
			return err
		}
		times := least + int(x)
		if i+times > len(all) {
			return ErrCorrupt
		}
		for range times {
			all[i] = value
			i++
		}
	}
	if d.own[0], err = build(d.own[0], all[:lits], litBits, litEntry); err != nil {
		return err
	}
	if d.own[1], err = build(d.own[1], all[lits:], distBits, distEntry); err != nil {
		return err
	}
	d.lit, d.dist = d.own[0], d.own[1]
	return nil
}
