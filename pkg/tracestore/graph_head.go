package tracestore

import (
	"sync"

	"braid/pkg/calls"
	"braid/pkg/model"
)

// headMemo remembers the calls of a head as of its first n rows.
type headMemo struct {
	mu    sync.Mutex
	n     int
	known minuteGraphs
}

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
			g.Merge(known.whole)
		} else {
			c.all(calls.InRange(g, r))
		}
		return
	}
	cut := false
	for minute, x := range known.minutes {
		if known.covers(minute, r) {
			g.Merge(x)
		} else {
			cut = cut || x.Hi >= r.Start && x.Lo < r.End
		}
	}
	if cut {
		c.all(func(start int64) *calls.Graph {
			if r.Contains(start) && !known.covers(floorDiv(start, graphStep), r) {
				return g
			}
			return nil
		})
	}
}

// follow counts what has come since: traces of which more has come are taken off
// and counted again.
func (m *headMemo) follow(c *headCounter) {
	if m.n == len(c.h.rows) && m.known.whole != nil {
		return
	}
	if m.known.whole == nil {
		m.known = minuteGraphs{whole: calls.NewGraph(), minutes: map[int64]*calls.Graph{}}
	}
	target := func(start int64) *calls.Graph {
		if m.known.minutes == nil {
			return m.known.whole
		}
		minute := floorDiv(start, graphStep)
		x := m.known.minutes[minute]
		if x == nil {
			x = calls.NewGraph()
			m.known.minutes[minute] = x
		}
		return x
	}
	seen := map[uint32]struct{}{}
	for n := m.n; n < len(c.h.rows); n++ {
		t := c.h.rows[n].trace
		if _, done := seen[t]; done {
			continue
		}
		seen[t] = struct{}{}
		if m.n > 0 {
			c.trace(t, -1, m.n, target)
		}
		c.trace(t, 1, len(c.h.rows), target)
	}
	m.n = len(c.h.rows)
	if len(m.known.minutes) > maxGraphMinutes {
		for _, x := range m.known.minutes {
			m.known.whole.Merge(x)
		}
		m.known.minutes = nil
	}
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
