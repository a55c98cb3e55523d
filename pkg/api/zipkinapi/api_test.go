package zipkinapi

import (
	"context"
	"testing"
	"time"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

type fixedGraph []model.ServiceEdge

func (g fixedGraph) Dependencies(_ context.Context, _ tenant.ID, r model.TimeRange) ([]model.ServiceEdge, error) {
	if !r.Contains(testkit.ShopEpoch) {
		return nil, nil
	}
	return g, nil
}

func TestHTTP(t *testing.T) {
	src := testkit.NewMemTraces()
	src.Add(tenant.Default, testkit.Shop()...)
	a := New(Options{Engine: traceql.NewEngine(traceql.Options{Source: src}),
		Graph: fixedGraph{{Parent: "front", Child: "cart", Calls: 2, Errors: 1}},
		Now:   func() time.Time { return time.Unix(0, testkit.ShopEpoch+60e9) }})
	testkit.RunScript(t, "testdata/http.txt", func(q string) string { return testkit.AskHTTP(a, q) })
}
