package sourcetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// LogSubject is a source to try: Append puts data in (positions rise), Reshape
// changes how it is held (flush, merge, reopen) and returns the source to ask
// from then on.
type LogSubject struct {
	Append  func(t tenant.ID, pos model.Position, logs *model.Logs) error
	Reshape func(r *rand.Rand) query.LogSource
}

// RunLogs tries a log source with random data and questions.
func RunLogs(t *testing.T, seed uint64, make func(t *testing.T) LogSubject) {
	r := rand.New(rand.NewPCG(seed, 1))
	subject := make(t)
	ref := &testkit.MemLog{Spec: model.NewKeySpec(nil)}
	ctx := context.Background()
	for round := range 4 {
		for i := range 5 {
			pos := model.Position(round*5 + i + 1)
			who := pick(r, []tenant.ID{"a", "a", "a", "b"})
			logs := Logs(r, 1+r.IntN(120))
			ref.Append(who, Rows(logs)...)
			require.NoError(t, subject.Append(who, pos, logs))
		}
		src := subject.Reshape(r)
		for range 60 {
			checkSelect(ctx, t, seed, r, src, ref)
			checkLogAggregate(ctx, t, seed, r, src, ref)
		}
		checkLogRules(ctx, t, r, src)
	}
}

func collect(ctx context.Context, s query.LogSource, q *predicate.LogQuery) ([]model.LogRow, error) {
	var out []model.LogRow
	for batch, err := range s.SelectLogs(ctx, q) {
		if err != nil {
			return out, err
		}
		out = append(out, batch...)
	}
	return out, nil
}

// canonical makes rows comparable: Seq is the source's own.
func canonical(rows []model.LogRow) []string {
	out := make([]string, len(rows))
	for i := range rows {
		l := &rows[i]
		out[i] = fmt.Sprintf("%d %d %d %q %v %q %v %s %s %d | %v | %v", l.Time, l.Observed, l.Severity, l.SeverityText, l.Body, l.EventName, l.Attrs,
			l.TraceID, l.SpanID, l.Flags, *l.Resource, *l.Scope)
	}
	return out
}

func checkSelect(ctx context.Context, t *testing.T, seed uint64, r *rand.Rand, src, ref query.LogSource) {
	t.Helper()
	q := &predicate.LogQuery{Tenant: pick(r, []tenant.ID{"a", "a", "b"}), Range: timeRange(r), Filter: Expr(r, false, 2),
		Order: pick(r, []predicate.Order{predicate.NewestFirst, predicate.OldestFirst}), Limit: pick(r, []int{0, 0, 1, 10, 100})}
	want, err := collect(ctx, ref, q)
	require.NoError(t, err)
	q.Stats = &model.QueryStats{}
	got, err := collect(ctx, src, q)
	require.NoError(t, err)
	require.Equal(t, canonical(want), canonical(got), "seed %d: %s in %v, order %d, limit %d", seed, q.Filter, q.Range, q.Order, q.Limit)
	require.Empty(t, q.Stats.Warnings())
}

func checkLogAggregate(ctx context.Context, t *testing.T, seed uint64, r *rand.Rand, src, ref query.LogSource) {
	t.Helper()
	start := Epoch + int64(r.IntN(60))*second
	q := &predicate.Aggregation{Tenant: "a", Range: model.TimeRange{Start: start, End: start + int64(1+r.IntN(100))*second}, Filter: Expr(r, false, 1),
		Step: pick(r, []int64{0, 7 * second, 30 * second}), Measure: predicate.Measure(r.IntN(3)), Of: predicate.Field{Name: pick(r, []string{"http.status_code", "status"})},
		OfText: r.IntN(2) == 0}
	if r.IntN(4) == 0 {
		q.Of = predicate.Intrinsic(predicate.Body)
	}
	for range r.IntN(3) {
		q.By = append(q.By, field(r, false))
	}
	want, err := ref.AggregateLogs(ctx, q)
	require.NoError(t, err)
	got, err := src.AggregateLogs(ctx, q)
	require.NoError(t, err)
	require.Equal(t, drawAggregate(want), drawAggregate(got), "seed %d: %s by %v of %v in %v step %d", seed, q.Filter, q.By, q.Of, q.Range, q.Step)
}

// drawAggregate makes aggregates comparable: groups in any order, empty cells
// left out. Sums are of few exact numbers, so they agree to the last bit.
func drawAggregate(a *model.Aggregate) map[string][]string {
	out := map[string][]string{}
	for _, g := range a.Groups {
		var cells []string
		for i, c := range g.Cells {
			if c.Count == 0 {
				continue
			}
			text := fmt.Sprintf("%d: %d", i, c.Count)
			if c.Measured > 0 {
				text += fmt.Sprintf(" measured %d sum %g min %g max %g", c.Measured, c.Sum, c.Min, c.Max)
			}
			if c.Sketch != nil && c.Sketch.Total > 0 {
				text += fmt.Sprintf(" median %.6g", c.Sketch.Quantile(0.5))
			}
			cells = append(cells, text)
		}
		if len(cells) > 0 {
			out[fmt.Sprintf("%v", g.Key)] = cells
		}
	}
	return out
}

// checkLogRules tries the rules that random questions do not: an unknown tenant
// has nothing, a consumer may stop, a cancelled context ends the work.
func checkLogRules(ctx context.Context, t *testing.T, r *rand.Rand, src query.LogSource) {
	t.Helper()
	rows, err := collect(ctx, src, &predicate.LogQuery{Tenant: "nobody"})
	require.NoError(t, err)
	require.Empty(t, rows)
	for batch, err := range src.SelectLogs(ctx, &predicate.LogQuery{Tenant: "a"}) {
		require.NoError(t, err)
		require.NotEmpty(t, batch)
		break
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = collect(cancelled, src, &predicate.LogQuery{Tenant: "a"})
	require.ErrorIs(t, err, context.Canceled)

	values, err := src.LogFields(ctx, &predicate.FieldQuery{Tenant: "a", Field: &predicate.Field{Scope: predicate.ScopeResource, Name: "service.name"}})
	require.NoError(t, err)
	var names []string
	for _, v := range values {
		names = append(names, v.Value.Text())
	}
	require.ElementsMatch(t, []string{"cart", "checkout", "payment"}, names)
	_ = r
}
