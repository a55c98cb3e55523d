package tracestore

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"braid/pkg/calls"
	"braid/pkg/model"
)

// graphMemo remembers the calls of the blocks that a question covered last: the
// next one covers mostly the same.
type graphMemo struct {
	mu     sync.Mutex
	blocks []*blockReader
	sum    *calls.Graph // not changed any more
}

func (m *graphMemo) get() ([]*blockReader, *calls.Graph) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.blocks, m.sum
}

func (m *graphMemo) put(blocks []*blockReader, sum *calls.Graph) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blocks, m.sum = blocks, sum
}

// forget lets a sum go that has a block which is no longer there.
func (m *graphMemo) forget(b *blockReader) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Contains(m.blocks, b) {
		m.blocks, m.sum = nil, nil
	}
}

// pieceMemo remembers the calls of the pieces of blocks that a question covered
// last, of blocks that it did not cover as a whole.
type pieceMemo struct {
	mu     sync.Mutex
	pieces []piece
	sum    *calls.Graph
}

type piece struct {
	b  *blockReader
	at int64
}

// add adds the calls of pieces.
func (m *pieceMemo) add(g *calls.Graph, pieces []piece, graphs []*calls.Graph) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sum == nil || !slices.Equal(m.pieces, pieces) {
		sum := calls.NewGraph()
		for _, x := range graphs {
			sum.Merge(x)
		}
		m.pieces, m.sum = pieces, sum
	}
	g.Share(m.sum)
}

// forget lets a sum go that has a block which is no longer there.
func (m *pieceMemo) forget(b *blockReader) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.ContainsFunc(m.pieces, func(p piece) bool { return p.b == b }) {
		m.pieces, m.sum = nil, nil
	}
}

// wholeGraph adds the calls of blocks that lie in the range as a whole.
func (v *view) wholeGraph(ctx context.Context, g *calls.Graph, blocks []*blockReader) error {
	if len(blocks) == 0 {
		return nil
	}
	before, sum := v.ten.graphs.get()
	if slices.Equal(before, blocks) {
		v.stats.AddBlocks(int64(len(blocks)), 0)
		g.Share(sum)
		return nil
	}
	more, less := minus(blocks, before), minus(before, blocks)
	next := calls.NewGraph()
	if sum != nil && sum.Dropped == 0 && len(more)+len(less) < len(blocks) && !slices.ContainsFunc(less, func(b *blockReader) bool { return !v.set.has[b] }) {
		next.Merge(sum)
	} else {
		more, less = blocks, nil
	}
	v.stats.AddBlocks(int64(len(blocks)-len(more)), 0)
	failed := false
	for i, b := range slices.Concat(more, less) {
		if err := ctx.Err(); err != nil {
			return err
		}
		x, err := v.graphOf(ctx, b)
		switch {
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			v.warn(b, err)
			failed = true
		case i < len(more):
			v.stats.AddBlocks(1, 0)
			next.Merge(x.whole)
		default:
			next.Remove(x.whole)
		}
	}
	if !failed {
		v.ten.graphs.put(blocks, next)
	}
	g.Share(next)
	return nil
}

// minus returns those of a that b has not.
func minus(a, b []*blockReader) (out []*blockReader) {
	has := make(map[*blockReader]bool, len(b))
	for _, x := range b {
		has[x] = true
	}
	for _, x := range a {
		if !has[x] {
			out = append(out, x)
		}
	}
	return out
}

func (v *view) graphOf(ctx context.Context, b *blockReader) (*minuteGraphs, error) {
	side, err := b.sidecar()
	if err != nil {
		return nil, err
	}
	return v.graphs(ctx, b, side)
}

// splitGraph counts the traces that several parts hold, as a whole. Each part has
// counted its share of them: that is taken off. What blocks share with each other
// is the same as long as the set of blocks is, and remembered.
func (v *view) splitGraph(ctx context.Context, g *calls.Graph, r model.TimeRange) error {
	s := &splitCounter{v: v, counters: map[*rows]*headCounter{}, blocks: map[*blockReader]*blockCounter{}, pages: map[*blockReader]*pageCursor{}, target: calls.InRange(g, r),
		all: !slices.ContainsFunc(v.blocks, func(b *blockReader) bool { return !b.coveredBy(r) })}
	s.allHeads = !slices.ContainsFunc(v.heads, func(h *rows) bool { return len(h.rows) > 0 && !r.All() && (!r.Contains(h.lo) || !r.Contains(h.hi)) })
	if err := s.betweenBlocks(ctx, g, r); err != nil {
		return err
	}
	var err error
	v.eachHeadSplit(func(id model.TraceID) bool {
		err = s.withHead(ctx, id, g, r)
		return err == nil
	})
	return err
}

