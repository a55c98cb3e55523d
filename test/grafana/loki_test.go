package grafana_test

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// lokiAnswer is what Grafana's Loki data source decodes.
type lokiAnswer struct {
	Status string `json:"status"`
	Data   struct {
		Type     string   `json:"resultType"`
		Encoding []string `json:"encodingFlags"`
		Result   []struct {
			Stream map[string]string   `json:"stream"`
			Metric map[string]string   `json:"metric"`
			Value  []any               `json:"value"`
			Values [][]json.RawMessage `json:"values"`
		} `json:"result"`
		Stats struct {
			Summary map[string]any `json:"summary"`
		} `json:"stats"`
	} `json:"data"`
}

func (a lokiAnswer) entries() (n int) {
	for _, r := range a.Data.Result {
		n += len(r.Values)
	}
	return n
}

// categorize is the header with which Grafana asks for structured metadata.
var categorize = map[string]string{"X-Loki-Response-Encoding-Flags": "categorize-labels", "X-Query-Tags": "Source=grafana"}

func lokiRange(query string, step time.Duration) call {
	from, to := window()
	return call{path: "/loki/api/v1/query_range", header: categorize, params: url.Values{
		"query": {query}, "direction": {"backward"}, "limit": {"500"}, "step": {strconv.FormatInt(step.Milliseconds(), 10) + "ms"},
		"start": {strconv.FormatInt(from.UnixNano(), 10)}, "end": {strconv.FormatInt(to.UnixNano(), 10)}}}
}

// TestLokiHealth: "Save & test" wants exactly one sample of value two.
func TestLokiHealth(t *testing.T) {
	var a lokiAnswer
	call{path: "/loki/api/v1/query", params: url.Values{"query": {"vector(1)+vector(1)"}, "time": {"4000000000"}, "limit": {"100"}, "direction": {"backward"}}}.read(t, &a)
	require.Equal(t, "vector", a.Data.Type)
	require.Len(t, a.Data.Result, 1)
	require.Equal(t, "2", a.Data.Result[0].Value[1])
}

// TestLokiExplore: labels, values, sizes and the log panel with what derived
// fields by label need.
func TestLokiExplore(t *testing.T) {
	from, to := window()
	span := url.Values{"start": {strconv.FormatInt(from.UnixNano(), 10)}, "end": {strconv.FormatInt(to.UnixNano(), 10)}}
	with := func(k, v string) url.Values {
		out := url.Values{k: {v}}
		for k, v := range span {
			out[k] = v
		}
		return out
	}
	var list struct {
		Status string
		Data   []string
	}
	call{path: "/loki/api/v1/labels", params: span}.read(t, &list)
	require.Subset(t, list.Data, []string{"service_name", "k8s_namespace_name"})
	call{path: "/loki/api/v1/label/service_name/values", params: with("query", `{k8s_namespace_name="shop"}`)}.read(t, &list)
	require.Contains(t, list.Data, "checkout")
	var series struct{ Data []map[string]string }
	call{path: "/loki/api/v1/series", params: with("match[]", `{service_name="cart"}`)}.read(t, &series)
	require.Equal(t, "cart", series.Data[0]["service_name"])
	var stats map[string]int64
	call{path: "/loki/api/v1/index/stats", params: with("query", `{service_name="cart"}`)}.read(t, &stats)
	require.Positive(t, stats["entries"])
	require.Positive(t, stats["bytes"])

	var a lokiAnswer
	lokiRange(`{service_name=~".+"} | trace_id="`+braid.traceID+`"`, time.Minute).read(t, &a)
	require.Equal(t, "streams", a.Data.Type)
	require.Equal(t, []string{"categorize-labels"}, a.Data.Encoding)
	require.NotEmpty(t, a.Data.Stats.Summary)
	require.Positive(t, a.entries(), "the link from a trace to its logs must find them")
	var extra struct {
		StructuredMetadata map[string]string `json:"structuredMetadata"`
	}
	require.NoError(t, json.Unmarshal(a.Data.Result[0].Values[0][2], &extra))
	require.Equal(t, braid.traceID, extra.StructuredMetadata["trace_id"], "derivedFields names this label")

	status, body := lokiRange(`{service_name="x"`, time.Minute).send(t)
	require.Equal(t, 400, status)
	require.NotContains(t, string(body), `"status"`, "Loki's errors are plain text")
	status, _ = call{path: "/loki/api/v2alpha/tail"}.send(t)
	require.Equal(t, 404, status, "anything else sends Grafana to the old tail")
}

