package tracestore

import (
	"slices"
)

// vectors turns the rows of a group into columns.
func (b *blockBuilder) vectors(order, classes []uint32) []vector {
	n := len(order)
	vecs := make([]vector, len(b.side.cols))
	for i := range vecs {
		vecs[i].n = n
	}
	b.intrinsics(vecs, order, classes)
	b.attributes(vecs, order, classes)
	return vecs
}

func (b *blockBuilder) intrinsics(vecs []vector, order, classes []uint32) {
	n := len(order)
	at := func(c int) *vector { return &vecs[b.side.fixedAt[c]] }
	trace, span, parent := at(colTraceID), at(colSpanID), at(colParentID)
	trace.fixed, span.fixed, parent.fixed = make([]byte, 16*n), make([]byte, 8*n), make([]byte, 8*n)
	parent.null = make([]bool, n)
	start, dur := at(colStart), at(colDuration)
	start.ints, dur.ints = make([]int64, n), make([]int64, n)
	for i, x := range order {
		r := &b.from.rows[x]
		copy(trace.fixed[16*i:], b.from.trs[r.trace].id[:])
		copy(span.fixed[8*i:], r.spanID[:])
		copy(parent.fixed[8*i:], r.parent[:])
		parent.null[i] = r.parent.IsZero()
		start.ints[i], dur.ints[i] = r.start, r.end-r.start
	}
	tab := b.tab
	b.classText(at(colService), classes, func(c *class) string { return tab.services[c.resource] })
	b.classText(at(colName), classes, func(c *class) string { return tab.names.strtab.str(c.name) })
	b.classInt(at(colKind), classes, func(c *class) int64 { return int64(c.kind) })
	b.classInt(at(colStatus), classes, func(c *class) int64 { return int64(c.status) })
	b.classInt(at(colResource), classes, func(c *class) int64 { return int64(c.resource) })
	b.classInt(at(colScope), classes, func(c *class) int64 { return int64(c.scope) })
	b.rareText(vecs, colMessage, order, func(r *row) string { return b.from.texts.str(r.message) })
	b.rareText(vecs, colState, order, func(r *row) string { return b.from.texts.str(r.state) })
	b.rareText(vecs, colEvents, order, func(r *row) string { return string(b.from.piece(r.events)) })
	b.rareText(vecs, colLinks, order, func(r *row) string { return string(b.from.piece(r.links)) })
	b.rareInt(vecs, colFlags, order, func(r *row) uint32 { return r.flags })
	b.rareInt(vecs, colDroppedAttrs, order, func(r *row) uint32 { return r.droppedAttrs })
	b.rareInt(vecs, colDroppedEvents, order, func(r *row) uint32 { return r.droppedEvents })
	b.rareInt(vecs, colDroppedLinks, order, func(r *row) uint32 { return r.droppedLinks })
}

// classText fills a column that follows from the class: a dictionary of the
// few values, without looking at a text a row.
func (b *blockBuilder) classText(v *vector, classes []uint32, of func(*class) string) {
	seen := map[string]int32{}
	v.codes = b.classCodes(classes, func(c *class) int32 {
		s := of(c)
		k, ok := seen[s]
		if !ok {
			k = int32(len(v.dict))
			seen[s] = k
			v.dict = append(v.dict, s)
		}
		return k
	})
}

func (b *blockBuilder) classInt(v *vector, classes []uint32, of func(*class) int64) {
	seen := map[int64]int32{}
	v.codes = b.classCodes(classes, func(c *class) int32 {
		x := of(c)
		k, ok := seen[x]
		if !ok {
			k = int32(len(v.dictInts))
			seen[x] = k
			v.dictInts = append(v.dictInts, x)
		}
		return k
	})
}

func (b *blockBuilder) classCodes(classes []uint32, code func(*class) int32) []int32 {
	of := make([]int32, len(b.tab.classes))
	codes := make([]int32, len(classes))
	for i, c := range classes {
		if of[c] == 0 {
			of[c] = code(&b.tab.classes[c]) + 1
		}
		codes[i] = of[c] - 1
	}
	return codes
}

// rareText fills a column of texts that are absent when empty.
func (b *blockBuilder) rareText(vecs []vector, col int, order []uint32, of func(*row) string) {
	if b.side.fixedAt[col] == noColumn {
		return
	}
	v := &vecs[b.side.fixedAt[col]]
	v.null, v.texts = make([]bool, len(order)), make([]string, len(order))
	for i, x := range order {
		v.texts[i] = of(&b.from.rows[x])
		v.null[i] = v.texts[i] == ""
	}
}

