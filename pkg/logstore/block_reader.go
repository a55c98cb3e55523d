package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"sort"
	"sync"
	"sync/atomic"

	"braid/internal/vfs"
	"braid/pkg/block"
	"braid/pkg/idindex"
	"braid/pkg/model"
)

// blockReader reads one published block. It is safe for concurrent use. Files
// are opened with the reader and closed when its last reference goes; a block
// that was dropped is then removed from the disk.
type blockReader struct {
	block *block.Block
	fs    vfs.FS
	gen   uint32
	// applied are the deletions that were carried out when the block was written.
	applied []string
	names   map[string]string // see keyNames
	cache   *cache
	pages   vfs.File
	ids     vfs.File // the id index, of which only the directory is held in memory

	refs    atomic.Int64
	busy    bool        // being merged; guarded by the tenant's mu
	dropped atomic.Bool // remove the files with the last reference
	onGone  func(*blockReader)
	damage  sync.Once // damage is logged once a block

	dir     *idindex.Directory[*blockReader] // of the tenant; nil while written
	inDir   atomic.Bool
	verdict atomic.Pointer[verdict]
}

// directory is the decoded directory of a block.
type directory struct {
	*table
	columns []blockColumn
	pages   []pageInfo
	flags   indexFlags
	size    int64
	keysEnd int64 // where the key chunks of the last page end
}

func openBlock(fsys vfs.FS, b *block.Block, c *cache) (*blockReader, error) {
	f, err := b.Open(fsys, pagesFile)
	if err != nil {
		return nil, err
	}
	ids, err := b.Open(fsys, idsFile)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r := &blockReader{block: b, fs: fsys, cache: c, pages: f, ids: ids}
	r.refs.Store(1)
	_, err = b.Stat("gen", &r.gen)
	if err == nil {
		_, err = b.Stat("deleted", &r.applied)
	}
	if err == nil {
		_, err = b.Stat("names", &r.names)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), ids.Close())
	}
	return r, nil
}

