package plugin_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/experimental/datasourcetest"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"github.com/stretchr/testify/require"

	"braid/grafana/internal/host"
)

// The Braid that the tests ask, through the plugin as Grafana calls it.
var (
	braidURL, requestID string
	client              *datasourcetest.TestPluginClient
	live                pluginv2.StreamClient
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

// run starts and feeds a real Braid, and starts the plugin's program as Grafana
// does.
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
		"--rules", "../../../test/e2e/rules/*.yml", "--grpc.listen", "127.0.0.1:0", "--otlp.http.listen", "127.0.0.1:0", "--otlp.grpc.listen", "127.0.0.1:0")
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
	out, err := exec.Command(program, "generate", "--endpoint", otlp, "--backfill", "32m", "--backfill-only", "--incident", "--seed", "7").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("cannot generate: %w\n%s", err, out)
	}
	found := failedLine.FindStringSubmatch(string(out))
	if found == nil {
		return 0, fmt.Errorf("generate named no failed checkout:\n%s", out)
	}
	requestID = found[1]
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "gpx_braid_datasource"), "..")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("cannot build the plugin: %w\n%s", err, out)
	}
	conn, stop, err := host.Start(filepath.Join(dir, "gpx_braid_datasource"))
	if err != nil {
		return 0, err
	}
	defer stop()
	live = pluginv2.NewStreamClient(conn)
	client = &datasourcetest.TestPluginClient{DataClient: pluginv2.NewDataClient(conn), DiagnosticsClient: pluginv2.NewDiagnosticsClient(conn), ResourceClient: pluginv2.NewResourceClient(conn)}
	return m.Run(), nil
}

// configured is the data source as Grafana hands it to the plugin.
func configured(url string, jsonData map[string]any, secrets map[string]string) backend.PluginContext {
	text, _ := json.Marshal(jsonData)
	// A time of its own for each configuration makes an instance of its own.
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, url, string(text), secrets)
	return backend.PluginContext{OrgID: 1, PluginID: "braid-datasource", DataSourceInstanceSettings: &backend.DataSourceInstanceSettings{
		UID: "uid of Braid", Name: "Braid", URL: url, JSONData: text, DecryptedSecureJSONData: secrets, Updated: time.Unix(int64(h.Sum32()), 0)}}
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

// TestFormats: the same series as the contract's other kinds of frames.
func TestFormats(t *testing.T) {
	const rate = `sum by (service_name) (rate(http_server_request_duration_seconds_count[1m]))`
	f := frames(t, "promql", rate, "format", "wide", "exemplar", false)[0]
	require.Equal(t, data.FrameTypeTimeSeriesWide, f.Meta.Type)
	require.Equal(t, data.TimeSeriesTypeWide, f.TimeSeriesSchema().Type)
	require.NotEmpty(t, f.Fields[1].Labels["service_name"])

	f = frames(t, "promql", rate, "format", "table")[0]
	require.Equal(t, data.FrameTypeTimeSeriesLong, f.Meta.Type)
	require.Equal(t, data.TimeSeriesTypeLong, f.TimeSeriesSchema().Type)
	times := field(t, f, "Time")
	for i := 1; i < f.Rows(); i++ {
		require.False(t, times.At(i).(time.Time).Before(times.At(i-1).(time.Time)))
	}

	f = frames(t, "promql", rate, "format", "table", "instant", true)[0]
	require.Equal(t, data.FrameTypeNumericLong, f.Meta.Type)
	require.NotEmpty(t, field(t, f, "service_name").At(0))

	// Classic buckets, spans, and native histograms as heatmaps.
	f = frames(t, "promql", `sum by (le) (increase(http_server_request_duration_seconds_bucket[1m]))`, "format", "heatmap")[0]
	requireHeatmap(t, f)
	f = frames(t, "traceql", `{kind=server} | histogram_over_time(duration)`, "format", "heatmap")[0]
	requireHeatmap(t, f)
	f = frames(t, "promql", `sum(rate(rpc_server_duration_seconds[1m]))`)[0]
	require.EqualValues(t, "heatmap-cells", f.Meta.Type)
	for i := range f.Rows() {
		require.Less(t, field(t, f, "yMin").At(i), field(t, f, "yMax").At(i))
	}
	require.Equal(t, "s", field(t, f, "yMax").Config.Unit)

	r := ask(t, configured(braidURL, nil, nil), map[string]any{"queryType": "promql", "expr": rate, "format": "heatmap"})
	require.ErrorContains(t, r.Error, "label le")
	require.EqualValues(t, 400, r.Status)
}

