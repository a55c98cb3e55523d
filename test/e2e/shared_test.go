package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// send sends a request with a body and returns status and answer.
func send(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// becomes waits until a path of a process answers with a status.
func becomes(t *testing.T, p *process, path string, status int, contains string) {
	t.Helper()
	require.Eventually(t, func() bool {
		code, body := ask(t, p.http+path, "")
		return code == status && strings.Contains(body, contains)
	}, 2*startTimeout, 100*time.Millisecond, path)
}

// What the API sets at one alerter, rules and receivers, is in force at all;
// also at one that was away, and what is deleted meanwhile stays deleted.
func TestAlertersShareWhatTheAPISets(t *testing.T) {
	pages := make(chan string, 100)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		pages <- string(b)
	}))
	defer hook.Close()
	config := filepath.Join(t.TempDir(), "braid.yml")
	require.NoError(t, os.WriteFile(config, []byte("alerting: {cluster: {peer_timeout: 1s}, receivers: {api: true, allow: [127.0.0.0/8]}}\n"), 0o600))
	store := start(t, "braid", "--data-dir", t.TempDir(), "--http.listen", "127.0.0.1:0", "--grpc.listen", "127.0.0.1:0",
		"--otlp.http.listen", "127.0.0.1:0", "--otlp.grpc.listen", "127.0.0.1:0")
	gossips := []string{freePort(t), freePort(t)}
	var alerters []*process
	for i := range gossips {
		alerters = append(alerters, start(t, "alerter", "--config", config, "--data-dir", t.TempDir(), "--http.listen", "127.0.0.1:0", "--grpc.listen", "127.0.0.1:0",
			"--otlp.http.listen", "127.0.0.1:1", "--otlp.grpc.listen", "127.0.0.1:2", "--querier", store.grpc, "--write", store.http,
			"--alerting.cluster.listen", gossips[i], "--alerting.cluster.peers", gossips[1-i]))
	}
	a, b := alerters[0], alerters[1]
	for _, p := range alerters {
		require.Eventually(t, func() bool {
			_, body := ask(t, p.http+"/api/v2/status", "")
			return strings.Contains(body, `"ready"`) && strings.Count(body, `"address"`) == 2
		}, 2*startTimeout, 100*time.Millisecond)
	}
	const rules, settings = "/config/v1/rules", "/config/v1/alertmanager"

	// Receivers first, so that the page goes somewhere.
	code, body := send(t, http.MethodPost, a.http+settings, fmt.Sprintf("alertmanager_config: |\n  route: {receiver: hook, group_by: [alertname], group_wait: 1s}\n  receivers: [{name: hook, webhook_configs: [{url: %q}]}]\n", hook.URL))
	require.Equal(t, http.StatusCreated, code, body)
	becomes(t, b, settings, http.StatusOK, "hook")
	code, body = send(t, http.MethodPost, b.http+rules+"/ns", "name: kept\ninterval: 1s\nrules: [{alert: SetByAPI, expr: vector(1)}]\n")
	require.Equal(t, http.StatusAccepted, code, body)
	code, body = send(t, http.MethodPost, b.http+rules+"/ns", "name: passing\nrules: [{alert: Passing, expr: vector(0) > 1}]\n")
	require.Equal(t, http.StatusAccepted, code, body)
	for _, p := range alerters {
		becomes(t, p, rules+"/ns/kept", http.StatusOK, "SetByAPI")
		becomes(t, p, "/api/v1/rules", http.StatusOK, "Passing")
	}
	select {
	case page := <-pages:
		require.Contains(t, page, "SetByAPI")
	case <-time.After(2 * startTimeout):
		t.Fatal("nobody was paged")
	}

	// One is away while things change at the other.
	a.kill()
	code, body = send(t, http.MethodDelete, b.http+rules+"/ns/passing", "")
	require.Equal(t, http.StatusAccepted, code, body)
	code, body = send(t, http.MethodPost, b.http+rules+"/ns", "name: late\nrules: [{alert: Late, expr: vector(0) > 1}]\n")
	require.Equal(t, http.StatusAccepted, code, body)
	code, body = send(t, http.MethodDelete, b.http+settings, "")
	require.Equal(t, http.StatusOK, code, body)
	a.launch()
	becomes(t, a, rules+"/ns/late", http.StatusOK, "Late")
	becomes(t, a, rules+"/ns/passing", http.StatusNotFound, "")
	becomes(t, a, settings, http.StatusNotFound, "")
	becomes(t, b, rules+"/ns/passing", http.StatusNotFound, "")
	becomes(t, a, rules+"/ns/kept", http.StatusOK, "SetByAPI")
}
