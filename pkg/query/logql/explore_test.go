package logql_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

func TestSearchPlans(t *testing.T) {
	golden(t, "search.golden", func(q string) string {
		e, err := logql.ParseSearch(q)
		if err != nil {
			return "error: " + err.Error()
		}
		return e.String()
	})
}

func TestSearchFinds(t *testing.T) {
	row := model.LogRow{
		Resource: &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String("checkout")}}},
		LogRecord: model.LogRecord{
			Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano(), Severity: 17, Body: model.String("Connection reset by peer (code ECONN_42), größe 5"),
			Attrs: model.Attrs{{Key: "http.status_code", Value: model.Int(503)}, {Key: "request.id", Value: model.String("Req-12345")}, {Key: "size", Value: model.String("7")}},
		},
	}
	row.TraceID, _ = model.ParseTraceID("0af7651916cd43dd8448eb211c80319c")
	r := predicate.LogRow{LogRow: &row, Spec: model.NewKeySpec(nil)}
	for search, want := range map[string]bool{
		"": true, "connection": true, "CONNECTION": true, "connect": false, "connect*": true, "*nnecti*": true, "c*tion": true, "conn?ction": true, "c?tion": false,
		`"reset by peer"`: true, `"reset peer"`: false, `/rese[tx] by/`: true, `/RESET/`: false, "econn_42": true, "größe": true, "GRÖSSE": false, "gr*": true,
		"connection peer": true, "connection AND nothing": false, "nothing OR peer": true, "NOT peer": false, "-nothing": true, "!nothing": true,
		"(nothing OR peer) connection": true, "nothing OR (peer -connection)": false,
		"service.name:checkout": true, "service_name:checkout": true, "service_name:check": false, "service_name:check*": true, "service_name:/check.+/": true, "service_name:~checkout": true,
		"http.status_code:503": true, "http_status_code:>=500": true, "http_status_code:<500": false, "http_status_code:[500 TO 599]": true, "http_status_code:{503 TO *]": false, "http_status_code:[* TO 503]": true,
		"missing:*": false, "size:*": true, "size:>6": true, "NOT missing:*": true, "level:error": true, "level:warn": false, `body:"reset by"`: true, "message:reset": true,
		"time:>2026-02-28": true, "time:[2026-03-01 TO 2026-03-02}": true, "time:<2026-03-01T12:00:00Z": false,
		"Req-12345": true, "req-99999": false, "0af7651916cd43dd8448eb211c80319c": true, "0AF7651916CD43DD8448EB211C80319C": true, "trace_id:0af7651916cd43dd8448eb211c80319c": true,
	} {
		e, err := logql.ParseSearch(search)
		require.NoError(t, err, search)
		require.Equal(t, want, predicate.Eval(e, r), "%s: %s", search, e)
	}
}

func explored(n int) (*testkit.MemLog, *logql.Explorer) {
	mem := &testkit.MemLog{}
	d := testkit.LogDice{Rand: rand.New(rand.NewPCG(*seed, 5))}
	for i := range n {
		r := d.Row(i / 3) // several records share a time
		r.Attrs = append(r.Attrs, model.Attr{Key: "n", Value: model.Int(int64(i))})
		mem.Append(tenant.Default, r)
	}
	return mem, logql.NewExplorer(logql.ExplorerOptions{Source: mem, Now: func() time.Time { return time.Unix(3600, 0) }})
}

func number(r *model.LogRow) int {
	v, _ := r.Attrs.Get("n")
	return int(v.AsInt())
}

func TestPagesShowEveryRecordOnce(t *testing.T) {
	mem, x := explored(100)
	for _, order := range []predicate.Order{predicate.NewestFirst, predicate.OldestFirst} {
		for _, size := range []int{1, 2, 7, 100} {
			var seen []int
			var after *logql.Cursor
			for {
				page, err := x.Search(context.Background(), tenant.Default, logql.Question{}, order, size, after)
				require.NoError(t, err)
				for i := range page.Rows {
					seen = append(seen, number(&page.Rows[i]))
				}
				if after = page.Next; after == nil {
					break
				}
				if order == predicate.NewestFirst { // what arrives meanwhile is newer
					mem.Append("other", model.LogRow{LogRecord: model.LogRecord{Time: 1}})
				}
			}
			require.Len(t, seen, 100)
			for i, n := range seen {
				if order == predicate.NewestFirst {
					n = 99 - n
				}
				require.Equal(t, i, n)
			}
		}
	}
}

