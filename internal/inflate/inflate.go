package inflate

import (
	"encoding/binary"
	"errors"
	"io"
)

// ErrTooLong is returned when the content is longer than the limit.
var ErrTooLong = errors.New("gzip: the content is too long")

// ErrCorrupt is returned for what no packer writes.
var ErrCorrupt = errors.New("deflate: the data is corrupt")

const (
	// slack is the room that one step may write to: three literals, the longest
	// match, and what copying eight bytes at a time writes beyond it.
	slack    = 3 + 258 + 8
	litBits  = 10 // of a code, looked up at once
	distBits = 8
	maxBits  = 15
)

// decoder unpacks one deflate stream.
type decoder struct {
	src  []byte
	pos  int    // of the next byte of src to take into bits
	bits uint64 // not used yet, the next one lowest
	n    int    // how many of them are there; less than 0: more than src has were used
	out  []byte // as long as there is room
	o    int    // how much of it is written
	room func(int) error
	// limit is how long the content may be.
	limit int

	lens      [320]uint8
	lit, dist []entry
	own       [2][]entry // room for lit and dist
	pre       []entry
}

// maxStep bounds the room that is asked for at once.
const maxStep = 4 << 20

// grow makes room for n more bytes.
func (d *decoder) grow(n int) error {
	if len(d.out)-d.o >= n {
		return nil
	}
	if d.o > d.limit || n > d.limit-d.o+slack {
		return ErrTooLong
	}
	size := d.o + max(n, min(max(d.o, 4096), maxStep, d.limit-d.o+slack))
	if err := d.room(size - len(d.out)); err != nil {
		return err
	}
	if size <= cap(d.out) {
		d.out = d.out[:size]
		return nil
	}
	out := make([]byte, size)
	copy(out, d.out[:d.o])
	d.out = out
	return nil
}

// refill takes as many whole bytes as there is room for: 56 bits or more, until
// src ends.
func (d *decoder) refill() {
	if d.pos+8 <= len(d.src) {
		d.bits |= binary.LittleEndian.Uint64(d.src[d.pos:]) << (uint(d.n) & 63)
		d.pos += (63 - d.n) >> 3
		d.n |= 56
		return
	}
	for d.n < 56 && d.pos < len(d.src) {
		d.bits |= uint64(d.src[d.pos]) << (uint(d.n) & 63)
		d.pos++
		d.n += 8
	}
}

// take returns the next k bits, at most 32.
func (d *decoder) take(k int) (uint32, error) {
	if d.n < k {
		if d.refill(); d.n < k {
			return 0, io.ErrUnexpectedEOF
		}
	}
	x := uint32(d.bits & (1<<uint(k) - 1))
	d.bits >>= uint(k)
	d.n -= k
	return x, nil
}

// inflate unpacks a stream of which matches reach back to base at most, and
// returns what is behind it.
func (d *decoder) inflate(src []byte, base int) ([]byte, error) {
	d.src, d.pos, d.bits, d.n = src, 0, 0, 0
	for last := uint32(0); last == 0; {
		head, err := d.take(3)
		if err != nil {
			return nil, err
		}
		last = head & 1
		switch head >> 1 {
		case 0:
			err = d.stored()
		case 1:
			d.lit, d.dist = fixedTables()
			err = d.block(base)
		case 2:
			if err = d.tables(); err == nil {
				err = d.block(base)
			}
		default:
			err = ErrCorrupt
		}
		if err != nil {
			return nil, err
		}
	}
	d.align()
	return d.src[d.pos:], nil
}

// align gives back the whole bytes that were not used.
func (d *decoder) align() {
	d.pos -= d.n >> 3
	d.bits, d.n = 0, 0
}

func (d *decoder) stored() error {
	d.align()
	if len(d.src)-d.pos < 4 {
		return io.ErrUnexpectedEOF
	}
	size := binary.LittleEndian.Uint16(d.src[d.pos:])
	if size != ^binary.LittleEndian.Uint16(d.src[d.pos+2:]) {
		return ErrCorrupt
	}
	d.pos += 4
	if len(d.src)-d.pos < int(size) {
		return io.ErrUnexpectedEOF
	}
	if err := d.grow(int(size)); err != nil {
		return err
	}
	d.o += copy(d.out[d.o:], d.src[d.pos:d.pos+int(size)])
	d.pos += int(size)
	return nil
}

