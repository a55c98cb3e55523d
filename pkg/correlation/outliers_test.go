package correlation

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// timeTraces holds one span a trace, by time, and finds a range without looking
// at all the others.
type timeTraces struct {
	query.TraceSource
	spec *model.KeySpec
	rows []model.SpanRow
}

func (m *timeTraces) in(r model.TimeRange) []model.SpanRow {
	from := sort.Search(len(m.rows), func(i int) bool { return m.rows[i].Start >= r.Start })
	to := sort.Search(len(m.rows), func(i int) bool { return m.rows[i].Start >= r.End })
	return m.rows[from:to]
}

func (m *timeTraces) SelectSpans(_ context.Context, q *predicate.SpanQuery) iter.Seq2[*model.TraceMatch, error] {
	return func(yield func(*model.TraceMatch, error) bool) {
		rows, n := m.in(q.Range), 0
		for i := len(rows) - 1; i >= 0 && n < q.Limit; i-- {
			if predicate.Eval(q.Filters[0], predicate.SpanRow{SpanRow: &rows[i], Spec: m.spec}) {
				n++
				if !yield(&model.TraceMatch{Spans: rows[i : i+1]}, nil) {
					return
				}
			}
		}
	}
}

func (m *timeTraces) AggregateSpans(_ context.Context, q *predicate.Aggregation) (*model.Aggregate, error) {
	g := model.AggGroup{Cells: make([]model.Cell, (q.Range.End-q.Range.Start+q.Step-1)/q.Step)}
	rows := m.in(q.Range)
	for i := range rows {
		if predicate.Eval(q.Filter, predicate.SpanRow{SpanRow: &rows[i], Spec: m.spec}) {
			g.Cells[(rows[i].Start-q.Range.Start)/q.Step].Add()
		}
	}
	return &model.Aggregate{Start: q.Range.Start, Step: q.Step, Buckets: len(g.Cells), Groups: []model.AggGroup{g}}, nil
}

// outlierShop has spans of which the failed ones run on one version mostly.
// Versions are rolled out over time: rows side by side are alike.
func outlierShop(spans int, seed uint64) (*Finder, model.TimeRange, map[string]float64) {
	r := rand.New(rand.NewPCG(seed, 1))
	spec := model.NewKeySpec(nil)
	tr := &timeTraces{spec: spec}
	failed, withBad := 0, map[string]int{}
	resources := []*model.Resource{service("web"), service("cart")}
	for n := range spans {
		s := model.Span{TraceID: traceOf(n), SpanID: spanID(1), Name: "GET", Start: epoch + int64(n)*1e6, End: epoch + int64(n)*1e6 + r.Int64N(20)}
		version := "1"
		if r.Float64() < float64(n)/float64(spans) {
			version = "2"
		}
		chance := 0.02
		if version == "2" {
			chance = 0.2
		}
		s.Attrs = model.Attrs{str("version", version), str("colour", fmt.Sprint(r.IntN(5))), str("id", fmt.Sprint("id-", n))}
		if r.Float64() < chance {
			s.Status = model.StatusError
			failed++
			withBad[version]++
		}
		tr.rows = append(tr.rows, model.SpanRow{Resource: resources[n%2], Span: s})
	}
	f := New(Options{Metrics: &memMetrics{spec: spec}, Logs: &testkit.MemLog{}, Traces: tr, KeySpec: func() *model.KeySpec { return spec }})
	truth := map[string]float64{}
	for v, n := range withBad {
		truth[v] = float64(n) / float64(failed)
	}
	return f, model.TimeRange{Start: epoch, End: epoch + int64(spans)*1e6}, truth
}

var isFailed = predicate.Compare{Field: predicate.Intrinsic(predicate.Status), Op: predicate.Eq, Value: model.String("error")}

func find(list []Outlier, field, value string) *Outlier {
	for i := range list {
		if list[i].Field == field && list[i].Value == value {
			return &list[i]
		}
	}
	return nil
}