func TestContextAround(t *testing.T) {
	_, x := explored(60)
	page, err := x.Search(context.Background(), tenant.Default, logql.Question{Search: "n:30"}, predicate.NewestFirst, 1, nil)
	require.NoError(t, err)
	require.Len(t, page.Rows, 1)
	at := logql.Cursor{Time: page.Rows[0].Time, Seq: page.Rows[0].Seq}
	around, err := x.Context(context.Background(), tenant.Default, logql.Question{}, at, nil, 5, 3)
	require.NoError(t, err)
	var got []int
	for _, rows := range [][]model.LogRow{around.Before, around.After} {
		for i := range rows {
			got = append(got, number(&rows[i]))
		}
	}
	require.Equal(t, []int{25, 26, 27, 28, 29, 31, 32, 33}, got)

	around, err = x.Context(context.Background(), tenant.Default, logql.Question{}, at, page.Rows[0].Resource, 50, 50)
	require.NoError(t, err)
	for _, rows := range [][]model.LogRow{around.Before, around.After} {
		for i := range rows {
			require.Equal(t, logql.StreamLabels(page.Rows[0].Resource), logql.StreamLabels(rows[i].Resource))
		}
	}
}

func TestHistogramFacetsAndStats(t *testing.T) {
	_, x := explored(120)
	q := logql.Question{Start: time.Unix(3, 500e6), End: time.Unix(15, 0)}
	bars, err := x.Histogram(context.Background(), tenant.Default, q, "level", 10)
	require.NoError(t, err)
	require.Equal(t, 5*time.Second, bars.Step)
	require.Equal(t, int64(0), bars.Start.Unix())
	page, err := x.Search(context.Background(), tenant.Default, q, predicate.OldestFirst, 1000, nil)
	require.NoError(t, err)
	want := len(page.Rows)
	require.EqualValues(t, want, bars.Total)
	sum := int64(0)
	for _, b := range bars.Bars {
		for _, n := range b.Counts {
			sum += n
		}
	}
	require.EqualValues(t, want, sum)

	facets, err := x.Facets(context.Background(), tenant.Default, logql.Question{}, []string{"detected_level", "n", "missing"}, 3)
	require.NoError(t, err)
	require.Len(t, facets[1].Values, 3)
	require.EqualValues(t, 120, facets[1].Distinct)
	require.EqualValues(t, 117, facets[1].Other)
	require.EqualValues(t, 120, facets[2].Missing)

	stats, ok, err := x.FieldStats(context.Background(), tenant.Default, logql.Question{Search: "n:<100"}, "n")
	require.NoError(t, err)
	require.True(t, ok)
	require.EqualValues(t, 100, stats.Count)
	require.Equal(t, 49.5, stats.Avg)
	require.InEpsilon(t, 95, stats.Quantiles["p95"], 0.03)
	_, ok, err = x.FieldStats(context.Background(), tenant.Default, logql.Question{}, "missing")
	require.NoError(t, err)
	require.False(t, ok)

	fields, err := x.Fields(context.Background(), tenant.Default, logql.Question{}, "", 0)
	require.NoError(t, err)
	require.Contains(t, fields, logql.FieldSummary{Name: "n", Label: "n", Scope: "record", Kind: "int", Count: 120, Distinct: 120})
}

func TestQuestionInLogQL(t *testing.T) {
	_, x := explored(30)
	page, err := x.Search(context.Background(), tenant.Default, logql.Question{Search: `{} | n < 5`}, predicate.OldestFirst, 10, nil)
	require.NoError(t, err)
	require.Len(t, page.Rows, 5)
	_, err = x.Search(context.Background(), tenant.Default, logql.Question{Search: `{} | json`}, predicate.OldestFirst, 10, nil)
	require.ErrorIs(t, err, model.ErrInvalid)
}

func FuzzSearch(f *testing.F) {
	for _, s := range []string{`a b OR -c`, `x:[1 TO 2}`, `"p q" /r(e)/ *s* t?u`, `(a OR (b NOT c:>=5KB))`, `time:>2026-01-01`, `a\*b`, `"q":x`} {
		f.Add(s)
	}
	row := predicate.LogRow{LogRow: &model.LogRow{LogRecord: model.LogRecord{Body: model.String("a b c")}}}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := logql.ParseSearch(s)
		if err != nil {
			return
		}
		predicate.Eval(e, row)
		_ = fmt.Sprint(e)
	})
}
