package grafana_test

import (
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/protobuf/encoding/protowire"
)

var protobuf = map[string]string{"Accept": "application/protobuf"}

// tempoSearch is what Grafana's Tempo data source decodes of a search.
type tempoSearch struct {
	Traces []struct {
		TraceID           string `json:"traceID"`
		RootServiceName   string `json:"rootServiceName"`
		RootTraceName     string `json:"rootTraceName"`
		StartTimeUnixNano string `json:"startTimeUnixNano"`
		DurationMs        int64  `json:"durationMs"`
		SpanSets          []struct {
			Matched int
			Spans   []struct {
				SpanID            string `json:"spanID"`
				StartTimeUnixNano string `json:"startTimeUnixNano"`
				DurationNanos     string `json:"durationNanos"`
				Attributes        []any  `json:"attributes"`
			}
		} `json:"spanSets"`
	} `json:"traces"`
}

// tempoSeries is what it decodes of a metrics query.
type tempoSeries struct {
	Series []struct {
		Labels []struct {
			Key   string
			Value map[string]any
		}
		Samples []struct {
			TimestampMs string
			Value       float64
		}
		Exemplars []any
	}
}

func tempoSpan(pairs ...string) url.Values {
	from, to := window()
	out := url.Values{"start": {strconv.FormatInt(from.Unix(), 10)}, "end": {strconv.FormatInt(to.Unix(), 10)}}
	for i := 0; i < len(pairs); i += 2 {
		out.Set(pairs[i], pairs[i+1])
	}
	return out
}

func tempoMetrics(query string, step time.Duration) call {
	return call{path: "/api/metrics/query_range", params: tempoSpan("q", query, "step", step.String(), "exemplars", "100")}
}

func tempoFind(query, limit string) call {
	return call{path: "/api/search", params: tempoSpan("q", query, "limit", limit, "spss", "3")}
}

// traceOf opens a trace as Grafana's Tempo data source does: second version of
// the API, protobuf, and the first version when there is none. It returns nil
// when the trace is unknown.
func traceOf(t *testing.T, id string) []ptrace.ResourceSpans {
	t.Helper()
	status, body := call{path: "/api/v2/traces/" + id, header: protobuf}.send(t)
	if status == 404 {
		status, _ = call{path: "/api/traces/" + id, header: protobuf}.send(t)
		require.Equal(t, 404, status)
		return nil
	}
	require.Equal(t, 200, status, "%s", body)
	num, kind, n := protowire.ConsumeTag(body)
	require.Positive(t, n)
	require.Equal(t, protowire.Number(1), num, "TraceByIDResponse.trace")
	require.Equal(t, protowire.BytesType, kind)
	trace, n := protowire.ConsumeBytes(body[n:])
	require.Positive(t, n)
	traces, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(trace)
	require.NoError(t, err)
	var out []ptrace.ResourceSpans
	for _, rs := range traces.ResourceSpans().All() {
		out = append(out, rs)
	}
	return out
}

// TestTempoHealth: older Grafana asks echo, newer ones run a search.
func TestTempoHealth(t *testing.T) {
	status, body := call{path: "/api/echo"}.send(t)
	require.Equal(t, 200, status)
	require.Equal(t, "echo", string(body))
	var s tempoSearch
	call{path: "/api/search", params: url.Values{"q": {"{}"}, "limit": {"1"}}}.read(t, &s)
	require.Len(t, s.Traces, 1)
}

// TestTempoTrace: by id in both versions of the API; an unknown one is absent.
func TestTempoTrace(t *testing.T) {
	require.NotEmpty(t, traceOf(t, braid.traceID))
	status, body := call{path: "/api/traces/" + braid.traceID, header: protobuf}.send(t)
	require.Equal(t, 200, status)
	traces, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(body)
	require.NoError(t, err)
	require.Positive(t, traces.SpanCount())
	var old struct{ Batches []any }
	call{path: "/tempo/api/traces/" + braid.traceID}.read(t, &old)
	require.NotEmpty(t, old.Batches)
	require.Nil(t, traceOf(t, "00000000000000000000000000000abc"))
}

// TestTempoExplore: search, the tags and values of the builder; Grafana encodes
// a tag twice.
func TestTempoExplore(t *testing.T) {
	var s tempoSearch
	tempoFind(`{resource.service.name="checkout" && status=error}`, "20").read(t, &s)
	require.NotEmpty(t, s.Traces)
	first := s.Traces[0]
	require.NotEmpty(t, first.RootServiceName)
	require.Regexp(t, `^\d{19}$`, first.StartTimeUnixNano)
	require.Positive(t, first.SpanSets[0].Matched)
	require.Regexp(t, `^\d+$`, first.SpanSets[0].Spans[0].DurationNanos)
	call{path: "/api/search", params: tempoSpan("tags", `service.name="checkout"`, "minDuration", "1ms", "limit", "5")}.read(t, &s)
	require.NotEmpty(t, s.Traces)

	var tags struct {
		Scopes []struct {
			Name string
			Tags []string
		}
	}
	call{path: "/api/v2/search/tags", params: tempoSpan("limit", "5000")}.read(t, &tags)
	found := map[string][]string{}
	for _, scope := range tags.Scopes {
		found[scope.Name] = scope.Tags
	}
	require.Contains(t, found["resource"], "service.name")
	require.Contains(t, found["span"], "http.route")
	require.Contains(t, found["intrinsic"], "duration")

	var values struct {
		TagValues []struct{ Type, Value string }
	}
	for _, tag := range []string{"resource.service.name", ".http.route", "status", "rootServiceName"} {
		path := "/api/v2/search/tag/" + url.PathEscape(url.PathEscape(tag)) + "/values"
		values.TagValues = nil
		call{path: path, params: tempoSpan("limit", "5000")}.read(t, &values)
		require.NotEmpty(t, values.TagValues, tag)
		require.NotEmpty(t, values.TagValues[0].Type, tag)
	}
	status, body := tempoFind(`{`, "20").send(t)
	require.Equal(t, 400, status, "%s", body)
}

