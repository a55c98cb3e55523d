package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"braid/pkg/block"
	"braid/pkg/model"
	"braid/pkg/predicate"
)

// The files of a block. See FORMAT.md.
const (
	pagesFile     = "pages"
	directoryFile = "directory"
	wordsFile     = "words"
	idsFile       = "ids"
	keysFile      = "keys"
)

const (
	// defaultPageRows is how many rows a page has: the unit of the index, of
	// decompression and of scanning.
	defaultPageRows = 1024
	directoryMagic  = "BRDLOGS1"
	directoryFormat = 2
	// directoryTogether is the first format whose blocks keep the columns that
	// rows are sorted and counted by apart from the others: see isKey.
	directoryTogether = 2
)

// pageInfo is what the directory knows of a page.
type pageInfo struct {
	minT, maxT         int64
	rows               int
	offset             int64 // of the page
	keys               int64 // of its key chunks, which lie apart: see isKey
	size, keySize      int   // of its chunks, as they are read
	streamLo, streamHi int
	severities         []severityCount
	chunks             []chunkInfo
}

// severityCount counts rows of a severity in a page.
type severityCount struct {
	severity uint8
	rows     int
}

// chunkInfo says where a column's chunk lies within its page.
type chunkInfo struct {
	col  int
	from int // from the page's offset; of a key column: from its keys
	size int
}

// isKey says which columns lie apart from their pages: those that rows are
// sorted and counted by. The pages' runs of them lie one behind the other, so
// that a question about many pages reads them in few calls of the system.
func isKey(k columnKey) bool {
	if !k.intrinsic {
		return false
	}
	switch k.name {
	case colTime, colSeverity, colStream, colSeqLo, colSeqHi:
		return true
	}
	return false
}

// blockColumn is a column as the directory holds it.
type blockColumn struct {
	columnKey
	dict []string // nil: values are kept as they are
	rows int64    // rows that have a value
	key  bool     // its chunks lie apart from the pages
	ids  string   // the kind of correlation id that its values were indexed as
	// templates of the values kept as they are: see column_template.go.
	templates []template
	set       *templateSet // while the block is written
}

// sourcePage is a run of rows that pages are gathered from: a chunk of a sealed
// head or a decoded page of a block.
type sourcePage struct {
	rows  int
	vecs  []*vector // by column of the new block
	codes [][]uint32
	// streams maps the source's stream ordinals to the block's.
	streams []uint32
	seqHi   uint64
	inverse [][]int16 // by column: row -> value + 1, made when needed
}

// rowRef is a row of a source page.
type rowRef struct {
	src *sourcePage
	row uint16
}

// blockWriter builds one block out of rows in their final order.
type blockWriter struct {
	out     *block.Writer
	file    *block.FileWriter
	enc     *encoder
	index   *indexBuilder
	columns []blockColumn
	streams []stream
	fixed   writerColumns
	gen     uint32
	spec    *model.KeySpec
	pages   []pageInfo
	rows    int64
	minT    int64
	maxT    int64
	buf     []byte // the page being made
	keys    []byte // the key chunks of all pages, 5 bytes a row or so
	keysAt  int64  // where they lie
	vec     vector // being gathered
	sources []*sourcePage
}

type writerColumns struct{ time, stream, seqHi, severity int }

// newBlockWriter begins a block. The columns come with their dictionaries; the
// streams are in their final order.
func newBlockWriter(out *block.Writer, columns []blockColumn, streams []stream, gen uint32, spec *model.KeySpec) (*blockWriter, error) {
	enc, err := newEncoder()
	if err != nil {
		return nil, fmt.Errorf("cannot make a compressor: %w", err)
	}
	file, err := out.Create(pagesFile)
	if err != nil {
		return nil, err
	}
	for i := range columns {
		c := &columns[i]
		c.key = isKey(c.columnKey)
		if !c.intrinsic {
			c.ids, _ = spec.Kind(c.name)
		}
	}
	w := &blockWriter{out: out, file: file, enc: enc, columns: columns, streams: streams, gen: gen, spec: spec,
		minT: math.MaxInt64, maxT: math.MinInt64}
	w.fixed = writerColumns{-1, -1, -1, -1}
	for i, c := range columns {
		if !c.intrinsic {
			continue
		}
		switch c.name {
		case colTime:
			w.fixed.time = i
		case colStream:
			w.fixed.stream = i
		case colSeqHi:
			w.fixed.seqHi = i
		case colSeverity:
			w.fixed.severity = i
		}
	}
	w.index = newIndexBuilder(columns)
	return w, nil
}

