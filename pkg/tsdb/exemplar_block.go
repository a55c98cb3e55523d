package tsdb

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/klauspost/compress/zstd"

	"braid/pkg/idindex"
	"braid/pkg/model"
)

// An exemplar block holds exemplars sorted by series and time, immutable.
// FORMAT.md draws it.
const (
	exemplarBlockMagic = "BRDXBLK1"
	frameTarget        = 32 << 10 // bytes of a frame before compression
	maxSection         = 256 << 20
	footerSize         = 4*8*3 + 8
)

// blockSeries is one series of a block: where its exemplars are.
type blockSeries struct {
	labels     []model.Label
	frame      int
	off, count int
	minT, maxT int64
}

// section is a part of a block: where it is and its checksum.
type section struct{ off, size, sum uint64 }

// exemplarBlock is an open block. Its tables are read when first asked for and
// then kept by the store's cache.
type exemplarBlock struct {
	path       string
	file       *os.File
	size       int64
	minT, maxT int64
	count      int
	series     section
	index      *idindex.Index // correlation id -> series
	frames     section        // the frame table
}

var (
	zstdEncoder, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1))
	zstdDecoder, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxSection))
)

// writeExemplarBlock writes a block and makes it durable. all is sorted here.
func writeExemplarBlock(path string, all []*activeSeries, hashes func(*model.Exemplar) []uint64) error {
	sort.SliceStable(all, func(i, j int) bool { return compareLabels(all[i].labels, all[j].labels) < 0 })
	w := blockWriter{out: []byte(exemplarBlockMagic), ids: idindex.Builder{FingerprintBits: idindex.BlockFingerprintBits}, minT: 1<<63 - 1, maxT: -1 << 63}
	for i, s := range all {
		if i > 0 && compareLabels(s.labels, all[i-1].labels) == 0 {
			w.merge(s, hashes)
			continue
		}
		w.add(s, hashes)
	}
	if err := w.finish(); err != nil {
		return err
	}
	return writeFileAtomic(path, w.out)
}

type blockWriter struct {
	out        []byte
	frame      []byte
	frames     []section
	series     []blockSeries
	entries    [][]model.Exemplar // of the series, until they are framed
	ids        idindex.Builder
	minT, maxT int64
	count      int
}

func (w *blockWriter) add(s *activeSeries, hashes func(*model.Exemplar) []uint64) {
	w.series = append(w.series, blockSeries{labels: s.labels})
	w.entries = append(w.entries, nil)
	w.merge(s, hashes)
}

// merge adds exemplars to the newest series.
func (w *blockWriter) merge(s *activeSeries, hashes func(*model.Exemplar) []uint64) {
	n := len(w.series) - 1
	for i := range s.kept {
		e := &s.kept[i].Exemplar
		w.entries[n] = append(w.entries[n], *e)
		for _, h := range hashes(e) {
			w.ids.Add(h, uint32(n))
		}
	}
}

func (w *blockWriter) finish() error {
	for i := range w.series {
		s, list := &w.series[i], w.entries[i]
		slices.SortStableFunc(list, func(a, b model.Exemplar) int { return int(min(max(a.Time-b.Time, -1), 1)) })
		s.frame, s.off, s.count = len(w.frames), len(w.frame), len(list)
		s.minT, s.maxT = list[0].Time, list[len(list)-1].Time
		w.minT, w.maxT, w.count = min(w.minT, s.minT), max(w.maxT, s.maxT), w.count+len(list)
		for j := range list {
			w.frame = appendExemplar(w.frame, &list[j])
		}
		if len(w.frame) >= frameTarget {
			w.flushFrame()
		}
	}
	w.flushFrame()
	index, err := w.ids.Build()
	if err != nil {
		return err
	}
	frames, series, ids := w.put(w.frameTable()), w.put(zstdEncoder.EncodeAll(w.seriesTable(), nil)), w.put(index)
	start := len(w.out)
	for _, s := range []section{frames, series, ids, {uint64(w.minT), uint64(w.maxT), uint64(w.count)}} {
		w.out = binary.LittleEndian.AppendUint64(w.out, s.off)
		w.out = binary.LittleEndian.AppendUint64(w.out, s.size)
		w.out = binary.LittleEndian.AppendUint64(w.out, s.sum)
	}
	w.out = binary.LittleEndian.AppendUint64(w.out, uint64(crc32.Checksum(w.out[start:], castagnoli)))
	return nil
}

func (w *blockWriter) put(b []byte) section {
	s := section{uint64(len(w.out)), uint64(len(b)), uint64(crc32.Checksum(b, castagnoli))}
	w.out = append(w.out, b...)
	return s
}

func (w *blockWriter) flushFrame() {
	if len(w.frame) > 0 {
		w.frames = append(w.frames, w.put(zstdEncoder.EncodeAll(w.frame, nil)))
		w.frame = w.frame[:0]
	}
}

func (w *blockWriter) frameTable() (b []byte) {
	for _, f := range w.frames {
		b = binary.LittleEndian.AppendUint64(b, f.off)
		b = binary.LittleEndian.AppendUint64(b, f.size)
		b = binary.LittleEndian.AppendUint64(b, f.sum)
	}
	return b
}

