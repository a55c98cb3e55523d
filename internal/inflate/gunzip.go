package inflate

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"sync"
)

// ErrHeader is returned for what does not begin as gzip.
var ErrHeader = errors.New("not gzip: the header is damaged")

// ErrChecksum is returned when the content is not what was packed.
var ErrChecksum = errors.New("gzip: the checksum or the length differs")

var pool = sync.Pool{New: func() any { return new(decoder) }}

// Gunzip appends the content of a gzip stream, at most limit bytes, to dst. Before
// n more bytes of memory are written to, dst's own spare ones included, room(n) is
// asked; its error ends the work and is returned.
func Gunzip(dst, src []byte, limit int, room func(n int) error) ([]byte, error) {
	d := pool.Get().(*decoder)
	defer func() {
		d.src, d.out, d.room = nil, nil, nil
		pool.Put(d)
	}()
	d.out, d.o, d.room, d.limit = dst, len(dst), room, limit+len(dst)
	for first := true; first || len(src) > 0; first = false {
		rest, err := skipHeader(src)
		if err != nil {
			return nil, err
		}
		from := d.o
		if first {
			if err := d.grow(min(guess(src), limit+slack)); err != nil {
				return nil, err
			}
		}
		if src, err = d.inflate(rest, from); err != nil {
			return nil, err
		}
		if len(src) < 8 {
			return nil, io.ErrUnexpectedEOF
		}
		if d.o > d.limit {
			return nil, ErrTooLong
		}
		got := d.out[from:d.o]
		if crc32.ChecksumIEEE(got) != binary.LittleEndian.Uint32(src) || uint32(len(got)) != binary.LittleEndian.Uint32(src[4:]) {
			return nil, ErrChecksum
		}
		src = src[8:]
	}
	return d.out[:d.o], nil
}

// guess says how long the content may be: what the end of the body says, as far
// as that is likely.
func guess(src []byte) int {
	if len(src) < 4 {
		return 0
	}
	said := binary.LittleEndian.Uint32(src[len(src)-4:])
	return int(min(uint64(said), uint64(len(src))*16)) + slack
}

const (
	flagCRC     = 1 << 1
	flagExtra   = 1 << 2
	flagName    = 1 << 3
	flagComment = 1 << 4
)

// skipHeader returns what is behind the header of a member.
func skipHeader(src []byte) ([]byte, error) {
	if len(src) < 10 {
		return nil, short(src)
	}
	if src[0] != 0x1f || src[1] != 0x8b || src[2] != 8 {
		return nil, ErrHeader
	}
	flags, at := src[3], 10
	if flags&flagExtra != 0 {
		if len(src) < at+2 {
			return nil, io.ErrUnexpectedEOF
		}
		at += 2 + int(binary.LittleEndian.Uint16(src[at:]))
	}
	for _, f := range []byte{flagName, flagComment} {
		for ended := flags&f == 0; !ended; at++ {
			if at >= len(src) {
				return nil, io.ErrUnexpectedEOF
			}
			ended = src[at] == 0
		}
	}
	if flags&flagCRC != 0 {
		if len(src) < at+2 {
			return nil, io.ErrUnexpectedEOF
		}
		if uint16(crc32.ChecksumIEEE(src[:at])) != binary.LittleEndian.Uint16(src[at:]) {
			return nil, ErrHeader
		}
		at += 2
	}
	if at > len(src) {
		return nil, io.ErrUnexpectedEOF
	}
	return src[at:], nil
}

// short tells a header that is cut off from none.
func short(src []byte) error {
	if len(src) >= 2 && (src[0] != 0x1f || src[1] != 0x8b) {
		return ErrHeader
	}
	return io.ErrUnexpectedEOF
}
