package logstore

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"sync"

	segment "github.com/blevesearch/scorch_segment_api/v2"
	"github.com/blevesearch/vellum"
	zap "github.com/blevesearch/zapx/v16"

	"braid/pkg/block"
	"braid/pkg/idindex"
	"braid/pkg/model"
)

const (
	// maxCodes bounds the dictionary values whose pages are looked up: a
	// condition that more values pass is not selective.
	maxCodes = 64
	// maxInfix bounds the terms that hold a part of a word.
	maxInfix = 4096
)

// pageIndex answers for one query which pages of a block may hold something.
type pageIndex struct {
	r     *blockReader
	d     *directory
	stats *model.QueryStats
	ids   *idindex.Index
	words *wordIndex
}

func (ix *pageIndex) none() bitset { return newBitset(len(ix.d.pages)) }

// having returns the pages that have a column.
func (ix *pageIndex) having(col int) bitset {
	out := ix.none()
	for i := range ix.d.pages {
		if ix.d.pages[i].has(col) {
			out.set(i)
		}
	}
	return out
}

// id adds the pages that may hold an id.
func (ix *pageIndex) id(hash uint64, into bitset) error {
	if ix.ids == nil {
		ids, err := ix.r.idIndex(ix.stats)
		if err != nil {
			return err
		}
		ix.ids = ids
	}
	ix.stats.AddBytes(idRead)
	pages, err := ix.ids.Pages(hash, nil)
	if err != nil {
		return block.Corruptionf(ix.r.block.Path(idsFile), -1, "%v", err)
	}
	for _, p := range pages {
		if int(p) < len(ix.d.pages) {
			into.set(int(p))
		}
	}
	return nil
}

// term adds the pages that have a term of the dictionary.
func (ix *pageIndex) term(field string, term []byte, into bitset) error {
	w, err := ix.wordIndex()
	if err != nil {
		return err
	}
	return w.term(field, term, into)
}

func (ix *pageIndex) wordIndex() (*wordIndex, error) {
	if ix.words == nil {
		w, err := ix.r.wordIndex(ix.stats)
		if err != nil {
			return nil, err
		}
		ix.words = w
	}
	return ix.words, nil
}

const (
	// idsPerByte is how much bigger an id index is than its directory, roughly.
	idsPerByte = 128
	// idRead is what one look-up reads of the file, roughly.
	idRead = 700
)

