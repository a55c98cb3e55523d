package idindex

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// The layout is drawn in FORMAT.md.
const (
	magic         = "BIDX"
	formatVersion = 1
	headerSize    = 24 // magic, version, three widths, entries, hash space, CRC
	superBits     = 8  // 256 quotients share a superbucket
	superHeader   = 8  // CRC, entries
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode writes sorted keys, each of hashBits and pageBits.
func encode(g geometry, keys []uint64) ([]byte, error) {
	w, err := newIndexWriter(g, len(keys))
	if err != nil {
		return nil, err
	}
	shift := g.fingerprintBits + g.pageBits + superBits
	for at := 0; at < len(keys); {
		s, end := int(keys[at]>>shift), at+1
		for end < len(keys) && int(keys[end]>>shift) == s {
			end++
		}
		w.skipTo(s)
		w.super(keys[at:end])
		at = end
	}
	return w.finish(), nil
}

// indexWriter writes an index superbucket by superbucket.
type indexWriter struct {
	geometry
	out     []byte
	entries int
	next    int      // superbucket
	keys    []uint64 // of it, added one by one
}

// newIndexWriter begins an index of at most so many entries.
func newIndexWriter(g geometry, entries int) (*indexWriter, error) {
	supers := g.superbuckets()
	head := headerSize + 4*(supers+1) + 4
	width := g.fingerprintBits + g.pageBits
	size := head + supers*(superHeader+(1<<superBits)/8+2) + entries/8 + entries*width/8 + 8
	if size > math.MaxUint32 || entries > math.MaxUint32 {
		return nil, fmt.Errorf("cannot build id index of %d entries: it would pass 4 GiB; make smaller blocks", entries)
	}
	return &indexWriter{geometry: g, out: make([]byte, head, size)}, nil
}

// super writes the next superbucket.
func (w *indexWriter) super(keys []uint64) {
	binary.LittleEndian.PutUint32(w.out[headerSize+4*w.next:], uint32(len(w.out)))
	w.out = appendSuper(w.out, w.geometry, keys)
	w.entries += len(keys)
	w.next++
}

// skipTo writes superbuckets until one is the next: the first has what was added,
// the others are empty.
func (w *indexWriter) skipTo(s int) {
	for w.next < s {
		w.super(w.keys)
		w.keys = w.keys[:0]
	}
}

// add writes one key; they come in order.
func (w *indexWriter) add(key uint64) {
	w.skipTo(int(key >> (w.fingerprintBits + w.pageBits + superBits)))
	w.keys = append(w.keys, key)
}

// finish returns the index.
func (w *indexWriter) finish() []byte {
	supers := w.superbuckets()
	w.skipTo(supers)
	out := w.out
	copy(out, magic)
	out[4], out[5], out[6], out[7] = formatVersion, byte(w.quotientBits), byte(w.fingerprintBits), byte(w.pageBits)
	binary.LittleEndian.PutUint32(out[8:], uint32(w.entries))
	binary.LittleEndian.PutUint32(out[headerSize+4*supers:], uint32(len(out)))
	binary.LittleEndian.PutUint64(out[12:], uint64(len(out)))
	binary.LittleEndian.PutUint32(out[20:], crc32.Checksum(out[:20], castagnoli))
	dir := out[headerSize : headerSize+4*(supers+1)]
	binary.LittleEndian.PutUint32(out[headerSize+len(dir):], crc32.Checksum(dir, castagnoli))
	return out
}

// appendSuper writes one superbucket: the CRC of what follows it, the number
// of entries, for each of its 256 quotients a 0 after a 1 for each entry, and
// the entries' fingerprints and pages.
func appendSuper(out []byte, g geometry, keys []uint64) []byte {
	start := len(out)
	width := g.fingerprintBits + g.pageBits
	out = append(out, make([]byte, superHeader)...)
	binary.LittleEndian.PutUint32(out[start+4:], uint32(len(keys)))
	w := bitWriter{out: out}
	quotient := 0
	for _, k := range keys {
		q := int(k >> width & (1<<superBits - 1))
		w.write(0, q-quotient)
		w.write(1, 1)
		quotient = q
	}
	w.write(0, 1<<superBits-quotient)
	w.align()
	for _, k := range keys {
		w.write(k&(1<<width-1), width)
	}
	w.align()
	out = w.out
	binary.LittleEndian.PutUint32(out[start:], crc32.Checksum(out[start+4:], castagnoli))
	return out
}

// bitWriter appends bits, lowest first.
type bitWriter struct {
	out  []byte
	acc  uint64
	held int // bits in acc, below 32 between calls
}

// write appends the lower n bits of v; when v is 0, n may pass 56.
func (w *bitWriter) write(v uint64, n int) {
	for ; n > 32; n -= 32 {
		w.write32(v&math.MaxUint32, 32)
		v >>= 32
	}
	w.write32(v, n)
}

func (w *bitWriter) write32(v uint64, n int) {
	w.acc |= v << w.held
	if w.held += n; w.held >= 32 {
		w.out = binary.LittleEndian.AppendUint32(w.out, uint32(w.acc))
		w.acc >>= 32
		w.held -= 32
	}
}

func (w *bitWriter) align() {
	for ; w.held > 0; w.held -= 8 {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
	}
	w.acc, w.held = 0, 0
}

// readBits reads n <= 56 bits from a bit offset; the bytes must be there.
func readBits(data []byte, offset, n int) uint64 {
	at, shift := offset/8, offset%8
	var raw uint64
	if at+8 <= len(data) {
		raw = binary.LittleEndian.Uint64(data[at:])
	} else {
		for i := 0; at+i < len(data) && i < 8; i++ {
			raw |= uint64(data[at+i]) << (8 * i)
		}
	}
	return raw >> shift & (1<<n - 1)
}
