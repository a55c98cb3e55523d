package plugin_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/experimental/datasourcetest"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"braid/grafana/pkg/plugin"
)

// The Braid that the tests ask, through the plugin as Grafana calls it.
var (
	braidURL, requestID string
	client              *datasourcetest.TestPluginClient
	pluginAddr          string
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var (
	addressLine = regexp.MustCompile(`^\s+(UI and every query API|Send OTLP/HTTP to|gRPC)\s+(\S+)`)
	failedLine  = regexp.MustCompile(`failed checkout\s+(\S+)\s+\(trace [0-9a-f]{32}\)`)
)

// run starts and feeds a real Braid, and serves the plugin over gRPC.
func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "braid-plugin-*")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin := os.Getenv("BRAID_BIN")
	if bin == "" {
		bin = dir
		build := exec.Command("go", "build", "-o", filepath.Join(dir, "braid"), "./cmd/braid")
		build.Dir = "../../.."
		if out, err := build.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("cannot build braid: %w\n%s", err, out)
		}
	}
	program := filepath.Join(bin, "braid")
	server := exec.Command(program, "serve", "--data-dir", filepath.Join(dir, "data"), "--http.listen", "127.0.0.1:0",
		"--grpc.listen", "127.0.0.1:0", "--otlp.http.listen", "127.0.0.1:0", "--otlp.grpc.listen", "127.0.0.1:0")
	stdout, err := server.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := server.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait()
	}()
	otlp := ""
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		match := addressLine.FindStringSubmatch(lines.Text())
		if match == nil {
			continue
		}
		if match[1] == "gRPC" {
			break
		}
		if match[1] == "Send OTLP/HTTP to" {
			otlp = match[2]
		} else {
			braidURL = match[2]
		}
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	out, err := exec.Command(program, "generate", "--endpoint", otlp, "--backfill", "15m", "--backfill-only", "--incident", "--seed", "7").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("cannot generate: %w\n%s", err, out)
	}
	found := failedLine.FindStringSubmatch(string(out))
	if found == nil {
		return 0, fmt.Errorf("generate named no failed checkout:\n%s", out)
	}
	requestID = found[1]
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	pluginAddr = l.Addr().String()
	_ = l.Close()
	p, err := datasourcetest.Manage(plugin.New, datasourcetest.ManageOpts{Address: pluginAddr})
	if err != nil {
		return 0, err
	}
	client = p.Client
	defer func() { _ = p.Shutdown() }()
	return m.Run(), nil
}

// configured is the data source as Grafana hands it to the plugin.
func configured(url string, jsonData map[string]any, secrets map[string]string) backend.PluginContext {
	text, _ := json.Marshal(jsonData)
	return backend.PluginContext{OrgID: 1, PluginID: "braid-datasource", DataSourceInstanceSettings: &backend.DataSourceInstanceSettings{
		UID: url + string(text), Name: "Braid", URL: url, JSONData: text, DecryptedSecureJSONData: secrets, Updated: time.Unix(1, 0)}}
}

// ask runs one query of the last 20 minutes.
func ask(t *testing.T, at backend.PluginContext, model map[string]any) backend.DataResponse {
	t.Helper()
	text, err := json.Marshal(model)
	require.NoError(t, err)
	now := time.Now()
	resp, err := client.QueryData(context.Background(), &backend.QueryDataRequest{PluginContext: at, Queries: []backend.DataQuery{{
		RefID: "A", JSON: text, Interval: 15 * time.Second, MaxDataPoints: 500, TimeRange: backend.TimeRange{From: now.Add(-20 * time.Minute), To: now}}}})
	require.NoError(t, err)
	return resp.Responses["A"]
}

func frames(t *testing.T, queryType, expr string, more ...any) data.Frames {
	t.Helper()
	model := map[string]any{"queryType": queryType, "expr": expr}
	for i := 0; i < len(more); i += 2 {
		model[more[i].(string)] = more[i+1]
	}
	r := ask(t, configured(braidURL, nil, nil), model)
	require.NoError(t, r.Error)
	require.NotEmpty(t, r.Frames)
	for _, f := range r.Frames {
		require.Equal(t, "A", f.RefID)
	}
	return r.Frames
}

func field(t *testing.T, f *data.Frame, name string) *data.Field {
	t.Helper()
	out, i := f.FieldByName(name)
	require.GreaterOrEqual(t, i, 0, "no field %s in %s", name, f.Name)
	return out
}