// requireHeatmap wants buckets ascending, each with the count that is in it: none
// is below zero, and some row has an empty bucket behind a full one.
func requireHeatmap(t *testing.T, f *data.Frame) {
	t.Helper()
	require.EqualValues(t, "heatmap-rows", f.Meta.Type)
	require.Greater(t, len(f.Fields), 3)
	before, total, last := -1.0, 0.0, 0.0
	for _, one := range f.Fields[1:] {
		bound, err := strconv.ParseFloat(one.Name, 64)
		require.NoError(t, err)
		require.Greater(t, bound, before)
		before = bound
		last = 0
		for i := range one.Len() {
			require.GreaterOrEqual(t, one.At(i).(float64), 0.0)
			last += one.At(i).(float64)
		}
		total += last
	}
	require.Positive(t, total)
	require.Less(t, last, total, "the last bucket counts only what is in it")
}

// TestUnits: what metadata says of a metric is on the numbers.
func TestUnits(t *testing.T) {
	f := frames(t, "promql", `histogram_quantile(0.9, sum by (le) (rate(http_server_request_duration_seconds_bucket{http_route!="{x}"}[1m])))`)[0]
	require.Equal(t, "s", f.Fields[1].Config.Unit)
	require.Equal(t, "Duration of HTTP server requests.", f.Fields[1].Config.Description)
	require.Equal(t, "bytes", frames(t, "promql", `max(process_memory_usage_bytes)`)[0].Fields[1].Config.Unit)
	require.Empty(t, frames(t, "promql", `count(process_memory_usage_bytes)`)[0].Fields[1].Config.Unit)
	require.Equal(t, "s", frames(t, "traceql", `{kind=server} | quantile_over_time(duration, .9)`)[0].Fields[1].Config.Unit)
}

// TestBehind: a chart's expression leads to requests.
func TestBehind(t *testing.T) {
	value := frames(t, "promql", `rate(http_server_request_duration_seconds_count[1m])`)[0].Fields[1]
	expr := links(t, value)["behind"]
	require.NotEmpty(t, expr)
	f := frames(t, "behind", expr, "limit", 3)[0]
	require.Equal(t, 3, f.Rows())
	require.Regexp(t, `^[0-9a-f]{32}$`, field(t, f, "traceID").At(0))
	require.Equal(t, "ns", field(t, f, "Duration").Config.Unit)
}

// TestOutliers: what sets failed spans apart.
func TestOutliers(t *testing.T) {
	f := frames(t, "outliers", `{status=error}`, "signal", "traces", "limit", 10)[0]
	require.Equal(t, data.FrameTypeTable, f.Meta.Type)
	require.Positive(t, f.Rows())
	require.Equal(t, "status", field(t, f, "Attribute").At(0))
	require.Equal(t, 1.0, field(t, f, "In the selection").At(0))
	require.Positive(t, frames(t, "outliers", `{service_name="payment"}`, "signal", "logs")[0].Rows())
	r := ask(t, configured(braidURL, nil, nil), map[string]any{"queryType": "outliers", "expr": "{}", "signal": "smoke"})
	require.EqualValues(t, 400, r.Status)
}

