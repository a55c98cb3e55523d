package tracestore

import (
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"

	"braid/pkg/block"
	"braid/pkg/model"
)

// The file of a sidecar: magic, version, then sections, each a byte of its
// number, its lengths packed and unpacked, the CRC32C of the packed bytes, and
// these.
const (
	sidecarMagic   = "BRTS"
	sidecarVersion = 1 // 1: as FORMAT.md draws it
)

const (
	secTables uint8 = iota + 1
	secColumns
	secTraces
	secClasses
	secSeconds
	secParents
	secZones
	secStats
	secEnd
)

// maxSection and maxBlockRows bound what a damaged length can make a reader
// allocate. Merges stay far below them.
const (
	maxSection   = 1 << 30
	maxBlockRows = 1 << 24
)

// encode writes the sidecar a section at a time, so that no more than the largest
// is in memory.
func (s *sidecar) encode(to io.Writer, z *zstd.Encoder) error {
	if _, err := to.Write(append([]byte(sidecarMagic), sidecarVersion)); err != nil {
		return err
	}
	var e enc
	var packed []byte
	for id := secTables; id < secEnd; id++ {
		e.b = e.b[:0]
		s.encodeSection(id, &e)
		packed = z.EncodeAll(e.b, packed[:0])
		head := binary.LittleEndian.AppendUint32([]byte{id}, uint32(len(packed)))
		head = binary.LittleEndian.AppendUint32(head, uint32(len(e.b)))
		head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(packed, castagnoli))
		if _, err := to.Write(head); err != nil {
			return err
		}
		if _, err := to.Write(packed); err != nil {
			return err
		}
	}
	return nil
}

func (s *sidecar) encodeSection(id uint8, e *enc) {
	switch id {
	case secTables:
		s.tables.encode(e)
	case secColumns:
		s.encodeColumns(e)
	case secTraces:
		s.encodeTraces(e)
	case secClasses:
		planes(e, &s.class)
	case secSeconds:
		e.sv(s.base)
		last := int64(0)
		for i := range uint32(s.second.len()) {
			x := int64(s.second.at(i))
			e.sv(x - last)
			last = x
		}
	case secParents:
		for i := range uint32(s.parent.len()) {
			e.uv(uint64(s.parent.at(i))) // zigzag already
		}
	case secZones:
		for _, x := range s.zones {
			e.sv(x.minStart)
			e.sv(x.maxStart - x.minStart)
			e.sv(x.maxDuration)
		}
	case secStats:
		s.encodeStats(e)
	}
}

// planes writes the bytes of numbers by significance: the low bytes of all,
// then the next, which an entropy coder likes better.
func planes(e *enc, v *numbers) {
	var or uint32
	rows := uint32(v.len())
	for i := range rows {
		or |= v.at(i)
	}
	n := byte(0)
	for ; or != 0; or >>= 8 {
		n++
	}
	e.byte(n)
	for b := byte(0); b < n; b++ {
		for i := range rows {
			e.b = append(e.b, byte(v.at(i)>>(8*b)))
		}
	}
}

func readPlanes(d *dec, n int) numbers {
	k := d.byte()
	if k > 4 {
		d.fail()
	}
	var bytes [][]byte // by significance
	for len(bytes) < int(k) && d.err == nil {
		bytes = append(bytes, d.take(uint64(n)))
	}
	if d.err != nil {
		return numbers{}
	}
	v := newNumbers(n)
	for i := range n {
		x := uint32(0)
		for b, p := range bytes {
			x |= uint32(p[i]) << (8 * b)
		}
		v.add(x)
	}
	return v
}

