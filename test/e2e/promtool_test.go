package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// promtool runs a command of Prometheus's tool, which tools.sh installs, and
// returns what it printed.
func promtool(t *testing.T, stdin []byte, args ...string) string {
	t.Helper()
	return piped(t, stdin, "promtool", args...)
}

// piped runs a program that must succeed, with stdin, and returns what it printed.
func piped(t *testing.T, stdin []byte, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = t.TempDir()
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Run(), "%s %v\n%s%s", name, args, out.String(), errs.String())
	return out.String()
}

// TestPromtoolOnMetrics drives the Prometheus API with Prometheus's own tool: every verb
// that asks a server, its checks of rule files, and blocks in both directions.
func TestPromtoolOnMetrics(t *testing.T) {
	data := t.TempDir()
	conf := filepath.Join(t.TempDir(), "braid.yml")
	require.NoError(t, os.WriteFile(conf, []byte("query: {admin_api: true}\n"), 0o600))
	p := start(t, "braid", "--config", conf, "--data-dir", data, "--http.listen", "127.0.0.1:0", "--grpc.listen", "127.0.0.1:0",
		"--otlp.http.listen", "127.0.0.1:0", "--otlp.grpc.listen", "127.0.0.1:0")
	braid := filepath.Join(bin, "braid")
	if !filepath.IsAbs(braid) {
		var err error
		braid, err = filepath.Abs(braid)
		require.NoError(t, err)
	}
	piped(t, nil, braid, "generate", "--endpoint", p.otlpHTTP, "--seed", "3", "--backfill", "5m", "--backfill-only")
	const requests = "http_server_request_duration_seconds_count"

	require.Contains(t, promtool(t, nil, "query", "instant", p.http, "1 + 1"), "scalar: 2")
	require.Contains(t, promtool(t, nil, "query", "instant", p.http, "sum by (service_name) ("+requests+")"), `{service_name="frontend"} => `)
	now := time.Now()
	ranged := promtool(t, nil, "query", "range", "--start", strconv.FormatInt(now.Add(-5*time.Minute).Unix(), 10), "--end", strconv.FormatInt(now.Unix(), 10),
		"--step", "30s", p.http, "sum by (service_name) (rate("+requests+"[1m]))")
	require.Contains(t, ranged, `{service_name="frontend"} =>`)
	require.Contains(t, ranged, " @[")
	require.Contains(t, promtool(t, nil, "query", "series", "--match", requests, p.http), `service_name="frontend"`)
	require.Contains(t, promtool(t, nil, "query", "labels", p.http, "service_name"), "frontend")
	promtool(t, nil, "debug", "metrics", p.http)
	rules, err := filepath.Glob("rules/*.yml")
	require.NoError(t, err)
	require.NotEmpty(t, rules)
	for _, r := range rules {
		abs, err := filepath.Abs(r)
		require.NoError(t, err)
		require.Contains(t, promtool(t, nil, "check", "rules", abs), "SUCCESS")
	}

	// Blocks that promtool makes are imported, and so is text.
	old := now.Add(-5 * time.Hour).Unix()
	var text bytes.Buffer
	text.WriteString("# TYPE past counter\n")
	for i := range 10 {
		fmt.Fprintf(&text, "past_total{from=\"promtool\"} %d %d\n", i, old+int64(i)*60)
	}
	text.WriteString("# EOF\n")
	file, made := filepath.Join(t.TempDir(), "past.om"), t.TempDir()
	require.NoError(t, os.WriteFile(file, text.Bytes(), 0o600))
	promtool(t, nil, "tsdb", "create-blocks-from", "openmetrics", file, made)
	require.Contains(t, piped(t, nil, braid, "import", "blocks", "--addr", p.http, made), "imported block")
	require.Contains(t, piped(t, bytes.ReplaceAll(text.Bytes(), []byte("promtool"), []byte("text")), braid, "import", "openmetrics", "--addr", p.http, "-"), "imported 10 samples")

	p.stop(syscall.SIGTERM)
	p.launch()
	for _, from := range []string{"promtool", "text"} {
		got := promtool(t, nil, "query", "instant", "--time", strconv.FormatInt(old+600, 10), p.http, fmt.Sprintf(`count_over_time(past_total{from=%q}[15m])`, from))
		require.Contains(t, got, "=> 10 @")
	}

	// A snapshot of Braid is a database to promtool.
	resp, err := http.Post(p.http+"/api/v1/admin/tsdb/snapshot", "", nil)
	require.NoError(t, err)
	var a struct{ Data struct{ Name string } }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&a))
	require.NoError(t, resp.Body.Close())
	require.NotEmpty(t, a.Data.Name)
	snapshot := filepath.Join(data, "snapshots", "default", "snapshots", a.Data.Name)
	require.Contains(t, promtool(t, nil, "tsdb", "list", snapshot), "BLOCK ULID")
	require.NoError(t, os.Mkdir(filepath.Join(snapshot, "wal"), 0o750)) // the command insists on one
	require.Contains(t, promtool(t, nil, "tsdb", "dump", "--match", `past_total{from="text"}`, snapshot), `from="text"`)
}
