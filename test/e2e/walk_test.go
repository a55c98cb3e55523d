package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// checkout is one request of a shop, as an OpenTelemetry SDK sees it.
type checkout struct {
	requestID string
	trace     trace.TraceID
	span      trace.SpanID
}

// sendTrace records a failed checkout with a real SDK and exports it.
func sendTrace(t *testing.T, exporter *otlptrace.Exporter, requestID string) checkout {
	t.Helper()
	ctx := context.Background()
	tp := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "checkout"))))
	ctx, root := tp.Tracer("e2e").Start(ctx, "POST /checkout", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.StringSlice("http.request.header.x-request-id", []string{requestID}), attribute.Int("http.response.status_code", 502)))
	_, child := tp.Tracer("e2e").Start(ctx, "charge", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("peer.service", "bank")),
		trace.WithLinks(trace.Link{SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0xca, 0xfe}, SpanID: trace.SpanID{7}})}))
	child.AddEvent("bank asked again", trace.WithAttributes(attribute.Int("attempt", 2)))
	child.SetStatus(codes.Error, "card declined")
	child.End()
	root.SetStatus(codes.Error, "checkout failed")
	root.End()
	require.NoError(t, tp.Shutdown(ctx))
	return checkout{requestID, root.SpanContext().TraceID(), root.SpanContext().SpanID()}
}

func traceHTTP(t *testing.T, s *system) *otlptrace.Exporter {
	u, err := url.Parse(s.otlpHTTP)
	require.NoError(t, err)
	e, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpoint(u.Host), otlptracehttp.WithInsecure(),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	require.NoError(t, err)
	return e
}

func traceGRPC(t *testing.T, s *system) *otlptrace.Exporter {
	e, err := otlptracegrpc.New(context.Background(), otlptracegrpc.WithEndpoint(s.ingest.otlpGRPC), otlptracegrpc.WithInsecure(),
		otlptracegrpc.WithCompressor("gzip"))
	require.NoError(t, err)
	return e
}

// post sends a body and wants a full success.
func post(t *testing.T, url, contentType, encoding, who string, body []byte) {
	t.Helper()
	switch encoding {
	case "gzip":
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(body)
		require.NoError(t, w.Close())
		body = b.Bytes()
	case "zstd":
		w, err := zstd.NewWriter(nil)
		require.NoError(t, err)
		body = w.EncodeAll(body, nil)
	}
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", contentType)
	if encoding != "" {
		r.Header.Set("Content-Encoding", encoding)
	}
	if who != "" {
		r.Header.Set("X-Scope-OrgID", who)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	answer, _ := io.ReadAll(resp.Body)
	require.Equal(t, 200, resp.StatusCode, string(answer))
	require.NotContains(t, string(answer), "partialSuccess")
}

func sendLog(t *testing.T, s *system, c checkout, who string) {
	t.Helper()
	logs := plog.NewLogs()
	rl := logs.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "payment")
	rec := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	rec.SetTimestamp(now())
	rec.SetSeverityNumber(plog.SeverityNumberError)
	rec.Body().SetStr("card declined by the bank, order 4711")
	rec.SetTraceID([16]byte(c.trace))
	rec.SetSpanID([8]byte(c.span))
	rec.Attributes().PutStr("request_id", c.requestID)
	body, err := plogotlp.NewExportRequestFromLogs(logs).MarshalProto()
	require.NoError(t, err)
	post(t, s.otlpHTTP+"/v1/logs", "application/x-protobuf", "zstd", who, body)
}

func sendMetric(t *testing.T, s *system, c checkout, who string) {
	t.Helper()
	metrics := pmetric.NewMetrics()
	rm := metrics.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "checkout")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("shop.orders")
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	p := sum.DataPoints().AppendEmpty()
	p.SetTimestamp(now())
	p.SetDoubleValue(3)
	e := p.Exemplars().AppendEmpty()
	e.SetTimestamp(now())
	e.SetDoubleValue(1)
	e.SetTraceID([16]byte(c.trace))
	body, err := pmetricotlp.NewExportRequestFromMetrics(metrics).MarshalJSON()
	require.NoError(t, err)
	post(t, s.otlpHTTP+"/v1/metrics", "application/json", "gzip", who, body)
}

// correlated is what the checks read of a correlation answer.
type correlated struct {
	Kinds, Aliases []struct{ Kind, ID string }
	Services       []struct{ Name string }
	Spans          []struct{ Name, Status string }
	Logs           []struct{ Body, Service string }
	Exemplars      []struct{ Series map[string]string }
	Gaps           []struct{ Kind, Service string }
	Complete       bool
}

