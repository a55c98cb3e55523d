package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
)

// Three alerters evaluate the same rules and page as one: one page a group. When
// the one whose turn it is first is killed, the next pages.
func TestAlertersPageAsOne(t *testing.T) {
	var mu sync.Mutex
	pages := map[string]int{}
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var page struct {
			Status       string
			CommonLabels map[string]string
		}
		if json.NewDecoder(r.Body).Decode(&page) == nil {
			mu.Lock()
			defer mu.Unlock()
			pages[page.Status+" "+page.CommonLabels["alertname"]]++
		}
	}))
	defer hook.Close()
	paged := func(what string) int {
		mu.Lock()
		defer mu.Unlock()
		return pages[what]
	}
	const turn = 3 * time.Second
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	am := file("alertmanager.yml", fmt.Sprintf("route: {receiver: hook, group_wait: 1s, group_by: [alertname]}\nreceivers: [{name: hook, webhook_configs: [{url: %q}]}]\n", hook.URL))
	rules := file("rules.yml", `groups:
- name: g
  interval: 1s
  rules:
  - {alert: First, expr: vector(1)}
  - {alert: Second, expr: 'sum({__logql__="count_over_time({service_name=\"payment\"} |= \"declined\" [5m])"}) > 0'}
`)
	config := file("braid.yml", fmt.Sprintf("alerting: {cluster: {peer_timeout: %s}}\n", turn))
	store := start(t, "braid", "--data-dir", t.TempDir(), "--http.listen", "127.0.0.1:0", "--grpc.listen", "127.0.0.1:0",
		"--otlp.http.listen", "127.0.0.1:0", "--otlp.grpc.listen", "127.0.0.1:0")
	gossip := freePort(t)
	var alerters []*process
	for i := range 3 {
		args := []string{"--config", config, "--data-dir", t.TempDir(), "--http.listen", "127.0.0.1:0", "--grpc.listen", "127.0.0.1:0",
			"--otlp.http.listen", "127.0.0.1:1", "--otlp.grpc.listen", "127.0.0.1:2", "--querier", store.grpc, "--write", store.http,
			"--rules", rules, "--alertmanager.config", am}
		if i == 0 {
			args = append(args, "--alerting.cluster.listen", gossip)
		} else {
			args = append(args, "--alerting.cluster.listen", freePort(t), "--alerting.cluster.peers", gossip)
		}
		alerters = append(alerters, start(t, "alerter", args...))
	}
	type status struct {
		Cluster struct {
			Name, Status string
			Peers        []struct{ Name string }
		}
	}
	names := map[string]*process{}
	for _, a := range alerters {
		require.Eventually(t, func() bool {
			var s status
			_, body := ask(t, a.http+"/api/v2/status", "")
			require.NoError(t, json.Unmarshal([]byte(body), &s), body)
			names[s.Cluster.Name] = a
			return s.Cluster.Status == "ready" && len(s.Cluster.Peers) == 3
		}, startTimeout, 200*time.Millisecond)
	}
	require.Len(t, names, 3)
	require.Eventually(t, func() bool { return paged("firing First") > 0 }, startTimeout, 100*time.Millisecond)
	time.Sleep(3 * turn) // every turn has passed
	require.Equal(t, 1, paged("firing First"), "one page a group")

	// A silence that one has been given, all have.
	works(t, "amtool", "--alertmanager.url="+alerters[0].http, "silence", "add", "alertname=Never", "--comment=c", "--author=me")
	for _, a := range alerters {
		require.Eventually(t, func() bool {
			return strings.Contains(works(t, "amtool", "--alertmanager.url="+a.http, "silence", "query"), "Never")
		}, startTimeout, 200*time.Millisecond)
	}

	var order []string
	for name := range names {
		order = append(order, name)
	}
	sort.Strings(order)
	names[order[0]].kill()
	sendLog(t, &system{otlpHTTP: store.otlpHTTP, ingest: store}, checkout{requestID: "req-ha", trace: trace.TraceID{1}, span: trace.SpanID{2}}, "")
	require.Eventually(t, func() bool { return paged("firing Second") > 0 }, 2*startTimeout, 100*time.Millisecond)
	time.Sleep(3 * turn)
	require.Equal(t, 1, paged("firing Second"))
	require.Equal(t, 1, paged("firing First"), "what was paged is not paged again")
	require.Zero(t, paged("resolved First"))
}