// TestMarks: alerts that fired and versions that came, as annotations.
func TestMarks(t *testing.T) {
	require.Eventually(t, func() bool {
		r := ask(t, configured(braidURL, nil, nil), map[string]any{"queryType": "alerts", "expr": `severity="info"`})
		return r.Error == nil && r.Frames[0].Rows() > 0
	}, time.Minute, 200*time.Millisecond)
	f := frames(t, "alerts", "")[0]
	require.Equal(t, data.DataTopicAnnotations, f.Meta.DataTopic)
	require.Equal(t, "AlwaysFiring", field(t, f, "title").At(0))
	require.Equal(t, "severity:info", field(t, f, "tags").At(0))
	require.True(t, field(t, f, "timeEnd").At(0).(*time.Time).After(field(t, f, "time").At(0).(time.Time)))
	require.Zero(t, frames(t, "alerts", `severity="none"`)[0].Rows())

	text, err := json.Marshal(map[string]any{"queryType": "deploys", "expr": "payment"})
	require.NoError(t, err)
	now := time.Now()
	resp, err := client.QueryData(context.Background(), &backend.QueryDataRequest{PluginContext: configured(braidURL, nil, nil), Queries: []backend.DataQuery{{
		RefID: "A", JSON: text, TimeRange: backend.TimeRange{From: now.Add(-35 * time.Minute), To: now}}}})
	require.NoError(t, err)
	require.NoError(t, resp.Responses["A"].Error)
	f = resp.Responses["A"].Frames[0]
	require.Positive(t, f.Rows(), "the shop deploys payment in every half hour")
	require.Regexp(t, `^payment \d`, field(t, f, "title").At(0))
}

// TestChunks: an answer in parts is the whole answer, each line once.
func TestChunks(t *testing.T) {
	const all = 2500
	text, err := json.Marshal(map[string]any{"queryType": "logql", "expr": `{service_name=~".+"}`, "limit": all})
	require.NoError(t, err)
	now := time.Now()
	req := &backend.QueryChunkedDataRequest{PluginContext: configured(braidURL, nil, nil), Queries: []backend.DataQuery{
		{RefID: "A", JSON: text, TimeRange: backend.TimeRange{From: now.Add(-35 * time.Minute), To: now}},
		{RefID: "B", JSON: []byte(`{"queryType":"traceql","expr":"{status=error}","limit":1200}`), TimeRange: backend.TimeRange{From: now.Add(-35 * time.Minute), To: now}},
		{RefID: "C", JSON: []byte(`{"queryType":"promql","expr":"sum("}`), TimeRange: backend.TimeRange{From: now.Add(-35 * time.Minute), To: now}},
	}}
	stream, err := client.DataClient.QueryChunkedData(context.Background(), backend.ToProto().QueryChunkedDataRequest(req))
	require.NoError(t, err)
	parts, reason := map[string]int{}, ""
	for {
		part, err := stream.Recv()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		parts[part.RefId]++
		if part.RefId == "C" {
			reason = part.Error
			require.EqualValues(t, 400, part.Status)
		}
	}
	require.Equal(t, 3, parts["A"])
	require.Contains(t, reason, "parse error")
	resp, err := client.QueryChunkedData(context.Background(), &backend.QueryChunkedDataRequest{PluginContext: req.PluginContext, Queries: req.Queries[:2]})
	require.NoError(t, err)
	lines := resp.Responses["A"].Frames[0]
	require.Equal(t, all, lines.Rows())
	ids := map[any]bool{}
	for i := range lines.Rows() {
		ids[field(t, lines, "id").At(i)] = true
		if i > 0 {
			require.NotEqual(t, field(t, lines, "timestamp").At(0), time.Time{})
		}
	}
	require.Len(t, ids, all, "no line twice")
	whole := frames(t, "traceql", "{status=error}", "limit", 1200)
	require.Positive(t, resp.Responses["B"].Frames[0].Rows())
	require.GreaterOrEqual(t, resp.Responses["B"].Frames[0].Rows(), whole[0].Rows())
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

// named finds the frame of a name among those of an answer.
func named(t *testing.T, list data.Frames, name string) *data.Frame {
	t.Helper()
	for _, f := range list {
		if f.Name == name {
			return f
		}
	}
	require.Fail(t, "no frame "+name)
	return nil
}

// links is the first query of each type that a field leads to.
func links(t *testing.T, f *data.Field) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NotNil(t, f.Config, f.Name)
	for _, l := range f.Config.Links {
		text, err := json.Marshal(l.Internal.Query)
		require.NoError(t, err)
		var q struct{ QueryType, Expr string }
		require.NoError(t, json.Unmarshal(text, &q))
		require.Equal(t, "uid of Braid", l.Internal.DatasourceUID)
		if _, ok := out[q.QueryType]; !ok {
			out[q.QueryType] = q.Expr
		}
	}
	return out
}

