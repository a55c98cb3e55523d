package metrics

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"braid/pkg/api/promapi"
	"braid/pkg/model"
	"braid/pkg/scrape"
	"braid/pkg/tenant"
	"braid/pkg/tsdb"
)

// TestEveryWayInAnswersAlike sends a counter, a gauge and a histogram, with an
// exemplar, by OTLP, remote write 1 and 2 over HTTP, and a scrape; each into a
// tenant of its own. Every question must have the same answer in all of them.
func TestEveryWayInAnswersAlike(t *testing.T) {
	store, err := tsdb.Open(tsdb.Options{Dir: t.TempDir(), SyncInterval: -1, Now: func() time.Time { return epoch }, ResourceLabels: []string{}, NoZeroSample: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	api, err := promapi.New(promapi.Options{Source: store, Write: promapi.NewWriteHandler(promapi.WriteOptions{Write: writeTo(store)})})
	require.NoError(t, err)
	defer api.Close()

	exposed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
		fmt.Fprint(w, exposition)
	}))
	defer exposed.Close()
	address := strings.TrimPrefix(exposed.URL, "http://")

	sendOTLP(t, store, "otlp", otlpRequest(address))
	for version, id := range map[int]string{1: "write1", 2: "write2"} {
		sendWrite(t, api, id, version, address)
	}
	sm, err := scrape.New(scrape.Options{Appendable: store.Appendable("scrape"), ReloadInterval: 5 * time.Millisecond})
	require.NoError(t, err)
	defer sm.Close()
	require.NoError(t, sm.Apply(fmt.Appendf(nil, "global: {scrape_interval: 100ms, scrape_timeout: 100ms}\nscrape_configs: [{job_name: shop, static_configs: [{targets: [%q]}]}]", address)))
	require.Eventually(t, func() bool {
		return strings.Contains(question(t, api, "scrape", "query", "query", "temp_celsius", "time", "1700000000"), "21.5")
	}, 10*time.Second, 10*time.Millisecond)

	for _, q := range [][]string{
		{"query", "query", `hits_total`}, {"query", "query", `sum by (path) (hits_total)`}, {"query", "query", `temp_celsius{job="shop"}`},
		{"query", "query", `histogram_quantile(0.5, sum by (le) (lat_seconds_bucket))`}, {"query", "query", `lat_seconds_sum / lat_seconds_count`},
		{"query_range", "query", `hits_total`, "start", "1699999900", "end", "1700000100", "step", "10"},
		{"query_exemplars", "query", `hits_total`, "start", "1699999000", "end", "1700001000"},
		{"series", "match[]", `{__name__=~"hits.*|lat.*|temp.*"}`}, {"label/le/values"},
		{"metadata", "metric", "temp_celsius"},
	} {
		want := question(t, api, "otlp", q[0], append(q[1:], "time", "1700000000")...)
		require.Contains(t, want, `"status":"success"`)
		require.NotContains(t, want, `"result":[]`, q)
		for _, id := range []string{"write1", "write2", "scrape"} {
			if q[0] == "series" { // in no order
				require.ElementsMatch(t, elements(t, want), elements(t, question(t, api, id, q[0], q[1:]...)))
				continue
			}
			require.JSONEq(t, want, question(t, api, id, q[0], append(q[1:], "time", "1700000000")...), "%s: %v", id, q)
		}
	}
}

func elements(t *testing.T, body string) []map[string]string {
	t.Helper()
	var a struct{ Data []map[string]string }
	require.NoError(t, json.Unmarshal([]byte(body), &a))
	return a.Data
}

const exposition = `# TYPE hits counter
# HELP hits Hits.
hits_total{path="/"} 7 1700000000 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 1 1699999999
# TYPE temp_celsius gauge
# HELP temp_celsius How warm.
# UNIT temp_celsius celsius
temp_celsius 21.5 1700000000
# TYPE lat_seconds histogram
lat_seconds_bucket{le="0.5"} 3 1700000000
lat_seconds_bucket{le="1.5"} 5 1700000000
lat_seconds_bucket{le="+Inf"} 6 1700000000
lat_seconds_count 6 1700000000
lat_seconds_sum 4.25 1700000000
# EOF
`

