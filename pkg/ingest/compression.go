package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// Compression names how a body is packed, as Content-Encoding does; "" is not
// at all.
type Compression string

// The compressions that are read.
const (
	Plain   Compression = ""
	Gzip    Compression = "gzip"
	Zstd    Compression = "zstd"
	Deflate Compression = "deflate"
	Snappy  Compression = "snappy" // one block, as remote write and Loki have it
)

// parseCompression reads a Content-Encoding header.
func parseCompression(header string) (Compression, error) {
	switch c := Compression(header); c {
	case Plain, "identity":
		return Plain, nil
	case Gzip, Zstd, Deflate, Snappy:
		return c, nil
	case "x-gzip":
		return Gzip, nil
	}
	return "", &BadRequestError{Field: "Content-Encoding",
		Err: fmt.Errorf("Content-Encoding %q is %w; use gzip, zstd, deflate, snappy or none", clip(header, 64), errUnsupported)}
}

var (
	gzipPool = sync.Pool{New: func() any { return new(gzip.Reader) }}
	zstdPool = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil // the options are constant; NewReader checks nothing else
		}
		return d
	}}
	bytesPool = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

// keepBufferBytes is the largest buffer that goes back to its pool.
const keepBufferBytes = 4 << 20

func getBuffer() *bytes.Buffer { return bytesPool.Get().(*bytes.Buffer) }

func putBuffer(b *bytes.Buffer) {
	if b != nil && b.Cap() <= keepBufferBytes {
		b.Reset()
		bytesPool.Put(b)
	}
}

// unpack decompresses a body into dst and returns the plain bytes (body itself
// when it is not packed). It never makes more than limit bytes, whatever a
// header says, and takes them from the lease as they come.
func unpack(dst *bytes.Buffer, body []byte, c Compression, limit int, l *lease) ([]byte, error) {
	if len(body) > limit {
		return nil, &TooLargeError{What: "the request body", Limit: limit}
	}
	var err error
	switch c {
	case Plain:
		return body, nil
	case Gzip:
		r := gzipPool.Get().(*gzip.Reader)
		defer gzipPool.Put(r)
		if err = r.Reset(bytes.NewReader(body)); err == nil {
			err = copyBounded(dst, r, limit, l)
		}
	case Deflate:
		var r io.ReadCloser
		if r, err = zlib.NewReader(bytes.NewReader(body)); err == nil {
			err = copyBounded(dst, r, limit, l)
		}
	case Zstd:
		r, ok := zstdPool.Get().(*zstd.Decoder)
		if !ok {
			return nil, errors.New("cannot make a zstd decoder")
		}
		if err = r.Reset(bytes.NewReader(body)); err == nil {
			err = copyBounded(dst, r, limit, l)
		}
		if r.Reset(nil) == nil {
			zstdPool.Put(r)
		}
	case Snappy:
		return unpackSnappy(dst, body, limit, l)
	default:
		err = errUnsupported
	}
	if err != nil {
		return nil, unpackError(c, err)
	}
	return dst.Bytes(), nil
}

// unpackError tells the sender's damage from our limits.
func unpackError(c Compression, err error) error {
	var large *TooLargeError
	if errors.As(err, &large) || isOverload(err) {
		return err
	}
	return &BadRequestError{Field: "body", Err: fmt.Errorf("cannot decompress the %s body: %w", c, err)}
}

// copyBounded reads r to its end in growing steps.
func copyBounded(dst *bytes.Buffer, r io.Reader, limit int, l *lease) error {
	step := 32 << 10
	for {
		if err := l.grow(int64(step)); err != nil {
			return err
		}
		n, err := io.CopyN(dst, r, int64(step))
		if dst.Len() > limit {
			return &TooLargeError{What: "the request body after decompression", Limit: limit}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case n == int64(step):
			step = min(2*step, 4<<20)
		}
	}
}

func unpackSnappy(dst *bytes.Buffer, body []byte, limit int, l *lease) ([]byte, error) {
	n, err := snappy.DecodedLen(body)
	if err != nil {
		return nil, unpackError(Snappy, err)
	}
	if n > limit {
		return nil, &TooLargeError{What: "the request body after decompression", Limit: limit}
	}
	// A snappy block is at most 64 bytes out for 3 in; more is a lie of the header.
	if head := len(binary.AppendUvarint(nil, uint64(n))); n > 64*(len(body)-head)+64 {
		return nil, unpackError(Snappy, snappy.ErrCorrupt)
	}
	if err := l.grow(int64(n)); err != nil {
		return nil, err
	}
	dst.Grow(n)
	out, err := snappy.Decode(dst.AvailableBuffer()[:n], body)
	if err != nil {
		return nil, unpackError(Snappy, err)
	}
	return out, nil
}