// TestRequest: an id of the user's world, no time range needed, leads to trace,
// log lines and services.
func TestRequest(t *testing.T) {
	list := frames(t, "request", requestID)
	trace, logs, services := named(t, list, "Trace"), named(t, list, ""), named(t, list, "Services")
	require.Same(t, list[0], trace)
	require.EqualValues(t, data.VisTypeTrace, trace.Meta.PreferredVisualization)
	require.Greater(t, trace.Rows(), 5)
	roots := 0
	for i := range trace.Rows() {
		if field(t, trace, "parentSpanID").NilAt(i) {
			roots++
		}
		require.Equal(t, field(t, trace, "traceID").At(0), field(t, trace, "traceID").At(i))
		var tags []struct {
			Key   string
			Value any
		}
		require.NoError(t, json.Unmarshal(field(t, trace, "tags").At(i).(json.RawMessage), &tags))
		for _, tag := range tags {
			if tag.Key == "server.port" {
				require.IsType(t, 0.0, tag.Value, "numbers stay numbers")
			}
		}
	}
	require.Equal(t, 1, roots)
	require.Contains(t, links(t, field(t, trace, "traceID"))["logql"], "trace_id")
	require.Equal(t, data.FrameTypeLogLines, logs.Meta.Type)
	require.Positive(t, logs.Rows())
	require.Greater(t, services.Rows(), 2)
	require.Contains(t, links(t, field(t, services, "Service")), "traceql")
	require.Contains(t, links(t, field(t, named(t, list, "Exemplars"), "Series")), "promql")
}

// TestEventsOfSpans: what the trace view calls the logs of a span.
func TestEventsOfSpans(t *testing.T) {
	id := field(t, frames(t, "traceql", `{event:name="exception"}`, "limit", 1)[0], "traceID").At(0).(string)
	events := field(t, frames(t, "request", id)[0], "logs")
	n := 0
	for i := range events.Len() {
		var list []struct {
			Timestamp float64
			Name      string
			Fields    []struct{ Key string }
		}
		require.NoError(t, json.Unmarshal(events.At(i).(json.RawMessage), &list))
		for _, e := range list {
			require.Greater(t, e.Timestamp, 1e12, "milliseconds")
			if e.Name == "exception" {
				n += len(e.Fields)
			}
		}
	}
	require.Positive(t, n)
}

// TestRequestOfManyIsAList: a user is no request; the requests are listed.
func TestRequestOfManyIsAList(t *testing.T) {
	trace := field(t, frames(t, "request", requestID)[0], "tags")
	user := ""
	for i := range trace.Len() {
		if m := userTag.FindSubmatch(trace.At(i).(json.RawMessage)); m != nil {
			user = string(m[1])
		}
	}
	require.NotEmpty(t, user)
	f := named(t, frames(t, "request", user), "Requests")
	require.Positive(t, f.Rows())
	require.Contains(t, links(t, field(t, f, "traceID")), "request")
	require.IsType(t, int64(0), field(t, f, "Duration").At(0))
}

var userTag = regexp.MustCompile(`"key":"user.id","value":"([^"]+)"`)

