package grafana_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestServiceMapOfTempo asks what the Service graph tab of Grafana's Tempo data
// source asks of the metrics data source that it is linked to: the edges with
// their failures and durations, and the table of operations.
func TestServiceMapOfTempo(t *testing.T) {
	require.Equal(t, "braid-metrics", sources(t)["braid-traces"].JSONData["serviceMap"].(map[string]any)["datasourceUid"])
	const span = "[1800s]"
	for _, query := range []string{
		`sum by (client, server) (rate(traces_service_graph_request_total` + span + `))`,
		`sum by (client, server) (rate(traces_service_graph_request_server_seconds_sum` + span + `))`,
		`sum by (client, server) (rate(traces_service_graph_request_server_seconds_count` + span + `))`,
		`histogram_quantile(.9, sum(rate(traces_service_graph_request_server_seconds_bucket` + span + `)) by (le, client, server))`,
		`sum by (client, server) (rate(traces_service_graph_request_failed_total` + span + `))`,
	} {
		var a promAnswer
		require.Eventually(t, func() bool {
			a = promAnswer{}
			promInstant(query, time.Now()).read(t, &a)
			return len(a.Data.Result) > 0
		}, startTimeout, 500*time.Millisecond, query)
		for _, r := range a.Data.Result {
			require.NotEmpty(t, r.Metric["client"], query)
			require.NotEmpty(t, r.Metric["server"], query)
		}
	}
	for _, query := range []string{
		`topk(5, sum(rate(traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER"}` + span + `)) by (span_name))`,
		`topk(5, sum(rate(traces_spanmetrics_calls_total{status_code="STATUS_CODE_ERROR",span_name=~"POST /checkout|shop.+"}` + span + `)) by (span_name))`,
		`histogram_quantile(.9, sum(rate(traces_spanmetrics_latency_bucket{status_code="STATUS_CODE_ERROR",span_name=~"POST /checkout|shop.+"}` + span + `)) by (le, span_name))`,
	} {
		var a promAnswer
		promInstant(query, time.Now()).read(t, &a)
		require.NotEmpty(t, a.Data.Result, query)
		for _, r := range a.Data.Result {
			require.NotEmpty(t, strings.TrimSpace(r.Metric["span_name"]), query)
		}
	}
}
