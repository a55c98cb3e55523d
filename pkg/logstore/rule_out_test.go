package logstore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// manyLogs is a store of many blocks beside a plain list of what is in it. Block
// k has records of requests k-1 and k, of an order that its resource names, and
// one in five has a user of all.
type manyLogs struct {
	t *testing.T
	s *Store
	o Options
	p *plainStore
}

func (m *manyLogs) fill(blocks int) {
	m.send(blocks, func(int) { require.NoError(m.t, m.s.Flush(bg)) })
}

// send appends, and calls after with the number of each of what would be blocks.
func (m *manyLogs) send(blocks int, after func(k int)) {
	for k := range blocks {
		l := &model.Logs{Batches: []model.LogBatch{{
			Resource: &model.Resource{Attrs: model.Attrs{{Key: "order.id", Value: model.String(fmt.Sprint("o-", k/3))}, {Key: "session.id", Value: model.String(fmt.Sprint("s-", k/2))}}},
			Scope:    &model.Scope{}}}}
		for i := range 2 {
			r := model.LogRecord{Time: testNow + int64(k)*1e9, Body: model.String(fmt.Sprint("record ", i)),
				Attrs: model.Attrs{{Key: "request.id", Value: model.String(fmt.Sprint("r-", k-i))}}}
			r.TraceID[15], r.TraceID[14] = byte(k-i), 1
			if k%5 == 0 {
				r.Attrs = append(r.Attrs, model.Attr{Key: "user.id", Value: model.String("everybody")})
			}
			l.Batches[0].Records = append(l.Batches[0].Records, r)
		}
		m.p.add(l)
		mustAppend(m.t, m.s, "t", 0, l)
		after(k)
	}
}

// check looks every id up, known and unknown, alone and among others. When exact,
// no more blocks may be opened than have rows that answer.
func (m *manyLogs) check(blocks int, exact bool) {
	m.t.Helper()
	var filters []predicate.Expr
	var nearly predicate.Or
	for k := -1; k <= blocks; k++ {
		nearly = append(nearly, predicate.Correlated{ID: fmt.Sprint("R-", k)}, predicate.Correlated{Kind: "no such", ID: "r-1"})
		trace := model.TraceID{14: 1, 15: byte(k)}.String()
		for _, f := range []predicate.Field{{Name: "request.id"}, {Name: "request_id", Underscored: true}, {Scope: predicate.ScopeRecord, Name: "request.id"}} {
			filters = append(filters, predicate.Compare{Field: f, Op: predicate.Eq, Value: model.String(fmt.Sprint("r-", k)), Loose: f.Underscored})
		}
		filters = append(filters, predicate.Compare{Field: predicate.Field{Name: "session_id", Underscored: true}, Op: predicate.Eq, Value: model.String(fmt.Sprint("s-", k)), Loose: true},
			predicate.Or{predicate.Compare{Field: predicate.Intrinsic(predicate.TraceID), Op: predicate.Eq, Value: model.String(trace)},
				predicate.And{predicate.Not{X: predicate.Exists{Field: predicate.Intrinsic(predicate.TraceID)}},
					predicate.Compare{Field: predicate.Field{Name: "trace_id", Underscored: true}, Op: predicate.Eq, Value: model.String(trace), Loose: true}}})
		filters = append(filters, predicate.Correlated{Kind: model.KeyRequest, ID: fmt.Sprint("r-", k)}, predicate.Correlated{ID: fmt.Sprint("s-", k)},
			predicate.Correlated{Kind: model.KeyTrace, ID: trace}, predicate.Correlated{Kind: "order", ID: fmt.Sprint("o-", k)},
			predicate.Compare{Field: predicate.Intrinsic(predicate.TraceID), Op: predicate.Eq, Value: model.String(trace)},
			predicate.And{predicate.Correlated{ID: "everybody"}, predicate.Or{predicate.Correlated{ID: fmt.Sprint("r-", k)}, predicate.Correlated{ID: trace}}})
	}
	filters = append(filters, predicate.Correlated{Kind: model.KeyUser, ID: "everybody"}, nearly, predicate.Or{},
		append(slices.Clone(nearly), predicate.Correlated{ID: "r-3"}, predicate.Correlated{ID: "r-20"}))
	spec := m.o.KeySpec()
	m.p.spec = spec
	for _, f := range filters {
		q := &predicate.LogQuery{Tenant: "t", Filter: f, Order: predicate.OldestFirst, Stats: &model.QueryStats{}}
		want := m.p.selectLogs(q)
		requireRows(m.t, want, collectRows(m.t, m.s, q), fmt.Sprint(f))
		if exact {
			need := map[int64]bool{} // each time is a block
			for i := range want {
				need[want[i].Time] = true
			}
			require.LessOrEqual(m.t, int(q.Stats.Blocks.Load()), len(need), "%v", f)
		}
	}
}

