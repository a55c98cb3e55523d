package tsdb

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

func TestDeleteAndStats(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	push(t, s, batch(nil, gauge("g", point(0, 1, "a", "1"), point(0, 2, "a", "2")), gauge("h", point(0, 1))))
	a := s.Admin(tenant.Default)
	stats, err := a.Stats(labels.MetricName, 10)
	require.NoError(t, err)
	require.Equal(t, uint64(3), stats.NumSeries)
	require.Equal(t, "g", stats.IndexPostingStats.CardinalityMetricsStats[0].Name)
	require.NoError(t, a.Delete(context.Background(), math.MinInt64, math.MaxInt64, labels.MustNewMatcher(labels.MatchEqual, "a", "1")))
	require.Equal(t, "{__name__=\"g\", a=\"2\"} 2@0\n{__name__=\"h\"} 1@0", dump(t, s, tenant.Default))
	require.NoError(t, a.CleanTombstones())
	none := s.Admin("none")
	stats, err = none.Stats("", 1)
	require.NoError(t, err)
	require.Zero(t, stats.NumSeries)
	require.NoError(t, none.Delete(context.Background(), 0, 1))
	require.Error(t, none.Snapshot(t.TempDir(), true))
}

func TestSnapshotHoldsEverything(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	push(t, s, batch(nil, gauge("g", point(0, 1)), counter("c", model.Point{Time: at(0), Value: 1, Exemplars: []model.Exemplar{{Value: 1}}})))
	dir := filepath.Join(t.TempDir(), "snap")
	require.NoError(t, s.Admin(tenant.Default).Snapshot(dir, true))
	db, err := promtsdb.OpenDBReadOnly(dir, t.TempDir(), nil)
	require.NoError(t, err)
	blocks, err := db.Blocks()
	require.NoError(t, err)
	require.Len(t, blocks, 1)
	require.Equal(t, uint64(2), blocks[0].Meta().Stats.NumSeries)
	require.NoError(t, db.Close())
	m, err := openMeta(filepath.Join(dir, "metadata.jsonl"))
	require.NoError(t, err)
	require.Len(t, m.get("", 0), 2)
	require.NoError(t, m.close())
}

func TestLimitsNameThemselvesAndTheSeries(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		want   string
		kept   int
	}{
		{Limits{ActiveSeries: 3}, `limit active_series of 3 reached by series {__name__="g", n="3"}`, 3},
		{Limits{NewSeriesPerMinute: 2}, `limit new_series_per_minute of 2 reached by series {__name__="g", n="2"}`, 2},
		{Limits{LabelsPerSeries: 1}, `limit labels_per_series of 1 reached by series {__name__="g", n="0"}`, 0},
		{Limits{LabelValueLength: 0, LabelNameLength: 7}, `limit label_name_length of 7 reached by series g{__name__`, 0},
		{Limits{LabelValueLength: 1}, `limit label_value_length of 1 reached by series g{n=10`, 10},
	} {
		t.Run(c.want, func(t *testing.T) {
			o := testOptions(t.TempDir())
			o.Limits = func(tenant.ID) Limits { return c.limits }
			s := openTest(t, o)
			var pts []model.Point
			for i := range 12 {
				pts = append(pts, point(0, 1, "n", fmt.Sprint(i)))
			}
			rej := push(t, s, batch(nil, gauge("g", pts...)))
			require.Equal(t, int64(12-c.kept), rej.Count)
			require.Contains(t, rej.Message(), c.want)
			// What is there goes on being taken.
			if c.kept > 0 {
				require.Zero(t, push(t, s, batch(nil, gauge("g", point(1, 1, "n", "0")))).Count)
			}
		})
	}
}

func TestTenantsAreBounded(t *testing.T) {
	o := testOptions(t.TempDir())
	o.MaxTenants = 1
	s := openTest(t, o)
	push(t, s, batch(nil, gauge("g", point(0, 1))))
	_, err := s.AppendMetrics(context.Background(), "other", 0, batch(nil, gauge("g", point(0, 1))))
	var over *model.OverloadError
	require.ErrorAs(t, err, &over)
	require.True(t, over.Tenant)
}
