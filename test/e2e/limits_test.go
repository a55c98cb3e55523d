package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLimitsOfATenant sets limits for one tenant: it is told by name what it
// sends too much of, the others are not touched, and a reload changes them.
func TestLimitsOfATenant(t *testing.T) {
	file := filepath.Join(t.TempDir(), "braid.yaml")
	configure := func(limits string) {
		require.NoError(t, os.WriteFile(file, []byte("tenants:\n  small: {"+limits+"}\n"), 0o600))
	}
	configure("span_size: 2KiB, max_age: 1h, max_future: 10m, log_record_size: 32")
	p := start(t, "braid", "--config", file, "--data-dir", t.TempDir(), "--http.listen", "127.0.0.1:0", "--grpc.listen", "127.0.0.1:0",
		"--otlp.http.listen", "127.0.0.1:0", "--otlp.grpc.listen", "127.0.0.1:0")
	send := func(who, path, body string) (*http.Response, string) {
		r, err := http.NewRequest(http.MethodPost, p.otlpHTTP+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Scope-OrgID", who)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		answer, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp, string(answer)
	}
	span := func(id int, age time.Duration, text string) string {
		at := time.Now().Add(-age).UnixNano()
		return fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[
			{"traceId":"%032x","spanId":"%016x","name":"pay","startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[{"key":"text","value":{"stringValue":%q}}]}]}]}]}`, id, id, at, at+1000, text)
	}
	long := strings.Repeat("x", 3000)
	for name, c := range map[string]struct{ body, want string }{
		"too large": {span(1, 0, long), "larger than"},
		"too old":   {span(2, 2*time.Hour, ""), "older than the limit of 1h0m0s"},
		"too new":   {span(3, -30*time.Minute, ""), "more than 10m0s ahead of the clock"},
		"good":      {span(4, 30*time.Minute, ""), ""},
	} {
		for _, who := range []string{"small", "default"} {
			resp, answer := send(who, "/v1/traces", c.body)
			require.Equal(t, 200, resp.StatusCode, answer)
			if who == "small" && c.want != "" {
				require.Contains(t, answer, c.want, name)
				require.Contains(t, answer, `"rejectedSpans":"1"`, name)
			} else {
				require.NotContains(t, answer, "partialSuccess", "%s: %s", who, name)
			}
		}
	}

	now := time.Now().UnixNano()
	line := fmt.Sprintf(`{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeLogs":[{"logRecords":[
		{"timeUnixNano":"%d","body":{"stringValue":"a line that is longer than what its tenant may send"}}]}]}]}`, now)
	for who, want := range map[string]string{"small": `a line that is longer th…[cut]`, "default": "may send"} {
		_, answer := send(who, "/v1/logs", line)
		require.NotContains(t, answer, "partialSuccess")
		_, found := ask(t, p.http+"/loki/api/v1/query_range?query=%7Bservice_name%3D%22shop%22%7D", who)
		require.Contains(t, found, want)
	}

	// More bytes a second than allowed: wait, says the answer, and how long.
	configure("bytes_per_second: 1")
	reload, err := http.Post(p.http+"/-/reload", "", nil)
	require.NoError(t, err)
	require.Equal(t, 200, reload.StatusCode)
	_ = reload.Body.Close()
	// What may come at once, 64 MiB, is taken first.
	big := strings.Repeat(" ", 40<<20) + "{}"
	resp, answer := send("small", "/v1/traces", big)
	require.Equal(t, 200, resp.StatusCode, answer)
	last, said := send("small", "/v1/traces", big)
	require.Equal(t, 429, last.StatusCode, said)
	require.NotEmpty(t, last.Header.Get("Retry-After"))
	require.Contains(t, said, `tenant \"small\" sends more than its limit of 1 bytes a second`)
	resp, answer = send("default", "/v1/traces", span(5, 0, ""))
	require.Equal(t, 200, resp.StatusCode, answer)
}
