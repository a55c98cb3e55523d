package promapi

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"
)

func TestFusionIsPlannedWhereItIsSafe(t *testing.T) {
	p := Options{Experimental: true}.Parser()
	for text, want := range map[string]string{
		`sum(rate(a_total[5m]))`:                                                    `{__braid_fused__="0"}`,
		`sum by (x) (increase(a_count{b="c"}[5m] offset 1m)) / 2`:                   `{__braid_fused__="0"} / 2`,
		`histogram_quantile(0.9, sum without (y) (rate(a_bucket[5m])))`:             `histogram_quantile(0.9, {__braid_fused__="0"})`,
		`sum(rate(a_total[5m])) / on () group_left () sum((rate(b_total[1m]))) > 1`: `{__braid_fused__="0"} / on () group_left () {__braid_fused__="1"} > 1`,
		`topk(3, sum by (x) (rate(a_total[5m])))`:                                   `topk(3, {__braid_fused__="0"})`,
		`-(sum(rate(a_total[5m])))`:                                                 `-({__braid_fused__="0"})`,
		`sum(rate(gauge[5m]))`:                                                      ``, // a note is due
		`sum(rate({__name__=~"a_total"}[5m]))`:                                      ``,
		`sum(rate(a_total[5m] @ 5))`:                                                ``,
		`sum(rate(a_total[5m:1m]))`:                                                 ``,
		`avg(rate(a_total[5m]))`:                                                    ``,
		`sum(irate(a_total[5m]))`:                                                   ``,
		`sum by (__name__) (rate(a_total[5m]))`:                                     ``,
		`max_over_time(sum(rate(a_total[5m]))[1h:])`:                                ``,
		`absent(sum(rate(a_total[5m])))`:                                            ``,
		`sum(rate(a_total[5m] anchored))`:                                           ``,
		`sum(rate(a_total[5m*2]))`:                                                  ``,
	} {
		expr, err := p.ParseExpr(text)
		require.NoError(t, err, text)
		got, sums := planFusion(expr)
		if want == "" {
			require.Empty(t, sums, text)
			continue
		}
		require.Equal(t, want, got.String())
		_, err = p.ParseExpr(want)
		require.NoError(t, err)
	}
}

// randomCounters fills a database with counters that reset, pause, end, and
// come at odd times.
func randomCounters(t *testing.T, r *rand.Rand) *tsdb.DB {
	t.Helper()
	o := tsdb.DefaultOptions()
	o.OutOfOrderTimeWindow = int64(3 * time.Hour / time.Millisecond)
	db, err := tsdb.Open(t.TempDir(), nil, nil, o, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	for n := range 40 {
		app := db.Appender(context.Background())
		ls := labels.FromStrings("__name__", "a_total", "n", fmt.Sprint(n), "g", fmt.Sprint(n%4), "h", fmt.Sprint(n%7))
		ts, v := now.Add(-time.Hour).UnixMilli()+r.Int64N(60_000), 0.0
		for ts < now.UnixMilli() {
			ts += 1000 + r.Int64N(30_000)
			switch r.IntN(40) {
			case 0:
				v = r.Float64()
			case 1:
				ts += 10 * 60_000
			case 2:
				_, err := app.Append(0, ls, ts, math.Float64frombits(value.StaleNaN))
				require.NoError(t, err)
				continue
			case 3:
				_, err := app.Append(0, ls, ts-20_000, v) // out of order
				require.True(t, err == nil, "%v", err)
			}
			if n == 13 && r.IntN(50) == 0 {
				v = math.Inf(1)
			}
			v += r.Float64() * 10
			_, err := app.Append(0, ls, ts, v)
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
	}
	return db
}

func TestFusedAnswersAreTheEngines(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 3))
		db := randomCounters(t, r)
		plain, err := NewEngine(Options{})
		require.NoError(t, err)
		defer plain.Close()
		fused := NewFusedEngine(plain, Options{})
		for range 20 {
			fn := []string{"rate", "increase"}[r.IntN(2)]
			by := []string{"", "by (g)", "without (n)", "by (g, h, none)", "by (n)", "without (g, __name__)"}[r.IntN(6)]
			window := []string{"10s", "1m", "5m", "20m", "1h"}[r.IntN(5)]
			offset := []string{"", " offset 3m", " offset -2m"}[r.IntN(3)]
			shape := []string{"%s", "topk(2, %s)", "%s / ignoring() sum by (g) (a_total)", "2 * (%s) > 0.1", "count(%s)"}[r.IntN(5)]
			text := fmt.Sprintf(shape, fmt.Sprintf("sum %s (%s(a_total{n!=\"3\"}[%s]%s))", by, fn, window, offset))
			require.Equal(t, ask(t, plain, db, text, seed), ask(t, fused, db, text, seed), text)
		}
	}
}

// ask runs a text as a range and as an instant query.
func ask(t *testing.T, e promql.QueryEngine, q storage.Queryable, text string, seed uint64) []string {
	t.Helper()
	var out []string
	step := []time.Duration{15 * time.Second, time.Minute, 7 * time.Minute, 13 * time.Second}[seed]
	for i := range 2 {
		query, err := e.NewRangeQuery(context.Background(), q, nil, text, now.Add(-50*time.Minute), now, step)
		if i == 1 {
			query, err = e.NewInstantQuery(context.Background(), q, nil, text, now.Add(-time.Minute))
		}
		require.NoError(t, err)
		res := query.Exec(context.Background())
		if res.Err != nil {
			out = append(out, res.Err.Error())
		} else {
			out = append(out, fmt.Sprint(res.Value.Type()), canonicalValue(res.Value))
		}
		query.Close()
	}
	return out
}

func canonicalValue(v parser.Value) string {
	if vec, ok := v.(promql.Vector); ok {
		lines := map[string]int{}
		for _, s := range vec {
			lines[s.String()]++
		}
		return fmt.Sprint(lines)
	}
	return v.String()
}

func TestNativeHistogramsAreLeftToTheEngine(t *testing.T) {
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	require.NoError(t, err)
	defer db.Close()
	app := db.Appender(context.Background())
	for i := range 10 {
		h := &histogram.Histogram{Schema: 0, Count: uint64(i), Sum: float64(i), PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []int64{int64(i)}}
		_, err := app.AppendHistogram(0, labels.FromStrings("__name__", "x_count"), now.Add(time.Duration(i-10)*time.Minute).UnixMilli(), h, nil)
		require.NoError(t, err)
	}
	require.NoError(t, app.Commit())
	plain, err := NewEngine(Options{})
	require.NoError(t, err)
	defer plain.Close()
	text := "sum(rate(x_count[5m]))"
	got := ask(t, NewFusedEngine(plain, Options{}), db, text, 0)
	require.Equal(t, ask(t, plain, db, text, 0), got)
	require.Contains(t, got[1], "count:")
}
