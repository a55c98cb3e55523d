package logql_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func manyStreams(n int) *testkit.MemLog {
	mem := &testkit.MemLog{BatchSize: 500}
	rows := make([]model.LogRow, n)
	for i := range rows {
		rows[i] = model.LogRow{
			Resource:  &model.Resource{Attrs: model.Attrs{{Key: "pod", Value: model.String(fmt.Sprint("pod-", i))}}},
			LogRecord: model.LogRecord{Time: int64(i+1) * 1e6, Body: model.String("x"), Attrs: model.Attrs{{Key: "id", Value: model.Int(int64(i))}}},
		}
	}
	mem.Append(tenant.Default, rows...)
	return mem
}

func TestLimits(t *testing.T) {
	mem := manyStreams(600)
	for _, c := range []struct {
		name   string
		limits logql.Limits
		p      logql.Params
		want   string
	}{
		{"series", logql.Limits{}, logql.Params{Expr: `count_over_time({}[1m])`, Instant: true}, "makes more than 500 series"},
		{"series kept by topk", logql.Limits{}, logql.Params{Expr: `topk(3, count_over_time({}[1m]))`, Instant: true}, ""},
		{"series of a sum", logql.Limits{MaxSeries: 100}, logql.Params{Expr: `sum by (id) (count_over_time({}[1m]))`, Instant: true}, "makes more than 400 series"},
		{"series of an operation", logql.Limits{}, logql.Params{Expr: `count_over_time({}[1m]) > 0`, Instant: true}, "the result has 600 series, more than the maximum of 500"},
		{"too many for dense buckets", logql.Limits{MaxPoints: 250_000}, logql.Params{Expr: `topk(1, sum by (id) (count_over_time({}[1m])))`, Step: time.Second, Start: time.Unix(0, 0), End: time.Unix(60, 0)}, ""},
		{"inner series, rows", logql.Limits{MaxInnerSeries: 100}, logql.Params{Expr: `topk(3, count_over_time({}[1m]))`, Instant: true}, "makes more than 100 series"},
		{"inner series, pushed", logql.Limits{MaxInnerSeries: 100}, logql.Params{Expr: `sum by (id) (count_over_time({}[1m]))`, Instant: true}, "makes more than 100 series"},
		{"points", logql.Limits{MaxPoints: 1000}, logql.Params{Expr: `topk(3, count_over_time({}[1m]))`, Instant: true}, "holds more than 1000 points"},
		{"steps", logql.Limits{}, logql.Params{Expr: `vector(1)`, Start: time.Unix(0, 0), End: time.Unix(11000, 0), Step: time.Second}, "11001 points a series are above the maximum of 11000"},
		{"entries", logql.Limits{}, logql.Params{Expr: `{}`, Limit: 5001, Start: time.Unix(0, 0), End: time.Unix(60, 0)}, "above the maximum of 5000 entries"},
		{"range", logql.Limits{MaxRange: time.Hour}, logql.Params{Expr: `{}`, Start: time.Unix(0, 0), End: time.Unix(3601, 0)}, "above the maximum of 1h0m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.p.Instant {
				c.p.End = time.Unix(60, 0)
			}
			_, err := logql.NewEngine(logql.Options{Source: mem, Limits: c.limits}).Query(context.Background(), tenant.Default, c.p)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
			require.ErrorIs(t, err, model.ErrTooMuch)
		})
	}
}

func TestFarTimesAreRefused(t *testing.T) {
	e := logql.NewEngine(logql.Options{Source: manyStreams(3)})
	for _, p := range []logql.Params{
		{Expr: `{}`, Start: time.Unix(0, -1<<63), End: time.Unix(0, 1<<63-1)},
		{Expr: `rate({}[1m])`, Start: time.Unix(0, -1<<63), End: time.Unix(0, 0), Step: 10000 * time.Hour},
		{Expr: `rate({}[200y])`, Instant: true, End: time.Unix(0, 0)},
		{Expr: `rate({}[1m] offset 200y)`, Instant: true, End: time.Unix(0, 0)},
	} {
		_, err := e.Query(context.Background(), tenant.Default, p)
		require.ErrorIs(t, err, model.ErrInvalid, p.Expr)
	}
	for _, p := range []logql.Params{
		{Expr: `{}`, Start: time.Date(1875, 1, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2160, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Expr: `sum(rate({}[49y1ns]))`, Start: time.Date(1875, 1, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2160, 1, 1, 0, 0, 0, 0, time.UTC), Step: 250 * time.Hour},
		{Expr: `rate({}[49y] offset 49y)`, Instant: true, End: time.Unix(0, 0)},
	} {
		_, err := e.Query(context.Background(), tenant.Default, p)
		require.NoError(t, err, p.Expr)
	}
}

// endless never stops of itself, as a source with very much data.
type endless struct{ query.LogSource }

func (endless) SelectLogs(_ context.Context, _ *predicate.LogQuery) iter.Seq2[[]model.LogRow, error] {
	return func(yield func([]model.LogRow, error) bool) {
		for yield([]model.LogRow{{LogRecord: model.LogRecord{Time: 1}}}, nil) {
		}
	}
}

func TestCancelEndsTheQuery(t *testing.T) {
	for _, q := range []string{`{} | json | a="b"`, `topk(1, rate({}[1m]))`} {
		ctx, cancel := context.WithTimeoutCause(context.Background(), 20*time.Millisecond, errors.New("enough"))
		_, err := logql.NewEngine(logql.Options{Source: endless{}}).Query(ctx, tenant.Default, logql.Params{Expr: q, Start: time.Unix(0, 0), End: time.Unix(60, 0), Step: time.Minute})
		cancel()
		require.ErrorContains(t, err, "enough", q)
	}
}

type guardLog struct{ lines []string }

func (g *guardLog) Begin(ctx context.Context, t tenant.ID, language, text string) (context.Context, func(*model.QueryStats, error), error) {
	return ctx, func(s *model.QueryStats, err error) {
		g.lines = append(g.lines, fmt.Sprintf("%s %s %s rows=%d err=%v", t, language, text, s.Rows.Load(), err != nil))
	}, nil
}

func TestGuardSeesEveryQuery(t *testing.T) {
	g := &guardLog{}
	e := logql.NewEngine(logql.Options{Source: manyStreams(600), Guard: g})
	p := logql.Params{Expr: `{}`, End: time.Unix(60, 0), Start: time.Unix(0, 0), Limit: 1}
	_, err := e.Query(context.Background(), "acme", p)
	require.NoError(t, err)
	p = logql.Params{Expr: `count_over_time({}[1m])`, Instant: true, End: time.Unix(60, 0)}
	_, err = e.Query(context.Background(), tenant.Default, p)
	require.Error(t, err)
	require.Equal(t, []string{`acme logql {} rows=0 err=false`, `default logql count_over_time({}[1m]) rows=600 err=true`}, g.lines)
}

func TestTemplatesEnd(t *testing.T) {
	for _, tmpl := range []string{
		`{{ range $i := int \"1000000000\" }}{{ end }}`,
		`{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}`,
		`{{ repeat 1000000000 \"x\" }}`,
	} {
		res, err := logql.NewEngine(logql.Options{Source: manyStreams(1)}).Query(context.Background(), tenant.Default,
			logql.Params{Expr: `{} | line_format "` + tmpl + `"`, Start: time.Unix(0, 0), End: time.Unix(60, 0)})
		require.NoError(t, err, tmpl)
		require.Equal(t, "TemplateFormatErr", res.Streams[0].Entries[0].Parsed.Get("__error__"), tmpl)
	}
}
