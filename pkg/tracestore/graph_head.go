package tracestore

import (
	"math"
	"slices"
	"sync"

	"braid/pkg/calls"
	"braid/pkg/model"
)

// A head remembers its calls by the minute, and, when these become too many, only
// in all.
const (
	graphStep       = int64(60e9)
	maxGraphMinutes = 240
)

// headMemo remembers the calls of a head as of its first n rows.
type headMemo struct {
	mu    sync.Mutex
	n     int
	known minuteGraphs
	times []timeSpan // by trace
}

// timeSpan is between which times the spans of a trace start.
type timeSpan struct{ lo, hi int64 }

// headGraph adds the calls of head i in a range, traces that other parts share
// included: see splitGraph.
func (v *view) headGraph(g *calls.Graph, i int, r model.TimeRange) {
	h, memo := v.heads[i], &v.parts[i].calls
	memo.mu.Lock()
	defer memo.mu.Unlock()
	c := newHeadCounter(h)
	if memo.n > len(h.rows) { // another query has seen more
		c.all(calls.InRange(g, r))
		return
	}
	v.stats.AddRows(int64(len(h.rows) - memo.n))
	memo.follow(c)
	known := &memo.known
	if known.minutes == nil {
		if r.All() {
			g.Borrow(known.whole)
		} else {
			c.all(calls.InRange(g, r))
		}
		return
	}
	var cut []*calls.Graph
	for minute, x := range known.minutes {
		if known.covers(minute, r) {
			g.Borrow(x)
		} else if r.Overlaps(x.Lo, x.Hi) {
			cut = append(cut, x)
		}
	}
	if len(cut) == 0 {
		return
	}
	target := func(start int64) *calls.Graph {
		if r.Contains(start) && !known.covers(floorDiv(start, known.step), r) {
			return g
		}
		return nil
	}
	for t, x := range memo.times {
		if r.Overlaps(x.lo, x.hi) && slices.ContainsFunc(cut, func(m *calls.Graph) bool { return x.lo <= m.Hi && x.hi >= m.Lo }) {
			c.trace(uint32(t), 1, len(h.rows), target)
		}
	}
}

// follow counts what has come since: traces of which more has come are taken off
// and counted again.
func (m *headMemo) follow(c *headCounter) {
	if m.n == len(c.h.rows) && m.known.whole != nil {
		return
	}
	if m.known.whole == nil {
		m.known = *newMinuteGraphs(graphStep)
	}
	seen := map[uint32]struct{}{}
	for n := m.n; n < len(c.h.rows); n++ {
		t := c.h.rows[n].trace
		if _, done := seen[t]; done {
			continue
		}
		seen[t] = struct{}{}
		if m.n > 0 {
			c.trace(t, -1, m.n, m.known.at)
		}
		c.trace(t, 1, len(c.h.rows), m.known.at)
		for int(t) >= len(m.times) {
			m.times = append(m.times, timeSpan{})
		}
		m.times[t] = c.times()
	}
	m.n = len(c.h.rows)
	if len(m.known.minutes) > maxGraphMinutes {
		m.known.sum()
		m.known.minutes = nil
	}
}

// giveTo hands the calls of all n rows to a block, if they are known.
func (m *headMemo) giveTo(c *callCounter, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.n != n || m.known.whole == nil {
		return
	}
	known := m.known
	if known.minutes != nil {
		known.whole = calls.NewGraph()
		known.sum()
	}
	c.adopt(&known)
}

// headCounter counts the calls of traces of a head.
type headCounter struct {
	h     *rows
	cur   *headCursor
	named *peers
	order []uint32
	tr    calls.Trace
}

func newHeadCounter(h *rows) *headCounter {
	return &headCounter{h: h, cur: &headCursor{s: h}, named: newPeers(&h.tables)}
}

func (c *headCounter) all(target func(int64) *calls.Graph) {
	for t := range c.h.trs {
		c.trace(uint32(t), 1, len(c.h.rows), target)
	}
}

// times tells when the spans of the trace that was counted last start.
func (c *headCounter) times() timeSpan {
	if len(c.order) == 0 {
		return timeSpan{math.MaxInt64, math.MinInt64}
	}
	return timeSpan{c.h.rows[c.order[0]].start, c.h.rows[c.order[len(c.order)-1]].start}
}

// trace counts the calls of a trace among the first n rows, sign times.
func (c *headCounter) trace(t uint32, sign int64, n int, target func(int64) *calls.Graph) {
	c.order = c.h.ofTrace(c.order[:0], t)
	kept := c.order[:0]
	for _, i := range c.order {
		if int(i) < n {
			kept = append(kept, i)
		}
	}
	c.order = kept
	c.tr.Reset()
	for _, i := range c.order {
		x := &c.h.rows[i]
		k := &c.h.classes[x.class]
		c.tr.Add(x.spanID, x.parent, calls.Span{
			Service: c.h.services[k.resource], Kind: model.SpanKind(k.kind), Failed: k.status == uint8(model.StatusError),
			Start: x.start, Duration: max(0, x.end-x.start), Root: x.parent.IsZero(),
		})
	}
	c.tr.Resolve()
	c.tr.Count(sign, target, func(i int) (string, string) {
		return c.named.of(c.cur, c.order[i], c.h.rows[c.order[i]].class)
	})
}
