package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Stand-ins for PagerDuty's Events API v2, Slack's incoming webhook and a plain
// webhook get what their documentation defines, with the evidence in it.
func TestPayloadsCarryEvidence(t *testing.T) {
	type call struct {
		path string
		body map[string]any
	}
	calls := make(chan call, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var c call
		b, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(b, &c.body); err != nil {
			t.Errorf("%s: %v: %s", r.URL.Path, err, b)
		}
		c.path = r.URL.Path
		if r.URL.Path == "/pagerduty" {
			w.WriteHeader(http.StatusAccepted)
		}
		calls <- c
	}))
	defer srv.Close()
	dir := t.TempDir()
	text, err := os.ReadFile("../../../deploy/alertmanager.yml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key"), []byte("a-routing-key"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "slack"), []byte(srv.URL+"/slack"), 0o600))
	templates, err := filepath.Abs("../../../deploy/templates/braid.tmpl")
	require.NoError(t, err)
	conf := strings.NewReplacer("templates/braid.tmpl", templates, "/etc/braid/pagerduty.key", filepath.Join(dir, "key"),
		"/etc/braid/slack.url", filepath.Join(dir, "slack"), "https://deadman.example.org/braid", srv.URL+"/webhook",
		"group_wait: 10s", "group_wait: 10ms", "smarthost: mail.example.org:587", "smarthost: 127.0.0.1:1").Replace(string(text))
	conf = fmt.Sprintf("global: {pagerduty_url: %q}\n", srv.URL+"/pagerduty") + conf
	a := start(t, Options{ConfigFile: write(t, dir, conf), Dir: filepath.Join(dir, "am")})

	page := firing("Failing", "1")
	page.Labels["severity"] = "page"
	page.Annotations = map2(map[string]string{"summary": "cart fails", "runbook_url": "https://r/1", "braid_requests": "4bf9 cart /checkout, 2.3s",
		"braid_logs": "[error] cart: <!channel> & more", "braid_different": "pod = 7 (92 %)", "braid_values": "5", "braid_evidence_url": "https://o/e"})
	chat := *page
	chat.Labels = page.Labels.Clone()
	chat.Labels["severity"] = "warning"
	watchdog := firing("Watchdog", "1")
	require.NoError(t, a.Put(context.Background(), page, &chat, watchdog))
	got := map[string]map[string]any{}
	for len(got) < 3 {
		c := <-calls
		got[c.path] = c.body
	}
	require.NoError(t, a.Close())

	pd := got["/pagerduty"]
	require.Equal(t, "a-routing-key", pd["routing_key"])
	require.Equal(t, "trigger", pd["event_action"])
	require.NotEmpty(t, pd["dedup_key"])
	payload := pd["payload"].(map[string]any)
	require.Equal(t, "critical", payload["severity"])
	require.Contains(t, payload["summary"], "cart fails")
	require.NotEmpty(t, payload["source"])
	details := payload["custom_details"].(map[string]any)
	require.Equal(t, "4bf9 cart /checkout, 2.3s", details["requests"])
	require.Equal(t, "[error] cart: <!channel> & more", details["logs"])
	require.Equal(t, "https://o/e", details["evidence"])
	require.Equal(t, "https://o/e", pd["links"].([]any)[0].(map[string]any)["href"])

	attachment := got["/slack"]["attachments"].([]any)[0].(map[string]any)
	require.Equal(t, "#alerts", got["/slack"]["channel"])
	require.Equal(t, "https://o/e", attachment["title_link"])
	require.Contains(t, attachment["text"], "[error] cart: &lt;!channel&gt; &amp; more", "a log line cannot call a channel")
	require.Contains(t, attachment["text"], "<https://o/e|Evidence> · <https://r/1|Runbook>")

	hook := got["/webhook"]
	require.Equal(t, "4", hook["version"])
	require.Equal(t, "firing", hook["status"])
	require.Equal(t, "deadman", hook["receiver"])
	require.Equal(t, "Watchdog", hook["alerts"].([]any)[0].(map[string]any)["labels"].(map[string]any)["alertname"])
}
