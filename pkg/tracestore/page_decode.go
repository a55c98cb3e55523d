package tracestore

import (
	"encoding/binary"
)

// decodePage turns the body of a data page into a column of n rows.
func decodePage(d *colDef, encoding uint8, body []byte, h pageHeader, n int, dict *dictionary, codes *[]int32, old *column) (*column, bool) {
	if h.values != n {
		return nil, false
	}
	c := &column{}
	if old == nil {
		old = c
	}
	filled := n
	if d.optional {
		var ok bool
		if c.null, filled, body, ok = readLevels(body, n, codes, old.nulls); !ok {
			return nil, false
		}
	}
	ok := false
	switch {
	case encoding == encDict:
		ok = c.readCodes(body, n, filled, dict, codes, old.codes)
	case d.typ == typeText || d.typ == typeBytes:
		if c.texts, ok = readTexts(body, filled); ok && c.null != nil {
			c.texts = spread(c.texts, c.null)
		}
	case d.typ == typeFixed:
		if ok = len(body) == filled*d.width; ok {
			c.fixed = spreadFixed(body, c.null, n, d.width)
		}
	default:
		if encoding == encDelta {
			c.ints = grown(old.ints, filled)
			ok = readDelta(body, c.ints)
		} else {
			c.ints, ok = readPlainInts(body, d.typ, filled)
		}
		if ok && c.null != nil {
			c.ints = spread(c.ints, c.null)
		}
	}
	switch {
	case c.null != nil:
		c.nulls = c.null
	case c.nulls == nil:
		c.nulls = old.nulls
	}
	return c, ok
}

// grown returns a slice of n, in the memory of s if that is enough.
func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, max(n, pageRows))
	}
	return s[:n]
}

func readLevels(body []byte, n int, codes *[]int32, old []bool) (null []bool, filled int, rest []byte, ok bool) {
	if len(body) < 4 {
		return nil, 0, nil, false
	}
	size := binary.LittleEndian.Uint32(body)
	if uint64(size) > uint64(len(body)-4) {
		return nil, 0, nil, false
	}
	lv := scratch(codes, n)
	if !readHybrid(body[4:4+size], 1, lv) {
		return nil, 0, nil, false
	}
	null = grown(old, n)
	for i, x := range lv {
		filled += int(x)
		null[i] = x == 0
	}
	if filled == n {
		null = nil
	}
	return null, filled, body[4+size:], true
}

func scratch(buf *[]int32, n int) []int32 {
	if cap(*buf) < n {
		*buf = make([]int32, max(n, pageRows))
	}
	return (*buf)[:n]
}

func (c *column) readCodes(body []byte, n, filled int, dict *dictionary, buf *[]int32, old []int32) bool {
	if len(body) < 1 {
		return filled == 0 && c.allNull(n)
	}
	c.dict, c.codes = dict, grown(old, n)
	dense := c.codes
	if c.null != nil {
		dense = scratch(buf, filled)
	}
	if !readHybrid(body[1:], uint(body[0]), dense[:filled]) {
		return false
	}
	size := int32(dict.len())
	for _, x := range dense[:filled] {
		if x < 0 || x >= size {
			return false
		}
	}
	if c.null != nil {
		k := 0
		for i, null := range c.null {
			if null {
				c.codes[i] = -1
				continue
			}
			c.codes[i] = dense[k]
			k++
		}
		c.nulls = c.null
		c.null = nil
	}
	return true
}

func (c *column) allNull(n int) bool {
	c.dict, c.codes, c.null = &dictionary{}, make([]int32, n), nil
	for i := range c.codes {
		c.codes[i] = -1
	}
	return true
}

// spread puts the values of the rows that have one into their places.
func spread[T any](dense []T, null []bool) []T {
	out := make([]T, len(null))
	k := 0
	for i, skip := range null {
		if !skip {
			out[i] = dense[k]
			k++
		}
	}
	return out
}

func spreadFixed(dense []byte, null []bool, n, width int) []byte {
	out := make([]byte, n*width)
	if null == nil {
		copy(out, dense)
		return out
	}
	for i, skip := range null {
		if !skip {
			copy(out[i*width:(i+1)*width], dense)
			dense = dense[width:]
		}
	}
	return out
}

// readTexts reads n texts of 4 bytes of length each; they share one copy.
func readTexts(body []byte, n int) ([]string, bool) {
	if n > len(body)/4 {
		return nil, n == 0
	}
	all := string(body)
	out := make([]string, n)
	at := 0
	for i := range out {
		if at+4 > len(all) {
			return nil, false
		}
		size := int(binary.LittleEndian.Uint32(body[at:]))
		at += 4
		if size > len(all)-at {
			return nil, false
		}
		out[i] = all[at : at+size]
		at += size
	}
	return out, true
}

func readPlainInts(body []byte, typ colType, n int) ([]int64, bool) {
	switch typ {
	case typeInt32:
		if n > len(body)/4 {
			return nil, n == 0
		}
		out := make([]int64, n)
		for i := range out {
			out[i] = int64(int32(binary.LittleEndian.Uint32(body[4*i:])))
		}
		return out, true
	case typeBool:
		if n > len(body)*8 {
			return nil, false
		}
		out := make([]int64, n)
		for i := range out {
			out[i] = int64(body[i/8] >> (i % 8) & 1)
		}
		return out, true
	}
	if n > len(body)/8 {
		return nil, n == 0
	}
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(binary.LittleEndian.Uint64(body[8*i:]))
	}
	return out, true
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
