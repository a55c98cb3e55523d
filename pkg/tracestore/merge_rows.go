package tracestore

import (
	"braid/pkg/model"
)

// rowCopier copies rows of one block into a rowset as they are: no span is made
// of them, a class is looked up once, and a text once for all rows of a
// dictionary that have it.
type rowCopier struct {
	cur   *pageCursor
	class []uint32   // by class of the block: the rowset's, +1
	texts []textMemo // by column
	round uint32     // of the rowset's texts: it changes when they are emptied
}

// textMemo remembers the numbers that a dictionary's texts have in the rowset.
type textMemo struct {
	dict    *dictionary
	round   uint32
	numbers []uint32 // +1
}

func newRowCopier(cur *pageCursor) *rowCopier {
	return &rowCopier{cur: cur, class: make([]uint32, len(cur.side.classes)), texts: make([]textMemo, len(cur.side.cols))}
}

// row copies row n of the block, on the page at hand, to a trace of the rowset.
func (c *rowCopier) row(to *rowset, n, trace uint32) error {
	cur, k := c.cur, int(n-c.cur.base)
	of := cur.side.class.at(n)
	if c.class[of] == 0 {
		c.class[of] = to.tab.adopt(&cur.side.tables, of) + 1
	}
	cl := &cur.side.classes[of]
	start := cur.start(n)
	r := row{
		start: start, end: start + cur.fixed(colDuration).int(k), spanID: cur.spanID(n), parent: cur.parentID(n),
		trace: trace, class: c.class[of] - 1, attrs: uint32(len(to.cells)),
		state: to.text.intern(cur.fixed(colState).text(k)), flags: uint32(cur.fixed(colFlags).int(k)),
		droppedAttrs: uint32(cur.fixed(colDroppedAttrs).int(k)), droppedEvents: uint32(cur.fixed(colDroppedEvents).int(k)),
		droppedLinks: uint32(cur.fixed(colDroppedLinks).int(k)),
	}
	for i, key := range cur.side.shapes[cl.shape] {
		to.cells = append(to.cells, c.cell(to, n, cl.shape, i, key.kind))
	}
	if cl.bits&hasMessage != 0 {
		r.message = to.text.intern(cur.message(n))
	}
	r.events.off, r.links.off = uint32(len(to.blob)), uint32(len(to.blob))
	if cl.bits&hasEvents != 0 {
		r.events = to.keep(cur.fixed(colEvents).text(k))
	}
	if cl.bits&hasLinks != 0 {
		r.links = to.keep(cur.fixed(colLinks).text(k))
	}
	to.push(r)
	return cur.fault
}

// cell returns attribute i of a row as the rowset keeps it.
func (c *rowCopier) cell(to *rowset, n, sh uint32, i int, kind model.ValueKind) uint64 {
	at := c.cur.side.colOf[sh][i]
	if at == noColumn {
		return to.cell(c.cur.attr(n, sh, i), 0)
	}
	col, k := c.cur.col(at), int(n-c.cur.base)
	switch kind {
	case model.KindBool, model.KindInt, model.KindDouble:
		return uint64(col.int(k))
	}
	if col.codes == nil {
		return uint64(to.text.intern(col.texts[k]))
	}
	code := col.codes[k]
	if code < 0 {
		return 0
	}
	m := &c.texts[at]
	if m.dict != col.dict || m.round != c.round {
		m.dict, m.round = col.dict, c.round
		m.numbers = grown(m.numbers, col.dict.len())
		clear(m.numbers)
	}
	if m.numbers[code] == 0 {
		m.numbers[code] = to.text.intern(col.dict.texts[code]) + 1
	}
	return uint64(m.numbers[code] - 1)
}
