package logstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unsafe"

	index "github.com/blevesearch/bleve_index_api"
	zap "github.com/blevesearch/zapx/v16"

	"braid/pkg/idindex"
	"braid/pkg/model"
)

// The kinds of id in a block's id index, beside correlation ids (see idKind).
var (
	kindTrace = idindex.NewKind("id:" + model.KeyTrace)
	kindSpan  = idindex.NewKind("span")
)

// idKind is the hasher of correlation ids of a kind.
func idKind(kind string) idindex.Kind { return idindex.NewKind("id:" + kind) }

// valueKind is the hasher of the values of an attribute.
func valueKind(name string) idindex.Kind { return idindex.NewKind("value:" + name) }

// maxTerms bounds a block's dictionary: further words become ids, so that a
// block of noise costs no more memory than others.
const maxTerms = 300_000

// term is a word or attribute value of the block's dictionary.
type term struct {
	hash, first uint64
	off         uint32 // in the builder's text
	size        uint16
	field       uint8
	last        int32 // page + 1 where it was last seen
}

// indexBuilder collects what finds a block's pages: ids and words. A page is a
// document of the bleve segment that build makes.
type indexBuilder struct {
	ids     idindex.Builder
	keys    idindex.Builder // correlation ids alone, without pages
	columns []blockColumn
	kinds   []columnKinds

	terms []term
	slots []uint32 // hash table: term + 1
	text  []byte   // of all terms
	docs  [][]uint32
	attrs [][]uint32 // by column and code: term + 1
	flags indexFlags
	fold  []byte
}

// columnKinds are the hashers of a column, made once.
type columnKinds struct {
	value, id idindex.Kind
}

// indexFlags say of which pages the dictionary does not tell everything.
type indexFlags struct {
	// partial pages have words that are found whole, by hash, but not by a part
	// of them.
	partial []uint32
	// spilled: some words that would be terms are ids.
	spilled bool
}

var indexFields = [...]string{fieldWord, fieldPart, fieldBigram, fieldAttr}

const (
	fieldNoWord = iota
	fieldNoPart
	fieldNoBigram
	fieldNoAttr
)

func newIndexBuilder(columns []blockColumn) *indexBuilder {
	b := &indexBuilder{keys: idindex.Builder{FingerprintBits: idindex.BlockFingerprintBits}, columns: columns, kinds: make([]columnKinds, len(columns)), attrs: make([][]uint32, len(columns)), slots: make([]uint32, 1<<14)}
	for i, c := range columns {
		if !c.intrinsic {
			b.kinds[i] = columnKinds{valueKind(c.name), idKind(c.ids)}
		}
	}
	return b
}

// add indexes one column of a page. Pages come in order.
func (b *indexBuilder) add(page, col int, v *vector) {
	for len(b.docs) <= page {
		b.docs = append(b.docs, nil)
	}
	c := &b.columns[col]
	switch {
	case v.form == formDict:
		b.addAttrs(page, col, v)
	case c.intrinsic:
		b.addIntrinsic(page, c.name, v)
	case v.form == formText && v.kind == model.KindString && c.ids != "":
		for i := range v.n {
			b.addIDText(page, col, v.str(i))
		}
		return
	case v.form == formText && v.kind == model.KindString:
		for i := range v.n {
			b.ids.Add(b.kinds[col].value.Hash(v.str(i)), uint32(page))
		}
	}
	if c.ids != "" {
		b.addIDs(page, col, v)
	}
}

func (b *indexBuilder) addIntrinsic(page int, name string, v *vector) {
	switch name {
	case colTrace:
		for i := range v.n {
			b.addID(page, kindTrace.HashHex([16]byte(v.fixed(i))))
		}
	case colSpan:
		for i := range v.n {
			b.ids.Add(kindSpan.HashBytes(v.fixed(i)), uint32(page))
		}
	case colBody:
		if v.form == formText && v.kind != model.KindBytes { // bytes are searched as base64
			for i := range v.n {
				b.addText(page, v.data[v.offs[i]:v.offs[i+1]])
			}
		}
	}
}

func appendOnce(list []uint32, page int) []uint32 {
	if n := len(list); n > 0 && list[n-1] == uint32(page) {
		return list
	}
	return append(list, uint32(page))
}

// addID indexes a correlation id.
func (b *indexBuilder) addID(page int, hash uint64) {
	b.ids.Add(hash, uint32(page))
	b.keys.Add(hash, 0)
}

// addKey indexes an id that a stream carries: it is found in the directory, so
// its pages need not be known.
func (b *indexBuilder) addKey(k model.CorrelationKey) { b.keys.Add(idKind(k.Kind).Hash(k.ID), 0) }

