package tracestore

import (
	"context"

	"braid/pkg/calls"
	"braid/pkg/model"
)

// graphStep is the width of the pieces in which a block remembers its calls.
const graphStep = int64(60e9)

// minuteGraphs are the calls of a part, in all and by the minute of their start.
// Those of a block are immutable once computed; they live and die with the
// sidecar.
type minuteGraphs struct {
	whole   *calls.Graph
	minutes map[int64]*calls.Graph // by Unix minute; nil: only in all
}

// covers reports whether all that a minute has is in a range.
func (m *minuteGraphs) covers(minute int64, r model.TimeRange) bool {
	if m.minutes == nil {
		return false
	}
	x := m.minutes[minute]
	return x == nil || r.All() || r.Start <= x.Lo && r.End > x.Hi
}

// coveredBy reports whether all spans of a block start in a range.
func (r *blockReader) coveredBy(in model.TimeRange) bool {
	return in.All() || in.Start <= r.MinTime && in.End > r.MaxTime
}

// blockGraph adds the calls of a block in a range: whole minutes as they are
// remembered, the rest from the spans.
func (v *view) blockGraph(ctx context.Context, g *calls.Graph, b *blockReader, r model.TimeRange) error {
	if !b.Overlaps(r) {
		v.stats.AddBlocks(0, 1)
		return nil
	}
	side, err := b.sidecar()
	if err != nil {
		return err
	}
	v.stats.AddBlocks(1, 0)
	known, err := v.graphs(ctx, b, side)
	if err != nil {
		return err
	}
	if b.coveredBy(r) {
		g.Merge(known.whole)
		return nil
	}
	whole := func(minute int64) bool { return known.covers(minute, r) }
	for minute, x := range known.minutes {
		if whole(minute) {
			g.Merge(x)
		}
	}
	cut := func(lo, hi int64) bool { // some time of [lo, hi] is in range and in no whole minute
		lo, hi = max(lo, r.Start), min(hi, r.End-1)
		return lo <= hi && (!whole(floorDiv(lo, graphStep)) || !whole(floorDiv(hi, graphStep)))
	}
	return v.callsOf(ctx, b, side, side.tracesOf(cut), 1, func(start int64) *calls.Graph {
		if r.Contains(start) && !whole(floorDiv(start, graphStep)) {
			return g
		}
		return nil
	})
}

// maxGraphMinutes bounds the pieces that a block remembers: one that late spans
// make long remembers its calls only in all.
const maxGraphMinutes = 240

// graphs returns what the block remembers, computed when it is first asked for.
func (v *view) graphs(ctx context.Context, b *blockReader, side *sidecar) (*minuteGraphs, error) {
	if known := side.graphs.Load(); known != nil {
		return known, nil
	}
	known := &minuteGraphs{whole: calls.NewGraph(), minutes: map[int64]*calls.Graph{}}
	long := floorDiv(b.MaxTime, graphStep)-floorDiv(b.MinTime, graphStep) >= maxGraphMinutes
	err := v.callsOf(ctx, b, side, []traceRange{{0, uint32(side.traces.len())}}, 1, func(start int64) *calls.Graph {
		if long {
			return known.whole
		}
		m := floorDiv(start, graphStep)
		x := known.minutes[m]
		if x == nil {
			x = calls.NewGraph()
			known.minutes[m] = x
		}
		return x
	})
	if err != nil {
		return nil, err
	}
	if long {
		known.minutes = nil
	}
	for _, x := range known.minutes {
		known.whole.Merge(x)
	}
	side.graphs.Store(known)
	return known, nil
}

// traceRange is the traces [from, to) of a block.
type traceRange struct{ from, to uint32 }

// tracesOf returns the traces that have spans on pages of which the times
// satisfy overlaps, each once.
func (s *sidecar) tracesOf(overlaps func(lo, hi int64) bool) []traceRange {
	var out []traceRange
	for page := range s.zones {
		if !overlaps(s.zones[page].minStart, s.zones[page].maxStart) {
			continue
		}
		from := s.traces.ofRow(uint32(page * pageRows))
		to := s.traces.ofRow(uint32(min(s.rows, (page+1)*pageRows)-1)) + 1
		if n := len(out); n > 0 && out[n-1].to >= from {
			out[n-1].to = max(out[n-1].to, to)
			continue
		}
		out = append(out, traceRange{from, to})
	}
	return out
}

// callsOf counts the calls of traces of a block, sign times, each into the
// graph that target returns for its time; nil is none.
func (v *view) callsOf(ctx context.Context, b *blockReader, side *sidecar, ranges []traceRange, sign int64, target func(start int64) *calls.Graph) error {
	cur := newPageCursor(b, side, 0, v.stats)
	named := newPageCursor(b, side, 0, v.stats)
	peer := newPeers(&side.tables)
	var tr calls.Trace
	for _, r := range ranges {
		for t := r.from; t < r.to; t++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			lo, hi := side.traces.first[t], side.traces.first[t+1]
			tr.Reset()
			for n := lo; n < hi; n++ {
				cur.turn(int(n / pageRows))
				tr.Spans = append(tr.Spans, callOf(cur, n, lo))
			}
			tr.Count(sign, target, func(i int) (string, string) {
				n := lo + uint32(i)
				named.turn(int(n / pageRows))
				return peer.of(named, n, side.class[n])
			})
			if cur.fault != nil {
				return cur.fault
			}
		}
		v.stats.AddRows(int64(side.traces.first[r.to] - side.traces.first[r.from]))
	}
	return named.fault
}

func callOf(cur *pageCursor, n, first uint32) calls.Span {
	side := cur.side
	c := &side.classes[side.class[n]]
	s := calls.Span{
		Service: side.services[c.resource], Kind: model.SpanKind(c.kind), Failed: c.status == uint8(model.StatusError),
		Start: cur.start(n), Duration: cur.duration(n), Parent: -1,
	}
	if p := side.parent[n]; p > first {
		s.Parent = int32(p - 1 - first)
	} else {
		s.Root = cur.parentID(n).IsZero()
	}
	return s
}