func TestRequestOfNothingSaysSo(t *testing.T) {
	list := frames(t, "request", "req-000000000000")
	require.Len(t, list, 1)
	text := ""
	for _, n := range list[0].Meta.Notices {
		text += n.Text
	}
	require.Contains(t, text, "Nothing is known of req-000000000000")
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
		"labels?match[]=kafka_consumer_lag": "__name__", "logs/labels": "service_name", "logs/labels/service_name/values": "checkout", "traces/tags": "resource.service.name",
		"traces/tags/resource.service.name/values": "checkout",
	} {
		var list []string
		err := client.CallResource(context.Background(), &backend.CallResourceRequest{PluginContext: configured(braidURL, nil, nil), Path: strings.Split(path, "?")[0], URL: path, Method: "GET"},
			backend.CallResourceResponseSenderFunc(func(r *backend.CallResourceResponse) error {
				require.Equal(t, 200, r.Status, "%s: %s", path, r.Body)
				return json.Unmarshal(r.Body, &list)
			}))
		require.NoError(t, err)
		require.Contains(t, list, want, path)
	}
}

// TestMetadata: what is known of a metric, by the names that queries have too.
func TestMetadata(t *testing.T) {
	for _, name := range []string{"http_server_request_duration_seconds", "http_server_request_duration_seconds_bucket"} {
		var got map[string]struct{ Type, Help, Unit string }
		err := client.CallResource(context.Background(), &backend.CallResourceRequest{PluginContext: configured(braidURL, nil, nil), Path: "metadata", URL: "metadata?metric=" + name, Method: "GET"},
			backend.CallResourceResponseSenderFunc(func(r *backend.CallResourceResponse) error { return json.Unmarshal(r.Body, &got) }))
		require.NoError(t, err)
		require.Equal(t, "histogram", got[name].Type)
	}
}

// TestForwardedIdentity: with oauthPassThru the token of the user who asks is
// sent, without it is not.
func TestForwardedIdentity(t *testing.T) {
	for _, forward := range []bool{true, false} {
		got := make(chan http.Header, 8)
		echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got <- r.Header.Clone()
			_, _ = io.WriteString(w, `{"data":{"resultType":"vector","result":[]}}`)
		}))
		req := &backend.QueryDataRequest{PluginContext: configured(echo.URL, map[string]any{"oauthPassThru": forward}, nil), Queries: []backend.DataQuery{{RefID: "A", JSON: []byte(`{"expr":"1","instant":true}`)}}}
		req.SetHTTPHeader("Authorization", "Bearer of-the-user")
		_, err := client.QueryData(context.Background(), req)
		require.NoError(t, err)
		want := ""
		if forward {
			want = "Bearer of-the-user"
		}
		require.Equal(t, want, (<-got).Get("Authorization"))
		echo.Close()
	}
}

// TestBasicAuth and TLS with an own authority, as the settings page writes them.
func TestBasicAuthOverTLS(t *testing.T) {
	echo := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "ann" || password != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"data":{"resultType":"scalar","result":[1,"7"]}}`)
	}))
	defer echo.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: echo.Certificate().Raw}))
	for _, c := range []struct {
		password, ca, reason string
	}{{"s3cret", ca, ""}, {"wrong", ca, "Unauthorized"}, {"s3cret", "", "certificate"}} {
		at := configured(echo.URL, map[string]any{"tlsAuthWithCACert": c.ca != ""}, map[string]string{"basicAuthPassword": c.password, "tlsCACert": c.ca})
		at.DataSourceInstanceSettings.BasicAuthEnabled, at.DataSourceInstanceSettings.BasicAuthUser = true, "ann"
		r := ask(t, at, map[string]any{"expr": "7", "instant": true})
		if c.reason != "" {
			require.ErrorContains(t, r.Error, c.reason)
			continue
		}
		require.NoError(t, r.Error)
		require.Equal(t, 7.0, r.Frames[0].Fields[1].At(0))
	}
}

// TestLiveTail reads a channel while lines come in.
func TestLiveTail(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	at := backend.ToProto().PluginContext(configured(braidURL, nil, nil))
	path := "tail/" + base64.RawURLEncoding.EncodeToString([]byte(`{service_name="live"}`))
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
