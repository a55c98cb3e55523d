package logstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
	"braid/pkg/block"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

var bg = context.Background()

// oneLog is a request with one record.
func oneLog(at int64, body string, attrs ...model.Attr) *model.Logs {
	return &model.Logs{Batches: []model.LogBatch{{Resource: &model.Resource{}, Scope: &model.Scope{},
		Records: []model.LogRecord{{Time: at, Observed: at, Body: model.String(body), Attrs: attrs}}}}}
}

func mustAppend(t *testing.T, s *Store, id tenant.ID, pos model.Position, l *model.Logs) {
	t.Helper()
	rej, err := s.AppendLogs(bg, id, pos, l)
	require.NoError(t, err)
	require.Zero(t, rej.Count)
}

// TestPowerLossKeepsWhatTheLogNoLongerHas: whenever the power goes, blocks on
// disk and a replay of the ingest log from OldestNeeded give every record once.
func TestPowerLossKeepsWhatTheLogNoLongerHas(t *testing.T) {
	for round := range uint64(12) {
		sd := seed(t)*1000 + round
		g := newGen(sd)
		rng := rand.New(rand.NewPCG(sd, 3))
		disk := vfs.NewCrashable()
		requests := map[model.Position]*model.Logs{}
		o := testOptions("/data")
		o.FS, o.pageRows, o.chunkRows = disk, 16, 32
		s := openTest(t, o)
		var next, kept model.Position = 1, 1
		for range 6 {
			for range 5 + g.IntN(40) {
				switch g.IntN(12) {
				case 0:
					require.NoError(t, s.Flush(bg))
				case 1:
					s.Maintain(bg)
				default:
					requests[next] = g.logs(testNow)
					mustAppend(t, s, "t", next, requests[next])
					next++
				}
				kept = next
				if p, ok := s.OldestNeeded(); ok {
					kept = p
				}
			}
			disk = disk.CrashClone(rng)
			require.NoError(t, s.Close()) // the old machine is no more; its disk is another one
			o.FS = disk
			s = openTest(t, o)
			for p := kept; p < next; p++ {
				mustAppend(t, s, "t", p, requests[p])
			}
			want := &plainStore{spec: o.keySpec()}
			for p := model.Position(1); p < next; p++ {
				want.add(requests[p])
			}
			got, err := s.AggregateLogs(bg, &predicate.Aggregation{Tenant: "t"})
			require.NoError(t, err)
			if len(want.rows) > 0 {
				require.EqualValues(t, len(want.rows), got.Groups[0].Cells[0].Count, "BRAID_SEED=%d", sd)
			}
		}
		require.NoError(t, s.Close())
	}
}

// TestCleanCloseNeedsNoReplay: after Close nothing is needed, and a replay of
// everything adds nothing.
func TestCleanCloseNeedsNoReplay(t *testing.T) {
	o := testOptions(t.TempDir())
	s := openTest(t, o)
	for p := model.Position(1); p <= 9; p++ {
		mustAppend(t, s, "t", p, oneLog(testNow+int64(p), fmt.Sprint(p)))
	}
	p, ok := s.OldestNeeded()
	require.True(t, ok)
	require.EqualValues(t, 1, p)
	require.NoError(t, s.Close())
	_, err := s.AppendLogs(bg, "t", 10, oneLog(testNow, "x"))
	require.ErrorIs(t, err, errClosed)

	s = openTest(t, o)
	_, ok = s.OldestNeeded()
	require.False(t, ok)
	for p := model.Position(1); p <= 9; p++ {
		mustAppend(t, s, "t", p, oneLog(testNow+int64(p), fmt.Sprint(p)))
	}
	require.Len(t, collectRows(t, s, &predicate.LogQuery{Tenant: "t"}), 9)
	require.NoError(t, s.Close())
}