// block unpacks the symbols of a block. What it changes is kept in local
// variables, which is most of its speed.
func (d *decoder) block(base int) error {
	src, out, lit, dist := d.src, d.out, d.lit, d.dist
	pos, bits, n, o := d.pos, d.bits, d.n, d.o
	const litMask, distMask = 1<<litBits - 1, 1<<distBits - 1
	if len(lit) <= litMask || len(dist) <= distMask {
		return ErrCorrupt // never: build makes them longer
	}
	for {
		if len(out)-o < slack {
			d.o = o
			if err := d.grow(slack); err != nil {
				return err
			}
			out = d.out
		}
		if pos+8 <= len(src) {
			bits |= binary.LittleEndian.Uint64(src[pos:]) << (uint(n) & 63)
			pos += (63 - n) >> 3
			n |= 56
		} else {
			for n < 56 && pos < len(src) {
				bits |= uint64(src[pos]) << (uint(n) & 63)
				pos++
				n += 8
			}
		}
		e := lit[bits&litMask]
		if e&isLiteral != 0 {
			out[o] = e.value()
			o++
			bits >>= e.used()
			n -= int(e.used())
			if e = lit[bits&litMask]; e&isLiteral != 0 {
				out[o] = e.value()
				o++
				bits >>= e.used()
				n -= int(e.used())
				if e = lit[bits&litMask]; e&isLiteral != 0 {
					out[o] = e.value()
					o++
					bits >>= e.used()
					n -= int(e.used())
					if n < 0 {
						return io.ErrUnexpectedEOF
					}
					continue
				}
			}
			if n < 0 {
				return io.ErrUnexpectedEOF
			}
			if pos+8 <= len(src) {
				bits |= binary.LittleEndian.Uint64(src[pos:]) << (uint(n) & 63)
				pos += (63 - n) >> 3
				n |= 56
			} else {
				for n < 56 && pos < len(src) {
					bits |= uint64(src[pos]) << (uint(n) & 63)
					pos++
					n += 8
				}
			}
		}
		if e&isSub != 0 {
			bits >>= litBits
			n -= litBits
			at := int(e.base()) + int(bits&(1<<e.extra()-1))
			if at >= len(lit) {
				return ErrCorrupt
			}
			if e = lit[at]; e&isLiteral != 0 {
				out[o] = e.value()
				o++
				bits >>= e.used()
				if n -= int(e.used()); n < 0 {
					return io.ErrUnexpectedEOF
				}
				continue
			}
		}
		bits >>= e.used()
		n -= int(e.used())
		if e&(isEnd|isBad) != 0 {
			if n < 0 {
				return io.ErrUnexpectedEOF
			}
			if e&isBad != 0 {
				return ErrCorrupt
			}
			d.pos, d.bits, d.n, d.o = pos, bits, n, o
			return nil
		}
		length := int(e.base()) + int(bits&(1<<e.extra()-1))
		bits >>= e.extra()
		n -= int(e.extra())
		e = dist[bits&distMask]
		if e&isSub != 0 {
			bits >>= distBits
			n -= distBits
			at := int(e.base()) + int(bits&(1<<e.extra()-1))
			if at >= len(dist) {
				return ErrCorrupt
			}
			e = dist[at]
		}
		bits >>= e.used()
		n -= int(e.used())
		back := int(e.base()) + int(bits&(1<<e.extra()-1))
		bits >>= e.extra()
		if n -= int(e.extra()); n < 0 {
			return io.ErrUnexpectedEOF
		}
		if e&isBad != 0 || back > o-base {
			return ErrCorrupt
		}
		from, end := o-back, o+length
		if back >= 8 {
			for o < end {
				binary.LittleEndian.PutUint64(out[o:], binary.LittleEndian.Uint64(out[from:]))
				o += 8
				from += 8
			}
		} else {
			for o < end {
				out[o] = out[from]
				o++
				from++
			}
		}
		o = end
	}
}
