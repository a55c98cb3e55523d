package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What an alert's evidence points at opens after the stores have dropped it: the
// spans and log lines of its requests, by the alert and by their ids.
func TestEvidenceOutlivesTheStores(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	rules := filepath.Join(dir, "rules.yml")
	require.NoError(t, os.WriteFile(rules, []byte(`groups:
- name: shop
  interval: 1s
  rules:
  - alert: CardsDeclined
    expr: sum by (service_name) ({__logql__="count_over_time({service_name=\"payment\"} |= \"declined\" [5m])"}) > 1
`), 0o600))
	p := start(t, "braid", "--data-dir", data, "--http.listen", "127.0.0.1:0", "--grpc.listen", "127.0.0.1:0",
		"--otlp.http.listen", "127.0.0.1:0", "--otlp.grpc.listen", "127.0.0.1:0", "--rules", rules)
	s := &system{ingest: p, query: p, alert: p, otlpHTTP: p.otlpHTTP, httpURL: p.http}
	c := sendTrace(t, traceHTTP(t, s), "req-kept")
	sendMetric(t, s, c, "")
	sendLog(t, s, c, "")
	sendLog(t, s, checkout{requestID: "req-alone-1234"}, "") // of a request without spans
	type episode struct {
		Fingerprint string
		HasEvidence bool
	}
	var list struct{ Alerts []episode }
	require.Eventually(t, func() bool {
		_, body := ask(t, p.http+"/api/braid/v1/alerts/history?name=CardsDeclined", "")
		require.NoError(t, json.Unmarshal([]byte(body), &list), body)
		return len(list.Alerts) == 1 && list.Alerts[0].HasEvidence
	}, startTimeout, 200*time.Millisecond)

	p.stop(syscall.SIGTERM)
	for _, store := range []string{"ingestlog", "metrics", "logs", "traces", "spanmetrics"} { // as retention leaves them, at worst
		require.NoError(t, os.RemoveAll(filepath.Join(data, store)))
	}
	left, err := os.ReadDir(data)
	require.NoError(t, err)
	for _, e := range left {
		require.Contains(t, []string{"alerting", "queries", "braid.lock", "all.lock", "dashboards", "snapshots"}, e.Name(), "only the alerter's own is left")
	}
	p.launch()

	id := c.trace.String()
	var pack struct {
		Evidence struct {
			Requests []struct {
				TraceID string
				Spans   []struct {
					Name       string
					Attributes map[string]any
				}
				Lines []struct{ Text string }
			}
			Logs []struct{ Text string }
		}
	}
	_, body := ask(t, p.http+"/api/braid/v1/alerts/"+list.Alerts[0].Fingerprint+"/evidence", "")
	require.NoError(t, json.Unmarshal([]byte(body), &pack), body)
	require.NotEmpty(t, pack.Evidence.Logs)
	require.NotEmpty(t, pack.Evidence.Requests, body)
	r := pack.Evidence.Requests[0]
	require.Equal(t, id, r.TraceID)
	require.Len(t, r.Spans, 2)
	require.NotEmpty(t, r.Lines)
	status, body := ask(t, p.http+"/api/braid/v1/alerts/request?id="+id, "")
	require.Equal(t, 200, status, body)
	require.Contains(t, body, "CardsDeclined")
	status, body = ask(t, p.http+"/api/braid/v1/alerts/request?id=nothing", "")
	require.Equal(t, 404, status, body)
	// The request's page in the UI asks this, by whatever id there is.
	for _, any := range []string{id, "req-kept"} {
		status, body = ask(t, p.http+"/api/braid/v1/correlate/"+any, "")
		require.Equal(t, 200, status, body)
		for _, want := range []string{"POST /checkout", "charge", "bank", "declined", "card declined", "bank asked again", "cafe0000", "shop_orders_total"} {
			require.True(t, strings.Contains(body, want), "%s: %s: %s", any, want, body)
		}
	}
	status, body = ask(t, p.http+"/api/braid/v1/correlate/req-alone-1234", "")
	require.Equal(t, 200, status, body)
	require.Contains(t, body, "card declined", "a request of which there are only log lines")
}
