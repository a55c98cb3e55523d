package logql_test

import (
	"context"
	"flag"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

var (
	seed   = flag.Uint64("seed", 1, "of the random queries")
	rounds = flag.Int("rounds", 4000, "random queries tried")
)

// TestPushDownAgreesWithFullScan tries random queries with and without handing
// work to the source, whose way of answering is predicate.Eval.
func TestPushDownAgreesWithFullScan(t *testing.T) {
	d := testkit.LogDice{Rand: rand.New(rand.NewPCG(*seed, 2))}
	mem := &testkit.MemLog{}
	for i := range 120 {
		mem.Append(tenant.Default, d.Row(i))
	}
	limits := logql.Limits{MaxSeries: 10_000}
	pushed := logql.NewEngine(logql.Options{Source: mem, Limits: limits})
	full := logql.NewEngine(logql.Options{Source: mem, Limits: limits, FullScan: true})
	answers, errs := 0, 0
	for range *rounds {
		p := logql.Params{Start: time.Unix(2, 0), End: time.Unix(40, 0), Step: time.Duration(1+d.IntN(9)) * time.Second, Limit: 1 + d.IntN(40)}
		if d.IntN(2) == 0 {
			p.Expr = d.Selection()
			p.Direction = logql.Direction(d.IntN(2))
		} else {
			p.Expr = d.Metric()
			p.Instant = d.IntN(3) == 0
		}
		got, err := pushed.Query(context.Background(), tenant.Default, p)
		want, err2 := full.Query(context.Background(), tenant.Default, p)
		require.Equal(t, err2 == nil, err == nil, "seed %d: %s: %v against %v", *seed, p.Expr, err, err2)
		if err != nil {
			errs++
			continue
		}
		if len(want.Streams)+len(want.Series) > 0 {
			answers++
		}
		require.Equal(t, want.Streams, got.Streams, "seed %d: %s", *seed, p.Expr)
		requireSeries(t, want.Series, got.Series, p.Expr)
	}
	require.Greater(t, answers, *rounds/4, "most random queries find nothing")
	t.Logf("%d queries found something, %d failed", answers, errs)
}

func requireSeries(t *testing.T, want, got []logql.Series, text string) {
	require.Len(t, got, len(want), text)
	for i := range want {
		require.Equal(t, want[i].Labels, got[i].Labels, text)
		require.Len(t, got[i].Points, len(want[i].Points), text)
		for k, w := range want[i].Points {
			g := got[i].Points[k]
			require.Equal(t, w.Time, g.Time, text)
			if w.Value != g.Value && !(math.IsNaN(w.Value) && math.IsNaN(g.Value)) {
				require.InEpsilon(t, w.Value, g.Value, 1e-9, "%s %s", text, want[i].Labels)
			}
		}
	}
}
