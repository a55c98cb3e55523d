package jaegerapi

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