// eachHeadSplit yields the traces that a head shares with another part, each
// once.
func (v *view) eachHeadSplit(yield func(model.TraceID) bool) {
	seen := traceSet{}
	for _, set := range append(slices.Clone(v.headSplits), v.across) {
		for id := range set {
			if _, dup := seen[id]; dup {
				continue
			}
			seen[id] = struct{}{}
			if !yield(id) {
				return
			}
		}
	}
}

// splitCounter puts the calls of whole traces in the place of those of their
// parts.
type splitCounter struct {
	v        *view
	all      bool // the range covers all blocks
	allHeads bool // the range covers all heads
	failed   bool // some block could not be read
	counters map[*rows]*headCounter
	blocks   map[*blockReader]*blockCounter
	pages    map[*blockReader]*pageCursor
	tr       calls.Trace
	target   func(start int64) *calls.Graph
}

// splitMemo is what the traces that blocks share with each other change of the
// sum of the blocks.
type splitMemo struct {
	mu    sync.Mutex
	known *minuteGraphs // not changed any more
}

// betweenBlocks corrects the traces that blocks share with each other: by whole
// minutes as they are remembered, the rest from the spans.
func (s *splitCounter) betweenBlocks(ctx context.Context, g *calls.Graph, r model.TimeRange) error {
	if len(s.v.set.split) == 0 {
		return nil
	}
	known, err := s.split(ctx)
	if err != nil {
		return err
	}
	if s.all {
		g.Share(known.whole)
		return nil
	}
	cut := known.minutes == nil
	for at, x := range known.minutes {
		switch {
		case known.covers(at, r):
			g.Share(x)
		case r.Overlaps(x.Lo, x.Hi):
			cut = true
		}
	}
	if !cut {
		return nil
	}
	return s.each(ctx, func(refs []ref) bool { return touches(refs, r) }, func(start int64) *calls.Graph {
		if r.Contains(start) && (known.minutes == nil || !known.covers(floorDiv(start, known.step), r)) {
			return g
		}
		return nil
	})
}

// split returns what the set's split traces change.
func (s *splitCounter) split(ctx context.Context) (*minuteGraphs, error) {
	m := &s.v.set.splitCalls
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known != nil {
		return m.known, nil
	}
	lo, hi := s.v.blocks[0].MinTime, s.v.blocks[0].MaxTime
	for _, b := range s.v.blocks {
		lo, hi = min(lo, b.MinTime), max(hi, b.MaxTime)
	}
	step := int64(0)
	if (hi-lo)/graphStep < maxGraphMinutes {
		step = graphStep
	}
	known := newMinuteGraphs(step)
	s.failed = false
	if err := s.each(ctx, nil, known.at); err != nil {
		return nil, err
	}
	if known.sum(); !s.failed {
		m.known = known
	}
	return known, nil
}

// each counts the traces that blocks share, of those that want lets pass.
func (s *splitCounter) each(ctx context.Context, want func([]ref) bool, target func(int64) *calls.Graph) error {
	var list [][]ref
	for id := range s.v.set.split {
		refs, complete := s.v.blockRefs(id)
		s.failed = s.failed || !complete
		if len(refs) > 0 && (want == nil || want(refs)) {
			list = append(list, refs)
		}
	}
	slices.SortFunc(list, func(a, b []ref) int { // those that follow each other share pages
		return cmp.Or(cmp.Compare(a[0].block.ID, b[0].block.ID), cmp.Compare(a[0].trace, b[0].trace))
	})
	for _, refs := range list {
		for _, x := range refs {
			if err := s.block(ctx, x, -1, target); err != nil {
				return err
			}
		}
		if err := s.joined(ctx, refs, 1, target); err != nil {
			return err
		}
	}
	return nil
}

// touches reports whether a trace has spans near a range, as far as its parts
// tell.
func touches(refs []ref, r model.TimeRange) bool {
	for _, x := range refs {
		if x.block != nil && r.Overlaps(x.side.traces.start[x.trace], x.side.traces.end[x.trace]) || x.block == nil && r.Overlaps(x.head.lo, x.head.hi) {
			return true
		}
	}
	return false
}

