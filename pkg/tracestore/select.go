package tracestore

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// maxFilters is what the bits of SpanRow.Match hold.
const maxFilters = 64

// maxTreeSpans bounds the spans of one trace that a query with Tree gets: a
// structure of more is cut, with a warning. Trace has no such bound.
const maxTreeSpans = 250_000

// SelectSpans yields the traces that answer a query: see query.TraceSource and
// predicate.SpanQuery.
func (s *Store) SelectSpans(ctx context.Context, q *predicate.SpanQuery) iter.Seq2[*model.TraceMatch, error] {
	return func(yield func(*model.TraceMatch, error) bool) {
		if len(q.Filters) > maxFilters {
			yield(nil, fmt.Errorf("%w: %d filters, at most %d are allowed in one query", model.ErrInvalid, len(q.Filters), maxFilters))
			return
		}
		ten := s.tenant(q.Tenant, false)
		if ten == nil {
			return
		}
		v := ten.view(q.Stats)
		defer v.release()
		v.prepare()
		sel := newSelection(ctx, v, q, s.opts.KeySpec())
		sel.run(yield)
	}
}

// selection is one run of a SpanQuery.
type selection struct {
	ctx     context.Context
	v       *view
	q       *predicate.SpanQuery
	spec    *model.KeySpec
	progs   []*program
	leaves  int // of all programs
	ruler   *ruler
	want    *wanted
	sources []candidateSource
	found   candidates
	sent    int
}

// candidateSource finds the traces of one part that may answer, the newest
// first. bound is the latest start that a trace it has not yet found may have.
type candidateSource interface {
	bound() (int64, bool)
	advance() error
}

// candidate is a trace that answers. facts, and spans, come when it is sent.
type candidate struct {
	id         model.TraceID
	start, end int64
	hits       []hit
	from       interface {
		match(c *candidate) (*model.TraceMatch, error)
	}
	trace uint32
	ready *model.TraceMatch
}

// hit is a span that matched; mask has the bits of its filters.
type hit struct {
	row  uint32
	mask uint64
}

func newSelection(ctx context.Context, v *view, q *predicate.SpanQuery, spec *model.KeySpec) *selection {
	s := &selection{ctx: ctx, v: v, q: q, spec: spec, want: newWanted(q.Project), ruler: newRuler(v, spec)}
	for _, f := range q.Filters {
		p := compile(f, spec)
		p.base, s.leaves = s.leaves, s.leaves+len(p.leaves)
		s.progs = append(s.progs, p)
	}
	for i := range v.heads {
		s.sources = append(s.sources, &headSource{sel: s, head: i, rows: v.heads[i]})
	}
	for _, b := range v.blocks {
		if src := s.blockSource(b); src != nil {
			s.sources = append(s.sources, src)
		}
	}
	if src := s.splitSource(); src != nil {
		s.sources = append(s.sources, src)
	}
	s.found.less = orderOf(q.Order)
	return s
}

// orderOf returns the order of results: by what is asked, then by trace id.
func orderOf(o predicate.Order) func(a, b *candidate) bool {
	return func(a, b *candidate) bool {
		c := 0
		switch o {
		case predicate.OldestFirst:
			c = cmp.Compare(a.start, b.start)
		case predicate.LongestFirst:
			c = cmp.Compare(b.end-b.start, a.end-a.start)
		default:
			c = cmp.Compare(b.start, a.start)
		}
		return cmp.Or(c, bytes.Compare(a.id[:], b.id[:])) < 0
	}
}

// run advances whichever source may have the newest trace, and sends what no
// source can overtake any more. Orders other than the newest first need all.
func (s *selection) run(yield func(*model.TraceMatch, error) bool) {
	for {
		if err := s.ctx.Err(); err != nil {
			yield(nil, err)
			return
		}
		next, bound := s.latest()
		for s.found.Len() > 0 && (next == nil || s.q.Order == predicate.NewestFirst && s.found.list[0].start > bound) {
			more, err := s.send(heap.Pop(&s.found).(*candidate), yield)
			if err != nil {
				yield(nil, err)
				return
			}
			if !more {
				return
			}
		}
		if next == nil {
			return
		}
		if err := next.advance(); err != nil {
			yield(nil, err)
			return
		}
	}
}

func (s *selection) latest() (next candidateSource, bound int64) {
	for _, src := range s.sources {
		if b, more := src.bound(); more && (next == nil || b > bound) {
			next, bound = src, b
		}
	}
	return next, bound
}

func (s *selection) send(c *candidate, yield func(*model.TraceMatch, error) bool) (more bool, err error) {
	m := c.ready
	if m == nil {
		if m, err = c.from.match(c); err != nil {
			return false, err
		}
		if m == nil {
			return true, nil // its block failed; there is a warning
		}
	}
	if err := s.ctx.Err(); err != nil {
		return false, err
	}
	s.sent++
	return yield(m, nil) && (s.q.Limit == 0 || s.sent < s.q.Limit), nil
}

// accept reports whether a trace whose spans match so answers.
func (s *selection) accept(hits []hit) bool {
	if len(hits) == 0 {
		return false
	}
	if len(s.q.Require) == 0 {
		return true
	}
	var all uint64
	for _, h := range hits {
		all |= h.mask
	}
	for _, r := range s.q.Require {
		if all&r == r {
			return true
		}
	}
	return false
}

// matcher is the filters of a selection bound to one part.
type matcher struct {
	progs []*binding
	yes   []uint64 // by class: filters that hold for all its spans
	maybe []uint64 // by class: filters that must be tried on the span
	look  []bool   // by class: a filter may hold
	all   bool     // no filters: every span
	any   bool
}

