package tracestore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/predicate"
)

// manySpans is a store of many blocks beside a plain list of what is in it. Block
// k has a trace of two spans of request r-k; its resource names an order, and
// every fifth has a user of all.
type manySpans struct {
	t    *testing.T
	s    *Store
	o    Options
	rows []model.SpanRow
}

func (m *manySpans) fill(blocks int) {
	m.send(blocks, func(int) { require.NoError(m.t, m.s.Flush(context.Background())) })
}

// send appends, and calls after with the number of each of what would be blocks.
func (m *manySpans) send(blocks int, after func(k int)) {
	for k := range blocks {
		res := &model.Resource{Attrs: model.Attrs{{Key: "order.id", Value: model.String(fmt.Sprint("o-", k/3))}, {Key: "session.id", Value: model.String(fmt.Sprint("s-", k/2))}}}
		b := model.SpanBatch{Resource: res, Scope: &model.Scope{}}
		for i := range 2 {
			sp := model.Span{TraceID: model.TraceID{14: 1, 15: byte(len(m.rows) / 2)}, Name: "work", Start: int64(k+1) * second, End: int64(k+2) * second,
				Attrs: model.Attrs{{Key: "request.id", Value: model.String(fmt.Sprint("r-", k))}}}
			sp.SpanID[7] = byte(i + 1)
			if k%5 == 0 {
				sp.Events = []model.SpanEvent{{Time: sp.Start, Name: "login", Attrs: model.Attrs{{Key: "user.id", Value: model.String("everybody")}}}}
			}
			b.Spans = append(b.Spans, sp)
		}
		for _, sp := range b.Spans {
			m.rows = append(m.rows, model.SpanRow{Resource: res, Scope: b.Scope, Span: sp})
		}
		_, err := m.s.AppendSpans(context.Background(), acme, 0, &model.Spans{Batches: []model.SpanBatch{b}})
		require.NoError(m.t, err)
		after(k)
	}
}

// check looks every id up, known and unknown, alone and among others. When exact,
// no more blocks may be opened than have a span that answers.
func (m *manySpans) check(blocks int, exact bool) {
	m.t.Helper()
	var filters []predicate.Expr
	var nearly predicate.Or
	for k := -1; k <= blocks; k++ {
		nearly = append(nearly, predicate.Correlated{ID: fmt.Sprint("R-", k)}, predicate.Correlated{Kind: "no such", ID: "r-1"})
		trace := model.TraceID{14: 1, 15: byte(k)}.String()
		filters = append(filters, predicate.Correlated{Kind: model.KeyRequest, ID: fmt.Sprint("r-", k)}, predicate.Correlated{ID: fmt.Sprint("s-", k)},
			predicate.Correlated{Kind: model.KeyTrace, ID: trace}, predicate.Correlated{Kind: "order", ID: fmt.Sprint("o-", k)},
			predicate.And{predicate.Correlated{ID: "everybody"}, predicate.Or{predicate.Correlated{ID: fmt.Sprint("r-", k)}, predicate.Correlated{ID: trace}}})
	}
	filters = append(filters, predicate.Correlated{Kind: model.KeyUser, ID: "everybody"}, nearly, predicate.Or{},
		append(nearly[:len(nearly):len(nearly)], predicate.Correlated{ID: "r-3"}, predicate.Correlated{ID: "r-20"}))
	spec := m.o.KeySpec()
	for _, f := range filters {
		want, need := 0, map[int64]bool{}
		for i := range m.rows {
			if predicate.Eval(f, predicate.SpanRow{SpanRow: &m.rows[i], Facts: &model.TraceFacts{}, Spec: spec}) {
				want++
				need[m.rows[i].Start] = true // each is a block
			}
		}
		got := 0
		stats := &model.QueryStats{}
		for match, err := range m.s.SelectSpans(context.Background(), &predicate.SpanQuery{Tenant: acme, Filters: []predicate.Expr{f}, Stats: stats}) {
			require.NoError(m.t, err)
			got += len(match.Spans)
		}
		require.Equal(m.t, want, got, "%v", f)
		if exact {
			require.LessOrEqual(m.t, int(stats.Blocks.Load()), len(need), "%v", f)
		}
	}
}