// acquire takes a reference; false when the reader is closed already.
func (r *blockReader) acquire() bool {
	for {
		n := r.refs.Load()
		if n <= 0 {
			return false
		}
		if r.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release gives a reference back.
func (r *blockReader) release() {
	if r.refs.Add(-1) == 0 {
		if r.dir != nil {
			r.dir.Remove(r)
		}
		if r.onGone != nil {
			r.onGone(r)
		}
	}
}

// directory returns the decoded directory, from memory if it is there.
func (r *blockReader) directory(stats *model.QueryStats) (*directory, error) {
	v, err := r.cache.get(cacheKey{r.block.ID, directoryFile}, func() (any, int64, error) {
		data, err := r.block.ReadFile(r.fs, directoryFile)
		if err != nil {
			return nil, 0, err
		}
		stats.AddBytes(int64(len(data)))
		d, err := decodeDirectory(data)
		if err != nil {
			return nil, 0, block.Corruptionf(r.block.Path(directoryFile), -1, "%v", err)
		}
		d.name = "block " + string(r.block.ID)
		return d, d.size, r.check(d)
	})
	if err != nil {
		return nil, err
	}
	return v.(*directory), nil
}

// check compares the directory with the meta and the file that it is about.
func (r *blockReader) check(d *directory) error {
	f, _ := r.block.File(pagesFile)
	for i := range d.pages {
		if p := &d.pages[i]; p.offset > f.Size || int64(p.size) > f.Size-p.offset {
			return block.Corruptionf(r.block.Path(directoryFile), -1, "page %d ends beyond the file", i)
		}
	}
	if d.keysEnd > f.Size {
		return block.Corruptionf(r.block.Path(directoryFile), -1, "the keys of the last page end beyond the file")
	}
	return nil
}

func decodeDirectory(data []byte) (*directory, error) {
	const head = len(directoryMagic) + 1
	if len(data) < head+crcSize || string(data[:head-1]) != directoryMagic {
		return nil, fmt.Errorf("no magic %q", directoryMagic)
	}
	format := data[head-1]
	if format == 0 || format > directoryFormat {
		return nil, fmt.Errorf("%w: directory format %d, this program knows 1 to %d", block.ErrVersion, format, directoryFormat)
	}
	body, sum := data[:len(data)-crcSize], binary.LittleEndian.Uint32(data[len(data)-crcSize:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, fmt.Errorf("checksum differs")
	}
	size, src, err := readUvarint(body[head:], maxDirectory)
	if err != nil {
		return nil, err
	}
	z, err := decoder()
	if err != nil {
		return nil, err
	}
	raw, err := z.DecodeAll(src, make([]byte, 0, min(size, len(src)<<8+1024)))
	if err != nil || len(raw) != size {
		return nil, errShort
	}
	return readDirectory(raw, format)
}

// maxDirectory guards against damaged lengths.
const maxDirectory = 1 << 30

func readDirectory(src []byte, format byte) (*directory, error) {
	d := &directory{table: &table{fields: &knownFields{}}, size: int64(len(src)) * 3}
	_, src, err := readUvarint(src, math.MaxUint32) // gen: also in the meta
	if err != nil {
		return nil, err
	}
	n, src, err := readUvarint(src, len(src))
	if err != nil {
		return nil, err
	}
	d.columns = make([]blockColumn, n)
	keys := make([]columnKey, n)
	for i := range d.columns {
		if src, err = readColumn(&d.columns[i], src); err != nil {
			return nil, err
		}
		keys[i] = d.columns[i].columnKey
		d.columns[i].key = format >= directoryTogether && isKey(keys[i])
	}
	d.schema = newSchema(keys)
	if n, src, err = readUvarint(src, len(src)); err != nil {
		return nil, err
	}
	d.streams = make([]stream, n)
	for i := range d.streams {
		if d.streams[i], src, err = readStream(src); err != nil {
			return nil, err
		}
	}
	d.size += int64(len(d.streams)) * 64 // and what is remembered of them
	if d.flags, src, err = readIndexFlags(src); err != nil {
		return nil, err
	}
	if format >= directoryTogether {
		if n, src, err = readUvarint(src, math.MaxInt64); err != nil {
			return nil, err
		}
		d.keysEnd = int64(n)
	}
	if n, src, err = readUvarint(src, len(src)); err != nil {
		return nil, err
	}
	d.pages = make([]pageInfo, n)
	for i := range d.pages {
		if src, err = d.readPageInfo(&d.pages[i], src); err != nil {
			return nil, err
		}
		d.size += int64(len(d.pages[i].chunks)) * 24
	}
	if len(src) != 0 {
		return nil, errShort
	}
	return d, nil
}

func readColumn(c *blockColumn, src []byte) ([]byte, error) {
	if len(src) == 0 || src[0] >= 64 {
		return nil, errShort
	}
	c.kind, c.intrinsic = model.ValueKind(src[0]&7), src[0]&8 != 0
	hasDict, hasTemplates := src[0]&16 != 0, src[0]&32 != 0
	var err error
	if c.name, src, err = readString(src[1:]); err != nil {
		return nil, err
	}
	rows, src, err := readUvarint(src, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	c.rows = int64(rows)
	if c.ids, src, err = readString(src); err != nil {
		return nil, err
	}
	if hasDict {
		if c.dict, src, err = readStrings(src); err != nil {
			return nil, err
		}
	}
	if hasTemplates {
		var texts []string
		texts, src, err = readStrings(src)
		c.templates = newTemplates(texts)
	}
	return src, err
}

func readStrings(src []byte) ([]string, []byte, error) {
	n, src, err := readUvarint(src, len(src))
	if err != nil {
		return nil, nil, err
	}
	out := make([]string, n)
	for i := range out {
		if out[i], src, err = readString(src); err != nil {
			return nil, nil, err
		}
	}
	return out, src, nil
}

func (d *directory) readPageInfo(p *pageInfo, src []byte) ([]byte, error) {
	minT, n := binary.Varint(src)
	if n <= 0 {
		return nil, errShort
	}
	src = src[n:]
	span, n := binary.Uvarint(src)
	if n <= 0 {
		return nil, errShort
	}
	src = src[n:]
	p.minT, p.maxT = minT, minT+int64(span)
	var err error
	var offset, severities, chunks, spread int
	limits := [...]int{math.MaxUint16, math.MaxInt64, max(0, len(d.streams)-1), len(d.streams), 256}
	for i, to := range []*int{&p.rows, &offset, &p.streamLo, &spread, &severities} {
		if *to, src, err = readUvarint(src, limits[i]); err != nil {
			return nil, err
		}
	}
	p.offset, p.streamHi = int64(offset), p.streamLo+spread
	if p.streamHi >= len(d.streams) || p.maxT < p.minT || p.rows == 0 {
		return nil, errShort
	}
	p.severities = make([]severityCount, severities)
	for i := range p.severities {
		if len(src) == 0 {
			return nil, errShort
		}
		p.severities[i].severity = src[0]
		if p.severities[i].rows, src, err = readUvarint(src[1:], p.rows); err != nil {
			return nil, err
		}
	}
	if chunks, src, err = readUvarint(src, len(d.columns)); err != nil {
		return nil, err
	}
	p.chunks = make([]chunkInfo, chunks)
	if chunks == 0 {
		return nil, errShort
	}
	col := -1
	p.keys = d.keysEnd
	for i := range p.chunks {
		skip, size := 0, 0
		if skip, src, err = readUvarint(src, len(d.columns)); err != nil {
			return nil, err
		}
		if size, src, err = readUvarint(src, math.MaxInt32); err != nil {
			return nil, err
		}
		col += skip + 1
		if col >= len(d.columns) {
			return nil, errShort
		}
		to := &p.size
		if d.columns[col].key {
			to = &p.keySize
		}
		p.chunks[i] = chunkInfo{col, *to, size}
		if *to += size; *to > math.MaxInt32 {
			return nil, errShort
		}
	}
	if d.keysEnd > math.MaxInt64-int64(p.keySize) {
		return nil, errShort
	}
	d.keysEnd += int64(p.keySize)
	return src, nil
}

// page opens a page whose directory is in memory; nothing is read yet. It is
// only called after directory has succeeded.
func (r *blockReader) page(d *directory, i int, stats *model.QueryStats, mem *arena) *page {
	info := &d.pages[i]
	n := len(d.columns)
	p := &page{table: d.table, no: i, rows: info.rows, minT: info.minT, maxT: info.maxT, streamLo: info.streamLo, streamHi: info.streamHi,
		vecs: make([]*vector, n), loaded: newBitset(n), mem: mem}
	p.load = func(p *page, col int) (*vector, error) { return r.loadChunk(d, info, p, col, stats) }
	return p
}

// find returns the index of a column's chunk, -1 when the page has none.
func (p *pageInfo) find(col int) int {
	k := sort.Search(len(p.chunks), func(k int) bool { return p.chunks[k].col >= col })
	if k == len(p.chunks) || p.chunks[k].col != col {
		return -1
	}
	return k
}

func (p *pageInfo) has(col int) bool { return p.find(col) >= 0 }

// loadChunk reads, verifies and decodes one chunk; nil when the page has none.
func (r *blockReader) loadChunk(d *directory, info *pageInfo, p *page, col int, stats *model.QueryStats) (*vector, error) {
	k := info.find(col)
	if k < 0 {
		return nil, nil
	}
	c := info.chunks[k]
	if p.whole == nil && d.columns[col].templates != nil && c.size > 2*headRead {
		if v := r.loadHead(d, info, p, c, stats); v != nil {
			return v, nil
		}
	}
	body, err := r.readChunk(d, info, p, c, stats)
	if err != nil {
		return nil, err
	}
	v, err := chunkReader{p.mem, p.only}.read(body, d.columns[col].columnKey, info.rows, d.columns[col].dict, d.columns[col].templates)
	if err != nil {
		return nil, block.Corruptionf(r.block.Path(pagesFile), d.at(info, c), "page %d, column %q: %v", p.no, d.columns[col].name, err)
	}
	return v, nil
}

// at returns where a chunk lies in the file.
func (d *directory) at(info *pageInfo, c chunkInfo) int64 {
	if d.columns[c.col].key {
		return info.keys + int64(c.from)
	}
	return info.offset + int64(c.from)
}

// readChunk reads and verifies a chunk.
func (r *blockReader) readChunk(d *directory, info *pageInfo, p *page, c chunkInfo, stats *model.QueryStats) ([]byte, error) {
	at, key := d.at(info, c), d.columns[c.col].key
	buf := p.near.cut(at, c.size)
	if buf == nil && key && p.mem != nil && p.mem.aheadOf == r {
		buf = p.mem.ahead.cut(at, c.size)
	}
	if buf == nil && !key && p.whole != nil {
		buf = p.whole[c.from : c.from+c.size]
	}
	if buf == nil {
		read := stretch{at: at}
		if key && info.keySize <= nearKeys {
			read.at = info.keys
			read.buf = p.mem.getBytes(info.keySize)
		} else {
			read.buf = p.mem.getBytes(d.together(info, c))
		}
		if n, err := r.pages.ReadAt(read.buf, read.at); n < len(read.buf) {
			return nil, fmt.Errorf("cannot read page %d of block %q: %w", p.no, r.block.ID, err)
		}
		stats.AddBytes(int64(len(read.buf)))
		if len(read.buf) > c.size {
			p.near = read
		}
		buf = read.cut(at, c.size)
	}
	body, ok := checked(buf)
	if !ok {
		return nil, block.Corruptionf(r.block.Path(pagesFile), at, "page %d, column %q: checksum differs", p.no, d.columns[c.col].name)
	}
	return body, nil
}

// stretch is a part of a file that has been read.
type stretch struct {
	at  int64
	buf []byte
}

// cut returns size bytes from an offset of the file on, nil when not all of them
// were read.
func (s *stretch) cut(at int64, size int) []byte {
	from := at - s.at
	if from < 0 || from > int64(len(s.buf)-size) {
		return nil
	}
	return s.buf[from : from+int64(size) : from+int64(size)]
}

// readAhead reads the keys of the pages from first to last at once. A failure
// comes again, and is told, when a page is read for itself.
func (r *blockReader) readAhead(d *directory, first, last int, stats *model.QueryStats, mem *arena) {
	from, end := d.pages[first].keys, d.pages[last].keys+int64(d.pages[last].keySize)
	if mem.aheadOf == r && mem.ahead.cut(from, int(end-from)) != nil || end-from > maxAhead {
		return
	}
	if int64(cap(mem.ahead.buf)) < end-from {
		mem.ahead.buf = make([]byte, end-from)
	}
	mem.ahead.at, mem.ahead.buf, mem.aheadOf = from, mem.ahead.buf[:end-from], r
	if n, _ := r.pages.ReadAt(mem.ahead.buf, from); n < len(mem.ahead.buf) {
		mem.aheadOf = nil
		return
	}
	stats.AddBytes(end - from)
}

const (
	// nearRead bounds the chunks that are read with the one that is asked for.
	nearRead = 6 << 10
	// nearKeys does the same for a page's keys.
	nearKeys = 16 << 10
	// maxAhead bounds what is read of the keys of several pages.
	maxAhead = 256 << 10
)

// together returns how much to read for a chunk: the small ones of intrinsic
// columns behind it come along, since a question often needs several of them and
// a call of the system costs more than their bytes.
func (d *directory) together(info *pageInfo, c chunkInfo) int {
	size := c.size
	if !d.columns[c.col].intrinsic || size > nearRead {
		return size
	}
	for k := info.find(c.col) + 1; k < len(info.chunks); k++ {
		next := &info.chunks[k]
		if d.columns[next.col].key != d.columns[c.col].key {
			continue // it lies elsewhere
		}
		if !d.columns[next.col].intrinsic || size+next.size > nearRead {
			break
		}
		size += next.size
	}
	return size
}

// headRead is how much of a chunk of templated texts is read first: most often
// it has all codes, and these may answer.
const headRead = 2048

// loadHead reads the codes of templated texts and leaves the variables on disk;
// nil when the chunk must be read whole.
func (r *blockReader) loadHead(d *directory, info *pageInfo, p *page, c chunkInfo, stats *model.QueryStats) *vector {
	buf := p.mem.getBytes(headRead)
	if n, _ := r.pages.ReadAt(buf, info.offset+int64(c.from)); n < len(buf) {
		return nil
	}
	stats.AddBytes(headRead)
	v, size := chunkReader{p.mem, p.only}.head(buf, d.columns[c.col].columnKey, info.rows, d.columns[c.col].templates)
	if v == nil {
		return nil
	}
	v.tmpl.load = func() ([]byte, error) {
		body, err := r.readChunk(d, info, p, c, stats)
		if err != nil {
			return nil, err
		}
		return body[size:], nil
	}
	return v
}

// readWhole reads all chunks of a page at once, but for its keys: for those who
// want most of them.
func (r *blockReader) readWhole(d *directory, p *page, stats *model.QueryStats) error {
	info := &d.pages[p.no]
	buf := p.mem.getBytes(info.size)
	if n, err := r.pages.ReadAt(buf, info.offset); n < len(buf) {
		return fmt.Errorf("cannot read page %d of block %q: %w", p.no, r.block.ID, err)
	}
	stats.AddBytes(int64(len(buf)))
	p.whole = buf
	return nil
}

// checked verifies and removes the checksum at the end.
func checked(buf []byte) ([]byte, bool) {
	n := len(buf) - crcSize
	if n < 0 || crc32.Checksum(buf[:n], castagnoli) != binary.LittleEndian.Uint32(buf[n:]) {
		return nil, false
	}
	return buf[:n], true
}