func otlpRequest(instance string) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "shop")
	rm.Resource().Attributes().PutStr("service.instance.id", instance)
	ms := rm.ScopeMetrics().AppendEmpty().Metrics()
	at := pcommon.NewTimestampFromTime(epoch)
	c := ms.AppendEmpty()
	c.SetName("hits")
	c.SetDescription("Hits.")
	c.SetEmptySum().SetIsMonotonic(true)
	c.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	p := c.Sum().DataPoints().AppendEmpty()
	p.Attributes().PutStr("path", "/")
	p.SetTimestamp(at)
	p.SetIntValue(7)
	e := p.Exemplars().AppendEmpty()
	e.SetTimestamp(pcommon.NewTimestampFromTime(epoch.Add(-time.Second)))
	e.SetDoubleValue(1)
	id, _ := model.ParseTraceID("4bf92f3577b34da6a3ce929d0e0e4736")
	e.SetTraceID(pcommon.TraceID(id))
	g := ms.AppendEmpty()
	g.SetName("temp")
	g.SetUnit("Cel")
	g.SetDescription("How warm.")
	gp := g.SetEmptyGauge().DataPoints().AppendEmpty()
	gp.SetTimestamp(at)
	gp.SetDoubleValue(21.5)
	h := ms.AppendEmpty()
	h.SetName("lat")
	h.SetUnit("s")
	h.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	hp := h.Histogram().DataPoints().AppendEmpty()
	hp.SetTimestamp(at)
	hp.ExplicitBounds().FromRaw([]float64{0.5, 1.5})
	hp.BucketCounts().FromRaw([]uint64{3, 2, 1})
	hp.SetCount(6)
	hp.SetSum(4.25)
	return md
}

// sendWrite sends what the exposition says by remote write over HTTP.
func sendWrite(t *testing.T, api http.Handler, id string, version int, instance string) {
	t.Helper()
	var v1 prompb.WriteRequest
	table := writev2.NewSymbolTable()
	var v2 writev2.Request
	add := func(name string, v float64, kv ...string) {
		ls := labels.FromStrings(append(kv, "__name__", name, "job", "shop", "instance", instance)...)
		one := prompb.TimeSeries{Labels: prompb.FromLabels(ls, nil), Samples: []prompb.Sample{{Value: v, Timestamp: epoch.UnixMilli()}}}
		two := writev2.TimeSeries{LabelsRefs: table.SymbolizeLabels(ls, nil), Samples: []writev2.Sample{{Value: v, Timestamp: epoch.UnixMilli()}}}
		if name == "hits_total" {
			ex := labels.FromStrings("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736")
			one.Exemplars = []prompb.Exemplar{{Labels: prompb.FromLabels(ex, nil), Value: 1, Timestamp: epoch.UnixMilli() - 1000}}
			two.Exemplars = []writev2.Exemplar{{LabelsRefs: table.SymbolizeLabels(ex, nil), Value: 1, Timestamp: epoch.UnixMilli() - 1000}}
		}
		if name == "temp_celsius" {
			v1.Metadata = append(v1.Metadata, prompb.MetricMetadata{MetricFamilyName: name, Type: prompb.MetricMetadata_GAUGE, Help: "How warm.", Unit: "celsius"})
			two.Metadata = writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_GAUGE, HelpRef: table.Symbolize("How warm."), UnitRef: table.Symbolize("celsius")}
		}
		v1.Timeseries, v2.Timeseries = append(v1.Timeseries, one), append(v2.Timeseries, two)
	}
	add("hits_total", 7, "path", "/")
	add("temp_celsius", 21.5)
	add("lat_seconds_bucket", 3, "le", "0.5")
	add("lat_seconds_bucket", 5, "le", "1.5")
	add("lat_seconds_bucket", 6, "le", "+Inf")
	add("lat_seconds_count", 6)
	add("lat_seconds_sum", 4.25)
	v2.Symbols = table.Symbols()
	body, err := v1.Marshal()
	contentType := "application/x-protobuf"
	if version == 2 {
		body, err = v2.Marshal()
		contentType += ";proto=io.prometheus.write.v2.Request"
	}
	require.NoError(t, err)
	r := httptest.NewRequest("POST", "/api/v1/write", bytes.NewReader(snappy.Encode(nil, body)))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Scope-OrgID", id)
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	require.Equal(t, 204, w.Code, w.Body.String())
	if version == 2 {
		require.Equal(t, "7", w.Header().Get("X-Prometheus-Remote-Write-Samples-Written"))
		require.Equal(t, "1", w.Header().Get("X-Prometheus-Remote-Write-Exemplars-Written"))
	}
}

// writeTo joins the endpoint with the store; there is no ingest log here.
func writeTo(store *tsdb.Store) promapi.WriteFunc {
	return func(ctx context.Context, id tenant.ID, req *promapi.WriteRequest) (promapi.WriteResult, error) {
		stats, rej, err := store.AppendRemoteWrite(ctx, id, 0, req.Version, req.Body)
		return promapi.WriteResult{Samples: stats.Samples, Histograms: stats.Histograms, Exemplars: stats.Exemplars, Rejections: rej}, err
	}
}

func question(t *testing.T, api http.Handler, id, path string, kv ...string) string {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		form.Set(kv[i], kv[i+1])
	}
	r := httptest.NewRequest("GET", "/api/v1/"+path+"?"+form.Encode(), nil)
	r.Header.Set("X-Scope-OrgID", id)
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	return w.Body.String()
}