// TestDeletionOutlivesReplay: a deleted record that the ingest log still has
// does not come back; one that was taken later, alike, stays.
func TestDeletionOutlivesReplay(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	disk := vfs.NewCrashable()
	o := testOptions("/data")
	o.FS = disk
	s := openTest(t, o)
	mustAppend(t, s, "t", 1, oneLog(testNow, "person", model.Attr{Key: "user.id", Value: model.String("u1")}))
	mustAppend(t, s, "t", 2, oneLog(testNow, "other"))
	_, err := s.Delete(bg, Deletion{Tenant: "t", Filter: predicate.Correlated{Kind: model.KeyUser, ID: "u1"}})
	require.NoError(t, err)
	require.Len(t, collectRows(t, s, &predicate.LogQuery{Tenant: "t"}), 1, "hidden at once")
	mustAppend(t, s, "t", 3, oneLog(testNow, "person again", model.Attr{Key: "user.id", Value: model.String("u1")}))
	require.Len(t, collectRows(t, s, &predicate.LogQuery{Tenant: "t"}), 2)
	crashed := disk.CrashClone(rng)
	require.NoError(t, s.Close())
	o.FS = crashed
	s = openTest(t, o)
	mustAppend(t, s, "t", 1, oneLog(testNow, "person", model.Attr{Key: "user.id", Value: model.String("u1")}))
	mustAppend(t, s, "t", 2, oneLog(testNow, "other"))
	mustAppend(t, s, "t", 3, oneLog(testNow, "person again", model.Attr{Key: "user.id", Value: model.String("u1")}))
	rows := collectRows(t, s, &predicate.LogQuery{Tenant: "t", Order: predicate.OldestFirst})
	require.Len(t, rows, 2)
	require.Equal(t, "other", rows[0].Body.Text())
	require.Equal(t, "person again", rows[1].Body.Text())
	require.NoError(t, s.Close())
}

// TestFlippedBytesAreFoundAndContained: whatever byte of a block is damaged, no
// wrong row comes, what is missing is said, and other blocks answer.
func TestFlippedBytesAreFoundAndContained(t *testing.T) {
	g := newGen(seed(t))
	dir := t.TempDir()
	o := testOptions(dir)
	o.pageRows = 32
	s := openTest(t, o)
	p := &plainStore{spec: o.keySpec()}
	for i := range 2 {
		for range 12 {
			l := g.logs(testNow)
			p.add(l)
			mustAppend(t, s, "t", 0, l)
		}
		_ = i
		require.NoError(t, s.Flush(bg))
	}
	victim := s.lookup("t").blocks[0].block
	require.NoError(t, s.Close())
	all := map[string]int{}
	for _, r := range p.selectLogs(&predicate.LogQuery{}) {
		all[fmt.Sprintf("%+v", r.LogRecord)]++
	}
	for _, f := range victim.Files {
		path := victim.Path(f.Name)
		good, err := vfs.OS.ReadFile(path)
		require.NoError(t, err)
		for range 25 {
			bad := slices.Clone(good)
			at := g.IntN(len(bad))
			bad[at] ^= byte(1 << g.IntN(8))
			writeFile(t, path, bad)
			checkDamaged(t, o, g, p, all, len(p.rows), fmt.Sprintf("%s byte %d of %d", f.Name, at, len(bad)))
		}
		writeFile(t, path, good)
	}
	path := victim.Path(pagesFile)
	good, err := vfs.OS.ReadFile(path)
	require.NoError(t, err)
	writeFile(t, path, good[:len(good)/2])
	s = openTest(t, o)
	q := &predicate.LogQuery{Tenant: "t", Stats: &model.QueryStats{}}
	require.Len(t, collectRows(t, s, q), len(p.rows)-int(victim.Rows))
	require.NotEmpty(t, q.Stats.Warnings(), "a block is missing and nobody says so")
	require.NoError(t, s.Close())
}

func checkDamaged(t *testing.T, o Options, g *gen, p *plainStore, all map[string]int, total int, what string) {
	t.Helper()
	s := openTest(t, o)
	defer func() { require.NoError(t, s.Close()) }()
	for _, q := range []*predicate.LogQuery{{}, {Filter: g.textExpr(p.rows[g.IntN(len(p.rows))])}, {Filter: g.compare(p.rows[g.IntN(len(p.rows))]), Limit: 5}} {
		q.Tenant, q.Stats = "t", &model.QueryStats{}
		rows := collectRows(t, s, q)
		for i := range rows {
			require.Positive(t, all[fmt.Sprintf("%+v", rows[i].LogRecord)], "%s: a row that never was", what)
		}
		if want := p.selectLogs(q); len(rows) != len(want) {
			require.Less(t, len(rows), total, what)
			require.NotEmpty(t, q.Stats.Warnings(), "%s: rows are missing and nobody says so", what)
		} else if len(q.Stats.Warnings()) == 0 {
			requireRows(t, want, rows, what)
		}
	}
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	f, err := vfs.OS.Create(path)
	require.NoError(t, err)
	_, err = f.Write(data)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// TestRetentionDropsWholeBlocks by age and by size, the oldest first.
func TestRetentionDropsWholeBlocks(t *testing.T) {
	for name, limit := range map[string]func(*Options, int64){
		"age":  func(o *Options, _ int64) { o.Retention = 90 * time.Minute },
		"size": func(o *Options, size int64) { o.RetentionBytes = size * 5 / 2 },
		"the tenant's own age": func(o *Options, _ int64) {
			o.Retention = time.Minute
			o.Limits = func(tenant.ID) Limits { return Limits{Retention: 90 * time.Minute} }
		},
		"the tenant's own size": func(o *Options, size int64) {
			o.RetentionBytes = 1
			o.Limits = func(tenant.ID) Limits { return Limits{RetentionBytes: size * 5 / 2} }
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t.TempDir())
			s := openTest(t, o)
			for hour := range int64(4) {
				mustAppend(t, s, "t", 0, oneLog(testNow-hour*int64(time.Hour), fmt.Sprint(hour)))
				require.NoError(t, s.Flush(bg))
			}
			_, size := s.disk()
			require.NoError(t, s.Close())
			limit(&o, size/4)
			o.Compaction.MinBlocks = 100
			s = openTest(t, o)
			s.Maintain(bg)
			rows := collectRows(t, s, &predicate.LogQuery{Tenant: "t"})
			require.Len(t, rows, 2)
			require.Equal(t, "0", rows[0].Body.Text())
			n, _ := s.disk()
			require.Equal(t, 2, n)
			l, err := block.List(bg, vfs.OS, o.Dir)
			require.NoError(t, err)
			require.Len(t, l.Blocks, 2, "their folders are gone")
			require.NoError(t, s.Close())
		})
	}
}

