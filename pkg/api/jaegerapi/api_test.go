package jaegerapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

func newShop() *API {
	src := testkit.NewMemTraces()
	src.Add(tenant.Default, testkit.Shop()...)
	return New(Options{Engine: traceql.NewEngine(traceql.Options{Source: src}),
		Now: func() time.Time { return time.Unix(0, testkit.ShopEpoch+60e9) }})
}

func TestLegacy(t *testing.T) {
	a := newShop()
	testkit.RunScript(t, "testdata/legacy.txt", func(q string) string { return testkit.AskHTTP(a, q) })
}

func TestV3(t *testing.T) {
	a := newShop()
	testkit.RunScript(t, "testdata/v3.txt", func(q string) string { return testkit.AskHTTP(a, q) })
}

func TestMonitor(t *testing.T) {
	a := newShop()
	testkit.RunScript(t, "testdata/monitor.txt", func(q string) string { return testkit.AskHTTP(a, q) })
}

// busy refuses every query.
type busy struct{}

func (busy) Begin(context.Context, tenant.ID, string, string) (context.Context, func(*model.QueryStats, error), error) {
	return nil, nil, &model.OverloadError{Tenant: true, RetryAfter: 2 * time.Second, Reason: "too many queries"}
}

func TestOverloadIsSaid(t *testing.T) {
	src := testkit.NewMemTraces()
	a := New(Options{Engine: traceql.NewEngine(traceql.Options{Source: src, Guard: busy{}}), Guard: busy{}})
	for _, path := range []string{"/api/traces/1", "/api/traces?service=x", "/api/dependencies", "/api/metrics/calls?service=x",
		"/api/v3/traces?query.start_time_min=2023-11-14T22:13:20Z&query.start_time_max=2023-11-14T22:13:21Z"} {
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		require.Equal(t, http.StatusTooManyRequests, w.Code, path)
		require.Equal(t, "2", w.Header().Get("Retry-After"))
		require.Contains(t, w.Body.String(), "too many queries")
	}
}

func TestDispatchByAccept(t *testing.T) {
	say := func(word string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(word)) })
	}
	d := Dispatch(say("tempo"), say("jaeger"))
	for accept, want := range map[string]string{"application/protobuf": "tempo", "text/html, application/x-protobuf": "tempo", "application/json": "jaeger", "": "jaeger"} {
		r := httptest.NewRequest("GET", "/api/traces/1", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		require.Equal(t, want, w.Body.String(), accept)
	}
}

// TestOperationsOfNoKind: the newer generation calls them internal over HTTP.
func TestOperationsOfNoKind(t *testing.T) {
	src := testkit.NewMemTraces()
	row := model.SpanRow{Resource: &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String("s")}}}}
	row.TraceID[0], row.SpanID[0], row.Name = 1, 1, "work"
	src.Add(tenant.Default, row)
	a := New(Options{Engine: traceql.NewEngine(traceql.Options{Source: src})})
	require.Contains(t, testkit.AskHTTP(a, "GET /api/v3/operations?service=s"), `"spanKind": "internal"`)
	require.Contains(t, testkit.AskHTTP(a, "GET /api/operations?service=s"), `"spanKind": ""`)
	require.Contains(t, testkit.AskHTTP(a, "GET /api/v3/operations"), `"operations": []`)
}

// TestLargeIntegersAreText: a browser would round them.
func TestLargeIntegersAreText(t *testing.T) {
	for n, want := range map[int64]string{1<<53 - 1: "9007199254740991", 1 << 53: `"9007199254740992"`, -1 << 53: `"-9007199254740992"`} {
		b, err := legacyInt(n).MarshalJSON()
		require.NoError(t, err)
		require.Equal(t, want, string(b))
	}
}