// add writes the next page: rows sorted by stream, time and sequence.
func (w *blockWriter) add(refs []rowRef) error {
	no := len(w.pages)
	p := pageInfo{rows: len(refs), offset: w.file.Size(), minT: math.MaxInt64, maxT: math.MinInt64}
	w.sources = w.sources[:0]
	for _, r := range refs {
		if n := len(w.sources); (n == 0 || w.sources[n-1] != r.src) && !slices.Contains(w.sources, r.src) {
			w.sources = append(w.sources, r.src)
		}
	}
	w.buf = w.buf[:0]
	for col := range w.columns {
		if !w.anyHas(col) {
			continue
		}
		v := w.gather(col, refs)
		if v.n == 0 {
			continue
		}
		w.columns[col].rows += int64(v.n)
		w.note(&p, col, v)
		w.index.add(no, col, v)
		if w.columns[col].key {
			from := len(w.keys)
			w.keys = w.enc.appendChunk(w.keys, v, len(refs), nil)
			p.chunks = append(p.chunks, chunkInfo{col: col, size: len(w.keys) - from})
			continue
		}
		from := len(w.buf)
		w.buf = w.enc.appendChunk(w.buf, v, len(refs), w.templates(col))
		p.chunks = append(p.chunks, chunkInfo{col: col, size: len(w.buf) - from})
	}
	w.minT, w.maxT = min(w.minT, p.minT), max(w.maxT, p.maxT)
	w.rows += int64(len(refs))
	w.pages = append(w.pages, p)
	_, err := w.file.Write(w.buf)
	return err
}

// templates returns the templates of a column of texts.
func (w *blockWriter) templates(col int) *templateSet {
	c := &w.columns[col]
	if c.set == nil && c.dict == nil && c.kind == model.KindString {
		c.set = &templateSet{}
	}
	return c.set
}

// anyHas reports whether a source of the page has values in a column: with
// thousands of attribute names most have not.
func (w *blockWriter) anyHas(col int) bool {
	for _, s := range w.sources {
		if col < len(s.vecs) && s.vecs[col] != nil || col == w.fixed.seqHi {
			return true
		}
	}
	return false
}

// note keeps in the directory what prunes pages.
func (w *blockWriter) note(p *pageInfo, col int, v *vector) {
	switch col {
	case w.fixed.time:
		for _, t := range asInts(v.nums) {
			p.minT, p.maxT = min(p.minT, t), max(p.maxT, t)
		}
	case w.fixed.stream:
		p.streamLo, p.streamHi = int(v.nums[0]), int(v.nums[v.n-1])
	case w.fixed.severity:
		var counts [256]int
		for _, s := range v.nums {
			counts[uint8(s)]++
		}
		for s, n := range counts {
			if n > 0 {
				p.severities = append(p.severities, severityCount{uint8(s), n})
			}
		}
	}
}

// gather collects the values of a column for a page. The vector is valid until
// the next call.
func (w *blockWriter) gather(col int, refs []rowRef) *vector {
	v := &w.vec
	c := &w.columns[col]
	*v = vector{kind: c.kind, rows: v.rows[:0], codes: v.codes[:0], nums: v.nums[:0], offs: append(v.offs[:0], 0), data: v.data[:0]}
	switch {
	case c.intrinsic && c.name == colTrace:
		v.form, v.size = formFixed, 16
	case c.intrinsic && c.name == colSpan:
		v.form, v.size = formFixed, 8
	case c.dict != nil:
		v.form, v.dict = formDict, c.dict
	case hasText(c.kind):
		v.form = formText
	case c.kind != model.KindEmpty:
		v.form = formNums
	}
	for i, r := range refs {
		if col == w.fixed.seqHi && r.src.seqHi != 0 {
			v.nums = append(v.nums, r.src.seqHi)
			v.rows = append(v.rows, uint16(i))
			v.n++
			continue
		}
		k := r.src.find(col, int(r.row))
		if k < 0 {
			continue
		}
		v.rows = append(v.rows, uint16(i))
		v.n++
		s := r.src.vecs[col]
		switch v.form {
		case formDict:
			v.codes = append(v.codes, r.src.codes[col][s.codes[k]])
		case formText:
			v.data = append(v.data, s.str(k)...)
			v.offs = append(v.offs, uint32(len(v.data)))
		case formNums:
			x := s.nums[k]
			if col == w.fixed.stream {
				x = uint64(r.src.streams[x])
			}
			v.nums = append(v.nums, x)
		case formFixed:
			v.data = append(v.data, s.fixed(k)...)
		}
	}
	return v
}

