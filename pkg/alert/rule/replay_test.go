package rule

import (
	"context"
	"testing"
	"time"

	commonmodel "github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func TestReplayHonoursForAndGaps(t *testing.T) {
	start := time.Unix(1_700_000_040, 0).UTC() // on the minute's grid
	above := map[int]bool{}
	for i := 10; i < 20; i++ {
		above[i] = true // ten minutes: fires after five
	}
	above[30], above[31] = true, true // too short
	for i := 5990; i < 6100; i++ {
		above[i] = true // across the border of what is asked at once, to the end
	}
	asked := 0
	ask := func(_ context.Context, expr string, from, to time.Time, step time.Duration) (promql.Matrix, error) {
		asked++
		require.Equal(t, "x > 1", expr)
		s := promql.Series{Metric: labels.FromStrings("job", "j")}
		for ts := from; !ts.After(to); ts = ts.Add(step) {
			if i := int(ts.Sub(start) / time.Minute); above[i] {
				s.Floats = append(s.Floats, promql.FPoint{T: ts.UnixMilli(), F: float64(i)})
			}
		}
		return promql.Matrix{s}, nil
	}
	r := rulefmt.Rule{Alert: "A", Expr: "x > 1", For: commonmodel.Duration(5 * time.Minute), Labels: map[string]string{"severity": "page"}}
	w := Window{Start: start, End: start.Add(6050 * time.Minute), Interval: time.Minute}
	got, err := Replay(context.Background(), parser.NewParser(parser.Options{}), r, map[string]string{"team": "a"}, w, ask)
	require.NoError(t, err)
	require.Equal(t, 2, asked)
	require.Len(t, got, 2)
	minute := func(x time.Time) int { return int(x.Sub(start) / time.Minute) }
	require.Equal(t, []int{10, 15, 20}, []int{minute(got[0].Pending), minute(got[0].Fired), minute(got[0].End)})
	require.Equal(t, 19.0, got[0].Peak)
	require.Equal(t, `{alertname="A", job="j", severity="page", team="a"}`, got[0].Labels.String())
	require.Equal(t, []int{5990, 5995}, []int{minute(got[1].Pending), minute(got[1].Fired)})
	require.True(t, got[1].Open)
	_, err = Replay(context.Background(), parser.NewParser(parser.Options{}), rulefmt.Rule{Alert: "A", Expr: "("}, nil, w, ask)
	require.Error(t, err)
}

func TestTryEndsAtANumberOfTimes(t *testing.T) {
	start := time.Unix(1_700_000_040, 0).UTC()
	ask := func(_ context.Context, _ string, from, to time.Time, step time.Duration) (promql.Matrix, error) {
		s := promql.Series{Metric: labels.FromStrings("job", "j")}
		for i, ts := 0, from; !ts.After(to); i, ts = i+1, ts.Add(step) {
			if i%2 == 0 {
				s.Floats = append(s.Floats, promql.FPoint{T: ts.UnixMilli(), F: 1})
			}
		}
		return promql.Matrix{s}, nil
	}
	r := rulefmt.Rule{Alert: "A", Expr: "x"}
	w := Window{Start: start, End: start.Add(time.Hour), Interval: time.Minute}
	got, err := Try(context.Background(), parser.NewParser(parser.Options{}), r, w, 10, ask)
	require.NoError(t, err)
	require.True(t, got.More)
	require.Len(t, got.Times, 10)
	require.Equal(t, start, got.Times[0].Fired)
	got, err = Try(context.Background(), parser.NewParser(parser.Options{}), r, w, 100, ask)
	require.NoError(t, err)
	require.False(t, got.More)
	require.Len(t, got.Times, 31)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = Try(ctx, parser.NewParser(parser.Options{}), r, w, 100, ask)
	require.ErrorIs(t, err, context.Canceled)
}
