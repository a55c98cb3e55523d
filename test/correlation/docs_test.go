package correlation_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/correlation"
	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/query/federate"
	"braid/pkg/query/logql"
	"braid/pkg/query/traceql"
)

// TestExamplesOfTheDocumentPlan reads the queries of docs/federation.md in the
// real languages.
func TestExamplesOfTheDocumentPlan(t *testing.T) {
	spec := model.NewKeySpec(nil)
	e := federate.New(federate.Options{KeySpec: func() *model.KeySpec { return spec }, SpanFilter: traceql.SpanFilter, LogFilter: logql.LogFilter,
		Selectors: func(s string) ([][]query.LabelMatcher, error) {
			_, err := correlation.Selectors(s)
			return nil, err
		}})
	raw, err := os.ReadFile("../../docs/federation.md")
	require.NoError(t, err)
	blocks := strings.Split(string(raw), "```")
	found := 0
	for i := 1; i < len(blocks); i += 2 {
		p, err := e.Plan(blocks[i])
		require.NoError(t, err, blocks[i])
		require.NotEmpty(t, p.String())
		found++
	}
	require.Positive(t, found)
}
