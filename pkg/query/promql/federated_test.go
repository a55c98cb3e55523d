package promql

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// emptySource holds no series.
type emptySource struct{ query.MetricSource }

func (emptySource) Queryable(tenant.ID) storage.SampleAndChunkQueryable { return emptyQueryable{} }

type emptyQueryable struct{}

func (emptyQueryable) Querier(int64, int64) (storage.Querier, error) { return emptyQuerier{}, nil }
func (emptyQueryable) ChunkQuerier(int64, int64) (storage.ChunkQuerier, error) {
	return nil, errors.New("not asked for")
}

type emptyQuerier struct{}

func (emptyQuerier) Select(context.Context, bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
	return storage.EmptySeriesSet()
}
func (emptyQuerier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}
func (emptyQuerier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}
func (emptyQuerier) Close() error { return nil }

// minutes yields, for each service, the minute of the hour as the value, and
// for "gap" nothing between minutes 12 and 15.
func minutes(_ context.Context, t tenant.ID, expr string, start, end, step int64) ([]Series, error) {
	if expr == "bad" {
		return nil, errors.New("parse error at 1:1")
	}
	var a, gap []Point
	for at := start; at <= end; at += max(step, 1) {
		m := float64(at / 60_000)
		a = append(a, Point{at, m})
		if m < 12 || m > 15 {
			gap = append(gap, Point{at, m})
		}
	}
	return []Series{{Labels: []model.Label{{Name: "svc", Value: "a"}, {Name: "tenant", Value: string(t)}}, Points: a},
		{Labels: []model.Label{{Name: "svc", Value: "gap"}}, Points: gap}}, nil
}

// offGrid answers on steps of its own, twenty seconds before the engine's.
func offGrid(_ context.Context, _ tenant.ID, _ string, start, end, step int64) ([]Series, error) {
	var out []Point
	for at := start - 20_000; at <= end; at += step {
		out = append(out, Point{at, float64(at / 60_000)})
	}
	return []Series{{Labels: []model.Label{{Name: "svc", Value: "t"}}, Points: out}}, nil
}

func TestVirtualSeriesInTheEngine(t *testing.T) {
	f := &Federated{MetricSource: emptySource{}, LogQL: minutes, TraceQL: offGrid}
	eng := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{})})
	defer func() { require.NoError(t, eng.Close()) }()
	at := func(m int) time.Time { return time.Unix(int64(m)*60, 0) }
	for _, c := range []struct {
		expr       string
		start, end int
		want       string
	}{
		{`{__logql__="x"}`, 10, 10, "{svc=\"a\", tenant=\"t1\"} =>\n10 @[600000]\n{svc=\"gap\"} =>\n10 @[600000]"},
		{`{__logql__="x",svc="a"} * 2`, 10, 12, "{svc=\"a\", tenant=\"t1\"} =>\n20 @[600000]\n22 @[660000]\n24 @[720000]"},
		{`{__logql__="x",svc="gap"}`, 10, 17, "{svc=\"gap\"} =>\n10 @[600000]\n11 @[660000]\n16 @[960000]\n17 @[1020000]"},
		{`max(max_over_time({__logql__="x",svc="a"}[5m]))`, 20, 21, "{} =>\n20 @[1200000]\n21 @[1260000]"},
		{`{__traceql__="off grid"}`, 10, 12, "{svc=\"t\"} =>\n9 @[600000]\n10 @[660000]\n11 @[720000]"},
		{`max({__logql__="x"} offset 3m)`, 10, 10, "{} =>\n7 @[600000]"},
		{`nothing_here`, 10, 10, ""},
	} {
		q, err := eng.NewRangeQuery(context.Background(), f.Queryable("t1"), nil, c.expr, at(c.start), at(c.end), time.Minute)
		require.NoError(t, err)
		res := q.Exec(context.Background())
		require.NoError(t, res.Err, c.expr)
		require.Equal(t, c.want, res.Value.String(), c.expr)
		q.Close()
	}
	for expr, want := range map[string]string{
		`{__logql__="bad"}`:                 "parse error at 1:1",
		`{__logql__=~"x"}`:                  "takes =",
		`{__logql__="x", __traceql__="{}"}`: "can have one of",
	} {
		q, err := eng.NewInstantQuery(context.Background(), f.Queryable("t1"), nil, expr, at(10))
		require.NoError(t, err)
		require.ErrorContains(t, q.Exec(context.Background()).Err, want, expr)
		q.Close()
	}
}
