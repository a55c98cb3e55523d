// Package logs_test asks the log store, through LogQL, what a plain list of
// records is asked, and holds the answers to be the same.
package logs_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/logstore"
	"braid/pkg/model"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

var (
	seed   = flag.Uint64("seed", 1, "of the random records and queries")
	rounds = flag.Int("rounds", 3000, "random queries tried")
)

// TestStoreAgreesWithFullScan: records in three parts of the store (two blocks
// and the head) answer random queries as brute force over a list does.
func TestStoreAgreesWithFullScan(t *testing.T) {
	d := testkit.LogDice{Rand: rand.New(rand.NewPCG(*seed, 2))}
	mem := &testkit.MemLog{}
	st, err := logstore.Open(logstore.Options{Dir: t.TempDir(), Maintenance: -1})
	require.NoError(t, err)
	defer st.Close()
	var rows []model.LogRow
	for i := range 300 {
		rows = append(rows, d.Row(i))
	}
	for i, r := range rows {
		mem.Append(tenant.Default, r)
		_, err := st.AppendLogs(context.Background(), tenant.Default, model.Position(i+1), &model.Logs{Batches: []model.LogBatch{{Resource: r.Resource, Scope: r.Scope, Records: []model.LogRecord{r.LogRecord}}}})
		require.NoError(t, err)
		if i == 100 || i == 200 {
			require.NoError(t, st.Flush(context.Background()))
		}
	}
	limits := logql.Limits{MaxSeries: 10_000}
	pushed := logql.NewEngine(logql.Options{Source: st, Limits: limits})
	full := logql.NewEngine(logql.Options{Source: mem, Limits: limits, FullScan: true})
	for range *rounds {
		p := logql.Params{Start: time.Unix(2, 0), End: time.Unix(120, 0), Step: time.Duration(1+d.IntN(9)) * time.Second, Limit: 1 + d.IntN(60)}
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
		if err == nil {
			require.Equal(t, render(want), render(got), "seed %d: %s", *seed, p.Expr)
		}
	}
}

// render writes a result with numbers to six digits: sums add up in another
// order in the store.
func render(res *logql.Result) string {
	var b strings.Builder
	for _, s := range res.Streams {
		fmt.Fprintln(&b, s.Labels)
		for _, e := range s.Entries {
			fmt.Fprintf(&b, "  %d %q %s %s\n", e.Time, e.Line, e.Metadata, e.Parsed)
		}
	}
	for _, s := range res.Series {
		fmt.Fprint(&b, s.Labels)
		for _, p := range s.Points {
			fmt.Fprintf(&b, " %d:%.6g", p.Time, p.Value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
