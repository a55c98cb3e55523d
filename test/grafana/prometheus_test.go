package grafana_test

import (
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// promAnswer is what Grafana's Prometheus data source decodes.
type promAnswer struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		Type   string `json:"resultType"`
		Result []struct {
			Metric     map[string]string `json:"metric"`
			Value      []any             `json:"value"`
			Values     [][]any           `json:"values"`
			Histogram  []any             `json:"histogram"`
			Histograms [][]any           `json:"histograms"`
		} `json:"result"`
	} `json:"data"`
}

// numbers counts the samples that can be drawn.
func (a promAnswer) numbers() (n int) {
	for _, r := range a.Data.Result {
		samples := r.Values
		if r.Value != nil {
			samples = append(samples, r.Value)
		}
		for _, s := range samples {
			if v, ok := s[1].(string); ok && v != "NaN" {
				n++
			}
		}
		n += len(r.Histograms)
	}
	return n
}

// promSeconds is how Grafana's backend writes a time: float seconds.
func promSeconds(at time.Time) string {
	return strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', -1, 64)
}

// promRange asks for a range on multiples of the step, as Grafana's backend
// does; one step more, for what Braid has kept of itself in its few seconds.
func promRange(query string, step time.Duration) call {
	from, to := window()
	from, to = from.Truncate(step), to.Add(step).Truncate(step)
	return call{method: "POST", path: "/api/v1/query_range", params: url.Values{
		"query": {query}, "start": {promSeconds(from)}, "end": {promSeconds(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)}}}
}

func promInstant(query string, at time.Time) call {
	return call{method: "POST", path: "/api/v1/query", params: url.Values{"query": {query}, "time": {promSeconds(at)}}}
}

// TestPrometheusHealth: "Save & test" asks 1+1 at second four, then what it
// talks to; features in buildinfo would make Grafana take Braid for Mimir.
func TestPrometheusHealth(t *testing.T) {
	var a struct {
		Status string
		Data   struct {
			ResultType string
			Result     []any
		}
	}
	promInstant("1+1", time.Unix(4, 0)).read(t, &a)
	require.Equal(t, "scalar", a.Data.ResultType)
	require.Equal(t, []any{4.0, "2"}, a.Data.Result)

	var b struct {
		Data struct {
			Version  string
			Features map[string]any
		}
	}
	call{path: "/api/v1/status/buildinfo"}.read(t, &b)
	require.Regexp(t, `^[23]\.\d+\.\d+$`, b.Data.Version)
	require.Empty(t, b.Data.Features)
}

// TestPrometheusExplore: what the editor, the metrics browser, variables and
// metrics drilldown ask before any query runs.
func TestPrometheusExplore(t *testing.T) {
	from, to := window()
	span := url.Values{"start": {promSeconds(from)}, "end": {promSeconds(to)}, "limit": {"40000"}}
	with := func(pairs ...string) url.Values {
		out := url.Values{}
		for k, v := range span {
			out[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			out.Add(pairs[i], pairs[i+1])
		}
		return out
	}
	var list struct {
		Status string
		Data   []string
	}
	for _, method := range []string{"GET", "POST"} {
		call{method: method, path: "/api/v1/labels", params: with("match[]", "http_server_request_duration_seconds_bucket")}.read(t, &list)
		require.Subset(t, list.Data, []string{"__name__", "le", "service_name", "http_route"})
		require.IsIncreasing(t, list.Data)
	}
	call{path: "/api/v1/label/__name__/values", params: span}.read(t, &list)
	require.Contains(t, list.Data, "http_server_request_duration_seconds_bucket")
	call{path: "/api/v1/label/service_name/values", params: with("match[]", `{http_route!=""}`)}.read(t, &list)
	require.Equal(t, []string{"frontend"}, list.Data)
	// A name as Grafana escapes those that are not of the old alphabet.
	call{path: "/api/v1/label/U__service_2e_name/values", params: span}.read(t, &list)
	require.Empty(t, list.Data)

	var series struct{ Data []map[string]string }
	call{method: "POST", path: "/api/v1/series", params: with("match[]", "kafka_consumer_lag")}.read(t, &series)
	require.NotEmpty(t, series.Data)
	require.Equal(t, "kafka_consumer_lag", series.Data[0]["__name__"])

	var meta struct {
		Data map[string][]struct{ Type, Help, Unit string }
	}
	call{path: "/api/v1/metadata", params: url.Values{"limit": {"40000"}}}.read(t, &meta)
	require.Equal(t, "histogram", meta.Data["rpc_server_duration_seconds"][0].Type)
	require.NotEmpty(t, meta.Data["rpc_server_duration_seconds"][0].Help)

	var parsed struct{ Data string }
	call{path: "/api/v1/format_query", params: url.Values{"query": {"sum(up)by(job)"}}}.read(t, &parsed)
	require.Equal(t, "sum by (job) (up)", parsed.Data)
}

// TestPrometheusPanels: ranges, native histograms, exemplars, errors.
func TestPrometheusPanels(t *testing.T) {
	var a promAnswer
	promRange(`sum by (service_name) (rate(http_server_request_duration_seconds_count[1m]))`, 15*time.Second).read(t, &a)
	require.Equal(t, "matrix", a.Data.Type)
	require.Positive(t, a.numbers())

	a = promAnswer{}
	promRange(`sum(rate(rpc_server_duration_seconds[1m]))`, 15*time.Second).read(t, &a)
	require.NotEmpty(t, a.Data.Result[0].Histograms)
	h := a.Data.Result[0].Histograms[0][1].(map[string]any)
	require.IsType(t, "", h["count"])
	require.Len(t, h["buckets"].([]any)[0], 4)

	c := promRange(`histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket[1m])))`, 15*time.Second)
	c.path = "/api/v1/query_exemplars"
	var ex struct {
		Data []struct {
			SeriesLabels map[string]string `json:"seriesLabels"`
			Exemplars    []struct {
				Labels    map[string]string `json:"labels"`
				Value     string            `json:"value"`
				Timestamp float64           `json:"timestamp"`
			} `json:"exemplars"`
		}
	}
	c.read(t, &ex)
	require.NotEmpty(t, ex.Data)
	id := ex.Data[0].Exemplars[0].Labels["trace_id"]
	require.Regexp(t, `^[0-9a-f]{32}$`, id, "the data source's exemplarTraceIdDestinations names this label")
	require.NotEmpty(t, traceOf(t, id), "the exemplar's trace must open")

	status, body := promRange(`sum(`, time.Second).send(t)
	require.Equal(t, 400, status)
	require.Contains(t, string(body), `"errorType":"bad_data"`)
}

// TestPrometheusAlerting: the alert list and the annotation query.
func TestPrometheusAlerting(t *testing.T) {
	var rules struct{ Data struct{ Groups []any } }
	call{path: "/api/v1/rules"}.read(t, &rules)
	require.NotNil(t, rules.Data.Groups)
	var alerts struct{ Data struct{ Alerts []any } }
	call{path: "/api/v1/alerts"}.read(t, &alerts)
	require.NotNil(t, alerts.Data.Alerts)
	var a promAnswer
	promRange(`ALERTS{alertstate="firing"}`, time.Minute).read(t, &a)
	require.Equal(t, "success", a.Status)
}
