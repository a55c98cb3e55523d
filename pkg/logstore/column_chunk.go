package logstore

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/bits"

	"braid/pkg/model"
)

// The encodings of a chunk. Their numbers are on disk: never renumber. Bit 7 of
// the byte says that not every row has a value: where they are comes first.
const (
	encNone     byte = 0 // presence is all
	encDict     byte = 1 // codes of the block's dictionary
	encInts     byte = 2
	encRaw64    byte = 3 // bits as they are
	encDecimal  byte = 4 // doubles that are an integer over a power of ten
	encText     byte = 5 // one zstd frame
	encPlain    byte = 6 // text as it is
	encUUID     byte = 7
	encHex      byte = 8
	encCounter  byte = 9 // a prefix and a number
	encIDs      byte = 10
	encTemplate byte = 11 // read only: the codes have no checksum of their own
	encLines    byte = 12 // templates: codes, their checksum, variables
	encSparse   byte = 0x80
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crcSize ends every chunk.
const crcSize = 4

// appendChunk encodes a vector of a page of so many rows, checksum included.
// Codes of a formDict vector must be the block's. t, if not nil, holds the
// templates of the column in the block.
func (e *encoder) appendChunk(dst []byte, v *vector, rows int, t *templateSet) []byte {
	from := len(dst)
	dst = append(dst, 0)
	if v.n < rows {
		dst = appendPresence(dst, v.rows[:v.n], rows)
	}
	e.from, e.sparse = from, 0
	if v.n < rows {
		e.sparse = encSparse
	}
	var enc byte
	switch v.form {
	case formDict:
		enc = encDict
		dst = e.appendCodes(dst, v.codes)
	case formNums:
		enc, dst = e.appendNums(dst, v)
	case formText:
		enc, dst = e.appendText(dst, v, t)
	case formFixed:
		enc = encIDs
		dst = append(dst, v.data...)
	}
	dst[from] = enc | e.sparse
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
}

// appendPresence encodes which rows have a value: a bitmap, or the row numbers
// when these are smaller.
func appendPresence(dst []byte, rows []uint16, of int) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(rows)))
	list := make([]int64, len(rows))
	for i, r := range rows {
		list[i] = int64(r)
	}
	at := len(dst)
	dst = appendInts(append(dst, 1), list)
	if len(dst)-at <= 1+(of+7)/8 {
		return dst
	}
	dst = append(dst[:at], 0)
	at = len(dst)
	dst = append(dst, make([]byte, (of+7)/8)...)
	for _, r := range rows {
		dst[at+int(r>>3)] |= 1 << (r & 7)
	}
	return dst
}

func readPresence(src []byte, of int) ([]uint16, []byte, error) {
	n, src, err := readUvarint(src, of)
	if err != nil || len(src) == 0 {
		return nil, nil, errShort
	}
	how := src[0]
	src = src[1:]
	rows := make([]uint16, 0, n)
	if how == 0 {
		size := (of + 7) / 8
		if len(src) < size {
			return nil, nil, errShort
		}
		for i := 0; i < of; i++ {
			if src[i>>3]>>(i&7)&1 == 1 {
				rows = append(rows, uint16(i))
			}
		}
		src = src[size:]
	} else {
		var list []int64
		if list, src, err = readInts(nil, src, n); err != nil {
			return nil, nil, err
		}
		for i, r := range list {
			if r < 0 || r >= int64(of) || i > 0 && r <= list[i-1] {
				return nil, nil, errShort
			}
			rows = append(rows, uint16(r))
		}
	}
	if len(rows) != n {
		return nil, nil, errShort
	}
	return rows, src, nil
}

// appendCodes encodes dictionary codes: the different ones of the page, then
// for each value which of them.
func (e *encoder) appendCodes(dst []byte, codes []uint32) []byte {
	e.local = e.local[:0]
	for _, c := range codes {
		if int(c) >= len(e.slot) {
			e.slot = append(e.slot, make([]uint32, int(c)+1-len(e.slot))...)
		}
		if s := e.slot[c]; s == 0 || int(s) > len(e.local) || e.local[s-1] != c {
			e.local = append(e.local, c)
			e.slot[c] = uint32(len(e.local))
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.local)))
	for _, c := range e.local {
		dst = binary.AppendUvarint(dst, uint64(c))
	}
	if len(e.local) <= 1 {
		return dst
	}
	e.ints = e.ints[:0]
	for _, c := range codes {
		e.ints = append(e.ints, int64(e.slot[c]-1))
	}
	return appendPacked(dst, e.ints, 0, bits.Len(uint(len(e.local)-1)))
}