// TestReadersKeepTheirSnapshot: a block that a merge replaced answers those who
// began before.
func TestReadersKeepTheirSnapshot(t *testing.T) {
	g := newGen(5)
	o := testOptions(t.TempDir())
	o.pageRows = 16
	s := openTest(t, o)
	p := &plainStore{spec: o.keySpec()}
	for range 4 {
		for range 20 {
			l := g.logs(testNow)
			p.add(l)
			mustAppend(t, s, "t", 0, l)
		}
		require.NoError(t, s.Flush(bg))
	}
	q := &predicate.LogQuery{Tenant: "t"}
	var got []model.LogRow
	merged := false
	for rows, err := range s.SelectLogs(bg, q) {
		require.NoError(t, err)
		got = append(got, rows...)
		if !merged {
			merged = true
			mergeAll(t, s)
		}
	}
	requireRows(t, p.selectLogs(q), got, "across a merge")
	require.NoError(t, s.Close())
	l, err := block.List(bg, vfs.OS, o.Dir)
	require.NoError(t, err)
	require.Len(t, l.Blocks, 1)
}

// TestLimits: long records are cut with a mark, many fields are left out and
// counted, and who sends too much is told when to come back.
func TestLimits(t *testing.T) {
	o := testOptions(t.TempDir())
	now := time.Unix(0, testNow)
	o.Now = func() time.Time { return now }
	o.Limits = func(id tenant.ID) Limits {
		if id == "slow" {
			return Limits{BytesPerSecond: 1000}
		}
		return Limits{MaxRecordBytes: 20, MaxFields: 2}
	}
	s := openTest(t, o)
	defer func() { require.NoError(t, s.Close()) }()
	mustAppend(t, s, "t", 0, oneLog(testNow, "a body of more than twenty bytes", model.Attr{Key: "a", Value: model.String(strings.Repeat("é", 20))},
		model.Attr{Key: "b", Value: model.ArrayJSON(`["` + strings.Repeat("x", 30) + `"]`)}, model.Attr{Key: "c", Value: model.Int(1)}))
	r := collectRows(t, s, &predicate.LogQuery{Tenant: "t"})[0]
	require.Equal(t, "a body of mo"+cutMark, r.Body.Text())
	require.Equal(t, "éééééé"+cutMark, r.Attrs.Text("a"))
	require.EqualValues(t, 1, r.DroppedAttrs)
	require.Len(t, r.Attrs, 2)
	b, _ := r.Attrs.Get("b")
	require.Equal(t, model.KindString, b.Kind())

	mustAppend(t, s, "slow", 0, oneLog(testNow, strings.Repeat("y", 900)))
	_, err := s.AppendLogs(bg, "slow", 0, oneLog(testNow, strings.Repeat("y", 900)))
	var over *model.OverloadError
	require.ErrorAs(t, err, &over)
	require.True(t, over.Tenant)
	require.Positive(t, over.RetryAfter)
	now = now.Add(over.RetryAfter)
	mustAppend(t, s, "slow", 0, oneLog(testNow, strings.Repeat("y", 900)))
}

