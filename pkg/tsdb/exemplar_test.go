package tsdb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

func traceID(n int) model.TraceID {
	id, _ := model.ParseTraceID(fmt.Sprintf("%032x", n+1))
	return id
}

// exemplarsOf renders the answers as "name le value trace", in order.
func exemplarsOf(t *testing.T, s *Store, q predicate.ExemplarQuery) []string {
	t.Helper()
	q.Tenant = tenant.Default
	var out []string
	for rows, err := range s.Exemplars(context.Background(), &q) {
		require.NoError(t, err)
		for _, r := range rows {
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %v %s", labelValue(r.Series, "__name__"), labelValue(r.Series, "le"), r.Value, strings.TrimLeft(r.TraceID.String(), "0"))))
		}
	}
	return out
}

func matcher(name, op, value string) [][]predicate.LabelMatcher {
	return [][]predicate.LabelMatcher{{{Name: name, Op: op, Value: value}}}
}

func histogramPoint(seconds int, ex ...model.Exemplar) model.Point {
	return model.Point{Time: at(seconds), Bounds: []float64{1, 2}, Counts: []uint64{1, 1, 1}, Count: 3, Sum: 6, HasSum: true, Exemplars: ex}
}

func TestExemplarsAreFoundBySeriesAndIDAndSurvive(t *testing.T) {
	o := testOptions(t.TempDir())
	s := openTest(t, o)
	p := histogramPoint(0,
		model.Exemplar{Time: at(-1), Value: 0.5, TraceID: traceID(0xa)},
		model.Exemplar{Time: at(-2), Value: 1, TraceID: traceID(0xb)},
		model.Exemplar{Time: at(-3), Value: 99, TraceID: traceID(0xc), Attrs: attrs("user.id", "Ann")},
		model.Exemplar{Value: 1.5, TraceID: traceID(0xd)}) // without a time: its point's
	m := model.Metric{Name: "lat", Unit: "s", Type: model.MetricHistogram, Temporality: model.TemporalityCumulative, Points: []model.Point{p}}
	push(t, s, batch(res("service.name", "x"), m))

	check := func(s *Store) {
		all := []string{"lat_seconds_bucket +Inf 99 d", "lat_seconds_bucket 1 1 c", "lat_seconds_bucket 1 0.5 b", "lat_seconds_bucket 2 1.5 e"}
		require.Equal(t, all, exemplarsOf(t, s, predicate.ExemplarQuery{}))
		require.Equal(t, all, exemplarsOf(t, s, predicate.ExemplarQuery{Series: matcher("__name__", "=~", "lat.*bucket")}))
		require.Equal(t, all[3:], exemplarsOf(t, s, predicate.ExemplarQuery{Series: matcher("le", "=", "2")}))
		require.Equal(t, all[2:], exemplarsOf(t, s, predicate.ExemplarQuery{Range: model.TimeRange{Start: at(-1), End: at(1)}}))
		require.Equal(t, all[:1], exemplarsOf(t, s, predicate.ExemplarQuery{Kind: "trace", ID: traceID(0xc).String()}))
		require.Equal(t, all[:1], exemplarsOf(t, s, predicate.ExemplarQuery{ID: "Ann"}))
		require.Equal(t, all[:1], exemplarsOf(t, s, predicate.ExemplarQuery{Kind: "user", ID: "Ann"}))
		require.Empty(t, exemplarsOf(t, s, predicate.ExemplarQuery{Kind: "session", ID: "Ann"}))
		require.Empty(t, exemplarsOf(t, s, predicate.ExemplarQuery{ID: "Bob"}))
		require.Equal(t, []string{all[0], all[2]}, exemplarsOf(t, s, predicate.ExemplarQuery{Limit: 2}))
	}
	check(s)
	push(t, s, batch(res("service.name", "x"), m)) // a retry
	check(s)
	require.NoError(t, s.Close())

	s = openTest(t, o)
	check(s)
	ex := s.lookup(tenant.Default).exemplars
	require.NoError(t, ex.maintain(t0.Add(sealAge), 0))
	require.Len(t, ex.blocks, 1)
	check(s)
	push(t, s, batch(res("service.name", "x"), m)) // a retry after the block was written: seen once
	check(s)
	require.NoError(t, s.Close())

	s = openTest(t, o)
	check(s)
	ex = s.lookup(tenant.Default).exemplars
	require.NoError(t, ex.maintain(t0, at(1)))
	require.Len(t, exemplarsOf(t, s, predicate.ExemplarQuery{}), 4, "what came again is in the log")
	require.NoError(t, ex.maintain(t0.Add(sealAge), at(1)))
	require.Empty(t, exemplarsOf(t, s, predicate.ExemplarQuery{}))
}