func (s *sidecar) encodeColumns(e *enc) {
	e.uv(uint64(s.rows))
	e.uv(uint64(len(s.cols)))
	for i := range s.cols {
		if fixed := fixedColumn(&s.cols[i]); fixed >= 0 {
			e.byte(0)
			e.byte(byte(fixed))
			continue
		}
		e.byte(1)
		e.str(s.cols[i].key.name)
		e.byte(byte(s.cols[i].key.kind))
	}
	e.uv(uint64(len(s.chunks)))
	for _, g := range s.chunks {
		for _, c := range g {
			e.uv(uint64(c.off))
			e.byte(c.encoding)
			if c.encoding == encDict {
				e.uv(uint64(c.dict.count))
				e.uv(uint64(c.dict.size))
				e.uv(uint64(c.dict.crc))
			}
			for _, p := range c.pages {
				e.uv(uint64(p.size))
				e.uv(uint64(p.crc))
			}
		}
	}
}

func fixedColumn(d *colDef) int {
	for i := range fixedCols {
		if fixedCols[i].name == d.name && d.key.name == "" {
			return i
		}
	}
	return -1
}

func (s *sidecar) decodeColumns(d *dec) {
	if s.rows = int(d.u32()); s.rows > maxBlockRows {
		d.fail()
	}
	for i := range s.fixedAt {
		s.fixedAt[i] = noColumn
	}
	for n := d.count(2); n > 0 && d.err == nil; n-- {
		if d.byte() == 0 {
			f := int(d.byte())
			if f >= colFixedCount {
				d.fail()
				return
			}
			s.fixedAt[f] = int32(len(s.cols))
			s.cols = append(s.cols, fixedCols[f])
			continue
		}
		s.cols = append(s.cols, attrCol(attrKey{name: d.str(), kind: model.ValueKind(d.byte())}))
	}
	groups := d.count(1)
	if d.err == nil && groups != (s.rows+groupRows-1)/groupRows {
		d.fail()
	}
	for g := 0; g < groups && d.err == nil; g++ {
		pages := (min(groupRows, s.rows-g*groupRows) + pageRows - 1) / pageRows
		cs := make([]chunk, 0, len(s.cols))
		for range s.cols {
			cs = append(cs, decodeChunk(d, pages))
		}
		s.chunks = append(s.chunks, cs)
	}
	for f := range s.fixedAt {
		if !droppable(f) && s.fixedAt[f] == noColumn {
			d.fail()
		}
	}
}

func decodeChunk(d *dec, pages int) chunk {
	c := chunk{off: int64(d.uv()), encoding: d.byte()}
	if c.encoding == encDict {
		c.dict = pageLoc{count: d.u32(), size: d.u32(), crc: d.u32()}
	}
	for range pages {
		if d.err != nil {
			break
		}
		c.pages = append(c.pages, pageLoc{size: d.u32(), crc: d.u32()})
	}
	return c
}

func (s *sidecar) encodeTraces(e *enc) {
	t := &s.traces
	e.uv(uint64(t.len()))
	for i := range t.ids {
		e.raw(t.ids[i][:]...)
	}
	last := int64(0)
	for i := range t.ids {
		e.sv(t.start[i] - last)
		last = t.start[i]
	}
	for i := range t.ids {
		e.uv(uint64(t.first[i+1] - t.first[i]))
		e.sv(t.end[i] - t.start[i])
		e.uv(uint64(t.root[i].service))
		e.uv(uint64(t.root[i].name))
		e.sv(t.root[i].start - t.start[i])
		e.sv(t.root[i].duration)
		e.uv(uint64(t.errors[i]))
	}
	for i := range t.ids {
		n := uint64(0)
		t.eachService(uint32(i), func(serviceStat) { n++ })
		e.uv(n)
		e.b = append(e.b, t.services[t.service0[i]:t.service0[i+1]]...)
	}
}

