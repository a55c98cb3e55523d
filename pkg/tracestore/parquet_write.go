package tracestore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"

	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/metadata"
	"github.com/apache/arrow/go/v15/parquet/schema"
	"github.com/klauspost/compress/zstd"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// vector holds the values of one column for the rows of a row group.
type vector struct {
	n     int
	null  []bool   // nil: none
	ints  []int64  // integers, bits of doubles, 0 and 1 of booleans
	texts []string // texts and bytes
	fixed []byte   // n*width
	// codes and dict, when codes is not nil, say the same with each different
	// value once; -1 is null.
	codes    []int32
	dict     []string
	dictInts []int64
	mem      vectorMemory
}

// The encodings of a chunk's pages, as the sidecar names them.
const (
	encPlain uint8 = iota
	encDelta
	encDict
)

// chunk is where one column of one row group lies in the file.
type chunk struct {
	off      int64
	encoding uint8
	dict     pageLoc
	pages    []pageLoc
}

// pageLoc is the length and the checksum of a page with its header. count is
// the number of values of a dictionary.
type pageLoc struct {
	size, crc, count uint32
}

// parquetWriter writes a Parquet file page by page: the footer is Arrow's
// (metadata), the pages are encoded here, because Arrow's own page writer makes
// a zstd encoder a page and hashes every value of every dictionary again.
type parquetWriter struct {
	w      io.Writer
	off    int64
	cols   []colDef
	md     *metadata.FileMetaDataBuilder
	schema *schema.Schema
	group  *metadata.RowGroupMetaDataBuilder
	groups int
	gStart int64
	rows   int
	chunks [][]chunk // by row group, then column
	zstd   *zstd.Encoder
	page   []byte
	packed []byte
	head   []byte
	codes  []int32
	bits   []byte
}

const parquetMagic = "PAR1"

func newParquetWriter(w io.Writer, cols []colDef) (*parquetWriter, error) {
	nodes := make(schema.FieldList, len(cols))
	opts := []parquet.WriterProperty{
		parquet.WithCreatedBy("braid"), parquet.WithStats(false), parquet.WithVersion(parquet.V2_LATEST),
		parquet.WithCompression(compress.Codecs.Zstd),
	}
	for i := range cols {
		n, err := cols[i].node()
		if err != nil {
			return nil, err
		}
		nodes[i] = n
		opts = append(opts, parquet.WithCompressionFor(cols[i].name, cols[i].codec()))
		if cols[i].raw {
			opts = append(opts, parquet.WithDictionaryFor(cols[i].name, false))
		}
		if cols[i].typ == typeInt64 {
			opts = append(opts, parquet.WithEncodingFor(cols[i].name, parquet.Encodings.DeltaBinaryPacked))
		}
	}
	root, err := schema.NewGroupNode("spans", parquet.Repetitions.Required, nodes, -1)
	if err != nil {
		return nil, fmt.Errorf("cannot make a Parquet schema: %w", err)
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("cannot make a compressor: %w", err)
	}
	p := &parquetWriter{w: w, cols: cols, schema: schema.NewSchema(root), zstd: z}
	p.md = metadata.NewFileMetadataBuilder(p.schema, parquet.NewWriterProperties(opts...), nil)
	return p, p.write([]byte(parquetMagic))
}

func (p *parquetWriter) write(b []byte) error {
	n, err := p.w.Write(b)
	p.off += int64(n)
	return err
}

func (p *parquetWriter) beginGroup() {
	p.group = p.md.AppendRowGroup()
	p.gStart = p.off
	p.chunks = append(p.chunks, make([]chunk, 0, len(p.cols)))
}