// TestAnIDIsLookedUpInTheBlocksThatHaveIt: no more are opened than have it,
// whether their ids are in memory or were put out of it; and the answer is that
// of a plain list after a restart, merges and retention, and when kinds of ids
// are switched on and off.
func TestAnIDIsLookedUpInTheBlocksThatHaveIt(t *testing.T) {
	for name, most := range map[string]int64{"in memory": 0, "spilled": 2048} {
		t.Run(name, func(t *testing.T) {
			withOrders := map[string][]string{"order": {"order.id"}}
			for kind, names := range model.DefaultKeyAttributes {
				withOrders[kind] = names
			}
			spec, now := model.NewKeySpec(nil), time.Unix(100, 0)
			m := &manySpans{t: t, o: Options{FS: vfs.NewCrashable(), Retention: time.Hour, Now: func() time.Time { return now }, KeySpec: func() *model.KeySpec { return spec }}}
			reopen := func() {
				if m.s != nil {
					require.NoError(t, m.s.Close())
				}
				m.s = open(t, m.o)
				if ten := m.s.tenant(acme, true); most > 0 {
					ten.dir.MaxBytes = most
				}
			}
			reopen()
			const blocks = 30
			m.fill(blocks)
			ten := m.s.tenant(acme, true)
			require.Equal(t, blocks, ten.dir.Len())
			if most > 0 {
				require.LessOrEqual(t, ten.dir.Bytes(), most)
			}
			m.check(blocks, true)
			reopen()
			m.check(blocks, true)

			spec = model.NewKeySpec(withOrders) // of resources: those are looked at in the sidecars
			m.check(blocks, true)
			spec = model.NewKeySpec(map[string][]string{model.KeyRequest: {"request.id"}})
			m.check(blocks, false) // fewer kinds: what is left is where it was
			spec = model.NewKeySpec(map[string][]string{"step": {"request.id"}})
			m.check(blocks, false) // another kind
			spec = model.NewKeySpec(withOrders)
			require.NoError(t, m.s.Maintain(context.Background()))
			ten = m.s.tenant(acme, true)
			require.Less(t, len(ten.blocks()), blocks)
			require.Equal(t, len(ten.blocks()), ten.dir.Len(), "blocks that were merged are forgotten")
			m.check(blocks, false)
			m.fill(4) // beside merged ones
			m.check(blocks, false)
			reopen()
			m.check(blocks, false)

			now = now.Add(2 * time.Hour)
			require.NoError(t, m.s.Maintain(context.Background()))
			m.rows = nil
			m.check(blocks, true)
			require.Zero(t, m.s.tenant(acme, true).dir.Len())
			require.NoError(t, m.s.Close())
		})
	}
}

// TestAnIDIsLookedUpInTheHead: while it grows, and when kinds change; rows without the id are not looked at.
func TestAnIDIsLookedUpInTheHead(t *testing.T) {
	spec := model.NewKeySpec(nil)
	orders := model.NewKeySpec(map[string][]string{"order": {"order.id"}, "request": {"request.id"}, "user": {"user.id"}})
	m := &manySpans{t: t, o: Options{KeySpec: func() *model.KeySpec { return spec }}}
	m.s = open(t, m.o)
	m.send(31, func(k int) {
		switch {
		case k%10 == 5:
			m.check(31, false)
		case k == 17:
			spec = orders
		case k == 28:
			spec = model.NewKeySpec(nil)
		}
	})
	m.check(31, false)
	rows := func(id string) int64 {
		stats := &model.QueryStats{}
		any := predicate.Or{predicate.Correlated{ID: id}, predicate.Correlated{Kind: model.KeyUser, ID: "nobody"}}
		for _, err := range m.s.SelectSpans(context.Background(), &predicate.SpanQuery{Tenant: acme, Filters: []predicate.Expr{any}, Stats: stats}) {
			require.NoError(t, err)
		}
		return stats.Rows.Load()
	}
	require.EqualValues(t, 2, rows("r-3"))
	require.EqualValues(t, 2, rows(m.rows[40].TraceID.String()))
	require.Zero(t, rows("r-99"))
	require.NoError(t, m.s.Close())
}
