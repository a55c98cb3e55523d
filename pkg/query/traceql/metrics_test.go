package traceql

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/model"
)

func showSeries(res *MetricsResult) string {
	var b strings.Builder
	for _, s := range res.Series {
		for i, l := range s.Labels {
			if i > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(&b, "%s=%s", l.Name, l.Value.Text())
		}
		b.WriteString(":")
		for _, x := range s.Samples {
			fmt.Fprintf(&b, " %s %.4g;", time.Duration(x.T-epoch), x.Value)
		}
		for _, x := range s.Exemplars {
			fmt.Fprintf(&b, " (%s %.4g %s)", time.Duration(x.T-epoch), x.Value, strings.TrimLeft(x.TraceID.String(), "0"))
		}
		b.WriteByte('\n')
	}
	for _, w := range res.Stats.Warnings() {
		b.WriteString("warning: " + w + "\n")
	}
	return b.String()
}

func TestMetrics(t *testing.T) {
	e := NewEngine(Options{Source: loadSource(t, "testdata/traces.txt"), Limits: Limits{MaxSeries: 5}})
	testkit.RunScript(t, "testdata/metrics.txt", func(q string) string {
		p := MetricsParams{Query: q, Start: epoch, End: epoch + 30e9, Step: 10e9}
		res, err := e.MetricsRange(context.Background(), testTenant, p)
		if strings.Contains(q, "instant") {
			res, err = e.MetricsInstant(context.Background(), testTenant, p)
		}
		if err != nil {
			return "error: " + err.Error()
		}
		return showSeries(res)
	})
}

func TestMetricsBounds(t *testing.T) {
	e := NewEngine(Options{Source: testkit.NewMemTraces()})
	ctx := context.Background()
	_, err := e.MetricsRange(ctx, testTenant, MetricsParams{Query: "{} | rate()", Start: 0, End: 1e18, Step: 1e9})
	require.ErrorIs(t, err, model.ErrTooMuch)
	_, err = e.MetricsRange(ctx, testTenant, MetricsParams{Query: "{} | rate()", Start: 2, End: 1})
	require.ErrorIs(t, err, model.ErrInvalid)
	_, err = e.MetricsRange(ctx, testTenant, MetricsParams{Query: "{}", Start: 1, End: 1e9})
	require.ErrorContains(t, err, "expected a metrics function")
	res, err := e.MetricsRange(ctx, testTenant, MetricsParams{Query: "{} | rate()", Start: epoch + 5, End: epoch + 3600e9})
	require.NoError(t, err)
	require.Equal(t, int64(30e9), res.Step)
	require.Equal(t, epoch-epoch%30e9, res.Start)
}