// column writes the next column of the row group.
func (p *parquetWriter) column(v *vector) error {
	i := len(p.chunks[p.groups])
	d := &p.cols[i]
	meta := p.group.NextColumnChunk()
	c := chunk{off: p.off}
	uncompressed := int64(0)
	if v.codes != nil {
		c.encoding = encDict
		n, err := p.dictionary(d, v, &c)
		if err != nil {
			return err
		}
		uncompressed += n
	} else if d.typ == typeInt64 {
		c.encoding = encDelta
	}
	dataOff := p.off
	for from := 0; from < v.n; from += pageRows {
		n, err := p.dataPage(d, v, &c, from, min(from+pageRows, v.n))
		if err != nil {
			return err
		}
		uncompressed += n
	}
	info := metadata.ChunkMetaInfo{
		NumValues: int64(v.n), IndexPageOffset: -1, DataPageOffset: dataOff,
		CompressedSize: p.off - c.off, UncompressedSize: uncompressed,
	}
	if c.encoding == encDict {
		info.DictPageOffset = c.off
	}
	p.chunks[p.groups] = append(p.chunks[p.groups], c)
	return meta.Finish(info, c.encoding == encDict, false, metadata.EncodingStats{}, nil)
}

func (p *parquetWriter) endGroup(rows int) error {
	p.group.SetNumRows(rows)
	if err := p.group.Finish(p.off-p.gStart, int16(p.groups)); err != nil {
		return err
	}
	p.rows += rows
	p.groups++
	return nil
}

// close writes the footer, with notes for readers that know only this file.
func (p *parquetWriter) close(notes map[string]string) error {
	for _, k := range sortedKeys(notes) {
		if err := p.md.AppendKeyValueMetadata(k, notes[k]); err != nil {
			return err
		}
	}
	md, err := p.md.Finish()
	if err != nil {
		return fmt.Errorf("cannot make a Parquet footer: %w", err)
	}
	n, err := md.WriteTo(p.w, nil)
	if err != nil {
		return err
	}
	p.off += n
	return p.write(append(binary.LittleEndian.AppendUint32(nil, uint32(n)), parquetMagic...))
}

func (p *parquetWriter) dictionary(d *colDef, v *vector, c *chunk) (int64, error) {
	p.page = p.page[:0]
	n := len(v.dict)
	if d.typ == typeText || d.typ == typeBytes {
		for _, s := range v.dict {
			p.page = append(binary.LittleEndian.AppendUint32(p.page, uint32(len(s))), s...)
		}
	} else {
		n = len(v.dictInts)
		p.page = appendPlainInts(p.page, d.typ, v.dictInts)
	}
	c.dict.count = uint32(n)
	return p.emit(d, &c.dict, func(e *thrift) {
		e.i32(1, 2) // DICTIONARY_PAGE
		p.sizes(e)
		e.begin(7)
		e.i32(1, int32(n))
		e.i32(2, 0) // PLAIN
		e.end()
	})
}

func (p *parquetWriter) dataPage(d *colDef, v *vector, c *chunk, from, to int) (int64, error) {
	p.page = p.page[:0]
	if d.optional {
		p.levels(v, from, to)
	}
	encoding := int32(0)
	switch c.encoding {
	case encDict:
		encoding = 8 // RLE_DICTIONARY
		p.codes = p.codes[:0]
		for _, x := range v.codes[from:to] {
			if x >= 0 {
				p.codes = append(p.codes, x)
			}
		}
		width := uint(bits.Len32(c.dict.count - min(1, c.dict.count)))
		p.page = appendHybrid(append(p.page, byte(width)), p.codes, width)
	default:
		if c.encoding == encDelta {
			encoding = 5 // DELTA_BINARY_PACKED
		}
		p.values(d, v, c.encoding, from, to)
	}
	c.pages = append(c.pages, pageLoc{})
	return p.emit(d, &c.pages[len(c.pages)-1], func(e *thrift) {
		e.i32(1, 0) // DATA_PAGE
		p.sizes(e)
		e.begin(5)
		e.i32(1, int32(to-from))
		e.i32(2, encoding)
		e.i32(3, 3) // levels: RLE
		e.i32(4, 3)
		e.end()
	})
}

