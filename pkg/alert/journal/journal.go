package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

	"braid/internal/vfs"
)

const (
	magic   = "BRALRT"
	version = 1
	header  = len(magic) + 2
	frame   = 8
	suffix  = ".alj"
	// maxRecord bounds a record, so that a damaged length is not believed.
	maxRecord = 16 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Options of a Journal. Dir is required.
type Options struct {
	FS  vfs.FS // nil means the operating system's
	Dir string
	// SegmentBytes is the size at which a new segment begins; 0 means 8 MiB.
	SegmentBytes int64
	Logger       *slog.Logger
}

// Position is the place of a record: it stays valid until its segment is
// dropped.
type Position struct {
	Segment uint64
	Offset  int64
}

// Journal is safe for concurrent use.
type Journal struct {
	o Options

	mu      sync.Mutex // guards all below, and writes
	file    vfs.File
	segment uint64
	size    int64
	written uint64 // appends written
	// failed are segments of which a write or a sync failed: they take no more,
	// and what waits for their sync is not acknowledged.
	failed  map[uint64]error
	retired []vfs.File // ended segments, closed by whoever syncs next

	syncing sync.Mutex // one sync at a time; taken before mu
	synced  uint64     // appends synced; guarded by syncing
}

// Open replays the records to visit, oldest first, and makes the journal ready
// for Append. The bytes given to visit are its to keep. damaged counts segments
// whose end could not be read.
func Open(o Options, visit func(Position, []byte) error) (j *Journal, damaged int, err error) {
	if o.FS == nil {
		o.FS = vfs.OS
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 8 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := vfs.MkdirAllDurable(o.FS, o.Dir); err != nil {
		return nil, 0, fmt.Errorf("cannot make the folder %s: %w", o.Dir, err)
	}
	j = &Journal{o: o, failed: map[uint64]error{}}
	ids, err := j.segments()
	if err != nil {
		return nil, 0, err
	}
	for _, id := range ids {
		whole, err := j.replay(id, visit)
		if err != nil {
			return nil, 0, err
		}
		if !whole {
			damaged++
		}
		j.segment = id
	}
	// A new process writes a new segment: nothing is ever written behind a torn
	// frame.
	if err := j.rotate(); err != nil {
		return nil, 0, err
	}
	return j, damaged, nil
}

func (j *Journal) path(id uint64) string {
	return filepath.Join(j.o.Dir, fmt.Sprintf("%010d%s", id, suffix))
}

// segments lists the segments, oldest first.
func (j *Journal) segments() ([]uint64, error) {
	entries, err := j.o.FS.ReadDir(j.o.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", j.o.Dir, err)
	}
	var out []uint64
	for _, e := range entries {
		var id uint64
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok {
			continue
		}
		if _, err := fmt.Sscanf(name, "%010d", &id); err == nil && id > 0 {
			out = append(out, id)
		}
	}
	return out, nil // names of equal length sort as their numbers
}

// replay reads one segment; whole is false when its end could not be read.
func (j *Journal) replay(id uint64, visit func(Position, []byte) error) (whole bool, err error) {
	data, err := j.o.FS.ReadFile(j.path(id))
	if err != nil {
		return false, fmt.Errorf("cannot read %s: %w", j.path(id), err)
	}
	if len(data) == 0 {
		return true, nil // made and never written
	}
	if len(data) < header || string(data[:len(magic)]) != magic {
		j.o.Logger.Warn("alerting journal is not one, or its head is damaged: skipped", "file", j.path(id))
		return false, nil
	}
	if v := binary.LittleEndian.Uint16(data[len(magic):]); v != version {
		return false, fmt.Errorf("cannot read %s: format version %d, this program knows %d", j.path(id), v, version)
	}
	for off := header; off < len(data); {
		body, n := decode(data[off:])
		if n == 0 {
			j.o.Logger.Warn("alerting journal ends in a damaged record", "file", j.path(id), "offset", off, "bytes", len(data)-off)
			return false, nil
		}
		if err := visit(Position{id, int64(off)}, body); err != nil {
			return false, fmt.Errorf("cannot read %s at offset %d: %w", j.path(id), off, err)
		}
		off += n
	}
	return true, nil
}

// decode reads a frame; n is 0 when it does not check.
func decode(b []byte) (body []byte, n int) {
	if len(b) < frame {
		return nil, 0
	}
	size := binary.LittleEndian.Uint32(b)
	if size > maxRecord || int(size) > len(b)-frame {
		return nil, 0
	}
	body = b[frame : frame+int(size)]
	if sum(b[:4], body) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, 0
	}
	return append([]byte(nil), body...), frame + int(size)
}

func sum(length, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli), castagnoli, body)
}

func encode(to []byte, body []byte) []byte {
	to = binary.LittleEndian.AppendUint32(to, uint32(len(body)))
	to = binary.LittleEndian.AppendUint32(to, sum(to[len(to)-4:], body))
	return append(to, body...)
}

// rotate begins a segment. Called with mu held, or before the journal is shared.
func (j *Journal) rotate() error {
	id := j.segment + 1
	f, err := j.o.FS.Create(j.path(id))
	if err != nil {
		return fmt.Errorf("cannot begin %s: %w", j.path(id), err)
	}
	head := binary.LittleEndian.AppendUint16([]byte(magic), version)
	if _, err = f.Write(head); err == nil {
		err = j.o.FS.SyncDir(j.o.Dir)
	}
	if err != nil {
		return fmt.Errorf("cannot begin %s: %w", j.path(id), errors.Join(err, f.Close()))
	}
	if j.file != nil {
		if j.failed[j.segment] == nil {
			if err := j.file.Sync(); err != nil { // not again: a second sync may lie
				j.failed[j.segment] = fmt.Errorf("cannot sync %s: %w", j.path(j.segment), err)
			}
		}
		j.retired = append(j.retired, j.file)
	}
	j.file, j.segment, j.size = f, id, int64(len(head))
	return nil
}

