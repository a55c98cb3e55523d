package otlp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// The wire types of protobuf.
const (
	wireVarint = 0
	wireI64    = 1
	wireLen    = 2
	wireStart  = 3
	wireEnd    = 4
	wireI32    = 5
)

var (
	errVarint    = errors.New("varint of more than 64 bits")
	errLength    = errors.New("negative length")
	errField     = errors.New("field number 0 or below")
	errGroup     = errors.New("end of a group that did not begin")
	errWireType  = errors.New("unknown wire type")
	errRemainder = errors.New("packed list of the wrong length")
)

// reader walks the fields of one message. The first error sticks and ends the
// walk; num and wire are those of the field that next found.
type reader struct {
	b    []byte
	p    int
	err  error
	num  int32
	wire uint8
}

// next moves to the next field.
func (r *reader) next() bool {
	if r.p >= len(r.b) || r.err != nil {
		return false
	}
	t := uint64(r.b[r.p])
	if t < 0x80 {
		r.p++
	} else {
		t = r.uvarint()
	}
	r.num, r.wire = int32(t>>3), uint8(t&7)
	if r.num <= 0 {
		r.fail(errField)
		return false
	}
	return r.err == nil
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.p = len(r.b)
}

// want notes an error when the present field has another wire type.
func (r *reader) want(wire uint8) bool {
	if r.wire == wire {
		return r.err == nil
	}
	r.fail(fmt.Errorf("field %d has wire type %d, not %d", r.num, r.wire, wire))
	return false
}

func (r *reader) uvarint() uint64 {
	var v uint64
	for shift := uint(0); shift < 64; shift += 7 {
		if r.p >= len(r.b) {
			r.fail(io.ErrUnexpectedEOF)
			return 0
		}
		c := r.b[r.p]
		r.p++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.fail(errVarint)
	return 0
}

func (r *reader) varint() uint64 {
	if !r.want(wireVarint) {
		return 0
	}
	return r.uvarint()
}

func (r *reader) uint32() uint32 { return uint32(r.varint()) }

// sint32 reads a zigzag number.
func (r *reader) sint32() int32 {
	n := uint32(r.varint())
	return int32(n>>1) ^ -int32(n&1)
}

func (r *reader) fixed64() uint64 {
	if !r.want(wireI64) {
		return 0
	}
	return r.raw64()
}

func (r *reader) raw64() uint64 {
	if len(r.b)-r.p < 8 {
		r.fail(io.ErrUnexpectedEOF)
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b[r.p:])
	r.p += 8
	return v
}

func (r *reader) fixed32() uint32 {
	if !r.want(wireI32) {
		return 0
	}
	return r.raw32()
}

func (r *reader) raw32() uint32 {
	if len(r.b)-r.p < 4 {
		r.fail(io.ErrUnexpectedEOF)
		return 0
	}
	v := binary.LittleEndian.Uint32(r.b[r.p:])
	r.p += 4
	return v
}

func (r *reader) double() float64 { return math.Float64frombits(r.fixed64()) }

// nanos reads a time, which OTLP counts unsigned; what is beyond int64 (after
// the year 2262) becomes the last instant that there is.
func (r *reader) nanos() int64 { return int64(min(r.fixed64(), math.MaxInt64)) }

// bytes returns a length-delimited field; it aliases the message.
func (r *reader) bytes() []byte {
	if !r.want(wireLen) {
		return nil
	}
	return r.rawBytes()
}

func (r *reader) rawBytes() []byte {
	var n uint64
	if r.p < len(r.b) && r.b[r.p] < 0x80 {
		n = uint64(r.b[r.p])
		r.p++
	} else if n = r.uvarint(); r.err != nil {
		return nil
	}
	if int64(n) < 0 {
		r.fail(errLength)
		return nil
	}
	if n > uint64(len(r.b)-r.p) {
		r.fail(io.ErrUnexpectedEOF)
		return nil
	}
	v := r.b[r.p : r.p+int(n) : r.p+int(n)]
	r.p += int(n)
	return v
}

// skip passes over the present field, which nobody knows.
func (r *reader) skip() {
	depth := 0
	wire := r.wire
	for {
		switch wire {
		case wireVarint:
			r.uvarint()
		case wireI64:
			r.raw64()
		case wireLen:
			r.rawBytes()
		case wireI32:
			r.raw32()
		case wireStart:
			depth++
		case wireEnd:
			if depth--; depth < 0 {
				r.fail(errGroup)
			}
		default:
			r.fail(errWireType)
		}
		if r.err != nil || depth == 0 {
			return
		}
		if !r.next() {
			r.fail(io.ErrUnexpectedEOF)
			return
		}
		wire = r.wire
	}
}

// counted is one more than the highest field number that tally counts.
const counted = 17

// tally counts the fields of a message by number, so that exact runs can be
// taken from the slabs. Of a broken message it counts the sound part; the walk
// that follows finds the error.
func tally(b []byte) (n [counted]int) {
	r := reader{b: b}
	for r.next() {
		if r.num < counted {
			n[r.num]++
		}
		switch r.wire {
		case wireLen:
			r.rawBytes()
		case wireI64:
			r.p += 8
		case wireI32:
			r.p += 4
		default:
			r.skip()
		}
	}
	return n
}