// addIDText indexes a string that may be a correlation id: as that, or as a value
// when it cannot be one.
func (b *indexBuilder) addIDText(page, col int, s string) {
	if id := canonical(b.columns[col].ids, s); id != "" {
		b.addID(page, b.kinds[col].id.Hash(id))
	} else {
		b.ids.Add(b.kinds[col].value.Hash(s), uint32(page))
	}
}

// canonical is model.Canonical, with a short way for the texts that it returns
// as they are.
func canonical(kind, s string) string {
	if kind == model.KeyTrace || s == "" || len(s) > 128 || !plainByte(s[0]) || !plainByte(s[len(s)-1]) {
		return model.Canonical(kind, s)
	}
	if len(s) == 36 {
		for i := range len(s) {
			if c := s[i]; c >= 'A' && c <= 'F' {
				return model.Canonical(kind, s)
			}
		}
	}
	return s
}

// plainByte: neither space nor brace nor part of a longer character.
func plainByte(c byte) bool { return c > ' ' && c < 0x7f && c != '{' && c != '}' }

// addIDs indexes a column that carries correlation ids.
func (b *indexBuilder) addIDs(page, col int, v *vector) {
	kind := b.columns[col].ids
	seen := map[uint32]bool{}
	for i := range v.n {
		if v.form == formDict {
			if seen[v.codes[i]] {
				continue
			}
			seen[v.codes[i]] = true
		}
		model.EachID(v.value(i), func(text string) bool {
			if id := canonical(kind, text); id != "" {
				b.addID(page, b.kinds[col].id.Hash(id))
			}
			return true
		})
	}
}

// addAttrs indexes the values of a column with a dictionary.
func (b *indexBuilder) addAttrs(page, col int, v *vector) {
	known := b.attrs[col]
	if known == nil {
		known = make([]uint32, len(v.dict))
		b.attrs[col] = known
	}
	for _, code := range v.codes {
		if known[code] == 0 {
			t := term{field: fieldNoAttr, off: uint32(len(b.text))}
			b.text = appendAttrTerm(b.text, b.columns[col].columnKey, v.dict[code])
			t.size = uint16(len(b.text) - int(t.off))
			b.terms = append(b.terms, t)
			known[code] = uint32(len(b.terms))
		}
		b.post(page, int(known[code])-1)
	}
}

// appendAttrTerm appends the term of an attribute's value: kind, name, 0, value.
// Terms are shorter than 64 KiB: names longer than that are cut, which can only
// name too many pages.
func appendAttrTerm(dst []byte, k columnKey, value string) []byte {
	kind := byte(k.kind)
	if k.intrinsic {
		kind |= 8
	}
	dst = append(dst, kind)
	dst = append(dst, k.name[:min(len(k.name), 32<<10)]...)
	dst = append(dst, 0)
	return append(dst, value...)
}

// post notes that a page has a term.
func (b *indexBuilder) post(page, t int) {
	if b.terms[t].last != int32(page)+1 {
		b.terms[t].last = int32(page) + 1
		b.docs[page] = append(b.docs[page], uint32(t))
	}
}

// addText cuts a text into words and indexes them.
func (b *indexBuilder) addText(page int, s []byte) {
	for i := 0; i < len(s); {
		c := byteClass[s[i]]
		if c == 0 {
			i++
			continue
		}
		from := i
		h, w, first := uint64(hashSeed), uint64(0), uint64(0)
		seen := uint16(0)
		n := 0
		for {
			seen |= c
			w = w<<8 | uint64(byte(c))
			n++
			if n&7 == 0 {
				if n == 8 {
					first = w
				}
				h = mix(h, w)
				w = 0
			}
			if i++; i == len(s) {
				break
			}
			if c = byteClass[s[i]]; c == 0 {
				break
			}
		}
		if n < 8 {
			first = w
		}
		if seen&classForeign != 0 || n > maxTerm || seen&classDigit != 0 && n > shortWord {
			b.addComplex(page, s[from:i], mix(h, w^uint64(n)<<56), seen&classForeign != 0)
			continue
		}
		b.addTerm(page, fieldNoWord, s[from:i], mix(h, w^uint64(n)<<56), first)
	}
}

// addComplex indexes a word that is not all ASCII letters.
func (b *indexBuilder) addComplex(page int, word []byte, h uint64, foreign bool) {
	b.fold = appendFolded(b.fold[:0], view(word))
	folded := view(b.fold)
	if foreign {
		var first uint64
		h, first = hashWord(folded)
		if classOf(folded) == classTerm {
			b.addTerm(page, fieldNoWord, b.fold, h, first)
			return
		}
	}
	b.ids.Add(wordHash(h), uint32(page))
	if len(folded) > maxTerm*8 { // what it consists of would be noise
		b.flags.partial = appendOnce(b.flags.partial, page)
		return
	}
	if !foreign {
		b.addParts(page, b.fold)
		return
	}
	eachRun(folded, func(run string, cjk bool) {
		if cjk {
			eachBigram(run, func(t string) { b.addFolded(page, fieldNoBigram, t) })
		} else {
			b.addPart(page, run)
		}
	})
}

