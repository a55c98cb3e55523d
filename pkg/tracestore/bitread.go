package tracestore

import (
	"encoding/binary"
	"math/bits"
)

// bitsAt reads one number of a width, at most 64, that begins at a bit.
func bitsAt(src []byte, bit uint64, width uint) uint64 {
	at := int(bit >> 3)
	var w uint64
	if at+8 <= len(src) {
		w = binary.LittleEndian.Uint64(src[at:])
	} else {
		for i := len(src) - 1; i >= at; i-- {
			w = w<<8 | uint64(src[i])
		}
	}
	shift := uint(bit & 7)
	v := w >> shift
	if shift+width > 64 && at+8 < len(src) {
		v |= uint64(src[at+8]) << (64 - shift)
	}
	if width == 64 {
		return v
	}
	return v & (1<<width - 1)
}

// hybridRun is a piece of the hybrid encoding: n numbers, either all one value
// or packed.
type hybridRun struct {
	n      int
	packed []byte // nil: value, n times
	value  uint32
}

// nextRun takes a run of at most left numbers off src; false when src does not
// hold one.
func nextRun(src []byte, width uint, left int) (r hybridRun, rest []byte, ok bool) {
	head, n := binary.Uvarint(src)
	if n <= 0 || width > 32 {
		return r, nil, false
	}
	src = src[n:]
	if head&1 == 0 {
		run, bytes := head>>1, int(width+7)/8
		if run == 0 || len(src) < bytes {
			return r, nil, false
		}
		for i := bytes - 1; i >= 0; i-- {
			r.value = r.value<<8 | uint32(src[i])
		}
		r.n = int(min(run, uint64(left)))
		return r, src[bytes:], true
	}
	groups := head >> 1
	if groups == 0 || groups > uint64(left)/8+1 {
		return r, nil, false
	}
	size := int(groups) * int(width)
	if size > len(src) {
		return r, nil, false
	}
	r.n, r.packed = min(int(groups)*8, left), src[:size:len(src)]
	return r, src[size:], true
}

// readHybrid fills dst and returns false when src does not hold enough.
func readHybrid(src []byte, width uint, dst []int32) bool {
	for len(dst) > 0 {
		r, rest, ok := nextRun(src, width, len(dst))
		if !ok {
			return false
		}
		if r.packed != nil {
			unpackInt32(r.packed[:cap(r.packed)], width, dst[:r.n])
		} else {
			for i := range dst[:r.n] {
				dst[i] = int32(r.value)
			}
		}
		src, dst = rest, dst[r.n:]
	}
	return true
}

// unpackInt32 reads numbers of a width, at most 32. src may go on behind them:
// what has eight more bytes is read without care.
func unpackInt32(src []byte, width uint, dst []int32) {
	mask := uint64(1)<<width - 1
	if width <= 8 {
		for len(dst) >= 8 && len(src) >= 8 { // eight numbers are one word
			w := binary.LittleEndian.Uint64(src)
			d := dst[:8:8]
			d[0], d[1] = int32(w&mask), int32(w>>width&mask)
			d[2], d[3] = int32(w>>(2*width)&mask), int32(w>>(3*width)&mask)
			d[4], d[5] = int32(w>>(4*width)&mask), int32(w>>(5*width)&mask)
			d[6], d[7] = int32(w>>(6*width)&mask), int32(w>>(7*width)&mask)
			src, dst = src[width:], dst[8:]
		}
	}
	bit := uint64(0)
	i := 0
	for ; i < len(dst) && int(bit>>3)+8 <= len(src); i++ {
		dst[i] = int32(binary.LittleEndian.Uint64(src[bit>>3:]) >> (bit & 7) & mask)
		bit += uint64(width)
	}
	for ; i < len(dst); i++ {
		dst[i] = int32(bitsAt(src, bit, width))
		bit += uint64(width)
	}
}

// readBits fills dst with n levels, a bit each, and returns how many are 1. The
// bits behind them are 0.
func readBits(src []byte, n int, dst []uint64) (ones int, ok bool) {
	clear(dst)
	for at := 0; at < n; {
		r, rest, ok := nextRun(src, 1, n-at)
		if !ok || r.value > 1 {
			return 0, false
		}
		switch {
		case r.packed != nil:
			putBits(dst, at, r.packed, r.n)
		case r.value == 1:
			setBits(dst, at, r.n)
		}
		src, at = rest, at+r.n
	}
	for _, w := range dst {
		ones += bits.OnesCount64(w)
	}
	return ones, true
}

func setBits(dst []uint64, at, n int) {
	for n > 0 {
		k := min(n, 64-at%64)
		dst[at/64] |= (1<<k - 1) << (at % 64)
		at, n = at+k, n-k
	}
}

// putBits copies n bits to dst, from bit at on.
func putBits(dst []uint64, at int, src []byte, n int) {
	for n > 0 {
		var w uint64
		if len(src) >= 8 {
			w, src = binary.LittleEndian.Uint64(src), src[8:]
		} else {
			for i, b := range src {
				w |= uint64(b) << (8 * i)
			}
		}
		k := min(n, 64)
		if k < 64 {
			w &= 1<<k - 1
		}
		dst[at/64] |= w << (at % 64)
		if over := at%64 + k - 64; over > 0 {
			dst[at/64+1] |= w >> (k - over)
		}
		at, n = at+k, n-k
	}
}

// readDelta fills dst; false when src is not what appendDelta wrote.
func readDelta(src []byte, dst []int64) bool {
	d := dec{b: src}
	block, minis, total, first := d.uv(), d.uv(), d.uv(), d.sv()
	if d.err != nil || block != deltaBlock || minis != deltaBlock/deltaMini || total != uint64(len(dst)) {
		return false
	}
	if len(dst) == 0 {
		return true
	}
	dst[0] = first
	for prev, rest := first, dst[1:]; len(rest) > 0; {
		low := d.sv()
		widths := d.take(deltaBlock / deltaMini)
		if d.err != nil {
			return false
		}
		for m := 0; m < len(widths) && len(rest) > 0; m++ {
			width := uint(widths[m])
			size := int(width) * deltaMini / 8
			if width > 64 || size > len(d.b) {
				return false
			}
			n := min(deltaMini, len(rest))
			prev = undelta(d.b, width, size, prev, low, rest[:n])
			d.b, rest = d.b[size:], rest[n:]
		}
	}
	return true
}

// undelta adds up differences above low that lie packed in the first size bytes
// of src, and returns the last sum.
func undelta(src []byte, width uint, size int, prev, low int64, dst []int64) int64 {
	if width == 0 {
		for i := range dst {
			prev += low
			dst[i] = prev
		}
		return prev
	}
	bit := uint(0)
	if width <= 56 && len(src) >= size+8 {
		src = src[:size+8]
		mask := uint64(1)<<width - 1
		for i := range dst {
			prev += int64(binary.LittleEndian.Uint64(src[bit>>3:])>>(bit&7)&mask) + low
			dst[i] = prev
			bit += width
		}
		return prev
	}
	src = src[:size]
	for i := range dst {
		prev += int64(bitsAt(src, uint64(bit), width)) + low
		dst[i] = prev
		bit += width
	}
	return prev
}