// codes reads what appendCodes wrote: the codes, and the different ones among
// them in the order in which they come.
func (r chunkReader) codes(src []byte, n, dictLen int) (codes, local []uint32, rest []byte, err error) {
	k, src, err := readUvarint(src, n)
	if err != nil || k == 0 && n > 0 || dictLen == 0 && n > 0 {
		return nil, nil, nil, errShort
	}
	local = r.mem.getCodes(k)
	for i := range local {
		var c int
		if c, src, err = readUvarint(src, dictLen-1); err != nil {
			return nil, nil, nil, err
		}
		local[i] = uint32(c)
	}
	codes = r.mem.getCodes(n)
	if k <= 1 {
		for i := range codes {
			codes[i] = local[0]
		}
		return codes, local, src, nil
	}
	if src, err = unpackCodes(codes, local, src, bits.Len(uint(k-1)), 0); err != nil {
		return nil, nil, nil, err
	}
	return codes, local, src, nil
}

// someCodes is codes for a few values; the others get any code.
func (r chunkReader) someCodes(src []byte, n, dictLen int, some []uint16) ([]uint32, error) {
	k, src, err := readUvarint(src, n)
	if err != nil || k == 0 && n > 0 || dictLen == 0 && n > 0 {
		return nil, errShort
	}
	local := r.mem.getCodes(k)
	for i := range local {
		var c int
		if c, src, err = readUvarint(src, dictLen-1); err != nil {
			return nil, err
		}
		local[i] = uint32(c)
	}
	codes := r.mem.getCodes(n)
	clear(codes)
	w := 0
	if k > 1 {
		w = bits.Len(uint(k - 1))
	}
	if len(src) < (n*w+7)/8 {
		return nil, errShort
	}
	for _, i := range some {
		if _, err := unpackCodes(codes[i:i+1], local, src[int(i)*w>>3:], w, int(i)*w&7); err != nil {
			return nil, err
		}
	}
	return codes, nil
}

// unpackCodes reads places in local, w bits each, from a bit on.
func unpackCodes(codes, local []uint32, src []byte, w, bit int) ([]byte, error) {
	size := (len(codes)*w + bit + 7) / 8
	if len(src) < size {
		return nil, errShort
	}
	mask := uint64(1)<<w - 1
	for i := range codes {
		at := bit >> 3
		var x uint64
		if at+8 <= len(src) {
			x = binary.LittleEndian.Uint64(src[at:])
		} else {
			for j := len(src) - 1; j >= at; j-- {
				x = x<<8 | uint64(src[j])
			}
		}
		x = x >> (bit & 7) & mask
		if x >= uint64(len(local)) {
			return nil, errShort
		}
		codes[i] = local[x]
		bit += w
	}
	return src[size:], nil
}

var decimalScales = [...]float64{1, 10, 100, 1e3, 1e4, 1e6}

// appendNums encodes the bits of ints, bools or doubles.
func (e *encoder) appendNums(dst []byte, v *vector) (byte, []byte) {
	if v.kind != model.KindDouble {
		return encInts, appendInts(dst, asInts(v.nums))
	}
	for s, scale := range decimalScales {
		if e.decimals(v.nums, scale) {
			return encDecimal, appendInts(append(dst, byte(s)), e.ints)
		}
	}
	for _, x := range v.nums {
		dst = binary.LittleEndian.AppendUint64(dst, x)
	}
	return encRaw64, dst
}

// decimals fills e.ints with the doubles times scale when that loses nothing.
func (e *encoder) decimals(nums []uint64, scale float64) bool {
	e.ints = e.ints[:0]
	for _, x := range nums {
		i := math.Round(math.Float64frombits(x) * scale)
		if !(math.Abs(i) < 1<<53) || math.Float64bits(float64(int64(i))/scale) != x {
			return false
		}
		e.ints = append(e.ints, int64(i))
	}
	return true
}

