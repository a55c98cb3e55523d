package tracestore

import (
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"braid/internal/vfs"
	"braid/pkg/block"
	"braid/pkg/idindex"
	"braid/pkg/model"
)

// blockReader answers out of one block. It is shared: whoever uses one holds a
// reference, and the last to let go closes its files. Safe for concurrent use.
type blockReader struct {
	*block.Block
	fs    vfs.FS
	zstd  *zstd.Decoder
	spans vfs.File
	idf   vfs.File
	ids   *idindex.Index
	cache *sidecarCache
	refs  atomic.Int32
	bad   atomic.Pointer[error]

	verdict atomic.Pointer[keyVerdict]

	callsAdded bool // fileCalls was looked for, and added; guarded by the tenant's merging

	once    sync.Once
	onClose func(*blockReader)
	forget  func() // takes the block out of its tenant's directory
}

// openBlock opens a block's files. side, when not nil, is its sidecar already
// decoded; otherwise it is read and checked now.
func openBlock(fsys vfs.FS, b *block.Block, c *sidecarCache, side *sidecar) (*blockReader, error) {
	r := &blockReader{Block: b, fs: fsys, zstd: c.zstd, cache: c}
	r.refs.Store(1)
	if err := r.open(side); err != nil {
		r.closeFiles()
		c.drop(r)
		return nil, err
	}
	return r, nil
}

func (r *blockReader) open(side *sidecar) (err error) {
	b, fsys := r.Block, r.fs
	if side != nil {
		r.cache.put(r, side)
	} else if _, err := r.cache.get(r); err != nil {
		return err
	}
	if r.spans, err = b.Open(fsys, fileSpans); err != nil {
		return err
	}
	if r.idf, err = b.Open(fsys, fileIDs); err != nil {
		return err
	}
	f, _ := b.File(fileIDs)
	if f.Size <= maxResidentIDs {
		var raw []byte
		if raw, err = b.ReadFile(fsys, fileIDs); err != nil {
			return err
		}
		r.ids, err = idindex.Open(raw)
	} else {
		r.ids, err = idindex.OpenReaderAt(r.idf, f.Size)
	}
	if err != nil {
		return block.Corruptionf(b.Path(fileIDs), -1, "%v", err)
	}
	return nil
}

// maxResidentIDs is the size up to which an id index is held in memory: a
// look-up then costs no system call.
const maxResidentIDs = 4 << 20

// sidecar returns the block's sidecar, read again when it was put out of memory.
func (r *blockReader) sidecar() (*sidecar, error) {
	s, err := r.cache.get(r)
	if err != nil {
		return nil, r.damaged(err)
	}
	return s, nil
}

func (r *blockReader) closeFiles() {
	for _, f := range []vfs.File{r.spans, r.idf} {
		if f != nil {
			_ = f.Close() // read-only: nothing can be lost
		}
	}
}

func (r *blockReader) acquire() { r.refs.Add(1) }

func (r *blockReader) release() {
	if r.refs.Add(-1) > 0 {
		return
	}
	r.once.Do(func() {
		r.closeFiles()
		r.cache.drop(r)
		if r.forget != nil {
			r.forget()
		}
		if r.onClose != nil {
			r.onClose(r)
		}
	})
}

// traceIDs returns the ids of the block's traces, in their order. It reads no
// more than these, and does not put another sidecar out of memory for them.
func (r *blockReader) traceIDs() ([]model.TraceID, error) {
	ids, err := r.cache.traceIDs(r)
	if err != nil {
		return nil, r.damaged(err)
	}
	return ids, nil
}

// mayHold reports whether the id index knows a hash. It is wrong about one
// absent id in a thousand.
func (r *blockReader) mayHold(hash uint64) bool {
	var few [8]uint32
	pages, err := r.ids.Pages(hash, few[:0])
	return err != nil || len(pages) > 0
}