// find returns the index of a row's value, -1 when it has none.
func (s *sourcePage) find(col, row int) int {
	if col >= len(s.vecs) || s.vecs[col] == nil {
		return -1
	}
	v := s.vecs[col]
	if v.rows == nil || v.n*16 < s.rows {
		return v.index(row)
	}
	if s.inverse == nil {
		s.inverse = make([][]int16, len(s.vecs))
	}
	if s.inverse[col] == nil {
		inv := make([]int16, s.rows)
		for i, r := range v.rows[:v.n] {
			inv[r] = int16(i) + 1
		}
		s.inverse[col] = inv
	}
	return int(s.inverse[col][row]) - 1
}

// finish writes the rest of the block's files and returns what the meta needs.
func (w *blockWriter) finish() (block.Meta, error) {
	m := block.Meta{Signal: "logs", MinTime: w.minT, MaxTime: w.maxT, Rows: w.rows}
	w.keysAt = w.file.Size()
	_, err := w.file.Write(w.keys)
	if err = errors.Join(err, w.file.Close()); err != nil {
		return m, err
	}
	eachStreamAttrs(w.streams, func(attrs model.Attrs) {
		predicate.EachAttrKey(w.spec, attrs, w.index.addKey)
	})
	words, ids, keys, err := w.index.build(len(w.pages))
	if err != nil {
		return m, fmt.Errorf("cannot build the index: %w", err)
	}
	if err := w.out.WriteFile(wordsFile, words); err != nil {
		return m, err
	}
	if err := w.out.WriteFile(idsFile, ids); err != nil {
		return m, err
	}
	if err := w.out.WriteFile(keysFile, keys); err != nil {
		return m, err
	}
	if err := w.out.WriteFile(directoryFile, w.directory()); err != nil {
		return m, err
	}
	if names := keyNames(w.columns, w.streams, w.spec); names != nil {
		if err := m.SetStat("names", names); err != nil {
			return m, err
		}
	}
	return m, m.SetStat("gen", w.gen)
}

// directory encodes what a reader needs to know first.
func (w *blockWriter) directory() []byte {
	b := binary.AppendUvarint(nil, uint64(w.gen))
	b = binary.AppendUvarint(b, uint64(len(w.columns)))
	for i := range w.columns {
		b = appendColumn(b, &w.columns[i])
	}
	b = binary.AppendUvarint(b, uint64(len(w.streams)))
	for _, s := range w.streams {
		b = appendStream(b, s)
	}
	b = w.index.appendFlags(b)
	b = binary.AppendUvarint(b, uint64(w.keysAt))
	b = binary.AppendUvarint(b, uint64(len(w.pages)))
	for i := range w.pages {
		b = appendPageInfo(b, &w.pages[i])
	}
	out := append([]byte(directoryMagic), directoryFormat)
	out = binary.AppendUvarint(out, uint64(len(b)))
	out = w.enc.zstd.EncodeAll(b, out)
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli))
}

func appendColumn(b []byte, c *blockColumn) []byte {
	flags := byte(c.kind)
	if c.intrinsic {
		flags |= 8
	}
	if c.dict != nil {
		flags |= 16
	}
	if c.set != nil && len(c.set.texts) > 0 {
		flags |= 32
	}
	b = appendString(append(b, flags), c.name)
	b = binary.AppendUvarint(b, uint64(c.rows))
	b = appendString(b, c.ids)
	if c.dict != nil {
		b = appendStrings(b, c.dict)
	}
	if flags&32 != 0 {
		b = appendStrings(b, c.set.texts)
	}
	return b
}

func appendStrings(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendString(b, s)
	}
	return b
}

func appendPageInfo(b []byte, p *pageInfo) []byte {
	b = binary.AppendVarint(b, p.minT)
	b = binary.AppendUvarint(b, uint64(p.maxT-p.minT))
	for _, x := range []int64{int64(p.rows), p.offset, int64(p.streamLo), int64(p.streamHi - p.streamLo), int64(len(p.severities))} {
		b = binary.AppendUvarint(b, uint64(x))
	}
	for _, s := range p.severities {
		b = binary.AppendUvarint(append(b, s.severity), uint64(s.rows))
	}
	b = binary.AppendUvarint(b, uint64(len(p.chunks)))
	last := -1
	for _, c := range p.chunks {
		b = binary.AppendUvarint(b, uint64(c.col-last-1))
		b = binary.AppendUvarint(b, uint64(c.size))
		last = c.col
	}
	return b
}