func (b *blockBuilder) rareInt(vecs []vector, col int, order []uint32, of func(*row) uint32) {
	if b.side.fixedAt[col] == noColumn {
		return
	}
	v := &vecs[b.side.fixedAt[col]]
	v.ints = make([]int64, len(order))
	for i, x := range order {
		v.ints[i] = int64(int32(of(&b.from.rows[x])))
	}
	v.tryDict()
}

// attributes fills the attribute columns, and the rest.
func (b *blockBuilder) attributes(vecs []vector, order, classes []uint32) {
	n := len(order)
	rest := &vecs[b.side.fixedAt[colRest]]
	rest.null, rest.texts = make([]bool, n), make([]string, n)
	for i := range rest.null {
		rest.null[i] = true
	}
	var e enc
	for c := range vecs {
		if fixedColumn(&b.side.cols[c]) >= 0 {
			continue
		}
		b.attrColumn(&vecs[c], int32(c), order, classes)
	}
	for i, x := range order {
		sh := b.tab.classes[classes[i]].shape
		if !slices.Contains(b.shape[sh], noColumn) {
			continue
		}
		e.b = e.b[:0]
		for k, col := range b.shape[sh] {
			if col == noColumn {
				key := b.tab.shapes[sh][k]
				e.str(key.name)
				e.value(b.from.value(&b.from.rows[x], k, key.kind))
			}
		}
		rest.texts[i], rest.null[i] = string(e.b), false
	}
}

// attrColumn gathers one attribute: numbers as they are, texts through a
// dictionary by their number in the rowset, so that no text is hashed.
func (b *blockBuilder) attrColumn(v *vector, col int32, order, classes []uint32) {
	place := make([]int32, len(b.tab.classes)) // of the attribute in the class's shape, +1
	for c := range place {
		place[c] = int32(slices.Index(b.shape[b.tab.classes[c].shape], col)) + 1
	}
	n := len(order)
	if t := b.side.cols[col].typ; t != typeText && t != typeBytes {
		v.ints, v.null = make([]int64, n), make([]bool, n)
		for i, x := range order {
			p := place[classes[i]]
			if v.null[i] = p == 0; p != 0 {
				v.ints[i] = int64(b.from.cells[b.from.rows[x].attrs+uint32(p)-1])
			}
		}
		if t == typeInt64 {
			v.tryDict()
		}
		b.stats[col].group(v, b.side.cols[col].key.kind, b.page)
		return
	}
	b.now++
	v.codes = make([]int32, n)
	for i, x := range order {
		p := place[classes[i]]
		if p == 0 {
			v.codes[i] = -1
			continue
		}
		text := b.from.cells[b.from.rows[x].attrs+uint32(p)-1]
		if b.epoch[text] != b.now {
			b.epoch[text] = b.now
			b.local[text] = int32(len(v.dict))
			v.dict = append(v.dict, b.from.texts.str(uint32(text)))
		}
		v.codes[i] = b.local[text]
	}
	b.stats[col].group(v, b.side.cols[col].key.kind, b.page)
	v.undict()
}

// undict turns a dictionary of mostly single values into plain texts.
func (v *vector) undict() {
	filled := 0
	for _, c := range v.codes {
		if c >= 0 {
			filled++
		}
	}
	if len(v.dict) > 0 && (len(v.dict) <= 64 || len(v.dict) <= filled/2) {
		return
	}
	v.texts, v.null = make([]string, v.n), make([]bool, v.n)
	for i, c := range v.codes {
		if v.null[i] = c < 0; c >= 0 {
			v.texts[i] = v.dict[c]
		}
	}
	v.codes, v.dict = nil, nil
}

// maxIntDict is how many different integers a dictionary may hold in a group.
const maxIntDict = 1024

// tryDict gives integers of few values a dictionary.
func (v *vector) tryDict() {
	seen := make(map[int64]int32, 64)
	codes := make([]int32, v.n)
	var dict []int64
	last, lastCode := int64(0), int32(-1)
	for i, x := range v.ints {
		if v.null != nil && v.null[i] {
			codes[i] = -1
			continue
		}
		if lastCode >= 0 && x == last {
			codes[i] = lastCode
			continue
		}
		k, ok := seen[x]
		if !ok {
			if len(dict) == maxIntDict {
				return
			}
			k = int32(len(dict))
			seen[x] = k
			dict = append(dict, x)
		}
		codes[i], last, lastCode = k, x, k
	}
	if len(dict) > 0 {
		v.codes, v.dictInts = codes, dict
	}
}