// lookup returns the number of a trace in the block.
func (r *blockReader) lookup(id model.TraceID, hash uint64) (uint32, bool, error) {
	pages, err := r.ids.Pages(hash, nil)
	if err != nil {
		return 0, false, r.damaged(block.Corruptionf(r.Path(fileIDs), -1, "%v", err))
	}
	if len(pages) == 0 {
		return 0, false, nil
	}
	side, err := r.sidecar()
	if err != nil {
		return 0, false, err
	}
	tt := &side.traces
	for _, p := range pages {
		lo := p * pageRows
		if int64(p)*pageRows >= int64(side.rows) {
			continue
		}
		hi := min(uint32(side.rows), lo+pageRows)
		for t := tt.ofRow(lo); int(t) < tt.len() && tt.first[t] < hi; t++ {
			if tt.ids[t] == id {
				return t, true, nil
			}
		}
	}
	return 0, false, nil
}

// damaged remembers that the block has a fault, so that the store can set it
// aside.
func (r *blockReader) damaged(err error) error {
	if errors.Is(err, block.ErrCorrupt) {
		r.bad.CompareAndSwap(nil, &err)
	}
	return err
}

// dictionary is a decoded dictionary page.
type dictionary struct {
	texts []string
	ints  []int64
}

func (d *dictionary) len() int { return max(len(d.texts), len(d.ints)) }

// column is one column of one page, by row of the page.
type column struct {
	codes []int32 // into dict, -1 is null; nil when not of a dictionary
	dict  *dictionary
	null  []bool // nil: none; only without codes
	ints  []int64
	texts []string
	fixed []byte
	mem   columnMemory
}

// has reports whether row i has a value.
func (c *column) has(i int) bool {
	if c.codes != nil {
		return c.codes[i] >= 0
	}
	return c.null == nil || !c.null[i]
}

func (c *column) int(i int) int64 {
	if c.codes != nil {
		if k := c.codes[i]; k >= 0 {
			return c.dict.ints[k]
		}
		return 0
	}
	return c.ints[i]
}

func (c *column) text(i int) string {
	if c.codes != nil {
		if k := c.codes[i]; k >= 0 {
			return c.dict.texts[k]
		}
		return ""
	}
	return c.texts[i]
}

// pageReader reads columns of pages; it keeps the dictionaries of the row group
// at hand. Not safe for concurrent use: one a worker.
type pageReader struct {
	b     *blockReader
	side  *sidecar
	group int
	dicts []*dictionary // by column
	ahead []readAhead   // by column
	stats *model.QueryStats
	buf   []byte
	raw   []byte
	dec   decoder
}

// readAhead is the chunk of a column that is read as a whole because its pages
// are asked for one after the other, in either direction.
type readAhead struct {
	last int // page asked for
	run  int // how many were asked for one after the other
	off  int64
	buf  []byte
}

// readAheadAfter is how many pages in a row make the rest worth reading too: a
// trace mostly lies on one or two.
const readAheadAfter = 3

// maxReadAhead is how large a chunk may be that is read as a whole.
const maxReadAhead = 128 << 10

func newPageReader(b *blockReader, side *sidecar, stats *model.QueryStats) *pageReader {
	return &pageReader{b: b, side: side, group: -1, stats: stats, ahead: make([]readAhead, len(side.cols))}
}

// column reads one column of a page into c, of which it takes the memory.
func (p *pageReader) column(page, col int, c *column) error {
	g := page / groupPages
	if g != p.group {
		p.group, p.dicts = g, make([]*dictionary, len(p.side.cols))
	}
	if g >= len(p.side.chunks) {
		return fmt.Errorf("cannot read page %d of block %q: it has %d rows", page, p.b.ID, p.side.rows)
	}
	ch := &p.side.chunks[g][col]
	d := &p.side.cols[col]
	ahead := &p.ahead[col]
	ahead.ask(page)
	if ahead.run >= readAheadAfter {
		if err := p.readChunk(ahead, ch); err != nil {
			return p.b.damaged(err)
		}
	}
	off := ch.off
	if ch.encoding == encDict {
		if p.dicts[col] == nil {
			dict, err := p.dictionary(d, ahead, ch)
			if err != nil {
				return p.b.damaged(err)
			}
			p.dicts[col] = dict
		}
		off += int64(ch.dict.size)
	}
	k := page % groupPages
	for _, x := range ch.pages[:k] {
		off += int64(x.size)
	}
	body, h, err := p.page(d, ahead, off, ch.pages[k])
	if err != nil {
		return p.b.damaged(err)
	}
	n := min(pageRows, p.side.rows-page*pageRows)
	if !p.dec.page(c, d, ch.encoding, body, h, n, p.dicts[col]) {
		return p.b.damaged(block.Corruptionf(p.b.Path(fileSpans), off, "page of column %q does not decode", d.name))
	}
	return nil
}