// idIndex opens the block's id index; its directory stays in memory.
func (r *blockReader) idIndex(stats *model.QueryStats) (*idindex.Index, error) {
	v, err := r.cache.get(cacheKey{r.block.ID, idsFile}, func() (any, int64, error) {
		f, _ := r.block.File(idsFile)
		ids, err := idindex.OpenReaderAt(r.ids, f.Size)
		if err != nil {
			return nil, 0, block.Corruptionf(r.block.Path(idsFile), -1, "%v", err)
		}
		size := f.Size/idsPerByte + 1024
		stats.AddBytes(size)
		return ids, size, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*idindex.Index), nil
}

// wordIndex is the bleve segment of a block's pages, and, once somebody looks for
// parts of words, its words as one text to find them in. Safe for concurrent use.
type wordIndex struct {
	seg  *zap.SegmentBase
	size int64

	mu    sync.Mutex // guards lists
	lists map[string]*termList
}

// termList is the terms of a field, each followed by a line feed.
type termList struct {
	text []byte
}

func (r *blockReader) wordIndex(stats *model.QueryStats) (*wordIndex, error) {
	v, err := r.cache.get(cacheKey{r.block.ID, wordsFile}, func() (any, int64, error) {
		data, err := r.block.ReadFile(r.fs, wordsFile)
		if err != nil {
			return nil, 0, err
		}
		stats.AddBytes(int64(len(data)))
		w, err := openWords(data)
		if err != nil {
			return nil, 0, block.Corruptionf(r.block.Path(wordsFile), -1, "%v", err)
		}
		return w, w.size, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*wordIndex), nil
}

// openWords opens a segment in memory: bleve's plugin opens files by path only,
// so its footer, which is part of the format, is read here.
func openWords(data []byte) (*wordIndex, error) {
	n := len(data) - zap.FooterSize
	if n < 0 {
		return nil, errShort
	}
	f := data[n:]
	be := binary.BigEndian
	docs, stored, sections := be.Uint64(f), be.Uint64(f[8:]), be.Uint64(f[24:])
	chunkMode, version := be.Uint32(f[40:]), be.Uint32(f[44:])
	if version != zap.Version || stored > uint64(n) || sections > uint64(n) || crc32.ChecksumIEEE(data[:len(data)-4]) != be.Uint32(f[48:]) {
		return nil, errShort
	}
	seg, err := zap.InitSegmentBase(data[:n], 0, chunkMode, docs, stored, sections, nil)
	if err != nil {
		return nil, err
	}
	// the lists, that may come later, are about as big as the segment
	return &wordIndex{seg: seg, lists: map[string]*termList{}, size: 2 * int64(len(data))}, nil
}

// list returns all terms of a field. Whole words are found without it, so that a
// search among many blocks does not read the terms of all of them.
func (w *wordIndex) list(field string) (*termList, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.lists[field]; l != nil {
		return l, nil
	}
	l := &termList{}
	err := w.each(field, nil, nil, nil, func(term string) bool {
		l.text = append(append(l.text, term...), '\n')
		return true
	})
	if err != nil {
		return nil, err
	}
	w.lists[field] = l
	return l, nil
}

// each yields the terms of a field that an automaton accepts, in order; a nil
// one accepts all.
func (w *wordIndex) each(field string, a segment.Automaton, from, to []byte, yield func(term string) bool) error {
	dict, err := w.seg.Dictionary(field)
	if err != nil {
		return err
	}
	if a == nil {
		a = &vellum.AlwaysMatch{}
	}
	it := dict.AutomatonIterator(a, from, to)
	for {
		e, err := it.Next()
		if err != nil {
			return err
		}
		if e == nil || !yield(e.Term) {
			return nil
		}
	}
}

// term adds the pages of a term.
func (w *wordIndex) term(field string, term []byte, into bitset) error {
	dict, err := w.seg.Dictionary(field)
	if err != nil {
		return err
	}
	return post(dict, term, into)
}

func post(dict segment.TermDictionary, term []byte, into bitset) error {
	list, err := dict.PostingsList(term, nil, nil)
	if err != nil {
		return err
	}
	it := list.Iterator(false, false, false, nil)
	for {
		p, err := it.Next()
		if err != nil {
			return err
		}
		if p == nil {
			return nil
		}
		if n := p.Number(); n < uint64(len(into)*64) {
			into.set(int(n))
		}
	}
}

// infix adds the pages of the terms of a field that contain a text; false when
// there are too many to tell.
func (w *wordIndex) infix(field, part string, start, end bool, into bitset) (bool, error) {
	list, err := w.list(field)
	if err != nil {
		return false, err
	}
	dict, err := w.seg.Dictionary(field)
	if err != nil {
		return false, err
	}
	sub := []byte(part)
	if end {
		sub = append(sub, '\n')
	}
	if start {
		sub = append([]byte{'\n'}, sub...)
	}
	text := list.text
	found := 0
	if start && bytes.HasPrefix(text, sub[1:]) { // the first term has no line feed before it
		if err := post(dict, text[:bytes.IndexByte(text, '\n')], into); err != nil {
			return false, err
		}
	}
	for at := 0; at < len(text); {
		k := bytes.Index(text[at:], sub)
		if k < 0 {
			return true, nil
		}
		at += k
		if start {
			at++
		}
		if found++; found > maxInfix {
			return false, nil
		}
		from := bytes.LastIndexByte(text[:at], '\n') + 1
		to := at + bytes.IndexByte(text[at:], '\n')
		if err := post(dict, text[from:to], into); err != nil {
			return false, err
		}
		at = to
	}
	return true, nil
}

func (n constNode) pages(ix *pageIndex) (bitset, error) {
	if n {
		return nil, nil
	}
	return ix.none(), nil
}

// pages narrows by each part; the cheap ones come first, and the others are not
// asked once hardly anything is left.
func (n andNode) pages(ix *pageIndex) (bitset, error) {
	var out bitset
	for _, part := range n {
		got, err := part.pages(ix)
		if err != nil {
			return nil, err
		}
		switch {
		case got == nil:
		case out == nil:
			out = append(bitset(nil), got...)
		default:
			out.and(got)
		}
		if out != nil && out.empty() {
			return out, nil
		}
	}
	return out, nil
}

func (n orNode) pages(ix *pageIndex) (bitset, error) {
	out, all := ix.none(), false
	for _, part := range n {
		got, err := part.pages(ix)
		if err != nil {
			return nil, err
		}
		if got == nil {
			all = true // the other parts are asked all the same: they prepare their scans
		} else {
			out.or(got)
		}
	}
	if all {
		return nil, nil
	}
	return out, nil
}

// pages of a negation are all: an index says where something is, not where it
// is not.
func (n notNode) pages(ix *pageIndex) (bitset, error) {
	_, err := n.x.pages(ix) // which prepares the scan
	return nil, err
}

func (n *fieldNode) pages(ix *pageIndex) (bitset, error) {
	out := ix.none()
	for i := range n.sources {
		s := &n.sources[i]
		switch {
		case s.time:
			return nil, nil
		case s.stream != nil:
			ix.streams(s.stream.pass, out)
		case s.level:
			ix.severities(func(sev uint8) bool { return n.holds(model.String(model.SeverityNumber(sev).Level())) }, out)
		case s.col >= 0:
			got, err := n.columnPages(ix, s.col)
			if err != nil {
				return nil, err
			}
			out.or(got)
			if c := &ix.d.columns[s.col]; n.onlyBody && c.templates != nil && n.inVars == nil {
				if err := n.findInVars(ix); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}

// findInVars finds the pages where a word with a digit in it may have a part of
// what is searched.
func (n *fieldNode) findInVars(ix *pageIndex) error {
	w, err := ix.wordIndex()
	if err != nil {
		return err
	}
	n.inVars = make([]bitset, len(n.varParts))
	for i, part := range n.varParts {
		pages := ix.none()
		flagged(ix.d.flags.partial, pages)
		if ok, err := w.infix(fieldPart, part, false, false, pages); err != nil {
			return err
		} else if ok {
			n.inVars[i] = pages
		}
	}
	return nil
}

// streams adds the pages that may have rows of a stream that passes.
func (ix *pageIndex) streams(pass []bool, into bitset) {
	before := make([]int, len(pass)+1) // how many pass before each
	for i, ok := range pass {
		before[i+1] = before[i]
		if ok {
			before[i+1]++
		}
	}
	for i := range ix.d.pages {
		if p := &ix.d.pages[i]; before[p.streamHi+1] > before[p.streamLo] {
			into.set(i)
		}
	}
}

// severities adds the pages that have rows of a severity that passes.
func (ix *pageIndex) severities(pass func(uint8) bool, into bitset) {
	var table [256]bool
	for i := range table {
		table[i] = pass(uint8(i))
	}
	for i := range ix.d.pages {
		p := &ix.d.pages[i]
		rest := p.rows
		for _, s := range p.severities {
			rest -= s.rows
			if table[s.severity] {
				into.set(i)
			}
		}
		if rest > 0 && table[0] {
			into.set(i)
		}
	}
}

// columnPages returns the pages where a value of a column may pass.
func (n *fieldNode) columnPages(ix *pageIndex, col int) (bitset, error) {
	c := &ix.d.columns[col]
	out := ix.none()
	switch {
	case n.any:
	case c.intrinsic && c.name == colSeverity:
		ix.severities(func(sev uint8) bool { return sev != 0 && n.holds(model.Int(int64(sev))) }, out)
		return out, nil
	case c.intrinsic && c.name == colBody:
		if n.words == nil || c.kind != model.KindString && (!n.wholeText || c.kind == model.KindBytes || !hasText(c.kind)) {
			break
		}
		got, err := n.words.pages(ix)
		if err != nil || got != nil {
			return got, err
		}
	case c.intrinsic && (c.name == colTrace || c.name == colSpan):
		if n.isEq {
			return out, ix.fixedID(c.name, n.equal, out)
		}
	case n.isID:
		if kind, ok := n.idKind(c); ok {
			return out, ix.id(idKind(kind).Hash(n.idOf), out)
		}
	case c.dict != nil:
		if done, err := n.dictPages(ix, col, c, out); done || err != nil {
			return out, err
		}
		clear(out)
	case n.isEq && c.kind == model.KindString:
		if c.ids != "" {
			if id := model.Canonical(c.ids, n.equal); id != "" {
				return out, ix.id(idKind(c.ids).Hash(id), out)
			}
		}
		return out, ix.id(valueKind(c.name).Hash(n.equal), out)
	}
	return ix.having(col), nil
}

// idKind returns the kind by which the ids of a column were indexed, if it is
// the one that they have now.
func (n *fieldNode) idKind(c *blockColumn) (string, bool) {
	return c.ids, c.ids != "" && c.ids == n.idType
}

// fixedID adds the pages of a trace or span id in hex.
func (ix *pageIndex) fixedID(name, text string, into bitset) error {
	if name == colTrace {
		return ix.id(kindTrace.Hash(text), into)
	}
	raw, ok := appendHex(nil, text[:len(text)&^1])
	if !ok {
		return nil
	}
	return ix.id(kindSpan.HashBytes(raw), into)
}

// dictPages adds the pages of the dictionary values that pass; false when they
// are too many.
func (n *fieldNode) dictPages(ix *pageIndex, col int, c *blockColumn, into bitset) (bool, error) {
	var buf []byte
	found := 0
	for _, s := range c.dict {
		if !n.holds(model.Raw(c.kind, 0, s)) {
			continue
		}
		if found++; found > maxCodes {
			return false, nil
		}
		buf = appendAttrTerm(buf[:0], c.columnKey, s)
		if err := ix.term(fieldAttr, buf, into); err != nil {
			return false, err
		}
	}
	return true, nil
}

// flagged adds the pages that a list names.
func flagged(list []uint32, into bitset) {
	for _, p := range list {
		if int(p) < len(into)*64 {
			into.set(int(p))
		}
	}
}

// sortedNames is for deterministic walks over maps.
func sortedNames(m map[string][]int) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
