package tracestore

import (
	"bytes"
	"cmp"
	"slices"

	"braid/pkg/model"
)

// row is one span without pointers: what it shares with others is its class,
// what it does not is here, in cells and in blob.
type row struct {
	start, end     int64
	spanID, parent model.SpanID
	trace          uint32 // number of the trace in the rowset
	class          uint32
	attrs          uint32 // first of the span's cells
	events, links  span32 // in blob, as enc.events and enc.links wrote them
	message, state uint32 // numbers of texts: status message, trace state
	flags          uint32
	droppedAttrs   uint32
	droppedEvents  uint32
	droppedLinks   uint32
	prev           uint32 // the trace's span before this one in order of arrival, +1
}

// span32 is a piece of blob.
type span32 struct{ off, len uint32 }

// traceEntry is a trace in a rowset; last is its latest row, +1.
type traceEntry struct {
	id   model.TraceID
	last uint32
	rows uint32
}

// fewRows is up to how many rows of a trace are looked through for a span that
// was sent twice; those of larger ones are in spanOf.
const fewRows = 64

// spanBits has a bit of every span of a trace, by the hash of its identity.
type spanBits [2]uint64

// mark sets the bit of a hash, and tells whether it was set.
func (b *spanBits) mark(h uint32) (was bool) {
	word, bit := &b[h>>6&1], uint64(1)<<(h&63)
	was = *word&bit != 0
	*word |= bit
	return was
}

// rows are spans in memory, without pointers that a garbage collector would
// have to follow, and append-only: a copy of the struct, taken under the lock
// of whoever appends, is a snapshot. cells hold an attribute's number, or the
// number of its text, in the order of the shape.
type rows struct {
	tables
	texts strtab
	rows  []row
	cells []uint64
	blob  []byte
	trs   []traceEntry
	// classRows counts the rows by class; their starts lie in [lo, hi].
	classRows []uint32
	lo, hi    int64
}

// rowset appends to rows.
type rowset struct {
	rows
	tab     *tableBuilder
	text    *interner
	traceOf map[model.TraceID]uint32
	seen    []spanBits // by trace
	spanOf  []spanSlot // finds a span sent twice, among those of large traces
	indexed int        // how many are in there
	lastOf  []uint32   // by span name: where the cells of the latest such span are, +1
	scratch enc
}

// spanSlot is the row of a span, +1, by the hash of its identity, which stands
// beside it: rows of other spans are not looked at.
type spanSlot struct{ hash, row uint32 }

func newRowset() *rowset { return newRowsetFor(&rowsetSize{}) }

// rowsetSize is how much a rowset holds.
type rowsetSize struct{ rows, cells, blob, traces, slots, texts, textBytes, textSlots int }

func (s *rowset) size() rowsetSize {
	return rowsetSize{rows: len(s.rows.rows), cells: len(s.cells), blob: len(s.blob), traces: len(s.trs), slots: len(s.spanOf),
		texts: len(s.text.ends), textBytes: len(s.text.data), textSlots: len(s.text.slots)}
}

// newRowsetFor returns an empty rowset with room for as much as another one
// held: growing there costs copies and garbage.
func newRowsetFor(z *rowsetSize) *rowset {
	s := &rowset{tab: newTableBuilder(), text: newInterner(), traceOf: make(map[model.TraceID]uint32, z.traces), spanOf: make([]spanSlot, max(1024, z.slots))}
	s.rows.rows, s.cells, s.blob, s.trs = make([]row, 0, z.rows), make([]uint64, 0, z.cells), make([]byte, 0, z.blob), make([]traceEntry, 0, z.traces)
	t := s.text
	t.ends, t.hashes, t.data = append(make([]uint32, 0, z.texts+1), t.ends...), append(make([]uint32, 0, z.texts+1), t.hashes...), make([]byte, 0, z.textBytes)
	t.slots = make([]uint32, max(len(t.slots), z.textSlots))
	return s
}

// snapshot returns the rows as they are now.
func (s *rowset) snapshot() *rows {
	r := s.rows
	r.tables = s.tab.snapshot()
	r.texts = s.text.strtab
	r.trs = slices.Clone(s.rows.trs)
	r.classRows = slices.Clone(s.rows.classRows)
	return &r
}

