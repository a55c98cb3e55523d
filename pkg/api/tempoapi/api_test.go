package tempoapi

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"braid/internal/testkit"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

func newShop() *API {
	src := testkit.NewMemTraces()
	src.Add(tenant.Default, testkit.Shop()...)
	return New(Options{Engine: traceql.NewEngine(traceql.Options{Source: src}),
		Now: func() time.Time { return time.Unix(0, testkit.ShopEpoch+60e9) }})
}

func TestHTTP(t *testing.T) {
	a := newShop()
	testkit.RunScript(t, "testdata/http.txt", func(q string) string { return testkit.AskHTTP(a, q) })
}

func TestTraceIsOTLP(t *testing.T) {
	a := newShop()
	r := httptest.NewRequest("GET", "/api/traces/1", nil)
	r.Header.Set("Accept", "application/protobuf")
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(w.Body.Bytes())
	require.NoError(t, err)
	require.Equal(t, 4, td.SpanCount())
	require.Equal(t, "application/protobuf", w.Header().Get("Content-Type"))
}

func TestParseTags(t *testing.T) {
	got, err := parseTags(`a=b  c="d \"e" f=`)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "b", "c": `d "e`, "f": ""}, got)
	for _, bad := range []string{"a", "=b", `a="b`, `a b=c`} {
		_, err := parseTags(bad)
		require.Error(t, err, bad)
	}
}
