package alertapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// trialStart lies on the grid of minutes.
var trialStart = time.Unix(1_700_000_040, 0).UTC()

// trier answers for two series: one is above for ten minutes and then for two,
// the other from minute 50 on.
func trier(asked *[]string) *Trier {
	above := func(from, to int) (out []promql.FPoint) {
		for i := from; i < to; i++ {
			out = append(out, promql.FPoint{T: trialStart.Add(time.Duration(i) * time.Minute).UnixMilli(), F: float64(i)})
		}
		return out
	}
	return &Trier{Parser: parser.NewParser(parser.Options{}), Interval: func() time.Duration { return time.Minute }, Now: func() time.Time { return trialStart.Add(time.Hour) },
		Begin: func(ctx context.Context, _ tenant.ID, _, _ string) (context.Context, func(*model.QueryStats, error), error) {
			return ctx, func(*model.QueryStats, error) {}, nil
		},
		Virtual: func(language, expr string) error {
			if strings.Contains(expr, "broken") {
				return errors.New(language + " parse error")
			}
			return nil
		},
		Ask: func(_ context.Context, _ tenant.ID, expr string, start, end time.Time, step time.Duration) (promql.Matrix, error) {
			*asked = append(*asked, expr)
			if strings.Contains(expr, "toomany") {
				return nil, promql.ErrTooManySamples("query processing would load too many samples")
			}
			return promql.Matrix{
				{Metric: labels.FromStrings("job", "a"), Floats: append(above(10, 20), above(30, 32)...)},
				{Metric: labels.FromStrings("job", "b"), Floats: above(50, 61)},
			}, nil
		}}
}

func TestTryAnswersWhenARuleWouldHaveFired(t *testing.T) {
	var asked []string
	mux := http.NewServeMux()
	New(Options{Try: trier(&asked)}).Register(mux)
	ask := func(body string) (int, string) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/braid/v1/alerts/try", strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	minute := func(ms int64) int { return int((ms - trialStart.UnixMilli()) / 60_000) }
	code, body := ask(fmt.Sprintf(`{"expr": "x - y", "threshold": 5, "for": "5m", "start": %d, "end": %q}`, trialStart.Unix(), trialStart.Add(time.Hour).Format(time.RFC3339)))
	require.Equal(t, http.StatusOK, code, body)
	var got trialAnswer
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	require.Equal(t, "(x - y) > 5", got.Expr)
	require.Equal(t, []string{"(x - y) > 5"}, asked)
	require.Equal(t, 61, got.Evaluations)
	require.Equal(t, [2]int{2, 1}, [2]int{got.Firings, got.PendingOnly})
	require.Len(t, got.Series, 2)
	a, b := got.Series[0], got.Series[1]
	require.Equal(t, map[string]string{"job": "a"}, a.Labels)
	require.Len(t, a.Times, 2)
	require.Equal(t, []int{10, 15, 20}, []int{minute(a.Times[0].PendingMs), minute(*a.Times[0].FiredMs), minute(a.Times[0].EndMs)})
	require.Equal(t, 19.0, *a.Times[0].Peak)
	require.Nil(t, a.Times[1].FiredMs, "two minutes are too short")
	require.Equal(t, []int{30, 32}, []int{minute(a.Times[1].PendingMs), minute(a.Times[1].EndMs)})
	require.Equal(t, [2]float64{300, 420}, [2]float64{a.FiringSeconds, a.PendingSeconds})
	require.True(t, b.Times[0].Open)
	require.Equal(t, []int{50, 55, 60}, []int{minute(b.Times[0].PendingMs), minute(*b.Times[0].FiredMs), minute(b.Times[0].EndMs)})

	asked = nil
	for body, expr := range map[string]string{
		`{"language": "logql", "expr": "rate({a=\"b\"}[5m])", "op": "<=", "threshold": 0.5}`:     `{__logql__="rate({a=\"b\"}[5m])"} <= 0.5`,
		`{"language": "traceql", "expr": "{} | rate()", "threshold": 1e2, "keepFiringFor":"5m"}`: `{__traceql__="{} | rate()"} > 100`,
		`{"expr": "up == 0", "interval": "1h"}`:                                                  `up == 0`,
	} {
		code, answer := ask(body)
		require.Equal(t, http.StatusOK, code, answer)
		require.Equal(t, expr, asked[0])
		asked = nil
	}
	for body, says := range map[string]string{
		``:                              "cannot read the body",
		`{"surprise": 1}`:               "surprise",
		`{"expr": "up"} {}`:             "more than one",
		`{}`:                            "expr is empty",
		`{"expr": "sum("}`:              "expr",
		`{"expr": "up[5m]"}`:            "yields a range vector",
		`{"expr": "1", "threshold": 1}`: "scalar",
		`{"expr": "up", "op": ">"}`:     "op without threshold",
		`{"expr": "up", "op": "~", "threshold": 1}`:                 `op \"~\"`,
		`{"expr": "up", "language": "sql"}`:                         "promql, logql or traceql",
		`{"expr": "broken", "language": "logql"}`:                   "logql parse error",
		`{"expr": "{__traceql__=\"broken\"} > 1"}`:                  "traceql parse error",
		`{"expr": "up", "for": "soon"}`:                             `for \"soon\"`,
		`{"expr": "up", "interval": "100ms"}`:                       "at least 1s",
		`{"expr": "up", "start": "yesterday"}`:                      "start yesterday",
		`{"expr": "up", "start": "2023-11-15T00:00:00Z", "end": 1}`: "start is not before end",
		`{"expr": "up", "start": 1690000000}`:                       "at most 744h0m0s",
		`{"expr": "up", "start": 1699000000, "interval": "15s"}`:    "evaluations: at most",
		`{"expr": "toomany"}`:                                       "shorter range",
	} {
		code, answer := ask(body)
		require.Equal(t, http.StatusBadRequest, code, "%s: %s", body, answer)
		require.Contains(t, answer, says, body)
	}
}

func TestTryWaitsItsTurn(t *testing.T) {
	x := trier(&[]string{})
	x.Begin = func(context.Context, tenant.ID, string, string) (context.Context, func(*model.QueryStats, error), error) {
		return nil, nil, &model.OverloadError{Reason: "too many queries", RetryAfter: time.Second}
	}
	mux := http.NewServeMux()
	New(Options{Try: x}).Register(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/braid/v1/alerts/try", strings.NewReader(`{"expr": "up"}`)))
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
}