// TestLokiDrilldown: Logs Drilldown's landing page and its tabs; it writes
// times in ISO.
func TestLokiDrilldown(t *testing.T) {
	from, to := window()
	with := func(pairs ...string) url.Values {
		out := url.Values{"start": {from.UTC().Format(time.RFC3339Nano)}, "end": {to.UTC().Format(time.RFC3339Nano)}}
		for i := 0; i < len(pairs); i += 2 {
			out.Set(pairs[i], pairs[i+1])
		}
		return out
	}
	var a lokiAnswer
	call{path: "/loki/api/v1/index/volume", params: with("query", `{service_name=~".+"}`, "limit", "5000", "targetLabels", "service_name")}.read(t, &a)
	require.Equal(t, "vector", a.Data.Type)
	require.NotEmpty(t, a.Data.Result[0].Metric["service_name"])
	a = lokiAnswer{}
	call{path: "/loki/api/v1/index/volume_range", params: with("query", `{service_name=~".+"}`, "step", "60s", "targetLabels", "service_name")}.read(t, &a)
	require.Equal(t, "matrix", a.Data.Type)
	require.NotEmpty(t, a.Data.Result)

	var labels struct {
		DetectedLabels []struct {
			Label       string
			Cardinality int
		}
	}
	call{path: "/loki/api/v1/detected_labels", params: with("query", `{service_name="checkout"}`)}.read(t, &labels)
	require.NotEmpty(t, labels.DetectedLabels)
	var fields struct {
		Fields []struct {
			Label, Type string
			Cardinality int
			Parsers     []string
		}
	}
	call{path: "/loki/api/v1/detected_fields", params: with("query", `{service_name="checkout"}`, "line_limit", "1000", "field_limit", "1000")}.read(t, &fields)
	require.NotEmpty(t, fields.Fields)
	var values struct{ Values []string }
	call{path: "/loki/api/v1/detected_field/detected_level/values", params: with("query", `{service_name="checkout"}`)}.read(t, &values)
	require.Contains(t, values.Values, "info")
	var patterns struct {
		Data []struct {
			Pattern string
			Samples [][2]int64
		}
	}
	call{path: "/loki/api/v1/patterns", params: with("query", `{service_name="checkout"}`, "step", "60s")}.read(t, &patterns)
	require.NotEmpty(t, patterns.Data)
	require.NotEmpty(t, patterns.Data[0].Samples)
	var limits struct{ Limits map[string]any }
	call{path: "/loki/api/v1/drilldown-limits"}.read(t, &limits)
	require.Equal(t, true, limits.Limits["volume_enabled"])
}

// TestLokiTail: live mode opens a WebSocket and reads frames of streams.
func TestLokiTail(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	from := strconv.FormatInt(braid.now.Add(-30*time.Minute).UnixNano(), 10)
	target := strings.Replace(braid.http, "http", "ws", 1) + "/loki/api/v1/tail?" + url.Values{"query": {`{service_name="checkout"}`}, "start": {from}}.Encode()
	conn, _, err := websocket.Dial(ctx, target, nil)
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(16 << 20)
	_, frame, err := conn.Read(ctx)
	require.NoError(t, err)
	var a struct {
		Streams []struct {
			Stream map[string]string
			Values [][]any
		}
	}
	require.NoError(t, json.Unmarshal(frame, &a))
	require.Equal(t, "checkout", a.Streams[0].Stream["service_name"])
	require.NotEmpty(t, a.Streams[0].Values)
}

// TestLokiRules: what Grafana asks when it lists the data source's rules.
func TestLokiRules(t *testing.T) {
	var rules struct{ Data struct{ Groups []any } }
	call{path: "/prometheus/api/v1/rules"}.read(t, &rules)
	require.NotNil(t, rules.Data.Groups)
}