func correlate(t *testing.T, s *system, id, who string) correlated {
	t.Helper()
	code, body := ask(t, s.httpURL+"/api/braid/v1/correlate/"+url.PathEscape(id), who)
	require.Equal(t, 200, code, body)
	var c correlated
	require.NoError(t, json.Unmarshal([]byte(body), &c))
	return c
}

// TestWalk is the walk through the house: all three signals in over every
// transport, out over every language, the request whole by any of its ids, kept
// over kill -9, and invisible to another tenant.
func TestWalk(t *testing.T) {
	shapes(t, nil, func(t *testing.T, s *system) {
		first := sendTrace(t, traceHTTP(t, s), "req-e2e-1")
		second := sendTrace(t, traceGRPC(t, s), "req-e2e-2")
		sendLog(t, s, first, "")
		sendMetric(t, s, first, "")
		askEverything(t, s, first, second)

		s.ingest.kill()
		s.relaunch(t)
		askEverything(t, s, first, second)

		s.ingest.stop(15)
		s.relaunch(t)
		askEverything(t, s, first, second)

		for _, path := range []string{"/api/v1/query?query=shop_orders_total", "/loki/api/v1/labels", "/api/search?q=" + url.QueryEscape("{}"),
			"/api/services", "/api/v2/services", "/api/braid/v1/correlate/req-e2e-1"} {
			code, body := ask(t, s.httpURL+path, "somebody-else")
			require.Equal(t, 200, code, body)
			for _, secret := range []string{"checkout", "payment", "req-e2e-2", first.trace.String(), `"3"`} {
				require.NotContains(t, body, secret, "tenant isolation of %s", path)
			}
		}
		for _, bad := range []string{"../x", "a/b", strings.Repeat("x", 200)} {
			code, body := ask(t, s.httpURL+"/api/v1/query?query=1", bad)
			require.Equal(t, 400, code, body)
		}
	})
}

// relaunch starts the ingester again on the ports that the others know.
func (s *system) relaunch(t *testing.T) {
	t.Helper()
	args := s.ingest.args
	for i := range args {
		switch args[i] {
		case "--grpc.listen":
			args[i+1] = s.ingest.grpc
		case "--http.listen":
			args[i+1] = strings.TrimPrefix(s.ingest.http, "http://")
		}
	}
	s.ingest.launch()
	s.otlpHTTP = s.ingest.otlpHTTP
	if s.ingest == s.query {
		s.httpURL = s.ingest.http
	}
	// The querier's connection comes back by itself, a moment later.
	require.Eventually(t, func() bool {
		code, body := ask(t, s.httpURL+"/loki/api/v1/labels", "")
		return code == 200 && strings.Contains(body, "service_name")
	}, startTimeout, 50*time.Millisecond)
}

func askEverything(t *testing.T, s *system, first, second checkout) {
	t.Helper()
	for path, want := range map[string]string{
		"/api/v1/query?query=shop_orders_total":                                                                                         `"3"`,
		"/api/v1/query_range?query=shop_orders_total&step=1&start=" + ago(60) + "&end=" + ago(-1):                                       `"3"`,
		"/api/v1/query_exemplars?query=shop_orders_total&start=" + ago(60) + "&end=" + ago(-1):                                          first.trace.String(),
		"/api/v1/query?query=" + url.QueryEscape(`sum({__logql__="count_over_time({service_name=\"payment\"} |= \"declined\" [5m])"})`): `"1"`,
		"/loki/api/v1/query_range?query=" + url.QueryEscape(`{service_name="payment"} |= "declined" | request_id="req-e2e-1"`):          "order 4711",
		"/api/search?q=" + url.QueryEscape(`{resource.service.name="checkout" && status=error && span.http.response.status_code>=500}`): first.trace.String(),
		"/api/v2/traces/" + second.trace.String():                                                                                       "POST /checkout",
		"/api/traces/" + first.trace.String():                                                                                           `"operationName":"charge"`,
		"/api/v2/trace/" + first.trace.String():                                                                                         `"name":"charge"`,
		"/api/services":                                                                                                                 `"checkout"`,
		"/api/braid/v1/services":                                                                                                        `"bank"`,
		"/health":                                                                                                                       `"ready"`,
		"/openapi.json":                                                                                                                 `"/api/braid/v1/correlate/{id}"`,
	} {
		code, body := ask(t, s.httpURL+path, "")
		require.Equal(t, 200, code, "%s: %s", path, body)
		require.Contains(t, strings.ReplaceAll(body, `": `, `":`), want, path)
	}
	code, body := ask(t, s.httpURL+"/metrics", "") // after the queries: one that never ran has no metric
	require.Equal(t, 200, code, body)
	require.Contains(t, body, "braid_query_duration_seconds")
	code, body = ask(t, s.httpURL+"/api/nothing/here", "")
	require.Equal(t, 404, code)
	require.True(t, json.Valid([]byte(body)), "an API path is never answered with a page: %s", body)

	for _, id := range []string{"req-e2e-1", first.trace.String(), strings.ToUpper(first.trace.String())} {
		c := correlate(t, s, id, "")
		require.Len(t, c.Spans, 2, id)
		require.Len(t, c.Logs, 1, id)
		own := 0
		for _, e := range c.Exemplars { // those of series made of the spans come when the trace has been quiet
			if name := e.Series["__name__"]; !strings.HasPrefix(name, "traces_") {
				require.Equal(t, "shop_orders_total", name)
				own++
			}
		}
		require.Equal(t, 1, own, id)
		require.Equal(t, "missing_spans", c.Gaps[0].Kind, "payment logged but sent no span")
		require.True(t, c.Complete)
	}
}