// bindTo binds filters, that may have been made smaller for the part.
func (s *selection) bindTo(progs []*program, t *tables) *matcher {
	m := &matcher{all: len(progs) == 0, any: len(progs) == 0, yes: make([]uint64, len(t.classes)), maybe: make([]uint64, len(t.classes)), look: make([]bool, len(t.classes))}
	for i, p := range progs {
		b := p.bind(t)
		m.progs = append(m.progs, b)
		m.any = m.any || b.any
		for c, verdict := range b.verdict {
			switch verdict {
			case yes:
				m.yes[c] |= 1 << i
			case maybe:
				m.maybe[c] |= 1 << i
			}
		}
	}
	for c := range m.look {
		m.look[c] = m.all || m.yes[c]|m.maybe[c] != 0
	}
	return m
}

func (m *matcher) possible(class uint32) bool { return m.look[class] }

// mask tries the filters on a row.
func (m *matcher) mask(cur cursor, n, class uint32) uint64 {
	mask := m.yes[class]
	for left := m.maybe[class]; left != 0; left &= left - 1 {
		i := trailing(left)
		if m.progs[i].test(cur, n, class) {
			mask |= 1 << i
		}
	}
	return mask
}

// shown picks the spans of a match that the query wants.
func (s *selection) shown(hits []hit) []hit {
	if n := s.q.SpansPerTrace; n > 0 && len(hits) > n {
		return hits[:n]
	}
	return hits
}

// headSource finds traces in memory, all in one step.
type headSource struct {
	sel  *selection
	head int // of the view
	rows *rows
	done bool
	m    *matcher
	cur  *headCursor
}

func (h *headSource) bound() (int64, bool) { return math.MaxInt64, !h.done }

func (h *headSource) advance() error {
	h.done = true
	s := h.sel
	f := s.ruler.inHead(h.head, s.progs)
	if len(f.progs) < len(s.progs) {
		return nil
	}
	h.m, h.cur = s.bindTo(f.progs, &h.rows.tables), &headCursor{s: h.rows}
	if !h.m.any {
		return nil
	}
	byTrace := map[uint32][]hit{}
	try := func(n uint32) {
		r := &h.rows.rows[n]
		if !h.m.possible(r.class) || !s.q.Range.Contains(r.start) {
			return
		}
		if mask := h.m.mask(h.cur, n, r.class); mask != 0 || h.m.all {
			byTrace[r.trace] = append(byTrace[r.trace], hit{n, mask})
		}
	}
	if f.all {
		s.v.stats.AddRows(int64(len(h.rows.rows)))
		for n := range h.rows.rows {
			try(uint32(n))
		}
	} else {
		s.v.stats.AddRows(int64(len(f.rows)))
		for _, n := range f.rows {
			try(n)
		}
	}
	for t, hits := range byTrace {
		id := h.rows.trs[t].id
		if !s.accept(hits) || s.v.isSplit(id) {
			continue
		}
		start, end := h.span(t)
		heap.Push(&s.found, &candidate{id: id, start: start, end: end, hits: hits, from: h, trace: t})
	}
	return nil
}

// span returns the first start and the last end of a trace.
func (h *headSource) span(t uint32) (start, end int64) {
	start, end = math.MaxInt64, math.MinInt64
	for n := h.rows.trs[t].last; n != 0; n = h.rows.rows[n-1].prev {
		r := &h.rows.rows[n-1]
		start, end = min(start, r.start), max(end, r.start, r.end)
	}
	return start, end
}

func (h *headSource) match(c *candidate) (*model.TraceMatch, error) {
	s := h.sel
	order := h.rows.ofTrace(nil, c.trace)
	m := &model.TraceMatch{Facts: h.rows.facts(c.trace, order), Matched: len(c.hits)}
	masks := make(map[uint32]uint64, len(c.hits))
	for _, x := range c.hits {
		masks[x.row] = x.mask
	}
	for _, n := range order {
		mask, is := masks[n]
		switch {
		case s.q.Tree && !is && !h.m.all && !s.q.Range.Contains(h.rows.rows[n].start):
			mask = h.m.mask(h.cur, n, h.rows.rows[n].class)
		case !is && !s.q.Tree:
			continue
		}
		if s.full(m, c.id) {
			break
		}
		row := h.rows.span(n)
		row.Match = mask
		m.Spans = append(m.Spans, row)
	}
	return m, nil
}

// full reports whether a match has as many spans as it may.
func (s *selection) full(m *model.TraceMatch, id model.TraceID) bool {
	if s.q.Tree {
		if len(m.Spans) < maxTreeSpans {
			return false
		}
		s.v.stats.Warn("trace %s has more than %d spans, its structure is looked at up to there", id, maxTreeSpans)
		return true
	}
	return s.q.SpansPerTrace > 0 && len(m.Spans) >= s.q.SpansPerTrace
}

// candidates is a heap.
type candidates struct {
	list []*candidate
	less func(a, b *candidate) bool
}

func (c *candidates) Len() int           { return len(c.list) }
func (c *candidates) Less(i, j int) bool { return c.less(c.list[i], c.list[j]) }
func (c *candidates) Swap(i, j int)      { c.list[i], c.list[j] = c.list[j], c.list[i] }
func (c *candidates) Push(x any)         { c.list = append(c.list, x.(*candidate)) }
func (c *candidates) Pop() any {
	x := c.list[len(c.list)-1]
	c.list = slices.Delete(c.list, len(c.list)-1, len(c.list))
	return x
}
