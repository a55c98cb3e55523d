package tsdb

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
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