// bytes tells about how much memory the rows take.
func (s *rowset) bytes() int64 {
	return int64(len(s.rows.rows))*(rowBytes+8) + 8*int64(len(s.cells)) + int64(len(s.blob)) + s.text.bytes() +
		64*int64(len(s.trs)) + 128*int64(len(s.tab.classes))
}

const rowBytes = 104

// add appends a span and tells its class, and whether it was new: a span equal to
// one that is there already is a retry and is left out.
func (s *rowset) add(resource, scope uint32, sp *model.Span) (class uint32, fresh bool) {
	r := s.encode(resource, scope, sp)
	h := hash32(r.spanID, r.trace)
	if s.seen[r.trace].mark(h) && s.repeats(&r, h) {
		s.cells = s.cells[:r.attrs]
		s.blob = s.blob[:min(uint32(len(s.blob)), r.events.off, r.links.off)]
		return r.class, false
	}
	n := s.push(r)
	if tr := &s.trs[r.trace]; tr.rows > fewRows {
		s.index(h, n)
	} else if tr.rows == fewRows {
		for at := n; at != 0; at = s.rows.rows[at-1].prev {
			s.index(hash32(s.rows.rows[at-1].spanID, r.trace), at)
		}
	}
	s.lastOf[s.tab.classes[r.class].name] = r.attrs + 1
	return r.class, true
}

// push appends a row whose parts are in the arenas, and returns how many there
// are then.
func (s *rowset) push(r row) uint32 {
	tr := &s.trs[r.trace]
	r.prev = tr.last
	s.rows.rows = append(s.rows.rows, r)
	n := uint32(len(s.rows.rows))
	tr.last = n
	tr.rows++
	for int(r.class) >= len(s.classRows) {
		s.classRows = append(s.classRows, 0)
	}
	s.classRows[r.class]++
	if n == 1 {
		s.lo, s.hi = r.start, r.start
	}
	s.lo, s.hi = min(s.lo, r.start), max(s.hi, r.start)
	return n
}

// keep puts text into the blob.
func (s *rowset) keep(text string) span32 {
	p := span32{uint32(len(s.blob)), uint32(len(text))}
	s.blob = append(s.blob, text...)
	return p
}

// empty takes all rows and texts out and keeps the tables and the memory:
// nothing may look at the rows any more.
func (s *rowset) empty() {
	s.rows.rows, s.cells, s.blob, s.trs, s.seen = s.rows.rows[:0], s.cells[:0], s.blob[:0], s.trs[:0], s.seen[:0]
	s.text.empty()
	clear(s.traceOf)
	clear(s.lastOf)
	clear(s.classRows)
}

// encode turns a span into a row and puts its parts into the arenas.
func (s *rowset) encode(resource, scope uint32, sp *model.Span) row {
	name := s.tab.names.intern(sp.Name)
	r := row{
		start: sp.Start, end: sp.End, spanID: sp.SpanID, parent: sp.ParentID,
		trace: s.trace(sp.TraceID), attrs: uint32(len(s.cells)),
		message: s.text.intern(sp.StatusMessage), state: s.text.intern(sp.TraceState),
		flags: sp.Flags, droppedAttrs: sp.DroppedAttrs, droppedEvents: sp.DroppedEvents, droppedLinks: sp.DroppedLinks,
	}
	c := class{resource: resource, scope: scope, name: name, shape: s.tab.shape(name, sp.Attrs), kind: uint8(sp.Kind), status: uint8(sp.Status)}
	for int(name) >= len(s.lastOf) {
		s.lastOf = append(s.lastOf, 0)
	}
	last := s.lastOf[name]
	for i := range sp.Attrs {
		guess := uint64(0)
		if at := int(last) - 1 + i; last != 0 && at < int(r.attrs) {
			guess = s.cells[at]
		}
		s.cells = append(s.cells, s.cell(sp.Attrs[i].Value, guess))
	}
	r.events.off, r.links.off = uint32(len(s.blob)), uint32(len(s.blob))
	if len(sp.Events) > 0 {
		c.bits |= hasEvents
		s.scratch.b = s.scratch.b[:0]
		s.scratch.events(sp.Events)
		r.events.len = uint32(len(s.scratch.b))
		s.blob = append(s.blob, s.scratch.b...)
	}
	if len(sp.Links) > 0 {
		c.bits |= hasLinks
		s.scratch.b = s.scratch.b[:0]
		s.scratch.links(sp.Links)
		r.links = span32{uint32(len(s.blob)), uint32(len(s.scratch.b))}
		s.blob = append(s.blob, s.scratch.b...)
	}
	if sp.StatusMessage != "" {
		c.bits |= hasMessage
	}
	r.class = s.tab.class(c)
	return r
}