// TestTempoDrilldown: the queries of Traces Drilldown.
func TestTempoDrilldown(t *testing.T) {
	for _, query := range []string{
		`{nestedSetParent<0 && true} | rate() by(resource.service.name)`,
		`{nestedSetParent<0 && status=error} | rate()`,
		`{nestedSetParent<0 && true} | histogram_over_time(duration)`,
		`{nestedSetParent<0 && true} | quantile_over_time(duration, .9) by(resource.service.name)`,
		`{nestedSetParent<0 && true} | rate() with(exemplars=true)`,
		`{nestedSetParent<0} | compare({status=error})`,
	} {
		var s tempoSeries
		tempoMetrics(query, time.Minute).read(t, &s)
		require.NotEmpty(t, s.Series, query)
		require.NotEmpty(t, s.Series[0].Samples, query)
		require.Regexp(t, `^\d{13}$`, s.Series[0].Samples[0].TimestampMs, query)
	}
	for _, query := range []string{
		`{nestedSetParent<0 && true} | select(status, resource.service.name, name, nestedSetParent, nestedSetLeft, nestedSetRight)`,
		`{nestedSetParent<0 && kind=server} &>> {status=error} | select(status, resource.service.name)`,
	} {
		var s tempoSearch
		tempoFind(query, "200").read(t, &s)
		require.NotEmpty(t, s.Traces, query)
	}
}

// TestJaeger: what Grafana's Jaeger data source asks, under the prefix that the
// provisioned data source uses.
func TestJaeger(t *testing.T) {
	from, to := window()
	var list struct{ Data []string }
	call{path: "/jaeger/api/services"}.read(t, &list)
	require.Contains(t, list.Data, "checkout")
	call{path: "/jaeger/api/services/checkout/operations"}.read(t, &list)
	require.NotEmpty(t, list.Data)

	var traces struct {
		Data []struct {
			TraceID string
			Spans   []struct {
				TraceID, SpanID, OperationName, ProcessID string
				StartTime, Duration                       int64
				References                                []struct{ RefType, TraceID, SpanID string }
				Tags                                      []struct {
					Key, Type string
					Value     any
				}
				Logs []any
			}
			Processes map[string]struct{ ServiceName string }
		}
	}
	call{path: "/jaeger/api/traces", params: url.Values{"service": {"checkout"}, "limit": {"20"}, "lookback": {"custom"}, "tags": {`{"error":"true"}`},
		"start": {strconv.FormatInt(from.UnixMicro(), 10)}, "end": {strconv.FormatInt(to.UnixMicro(), 10)}}}.read(t, &traces)
	require.NotEmpty(t, traces.Data)
	call{path: "/jaeger/api/traces/" + braid.traceID}.read(t, &traces)
	require.Len(t, traces.Data, 1)
	span := traces.Data[0].Spans[0]
	require.Equal(t, braid.traceID, span.TraceID)
	require.Positive(t, span.Duration)
	require.NotEmpty(t, traces.Data[0].Processes[span.ProcessID].ServiceName)
	status, _ := call{path: "/jaeger/api/traces/00000000000000000000000000000abc"}.send(t)
	require.Equal(t, 404, status, "Grafana reads data[0] unasked")

	require.NotEmpty(t, dependencies(t))
	var v3 struct{ Services []string }
	call{path: "/jaeger/api/v3/services"}.read(t, &v3)
	require.Contains(t, v3.Services, "checkout")
}

// dependencies asks for the graph of a nodeGraph panel.
func dependencies(t *testing.T) []any {
	t.Helper()
	_, to := window()
	var a struct {
		Data []any
	}
	call{path: "/jaeger/api/dependencies", params: url.Values{"endTs": {strconv.FormatInt(to.UnixMilli(), 10)}, "lookback": {"1800000"}}}.read(t, &a)
	return a.Data
}

// TestAlertmanager: Grafana takes a server that answers under /alertmanager for
// Cortex, and refuses it.
func TestAlertmanager(t *testing.T) {
	status, _ := call{path: "/alertmanager/api/v2/status"}.send(t)
	require.Equal(t, 404, status)
	var s struct {
		Config struct{ Original string }
	}
	call{path: "/api/v2/status"}.read(t, &s)
	require.NotEmpty(t, s.Config.Original)
	for _, path := range []string{"/api/v2/alerts", "/api/v2/alerts/groups", "/api/v2/silences", "/api/v2/receivers"} {
		var list []any
		call{path: path}.read(t, &list)
		require.NotNil(t, list, path)
	}
}