// levels writes which rows have a value, 4 bytes of length before it.
func (p *parquetWriter) levels(v *vector, from, to int) {
	n := to - from
	p.bits = append(p.bits[:0], make([]byte, (n+7)/8)...)
	switch {
	case v.codes != nil:
		for i, x := range v.codes[from:to] {
			p.bits[i/8] |= byte(^uint32(x)>>31) << (i % 8) // -1 is null
		}
	case v.null != nil:
		for i, null := range v.null[from:to] {
			if !null {
				p.bits[i/8] |= 1 << (i % 8)
			}
		}
	default:
		for i := range p.bits {
			p.bits[i] = 0xff
		}
	}
	p.page = append(p.page, 0, 0, 0, 0)
	p.page = appendBits(p.page, p.bits, n)
	binary.LittleEndian.PutUint32(p.page, uint32(len(p.page)-4))
}

func (p *parquetWriter) values(d *colDef, v *vector, encoding uint8, from, to int) {
	null := func(i int) bool { return v.null != nil && v.null[i] }
	switch d.typ {
	case typeText, typeBytes:
		for i := from; i < to; i++ {
			if !null(i) {
				s := v.texts[i]
				p.page = append(binary.LittleEndian.AppendUint32(p.page, uint32(len(s))), s...)
			}
		}
	case typeFixed:
		for i := from; i < to; i++ {
			if !null(i) {
				p.page = append(p.page, v.fixed[i*d.width:(i+1)*d.width]...)
			}
		}
	default:
		ints := v.ints[from:to]
		if v.null != nil {
			dense := make([]int64, 0, to-from)
			for i := from; i < to; i++ {
				if !v.null[i] {
					dense = append(dense, v.ints[i])
				}
			}
			ints = dense
		}
		if encoding == encDelta {
			p.page = appendDelta(p.page, ints)
		} else {
			p.page = appendPlainInts(p.page, d.typ, ints)
		}
	}
}

func appendPlainInts(dst []byte, typ colType, v []int64) []byte {
	switch typ {
	case typeInt32:
		for _, x := range v {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(x))
		}
	case typeBool:
		w := bitWriter{b: dst}
		for _, x := range v {
			w.put(uint64(x&1), 1)
		}
		w.flush()
		dst = w.b
	default:
		for _, x := range v {
			dst = binary.LittleEndian.AppendUint64(dst, uint64(x))
		}
	}
	return dst
}

// sizes writes the two lengths that every page header has.
func (p *parquetWriter) sizes(e *thrift) {
	e.i32(2, int32(len(p.page)))
	e.i32(3, int32(len(p.packed)))
}

// emit compresses the page at hand and writes it behind its header.
func (p *parquetWriter) emit(d *colDef, loc *pageLoc, header func(*thrift)) (int64, error) {
	if d.raw {
		p.packed = append(p.packed[:0], p.page...)
	} else {
		p.packed = p.zstd.EncodeAll(p.page, p.packed[:0])
	}
	if uint64(len(p.page)) > 1<<31-1 {
		return 0, fmt.Errorf("cannot write column %q: a page of %d bytes is more than Parquet allows", d.name, len(p.page))
	}
	e := thrift{b: p.head[:0]}
	header(&e)
	e.end()
	p.head = e.b
	loc.size = uint32(len(p.head) + len(p.packed))
	loc.crc = crc32.Update(crc32.Update(0, castagnoli, p.head), castagnoli, p.packed)
	if err := p.write(p.head); err != nil {
		return 0, err
	}
	return int64(len(p.head) + len(p.page)), p.write(p.packed)
}

// thrift writes the little of Thrift's compact protocol that page headers use.
type thrift struct {
	b     []byte
	last  int16
	outer []int16
}

func (t *thrift) field(id int16, typ byte) {
	t.b = append(t.b, byte(id-t.last)<<4|typ)
	t.last = id
}

func (t *thrift) i32(id int16, v int32) {
	t.field(id, 5)
	t.b = binary.AppendVarint(t.b, int64(v))
}

func (t *thrift) begin(id int16) {
	t.field(id, 12)
	t.outer = append(t.outer, t.last)
	t.last = 0
}

func (t *thrift) end() {
	t.b = append(t.b, 0)
	if n := len(t.outer); n > 0 {
		t.last, t.outer = t.outer[n-1], t.outer[:n-1]
	}
}
