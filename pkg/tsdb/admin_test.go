package tsdb

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"

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

// A tenant's own retention rules what is taken and how long it stays; the others
// keep the store's.
func TestRetentionOfATenant(t *testing.T) {
	now := t0.Add(-5 * time.Hour)
	o := testOptions(t.TempDir())
	o.Now = func() time.Time { return now }
	o.Retention = 24 * time.Hour
	o.Limits = func(id tenant.ID) Limits {
		if id == "short" {
			return Limits{Retention: 3 * time.Hour}
		}
		return Limits{}
	}
	s := openTest(t, o)
	both := []tenant.ID{"short", "long"}
	push := func(id tenant.ID, seconds int) model.Rejections {
		t.Helper()
		rej, err := s.AppendMetrics(context.Background(), id, 0, batch(nil, gauge("g", point(seconds, 1))))
		require.NoError(t, err)
		return rej
	}
	// compact writes blocks, after which the database drops those that are too old,
	// and returns when the oldest one ends, from t0 on.
	compact := func(id tenant.ID) time.Duration {
		t.Helper()
		db := s.lookup(id).db
		require.NoError(t, db.CompactHead(promtsdb.NewRangeHead(db.Head(), db.Head().MinTime(), db.Head().MaxTime())))
		require.NotEmpty(t, db.Blocks())
		return time.UnixMilli(db.Blocks()[0].MaxTime()).Sub(t0).Round(time.Second)
	}
	for _, id := range both {
		require.Zero(t, push(id, -5*3600).Count)
		require.Equal(t, -5*time.Hour, compact(id))
	}
	now = t0
	for id, refused := range map[tenant.ID]int64{"short": 1, "long": 0} {
		rej := push(id, -4*3600)
		require.Equal(t, refused, rej.Count, id)
		if refused > 0 {
			require.Contains(t, rej.Message(), "older than the retention of 3h0m0s")
		}
		require.Zero(t, push(id, 0).Count)
	}
	require.Greater(t, compact("short"), -3*time.Hour, "the block of five hours ago is gone")
	require.Equal(t, -5*time.Hour, compact("long"))
	require.Equal(t, `{__name__="g"} 1@0`, dump(t, s, "short"))
	require.Equal(t, `{__name__="g"} 1@-18000 1@-14400 1@0`, dump(t, s, "long"))
}