// TestAnIDIsLookedUpInTheBlocksThatHaveIt: of many blocks, across a restart and
// retention, only those that hold the id are opened.
func TestAnIDIsLookedUpInTheBlocksThatHaveIt(t *testing.T) {
	o := testOptions(t.TempDir())
	s := openTest(t, o)
	const blocks = 12
	for i := range blocks {
		m := counter("c", model.Point{Time: at(i), Value: 1, Exemplars: []model.Exemplar{
			{Time: at(i), Value: float64(i), TraceID: traceID(0x100 + i)},
			{Time: at(i), Value: float64(i) + 0.5, TraceID: traceID(0x200 + i/4)}}})
		push(t, s, batch(res("service.name", "x"), m))
		require.NoError(t, s.lookup(tenant.Default).exemplars.maintain(t0.Add(time.Duration(i+1)*sealAge), 0))
	}
	check := func(s *Store, from int) {
		t.Helper()
		require.Len(t, s.lookup(tenant.Default).exemplars.blocks, blocks-from)
		ask := func(id model.TraceID, want int) {
			t.Helper()
			stats := &model.QueryStats{}
			require.Len(t, exemplarsOf(t, s, predicate.ExemplarQuery{ID: id.String(), Stats: stats}), want)
			require.EqualValues(t, want, stats.Blocks.Load(), "blocks opened")
		}
		for i := range blocks {
			want := 1
			if i < from {
				want = 0
			}
			ask(traceID(0x100+i), want)
		}
		for i := range blocks / 4 {
			ask(traceID(0x200+i), max(0, 4-max(0, from-4*i)))
		}
		ask(traceID(0x999), 0)
	}
	check(s, 0)
	require.NoError(t, s.Close())
	s = openTest(t, o)
	check(s, 0)
	require.NoError(t, s.lookup(tenant.Default).exemplars.maintain(t0, at(5)))
	check(s, 5)
}

func TestAWindowKeepsExtremesFailuresAndSome(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	var ex []model.Exemplar
	for i := range 5000 {
		e := model.Exemplar{Time: at(0) + int64(i), Value: 50 + float64(i%7), TraceID: traceID(i)}
		switch i {
		case 3000:
			e.Value = 1000
		case 3001:
			e.Value = -1000
		case 4000, 4001:
			e.Attrs = attrs("error.type", "timeout")
		}
		ex = append(ex, e)
	}
	m := counter("c", model.Point{Time: at(1), Value: 1, Exemplars: ex})
	push(t, s, batch(res("service.name", "x"), m))
	got := exemplarsOf(t, s, predicate.ExemplarQuery{})
	require.GreaterOrEqual(t, len(got), reservoir)
	require.LessOrEqual(t, len(got), maxPerWindow)
	require.Contains(t, got, fmt.Sprintf("c_total  1000 %x", 3001))
	require.Contains(t, got, fmt.Sprintf("c_total  -1000 %x", 3002))
	require.Contains(t, got, fmt.Sprintf("c_total  %v %x", 50+4000%7, 4001))
}

func TestExemplarLimit(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Limits = func(tenant.ID) Limits { return Limits{ExemplarsPerMinute: 1} }
	s := openTest(t, o)
	rej := push(t, s, batch(nil, counter("c", model.Point{Time: at(1), Value: 1, Exemplars: []model.Exemplar{{Value: 1}, {Value: 2}}})))
	require.Zero(t, rej.Count)
	require.Contains(t, rej.Message(), "limit exemplars_per_minute of 1 reached: 1 exemplars were left out")
	require.Len(t, exemplarsOf(t, s, predicate.ExemplarQuery{}), 1)
}

func TestTornExemplarLogKeepsWhatIsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	write := func() {
		l, err := openExemplarLog(path, nil, nil)
		require.NoError(t, err)
		l.series(1, []model.Label{{Name: "__name__", Value: "c"}})
		for i := range 3 {
			require.NoError(t, l.exemplar(1, &model.Exemplar{Time: int64(i), Value: 1, TraceID: traceID(i), Attrs: attrs("k", "v")}))
			require.NoError(t, l.sync())
		}
		require.NoError(t, l.close())
	}
	write()
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	last := 0
	for n := range whole {
		require.NoError(t, os.WriteFile(path, whole[:n], 0o600))
		var got []model.Exemplar
		l, err := openExemplarLog(path, func(uint64, []model.Label) {}, func(_ uint64, e model.Exemplar) { got = append(got, e) })
		require.NoError(t, err)
		require.NoError(t, l.close())
		require.GreaterOrEqual(t, len(got), last)
		last = len(got)
		for i, e := range got {
			require.Equal(t, int64(i), e.Time)
		}
	}
	require.Equal(t, 2, last)
}

func TestDamagedExemplarBlockIsSetAside(t *testing.T) {
	o := testOptions(t.TempDir())
	s := openTest(t, o)
	push(t, s, batch(nil, counter("c", model.Point{Time: at(1), Value: 1, Exemplars: []model.Exemplar{{Time: at(0), Value: 1, TraceID: traceID(1)}}})))
	ex := s.lookup(tenant.Default).exemplars
	require.NoError(t, ex.maintain(t0.Add(sealAge), 0))
	path := ex.blocks[0].path
	require.NoError(t, s.Close())
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, at := range []int{0, 20, len(whole) / 2, len(whole) - footerSize, len(whole) - 1} {
		b := append([]byte(nil), whole...)
		b[at] ^= 0x10
		require.NoError(t, os.WriteFile(path, b, 0o600))
		c, err := Open(o)
		require.NoError(t, err)
		stats := &model.QueryStats{}
		got := exemplarsOf(t, c, predicate.ExemplarQuery{Stats: stats})
		_, aside := os.Stat(path + ".damaged")
		require.True(t, len(got) == 1 && got[0] == "c_total  1 2" || len(stats.Warnings()) > 0 || aside == nil, "byte %d: %v", at, got)
		require.NoError(t, c.Close())
	}
}

func FuzzExemplarLog(f *testing.F) {
	f.Add([]byte(exemplarLogMagic))
	path := filepath.Join(f.TempDir(), "x")
	l, err := openExemplarLog(path, nil, nil)
	require.NoError(f, err)
	l.series(1, []model.Label{{Name: "a", Value: "b"}})
	require.NoError(f, l.exemplar(1, &model.Exemplar{Time: 5, Value: 1, TraceID: traceID(1), Attrs: attrs("k", "v")}))
	require.NoError(f, l.sync())
	require.NoError(f, l.close())
	b, err := os.ReadFile(path)
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		good := replayLog(b, func(uint64, []model.Label) {}, func(uint64, model.Exemplar) {})
		require.LessOrEqual(t, good, len(b))
		if len(b) > 8 {
			replayRecord(b[8:], func(uint64, []model.Label) {}, func(uint64, model.Exemplar) {})
		}
	})
}

func FuzzExemplarBlockTables(f *testing.F) {
	f.Add((&blockWriter{series: []blockSeries{{labels: []model.Label{{Name: "a", Value: "b"}}, count: 1, minT: 1, maxT: 2}}}).seriesTable())
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := decodeSeriesTable(b)
		if err != nil {
			return
		}
		for i := range table {
			if list, err := decodeGroup(b, &table[i]); err == nil {
				require.Len(t, list, table[i].count)
			}
		}
	})
}

func TestWindowIsPerSeries(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	for w := range 10 {
		var ex []model.Exemplar
		for i := range 100 {
			ex = append(ex, model.Exemplar{Time: at(w*60) + int64(i), Value: 5, TraceID: traceID(w*100 + i)})
		}
		push(t, s, batch(nil, counter("c", model.Point{Time: at(w), Value: 1, Attrs: attrs("w", "1"), Exemplars: ex})))
	}
	got := exemplarsOf(t, s, predicate.ExemplarQuery{})
	require.GreaterOrEqual(t, len(got), 10*reservoir)
	require.LessOrEqual(t, len(got), 10*maxPerWindow)
}
