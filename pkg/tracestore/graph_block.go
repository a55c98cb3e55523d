package tracestore

import (
	"context"
	"errors"
	"maps"
	"slices"

	"braid/pkg/calls"
	"braid/pkg/model"
)

// coveredBy reports whether all spans of a block start in a range.
func (r *blockReader) coveredBy(in model.TimeRange) bool {
	return in.All() || in.Start <= r.MinTime && in.End > r.MaxTime
}

// pieceList gathers the pieces that a range covers.
type pieceList struct {
	of     []piece
	graphs []*calls.Graph
}

// blockGraph finds the calls of a block in a range that does not cover all of it:
// whole pieces go to the list, the rest is counted from the spans.
func (v *view) blockGraph(ctx context.Context, g *calls.Graph, b *blockReader, r model.TimeRange, pieces *pieceList) error {
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
	whole := func(at int64) bool { return known.covers(at, r) }
	for _, at := range slices.Sorted(maps.Keys(known.minutes)) {
		if x := known.minutes[at]; whole(at) && r.Overlaps(x.Lo, x.Hi) {
			pieces.of, pieces.graphs = append(pieces.of, piece{b, at}), append(pieces.graphs, x)
		}
	}
	cut := func(lo, hi int64) bool { // some time of [lo, hi] is in range and in no whole minute
		lo, hi = max(lo, r.Start), min(hi, r.End-1)
		return lo <= hi && (known.minutes == nil || !whole(floorDiv(lo, known.step)) || !whole(floorDiv(hi, known.step)))
	}
	return v.callsOf(ctx, b, side, side.tracesOf(cut), 1, func(start int64) *calls.Graph {
		if r.Contains(start) && (known.minutes == nil || !whole(floorDiv(start, known.step))) {
			return g
		}
		return nil
	})
}

// graphs returns the calls of a block: read from its file, or, of a block that an
// older program wrote, counted when they are first asked for.
func (v *view) graphs(ctx context.Context, b *blockReader, side *sidecar) (*minuteGraphs, error) {
	if known := side.graphs.Load(); known != nil {
		return known, nil
	}
	known, err := b.readCalls()
	if err != nil {
		if !errors.Is(err, errOldCalls) {
			v.ten.store.opts.Logger.Warn("cannot read the calls of a block of spans; they are counted anew", "tenant", v.ten.id, "block", b.ID, "error", err)
		}
		if known, err = v.count(ctx, b, side); err != nil {
			return nil, err
		}
	}
	side.graphs.Store(known)
	return known, nil
}

// count counts the calls of a block from its spans.
func (v *view) count(ctx context.Context, b *blockReader, side *sidecar) (*minuteGraphs, error) {
	known := newMinuteGraphs(graphStepOf(b.MinTime, b.MaxTime))
	if err := v.callsOf(ctx, b, side, []traceRange{{0, uint32(side.traces.len())}}, 1, known.at); err != nil {
		return nil, err
	}
	known.sum()
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
	c := newBlockCounter(b, side, v.stats)
	for _, r := range ranges {
		for t := r.from; t < r.to; t++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.trace(t, sign, target); err != nil {
				return err
			}
		}
		v.stats.AddRows(int64(side.traces.first[r.to] - side.traces.first[r.from]))
	}
	return nil
}

// blockCounter counts the calls of traces of a block.
type blockCounter struct {
	side  *sidecar
	cur   *pageCursor
	named *pageCursor // for the peers: they may be on a page before
	peers *peers
	tr    calls.Trace
}

func newBlockCounter(b *blockReader, side *sidecar, stats *model.QueryStats) *blockCounter {
	return &blockCounter{side: side, cur: newPageCursor(b, side, 0, stats), named: newPageCursor(b, side, 0, stats), peers: newPeers(&side.tables)}
}

func (c *blockCounter) trace(t uint32, sign int64, target func(start int64) *calls.Graph) error {
	lo, hi := c.side.traces.first[t], c.side.traces.first[t+1]
	c.tr.Reset()
	for n := lo; n < hi; n++ {
		c.cur.turn(int(n / pageRows))
		c.tr.Spans = append(c.tr.Spans, callOf(c.cur, n, lo))
	}
	c.tr.Count(sign, target, func(i int) (string, string) {
		n := lo + uint32(i)
		c.named.turn(int(n / pageRows))
		return c.peers.of(c.named, n, c.side.class.at(n))
	})
	if c.cur.fault != nil {
		return c.cur.fault
	}
	return c.named.fault
}

func callOf(cur *pageCursor, n, first uint32) calls.Span {
	side := cur.side
	c := &side.classes[side.class.at(n)]
	s := calls.Span{
		Service: side.services[c.resource], Kind: model.SpanKind(c.kind), Failed: c.status == uint8(model.StatusError),
		Start: cur.start(n), Duration: cur.duration(n), Parent: -1,
	}
	if p := side.parentOf(n); p > first {
		s.Parent = int32(p - 1 - first)
	} else {
		s.Root = cur.parentID(n).IsZero()
	}
	return s
}