func TestPromQLIsTimeSeriesMulti(t *testing.T) {
	list := frames(t, "promql", `sum by (http_route) (rate(http_server_request_duration_seconds_count[$__rate_interval]))`, "legendFormat", "{{http_route}}")
	f := list[0]
	require.Equal(t, data.FrameTypeTimeSeriesMulti, f.Meta.Type)
	require.Len(t, f.Fields, 2)
	require.Positive(t, f.Rows())
	require.Equal(t, f.Fields[1].Labels["http_route"], f.Fields[1].Config.DisplayNameFromDS)
}

func TestPromQLAnswersExemplars(t *testing.T) {
	list := frames(t, "promql", `histogram_quantile(0.9, sum by (le) (rate(http_server_request_duration_seconds_bucket[1m])))`)
	last := list[len(list)-1]
	require.Equal(t, data.DataTopicAnnotations, last.Meta.DataTopic)
	require.Regexp(t, `^[0-9a-f]{32}$`, field(t, last, "trace_id").At(0))
}

func TestInstantIsNumericMulti(t *testing.T) {
	f := frames(t, "promql", `1+1`, "instant", true)[0]
	require.Equal(t, data.FrameTypeNumericMulti, f.Meta.Type)
	require.Equal(t, 2.0, f.Fields[1].At(0))
}

func TestLogQLIsLogLines(t *testing.T) {
	f := frames(t, "logql", `{service_name="checkout"}`, "limit", 50)[0]
	require.Equal(t, data.FrameTypeLogLines, f.Meta.Type)
	require.Equal(t, 50, f.Rows())
	require.NotEmpty(t, field(t, f, "body").At(0))
	ids := map[any]bool{}
	for i := range f.Rows() {
		ids[field(t, f, "id").At(i)] = true
	}
	require.Len(t, ids, 50)
	require.Regexp(t, `^[0-9a-f]{32}$`, field(t, f, "trace_id").At(0))
	require.Positive(t, frames(t, "logql", `sum by (service_name) (count_over_time({service_name=~".+"}[$__auto]))`)[0].Rows())
}

func TestTraceQL(t *testing.T) {
	f := frames(t, "traceql", `{status=error}`, "limit", 5)[0]
	require.Equal(t, 5, f.Rows())
	require.Regexp(t, `^[0-9a-f]{32}$`, field(t, f, "traceID").At(0))
	m := frames(t, "traceql", `{kind=server} | rate() by(resource.service.name)`)[0]
	require.NotEmpty(t, m.Fields[1].Labels["resource.service.name"])
}

// TestRequest: an id of the user's world, no time range needed, leads to trace,
// log lines and services.
func TestRequest(t *testing.T) {
	list := frames(t, "request", requestID)
	require.Len(t, list, 3)
	trace, logs, services := list[0], list[1], list[2]
	require.EqualValues(t, data.VisTypeTrace, trace.Meta.PreferredVisualization)
	require.Greater(t, trace.Rows(), 5)
	roots := 0
	for i := range trace.Rows() {
		if field(t, trace, "parentSpanID").NilAt(i) {
			roots++
		}
	}
	require.Equal(t, 1, roots)
	require.Positive(t, logs.Rows())
	require.Greater(t, services.Rows(), 2)
}

func TestServicesAreANodeGraph(t *testing.T) {
	list := frames(t, "services", "")
	require.Len(t, list, 2)
	nodes := map[any]bool{}
	for i := range list[0].Rows() {
		nodes[field(t, list[0], "id").At(i)] = true
	}
	require.True(t, nodes["checkout"])
	require.Positive(t, list[1].Rows())
	for i := range list[1].Rows() {
		require.True(t, nodes[field(t, list[1], "source").At(i)])
	}
}

// TestFederated: a join of signals is a table with typed columns; its plan can
// be asked for.
func TestFederated(t *testing.T) {
	text := `slow = traces {duration>200ms}; l = logs {service_name="checkout"}; from slow semi join l on trace`
	f := frames(t, "federated", text, "limit", 3)[0]
	require.Equal(t, 3, f.Rows())
	require.Equal(t, data.FieldTypeString, field(t, f, "id").Type())
	require.Equal(t, data.FieldTypeNullableTime, field(t, f, "time").Type())
	require.Equal(t, data.FieldTypeNullableFloat64, field(t, f, "duration").Type())
	require.Contains(t, frames(t, "federated", text, "explain", true)[0].Fields[0].At(0), "slow")
}

func TestErrorsCarryTheReason(t *testing.T) {
	for _, c := range []struct{ kind, expr, reason string }{
		{"promql", "sum(", "parse error"}, {"logql", `{a="b`, ""}, {"traceql", "{", ""}, {"cobol", "x", "no such query type"}, {"promql", "", "empty"},
	} {
		r := ask(t, configured(braidURL, nil, nil), map[string]any{"queryType": c.kind, "expr": c.expr})
		require.Error(t, r.Error, c.expr)
		require.Contains(t, r.Error.Error(), c.reason)
		require.EqualValues(t, 400, r.Status, "%s: %v", c.kind, r.Error)
		require.Equal(t, backend.ErrorSourceDownstream, r.ErrorSource)
	}
}