func (s *sidecar) decodeTraces(d *dec) {
	t := &s.traces
	t.ids = readTraceIDs(d)
	n := len(t.ids)
	t.start, t.end, t.root = make([]int64, n), make([]int64, n), make([]rootSpan, n)
	t.first, t.errors, t.service0 = make([]uint32, n+1), make([]uint32, n), make([]uint32, n+1)
	last := int64(0)
	for i := range t.ids {
		last += d.sv()
		t.start[i] = last
	}
	for i := range t.ids {
		t.first[i+1] = t.first[i] + d.u32()
		t.end[i] = t.start[i] + d.sv()
		t.root[i] = rootSpan{service: d.u32(), name: d.u32(), start: t.start[i] + d.sv(), duration: d.sv()}
		t.errors[i] = d.u32()
		if t.first[i+1] < t.first[i] {
			d.fail()
		}
	}
	for i := range t.ids {
		for k := d.count(3); k > 0 && d.err == nil; k-- {
			t.services = serviceStat{d.u32(), d.u32(), d.u32()}.append(t.services)
		}
		t.service0[i+1] = uint32(len(t.services))
	}
	if int(t.first[n]) != s.rows {
		d.fail()
	}
}

func readTraceIDs(d *dec) []model.TraceID {
	ids := make([]model.TraceID, d.count(16))
	for i := range ids {
		copy(ids[i][:], d.take(16))
	}
	return ids
}

func (s *sidecar) encodeStats(e *enc) {
	e.uv(uint64(len(s.stats)))
	for _, f := range s.stats {
		e.str(f.key.name)
		e.byte(byte(f.key.kind))
		e.uv(uint64(f.rows))
		whole := byte(0)
		if f.whole {
			whole = 1
		}
		e.byte(whole)
		e.uv(uint64(len(f.values)))
		for _, v := range f.values {
			e.value(v.value)
			e.uv(uint64(v.rows))
			e.uv(uint64(len(v.pages)))
			for _, w := range v.pages {
				e.u64(w)
			}
		}
	}
	e.uv(uint64(len(s.names)))
	for _, n := range s.names {
		e.str(n)
		e.str(s.idKeys[n])
	}
}

func (s *sidecar) decodeStats(d *dec) {
	for n := d.count(5); n > 0 && d.err == nil; n-- {
		f := fieldStat{key: attrKey{d.str(), model.ValueKind(d.byte())}, rows: int64(d.uv()), whole: d.byte() == 1}
		for k := d.count(2); k > 0 && d.err == nil; k-- {
			v := valueStat{value: d.value(), rows: int64(d.uv())}
			for w := d.count(8); w > 0 && d.err == nil; w-- {
				v.pages = append(v.pages, d.u64())
			}
			f.values = append(f.values, v)
		}
		s.stats = append(s.stats, f)
	}
	s.idKeys = map[string]string{}
	for n := d.count(2); n > 0 && d.err == nil; n-- {
		name, kind := d.str(), d.str()
		s.names = append(s.names, name)
		if kind != "" {
			s.idKeys[name] = kind
		}
	}
}

// decodeSidecar reads a sidecar file. Every error is a CorruptionError or an
// unknown version; no input makes it panic or allocate without bound.
func decodeSidecar(path string, data []byte, z *zstd.Decoder) (*sidecar, error) {
	if err := checkSidecarHead(path, data); err != nil {
		return nil, err
	}
	s := &sidecar{}
	at := sidecarHead
	for id := secTables; id < secEnd; id++ {
		raw, n, err := readSection(path, data, at, id, z)
		if err != nil {
			return nil, err
		}
		d := &dec{b: raw}
		s.decodeSection(id, d)
		if d.err != nil || len(d.b) != 0 {
			return nil, block.Corruptionf(path, int64(at), "section %d: %v", id, errShort)
		}
		at += n
	}
	if at != len(data) {
		return nil, block.Corruptionf(path, int64(at), "%d bytes behind the last section", len(data)-at)
	}
	if err := s.check(path); err != nil {
		return nil, err
	}
	s.bindColumns()
	return s, nil
}

const sidecarHead = len(sidecarMagic) + 1

func checkSidecarHead(path string, data []byte) error {
	if len(data) < sidecarHead || string(data[:4]) != sidecarMagic {
		return block.Corruptionf(path, 0, "magic is not %q", sidecarMagic)
	}
	if data[4] != sidecarVersion {
		return block.Corruptionf(path, 4, "sidecar version %d, this program knows %d", data[4], sidecarVersion)
	}
	return nil
}

