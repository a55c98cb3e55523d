package ingestlog

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"braid/internal/vfs"
	"braid/pkg/model"
)

const (
	segmentMagic  = "BRAIDLOG"
	segmentSuffix = ".log"
	segmentHeader = 32
	formatVersion = 1
	// span is how many positions a segment may use from its first on. A start
	// begins at the last segment's first plus span: thus no position is given
	// out twice, not even one that was lost in the queue when the power failed
	// while a store already kept it.
	span = 1 << 24
)

// ErrVersion is matched when a segment has another format version.
var ErrVersion = errors.New("unsupported ingest log version")

// segment is one file of the log. The last may be active; the others are
// sealed: nothing is written to them any more.
type segment struct {
	path  string
	first model.Position
	// size is what Replay may read: durable, or found when the log was opened.
	size int64
	// last is the greatest position in it, 0 when none or not known.
	last model.Position
}

func segmentName(first model.Position) string {
	return fmt.Sprintf("%020d%s", uint64(first), segmentSuffix)
}

func parseSegmentName(name string) (model.Position, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return model.Position(n), err == nil && n > 0
}

func encodeSegmentHeader(first model.Position, salt uint64) []byte {
	h := make([]byte, segmentHeader)
	copy(h, segmentMagic)
	binary.LittleEndian.PutUint32(h[8:], formatVersion)
	binary.LittleEndian.PutUint64(h[12:], uint64(first))
	binary.LittleEndian.PutUint64(h[20:], salt)
	binary.LittleEndian.PutUint32(h[28:], crc32.Checksum(h[:28], castagnoli))
	return h
}

// parseSegmentHeader returns ok false for a damaged header; the records behind
// it can still be read. Another version is an error.
func parseSegmentHeader(h []byte) (salt uint64, ok bool, err error) {
	if len(h) < segmentHeader || string(h[:8]) != segmentMagic ||
		crc32.Checksum(h[:28], castagnoli) != binary.LittleEndian.Uint32(h[28:]) {
		return 0, false, nil
	}
	if v := binary.LittleEndian.Uint32(h[8:]); v != formatVersion {
		return 0, false, fmt.Errorf("%w: %d, this program knows %d; use the program that wrote it, or a newer one", ErrVersion, v, formatVersion)
	}
	return binary.LittleEndian.Uint64(h[20:]), true, nil
}

// listSegments returns the segments of a folder by position and refuses those
// of another version.
func listSegments(fsys vfs.FS, dir string) ([]*segment, error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []*segment
	for _, e := range entries {
		first, ok := parseSegmentName(e.Name())
		if !ok || e.IsDir() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		s := &segment{path: filepath.Join(dir, e.Name()), first: first, size: info.Size()}
		if err := checkVersion(fsys, s.path); err != nil {
			return nil, fmt.Errorf("segment %q: %w", s.path, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// checkVersion fails for another version only: a header that cannot be read is
// the replay's to report.
func checkVersion(fsys vfs.FS, path string) error {
	f, err := fsys.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	h := make([]byte, segmentHeader)
	if _, err := f.ReadAt(h, 0); err != nil && err != io.EOF {
		return nil
	}
	_, _, err = parseSegmentHeader(h)
	return err
}

// active is the segment being written. Only the writer touches it.
type active struct {
	*segment
	f       vfs.File
	salt    uint64
	written int64 // bytes, durable or not
}

// createSegment makes a new file and its name durable.
func createSegment(fsys vfs.FS, dir string, first model.Position) (*active, error) {
	var raw [8]byte
	if _, err := io.ReadFull(rand.Reader, raw[:]); err != nil {
		return nil, err
	}
	salt := binary.LittleEndian.Uint64(raw[:])
	path := filepath.Join(dir, segmentName(first))
	f, err := fsys.Create(path)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(encodeSegmentHeader(first, salt))
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), fsys.Remove(path))
	}
	s := &segment{path: path, first: first, size: segmentHeader}
	return &active{segment: s, f: f, salt: salt, written: segmentHeader}, nil
}
