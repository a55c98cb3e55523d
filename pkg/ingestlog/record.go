package ingestlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// The signals that a Record may carry; other protocols take other numbers.
const (
	SignalMetrics uint8 = 1
	SignalLogs    uint8 = 2
	SignalSpans   uint8 = 3
)

// Record is one accepted request.
type Record struct {
	Tenant tenant.ID
	Signal uint8
	// Encoding tells how to read the payload: content type and content
	// encoding, at most 255 bytes.
	Encoding string
	// Received is kept to the nanosecond, without its time zone.
	Received time.Time
	Payload  []byte
}

// The layout is drawn in FORMAT.md.
const (
	headerSize  = 48
	maxPayload  = 1 << 30
	recordMagic = "\xb7\x1eRc"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errRecord = errors.New("no record")

// check refuses what the format cannot hold.
func (r *Record) check(maxPayloadBytes int) error {
	switch {
	case len(r.Tenant) == 0 || len(r.Tenant) > 255:
		return fmt.Errorf("cannot log request: %w: tenant is %d bytes long, 1 to 255 are allowed", model.ErrInvalid, len(r.Tenant))
	case len(r.Encoding) > 255:
		return fmt.Errorf("cannot log request: %w: encoding is %d bytes long, at most 255 are allowed", model.ErrInvalid, len(r.Encoding))
	case len(r.Payload) > maxPayloadBytes:
		return fmt.Errorf("cannot log request: %w: payload is %d bytes long, at most %d are allowed", model.ErrInvalid, len(r.Payload), maxPayloadBytes)
	}
	return nil
}

func (r *Record) size() int64 {
	return headerSize + int64(len(r.Tenant)) + int64(len(r.Encoding)) + int64(len(r.Payload))
}

// appendHead appends all of the record but its payload.
func (r *Record) appendHead(dst []byte, salt uint64, pos model.Position) []byte {
	start := len(dst)
	dst = append(dst, recordMagic...)
	dst = append(dst, make([]byte, headerSize-len(recordMagic))...)
	dst = append(append(dst, r.Tenant...), r.Encoding...)
	h := dst[start : start+headerSize]
	binary.LittleEndian.PutUint64(h[8:], salt)
	binary.LittleEndian.PutUint64(h[16:], uint64(pos))
	binary.LittleEndian.PutUint64(h[24:], uint64(r.Received.UnixNano()))
	binary.LittleEndian.PutUint32(h[32:], uint32(len(r.Payload)))
	h[36], h[37], h[38] = byte(len(r.Tenant)), byte(len(r.Encoding)), r.Signal
	body := crc32.Checksum(dst[start+headerSize:], castagnoli)
	binary.LittleEndian.PutUint32(h[40:], crc32.Update(body, castagnoli, r.Payload))
	binary.LittleEndian.PutUint32(h[4:], crc32.Checksum(h[8:], castagnoli))
	return dst
}

// header is the fixed part of a record as it was read.
type header struct {
	salt       uint64
	pos        model.Position
	received   int64
	payloadLen int
	tenantLen  int
	encLen     int
	signal     uint8
	bodyCRC    uint32
}

func (h *header) bodySize() int64 { return int64(h.tenantLen) + int64(h.encLen) + int64(h.payloadLen) }

// parseHeader reads a header out of at least headerSize bytes.
func parseHeader(b []byte) (header, error) {
	if string(b[:4]) != recordMagic || crc32.Checksum(b[8:headerSize], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return header{}, errRecord
	}
	h := header{
		salt:       binary.LittleEndian.Uint64(b[8:]),
		pos:        model.Position(binary.LittleEndian.Uint64(b[16:])),
		received:   int64(binary.LittleEndian.Uint64(b[24:])),
		payloadLen: int(binary.LittleEndian.Uint32(b[32:])),
		tenantLen:  int(b[36]), encLen: int(b[37]), signal: b[38],
		bodyCRC: binary.LittleEndian.Uint32(b[40:]),
	}
	if h.pos == 0 || h.payloadLen > maxPayload {
		return header{}, errRecord
	}
	return h, nil
}

// record makes the Record of a verified body, which it aliases.
func (h *header) record(body []byte) (*Record, error) {
	t, err := tenant.Parse(string(body[:h.tenantLen]))
	if err != nil || h.tenantLen == 0 {
		return nil, fmt.Errorf("tenant %q is not a valid name", body[:h.tenantLen])
	}
	return &Record{
		Tenant: t, Signal: h.signal, Encoding: string(body[h.tenantLen : h.tenantLen+h.encLen]),
		Received: time.Unix(0, h.received), Payload: body[h.tenantLen+h.encLen:],
	}, nil
}
