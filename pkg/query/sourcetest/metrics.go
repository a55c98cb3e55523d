package sourcetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// MetricSubject is a source to try: see LogSubject.
type MetricSubject struct {
	Append  func(t tenant.ID, pos model.Position, metrics *model.Metrics) error
	Reshape func(r *rand.Rand) query.MetricSource
}

// RunMetrics tries a metric source: gauges of random services in, selections
// by random matchers and times out, compared with a map of all samples.
func RunMetrics(t *testing.T, seed uint64, begin int64, make func(t *testing.T) MetricSubject) {
	r := rand.New(rand.NewPCG(seed, 3))
	subject := make(t)
	ctx := context.Background()
	samples := map[string]map[int64]float64{} // "service/n" -> Unix ms -> value
	at := begin
	for round := range 4 {
		for i := range 6 {
			at += second
			metrics, drawn := gauges(r, at)
			require.NoError(t, subject.Append("a", model.Position(round*6+i+1), metrics))
			for key, v := range drawn {
				if samples[key] == nil {
					samples[key] = map[int64]float64{}
				}
				samples[key][at/1e6] = v
			}
		}
		src := subject.Reshape(r)
		for range 20 {
			checkSeries(ctx, t, seed, r, src, samples, begin/1e6, at/1e6)
		}
		q, err := src.Queryable("nobody").Querier(0, at/1e6)
		require.NoError(t, err)
		set := q.Select(ctx, true, nil, labels.MustNewMatcher(labels.MatchRegexp, "n", ".+"))
		require.False(t, set.Next(), "an unknown tenant has nothing")
		require.NoError(t, set.Err())
		require.NoError(t, q.Close())
	}
}

func gauges(r *rand.Rand, at int64) (*model.Metrics, map[string]float64) {
	out, drawn := &model.Metrics{}, map[string]float64{}
	for _, service := range []string{"cart", "checkout", "payment"} {
		m := model.Metric{Name: "level", Type: model.MetricGauge}
		for n := range 4 {
			if r.IntN(3) == 0 {
				continue
			}
			v := float64(r.IntN(1000)) / 8
			m.Points = append(m.Points, model.Point{Time: at, Value: v, Attrs: model.Attrs{{Key: "n", Value: model.String(fmt.Sprint(n))}}})
			drawn[fmt.Sprintf("%s/%d", service, n)] = v
		}
		if len(m.Points) > 0 {
			out.Batches = append(out.Batches, model.MetricBatch{Resource: &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String(service)}}},
				Scope: &model.Scope{}, Metrics: []model.Metric{m}})
		}
	}
	return out, drawn
}

func checkSeries(ctx context.Context, t *testing.T, seed uint64, r *rand.Rand, src query.MetricSource, samples map[string]map[int64]float64, first, last int64) {
	t.Helper()
	mint := first + r.Int64N(last-first+1)
	maxt := mint + r.Int64N(last-mint+1)
	service := pick(r, []*labels.Matcher{
		labels.MustNewMatcher(labels.MatchEqual, "job", "cart"), labels.MustNewMatcher(labels.MatchNotEqual, "job", "cart"),
		labels.MustNewMatcher(labels.MatchRegexp, "job", "c.*"), labels.MustNewMatcher(labels.MatchNotRegexp, "job", "c.*t")})
	name := labels.MustNewMatcher(labels.MatchEqual, "__name__", "level")
	want := map[string]map[int64]float64{}
	for key, points := range samples {
		var job, n string
		for i := range key {
			if key[i] == '/' {
				job, n = key[:i], key[i+1:]
			}
		}
		if !service.Matches(job) {
			continue
		}
		for ts, v := range points {
			if ts >= mint && ts <= maxt {
				if want[job+"/"+n] == nil {
					want[job+"/"+n] = map[int64]float64{}
				}
				want[job+"/"+n][ts] = v
			}
		}
	}
	q, err := src.Queryable("a").Querier(mint, maxt)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	got, order := map[string]map[int64]float64{}, []labels.Labels{}
	set := q.Select(ctx, true, nil, name, service)
	for set.Next() {
		s := set.At()
		order = append(order, s.Labels())
		points := map[int64]float64{}
		it := s.Iterator(nil)
		for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
			ts, v := it.At()
			points[ts] = v
		}
		require.NoError(t, it.Err())
		if len(points) > 0 {
			got[s.Labels().Get("job")+"/"+s.Labels().Get("n")] = points
		}
	}
	require.NoError(t, set.Err())
	require.Empty(t, set.Warnings())
	require.Equal(t, want, got, "seed %d: %s in [%d, %d]", seed, service, mint, maxt)
	require.True(t, sort.SliceIsSorted(order, func(i, j int) bool { return labels.Compare(order[i], order[j]) < 0 }), "sorted, as asked")
	values, _, err := q.LabelValues(ctx, "job", nil, name)
	require.NoError(t, err)
	require.Subset(t, []string{"cart", "checkout", "payment"}, values)
}
