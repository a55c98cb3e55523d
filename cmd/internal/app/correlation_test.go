package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/cmd/internal/config"
	"braid/pkg/correlation"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// running is a process of all roles with a configuration file.
type running struct {
	t    *testing.T
	a    *App
	file string
}

func runApp(t *testing.T, correlation string) *running {
	r := &running{t: t, file: filepath.Join(t.TempDir(), "braid.yaml")}
	data := t.TempDir()
	r.configure(correlation)
	a, err := New(context.Background(), Options{Role: Serve, ConfigFile: r.file, Out: io.Discard, Load: func() (*config.Config, error) {
		c, err := config.Load(r.file)
		if err != nil {
			return nil, err
		}
		c.DataDir, c.HTTP.Listen, c.GRPC.Listen, c.OTLP.HTTP.Listen, c.OTLP.GRPC.Listen = data, "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
		return c, nil
	}})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, a.Stop(ctx))
	})
	r.a = a
	return r
}

func (r *running) configure(correlation string) {
	require.NoError(r.t, os.WriteFile(r.file, []byte("log: {level: error}\n"+correlation), 0o600))
}

// reload changes the configuration of the running process.
func (r *running) reload(correlation string) {
	r.t.Helper()
	r.configure(correlation)
	code, body := r.do(http.MethodPost, "http://"+r.a.ports.http+"/-/reload", "")
	require.Equal(r.t, http.StatusOK, code, body)
}

func (r *running) do(method, url, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	require.NoError(r.t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	return resp.StatusCode, string(text)
}

// send takes in request n: a span whose resource names a build, and a log record
// of an order.
func (r *running) send(n int) {
	r.t.Helper()
	now := time.Now().UnixNano()
	span := fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"build.number","value":{"stringValue":"b-%d"}}]},"scopeSpans":[{"spans":[{
		"traceId":"%032x","spanId":"%016x","name":"buy","startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[{"key":"user.id","value":{"stringValue":"ann"}}]}]}]}]}`, n/10, n, n, now, now+1000)
	log := fmt.Sprintf(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"%d","body":{"stringValue":"bought"},"traceId":"%032x",
		"attributes":[{"key":"order.id","value":{"stringValue":"o-%d"}},{"key":"user.id","value":{"stringValue":"ann"}}]}]}]}]}`, now, n, n)
	for path, body := range map[string]string{"/v1/traces": span, "/v1/logs": log} {
		code, answer := r.do(http.MethodPost, "http://"+r.a.ports.otlpHTTP+path, body)
		require.Equal(r.t, http.StatusOK, code, answer)
	}
}

func (r *running) flush() {
	require.NoError(r.t, r.a.local.logs.Flush(context.Background()))
	require.NoError(r.t, r.a.local.traces.Flush(context.Background()))
}

// found looks an id up: the kinds that it has, and how many spans and records.
func (r *running) found(id string) string {
	r.t.Helper()
	code, body := r.do(http.MethodGet, "http://"+r.a.ports.http+"/api/braid/v1/correlate/"+id, "")
	require.Equal(r.t, http.StatusOK, code, body)
	var got struct {
		Kinds       []struct{ Kind string }
		Spans, Logs []json.RawMessage
	}
	require.NoError(r.t, json.Unmarshal([]byte(body), &got))
	var kinds []string
	for _, k := range got.Kinds {
		kinds = append(kinds, k.Kind)
	}
	slices.Sort(kinds)
	return fmt.Sprintf("%s: %d spans, %d records", strings.Join(kinds, " "), len(got.Spans), len(got.Logs))
}

// TestKindsAreSwitchedOnAndOffWhileItRuns through the configuration file and
// /-/reload: what was taken in before, in blocks and in memory, has the new kind
// too, and an id of a kind that is off is none.
func TestKindsAreSwitchedOnAndOffWhileItRuns(t *testing.T) {
	r := runApp(t, "")
	for n := 1; n <= 3; n++ {
		r.send(n)
		r.flush() // blocks that know nothing of orders
	}
	r.send(4) // in memory
	require.Equal(t, ": 0 spans, 0 records", r.found("o-2"))
	require.Equal(t, ": 0 spans, 0 records", r.found("o-4"))
	require.Equal(t, "user: 4 spans, 4 records", r.found("ann"))

	r.reload("correlation: {kinds: {order: [order.id], build: [build.number]}, disabled: [user]}\n")
	require.Equal(t, "order: 1 spans, 1 records", r.found("o-2"))
	require.Equal(t, "order: 1 spans, 1 records", r.found("o-4"))
	require.Equal(t, "build: 4 spans, 0 records", r.found("b-0"), "resources carry ids too")
	require.Equal(t, ": 0 spans, 0 records", r.found("ann"))
	r.send(5)
	r.flush()
	require.Equal(t, "order: 1 spans, 1 records", r.found("o-5"))

	r.reload("")
	require.Equal(t, ": 0 spans, 0 records", r.found("o-2"))
	require.Equal(t, "user: 5 spans, 5 records", r.found("ann"), "also what came while the kind was off")
	code, body := r.do(http.MethodPost, "http://"+r.a.ports.http+"/-/reload", "")
	require.Equal(t, http.StatusOK, code, body)

	r.configure("correlation: {knds: {}}\n")
	code, body = r.do(http.MethodPost, "http://"+r.a.ports.http+"/-/reload", "")
	require.Equal(t, http.StatusInternalServerError, code)
	require.Contains(t, body, "knds")
	require.Equal(t, "user: 5 spans, 5 records", r.found("ann"), "a broken file changes nothing")
}

// TestAlertsAreAskedOfTheAlerterElsewhere, and that nobody could be asked is
// said.
func TestAlertsAreAskedOfTheAlerterElsewhere(t *testing.T) {
	a := &App{}
	c := config.Default()
	a.cfg.Store(c)
	window := model.TimeRange{Start: 1_760_000_000_000_000_000, End: 1_760_000_060_000_000_000}
	_, err := alertsDuring{a}.AlertsDuring(context.Background(), tenant.Default, window)
	require.ErrorIs(t, err, correlation.ErrAlertsNotAsked)
	require.ErrorContains(t, err, "cluster.alerter")

	answer := http.StatusOK
	alerter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(tenant.Header) != "acme" || r.URL.Path != "/api/braid/v1/alerts/history" ||
			r.FormValue("start") != "1760000000.000" || r.FormValue("end") != "1760000060.000" {
			t.Errorf("the alerter was asked %s of %q", r.URL, r.Header.Get(tenant.Header))
		}
		w.WriteHeader(answer)
		_, _ = io.WriteString(w, `{"alerts":[{"fingerprint":"f1","labels":{"alertname":"Slow"},"pendingAt":"2025-10-09T08:50:00Z","firedAt":"2025-10-09T08:51:00Z"},
			{"fingerprint":"f2","pendingAt":"2025-10-09T08:54:00Z","firedAt":"2025-10-09T08:55:00Z"}]}`)
	}))
	defer alerter.Close()
	c.Cluster.Alerter = alerter.URL
	got, err := alertsDuring{a}.AlertsDuring(context.Background(), "acme", window)
	require.NoError(t, err)
	require.Equal(t, []correlation.Alert{{Fingerprint: "f1", Labels: map[string]string{"alertname": "Slow"}, State: "firing", Starts: 1_759_999_800_000_000_000}}, got)

	answer = http.StatusBadGateway
	_, err = alertsDuring{a}.AlertsDuring(context.Background(), "acme", window)
	require.ErrorContains(t, err, "502")
}
