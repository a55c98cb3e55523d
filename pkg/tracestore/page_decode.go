package tracestore

import (
	"encoding/binary"
)

// decoder turns the bodies of data pages into columns. Its memory goes from page
// to page.
type decoder struct {
	codes []int32
	bits  []uint64
}

// columnMemory is what the slices of a column lie in, from page to page.
type columnMemory struct {
	codes []int32
	null  []bool
	ints  []int64
	texts []string
	fixed []byte
}

// page fills c, of which only the memory is kept, with the n rows of a page.
func (p *decoder) page(c *column, d *colDef, encoding uint8, body []byte, h pageHeader, n int, dict *dictionary) bool {
	*c = column{mem: c.mem}
	if h.values != n {
		return false
	}
	filled := n
	if d.optional {
		var ok bool
		if filled, body, ok = p.levels(body, n); !ok {
			return false
		}
	}
	if encoding == encDict {
		return p.dictCodes(c, body, n, filled, dict)
	}
	if filled < n {
		c.null = again(&c.mem.null, n)
		for i := range c.null {
			c.null[i] = p.bits[i/64]>>(i%64)&1 == 0
		}
	}
	switch {
	case d.typ == typeText || d.typ == typeBytes:
		c.texts = again(&c.mem.texts, n)
		return readTexts(body, c.texts[:filled]) && spread(c.texts, filled, c.null)
	case d.typ == typeFixed:
		c.fixed = again(&c.mem.fixed, n*d.width)
		return len(body) == filled*d.width && spreadFixed(c.fixed, body, c.null, d.width)
	}
	c.ints = again(&c.mem.ints, n)
	ints := c.ints[:filled]
	if encoding == encDelta {
		return readDelta(body, ints) && spread(c.ints, filled, c.null)
	}
	return readPlainInts(body, d.typ, ints) && spread(c.ints, filled, c.null)
}

// grown returns a slice of n, in the memory of s if that is enough.
func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, max(n, pageRows))
	}
	return s[:n]
}

// levels reads which rows have a value, a bit each, and how many that are.
func (p *decoder) levels(body []byte, n int) (filled int, rest []byte, ok bool) {
	if len(body) < 4 {
		return 0, nil, false
	}
	size := binary.LittleEndian.Uint32(body)
	if uint64(size) > uint64(len(body)-4) {
		return 0, nil, false
	}
	filled, ok = readBits(body[4:4+size], n, again(&p.bits, (n+63)/64))
	return filled, body[4+size:], ok
}

// dictCodes reads the numbers that rows have in a dictionary.
func (p *decoder) dictCodes(c *column, body []byte, n, filled int, dict *dictionary) bool {
	c.dict, c.codes = dict, again(&c.mem.codes, n)
	if filled == 0 {
		for i := range c.codes {
			c.codes[i] = -1
		}
		return true
	}
	if len(body) < 1 {
		return false
	}
	dense := c.codes
	if filled < n {
		dense = again(&p.codes, filled+1) // one more, for spreadCodes
	}
	if !readHybrid(body[1:], uint(body[0]), dense[:filled]) {
		return false
	}
	most := uint32(0)
	for _, x := range dense[:filled] {
		most = max(most, uint32(x))
	}
	if most >= uint32(dict.len()) {
		return false
	}
	if filled < n {
		spreadCodes(c.codes, dense, p.bits)
	}
	return true
}

// spreadCodes puts numbers into the places of the rows that have one, -1 into
// the others. dense has one more than there are.
func spreadCodes(codes, dense []int32, bits []uint64) {
	for _, word := range bits {
		part := codes[:min(64, len(codes))]
		codes = codes[len(part):]
		k := 0
		for i := range part {
			has := int32(word & 1)
			word >>= 1
			part[i] = dense[k]&-has | (has - 1)
			k += int(has)
		}
		dense = dense[k:]
	}
}

// spread moves the values, which stand at the front, into the places of the
// rows that have one.
func spread[T any](v []T, filled int, null []bool) bool {
	if null == nil {
		return true
	}
	var zero T
	k := filled
	for i := len(null) - 1; i >= 0; i-- {
		if null[i] {
			v[i] = zero
			continue
		}
		k--
		v[i] = v[k]
	}
	return true
}

func spreadFixed(out, dense []byte, null []bool, width int) bool {
	if null == nil {
		copy(out, dense)
		return true
	}
	for i, skip := range null {
		at := out[i*width : (i+1)*width]
		if skip {
			clear(at)
			continue
		}
		copy(at, dense)
		dense = dense[width:]
	}
	return true
}

// readTexts reads texts of 4 bytes of length each; they share one copy.
func readTexts(body []byte, out []string) bool {
	if len(out) > len(body)/4 {
		return len(out) == 0
	}
	all := string(body)
	at := 0
	for i := range out {
		if at+4 > len(all) {
			return false
		}
		size := int(binary.LittleEndian.Uint32(body[at:]))
		at += 4
		if size > len(all)-at {
			return false
		}
		out[i] = all[at : at+size]
		at += size
	}
	return true
}

func readPlainInts(body []byte, typ colType, out []int64) bool {
	switch typ {
	case typeInt32:
		if len(out) > len(body)/4 {
			return len(out) == 0
		}
		for i := range out {
			out[i] = int64(int32(binary.LittleEndian.Uint32(body[4*i:])))
		}
		return true
	case typeBool:
		if len(out) > len(body)*8 {
			return false
		}
		for i := range out {
			out[i] = int64(body[i/8] >> (i % 8) & 1)
		}
		return true
	}
	if len(out) > len(body)/8 {
		return len(out) == 0
	}
	for i := range out {
		out[i] = int64(binary.LittleEndian.Uint64(body[8*i:]))
	}
	return true
}

// pageHeader is what a reader needs of Parquet's PageHeader.
type pageHeader struct{ unpacked, packed, values int }

// readPageHeader reads the fields that emit writes, and returns the header's
// length. The page's checksum has been verified, so that anything else than
// what emit wrote is damage.
func readPageHeader(b []byte) (h pageHeader, n int, ok bool) {
	d := dec{b: b}
	depth, last := 0, 0
	var lasts [4]int
	for d.err == nil {
		f := d.byte()
		if f == 0 {
			if depth == 0 {
				return h, len(b) - len(d.b), d.err == nil
			}
			depth--
			last = lasts[depth]
			continue
		}
		last += int(f >> 4)
		switch f & 15 {
		case 5:
			v := int(d.sv())
			switch {
			case depth == 0 && last == 2:
				h.unpacked = v
			case depth == 0 && last == 3:
				h.packed = v
			case depth == 1 && last == 1:
				h.values = v
			}
		case 12:
			if depth == len(lasts)-1 {
				return h, 0, false
			}
			lasts[depth] = last
			depth, last = depth+1, 0
		default:
			return h, 0, false
		}
	}
	return h, 0, false
}
