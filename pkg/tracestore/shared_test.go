package tracestore

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/predicate"
)

// manyBlocks is a store of many blocks of many traces of one span, of which
// every fiftieth has a late span in the next block.
type manyBlocks struct {
	lateShop
	o Options
}

func newManyBlocks(t *testing.T, blocks, each int) *manyBlocks {
	m := &manyBlocks{lateShop: lateShop{tb: t, n: blocks * each}, o: Options{FS: vfs.NewCrashable(), Dir: "/traces", Manual: true}}
	m.open()
	for k := range blocks {
		b := model.SpanBatch{Resource: &model.Resource{}, Scope: &model.Scope{}}
		for i := k * each; i < (k+1)*each; i++ {
			b.Spans = append(b.Spans, m.span(i, 0))
			if late := i - each; late >= 0 && late%50 == 0 {
				b.Spans = append(b.Spans, m.span(late, 1))
			}
		}
		m.sendBatch(model.Position(k+1), b)
		require.NoError(t, m.s.Flush(context.Background()))
	}
	return m
}

func (m *manyBlocks) open() {
	s, err := Open(m.o)
	require.NoError(m.tb, err)
	m.s = s
}

func (m *manyBlocks) sendBatch(pos model.Position, b model.SpanBatch) {
	_, err := m.s.AppendSpans(context.Background(), acme, pos, &model.Spans{Batches: []model.SpanBatch{b}})
	require.NoError(m.tb, err)
}

// isExact requires the split traces to be those that two blocks have.
func (m *manyBlocks) isExact() traceSet {
	set := m.s.tenant(acme, true).set
	count, want := map[model.TraceID]int{}, traceSet{}
	for _, b := range set.blocks {
		ids, err := b.traceIDs()
		require.NoError(m.tb, err)
		side, err := b.sidecar()
		require.NoError(m.tb, err)
		require.Equal(m.tb, side.traces.ids, ids)
		for _, id := range ids {
			if count[id]++; count[id] == 2 {
				want[id] = struct{}{}
			}
		}
	}
	require.Equal(m.tb, want, set.split)
	return want
}

func TestOpeningReadsEachBlockAFewTimes(t *testing.T) {
	const blocks, each = 24, 1000
	m := newManyBlocks(t, blocks, each)
	require.Len(t, m.isExact(), (blocks-1)*each/50)
	require.NoError(t, m.s.Close())

	m.o.MemoryBudget = 2 << 10 // no sidecar but the latest stays in memory
	m.open()
	defer func() { require.NoError(t, m.s.Close()) }()
	cache := m.s.cache
	require.LessOrEqual(t, cache.reads.Load(), int64(blocks), "sidecars read whole")
	require.LessOrEqual(t, cache.idReads.Load(), int64(2*blocks), "ids of traces read")
	require.Len(t, m.isExact(), (blocks-1)*each/50)

	// One more block, and heads that are asked for in between.
	reads, ids := cache.reads.Load(), cache.idReads.Load()
	b := model.SpanBatch{Resource: &model.Resource{}, Scope: &model.Scope{}}
	for i := range each {
		b.Spans = append(b.Spans, m.span(m.n+i, 0), m.span(i*blocks, 2))
	}
	m.sendBatch(blocks+1, b)
	ten := m.s.tenant(acme, true)
	v := ten.view(nil)
	v.prepare()
	require.Len(t, v.headSplits[0], each)
	v.release()
	require.NoError(t, m.s.Flush(context.Background()))
	require.LessOrEqual(t, cache.reads.Load()-reads, int64(1))
	require.LessOrEqual(t, cache.idReads.Load()-ids, int64(2*blocks+2))
	m.isExact()

	// Blocks leave: by a merge, by retention, by damage.
	require.NoError(t, ten.mergeBlocks(context.Background(), slices.Clone(ten.blocks()[3:9])))
	m.isExact()
	ids = cache.idReads.Load()
	ten.without(ten.blocks()[:2])
	require.LessOrEqual(t, cache.idReads.Load()-ids, int64(len(ten.blocks())))
	m.isExact()
	require.NoError(t, ten.mergeBlocks(context.Background(), ten.blocks()))
	require.Empty(t, ten.set.split)
}

func TestLookUpLooksAtSplitTracesOfItsPagesOnly(t *testing.T) {
	const blocks, each = 16, 6_000
	m := newManyBlocks(t, blocks, each)
	defer func() { require.NoError(t, m.s.Close()) }()
	all := len(m.isExact())
	b := model.SpanBatch{Resource: &model.Resource{}, Scope: &model.Scope{}}
	for i := 0; i < m.n; i += 100 {
		b.Spans = append(b.Spans, m.span(i, 2))
	}
	m.sendBatch(blocks+1, b)
	v := m.s.tenant(acme, true).view(nil)
	defer v.release()
	v.prepare()
	looked := func(f predicate.Expr) (found, looked int) {
		prog := compile(f, m.s.opts.KeySpec())
		in := v.sieve(model.TimeRange{}, []*program{prog}, nil)
		in.ruler = newRuler(v, prog.spec)
		for _, tr := range v.splitTraces(context.Background(), in) {
			if in.may(tr.refs, true) {
				found++
			}
		}
		return found, in.looked
	}
	for i, want := range map[int]int{7: 0, 1050: 1, 2000: 1, 24_100: 1, m.n + 1: 0} {
		for _, f := range []predicate.Expr{
			predicate.Correlated{Kind: model.KeyTrace, ID: m.id(i).String()},
			predicate.Correlated{ID: fmt.Sprintf("u%d", i)},
			predicate.Or{predicate.Correlated{ID: fmt.Sprintf("u%d", i)}, predicate.Correlated{ID: "nobody"}},
		} {
			found, looked := looked(f)
			require.Equal(t, want, found, "trace %d by %v", i, f)
			// Those on the two or three pages that the id may be on.
			require.LessOrEqual(t, looked, all/4, "trace %d by %v of %d split ones", i, f, all)
		}
	}
	found, _ := looked(predicate.True{})
	require.Equal(t, v.maxSplit(), found+m.both(v))
}

// both is how many of the head's split traces are split among blocks too.
func (m *manyBlocks) both(v *view) (n int) {
	for id := range v.headSplits[0] {
		if _, ok := v.set.split[id]; ok {
			n++
		}
	}
	return n
}