// chunkReader decodes chunks into an arena. With only, texts of other rows may
// come out empty, and other numbers as anything.
type chunkReader struct {
	mem  *arena
	only bitset
}

// wants reports whether the value i of a vector is asked for.
func (r chunkReader) wants(v *vector, i int) bool { return r.only == nil || r.only.has(v.row(i)) }

// maxSome is up to how many rows are decoded apart from the others.
const maxSome = 16

// some lists the values that are asked for, ascending; nil: all.
func (r chunkReader) some(v *vector) []uint16 {
	if r.only == nil || r.only.count() > maxSome {
		return nil
	}
	out := make([]uint16, 0, maxSome)
	if v.rows == nil {
		return r.only.list(out)
	}
	r.only.each(func(row int) {
		if i := v.index(row); i >= 0 {
			out = append(out, uint16(i))
		}
	})
	return out
}

// read decodes a chunk whose checksum has been verified and removed.
func (r chunkReader) read(src []byte, key columnKey, rows int, dict []string, templates []template) (*vector, error) {
	if len(src) == 0 {
		return nil, errShort
	}
	v := &vector{kind: key.kind, n: rows}
	enc := src[0]
	src = src[1:]
	var err error
	if enc&encSparse != 0 {
		if v.rows, src, err = readPresence(src, rows); err != nil {
			return nil, err
		}
		v.n = len(v.rows)
	}
	switch enc &^ encSparse {
	case encNone:
		v.form = formNone
	case encDict:
		v.form, v.dict = formDict, dict
		if some := r.some(v); some != nil {
			v.codes, err = r.someCodes(src, v.n, len(dict), some)
		} else {
			v.codes, _, _, err = r.codes(src, v.n, len(dict))
		}
	case encInts, encRaw64, encDecimal:
		v.form = formNums
		v.nums, err = r.nums(enc&^encSparse, src, v.n, r.some(v))
	case encText, encPlain, encUUID, encHex, encCounter:
		v.form = formText
		err = r.text(v, enc&^encSparse, src)
	case encTemplate, encLines:
		v.form = formText
		err = r.templated(v, enc&^encSparse, src, templates)
	case encIDs:
		v.form = formFixed
		if v.n == 0 || len(src)%v.n != 0 {
			return nil, errShort
		}
		v.size, v.data = len(src)/v.n, src
	default:
		return nil, errShort
	}
	if err != nil {
		return nil, err
	}
	return v, checkForm(key, v)
}

// checkForm refuses a vector that the column cannot have, so that nobody after
// this needs to look.
func checkForm(key columnKey, v *vector) error {
	ok := true
	switch {
	case key.intrinsic && key.name == colTrace:
		ok = v.form == formFixed && v.size == 16
	case key.intrinsic && key.name == colSpan:
		ok = v.form == formFixed && v.size == 8
	case hasText(key.kind):
		ok = v.form == formDict || v.form == formText
	case key.kind == model.KindEmpty:
		ok = v.form == formNone
	default:
		ok = v.form == formNums
	}
	if !ok {
		return errShort
	}
	return nil
}

func (r chunkReader) nums(enc byte, src []byte, n int, some []uint16) ([]uint64, error) {
	if enc == encRaw64 {
		if len(src) < 8*n {
			return nil, errShort
		}
		out := r.mem.getWords(n)
		for i := range out {
			out[i] = binary.LittleEndian.Uint64(src[8*i:])
		}
		return out, nil
	}
	scale := 1.0
	if enc == encDecimal {
		if len(src) == 0 || int(src[0]) >= len(decimalScales) {
			return nil, errShort
		}
		scale = decimalScales[src[0]]
		src = src[1:]
	}
	ints, _, err := readSomeInts(asInts(r.mem.getWords(n)), src, n, some)
	if err != nil {
		return nil, err
	}
	out := asUints(ints)
	if enc == encDecimal && some != nil {
		for _, i := range some {
			out[i] = math.Float64bits(float64(ints[i]) / scale)
		}
	} else if enc == encDecimal {
		for i, x := range ints {
			out[i] = math.Float64bits(float64(x) / scale)
		}
	}
	return out, nil
}
