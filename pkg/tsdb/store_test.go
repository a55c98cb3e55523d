package tsdb

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

func TestAppendAnswersAndSurvivesReopening(t *testing.T) {
	o := testOptions(t.TempDir())
	s := openTest(t, o)
	r := res("service.name", "shop", "service.namespace", "eu", "service.instance.id", "i1", "host.arch", "arm64")
	require.Zero(t, push(t, s, batch(r, counter("http.requests", point(0, 1, "http.method", "GET"), point(0, 2, "http.method", "PUT")))).Count)
	require.Zero(t, push(t, s, batch(r, counter("http.requests", point(10, 3, "http.method", "GET")))).Count)
	want := `{__name__="http_requests_total", http_method="GET", instance="i1", job="eu/shop", service_instance_id="i1", service_name="shop", service_namespace="eu"} 1@0 3@10
{__name__="http_requests_total", http_method="PUT", instance="i1", job="eu/shop", service_instance_id="i1", service_name="shop", service_namespace="eu"} 2@0
{__name__="target_info", host_arch="arm64", instance="i1", job="eu/shop"} 1@0 1@10`
	require.Equal(t, want, dump(t, s, tenant.Default))
	require.Empty(t, dump(t, s, "stranger"))
	hits, misses, series := s.cacheStats()
	require.Equal(t, []any{uint64(2), uint64(3), 3}, []any{hits, misses, series})
	require.NoError(t, s.Close())

	s = openTest(t, o)
	require.Equal(t, want, dump(t, s, tenant.Default))
	meta, err := s.Metadata(context.Background(), tenant.Default, "http_requests_total", 0)
	require.NoError(t, err)
	require.Equal(t, map[string]model.MetricMeta{"http_requests_total": {Type: "counter"}}, meta)
}

func TestOldestNeededFollowsTheSync(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	_, ok := s.OldestNeeded()
	require.False(t, ok)
	for _, pos := range []model.Position{9, 7, 8} {
		_, err := s.AppendMetrics(context.Background(), "a", pos, batch(res("service.name", "x"), gauge("g", point(int(pos), 1))))
		require.NoError(t, err)
	}
	pos, ok := s.OldestNeeded()
	require.True(t, ok)
	require.Equal(t, model.Position(7), pos)
	require.NoError(t, s.Sync())
	_, ok = s.OldestNeeded()
	require.False(t, ok)
}

// What was synced is in a copy of the folder taken without closing it, which is
// what a machine that lost power finds.
func TestCopyOfTheFolderHoldsWhatWasSynced(t *testing.T) {
	o := testOptions(t.TempDir())
	s := openTest(t, o)
	r := res("service.name", "x", "service.instance.id", "1")
	for i := range 50 {
		_, err := s.AppendMetrics(context.Background(), "a", model.Position(i+1), batch(r, counter("c", point(i, float64(i)), point(i-100, 1, "late", "yes"))))
		require.NoError(t, err)
	}
	_, err := s.AppendMetrics(context.Background(), "a", 51, batch(r, counter("c", point(20, 20.5)))) // out of order
	require.NoError(t, err)
	want := dump(t, s, "a")
	require.NoError(t, s.Sync())
	c := openTest(t, copyOf(t, o))
	require.Equal(t, want, dump(t, c, "a"))

	// The replay leaves out what is known to be here, and takes the rest again
	// without harm.
	_, err = c.AppendMetrics(context.Background(), "a", 3, batch(r, counter("other", point(1, 1))))
	require.NoError(t, err)
	require.Empty(t, dump(t, c, "a", named("other_total")))
	c.EndReplay()
	rej, err := c.AppendMetrics(context.Background(), "a", 3, batch(r, counter("c", point(2, 2), point(49, 49))))
	require.NoError(t, err)
	require.Zero(t, rej.Count, rej.Message())
	require.Equal(t, want, dump(t, c, "a"))
}

// After a failed commit nothing is taken until the database was opened again.
func TestAFailedCommitOpensTheDatabaseAgain(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Registerer = prometheus.NewRegistry()
	s := openTest(t, o)
	r := res("service.name", "x")
	m := counter("c", model.Point{Time: at(0), Value: 1, Exemplars: []model.Exemplar{{Value: 1, TraceID: traceID(1)}}})
	push(t, s, batch(r, m))
	db := s.lookup(tenant.Default)
	q, err := s.Queryable(tenant.Default).Querier(0, at(100)/1e6)
	require.NoError(t, err)
	db.broken.Store(true)
	require.ErrorContains(t, s.Health(), "cannot be written")
	_, err = s.AppendMetrics(context.Background(), tenant.Default, 3, batch(r, gauge("g", point(0, 1))))
	var over *model.OverloadError
	require.ErrorAs(t, err, &over)
	require.NoError(t, q.Close())
	require.NoError(t, q.Close())
	s.repair()
	require.NoError(t, s.Health())
	m.Points[0].Time = at(10)
	m.Points[0].Exemplars[0].TraceID = traceID(2)
	push(t, s, batch(r, m))
	require.Equal(t, `{__name__="c_total", job="x", service_name="x"} 1@0 1@10`, dump(t, s, tenant.Default))
	require.Equal(t, []string{"c_total  1 2", "c_total  1 3"}, exemplarsOf(t, s, predicate.ExemplarQuery{}))
}

func TestStateFile(t *testing.T) {
	var set model.PositionSet
	set.AddRange(1, 17)
	set.Add(19)
	got, err := parseState(formatState(&set))
	require.NoError(t, err)
	require.Equal(t, set, got)
	for _, bad := range []string{"", "v1", "v2 1-2 00000000", "v1 1-2 00000000", "v1 1-17,20 " + string(formatState(&set)[11:])} {
		_, err := parseState([]byte(bad))
		require.Error(t, err, bad)
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte("v1 1-17,19 0a5b3c2d\n"))
	f.Fuzz(func(t *testing.T, b []byte) { _, _ = parseState(b) })
}