// withHead corrects a trace of which a head has spans: what the blocks have of it
// is counted as a whole by now.
func (s *splitCounter) withHead(ctx context.Context, id model.TraceID, g *calls.Graph, r model.TimeRange) error {
	refs := s.v.refs(id)
	if !r.All() && !touches(refs, r) {
		return nil
	}
	spans := 0
	for _, x := range refs {
		spans += x.spans()
	}
	memo := spans > largeSplit && s.all && s.allHeads
	version, to, target := "", g, s.target
	if memo {
		version = s.v.version(refs)
		if known := s.v.ten.largeSplits.get(id, version); known != nil {
			g.Share(known)
			return nil
		}
		to = calls.NewGraph()
		target = func(int64) *calls.Graph { return to }
	}
	var blocks []ref
	for _, x := range refs {
		if x.block != nil {
			blocks = append(blocks, x)
			continue
		}
		h := s.counters[x.head]
		if h == nil {
			h = newHeadCounter(x.head)
			s.counters[x.head] = h
		}
		h.trace(x.trace, -1, len(x.head.rows), target)
	}
	err := s.joined(ctx, blocks, -1, target)
	if err == nil {
		err = s.joined(ctx, refs, 1, target)
	}
	if err == nil && memo {
		s.v.ten.largeSplits.put(id, version, to)
		g.Share(to)
	}
	return err
}

// block counts what one block has of a trace.
func (s *splitCounter) block(ctx context.Context, x ref, sign int64, target func(int64) *calls.Graph) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := s.blocks[x.block]
	if c == nil {
		c = newBlockCounter(x.block, x.side, s.v.stats)
		s.blocks[x.block] = c
	}
	s.v.stats.AddRows(int64(x.spans()))
	if err := c.trace(x.trace, sign, target); err != nil {
		s.v.warn(x.block, err)
		s.failed = true
		delete(s.blocks, x.block)
	}
	return nil
}

// joined counts what parts have of a trace, as a whole.
func (s *splitCounter) joined(ctx context.Context, refs []ref, sign int64, target func(int64) *calls.Graph) error {
	if len(refs) == 0 {
		return nil
	}
	if len(refs) == 1 && refs[0].block != nil {
		return s.block(ctx, refs[0], sign, target)
	}
	for i := range refs {
		if b := refs[i].block; b != nil {
			if c := s.pages[b]; c == nil || c.fault != nil {
				s.pages[b] = newPageCursor(b, refs[i].side, 0, s.v.stats)
			}
			refs[i].cur = s.pages[b]
		}
	}
	o := outliner{v: s.v, refs: refs}
	if err := o.run(ctx); err != nil {
		return err
	}
	for i := range refs {
		s.failed = s.failed || refs[i].cur != nil && refs[i].cur.fault != nil
	}
	s.tr.Reset()
	for i := range o.Outline.Spans {
		x := &o.Outline.Spans[i]
		s.tr.Add(x.ID, x.Parent, calls.Span{Service: o.Outline.Operations[x.Operation].Service, Kind: x.Kind, Failed: x.Status == model.StatusError,
			Start: x.Start, Duration: x.Duration(), Root: x.Parent.IsZero()})
	}
	s.tr.Resolve()
	s.tr.Count(sign, target, func(i int) (string, string) {
		x := &o.Outline.Spans[i]
		row, err := s.v.spanAt(refs[x.At>>32], uint32(x.At))
		if err != nil {
			s.v.warn(refs[x.At>>32].block, err)
			s.failed = true
		}
		return calls.Peer(model.SpanKindClient, row.Attrs)
	})
	return nil
}

// largeSplit is from how many spans on a trace of head and blocks is worth
// remembering, and maxLargeSplits of how many it is done.
const (
	largeSplit     = 2000
	maxLargeSplits = 64
)

// largeSplits remembers what large traces change of the sum of the parts that
// hold them, for ranges that cover all blocks.
type largeSplits struct {
	mu sync.Mutex
	at map[model.TraceID]largeSplitCalls
}

type largeSplitCalls struct {
	version string
	calls   *calls.Graph
}

func (m *largeSplits) get(id model.TraceID, version string) *calls.Graph {
	m.mu.Lock()
	defer m.mu.Unlock()
	if x := m.at[id]; x.version == version {
		return x.calls
	}
	return nil
}

func (m *largeSplits) put(id model.TraceID, version string, g *calls.Graph) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at == nil || len(m.at) >= maxLargeSplits {
		m.at = map[model.TraceID]largeSplitCalls{}
	}
	m.at[id] = largeSplitCalls{version, g}
}