// Append writes records and returns their places once they are on disk.
func (j *Journal) Append(records ...[]byte) ([]Position, error) {
	wait, err := j.Begin(records...)
	if err != nil {
		return nil, err
	}
	return wait()
}

// Begin writes records behind all that were begun before, and returns a
// function that waits until they are on disk. What was begun outlives the
// process, and a power loss once the wait has ended: so a caller can fix the
// order of records under a lock of its own, and wait without it.
func (j *Journal) Begin(records ...[]byte) (wait func() ([]Position, error), err error) {
	segment, places, seq, err := j.write(records)
	if err != nil {
		return nil, err
	}
	return func() ([]Position, error) { return j.wait(segment, places, seq) }, nil
}

func (j *Journal) wait(segment uint64, places []Position, seq uint64) ([]Position, error) {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	file, current, upTo, failed, retired := j.file, j.segment, j.written, j.failed[segment], j.retired
	j.retired = nil
	j.mu.Unlock()
	for _, f := range retired {
		_ = f.Close() // synced when its segment ended
	}
	switch {
	case failed != nil:
		return nil, failed
	case j.synced >= seq:
		return places, nil
	case file == nil:
		return nil, errClosed
	}
	if err := file.Sync(); err != nil {
		err = fmt.Errorf("cannot sync %s: %w", j.path(current), err)
		j.mu.Lock()
		j.failed[current] = err
		j.mu.Unlock()
		return nil, err
	}
	j.synced = upTo
	return places, nil
}

var errClosed = errors.New("the alerting journal is closed")

func (j *Journal) write(records [][]byte) (segment uint64, places []Position, seq uint64, err error) {
	var buf []byte
	for _, r := range records {
		if len(r) > maxRecord {
			return 0, nil, 0, fmt.Errorf("cannot keep a record of %d bytes: at most %d", len(r), maxRecord)
		}
		buf = encode(buf, r)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return 0, nil, 0, errClosed
	}
	if j.size >= j.o.SegmentBytes || j.failed[j.segment] != nil {
		if err := j.rotate(); err != nil {
			return 0, nil, 0, err
		}
	}
	at := j.size
	n, err := j.file.Write(buf)
	j.size += int64(n)
	if err != nil {
		j.failed[j.segment] = fmt.Errorf("cannot write %s: %w", j.path(j.segment), err)
		return 0, nil, 0, j.failed[j.segment]
	}
	for _, r := range records {
		places = append(places, Position{j.segment, at})
		at += int64(frame + len(r))
	}
	j.written++
	return j.segment, places, j.written, nil
}

// Read returns the record at a place.
func (j *Journal) Read(at Position) ([]byte, error) {
	f, err := j.o.FS.Open(j.path(at.Segment))
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", j.path(at.Segment), err)
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, frame)
	if _, err := f.ReadAt(head, at.Offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("cannot read %s at offset %d: %w", j.path(at.Segment), at.Offset, err)
	}
	size := binary.LittleEndian.Uint32(head)
	if size > maxRecord {
		return nil, fmt.Errorf("%s is damaged at offset %d", j.path(at.Segment), at.Offset)
	}
	whole := append(head, make([]byte, size)...)
	if _, err := f.ReadAt(whole[frame:], at.Offset+frame); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("cannot read %s at offset %d: %w", j.path(at.Segment), at.Offset, err)
	}
	body, n := decode(whole)
	if n == 0 {
		return nil, fmt.Errorf("%s is damaged at offset %d", j.path(at.Segment), at.Offset)
	}
	return body, nil
}

// Compact replaces all records by the given ones. A crash in between leaves
// both, the given ones last.
func (j *Journal) Compact(records ...[]byte) error {
	j.mu.Lock()
	err := j.rotate()
	keep := j.segment
	j.mu.Unlock()
	if err != nil {
		return err
	}
	if len(records) > 0 {
		if _, err := j.Append(records...); err != nil {
			return err
		}
	}
	return j.DropBefore(keep)
}

// DropBefore forgets the segments before one, but never the newest.
func (j *Journal) DropBefore(segment uint64) error {
	ids, err := j.segments()
	if err != nil {
		return err
	}
	j.mu.Lock()
	newest := j.segment
	j.mu.Unlock()
	dropped := false
	for _, id := range ids {
		if id >= segment || id >= newest {
			break
		}
		if err := j.o.FS.Remove(j.path(id)); err != nil {
			return fmt.Errorf("cannot remove %s: %w", j.path(id), err)
		}
		dropped = true
	}
	if !dropped {
		return nil
	}
	return j.o.FS.SyncDir(j.o.Dir)
}

// Segments returns the numbers of the segments, oldest first.
func (j *Journal) Segments() ([]uint64, error) { return j.segments() }

// Close ends writing.
func (j *Journal) Close() error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := errors.Join(j.file.Sync(), j.file.Close())
	for _, f := range j.retired {
		_ = f.Close()
	}
	j.file, j.retired = nil, nil
	return err
}
