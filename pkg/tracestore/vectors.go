package tracestore

import (
	"slices"
)

// vectors turns the rows of a group into columns, in the memory of those of the
// group before.
func (b *blockBuilder) vectors(order, classes []uint32) []vector {
	n := len(order)
	if b.vecs == nil {
		b.vecs = make([]vector, len(b.side.cols))
	}
	for i := range b.vecs {
		b.vecs[i].reset(n)
	}
	b.intrinsics(b.vecs, order, classes)
	b.attributes(b.vecs, order, classes)
	return b.vecs
}

// vectorMemory is what a vector's slices lie in, from group to group.
type vectorMemory struct {
	null     []bool
	ints     []int64
	texts    []string
	fixed    []byte
	codes    []int32
	dict     []string
	dictInts []int64
	seen     map[int64]int32
}

func (v *vector) reset(n int) {
	clear(v.mem.texts) // they would keep what they point into
	clear(v.mem.dict[:cap(v.mem.dict)])
	*v = vector{n: n, mem: v.mem}
}

// again returns n elements in the memory of *s; what they hold is not defined.
func again[T any](s *[]T, n int) []T {
	*s = grown(*s, n)
	return *s
}

func (b *blockBuilder) intrinsics(vecs []vector, order, classes []uint32) {
	n := len(order)
	at := func(c int) *vector { return &vecs[b.side.fixedAt[c]] }
	trace, span, parent := at(colTraceID), at(colSpanID), at(colParentID)
	trace.fixed, span.fixed, parent.fixed = again(&trace.mem.fixed, 16*n), again(&span.mem.fixed, 8*n), again(&parent.mem.fixed, 8*n)
	parent.null = again(&parent.mem.null, n)
	start, dur := at(colStart), at(colDuration)
	start.ints, dur.ints = again(&start.mem.ints, n), again(&dur.mem.ints, n)
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
	v.dict = v.mem.dict[:0]
	defer func() { v.mem.dict = v.dict }()
	v.codes = b.classCodes(v, classes, func(c *class) int32 {
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
	v.dictInts = v.mem.dictInts[:0]
	defer func() { v.mem.dictInts = v.dictInts }()
	v.codes = b.classCodes(v, classes, func(c *class) int32 {
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

func (b *blockBuilder) classCodes(v *vector, classes []uint32, code func(*class) int32) []int32 {
	of := again(&b.codeOf, len(b.tab.classes))
	clear(of)
	codes := again(&v.mem.codes, len(classes))
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
	v.null, v.texts = again(&v.mem.null, len(order)), again(&v.mem.texts, len(order))
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
	v.ints = again(&v.mem.ints, len(order))
	for i, x := range order {
		v.ints[i] = int64(int32(of(&b.from.rows[x])))
	}
	v.tryDict()
}

// attributes fills the attribute columns, and the rest.
func (b *blockBuilder) attributes(vecs []vector, order, classes []uint32) {
	n := len(order)
	rest := &vecs[b.side.fixedAt[colRest]]
	rest.null, rest.texts = again(&rest.mem.null, n), again(&rest.mem.texts, n)
	for i := range rest.null {
		rest.null[i] = true
	}
	shapes, attrs := again(&b.shapes, n), again(&b.attrs, n)
	for i, c := range classes {
		shapes[i], attrs[i] = b.tab.classes[c].shape, b.from.rows[order[i]].attrs
	}
	var e enc
	for c := range vecs {
		if fixedColumn(&b.side.cols[c]) >= 0 {
			continue
		}
		b.attrColumn(&vecs[c], int32(c), shapes, attrs)
	}
	for i, x := range order {
		sh := shapes[i]
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

// localCode is the place of a text in the dictionary of the column of that epoch.
type localCode struct {
	epoch uint32
	code  int32
}

// attrColumn gathers one attribute: numbers as they are, texts through a
// dictionary by their number in the rowset, so that no text is hashed.
func (b *blockBuilder) attrColumn(v *vector, col int32, shapes, attrs []uint32) {
	place := again(&b.place, len(b.shape)) // of the attribute in a shape, +1
	for sh := range place {
		place[sh] = int32(slices.Index(b.shape[sh], col)) + 1
	}
	n := len(shapes)
	if t := b.side.cols[col].typ; t != typeText && t != typeBytes {
		v.ints, v.null = again(&v.mem.ints, n), again(&v.mem.null, n)
		for i, sh := range shapes {
			p := place[sh]
			if v.null[i] = p == 0; p != 0 {
				v.ints[i] = int64(b.from.cells[attrs[i]+uint32(p)-1])
			}
		}
		if t == typeInt64 {
			v.tryDict()
		}
		b.stats[col].group(v, b.side.cols[col].key.kind, b.page)
		return
	}
	b.now++
	v.codes, v.dict = again(&v.mem.codes, n), v.mem.dict[:0]
	for i, sh := range shapes {
		p := place[sh]
		if p == 0 {
			v.codes[i] = -1
			continue
		}
		text := b.from.cells[attrs[i]+uint32(p)-1]
		l := &b.local[text]
		if l.epoch != b.now {
			*l = localCode{b.now, int32(len(v.dict))}
			v.dict = append(v.dict, b.from.texts.str(uint32(text)))
		}
		v.codes[i] = l.code
	}
	v.mem.dict = v.dict
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
	v.texts, v.null = again(&v.mem.texts, v.n), again(&v.mem.null, v.n)
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
	if v.mem.seen == nil {
		v.mem.seen = make(map[int64]int32, 64)
	}
	seen, codes, dict := v.mem.seen, again(&v.mem.codes, v.n), v.mem.dictInts[:0]
	clear(seen)
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
	if v.mem.dictInts = dict; len(dict) > 0 {
		v.codes, v.dictInts = codes, dict
	}
}