func TestHealth(t *testing.T) {
	check := func(at backend.PluginContext) *backend.CheckHealthResult {
		r, err := client.CheckHealth(context.Background(), &backend.CheckHealthRequest{PluginContext: at})
		require.NoError(t, err)
		return r
	}
	r := check(configured(braidURL, nil, nil))
	require.Equal(t, backend.HealthStatusOk, r.Status, r.Message)
	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		_, _ = io.WriteString(w, `{"status":"degraded","parts":{"log store":{"status":"degraded","reason":"disk is full"}}}`)
	}))
	defer sick.Close()
	r = check(configured(sick.URL, nil, nil))
	require.Equal(t, backend.HealthStatusError, r.Status)
	require.Contains(t, r.Message, "log store is degraded disk is full")
	r = check(configured("http://127.0.0.1:1", nil, nil))
	require.Contains(t, r.Message, "cannot be reached")
}

// TestCredentials: tenant and secrets arrive; another tenant sees nothing.
func TestCredentials(t *testing.T) {
	var got http.Header
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		_, _ = io.WriteString(w, `{"data":{"resultType":"vector","result":[]}}`)
	}))
	defer echo.Close()
	ask(t, configured(echo.URL, map[string]any{"tenant": "acme"}, map[string]string{"bearerToken": "s3cret"}), map[string]any{"queryType": "promql", "expr": "up", "instant": true})
	require.Equal(t, "acme", got.Get("X-Scope-OrgID"))
	require.Equal(t, "Bearer s3cret", got.Get("Authorization"))
	r := ask(t, configured(braidURL, map[string]any{"tenant": "nobody"}, nil), map[string]any{"queryType": "logql", "expr": `{service_name="checkout"}`})
	require.NoError(t, r.Error)
	require.Zero(t, r.Frames[0].Rows())
}

func TestResources(t *testing.T) {
	for path, want := range map[string]string{
		"services": "checkout", "metrics": "kafka_consumer_lag", "labels": "service_name", "labels/service_name/values": "frontend",
		"logs/labels": "service_name", "logs/labels/service_name/values": "checkout", "traces/tags": "resource.service.name",
		"traces/tags/resource.service.name/values": "checkout",
	} {
		var list []string
		err := client.CallResource(context.Background(), &backend.CallResourceRequest{PluginContext: configured(braidURL, nil, nil), Path: path, URL: path, Method: "GET"},
			backend.CallResourceResponseSenderFunc(func(r *backend.CallResourceResponse) error {
				require.Equal(t, 200, r.Status, "%s: %s", path, r.Body)
				return json.Unmarshal(r.Body, &list)
			}))
		require.NoError(t, err)
		require.Contains(t, list, want, path)
	}
}

// TestLiveTail reads a channel while lines come in.
func TestLiveTail(t *testing.T) {
	conn, err := grpc.NewClient(pluginAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	at := backend.ToProto().PluginContext(configured(braidURL, nil, nil))
	path := "tail/" + base64.RawURLEncoding.EncodeToString([]byte(`{service_name="live"}`))
	live := pluginv2.NewStreamClient(conn)
	sub, err := live.SubscribeStream(ctx, &pluginv2.SubscribeStreamRequest{PluginContext: at, Path: path})
	require.NoError(t, err)
	require.Equal(t, pluginv2.SubscribeStreamResponse_OK, sub.Status)
	sub, err = live.SubscribeStream(ctx, &pluginv2.SubscribeStreamRequest{PluginContext: at, Path: "other"})
	require.NoError(t, err)
	require.Equal(t, pluginv2.SubscribeStreamResponse_NOT_FOUND, sub.Status)
	run, err := live.RunStream(ctx, &pluginv2.RunStreamRequest{PluginContext: at, Path: path})
	require.NoError(t, err)
	go keepPushing(ctx)
	packet, err := run.Recv()
	require.NoError(t, err)
	require.Contains(t, string(packet.Data), "a line that comes in")
}

// keepPushing sends lines until the test ends: the tail starts at its own time.
func keepPushing(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		body := fmt.Sprintf(`{"streams":[{"stream":{"service_name":"live"},"values":[["%d","a line that comes in"]]}]}`, time.Now().UnixNano())
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, braidURL+"/loki/api/v1/push", strings.NewReader(body))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", "application/json")
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
