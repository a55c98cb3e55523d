package promapi

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/pkg/query/engine"
	"braid/pkg/tenant"
)

// TestBudgetOfATenant: a query that takes too much ends with the limit's name;
// one that stays within it, and another tenant's, are answered.
func TestBudgetOfATenant(t *testing.T) {
	_, source := newTest(t)
	budget := Budget{}
	guard := engine.New(engine.Options{})
	h, err := New(Options{Source: source, Now: func() time.Time { return now }, Guard: guard, Budget: func(id tenant.ID) Budget {
		if id == "a" {
			return budget
		}
		return Budget{Samples: 1, Bytes: 1}
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	const (
		many  = "/api/v1/query?query=sum_over_time(up[10m])&time=1700000000"
		fused = "/api/v1/query_range?query=sum(rate(up[10m]))&start=1699999400&end=1700000000&step=60"
		few   = "/api/v1/query?query=up&time=1700000000"
	)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		budget = Budget{}
		for _, q := range []string{many, fused, few} {
			require.Equal(t, 200, call(h, method, q, "a").Code)
		}
		budget = Budget{Samples: 10}
		for _, q := range []string{many, fused} {
			w := call(h, method, q, "a")
			require.Equal(t, 422, w.Code, w.Body.String())
			require.Contains(t, w.Body.String(), "more than 10 samples, which is the limit query_samples")
		}
		require.Equal(t, 200, call(h, method, few, "a").Code)
		budget = Budget{Bytes: 20}
		w := call(h, method, many, "a")
		require.Equal(t, 422, w.Code, w.Body.String())
		require.Contains(t, w.Body.String(), "more than 20 bytes, which is the limit query_bytes")
		require.Positive(t, guard.Log("a")[0].Bytes, "the log says what it read")
		budget = Budget{Samples: 1000, Bytes: 100_000}
		for _, q := range []string{many, fused, few} {
			require.Equal(t, 200, call(h, method, q, "a").Code)
		}
		require.Equal(t, 200, call(h, method, few, "stranger").Code, "it has no series")
		budget = Budget{Timeout: time.Nanosecond}
		w = call(h, method, few, "a")
		require.Equal(t, 503, w.Code, w.Body.String())
		require.Contains(t, w.Body.String(), `"errorType":"timeout"`)
	}
}
