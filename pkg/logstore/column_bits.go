package logstore

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"unsafe"
)

// errShort is what every decoder of a chunk says about bytes that cannot be:
// the reader adds the file and the offset.
var errShort = errors.New("chunk ends early or says impossible lengths")

// miniBlock is how many integers share a bit width: an outlier (the step from
// one stream to the next) widens only its neighbours.
const miniBlock = 128

const (
	intsConst byte = 0 // one value for all
	intsFrame byte = 1 // differences to the least value of the mini-block
	intsDelta byte = 2 // the same of the differences between neighbours
)

// intScales are the divisors tried, biggest first: clocks often tick in micro-
// or milliseconds though timestamps are in nanoseconds.
var intScales = [4]int64{1, 1e3, 1e6, 1e9}

// appendInts encodes integers: constant, frame of reference or deltas,
// whichever is smallest, after dividing out a common power of ten.
func appendInts(dst []byte, vals []int64) []byte {
	if len(vals) == 0 {
		return dst
	}
	first := vals[0]
	same := true
	for _, v := range vals {
		if v != first {
			same = false
			break
		}
	}
	if same {
		return binary.AppendVarint(append(dst, intsConst), first)
	}
	scale := findScale(vals)
	var buf [1024]int64
	q := buf[:0]
	for _, v := range vals {
		q = append(q, (v-first)/intScales[scale])
	}
	frame := intsSize(q, false)
	delta := intsSize(q, true)
	mode := intsFrame
	if delta < frame {
		mode = intsDelta
	}
	dst = binary.AppendVarint(append(dst, mode|byte(scale)<<2), first)
	return appendMiniBlocks(dst, q, mode == intsDelta)
}

func findScale(vals []int64) int {
	for s := len(intScales) - 1; s > 0; s-- {
		ok := true
		for _, v := range vals {
			d := v - vals[0]
			if d%intScales[s] != 0 || (v < vals[0]) != (d < 0) { // the second: overflow
				ok = false
				break
			}
		}
		if ok {
			return s
		}
	}
	return 0
}

// eachMini yields the mini-blocks of q, as deltas if asked for.
func eachMini(q []int64, delta bool, yield func(block []int64)) {
	var buf [miniBlock]int64
	prev := int64(0)
	for len(q) > 0 {
		b := q[:min(miniBlock, len(q))]
		q = q[len(b):]
		if delta {
			for i, v := range b {
				buf[i] = v - prev
				prev = v
			}
			b = buf[:len(b)]
		}
		yield(b)
	}
}

func minWidth(b []int64) (least int64, width int) {
	least = b[0]
	most := b[0]
	for _, v := range b {
		least, most = min(least, v), max(most, v)
	}
	return least, bits.Len64(uint64(most) - uint64(least))
}

func intsSize(q []int64, delta bool) int {
	n := 0
	eachMini(q, delta, func(b []int64) {
		least, w := minWidth(b)
		n += 2 + bits.Len64(uint64(least<<1)^uint64(least>>63))/7 + (len(b)*w+7)/8
	})
	return n
}

func appendMiniBlocks(dst []byte, q []int64, delta bool) []byte {
	eachMini(q, delta, func(b []int64) {
		least, w := minWidth(b)
		dst = binary.AppendVarint(dst, least)
		dst = append(dst, byte(w))
		dst = appendPacked(dst, b, uint64(least), w)
	})
	return dst
}

// appendPacked appends the low w bits of every value less base, LSB first.
func appendPacked(dst []byte, vals []int64, base uint64, w int) []byte {
	if w == 0 {
		return dst
	}
	var acc uint64
	n := 0
	for _, v := range vals {
		x := uint64(v) - base
		acc |= x << n
		n += w
		if n >= 64 {
			dst = binary.LittleEndian.AppendUint64(dst, acc)
			n -= 64
			acc = 0
			if n > 0 {
				acc = x >> (w - n)
			}
		}
	}
	for n > 0 {
		dst = append(dst, byte(acc))
		acc >>= 8
		n -= 8
	}
	return dst
}

// unpack reads count values of w bits into out and returns the rest of src.
func unpack(out []uint64, src []byte, count, w int) ([]byte, error) {
	size := (count*w + 7) / 8
	if w > 64 || len(src) < size {
		return nil, errShort
	}
	if w == 0 {
		clear(out[:count])
		return src, nil
	}
	mask := uint64(math.MaxUint64) >> (64 - w)
	i := 0
	if w <= 56 {
		i = unpackEights(out[:count], src, uint(w))
	}
	bit := i * w
	if w <= 56 { // a value lies within the eight bytes from its first one on
		for ; i < count; i++ {
			at := bit >> 3
			if at+8 > len(src) {
				break
			}
			out[i] = binary.LittleEndian.Uint64(src[at:]) >> (bit & 7) & mask
			bit += w
		}
	} else {
		for ; i < count; i++ {
			at := bit >> 3
			if at+9 > len(src) {
				break
			}
			v := binary.LittleEndian.Uint64(src[at:]) >> (bit & 7)
			if over := bit&7 + w - 64; over > 0 {
				v |= uint64(src[at+8]) << (w - over)
			}
			out[i] = v & mask
			bit += w
		}
	}
	if i < count {
		var tail [24]byte
		for ; i < count; i++ {
			at := bit >> 3
			clear(tail[:])
			copy(tail[:], src[at:size])
			v := binary.LittleEndian.Uint64(tail[:]) >> (bit & 7)
			if over := bit&7 + w - 64; over > 0 {
				v |= uint64(tail[8]) << (w - over)
			}
			out[i] = v & mask
			bit += w
		}
	}
	return src[size:], nil
}