// TestAlertPages lets a rule over logs fire, and waits for the page.
func TestAlertPages(t *testing.T) {
	pages := make(chan string, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		pages <- string(body)
	}))
	defer hook.Close()
	dir := t.TempDir()
	rules, am := filepath.Join(dir, "rules.yml"), filepath.Join(dir, "alertmanager.yml")
	require.NoError(t, os.WriteFile(rules, []byte(`groups:
- name: shop
  interval: 1s
  rules:
  - alert: CardsDeclined
    expr: sum by (service_name) ({__logql__="count_over_time({service_name=\"payment\"} |= \"declined\" [5m])"}) > 0
    labels: {severity: page}
    annotations: {summary: "{{ $labels.service_name }} declined {{ $value }} cards"}
  - record: shop:declined:sum
    expr: sum({__logql__="count_over_time({service_name=\"payment\"} |= \"declined\" [5m])"})
`), 0o600))
	require.NoError(t, os.WriteFile(am, []byte(fmt.Sprintf("route: {receiver: hook, group_wait: 100ms, group_by: [alertname]}\nreceivers: [{name: hook, webhook_configs: [{url: %q}]}]\n", hook.URL)), 0o600))
	shapes(t, []string{"--rules", rules, "--alertmanager.config", am}, func(t *testing.T, s *system) {
		sendLog(t, s, checkout{requestID: "req-alert", trace: trace.TraceID{1}, span: trace.SpanID{2}}, "")
		select {
		case page := <-pages:
			require.Contains(t, page, "payment declined 1 cards")
		case <-time.After(startTimeout):
			t.Fatal("nobody was paged")
		}
		require.Eventually(t, func() bool {
			_, recorded := ask(t, s.httpURL+"/api/v1/query?query="+url.QueryEscape("shop:declined:sum"), "")
			_, firing := ask(t, s.httpURL+"/api/v1/query?query="+url.QueryEscape(`ALERTS{alertstate="firing"}`), "")
			_, listed := ask(t, s.httpURL+"/api/v1/rules", "")
			_, alerts := ask(t, s.httpURL+"/api/v2/alerts", "")
			return strings.Contains(recorded, `"1"`) && strings.Contains(firing, "CardsDeclined") && strings.Contains(listed, "CardsDeclined") && strings.Contains(alerts, "CardsDeclined")
		}, startTimeout, 200*time.Millisecond)
		// A rule that is not there yet is tried on what is there, in any language.
		sendTrace(t, traceHTTP(t, s), "req-try")
		for _, q := range []string{
			`"language":"logql","expr":"sum by (service_name) (count_over_time({service_name=\"payment\"} |= \"declined\" [5m]))","threshold":0`,
			`"expr":"shop:declined:sum","op":">=","threshold":1`,
			`"language":"traceql","expr":"{ status = error } | rate()","threshold":0`,
		} {
			require.Eventually(t, func() bool {
				code, body := send(t, http.MethodPost, s.httpURL+"/api/braid/v1/alerts/try", `{`+q+`,"interval":"5s","start":`+ago(600)+`}`)
				require.Equal(t, 200, code, body)
				var tried struct {
					Firings int
					Series  []struct{ Times []struct{ FiredMs int64 } }
				}
				require.NoError(t, json.Unmarshal([]byte(body), &tried))
				return tried.Firings > 0 && tried.Series[0].Times[0].FiredMs > 0
			}, startTimeout, 500*time.Millisecond, q)
		}
		// Receivers are the operator's to set.
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			code, body := send(t, method, s.httpURL+"/config/v1/alertmanager", "alertmanager_config: 'route: {receiver: r}'")
			require.Equal(t, 403, code, body)
			require.Contains(t, body, "alerting.receivers.api")
		}
		// A request that goes on while the alert fires shows it, also where the
		// alerter is another process.
		c := checkout{requestID: "req-alert", trace: trace.TraceID{1}, span: trace.SpanID{2}}
		require.Eventually(t, func() bool {
			sendLog(t, s, c, "")
			_, whole := ask(t, s.httpURL+"/api/braid/v1/correlate/"+c.trace.String(), "")
			return strings.Contains(whole, `"CardsDeclined"`)
		}, startTimeout, 500*time.Millisecond)
	})
}