// TestFailedFlushKeepsRecords: while blocks cannot be written, records answer
// from memory and are still needed from the log; then the sender is told to
// wait; and all is well when the disk is.
func TestFailedFlushKeepsRecords(t *testing.T) {
	broken := errors.New("no space left on device")
	var fail atomic.Bool
	o := testOptions("/data")
	o.HeadMaxRows = 2
	o.FS = vfs.WithFaults(vfs.NewCrashable(), func(op vfs.Op) error {
		if fail.Load() && strings.Contains(op.String(), "tmp-") && strings.Contains(op.String(), "write") {
			return broken
		}
		return nil
	})
	s := openTest(t, o)
	fail.Store(true)
	var err error
	n := 0
	for ; n < 20 && err == nil; n++ {
		_, err = s.AppendLogs(bg, "t", model.Position(n+1), oneLog(testNow+int64(n), fmt.Sprint(n)))
	}
	n--
	var over *model.OverloadError
	require.ErrorAs(t, err, &over)
	require.False(t, over.Tenant)
	require.Len(t, collectRows(t, s, &predicate.LogQuery{Tenant: "t"}), n)
	p, ok := s.OldestNeeded()
	require.True(t, ok)
	require.EqualValues(t, 1, p)
	fail.Store(false)
	s.Maintain(bg)
	require.NoError(t, s.Flush(bg))
	require.Len(t, collectRows(t, s, &predicate.LogQuery{Tenant: "t"}), n)
	_, ok = s.OldestNeeded()
	require.False(t, ok)
	require.NoError(t, s.Close())
}

// TestAgeFlushesAHead and an id is found afterwards.
func TestAgeFlushesAHead(t *testing.T) {
	o := testOptions(t.TempDir())
	now := time.Unix(0, testNow)
	o.Now = func() time.Time { return now }
	reg := prometheus.NewRegistry()
	o.Registerer = reg
	s := openTest(t, o)
	mustAppend(t, s, "t", 1, oneLog(testNow, "x", model.Attr{Key: "request.id", Value: model.String("R-1")}))
	s.Maintain(bg)
	n, _ := s.disk()
	require.Zero(t, n)
	now = now.Add(time.Hour)
	s.Maintain(bg)
	require.NoError(t, s.lookup("t").waitFlushed(bg))
	n, _ = s.disk()
	require.Equal(t, 1, n)
	for id, want := range map[string]int{"R-1": 1, "R-2": 0} {
		require.Len(t, collectRows(t, s, &predicate.LogQuery{Tenant: "t", Filter: predicate.Correlated{Kind: model.KeyRequest, ID: id}}), want)
	}
	families, err := reg.Gather()
	require.NoError(t, err)
	require.NotEmpty(t, families)
	require.NoError(t, s.Close())
}

// TestNewKindOfIDIsFoundInOldBlocks: a block written before an attribute was
// named a carrier of ids is not ruled out by its index.
func TestNewKindOfIDIsFoundInOldBlocks(t *testing.T) {
	spec := model.NewKeySpec(nil)
	o := testOptions(t.TempDir())
	o.KeySpec = func() *model.KeySpec { return spec }
	s := openTest(t, o)
	for i := range 3 {
		mustAppend(t, s, "t", 0, oneLog(testNow, "x", model.Attr{Key: "order.id", Value: model.String(fmt.Sprint("o-", i))}))
		require.NoError(t, s.Flush(bg))
	}
	q := &predicate.LogQuery{Tenant: "t", Filter: predicate.Correlated{ID: "o-1"}, Stats: &model.QueryStats{}}
	require.Empty(t, collectRows(t, s, q))
	require.Zero(t, q.Stats.Blocks.Load())
	spec = model.NewKeySpec(map[string][]string{"order": {"order.id"}})
	require.Len(t, collectRows(t, s, q), 1)
	mergeAll(t, s)
	q.Stats = &model.QueryStats{}
	require.Len(t, collectRows(t, s, q), 1)
	require.EqualValues(t, 1, q.Stats.Blocks.Load())
	require.NoError(t, s.Close())
}

