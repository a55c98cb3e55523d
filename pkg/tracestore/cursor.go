package tracestore

import (
	"braid/pkg/model"
)

// headCursor reads rows in memory. memo remembers, by leaf, what a leaf says of
// a text: most texts come many times.
type headCursor struct {
	s     *rows
	memo  [][]uint8 // by leaf, then text: 0 unknown, 1 no, 2 yes
	known map[uint32]*model.TraceFacts
}

func (h *headCursor) holds(l *leaf, at int, n, sh uint32, i int) bool {
	kind := h.s.shapes[sh][i].kind
	r := &h.s.rows[n]
	switch kind {
	case model.KindInt:
		return l.int(int64(h.s.cells[int(r.attrs)+i]))
	case model.KindString:
	default:
		return l.holds(h.s.value(r, i, kind))
	}
	for len(h.memo) <= at {
		h.memo = append(h.memo, nil)
	}
	if h.memo[at] == nil {
		h.memo[at] = make([]uint8, h.s.texts.len())
	}
	m := &h.memo[at][h.s.cells[int(r.attrs)+i]]
	if *m == 0 {
		*m = 1
		if l.holds(h.s.value(r, i, kind)) {
			*m = 2
		}
	}
	return *m == 2
}

func (h *headCursor) attr(n, sh uint32, i int) model.Value {
	return h.s.value(&h.s.rows[n], i, h.s.shapes[sh][i].kind)
}
func (h *headCursor) start(n uint32) int64 { return h.s.rows[n].start }
func (h *headCursor) duration(n uint32) int64 {
	return max(0, h.s.rows[n].end-h.s.rows[n].start)
}
func (h *headCursor) traceID(n uint32) model.TraceID { return h.s.trs[h.s.rows[n].trace].id }
func (h *headCursor) spanID(n uint32) model.SpanID   { return h.s.rows[n].spanID }
func (h *headCursor) parentID(n uint32) model.SpanID { return h.s.rows[n].parent }
func (h *headCursor) message(n uint32) string        { return h.s.texts.str(h.s.rows[n].message) }
func (h *headCursor) events(n uint32) []model.SpanEvent {
	if r := &h.s.rows[n]; r.events.len > 0 {
		return (&dec{b: h.s.piece(r.events)}).events()
	}
	return nil
}
func (h *headCursor) links(n uint32) []model.SpanLink {
	if r := &h.s.rows[n]; r.links.len > 0 {
		return (&dec{b: h.s.piece(r.links)}).links()
	}
	return nil
}
func (h *headCursor) facts(n uint32) *model.TraceFacts {
	t := h.s.rows[n].trace
	if f := h.known[t]; f != nil {
		return f
	}
	if h.known == nil {
		h.known = map[uint32]*model.TraceFacts{}
	}
	f := h.s.facts(t, h.s.ofTrace(nil, t))
	h.known[t] = &f
	return &f
}
func (h *headCursor) err() error { return nil }

// pageCursor reads rows of a block, a page at a time: columns are decoded when
// they are first asked for.
type pageCursor struct {
	pr    *pageReader
	side  *sidecar
	page  int
	base  uint32
	cols  []*column // of the page; nil: not yet asked for
	own   []*column // what cols points to, from page to page
	memo  []memo    // by leaf and column
	fault error

	// The trace of the row asked for last: its number, rows and facts.
	trace   uint32
	lo, hi  uint32
	factsOf uint32 // trace, +1
	fact    model.TraceFacts
}

// memo remembers what a leaf says of the entries of a dictionary.
type memo struct {
	dict *dictionary
	says []uint8
}

func newPageCursor(b *blockReader, side *sidecar, leaves int, stats *model.QueryStats) *pageCursor {
	return &pageCursor{pr: newPageReader(b, side, stats), side: side, page: -1, memo: make([]memo, leaves*len(side.cols))}
}

// turn goes to a page.
func (p *pageCursor) turn(page int) {
	if page == p.page {
		return
	}
	p.page, p.base = page, uint32(page*pageRows)
	if p.cols == nil {
		p.cols, p.own = make([]*column, len(p.side.cols)), make([]*column, len(p.side.cols))
	}
	clear(p.cols)
}

func (p *pageCursor) err() error { return p.fault }

// noValues is the column that a block left out because no span had a value.
var noValues = func() *column {
	c := &column{null: make([]bool, pageRows), ints: make([]int64, pageRows), texts: make([]string, pageRows), fixed: make([]byte, 16*pageRows)}
	for i := range c.null {
		c.null[i] = true
	}
	return c
}()

// col returns a column of the page; one without values after a fault.
func (p *pageCursor) col(c int32) *column {
	if c == noColumn {
		return noValues
	}
	if x := p.cols[c]; x != nil {
		return x
	}
	if p.own[c] == nil {
		p.own[c] = &column{}
	}
	p.cols[c] = p.own[c]
	if err := p.pr.column(p.page, int(c), p.own[c]); err != nil {
		if p.fault == nil {
			p.fault = err
		}
		p.cols[c] = noValues
	}
	return p.cols[c]
}

func (p *pageCursor) fixed(c int) *column { return p.col(p.side.fixedAt[c]) }