// TestAnIDIsLookedUpInTheBlocksThatHaveIt: no more are opened than have it,
// whether their ids are in memory or were put out of it; and the answer is that
// of a plain list after a restart, deletions, merges and retention, and when
// kinds of ids are switched on and off.
func TestAnIDIsLookedUpInTheBlocksThatHaveIt(t *testing.T) {
	for name, budget := range map[string]int64{"in memory": 0, "spilled": 2048} {
		t.Run(name, func(t *testing.T) {
			withOrders := map[string][]string{"order": {"order.id"}}
			for kind, names := range model.DefaultKeyAttributes {
				withOrders[kind] = names
			}
			spec, now := model.NewKeySpec(nil), time.Unix(0, testNow)
			o := testOptions(t.TempDir())
			o.KeySpec, o.MemoryBudget = func() *model.KeySpec { return spec }, budget
			o.Retention, o.Now = time.Hour, func() time.Time { return now }
			const blocks = 30
			m := &manyLogs{t: t, o: o, s: openTest(t, o), p: &plainStore{}}
			m.fill(blocks)
			tn := m.s.lookup("t")
			require.Equal(t, blocks, tn.ids.Len())
			if budget > 0 {
				require.LessOrEqual(t, tn.ids.Bytes(), budget)
			}
			m.check(blocks, true)
			reopen := func() {
				require.NoError(t, m.s.Close())
				m.s = openTest(t, o)
				tn = m.s.lookup("t")
			}
			reopen()
			require.Equal(t, blocks, tn.ids.Len())
			m.check(blocks, true)

			spec = model.NewKeySpec(withOrders) // old blocks know nothing of orders
			m.check(blocks, false)
			spec = model.NewKeySpec(map[string][]string{model.KeyRequest: {"request.id"}})
			m.check(blocks, true) // fewer kinds: what is left is where it was
			spec = model.NewKeySpec(nil)

			gone := predicate.Correlated{ID: "r-7"}
			_, err := m.s.Delete(bg, Deletion{Tenant: "t", Filter: gone})
			require.NoError(t, err)
			m.p.rows = slices.DeleteFunc(m.p.rows, func(r model.LogRow) bool {
				return predicate.Eval(gone, predicate.LogRow{LogRow: &r, Spec: spec})
			})
			m.check(blocks, false)
			spec = model.NewKeySpec(withOrders)
			mergeAll(t, m.s)
			m.check(blocks, false)
			require.Equal(t, 1, tn.ids.Len(), "the blocks that were merged are forgotten")
			m.fill(4) // beside the merged one, with orders
			m.check(blocks, false)
			reopen()
			m.check(blocks, false)
			require.Equal(t, 5, tn.ids.Len())
			stats := &model.QueryStats{}
			require.Len(t, collectRows(t, m.s, &predicate.LogQuery{Tenant: "t", Filter: predicate.Correlated{ID: "o-9"}, Stats: stats}), 6)
			require.EqualValues(t, 1, stats.Blocks.Load(), "resources' ids are in the directory")

			now = now.Add(2 * time.Hour)
			m.s.Maintain(bg)
			m.p.rows = nil
			m.check(blocks, true)
			require.Zero(t, tn.ids.Len())
			require.NoError(t, m.s.Close())
		})
	}
}

// TestAnIDIsLookedUpInTheHead: while it grows, and when kinds change; chunks
// without the id are not looked at.
func TestAnIDIsLookedUpInTheHead(t *testing.T) {
	spec := model.NewKeySpec(nil)
	orders := model.NewKeySpec(map[string][]string{"order": {"order.id"}, "request": {"request.id"}, "user": {"user.id"}})
	o := testOptions(t.TempDir())
	o.KeySpec, o.chunkRows = func() *model.KeySpec { return spec }, 8
	m := &manyLogs{t: t, o: o, s: openTest(t, o), p: &plainStore{}}
	m.send(31, func(k int) {
		switch {
		case k%10 == 5 || k == 6:
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
		collectRows(t, m.s, &predicate.LogQuery{Tenant: "t", Filter: any, Stats: stats})
		return stats.Rows.Load()
	}
	require.EqualValues(t, 8, rows("r-5"))
	require.EqualValues(t, 8, rows(m.p.rows[40].TraceID.String()))
	require.Zero(t, rows("r-99"))
	require.NoError(t, m.s.Close())
}

// TestAnAttributeOfManySpellings: a block where a spelling of the attribute asked
// for carries no ids, or where an array has the value, is looked at.
func TestAnAttributeOfManySpellings(t *testing.T) {
	o := testOptions(t.TempDir())
	s, p := openTest(t, o), &plainStore{spec: model.NewKeySpec(nil)}
	for k, attrs := range []model.Attrs{
		{{Key: "request.id", Value: model.String("r-1")}},
		{{Key: "request+id", Value: model.String("r-2")}, {Key: "user.id", Value: model.Int(7)}},
		{{Key: "x", Value: model.String("r-3")}},
		{{Key: "request.id", Value: model.ArrayJSON(`["r-4","r-5"]`)}},
		{{Key: "request.id", Value: model.String(" r-6 ")}},
	} {
		l := &model.Logs{Batches: []model.LogBatch{{Resource: &model.Resource{}, Scope: &model.Scope{}, Records: []model.LogRecord{{Time: testNow + int64(k), Attrs: attrs}}}}}
		p.add(l)
		mustAppend(t, s, "t", 0, l)
		require.NoError(t, s.Flush(bg))
	}
	for _, text := range []string{"r-1", "r-2", "r-3", "r-4", "r-5", "[\"r-4\",\"r-5\"]", "r-6", " r-6 ", "7", "", "[]"} {
		for _, f := range []predicate.Field{{Name: "request.id"}, {Name: "request_id", Underscored: true}, {Name: "user_id", Underscored: true}} {
			for _, loose := range []bool{false, true} {
				q := &predicate.LogQuery{Tenant: "t", Filter: predicate.Compare{Field: f, Op: predicate.Eq, Value: model.String(text), Loose: loose}, Order: predicate.OldestFirst}
				requireRows(t, p.selectLogs(q), collectRows(t, s, q), q.Filter.String())
			}
		}
	}
}