func TestOutliersNameTheCauseAndCountEverything(t *testing.T) {
	f, all, truth := outlierShop(4000, 1)
	got, err := f.Outliers(context.Background(), tenant.Default, OutlierRequest{Selection: isFailed, Range: all})
	require.NoError(t, err)
	require.False(t, got.Sampled)
	require.EqualValues(t, 4000, got.SelectionTotal+got.BaselineTotal)
	require.Equal(t, got.SelectionTotal, got.SelectionRows)
	require.Zero(t, got.Error)
	cause := find(got.Outliers, "span.version", "2")
	require.NotNil(t, cause)
	require.InDelta(t, truth["2"], cause.SelectionShare, 1e-12)
	require.Greater(t, cause.Score, 5.0)
	require.Nil(t, find(got.Outliers, "span.colour", "1"), "colours do not matter")
	for _, o := range got.Outliers {
		require.NotEqual(t, "span.id", o.Field, "an id is no cause")
	}
}

// TestSampledOutliersSayTheirError draws many samples: the truth must lie in
// the interval that each says, in about 95 of 100.
func TestSampledOutliersSayTheirError(t *testing.T) {
	f, all, truth := outlierShop(6000, 2)
	inside, n := 0, 0
	for shift := range int64(60) {
		r := all
		r.Start -= shift * 1e6 * 7 // draws other places
		got, err := f.Outliers(context.Background(), tenant.Default, OutlierRequest{Selection: isFailed, Range: r, SampleRows: 200})
		require.NoError(t, err)
		require.True(t, got.Sampled)
		require.LessOrEqual(t, got.SelectionRows, int64(200+strata))
		o := find(got.Outliers, "span.version", "2")
		require.NotNil(t, o)
		n++
		if math.Abs(o.SelectionShare-truth["2"]) <= got.Error {
			inside++
		}
	}
	require.GreaterOrEqual(t, float64(inside)/float64(n), 0.9)
}

func TestOutliersOfNothingAreRare(t *testing.T) {
	f, all, _ := outlierShop(3000, 3)
	wrong := 0
	for lasts := range int64(20) {
		drawn := predicate.Compare{Field: predicate.Intrinsic(predicate.Duration), Op: predicate.Eq, Value: model.Int(lasts)}
		got, err := f.Outliers(context.Background(), tenant.Default, OutlierRequest{Selection: drawn, Range: all})
		require.NoError(t, err)
		if len(got.Outliers) > 0 {
			wrong++
		}
	}
	require.LessOrEqual(t, wrong, 3, "spans taken at random differ in nothing")
}

func TestOutliersOverLogsAndBadQuestions(t *testing.T) {
	spec := model.NewKeySpec(nil)
	logs := &testkit.MemLog{}
	for n := range 600 {
		l := model.LogRow{Resource: service("web"), Seq: uint64(n), LogRecord: model.LogRecord{Time: epoch + int64(n)*second, Severity: 9, Body: model.String("ok"), Attrs: model.Attrs{str("zone", "a")}}}
		if n%10 == 0 {
			l.Severity, l.Attrs = 17, model.Attrs{str("zone", "b")}
		}
		logs.Append(tenant.Default, l)
	}
	f := New(Options{Metrics: &memMetrics{spec: spec}, Logs: logs, Traces: testkit.NewMemTraces(), KeySpec: func() *model.KeySpec { return spec }})
	r := model.TimeRange{Start: epoch, End: epoch + 600*second}
	failed := predicate.Compare{Field: predicate.Intrinsic(predicate.Severity), Op: predicate.Gte, Value: model.Int(17)}
	got, err := f.Outliers(context.Background(), tenant.Default, OutlierRequest{Logs: true, Selection: failed, Range: r})
	require.NoError(t, err)
	o := find(got.Outliers, "zone", "b")
	require.NotNil(t, o)
	require.EqualValues(t, 60, o.SelectionCount)
	require.Zero(t, o.BaselineCount)
	for _, bad := range []OutlierRequest{{Selection: failed}, {Range: r}, {Selection: failed, Range: model.TimeRange{Start: 5, End: 4}}} {
		_, err := f.Outliers(context.Background(), tenant.Default, bad)
		require.ErrorIs(t, err, model.ErrInvalid)
	}
}