// TestGenerateAndCommandLine feeds the shop and uses the operator's commands.
func TestGenerateAndCommandLine(t *testing.T) {
	shapes(t, nil, func(t *testing.T, s *system) {
		out := command(t, "generate", "--endpoint", s.otlpHTTP, "--seed", "7", "--backfill", "10m", "--backfill-only", "--incident")
		id := requestIn(t, out)
		text := command(t, "correlate", "--addr", s.httpURL, id)
		for _, want := range []string{"request " + id, "is also trace", "Services:", "checkout", "payment", "Exemplars:"} {
			require.Contains(t, text, want)
		}
		require.Contains(t, command(t, "query", "--addr", s.httpURL, "sum by (service_name) (http_server_request_duration_seconds_count)"), `service_name="frontend"`)
		require.NotEmpty(t, command(t, "logs", "--addr", s.httpURL, `{service_name="checkout"}`, "--limit", "3"))
		require.Contains(t, command(t, "trace", "--addr", s.httpURL, `{resource.service.name="payment"}`), "frontend")
		require.Contains(t, command(t, "correlate", "--addr", s.httpURL, "no-such-id"), "Nothing carries")
	})
}

func command(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*startTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "braid"), args...).CombinedOutput()
	require.NoError(t, err, "braid %s: %s", strings.Join(args, " "), out)
	return string(out)
}

// requestIn finds a request id that generate named.
func requestIn(t *testing.T, out string) string {
	t.Helper()
	for _, line := range strings.Split(out, "\n") {
		for _, word := range strings.Fields(line) {
			if strings.HasPrefix(word, "req-") {
				return word
			}
		}
	}
	t.Fatalf("generate named no request id:\n%s", out)
	return ""
}

// TestErrorsSayTheWayOut reads what a newcomer would read.
func TestErrorsSayTheWayOut(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "braid.yaml")
	require.NoError(t, os.WriteFile(file, []byte("htpp: {listen: x}\n"), 0o600))
	for want, args := range map[string][]string{
		`line 1: unknown key "htpp"; did you mean "http"?`: {"check", "config", file},
		"no such file":       {"serve", "--config", filepath.Join(dir, "none.yaml")},
		"http.listen":        {"serve", "--http.listen", "nonsense"},
		"cannot reach Braid": {"correlate", "--addr", "http://127.0.0.1:9", "x"},
		"does not exist":     {"check", "rules", filepath.Join(dir, "none.yml")},
	} {
		out, err := exec.Command(filepath.Join(bin, "braid"), args...).CombinedOutput()
		require.Error(t, err, "%v", args)
		require.Contains(t, string(out), want, "%v", args)
	}
	help := command(t, "serve", "--help")
	for _, flag := range []string{"--config", "--data-dir", "--http.listen", "--grpc.listen", "--otlp.http.listen", "--otlp.grpc.listen", "--rules", "--alertmanager.config", "$BRAID_DATA_DIR"} {
		require.Contains(t, help, flag)
	}

	data := t.TempDir()
	ports := []string{"--data-dir", data, "--http.listen", "127.0.0.1:0", "--grpc.listen", "127.0.0.1:0", "--otlp.http.listen", "127.0.0.1:0", "--otlp.grpc.listen", "127.0.0.1:0"}
	start(t, "braid", ports...)
	out, err := exec.Command(filepath.Join(bin, "braid"), append([]string{"serve"}, ports...)...).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "in use by another process")
}
