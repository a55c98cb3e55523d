package ingestlog

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"

	"braid/pkg/model"
)

// scanBytes is what is read at once while looking for the next record.
const scanBytes = 256 << 10

// scanner reads the records of one segment, in order, over damage.
type scanner struct {
	r    io.ReaderAt
	size int64
	off  int64
	// salt is the segment's; a record of another is stale bytes or was forged
	// inside of a payload. Not known while the segment's header is damaged: then
	// the first whole record decides.
	salt   uint64
	salted bool
	last   model.Position

	window []byte // bytes of the file from windowAt on
	at     int64
	body   []byte
	damage func(offset, length int64, reason string)
}

// newScanner reads the segment's header. Damage is told to the function as it
// is met.
func newScanner(r io.ReaderAt, size int64, damage func(offset, length int64, reason string)) (*scanner, error) {
	s := &scanner{r: r, size: size, damage: damage}
	h, err := s.peek(0, segmentHeader)
	if err != nil {
		return nil, err
	}
	salt, ok, err := parseSegmentHeader(h)
	if err != nil {
		return nil, err
	}
	if ok {
		s.salt, s.salted, s.off = salt, true, segmentHeader
		return s, nil
	}
	if _, ok := s.headerAt(segmentHeader); ok {
		s.damage(0, segmentHeader, "the segment's header is damaged")
		s.off = segmentHeader
	}
	return s, nil
}

// peek returns up to n bytes at an offset; fewer at the end of the segment.
// They are valid until the next call.
func (s *scanner) peek(off int64, n int) ([]byte, error) {
	if off >= s.size {
		return nil, nil
	}
	n = int(min(int64(n), s.size-off))
	if off >= s.at && off+int64(n) <= s.at+int64(len(s.window)) {
		return s.window[off-s.at:][:n], nil
	}
	if s.window == nil {
		s.window = make([]byte, 0, scanBytes)
	}
	got, err := s.r.ReadAt(s.window[:min(int64(max(n, scanBytes)), s.size-off)], off)
	s.window, s.at = s.window[:got], off
	if got < n {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("cannot read at offset %d: %w", off, err)
	}
	return s.window[:n], nil
}

func (s *scanner) headerAt(off int64) (header, bool) {
	b, err := s.peek(off, headerSize)
	if err != nil || len(b) < headerSize {
		return header{}, false
	}
	h, err := parseHeader(b)
	if err != nil || s.salted && h.salt != s.salt {
		return header{}, false
	}
	return h, true
}

// next returns the next whole record and its position. Its payload is valid
// until the next call. Bodies of positions below from are skipped without a
// look, with a nil record. io.EOF ends the segment.
func (s *scanner) next(ctx context.Context, from model.Position) (model.Position, *Record, error) {
	for {
		if err := ctx.Err(); err != nil {
			return 0, nil, err
		}
		if s.off >= s.size {
			return 0, nil, io.EOF
		}
		start := s.off
		h, ok := s.headerAt(start)
		if !ok {
			if err := s.resync(ctx, start, start+1, "no whole record header"); err != nil {
				return 0, nil, err
			}
			continue
		}
		if h.pos < from && h.pos > s.last && start+headerSize+h.bodySize() <= s.size {
			s.pass(h)
			return h.pos, nil, nil
		}
		rec, reason, err := s.read(h)
		if err != nil {
			return 0, nil, err
		}
		if reason != "" {
			if err := s.resync(ctx, start, start+headerSize, reason); err != nil {
				return 0, nil, err
			}
			continue
		}
		s.pass(h)
		return h.pos, rec, nil
	}
}

func (s *scanner) pass(h header) {
	s.salt, s.salted, s.last = h.salt, true, h.pos
	s.off += headerSize + h.bodySize()
}

// read verifies the record at s.off; reason says why it is none.
func (s *scanner) read(h header) (rec *Record, reason string, err error) {
	size := h.bodySize()
	switch {
	case s.off+headerSize+size > s.size:
		return nil, fmt.Sprintf("record %d is cut off", h.pos), nil
	case h.pos <= s.last:
		return nil, fmt.Sprintf("record %d comes after record %d", h.pos, s.last), nil
	}
	if int64(cap(s.body)) < size {
		s.body = make([]byte, size)
	}
	s.body = s.body[:size]
	if n, err := s.r.ReadAt(s.body, s.off+headerSize); int64(n) < size {
		return nil, fmt.Sprintf("record %d cannot be read: %v", h.pos, err), nil
	}
	if got := crc32.Checksum(s.body, castagnoli); got != h.bodyCRC {
		return nil, fmt.Sprintf("record %d has checksum %08x, expected %08x", h.pos, got, h.bodyCRC), nil
	}
	if rec, err = h.record(s.body); err != nil {
		return nil, fmt.Sprintf("record %d: %v", h.pos, err), nil
	}
	return rec, "", nil
}

// resync moves s.off to the first record header at or after an offset, or to
// the end, and tells of the damage from start up to there.
func (s *scanner) resync(ctx context.Context, start, from int64, reason string) error {
	magic := []byte(recordMagic)
	for off := from; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := s.peek(off, scanBytes)
		if err != nil {
			// The disk gives nothing here: try behind the unreadable part.
			if off+readUnit < s.size {
				off += readUnit
				continue
			}
			b = nil
		}
		if len(b) < headerSize {
			s.off = s.size
			break
		}
		i := bytes.Index(b, magic)
		if i < 0 {
			off += int64(len(b) - len(magic) + 1)
			continue
		}
		off += int64(i)
		if h, ok := s.headerAt(off); ok && h.pos > s.last {
			s.off = off
			break
		}
		off++
	}
	s.damage(start, s.off-start, reason)
	return nil
}

// readUnit is the least that a disk fails to give.
const readUnit = 4096