func (p *pageCursor) holds(l *leaf, at int, n, sh uint32, i int) bool {
	c := p.side.colOf[sh][i]
	if c == noColumn {
		return l.holds(p.attr(n, sh, i))
	}
	col, k := p.col(c), n-p.base
	kind := p.side.cols[c].key.kind
	if col.codes == nil {
		if kind == model.KindInt {
			return l.int(col.ints[k])
		}
		return l.holds(cellValue(kind, col, int(k)))
	}
	code := col.codes[k]
	if code < 0 {
		return false
	}
	m := &p.memo[at*len(p.side.cols)+int(c)]
	if m.dict != col.dict {
		m.dict, m.says = col.dict, make([]uint8, col.dict.len())
	}
	if m.says[code] == 0 {
		m.says[code] = 1
		if l.holds(cellValue(kind, col, int(k))) {
			m.says[code] = 2
		}
	}
	return m.says[code] == 2
}

func cellValue(kind model.ValueKind, c *column, i int) model.Value {
	switch kind {
	case model.KindBool, model.KindInt, model.KindDouble:
		return model.Raw(kind, uint64(c.int(i)), "")
	}
	return model.Raw(kind, 0, c.text(i))
}

func (p *pageCursor) attr(n, sh uint32, i int) model.Value {
	kind := p.side.shapes[sh][i].kind
	if kind == model.KindEmpty {
		return model.Value{}
	}
	if c := p.side.colOf[sh][i]; c != noColumn {
		return cellValue(kind, p.col(c), int(n-p.base))
	}
	return p.rest(n, sh, i)
}

// rest finds attribute i among those that share a column: they lie there in
// the order of the shape.
func (p *pageCursor) rest(n, sh uint32, i int) model.Value {
	d := dec{b: []byte(p.fixed(colRest).text(int(n - p.base)))}
	for k := 0; k <= i; k++ {
		if p.side.colOf[sh][k] != noColumn {
			continue
		}
		d.str()
		if v := d.value(); k == i {
			return v
		}
	}
	return model.Value{}
}

func (p *pageCursor) start(n uint32) int64 { return p.fixed(colStart).int(int(n - p.base)) }
func (p *pageCursor) duration(n uint32) int64 {
	return max(0, p.fixed(colDuration).int(int(n-p.base)))
}

func (p *pageCursor) traceID(n uint32) model.TraceID {
	return p.side.traces.ids[p.traceOf(n)]
}

// traceOf returns the trace of a row: mostly that of the row before.
func (p *pageCursor) traceOf(n uint32) uint32 {
	if n < p.lo || n >= p.hi {
		p.trace = p.side.traces.ofRow(n)
		p.lo, p.hi = p.side.traces.first[p.trace], p.side.traces.first[p.trace+1]
	}
	return p.trace
}

func (p *pageCursor) spanID(n uint32) (id model.SpanID) {
	copy(id[:], p.fixed(colSpanID).fixed[8*(n-p.base):])
	return id
}

func (p *pageCursor) parentID(n uint32) (id model.SpanID) {
	copy(id[:], p.fixed(colParentID).fixed[8*(n-p.base):])
	return id
}

func (p *pageCursor) message(n uint32) string {
	return p.fixed(colMessage).text(int(n - p.base))
}

func (p *pageCursor) events(n uint32) []model.SpanEvent {
	if s := p.fixed(colEvents).text(int(n - p.base)); s != "" {
		return (&dec{b: []byte(s)}).events()
	}
	return nil
}

func (p *pageCursor) links(n uint32) []model.SpanLink {
	if s := p.fixed(colLinks).text(int(n - p.base)); s != "" {
		return (&dec{b: []byte(s)}).links()
	}
	return nil
}

// facts are without Services: no field of a trace asks for them.
func (p *pageCursor) facts(n uint32) *model.TraceFacts {
	if t := p.traceOf(n); p.factsOf != t+1 {
		p.factsOf, p.fact = t+1, p.side.brief(t)
	}
	return &p.fact
}

// span rebuilds row n, with the attributes that want names; a nil want means
// everything.
func (p *pageCursor) span(n uint32, want *wanted) model.SpanRow {
	c := &p.side.classes[p.side.class.at(n)]
	k := int(n - p.base)
	start := p.start(n)
	out := model.SpanRow{Resource: p.side.resources[c.resource], Scope: p.side.scopes[c.scope]}
	out.Span = model.Span{
		TraceID: p.traceID(n), SpanID: p.spanID(n), ParentID: p.parentID(n),
		Name: p.side.strs.str(c.name), Start: start, End: start + p.fixed(colDuration).int(k),
		Kind: model.SpanKind(c.kind), Status: model.StatusCode(c.status),
		TraceState: p.fixed(colState).text(k), StatusMessage: p.fixed(colMessage).text(k),
		Flags:        uint32(p.fixed(colFlags).int(k)),
		DroppedAttrs: uint32(p.fixed(colDroppedAttrs).int(k)), DroppedEvents: uint32(p.fixed(colDroppedEvents).int(k)),
		DroppedLinks: uint32(p.fixed(colDroppedLinks).int(k)),
	}
	sh := p.side.shapes[c.shape]
	if len(sh) > 0 {
		out.Attrs = make(model.Attrs, 0, len(sh))
		for i, key := range sh {
			if want.attr(key.name) {
				out.Attrs = append(out.Attrs, model.Attr{Key: key.name, Value: p.attr(n, c.shape, i)})
			}
		}
	}
	if c.bits&hasEvents != 0 && want.events() {
		out.Events = p.events(n)
	}
	if c.bits&hasLinks != 0 && want.links() {
		out.Links = p.links(n)
	}
	return out
}