func (w *blockWriter) seriesTable() []byte {
	b := binary.AppendUvarint(nil, uint64(len(w.series)))
	for i := range w.series {
		s := &w.series[i]
		b = appendLabels(b, s.labels)
		for _, n := range []int{s.frame, s.off, s.count} {
			b = binary.AppendUvarint(b, uint64(n))
		}
		b = binary.AppendVarint(binary.AppendVarint(b, s.minT), s.maxT)
	}
	return b
}

// openExemplarBlock opens a block and reads its footer.
func openExemplarBlock(path string) (*exemplarBlock, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b := &exemplarBlock{path: path, file: f}
	if err := b.readFooter(); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("cannot open exemplar block %q: %w", filepath.Base(path), err)
	}
	return b, nil
}

func (b *exemplarBlock) readFooter() error {
	info, err := b.file.Stat()
	if err != nil {
		return err
	}
	b.size = info.Size()
	magic := make([]byte, len(exemplarBlockMagic))
	footer := make([]byte, footerSize)
	if b.size < int64(len(magic)+footerSize) {
		return errCorrupt
	}
	if _, err := b.file.ReadAt(magic, 0); err != nil {
		return err
	}
	if _, err := b.file.ReadAt(footer, b.size-footerSize); err != nil {
		return err
	}
	r := reader{b: footer}
	var parts [4]section
	for i := range parts {
		parts[i] = section{r.u64(), r.u64(), r.u64()}
	}
	if string(magic) != exemplarBlockMagic || r.u64() != uint64(crc32.Checksum(footer[:footerSize-8], castagnoli)) {
		return errCorrupt
	}
	b.frames, b.series = parts[0], parts[1]
	if ids := parts[2]; ids.off > uint64(b.size) || ids.size > uint64(b.size)-ids.off {
		return errCorrupt
	} else if b.index, err = idindex.OpenReaderAt(io.NewSectionReader(b.file, int64(ids.off), int64(ids.size)), int64(ids.size)); err != nil {
		return err
	}
	b.minT, b.maxT, b.count = int64(parts[3].off), int64(parts[3].size), int(parts[3].sum)
	return nil
}

// read returns a section's bytes, checked.
func (b *exemplarBlock) read(s section) ([]byte, error) {
	if s.size > maxSection || s.off > uint64(b.size) || s.off+s.size > uint64(b.size) {
		return nil, fmt.Errorf("exemplar block %q: %w: a section lies outside the file", b.path, errCorrupt)
	}
	out := make([]byte, s.size)
	if _, err := b.file.ReadAt(out, int64(s.off)); err != nil {
		return nil, err
	}
	if uint64(crc32.Checksum(out, castagnoli)) != s.sum {
		return nil, fmt.Errorf("exemplar block %q: %w: wrong checksum at %d", b.path, errCorrupt, s.off)
	}
	return out, nil
}

// readSeries decodes the series table.
func (b *exemplarBlock) readSeries() ([]blockSeries, error) {
	packed, err := b.read(b.series)
	if err != nil {
		return nil, err
	}
	raw, err := zstdDecoder.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("exemplar block %q: %w", b.path, err)
	}
	return decodeSeriesTable(raw)
}

func decodeSeriesTable(raw []byte) ([]blockSeries, error) {
	r := reader{b: raw}
	n := r.count()
	out := make([]blockSeries, 0, n)
	for range n {
		s := blockSeries{labels: r.labels(), frame: int(r.uvarint()), off: int(r.uvarint()), count: int(r.uvarint())}
		s.minT, s.maxT = r.varint(), r.varint()
		out = append(out, s)
	}
	return out, r.err
}

// readFrames returns the frame table.
func (b *exemplarBlock) readFrames() ([]section, error) {
	raw, err := b.read(b.frames)
	if err != nil {
		return nil, err
	}
	r := reader{b: raw}
	var out []section
	for len(r.b) > 0 && r.err == nil {
		out = append(out, section{r.u64(), r.u64(), r.u64()})
	}
	return out, r.err
}

// seriesOfID returns the series that may hold an id's hash.
func (b *exemplarBlock) seriesOfID(hash uint64) ([]uint32, error) {
	if b.index == nil {
		return nil, nil
	}
	out, err := b.index.Pages(hash, nil)
	if err != nil {
		return nil, fmt.Errorf("exemplar block %q: %w", b.path, err)
	}
	return out, nil
}

// decodeGroup reads one series' exemplars out of its frame.
func decodeGroup(frame []byte, s *blockSeries) ([]model.Exemplar, error) {
	if s.off < 0 || s.off > len(frame) || s.count < 0 || s.count > len(frame) {
		return nil, errCorrupt
	}
	r := reader{b: frame[s.off:]}
	out := make([]model.Exemplar, 0, s.count)
	for range s.count {
		out = append(out, r.exemplar())
	}
	return out, r.err
}

func compareLabels(a, b []model.Label) int {
	return slices.CompareFunc(a, b, func(x, y model.Label) int {
		if c := strings.Compare(x.Name, y.Name); c != 0 {
			return c
		}
		return strings.Compare(x.Value, y.Value)
	})
}