// cell returns what stands for a value. guess is the cell of the latest span of
// that name: mostly it says the same, and comparing is quicker than looking up.
func (s *rowset) cell(v model.Value, guess uint64) uint64 {
	switch v.Kind() {
	case model.KindBool, model.KindInt, model.KindDouble:
		return v.Num()
	case model.KindEmpty:
		return 0
	}
	text := v.Str()
	if text != "" && guess < uint64(s.text.len()) && s.text.str(uint32(guess)) == text {
		return guess
	}
	return uint64(s.text.intern(text))
}

func (s *rowset) trace(id model.TraceID) uint32 {
	if n, ok := s.traceOf[id]; ok {
		return n
	}
	n := uint32(len(s.trs))
	s.traceOf[id] = n
	s.trs, s.seen = append(s.trs, traceEntry{id: id}), append(s.seen, spanBits{})
	return n
}

// repeats reports whether a row equal to r, whose identity has the hash h, is
// there.
func (s *rowset) repeats(r *row, h uint32) bool {
	tr := &s.trs[r.trace]
	if tr.rows < fewRows {
		for at := tr.last; at != 0; at = s.rows.rows[at-1].prev {
			if o := &s.rows.rows[at-1]; o.spanID == r.spanID && s.equal(o, r) {
				return true
			}
		}
		return false
	}
	mask := uint32(len(s.spanOf) - 1)
	for i := h & mask; s.spanOf[i].row != 0; i = (i + 1) & mask {
		if s.spanOf[i].hash != h {
			continue
		}
		if o := &s.rows.rows[s.spanOf[i].row-1]; o.spanID == r.spanID && o.trace == r.trace && s.equal(o, r) {
			return true
		}
	}
	return false
}

// index puts row n-1, whose identity has the hash h, into spanOf.
func (s *rowset) index(h, n uint32) {
	if s.indexed++; s.indexed*4 > len(s.spanOf)*3 {
		s.growSpans()
	}
	putSpan(s.spanOf, spanSlot{h, n})
}

func putSpan(slots []spanSlot, x spanSlot) {
	mask := uint32(len(slots) - 1)
	i := x.hash & mask
	for slots[i].row != 0 {
		i = (i + 1) & mask
	}
	slots[i] = x
}

func (s *rowset) equal(a, b *row) bool {
	if a.start != b.start || a.end != b.end || a.parent != b.parent || a.class != b.class ||
		a.message != b.message || a.state != b.state || a.flags != b.flags || a.droppedAttrs != b.droppedAttrs ||
		a.droppedEvents != b.droppedEvents || a.droppedLinks != b.droppedLinks {
		return false
	}
	n := uint32(len(s.tab.shapes[s.tab.classes[a.class].shape]))
	return slices.Equal(s.cells[a.attrs:a.attrs+n], s.cells[b.attrs:b.attrs+n]) &&
		bytes.Equal(s.rows.piece(a.events), s.rows.piece(b.events)) && bytes.Equal(s.rows.piece(a.links), s.rows.piece(b.links))
}

func (s *rowset) growSpans() {
	old := s.spanOf
	s.spanOf = make([]spanSlot, 2*len(old))
	for _, x := range old {
		if x.row != 0 {
			putSpan(s.spanOf, x)
		}
	}
}

func (s *rows) piece(p span32) []byte { return s.blob[p.off : p.off+p.len] }

// value returns attribute i of a row; kind is what its shape says.
func (s *rows) value(r *row, i int, kind model.ValueKind) model.Value {
	cell := s.cells[int(r.attrs)+i]
	switch kind {
	case model.KindBool, model.KindInt, model.KindDouble:
		return model.Raw(kind, cell, "")
	case model.KindEmpty:
		return model.Value{}
	}
	return model.Raw(kind, 0, s.texts.str(uint32(cell)))
}