// unpackEights reads values of 1 to 56 bits, eight at a time, which are w bytes,
// as long as src surely has all that is looked at; it returns how many it read.
func unpackEights(out []uint64, src []byte, w uint) int {
	mask := uint64(math.MaxUint64) >> (64 - w)
	step, i := int(w), 0
	if w <= 8 {
		for ; i+8 <= len(out) && len(src) >= 8; i += 8 {
			o := (*[8]uint64)(out[i:])
			x := binary.LittleEndian.Uint64(src)
			for k := range o {
				o[k] = x & mask
				x >>= w & 63
			}
			src = src[step:]
		}
		return i
	}
	a1, a2, a3, a4, a5, a6, a7 := w>>3, 2*w>>3, 3*w>>3, 4*w>>3, 5*w>>3, 6*w>>3, 7*w>>3
	for ; i+8 <= len(out) && len(src) >= step+8; i += 8 {
		o := (*[8]uint64)(out[i:])
		// in bounds: a7+8 <= w+8 <= len(src)
		p := unsafe.Pointer(unsafe.SliceData(src))
		o[0] = word(p, 0) & mask
		o[1] = word(p, a1) >> (w & 7) & mask
		o[2] = word(p, a2) >> (2 * w & 7) & mask
		o[3] = word(p, a3) >> (3 * w & 7) & mask
		o[4] = word(p, a4) >> (4 * w & 7) & mask
		o[5] = word(p, a5) >> (5 * w & 7) & mask
		o[6] = word(p, a6) >> (6 * w & 7) & mask
		o[7] = word(p, a7) >> (7 * w & 7) & mask
		src = src[step:]
	}
	return i
}

// word reads eight bytes.
func word(p unsafe.Pointer, at uint) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(p, at))[:])
}

// readInts decodes count integers, the inverse of appendInts, and returns the
// rest of src. The result reuses out's memory when it can.
func readInts(out []int64, src []byte, count int) ([]int64, []byte, error) {
	return readSomeInts(out, src, count, nil)
}

// readSomeInts is readInts for the few integers whose numbers, ascending, are
// wanted (nil: all): the others may come out as anything, and what is behind
// them is then not known.
func readSomeInts(out []int64, src []byte, count int, wanted []uint16) ([]int64, []byte, error) {
	if cap(out) < count {
		out = make([]int64, count)
	}
	out = out[:count]
	if count == 0 {
		return out, src, nil
	}
	if len(src) == 0 {
		return nil, nil, errShort
	}
	mode, scale := src[0]&3, intScales[src[0]>>2&3]
	first, n := binary.Varint(src[1:])
	if n <= 0 || mode > intsDelta || src[0]>>4 != 0 {
		return nil, nil, errShort
	}
	src = src[1+n:]
	if mode == intsConst {
		for i := range out {
			out[i] = first
		}
		return out, src, nil
	}
	src, err := readMiniBlocks(out, src, mode == intsDelta, first, scale, wanted)
	if err != nil {
		return nil, nil, err
	}
	return out, src, nil
}

// readMiniBlocks decodes values, times scale and more than first.
func readMiniBlocks(out []int64, src []byte, delta bool, first, scale int64, wanted []uint16) ([]byte, error) {
	var buf [miniBlock]uint64
	prev, some := first, wanted != nil
	for at := 0; at < len(out); at += miniBlock {
		b := out[at:min(at+miniBlock, len(out))]
		skip := false
		if some {
			for len(wanted) > 0 && int(wanted[0]) < at {
				wanted = wanted[1:]
			}
			if len(wanted) == 0 {
				return nil, nil
			}
			skip = !delta && int(wanted[0]) >= at+len(b)
		}
		least, n := binary.Varint(src)
		if n <= 0 || n >= len(src) {
			return nil, errShort
		}
		if skip {
			size := (len(b)*int(src[n]) + 7) / 8
			if src = src[n+1:]; size > len(src) {
				return nil, errShort
			}
			src = src[size:]
			continue
		}
		var err error
		if src, err = unpack(buf[:], src[n+1:], len(b), int(src[n])); err != nil {
			return nil, err
		}
		x := buf[:len(b)]
		switch {
		case delta && scale == 1:
			for i := range x {
				prev += least + int64(x[i])
				b[i] = prev
			}
		case delta:
			for i := range x {
				prev += (least + int64(x[i])) * scale
				b[i] = prev
			}
		case scale == 1:
			base := first + least
			for i := range x {
				b[i] = base + int64(x[i])
			}
		default:
			for i := range x {
				b[i] = (least+int64(x[i]))*scale + first
			}
		}
	}
	return src, nil
}

// readUvarint reads a length that must not exceed limit.
func readUvarint(src []byte, limit int) (int, []byte, error) {
	v, n := binary.Uvarint(src)
	if n <= 0 || v > uint64(limit) {
		return 0, nil, errShort
	}
	return int(v), src[n:], nil
}

// readString reads a length and so many bytes, which alias src.
func readString(src []byte) (string, []byte, error) {
	n, src, err := readUvarint(src, math.MaxInt32)
	if err != nil || n > len(src) {
		return "", nil, errShort
	}
	return string(src[:n]), src[n:], nil
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
