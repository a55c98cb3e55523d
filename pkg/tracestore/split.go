package tracestore

import (
	"slices"
	"sync"

	"braid/pkg/model"
)

// spot is where a block holds a trace.
type spot struct {
	b     *blockReader
	trace uint32
}

// spotMemo remembers where the blocks of a set hold the traces that several
// parts have, so that a query need not look each up in every index again. It
// has at most as many entries as there are such traces. Safe for concurrent
// use.
type spotMemo struct {
	mu sync.RWMutex
	at map[model.TraceID][]spot
}

func (m *spotMemo) get(id model.TraceID) ([]spot, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s, ok := m.at[id]
	return s, ok
}

func (m *spotMemo) put(id model.TraceID, refs []ref) {
	var spots []spot
	for _, r := range refs {
		spots = append(spots, spot{r.block, r.trace})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at == nil {
		m.at = map[model.TraceID][]spot{}
	}
	m.at[id] = spots
}

// splitRefs is refs of a trace that several parts hold.
func (v *view) splitRefs(id model.TraceID) []ref {
	out := v.headRefs(id)
	spots, known := v.set.spots.get(id)
	if !known {
		refs, complete := v.blockRefs(id)
		if complete {
			v.set.spots.put(id, refs)
		}
		return append(out, refs...)
	}
	for _, s := range spots {
		side, err := v.sidecar(s.b)
		if err != nil {
			v.warn(s.b, err)
			continue
		}
		out = append(out, ref{block: s.b, side: side, trace: s.trace})
	}
	return out
}

// sidecar returns the sidecar of a block, the same one throughout a query.
func (v *view) sidecar(b *blockReader) (*sidecar, error) {
	if s := v.sides[b]; s != nil {
		return s, nil
	}
	s, err := b.sidecar()
	if err != nil {
		return nil, err
	}
	if v.sides == nil {
		v.sides = map[*blockReader]*sidecar{}
	}
	v.sides[b] = s
	return s, nil
}

// show returns the cursor that a query reads the spans of split traces of a
// block with: traces that follow each other in a block share pages.
func (v *view) show(r ref) *pageCursor {
	c := v.shows[r.block]
	if c == nil || c.fault != nil {
		if v.shows == nil {
			v.shows = map[*blockReader]*pageCursor{}
		}
		c = newPageCursor(r.block, r.side, 0, v.stats)
		v.shows[r.block] = c
	}
	return c
}

// maxHeldSpans is up to how many spans of a split trace are held in memory to
// read them once; longer traces are read twice.
const maxHeldSpans = 4096

// whole yields the spans of a split trace, joined, together with the facts of
// all of them, and returns the facts.
func (v *view) whole(id model.TraceID, refs []ref, yield func(*model.SpanRow, *model.TraceFacts) bool) model.TraceFacts {
	spans := 0
	for i := range refs {
		spans += refs[i].spans()
		if refs[i].block != nil {
			refs[i].cur = v.show(refs[i])
		}
	}
	var b factsBuilder
	b.reset(id)
	var held []model.SpanRow
	v.joined(refs, nil, func(r *model.SpanRow) bool {
		b.add(r.Start, r.End, !r.ParentID.IsZero(), r.Resource.Service(), r.Name, r.Status == model.StatusError)
		if spans <= maxHeldSpans {
			held = append(held, *r)
		}
		return true
	})
	if spans > maxHeldSpans {
		for i := range refs {
			if refs[i].block != nil {
				refs[i].cur = v.show(refs[i])
			}
		}
		v.joined(refs, nil, func(r *model.SpanRow) bool { return yield(r, &b.facts) })
		return b.facts
	}
	for i := range held {
		if !yield(&held[i], &b.facts) {
			break
		}
	}
	return b.facts
}

// sieve rules split traces out of a query before their parts are joined. It
// lets pass every trace that may answer, and some that do not: what a span's
// own fields and ids say of a filter is the same in a part as in the whole;
// fields of the trace are known of the whole only, and so are left open.
type sieve struct {
	v       *view
	in      model.TimeRange
	progs   []*program
	require []uint64
	leaves  int
	blocks  map[*blockReader]*sievePart
	heads   map[*rows]*sievePart
	ruler   *ruler // may be nil
	looked  int    // how many traces were looked at
}

// sievePart is the filters placed in one part.
type sievePart struct {
	t     *tables
	binds []*binding
	pages []pageSet // by filter
	page  *pageCursor
	head  *headCursor
}

func (v *view) sieve(in model.TimeRange, progs []*program, require []uint64) *sieve {
	s := &sieve{v: v, in: in, progs: progs, require: require, blocks: map[*blockReader]*sievePart{}, heads: map[*rows]*sievePart{}}
	for _, p := range progs {
		s.leaves += len(p.leaves)
	}
	return s
}

// part returns the filters in the part of r, nil when no row of it can match.
func (s *sieve) part(r ref) *sievePart {
	if r.head != nil {
		p, known := s.heads[r.head]
		if !known {
			p = s.headPart(r.head)
			s.heads[r.head] = p
		}
		return p
	}
	p, known := s.blocks[r.block]
	if !known {
		p = s.blockPart(r)
		s.blocks[r.block] = p
	}
	return p
}

// openPart returns the filters in a block, and its sidecar; nil when no row of
// it can match, which the ids mostly tell without the sidecar.
func (s *sieve) openPart(b *blockReader) (*sievePart, *sidecar) {
	if !b.Overlaps(s.in) || s.ruledOut(b) {
		return nil, nil
	}
	side, err := s.v.sidecar(b)
	if err != nil {
		s.v.warn(b, err)
		return nil, nil
	}
	return s.part(ref{block: b, side: side}), side
}

// ruledOut reports whether no filter can hold for a span of a block, as its ids
// say.
func (s *sieve) ruledOut(b *blockReader) bool {
	if s.ruler == nil || len(s.progs) == 0 {
		return false
	}
	if s.ruler.rulesOut(b, s.progs) {
		return true
	}
	for _, p := range s.progs {
		if _, none := s.ruler.without(b, p.expr); !none {
			return false
		}
	}
	return true
}

// onPage reports whether some filter may hold on a page.
func (p *sievePart) onPage(page int) bool {
	for _, set := range p.pages {
		if set.has(page) {
			return true
		}
	}
	return len(p.pages) == 0
}

func (s *sieve) headPart(head *rows) *sievePart {
	progs := s.progs
	if at := slices.Index(s.v.heads, head); at >= 0 && s.ruler != nil {
		if progs = s.ruler.inHead(at, s.progs).progs; len(progs) < len(s.progs) {
			return nil
		}
	}
	return s.bind(progs, &head.tables, make([]pageSet, len(progs)))
}

func (s *sieve) blockPart(r ref) *sievePart {
	if !r.block.Overlaps(s.in) {
		return nil
	}
	var pages []pageSet
	any := len(s.progs) == 0
	for _, p := range s.progs {
		set := (&pruner{b: r.block, side: r.side, spec: p.spec}).pages(p.expr)
		pages = append(pages, set)
		any = any || set == nil || set.len() > 0
	}
	if !any {
		return nil
	}
	return s.bind(s.progs, &r.side.tables, pages)
}

func (s *sieve) bind(progs []*program, t *tables, pages []pageSet) *sievePart {
	p := &sievePart{t: t, pages: pages}
	any := len(progs) == 0
	for _, prog := range progs {
		b := prog.bind(t)
		p.binds = append(p.binds, b)
		any = any || b.any
	}
	if !any {
		return nil
	}
	return p
}

// may reports whether a trace may answer. Only when deep it reads pages, those
// of the columns that the filters ask for.
func (s *sieve) may(refs []ref, deep bool) bool {
	found := sieved{}
	for _, r := range refs {
		p := s.part(r)
		if p == nil {
			continue
		}
		if r.head != nil {
			s.inHead(p, r, deep, &found)
		} else {
			s.inBlock(p, r, deep, &found)
		}
		if found.unknown || found.enough(s.require) {
			return true
		}
	}
	return false
}

// sieved is what the rows of a trace may match.
type sieved struct {
	any     bool
	all     uint64 // filters
	unknown bool   // a page could not be read
}

func (f *sieved) enough(require []uint64) bool {
	if !f.any || len(require) == 0 {
		return f.any
	}
	for _, r := range require {
		if f.all&r == r {
			return true
		}
	}
	return false
}

func (s *sieve) inHead(p *sievePart, r ref, deep bool, found *sieved) {
	if p.head == nil {
		p.head = &headCursor{s: r.head}
	}
	for n := r.head.trs[r.trace].last; n != 0 && !found.enough(s.require); n = r.head.rows[n-1].prev {
		x := &r.head.rows[n-1]
		if s.in.Contains(x.start) {
			p.try(p.head, n-1, x.class, 0, deep, found)
		}
	}
}

func (s *sieve) inBlock(p *sievePart, r ref, deep bool, found *sieved) {
	tt := &r.side.traces
	if !s.in.Overlaps(tt.start[r.trace], tt.end[r.trace]) {
		return
	}
	if p.page == nil {
		p.page = newPageCursor(r.block, r.side, s.leaves, s.v.stats)
	}
	for n := tt.first[r.trace]; n < tt.first[r.trace+1] && !found.enough(s.require); n++ {
		page := int(n / pageRows)
		z := &r.side.zones[page]
		if !s.in.Overlaps(z.minStart, z.maxStart) {
			continue
		}
		inside := s.in.All() || z.minStart >= s.in.Start && z.maxStart < s.in.End
		if deep {
			p.page.turn(page)
		}
		if !deep || inside || s.in.Contains(p.page.start(n)) {
			p.try(p.page, n, r.side.class.at(n), page, deep, found)
		}
		if p.page.fault != nil { // joining the trace will tell
			p.page, found.unknown = nil, true
			return
		}
	}
}

// try adds what a row may match.
func (p *sievePart) try(cur cursor, n, class uint32, page int, deep bool, found *sieved) {
	found.any = found.any || len(p.binds) == 0
	for i, b := range p.binds {
		verdict := b.verdict[class]
		if verdict == no || !p.pages[i].has(page) {
			continue
		}
		if deep && verdict == maybe {
			k := len(b.leaves)
			verdict = b.part(&b.root, b.places[int(class)*k:int(class+1)*k], cur, n, class)
		}
		if verdict != no {
			found.any, found.all = true, found.all|1<<i
		}
	}
}

// part is row for a row of which other parts may hold more of its trace: what
// depends on them is maybe.
func (b *binding) part(x *node, at []place, cur cursor, n, class uint32) tri {
	switch x.op {
	case opTrue:
		return yes
	case opLeaf:
		switch p := at[x.leaf]; {
		case p.verdict != maybe || p.src == fromFacts:
			return p.verdict
		case b.leafHolds(x.leaf, p, cur, n, class):
			return yes
		}
		return no
	case opNot:
		switch b.part(&x.kids[0], at, cur, n, class) {
		case yes:
			return no
		case no:
			return yes
		}
		return maybe
	case opAnd, opOr:
		stop, out := no, yes
		if x.op == opOr {
			stop, out = yes, no
		}
		for i := range x.kids {
			switch b.part(&x.kids[i], at, cur, n, class) {
			case stop:
				return stop
			case maybe:
				out = maybe
			}
		}
		return out
	}
	return no
}
