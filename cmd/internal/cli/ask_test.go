package cli

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQueryTellsJoinsFromPromQL(t *testing.T) {
	for text, want := range map[string]bool{
		"slow = traces {duration > 1s}\nfrom slow | count":       true,
		"# what is slow\n\n  slow=traces { }\nfrom slow | count": true,
		"a.b = logs {x=\"y\"}; from a.b":                         true,
		"e = exemplars http_request_duration_bucket\nfrom e":     true,
		"up":                            false,
		"logs == 1":                     false,
		"sum by (traces) (rate(x[5m]))": false,
		"traces":                        false,
		"# slow = traces {}\nup":        false,
		"{__logql__=\"x = logs {}\"}":   false,
		"rate(http_requests_total{job=\"logs\"}[5m]) > 2 # traces": false,
	} {
		require.Equal(t, want, joins.MatchString(text), text)
	}
}