// ofTrace appends the rows of a trace in the order of a trace: by start, then
// span id, then content.
func (s *rows) ofTrace(dst []uint32, t uint32) []uint32 {
	from := len(dst)
	for n := s.trs[t].last; n != 0; n = s.rows[n-1].prev {
		dst = append(dst, n-1)
	}
	slices.Reverse(dst[from:])
	inOrder := func(a, b uint32) int { return s.compare(&s.rows[a], &s.rows[b]) }
	if !slices.IsSortedFunc(dst[from:], inOrder) { // mostly they came in order
		slices.SortStableFunc(dst[from:], inOrder)
	}
	return dst
}

// compare is the order of spans within a trace: compareSpans of rows.
func (s *rows) compare(a, b *row) int {
	if c := cmp.Or(cmp.Compare(a.start, b.start), bytes.Compare(a.spanID[:], b.spanID[:]), cmp.Compare(a.end, b.end)); c != 0 {
		return c
	}
	ca, cb := &s.classes[a.class], &s.classes[b.class]
	return cmp.Or(cmp.Compare(ca.kind, cb.kind), cmp.Compare(s.strs.str(ca.name), s.strs.str(cb.name)))
}

// compareSpans is the order of spans within a trace: by start and span id;
// what follows makes the order of spans that share both repeatable.
func compareSpans(a, b *model.SpanRow) int {
	return cmp.Or(cmp.Compare(a.Start, b.Start), bytes.Compare(a.SpanID[:], b.SpanID[:]), cmp.Compare(a.End, b.End),
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// facts computes what is known of a trace from its rows.
func (s *rows) facts(t uint32, order []uint32) model.TraceFacts {
	var b factsBuilder
	b.reset(s.trs[t].id)
	for _, n := range order {
		r := &s.rows[n]
		c := &s.classes[r.class]
		b.add(r.start, r.end, !r.parent.IsZero(), s.services[c.resource], s.strs.str(c.name), c.status == uint8(model.StatusError))
	}
	return b.facts
}

// span rebuilds row n. Strings alias the arenas, which never change.
func (s *rows) span(n uint32) model.SpanRow {
	r := &s.rows[n]
	c := &s.classes[r.class]
	out := model.SpanRow{Resource: s.resources[c.resource], Scope: s.scopes[c.scope]}
	out.Span = model.Span{
		TraceID: s.trs[r.trace].id, SpanID: r.spanID, ParentID: r.parent,
		TraceState: s.texts.str(r.state), Name: s.strs.str(c.name), Start: r.start, End: r.end,
		StatusMessage: s.texts.str(r.message), Flags: r.flags, DroppedAttrs: r.droppedAttrs,
		DroppedEvents: r.droppedEvents, DroppedLinks: r.droppedLinks,
		Kind: model.SpanKind(c.kind), Status: model.StatusCode(c.status),
	}
	if sh := s.shapes[c.shape]; len(sh) > 0 {
		out.Attrs = make(model.Attrs, len(sh))
		for i, k := range sh {
			out.Attrs[i] = model.Attr{Key: k.name, Value: s.value(r, i, k.kind)}
		}
	}
	if r.events.len > 0 {
		out.Events = (&dec{b: s.piece(r.events)}).events()
	}
	if r.links.len > 0 {
		out.Links = (&dec{b: s.piece(r.links)}).links()
	}
	return out
}

// factsBuilder folds spans, in the order of the trace, into TraceFacts as
// TraceFacts.Add does, without making a map a span.
type factsBuilder struct{ facts model.TraceFacts }

func (b *factsBuilder) reset(id model.TraceID) {
	b.facts = model.TraceFacts{ID: id, Services: map[string]model.ServiceStats{}}
}

func (b *factsBuilder) add(start, end int64, hasParent bool, service, name string, failed bool) {
	b.brief(start, end, hasParent, service, name, failed)
	s := b.facts.Services[service]
	s.Spans++
	if failed {
		s.Errors++
	}
	b.facts.Services[service] = s
}

// brief is add without Services.
func (b *factsBuilder) brief(start, end int64, hasParent bool, service, name string, failed bool) {
	f := &b.facts
	end = max(start, end)
	if f.Spans == 0 {
		f.Start, f.End = start, end
	} else {
		f.Start, f.End = min(f.Start, start), max(f.End, end)
	}
	if !hasParent && (f.Spans == 0 || name != "" && (f.RootName == "" || start < f.RootStart)) {
		f.RootService, f.RootName, f.RootDuration, f.RootStart = service, name, end-start, start
	}
	f.Spans++
	if failed {
		f.Errors++
	}
}
