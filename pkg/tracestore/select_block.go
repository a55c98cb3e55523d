package tracestore

import (
	"container/heap"
	"math/bits"
	"slices"

	"braid/pkg/model"
)

func trailing(x uint64) int { return bits.TrailingZeros64(x) }

// blockSource finds traces in a block, a page at a time from the last, which
// has the newest traces. A trace that goes on in the page before it is kept
// open until its first row has been seen.
type blockSource struct {
	sel   *selection
	b     *blockReader
	side  *sidecar
	m     *matcher
	cur   *pageCursor
	show  *pageCursor // of match: apart, so that neither turns the other's page
	next  int         // page, -1 at the end
	pages pageSet
	open  uint32 // trace kept open, +1
	hits  []hit
}

// blockSource returns nil when no span of the block can match.
func (s *selection) blockSource(b *blockReader) *blockSource {
	var progs []*program
	if b.Overlaps(s.q.Range) && !s.ruler.rulesOut(b, s.progs) {
		progs = s.programs(b)
	}
	if progs == nil && len(s.progs) > 0 {
		s.v.stats.AddBlocks(0, 1)
		return nil
	}
	side, err := s.v.sidecar(b) // held as long as the source: splitTraces need not read it again
	if err != nil {
		s.v.warn(b, err)
		return nil
	}
	var m *matcher
	if b.Overlaps(s.q.Range) {
		m = s.bindTo(progs, &side.tables)
	}
	if m == nil || !m.any {
		s.v.stats.AddBlocks(0, 1)
		return nil
	}
	s.v.stats.AddBlocks(1, 0)
	src := &blockSource{sel: s, b: b, side: side, m: m, next: side.pages() - 1, pages: s.pagesOf(progs, b, side)}
	src.cur = newPageCursor(b, side, s.leaves, s.v.stats)
	src.show = newPageCursor(b, side, 0, s.v.stats)
	return src
}

func (s *blockSource) bound() (int64, bool) {
	if s.next < 0 {
		return 0, false
	}
	last := min(s.side.rows, (s.next+1)*pageRows) - 1
	return s.side.traces.start[s.side.traces.ofRow(uint32(last))], true
}

func (s *blockSource) advance() error {
	page := s.next
	s.next--
	s.scan(page)
	if err := s.cur.fault; err != nil {
		s.sel.v.warn(s.b, err)
		s.next, s.open, s.hits = -1, 0, nil
	}
	return nil
}

// scan tries the filters on a page and hands on the traces that begin in it.
func (s *blockSource) scan(page int) {
	z := &s.side.zones[page]
	lo, hi := uint32(page*pageRows), uint32(min(s.side.rows, (page+1)*pageRows))
	tt := &s.side.traces
	skip := !s.sel.q.Range.Overlaps(z.minStart, z.maxStart) || !s.pages.has(page)
	if skip && s.open == 0 {
		return
	}
	inside := s.sel.q.Range.All() || z.minStart >= s.sel.q.Range.Start && z.maxStart < s.sel.q.Range.End
	var hits []hit
	if !skip {
		s.sel.v.stats.AddRows(int64(hi - lo))
		s.cur.turn(page)
		hits = s.test(lo, hi, inside)
	}
	// Traces of the page, the newest first; hits are ascending by row.
	for end := len(hits); ; {
		var t uint32
		switch {
		case s.open != 0:
			t = s.open - 1
		case end > 0:
			t = tt.ofRow(hits[end-1].row)
		default:
			return
		}
		from := end
		for from > 0 && hits[from-1].row >= tt.first[t] {
			from--
		}
		s.hits = append(s.hits, reversed(hits[from:end])...)
		end = from
		if tt.first[t] < lo {
			s.open = t + 1
			return
		}
		s.open = 0
		s.emit(t, s.hits)
		s.hits = nil
	}
}

func (s *blockSource) test(lo, hi uint32, inside bool) []hit {
	classes := s.side.class.part(lo, hi)
	if classes.large != nil {
		return testRows(s, lo, classes.large, inside)
	}
	return testRows(s, lo, classes.small, inside)
}

// testRows tests rows by their classes, the first of which is row lo.
func testRows[T uint16 | uint32](s *blockSource, lo uint32, classes []T, inside bool) []hit {
	var hits []hit
	look := s.m.look
	for i, class := range classes {
		if !look[class] {
			continue
		}
		n := lo + uint32(i)
		if !inside && !s.sel.q.Range.Contains(s.cur.start(n)) {
			continue
		}
		if mask := s.m.mask(s.cur, n, uint32(class)); mask != 0 || s.m.all {
			hits = append(hits, hit{n, mask})
		}
	}
	return hits
}

func reversed(h []hit) []hit {
	out := slices.Clone(h)
	slices.Reverse(out)
	return out
}

func (s *blockSource) emit(t uint32, hits []hit) {
	tt := &s.side.traces
	if !s.sel.accept(hits) || s.sel.v.isSplit(tt.ids[t]) {
		return
	}
	hits = reversed(hits)
	heap.Push(&s.sel.found, &candidate{id: tt.ids[t], start: tt.start[t], end: tt.end[t], hits: hits, from: s, trace: t})
}

func (s *blockSource) match(c *candidate) (*model.TraceMatch, error) {
	m := &model.TraceMatch{Facts: s.side.facts(c.trace), Matched: len(c.hits)}
	if s.sel.q.Tree {
		s.tree(m, c)
	} else {
		for _, h := range s.sel.shown(c.hits) {
			s.add(m, h.row, h.mask)
		}
	}
	if err := s.show.fault; err != nil {
		s.sel.v.warn(s.b, err)
		return nil, nil
	}
	return m, nil
}

func (s *blockSource) add(m *model.TraceMatch, n uint32, mask uint64) {
	s.show.turn(int(n / pageRows))
	row := s.show.span(n, s.sel.want)
	row.Match = mask
	m.Spans = append(m.Spans, row)
}

func (s *blockSource) tree(m *model.TraceMatch, c *candidate) {
	hits := c.hits
	tt := &s.side.traces
	m.Spans = make([]model.SpanRow, 0, min(maxTreeSpans, tt.first[c.trace+1]-tt.first[c.trace]))
	for n := tt.first[c.trace]; n < tt.first[c.trace+1] && !s.sel.full(m, c.id); n++ {
		mask := uint64(0)
		if len(hits) > 0 && hits[0].row == n {
			mask, hits = hits[0].mask, hits[1:]
		} else if !s.m.all && !s.sel.q.Range.All() && s.m.possible(s.side.class.at(n)) {
			s.show.turn(int(n / pageRows))
			if !s.sel.q.Range.Contains(s.show.start(n)) {
				mask = s.outOfRange(n)
			}
		}
		s.add(m, n, mask)
	}
}

// outOfRange tries the filters on a row of an answering trace that the range
// left out, on a cursor of its own.
func (s *blockSource) outOfRange(n uint32) uint64 {
	s.cur.turn(int(n / pageRows))
	return s.m.mask(s.cur, n, s.side.class.at(n))
}