// addParts indexes the runs of letters of a folded ASCII word.
func (b *indexBuilder) addParts(page int, s []byte) {
	from := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && (s[i] < '0' || s[i] > '9') {
			continue
		}
		if i-from >= minPart {
			b.addPart(page, view(s[from:i]))
		}
		from = i + 1
	}
}

func (b *indexBuilder) addPart(page int, run string) {
	switch {
	case len(run) > maxTerm:
		b.flags.partial = appendOnce(b.flags.partial, page)
	case len(run) >= minPart:
		b.addFolded(page, fieldNoPart, run)
	}
}

func (b *indexBuilder) addFolded(page int, field uint8, s string) {
	h, first := hashWord(s)
	b.addTerm(page, field, unsafe.Slice(unsafe.StringData(s), len(s)), h, first)
}

// addTerm notes a word of a page: ASCII in any case, or folded.
func (b *indexBuilder) addTerm(page int, field uint8, word []byte, h, first uint64) {
	h += uint64(field) * hashMul
	mask := uint64(len(b.slots) - 1)
	for at := h & mask; ; at = (at + 1) & mask {
		slot := b.slots[at]
		if slot == 0 {
			b.newTerm(page, field, word, h, first, at)
			return
		}
		t := &b.terms[slot-1]
		if t.hash == h && t.first == first && int(t.size) == len(word) && t.field == field && (len(word) <= 8 || b.sameText(t, word)) {
			b.post(page, int(slot)-1)
			return
		}
	}
}

func (b *indexBuilder) sameText(t *term, word []byte) bool {
	text := b.text[t.off:][8:t.size]
	for i, c := range text {
		if byte(byteClass[word[8+i]]) != c {
			return false
		}
	}
	return true
}

func (b *indexBuilder) newTerm(page int, field uint8, word []byte, h, first, at uint64) {
	if len(b.terms) >= maxTerms {
		b.flags.spilled = true
		b.flags.partial = appendOnce(b.flags.partial, page)
		if field == fieldNoWord {
			b.ids.Add(wordHash(h), uint32(page))
		}
		return
	}
	t := term{hash: h, first: first, off: uint32(len(b.text)), size: uint16(len(word)), field: field}
	for _, c := range word {
		b.text = append(b.text, byte(byteClass[c]))
	}
	b.terms = append(b.terms, t)
	b.slots[at] = uint32(len(b.terms))
	b.post(page, len(b.terms)-1)
	if len(b.terms)*2 > len(b.slots) {
		b.grow()
	}
}

func (b *indexBuilder) grow() {
	slots := make([]uint32, len(b.slots)*2)
	mask := uint64(len(slots) - 1)
	for i := range b.terms {
		if b.terms[i].field == fieldNoAttr {
			continue
		}
		at := b.terms[i].hash & mask
		for slots[at] != 0 {
			at = (at + 1) & mask
		}
		slots[at] = uint32(i) + 1
	}
	b.slots = slots
}

// build returns the files of the index.
func (b *indexBuilder) build(pages int) (words, ids, keys []byte, err error) {
	if ids, err = b.ids.Build(); err != nil {
		return nil, nil, nil, err
	}
	if keys, err = b.keys.Build(); err != nil {
		return nil, nil, nil, err
	}
	names := make([]string, len(b.terms))
	text := string(b.text)
	for i, t := range b.terms {
		names[i] = text[t.off : t.off+uint32(t.size)]
	}
	docs := make([]index.Document, pages)
	for i := range docs {
		docs[i] = newPageDocument(i, b.docs[i], b.terms, names)
	}
	var plugin zap.ZapPlugin
	seg, _, err := plugin.New(docs)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("cannot make a segment of %d pages: %w", pages, err)
	}
	base, ok := seg.(*zap.SegmentBase)
	if !ok {
		return nil, nil, nil, fmt.Errorf("the segment is a %T", seg)
	}
	var out bytes.Buffer
	if _, err := base.WriteTo(&out); err != nil {
		return nil, nil, nil, err
	}
	return out.Bytes(), ids, keys, base.Close()
}

