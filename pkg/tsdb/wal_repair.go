package tsdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/snappy"
)

// Prometheus's write-ahead log is read up to the first damaged byte; the rest
// of the log is then deleted, however much of it there is. So before a database
// is opened its logs are read here, and a damaged record is replaced by one of
// the same length and of no known kind, which the replay passes over: the
// damage costs that record alone.
//
// A segment is pages of 32 KiB; a record lies in one page or is split into
// fragments over several:
//
//	type u8 (low 3 bits: 1 full, 2 first, 3 middle, 4 last; 0: the page ends here)
//	length u16, crc32c u32 (both big-endian), data
const (
	walPage   = 32 << 10
	walHeader = 7
	walEnd    = 0
	walFull   = 1
	walFirst  = 2
	walMiddle = 3
	walLast   = 4
	// walPacked are the bits of the type that say how the record is compressed;
	// the checksum does not cover them.
	walPacked = walSnappy | walZstd
	walSnappy = 1 << 3
	walZstd   = 1 << 4
	// walUnknown is the first byte of a record that no version knows.
	walUnknown = 0xff
)

// walDamage is what was found in a segment.
type walDamage struct {
	records int // replaced or cut off
	first   int // offset of the first
}

func (d *walDamage) at(offset int) {
	if d.records == 0 {
		d.first = offset
	}
	d.records++
}

// repairSegment mends a segment's bytes in place and returns them, shorter when
// its end was torn.
func repairSegment(b []byte) ([]byte, walDamage) {
	var d walDamage
	var parts []int // fragments of the record at hand
	broken := func() {
		for _, o := range parts {
			d.at(o)
			blank(b, o)
		}
		parts = parts[:0]
	}
	for pos := 0; pos < len(b); {
		limit := min((pos/walPage+1)*walPage, len(b))
		kind := b[pos] & 7
		if kind == walEnd && allZero(b[pos:limit]) {
			pos = limit
			continue
		}
		length, whole := recordLength(b[pos:limit])
		if !whole {
			d.at(pos)
			if limit == len(b) && limit%walPage != 0 {
				b = b[:pos] // torn at the end
				break
			}
			clear(b[pos:limit])
			pos = limit
			continue
		}
		data := b[pos+walHeader : pos+walHeader+length]
		sound := crc32.Checksum(data, castagnoli) == binary.BigEndian.Uint32(b[pos+3:])
		switch {
		case !sound || kind == walEnd || kind > walLast,
			(kind == walFull || kind == walFirst) && !plausible(b[pos], data),
			len(parts) > 0 && kind != walFull && kind != walFirst && b[parts[0]]&walPacked != b[pos]&walPacked:
			broken()
			d.at(pos)
			blank(b, pos)
		case kind == walFull:
			broken()
		case kind == walFirst:
			broken()
			parts = append(parts, pos)
		case len(parts) == 0: // the rest of a record whose beginning is lost
			d.at(pos)
			blank(b, pos)
		case kind == walLast:
			parts = parts[:0]
		default:
			parts = append(parts, pos)
		}
		pos += walHeader + length
	}
	broken()
	return b, d
}

// recordLength returns the length of the record that begins a piece of a page;
// whole is false when it does not fit in.
func recordLength(page []byte) (length int, whole bool) {
	if len(page) < walHeader {
		return 0, false
	}
	length = int(binary.BigEndian.Uint16(page[1:]))
	return length, length <= len(page)-walHeader
}

// plausible tells a flipped compression bit: an uncompressed record begins with
// its kind, a small number, and compression does not make a record longer. The
// first fragment of a record may be too short to tell: it is what room there was
// in the page.
func plausible(header byte, data []byte) bool {
	const maxKind = 64
	first := header&7 == walFirst
	switch {
	case len(data) == 0:
		return true
	case header&walPacked == walSnappy:
		if _, n := binary.Uvarint(data); n == 0 {
			return first
		}
		n, err := snappy.DecodedLen(data)
		return err == nil && n >= len(data)*3/4
	case header&walPacked == walZstd:
		const magic = "\x28\xb5\x2f\xfd"
		return string(data[:min(len(data), len(magic))]) == magic[:min(len(data), len(magic))] && (first || len(data) >= len(magic))
	}
	return data[0] < maxKind || data[0] == walUnknown
}

// blank makes the record at an offset one of no known kind.
func blank(b []byte, pos int) {
	length := int(binary.BigEndian.Uint16(b[pos+1:]))
	data := b[pos+walHeader : pos+walHeader+length]
	if length > 0 {
		data[0] = walUnknown
	}
	b[pos] = walFull
	binary.BigEndian.PutUint32(b[pos+3:], crc32.Checksum(data, castagnoli))
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// repairLogs mends the write-ahead logs of a database that is not open. The
// damaged files are kept in the tenant's folder "damaged".
func (t *tenantDB) repairLogs() error {
	dirs := []string{filepath.Join(t.dbDir(), "wal"), filepath.Join(t.dbDir(), "wbl")}
	checkpoints, err := filepath.Glob(filepath.Join(t.dbDir(), "wal", "checkpoint.*"))
	if err != nil {
		return err
	}
	for _, c := range checkpoints {
		if !strings.HasSuffix(c, ".tmp") {
			dirs = append(dirs, c)
		}
	}
	for _, dir := range dirs {
		segments, err := listSegments(dir)
		if err != nil {
			return err
		}
		for _, n := range segments {
			if err := t.repairFile(filepath.Join(dir, fmt.Sprintf("%08d", n))); err != nil {
				return fmt.Errorf("cannot mend the write-ahead log of tenant %q: %w", t.id, err)
			}
		}
	}
	return nil
}

func (t *tenantDB) repairFile(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	mended, d := repairSegment(b)
	if d.records == 0 {
		return nil
	}
	t.m.damaged.Add(float64(d.records))
	aside := filepath.Join(t.dir, "damaged")
	keep := filepath.Join(aside, fmt.Sprintf("%s-%s-%d", filepath.Base(filepath.Dir(path)), filepath.Base(path), time.Now().UnixNano()))
	t.opts.Logger.Error("write-ahead log is damaged; what could not be read is left out, the rest is kept", "tenant", string(t.id),
		"file", path, "offset", d.first, "records", d.records, "damaged_file", keep)
	if err := errors.Join(os.MkdirAll(aside, 0o750), os.Link(path, keep)); err != nil {
		return err
	}
	// Written beside the log, not into it, where a leftover would be taken for
	// a segment.
	tmp := filepath.Join(aside, "mended")
	if err := writeFileAtomic(tmp, mended); err != nil {
		return err
	}
	return errors.Join(os.Rename(tmp, path), syncDir(filepath.Dir(path)))
}
