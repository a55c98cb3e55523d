package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tool runs a Debian program; test/e2e/tools.sh installs what is not there.
func tool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(args[0])
	require.NoError(t, err, "run test/e2e/tools.sh")
	ctx, cancel := context.WithTimeout(context.Background(), 2*startTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args[1:]...).CombinedOutput()
	return string(out), err
}

func works(t *testing.T, args ...string) string {
	t.Helper()
	out, err := tool(t, args...)
	require.NoError(t, err, "%v: %s", args, out)
	return out
}

// Rule files that both take, and that both refuse.
var goodRules, badRules = map[string]string{
	"all keys": `groups:
- name: g
  interval: 30s
  limit: 10
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
    labels: {team: a}
  - alert: Down
    expr: up == 0
    for: 5m
    keep_firing_for: 10m
    labels: {severity: page, instance_link: 'http://{{ $labels.instance }}'}
    annotations: {summary: '{{ $labels.job | toUpper }} {{ printf "%.2f" $value }} {{ range query "up" }}{{ .Value | humanize }}{{ end }}'}
`,
	"the other languages": `groups:
- name: g
  rules:
  - alert: Refused
    expr: sum by (service_name) ({__logql__="count_over_time({service_name=\"payment\"} |= \"refused\" [5m])"}) > 10
  - alert: Errors
    expr: '{__traceql__="{ status = error } | rate()"} > 0.1'
`,
	"nothing": "groups: []\n",
}, map[string]string{
	"unknown key":      "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    language: logql\n",
	"no expression":    "groups:\n- name: g\n  rules:\n  - alert: A\n",
	"bad expression":   "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: sum(\n",
	"both":             "groups:\n- name: g\n  rules:\n  - {alert: A, record: b, expr: up}\n",
	"for of a record":  "groups:\n- name: g\n  rules:\n  - {record: b, expr: up, for: 1m}\n",
	"bad template":     "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, annotations: {s: '{{ $x'}}\n",
	"bad duration":     "groups:\n- name: g\n  interval: soon\n  rules:\n  - {alert: A, expr: up}\n",
	"group of no name": "groups:\n- rules:\n  - {alert: A, expr: up}\n",
	"names twice":      "groups:\n- {name: g, rules: [{alert: A, expr: up}]}\n- {name: g, rules: [{alert: A, expr: up}]}\n",
}

// promtool takes every rule file that Braid takes, and the other way round;
// unit tests have the same verdict.
func TestPromtool(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".yml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	var files []string
	for name, text := range goodRules {
		files = append(files, write(name, text))
	}
	for _, pattern := range []string{"../../deploy/rules/*.yml", "rules/*.yml", "../../cmd/internal/ruletest/testdata/rules.yml"} {
		more, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, more, pattern)
		files = append(files, more...)
	}
	for _, f := range files {
		command(t, "check", "rules", f)
		works(t, "promtool", "check", "rules", f)
	}
	for name, text := range badRules {
		f := write("bad "+name, text)
		out, err := tool(t, "promtool", "check", "rules", f)
		require.Error(t, err, "promtool: %s: %s", name, out)
		mine, err := exec.Command(filepath.Join(bin, "braid"), "check", "rules", f).CombinedOutput()
		require.Error(t, err, "braid: %s", name)
		require.Contains(t, string(mine), f, "the file is named")
	}

	rules := write("up", goodRules["all keys"])
	unit := func(name, state string) string {
		return write(name, "rule_files: ["+rules+"]\nevaluation_interval: 1m\ntests:\n- interval: 1m\n  input_series: [{series: 'up{job=\"a\", instance=\"i\"}', values: '"+state+
			"'}]\n  alert_rule_test:\n  - {eval_time: 7m, alertname: Down, exp_alerts: [{exp_labels: {job: a, instance: i, severity: page, instance_link: 'http://i'}, exp_annotations: {summary: 'A 0.00 0'}}]}\n")
	}
	good, bad := unit("unit good", "0x20"), unit("unit bad", "1x20")
	works(t, "promtool", "test", "rules", good)
	command(t, "test", "rules", good)
	_, err := tool(t, "promtool", "test", "rules", bad)
	require.Error(t, err)
	_, err = exec.Command(filepath.Join(bin, "braid"), "test", "rules", bad).CombinedOutput()
	require.Error(t, err)
}

// revive lets one of the silences of a file end in an hour, as a new one.
func revive(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	var list []map[string]any
	require.NoError(t, json.Unmarshal(b, &list), "%s", b)
	for _, s := range list {
		if s["comment"] == "longer" {
			delete(s, "id")
			s["startsAt"], s["endsAt"] = time.Now().UTC(), time.Now().Add(time.Hour).UTC()
			b, err = json.Marshal([]any{s})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, b, 0o600))
			return
		}
	}
	t.Fatalf("no silence with the comment: %s", b)
}