// decodeTraceIDs reads the ids of the traces out of a sidecar file: it unpacks
// their section only.
func decodeTraceIDs(path string, data []byte, z *zstd.Decoder) ([]model.TraceID, error) {
	if err := checkSidecarHead(path, data); err != nil {
		return nil, err
	}
	at := sidecarHead
	for id := secTables; id < secTraces; id++ {
		if at+sectionHead > len(data) || data[at] != id {
			return nil, block.Corruptionf(path, int64(at), "section %d is not there", id)
		}
		if at += sectionHead + int(binary.LittleEndian.Uint32(data[at+1:])); at > len(data) {
			return nil, block.Corruptionf(path, int64(at), "section %d goes beyond the end", id)
		}
	}
	raw, _, err := readSection(path, data, at, secTraces, z)
	if err != nil {
		return nil, err
	}
	d := &dec{b: raw}
	ids := readTraceIDs(d)
	if d.err != nil {
		return nil, block.Corruptionf(path, int64(at), "section %d: %v", secTraces, errShort)
	}
	return ids, nil
}

const sectionHead = 13

func readSection(path string, data []byte, at int, id uint8, z *zstd.Decoder) (raw []byte, n int, err error) {
	if at+sectionHead > len(data) || data[at] != id {
		return nil, 0, block.Corruptionf(path, int64(at), "section %d is not there", id)
	}
	size := binary.LittleEndian.Uint32(data[at+1:])
	want := binary.LittleEndian.Uint32(data[at+5:])
	crc := binary.LittleEndian.Uint32(data[at+9:])
	rest := data[at+sectionHead:]
	if uint64(size) > uint64(len(rest)) || want > maxSection {
		return nil, 0, block.Corruptionf(path, int64(at), "section %d is %d bytes long, %d are there", id, size, len(rest))
	}
	if crc32.Checksum(rest[:size], castagnoli) != crc {
		return nil, 0, block.Corruptionf(path, int64(at), "checksum of section %d differs", id)
	}
	raw, err = z.DecodeAll(rest[:size], nil)
	if err != nil || len(raw) != int(want) {
		return nil, 0, block.Corruptionf(path, int64(at), "section %d does not unpack: %v", id, err)
	}
	return raw, sectionHead + int(size), nil
}

func (s *sidecar) decodeSection(id uint8, d *dec) {
	switch id {
	case secTables:
		if t, err := decodeTables(d); err == nil {
			s.tables = *t
		}
	case secColumns:
		s.decodeColumns(d)
	case secTraces:
		s.decodeTraces(d)
	case secClasses:
		s.class = readPlanes(d, s.rows)
	case secSeconds:
		s.base = d.sv()
		s.second = newNumbers(min(s.rows, len(d.b)))
		last := int64(0)
		for i := 0; i < s.rows && d.err == nil; i++ {
			last += d.sv()
			s.second.add(uint32(last))
		}
	case secParents:
		s.parent = newNumbers(min(s.rows, len(d.b)))
		for i := 0; i < s.rows && d.err == nil; i++ {
			s.parent.add(d.u32())
			if d.err == nil && s.parentOf(uint32(i)) > uint32(s.rows) {
				d.fail()
			}
		}
	case secZones:
		for i := 0; i < s.pages() && d.err == nil; i++ {
			lo := d.sv()
			s.zones = append(s.zones, zone{lo, lo + d.sv(), d.sv()})
		}
	case secStats:
		s.decodeStats(d)
	}
}

func (s *sidecar) pages() int { return (s.rows + pageRows - 1) / pageRows }

// check makes sure that what refers to something refers to what is there.
func (s *sidecar) check(path string) error {
	for i := range uint32(s.class.len()) {
		if c := s.class.at(i); int(c) >= len(s.classes) {
			return block.Corruptionf(path, -1, "a row is of class %d of %d", c, len(s.classes))
		}
	}
	return nil
}