// TestManyAtOnce: appends, queries, flushes, merges and deletions go on side by
// side, and in the end every record is there once.
func TestManyAtOnce(t *testing.T) {
	o := testOptions(t.TempDir())
	o.HeadMaxRows, o.pageRows, o.chunkRows = 300, 32, 64
	s := openTest(t, o)
	var wg, readers sync.WaitGroup
	var want atomic.Int64
	done := make(chan struct{})
	for w := range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			g := newGen(uint64(w))
			for i := range 40 {
				l := g.logs(testNow)
				want.Add(int64(l.Count()))
				if _, err := s.AppendLogs(bg, "t", model.Position(1+w*1000+i), l); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for w := range 2 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			g := newGen(uint64(100 + w))
			for {
				select {
				case <-done:
					return
				default:
				}
				if w == 0 {
					s.Maintain(bg)
				}
				q := &predicate.LogQuery{Tenant: "t", Filter: g.expr(2, nil), Limit: 20}
				for _, err := range s.SelectLogs(bg, q) {
					if err != nil {
						t.Error(err)
					}
				}
				if _, err := s.AggregateLogs(bg, &predicate.Aggregation{Tenant: "t", Filter: q.Filter, By: []predicate.Field{g.field()}}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wg.Wait()
	close(done)
	readers.Wait()
	a, err := s.AggregateLogs(bg, &predicate.Aggregation{Tenant: "t"})
	require.NoError(t, err)
	require.EqualValues(t, want.Load(), a.Groups[0].Cells[0].Count)
	require.NoError(t, s.Close())
}

// TestTenantsAreApart and an unknown one has nothing.
func TestTenantsAreApart(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	mustAppend(t, s, "a", 1, oneLog(testNow, "of a"))
	mustAppend(t, s, "b", 1, oneLog(testNow, "of b"))
	require.NoError(t, s.Flush(bg))
	require.Len(t, collectRows(t, s, &predicate.LogQuery{Tenant: "a"}), 1)
	require.Empty(t, collectRows(t, s, &predicate.LogQuery{Tenant: "c"}))
	agg, err := s.AggregateLogs(bg, &predicate.Aggregation{Tenant: "c"})
	require.NoError(t, err)
	require.Empty(t, agg.Groups)
	require.NoError(t, s.Close())
}

// TestFieldsAndValues counts what a plain walk counts.
func TestFieldsAndValues(t *testing.T) {
	g := newGen(seed(t))
	o := testOptions(t.TempDir())
	o.pageRows = 64
	s := openTest(t, o)
	p := &plainStore{spec: o.keySpec()}
	for range 30 {
		l := g.logs(testNow)
		p.add(l)
		mustAppend(t, s, "t", 0, l)
	}
	require.NoError(t, s.Flush(bg))
	want := map[string]int64{}
	for _, r := range p.rows {
		for _, a := range r.Attrs {
			want[fmt.Sprint(a.Key, a.Value.Kind())]++
		}
	}
	got := map[string]int64{}
	infos, err := s.LogFields(bg, &predicate.FieldQuery{Tenant: "t"})
	require.NoError(t, err)
	for _, f := range infos {
		if f.Field.Scope == predicate.ScopeRecord {
			got[fmt.Sprint(f.Field.Name, f.Kind)] = f.Count
		}
	}
	require.Equal(t, want, got)
	for _, f := range []predicate.Field{{Name: "http.route"}, {Name: "service.name"}, predicate.Intrinsic(predicate.Level), predicate.Intrinsic(predicate.Body)} {
		want := map[model.Value]int64{}
		for i := range p.rows {
			if v := first(predicate.LogRow{LogRow: &p.rows[i]}, f); v.Kind() != model.KindEmpty {
				want[v]++
			}
		}
		infos, err := s.LogFields(bg, &predicate.FieldQuery{Tenant: "t", Field: &f, Limit: 100_000})
		require.NoError(t, err)
		got := map[model.Value]int64{}
		for i, v := range infos {
			got[v.Value] = v.Count
			require.True(t, i == 0 || infos[i-1].Count >= v.Count)
		}
		require.Equal(t, want, got, f.String())
	}
	require.NoError(t, s.Close())
}

// TestCancelledContextEndsTheWork with the context's error.
func TestCancelledContextEndsTheWork(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	mustAppend(t, s, "t", 1, oneLog(testNow, "x"))
	require.NoError(t, s.Flush(bg))
	ctx, cancel := context.WithCancel(bg)
	cancel()
	for _, err := range s.SelectLogs(ctx, &predicate.LogQuery{Tenant: "t"}) {
		require.ErrorIs(t, err, context.Canceled)
	}
	_, err := s.AggregateLogs(ctx, &predicate.Aggregation{Tenant: "t"})
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, s.Close())
}

// TestASecondOpenIsRefused while the first holds the folder.
func TestASecondOpenIsRefused(t *testing.T) {
	o := testOptions(t.TempDir())
	s := openTest(t, o)
	_, err := Open(o)
	require.ErrorContains(t, err, filepath.Base(o.Dir))
	require.NoError(t, s.Close())
}