// ask notes which page is asked for. Workers share the row groups: the first page
// of a later one follows the last of the one before.
func (a *readAhead) ask(page int) {
	by := page - a.last
	at, was := page%groupPages, a.last%groupPages
	switch {
	case by == 1 || by == -1, by > 0 && at == 0 && was == groupPages-1, by < 0 && at == groupPages-1 && was == 0:
		a.run++
	default:
		a.run = 1
	}
	a.last = page
}

// readChunk reads a chunk as a whole, unless it is large or at hand.
func (p *pageReader) readChunk(a *readAhead, ch *chunk) error {
	size := int64(ch.dict.size)
	for _, x := range ch.pages {
		size += int64(x.size)
	}
	if size > maxReadAhead || a.holds(ch.off, size) {
		return nil
	}
	a.buf, a.off = grown(a.buf, int(size)), ch.off
	if err := p.read(a.buf, ch.off); err != nil {
		a.buf = a.buf[:0]
		return err
	}
	return nil
}

func (a *readAhead) holds(off, size int64) bool {
	return off >= a.off && off+size <= a.off+int64(len(a.buf))
}

// read fills buf with what the file has at an offset.
func (p *pageReader) read(buf []byte, off int64) error {
	if n, err := p.b.spans.ReadAt(buf, off); n < len(buf) {
		return fmt.Errorf("cannot read %q at offset %d: %w", p.b.Path(fileSpans), off, err)
	}
	p.stats.AddBytes(int64(len(buf)))
	return nil
}

// page reads and verifies one page and unpacks its body, which is valid until
// the next call.
func (p *pageReader) page(d *colDef, a *readAhead, off int64, loc pageLoc) ([]byte, pageHeader, error) {
	if loc.size > maxSection {
		return nil, pageHeader{}, block.Corruptionf(p.b.Path(fileSpans), off, "page of column %q is %d bytes long", d.name, loc.size)
	}
	var buf []byte
	if a.holds(off, int64(loc.size)) {
		buf = a.buf[off-a.off:][:loc.size]
	} else {
		if cap(p.buf) < int(loc.size) {
			p.buf = make([]byte, loc.size+loc.size/2)
		}
		buf = p.buf[:loc.size]
		if err := p.read(buf, off); err != nil {
			return nil, pageHeader{}, err
		}
	}
	if crc32.Checksum(buf, castagnoli) != loc.crc {
		return nil, pageHeader{}, block.Corruptionf(p.b.Path(fileSpans), off, "checksum of a page of column %q differs", d.name)
	}
	h, n, ok := readPageHeader(buf)
	if !ok || h.packed != len(buf)-n {
		return nil, pageHeader{}, block.Corruptionf(p.b.Path(fileSpans), off, "page header of column %q", d.name)
	}
	if d.raw {
		return buf[n:], h, nil
	}
	raw, err := p.b.zstd.DecodeAll(buf[n:], p.raw[:0])
	if err != nil || len(raw) != h.unpacked {
		return nil, pageHeader{}, block.Corruptionf(p.b.Path(fileSpans), off, "page of column %q does not unpack", d.name)
	}
	p.raw = raw
	return raw, h, nil
}

func (p *pageReader) dictionary(d *colDef, a *readAhead, ch *chunk) (*dictionary, error) {
	body, _, err := p.page(d, a, ch.off, ch.dict)
	if err != nil {
		return nil, err
	}
	n := int(ch.dict.count)
	if n > len(body)/4 { // no type packs more
		return nil, block.Corruptionf(p.b.Path(fileSpans), ch.off, "dictionary of column %q is too short", d.name)
	}
	dict, ok := &dictionary{}, true
	if d.typ == typeText || d.typ == typeBytes {
		dict.texts = make([]string, n)
		ok = readTexts(body, dict.texts)
	} else {
		dict.ints = make([]int64, n)
		ok = readPlainInts(body, d.typ, dict.ints)
	}
	if !ok {
		return nil, block.Corruptionf(p.b.Path(fileSpans), ch.off, "dictionary of column %q does not decode", d.name)
	}
	return dict, nil
}
