package tracestore

import (
	"encoding/binary"
	"math/bits"
)

// This file writes the value encodings of Parquet that the store's pages use:
// the hybrid of runs and bit-packed groups (levels and dictionary numbers) and
// DELTA_BINARY_PACKED (integers). bitread.go reads them.

// bitWriter packs numbers, the least significant bit first.
type bitWriter struct {
	b   []byte
	acc uint64
	n   uint
}

func (w *bitWriter) put(v uint64, width uint) {
	if width > 32 {
		w.put(v&0xffffffff, 32)
		v >>= 32
		width -= 32
	}
	w.acc |= v << w.n
	w.n += width
	for w.n >= 8 {
		w.b = append(w.b, byte(w.acc))
		w.acc >>= 8
		w.n -= 8
	}
}

func (w *bitWriter) flush() {
	if w.n > 0 {
		w.b = append(w.b, byte(w.acc))
	}
	w.acc, w.n = 0, 0
}

// appendHybrid writes numbers of a bit width as runs and bit-packed groups.
func appendHybrid(dst []byte, v []int32, width uint) []byte {
	litFrom := 0
	flush := func(to int) {
		n := to - litFrom
		if n == 0 {
			return
		}
		groups := (n + 7) / 8
		dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
		dst = appendGroups(dst, v[litFrom:to], width)
		litFrom = to
	}
	for i := 0; i < len(v); {
		j := i + 1
		for j < len(v) && v[j] == v[i] {
			j++
		}
		// The literals before a run come in groups of eight: fill up from the run.
		if fill := (8 - (i-litFrom)%8) % 8; j-i-fill >= 8 {
			flush(i + fill)
			dst = binary.AppendUvarint(dst, uint64(j-litFrom)<<1)
			for b := uint(0); b < width; b += 8 {
				dst = append(dst, byte(v[i]>>b))
			}
			litFrom = j
		}
		i = j
	}
	flush(len(v))
	return dst
}

// appendBits is appendHybrid for n numbers of one bit, which are packed already;
// bits behind the last do not count.
func appendBits(dst, bits []byte, n int) []byte {
	litFrom := 0
	flush := func(to int) {
		if to > litFrom {
			dst = binary.AppendUvarint(dst, uint64(to-litFrom)<<1|1)
			dst = append(dst, bits[litFrom:to]...)
		}
	}
	whole := n / 8
	for i := 0; i < len(bits); {
		j := i + 1
		if bits[i] != 0 && bits[i] != 0xff || i >= whole {
			i = j
			continue
		}
		for j < whole && bits[j] == bits[i] {
			j++
		}
		rows := 8 * (j - i)
		if rest := n % 8; j == whole && rest > 0 { // a run may end within a byte
			if mask := byte(1)<<rest - 1; bits[j]&mask == bits[i]&mask {
				rows, j = rows+rest, j+1
			}
		}
		if j-i > 1 {
			flush(i)
			dst = append(binary.AppendUvarint(dst, uint64(rows)<<1), bits[i]&1)
			litFrom = j
		}
		i = j
	}
	flush(len(bits))
	return dst
}

// appendGroups packs numbers in groups of eight, the last filled up with zeros:
// a group of width up to 8 is one word.
func appendGroups(dst []byte, v []int32, width uint) []byte {
	for ; width <= 8 && len(v) >= 8; v = v[8:] {
		x := v[:8:8]
		word := uint64(x[0]) | uint64(x[1])<<width | uint64(x[2])<<(2*width) | uint64(x[3])<<(3*width) |
			uint64(x[4])<<(4*width) | uint64(x[5])<<(5*width) | uint64(x[6])<<(6*width) | uint64(x[7])<<(7*width)
		dst = binary.LittleEndian.AppendUint64(dst, word)
		dst = dst[:len(dst)-8+int(width)]
	}
	w := bitWriter{b: dst}
	for _, x := range v {
		w.put(uint64(x), width)
	}
	for range (8 - len(v)%8) % 8 {
		w.put(0, width)
	}
	w.flush()
	return w.b
}

const (
	deltaBlock = 128
	deltaMini  = 32
)

// appendDelta writes integers as Parquet's DELTA_BINARY_PACKED.
func appendDelta(dst []byte, v []int64) []byte {
	dst = binary.AppendUvarint(dst, deltaBlock)
	dst = binary.AppendUvarint(dst, deltaBlock/deltaMini)
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	if len(v) == 0 {
		return binary.AppendVarint(dst, 0)
	}
	dst = binary.AppendVarint(dst, v[0])
	var deltas [deltaBlock]int64
	for prev, rest := v[0], v[1:]; len(rest) > 0; {
		n := min(deltaBlock, len(rest))
		low := rest[0] - prev
		for i, x := range rest[:n] {
			deltas[i] = x - prev
			prev = x
			low = min(low, deltas[i])
		}
		dst = appendDeltaBlock(dst, deltas[:n], low)
		rest = rest[n:]
	}
	return dst
}

func appendDeltaBlock(dst []byte, deltas []int64, low int64) []byte {
	dst = binary.AppendVarint(dst, low)
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	for m := 0; m*deltaMini < len(deltas); m++ {
		mini := deltas[m*deltaMini : min((m+1)*deltaMini, len(deltas))]
		var or uint64
		for _, d := range mini {
			or |= uint64(d) - uint64(low)
		}
		width := uint(bits.Len64(or))
		dst[at+m] = byte(width)
		w := bitWriter{b: dst}
		for _, d := range mini {
			w.put(uint64(d)-uint64(low), width)
		}
		for range deltaMini - len(mini) {
			w.put(0, width)
		}
		w.flush()
		dst = w.b
	}
	return dst
}