// appendFlags encodes the flags for the directory.
func (b *indexBuilder) appendFlags(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b.flags.partial)))
	last := uint32(0)
	for _, p := range b.flags.partial {
		dst = binary.AppendUvarint(dst, uint64(p-last))
		last = p
	}
	if b.flags.spilled {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func readIndexFlags(src []byte) (f indexFlags, rest []byte, err error) {
	n, src, err := readUvarint(src, len(src))
	if err != nil {
		return f, nil, err
	}
	for last := 0; n > 0; n-- {
		var d int
		if d, src, err = readUvarint(src, idindex.MaxPage); err != nil {
			return f, nil, err
		}
		last += d
		f.partial = append(f.partial, uint32(last))
	}
	if len(src) == 0 {
		return f, nil, errShort
	}
	f.spilled = src[0] == 1
	return f, src[1:], nil
}

// pageDocument is a page as bleve sees it: a document with a field of terms for
// each class of word. It implements index.Document.
type pageDocument struct {
	id     idField
	fields []termField
}

// noFreq says that a term occurs, without counting how often: pages are
// candidates, not answers.
var noFreq = &index.TokenFreq{}

func newPageDocument(page int, posts []uint32, terms []term, names []string) *pageDocument {
	d := &pageDocument{id: idField(binary.BigEndian.AppendUint32(nil, uint32(page)))}
	var sizes [len(indexFields)]int
	for _, t := range posts {
		sizes[terms[t].field]++
	}
	for i, n := range sizes {
		d.fields = append(d.fields, termField{name: indexFields[i], terms: make(index.TokenFrequencies, n)})
	}
	for _, t := range posts {
		d.fields[terms[t].field].terms[names[t]] = noFreq
	}
	return d
}

// ID implements index.Document, as do the methods below.
func (d *pageDocument) ID() string { return string(d.id) }

// Size is not asked for here.
func (d *pageDocument) Size() int { return 0 }

// VisitFields yields the fields.
func (d *pageDocument) VisitFields(visit index.FieldVisitor) {
	visit(d.id)
	for i := range d.fields {
		visit(&d.fields[i])
	}
}

// VisitComposite yields nothing: there is no field of all fields.
func (d *pageDocument) VisitComposite(index.CompositeFieldVisitor) {}

// HasComposite is false.
func (d *pageDocument) HasComposite() bool { return false }

// NumPlainTextBytes is not counted.
func (d *pageDocument) NumPlainTextBytes() uint64 { return 0 }

// AddIDField does nothing: the id is there from the start.
func (d *pageDocument) AddIDField() {}

// StoredFieldsBytes is not counted.
func (d *pageDocument) StoredFieldsBytes() uint64 { return 0 }

// Indexed says that there is something to index.
func (d *pageDocument) Indexed() bool { return true }

// idField is the field "_id", which a segment must have: the page number.
type idField string

// Name implements index.Field, as do the methods below.
func (f idField) Name() string { return "_id" }

// Value is what is stored.
func (f idField) Value() []byte { return []byte(f) }

// ArrayPositions are none.
func (f idField) ArrayPositions() []uint64 { return nil }

// EncodedFieldType is text.
func (f idField) EncodedFieldType() byte { return 't' }

// Analyze does nothing.
func (f idField) Analyze() {}

// Options say that it is stored, as a segment demands.
func (f idField) Options() index.FieldIndexingOptions { return index.StoreField }

// AnalyzedLength is not used.
func (f idField) AnalyzedLength() int { return 0 }

// AnalyzedTokenFrequencies are none: nobody looks pages up by id.
func (f idField) AnalyzedTokenFrequencies() index.TokenFrequencies { return nil }

// NumPlainTextBytes is not counted.
func (f idField) NumPlainTextBytes() uint64 { return 0 }

// termField is one class of words of a page.
type termField struct {
	name  string
	terms index.TokenFrequencies
}

// Name implements index.Field, as do the methods below.
func (f *termField) Name() string { return f.name }

// Value is nothing: terms are indexed, not stored.
func (f *termField) Value() []byte { return nil }

// ArrayPositions are none.
func (f *termField) ArrayPositions() []uint64 { return nil }

// EncodedFieldType is text.
func (f *termField) EncodedFieldType() byte { return 't' }

// Analyze does nothing: the words were cut already.
func (f *termField) Analyze() {}

// Options leave frequencies and norms out.
func (f *termField) Options() index.FieldIndexingOptions {
	return index.IndexField | index.SkipFreqNorm
}

// AnalyzedLength is not used.
func (f *termField) AnalyzedLength() int { return 0 }

// AnalyzedTokenFrequencies are the terms.
func (f *termField) AnalyzedTokenFrequencies() index.TokenFrequencies { return f.terms }

// NumPlainTextBytes is not counted.
func (f *termField) NumPlainTextBytes() uint64 { return 0 }
