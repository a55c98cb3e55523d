package tsdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"braid/pkg/model"
)

// exemplarLog is the append-only file of the exemplars that are in no block
// yet. FORMAT.md draws it. A torn record at its end is cut off at open.
type exemplarLog struct {
	file *os.File
	path string
	size int64  // of the good records in file
	buf  []byte // the record under construction: its payload
	err  error  // a failed sync: nothing may be assumed of the file any more
}

const (
	exemplarLogMagic = "BRDXLOG1"
	entrySeries      = 1
	entryExemplar    = 2
	// maxLogRecord bounds what a damaged length can make the reader allocate;
	// flushLogRecord is where a record is written though no sync asked for it.
	maxLogRecord   = 16 << 20
	flushLogRecord = 256 << 10
)

// openExemplarLog opens or makes a log, yields its entries and cuts a torn end.
func openExemplarLog(path string, series func(id uint64, ls []model.Label), exemplar func(id uint64, e model.Exemplar)) (*exemplarLog, error) {
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	good := replayLog(b, series, exemplar)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	if good == 0 {
		if _, err := f.WriteAt([]byte(exemplarLogMagic), 0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		good = len(exemplarLogMagic)
	}
	if err := f.Truncate(int64(good)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &exemplarLog{file: f, path: path, size: int64(good)}, nil
}

// replayLog yields the entries of a log's bytes and returns how many bytes were
// good; 0 means not even the magic was.
func replayLog(b []byte, series func(uint64, []model.Label), exemplar func(uint64, model.Exemplar)) (good int) {
	if len(b) < len(exemplarLogMagic) || string(b[:len(exemplarLogMagic)]) != exemplarLogMagic {
		return 0
	}
	good = len(exemplarLogMagic)
	for {
		rest := b[good:]
		if len(rest) < 8 {
			return good
		}
		n := binary.LittleEndian.Uint32(rest)
		if n > maxLogRecord || int(n) > len(rest)-8 {
			return good
		}
		payload := rest[8 : 8+n]
		if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(rest[4:]) || !replayRecord(payload, series, exemplar) {
			return good
		}
		good += 8 + int(n)
	}
}

func replayRecord(payload []byte, series func(uint64, []model.Label), exemplar func(uint64, model.Exemplar)) bool {
	r := reader{b: payload}
	for len(r.b) > 0 && r.err == nil {
		kind, id := r.byte(), r.uvarint()
		switch kind {
		case entrySeries:
			if ls := r.labels(); r.err == nil {
				series(id, ls)
			}
		case entryExemplar:
			if e := r.exemplar(); r.err == nil {
				exemplar(id, e)
			}
		default:
			return false
		}
	}
	return r.err == nil
}

func (l *exemplarLog) series(id uint64, ls []model.Label) {
	l.buf = binary.AppendUvarint(append(l.buf, entrySeries), id)
	l.buf = appendLabels(l.buf, ls)
}

// exemplar adds an entry. A log that cannot be written takes no more than one
// record's worth.
func (l *exemplarLog) exemplar(id uint64, e *model.Exemplar) error {
	if len(l.buf) > maxLogRecord/2 {
		return l.flush()
	}
	l.buf = binary.AppendUvarint(append(l.buf, entryExemplar), id)
	l.buf = appendExemplar(l.buf, e)
	if len(l.buf) >= flushLogRecord {
		return l.flush()
	}
	return l.err
}

// flush hands the record under construction to the kernel. When that fails (a
// full disk) the record stays, and the next flush writes it at the same place.
func (l *exemplarLog) flush() error {
	if l.err != nil || len(l.buf) == 0 {
		return l.err
	}
	head := make([]byte, 8, 8+len(l.buf))
	binary.LittleEndian.PutUint32(head, uint32(len(l.buf)))
	binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(l.buf, castagnoli))
	n, err := l.file.WriteAt(append(head, l.buf...), l.size)
	if err != nil {
		return fmt.Errorf("cannot write exemplar log %q: %w", l.path, err)
	}
	l.size += int64(n)
	l.buf = l.buf[:0]
	return nil
}

// sync makes all entries durable.
func (l *exemplarLog) sync() error {
	if err := l.flush(); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		l.err = fmt.Errorf("cannot sync exemplar log %q: %w", l.path, err)
	}
	return l.err
}

func (l *exemplarLog) close() error { return l.file.Close() }