// amtool does all its work on Braid's alerter, in one process and through a
// querier, and promtool asks it for the state of alerts.
func TestAmtool(t *testing.T) {
	pages := make(chan string, 100)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var page struct{ Payload struct{ Summary string } }
		if json.NewDecoder(r.Body).Decode(&page) == nil {
			pages <- page.Payload.Summary
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer hook.Close()
	dir := t.TempDir()
	am, rules := filepath.Join(dir, "alertmanager.yml"), filepath.Join(dir, "rules.yml")
	require.NoError(t, os.WriteFile(am, []byte(`route:
  receiver: rest
  group_by: [alertname]
  group_wait: 100ms
  routes:
  - {matchers: [severity="page"], receiver: oncall}
receivers:
- {name: rest}
- {name: oncall, pagerduty_configs: [{routing_key: key, url: '`+hook.URL+`'}]}
`), 0o600))
	require.NoError(t, os.WriteFile(rules, []byte("groups:\n- {name: g, interval: 1s, rules: [{alert: Always, expr: vector(1)}]}\n"), 0o600))
	works(t, "amtool", "check-config", am)
	works(t, "amtool", "check-config", "../../deploy/alertmanager.yml")
	data := filepath.Join(dir, "page.json")
	require.NoError(t, os.WriteFile(data, []byte(`{"status":"firing","alerts":[{"status":"firing","labels":{"alertname":"A"},"annotations":{"summary":"all is lost","braid_logs":"a line"},"startsAt":"2026-01-01T00:00:00Z"}],"commonLabels":{"alertname":"A"},"commonAnnotations":{"summary":"all is lost"}}`), 0o600))
	for name, want := range map[string]string{"braid.title": "[FIRING:1] A: all is lost", "braid.text": "a line", "braid.slack.text": "*Logs*", "braid.email.html": "<pre>a line</pre>"} {
		require.Contains(t, works(t, "amtool", "template", "render", "--template.glob=../../deploy/templates/*.tmpl", "--template.data="+data, `--template.text={{ template "`+name+`" . }}`), want)
	}
	shapes(t, []string{"--rules", rules, "--alertmanager.config", am}, func(t *testing.T, s *system) {
		amtool := func(args ...string) string {
			t.Helper()
			return strings.TrimSpace(works(t, append([]string{"amtool", "--no-version-check", "--alertmanager.url=" + s.httpURL}, args...)...))
		}
		// Alerts.
		silence := amtool("silence", "add", "alertname=Quiet", "--comment=maintenance", "--author=me", "--duration=1h")
		amtool("alert", "add", "alertname=Quiet", "severity=page", "instance=1")
		amtool("alert", "add", "alertname=Loud", "severity=page", "instance=1", "--annotation=summary=hello")
		select {
		case name := <-pages:
			require.Contains(t, name, "Loud", "what is silenced pages nobody")
		case <-time.After(startTimeout):
			t.Fatal("nobody was paged")
		}
		require.Contains(t, amtool("alert", "query", "alertname=Loud"), "hello")
		require.NotContains(t, amtool("alert", "query"), "Quiet")
		require.Contains(t, amtool("alert", "query", "--silenced", "-o", "extended"), "Quiet")
		require.Contains(t, amtool("alert", "query", "-o", "json", "--receiver=oncall"), `"Loud"`)
		// Silences.
		require.Contains(t, amtool("silence", "query", "alertname=Quiet"), silence)
		require.Contains(t, amtool("silence", "query", "-o", "json"), "maintenance")
		longer := amtool("silence", "update", "--duration=2h", "--comment=longer", silence)
		require.Contains(t, longer, "longer")
		ids := strings.Fields(amtool("silence", "query", "-q"))
		require.Len(t, ids, 1)
		amtool("silence", "expire", ids[0])
		require.Empty(t, amtool("silence", "query", "-q"))
		// A file of silences, as query writes it, makes them anew.
		file := filepath.Join(t.TempDir(), "silences.json")
		require.NoError(t, os.WriteFile(file, []byte(amtool("silence", "query", "--expired", "--within=1h", "-o", "json")), 0o600))
		for _, end := range []string{"startsAt", "endsAt"} {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Contains(t, string(b), end)
		}
		revive(t, file)
		amtool("silence", "import", file)
		require.Contains(t, amtool("silence", "query", "-o", "extended", "alertname=Quiet"), "longer")
		// Configuration and routes.
		require.Contains(t, amtool("config", "show"), "group_by")
		require.Contains(t, amtool("config", "routes", "show"), "oncall")
		require.Equal(t, "oncall", amtool("config", "routes", "test", "severity=page"))
		require.Equal(t, "rest", amtool("config", "routes", "test", "severity=low"))
		require.NotEmpty(t, amtool("cluster", "show"))
		// promtool over HTTP.
		require.Eventually(t, func() bool {
			out, err := tool(t, "promtool", "query", "instant", s.httpURL, `ALERTS{alertname="Always",alertstate="firing"}`)
			return err == nil && strings.Contains(out, "Always")
		}, startTimeout, 200*time.Millisecond)
		// Karma tells by this which Alertmanager it has.
		_, metrics := ask(t, s.alert.http+"/metrics", "")
		require.Regexp(t, `alertmanager_build_info\{[^}]*version="0\.[1-9]`, metrics)
		// Grafana takes an answer at this path for another implementation.
		status, _ := ask(t, s.httpURL+"/alertmanager/api/v2/status", "")
		require.Equal(t, http.StatusNotFound, status)
		for len(pages) > 0 {
			<-pages
		}
	})
}
