package metrics

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/prometheus/prometheus/prompb"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// The shape of an instance.
const (
	services   = 12
	routes     = 20
	clients    = 10
	counters   = 30
	gauges     = 40
	boundCount = 14
	// SamplesPerInstance is how many series samples one export of one instance
	// is, target_info included.
	SamplesPerInstance = (routes+clients)*(boundCount+3) + counters + gauges + 1
	// BucketsPerInstance is how many of them are http_server_request_duration_seconds_bucket.
	BucketsPerInstance = routes * (boundCount + 1)
)

var bounds = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}

// Fleet is a set of instances whose counters go on counting.
type Fleet struct {
	start     time.Time
	instances []instance
}

type instance struct {
	id, service int
	rng         *rand.Rand
	hist        [routes + clients][boundCount + 1]uint64
	sum         [routes + clients]float64
	counter     [counters]float64
	gauge       [gauges]float64
	written     []prompb.TimeSeries // see Write
}

// NewFleet makes n instances that began to count at start.
func NewFleet(n int, seed uint64, start time.Time) *Fleet {
	f := &Fleet{start: start, instances: make([]instance, n)}
	for i := range f.instances {
		in := &f.instances[i]
		in.id, in.service = i, i%services
		in.rng = rand.New(rand.NewPCG(seed, uint64(i)))
		for g := range in.gauge {
			in.gauge[g] = float64(in.rng.IntN(1 << 30))
		}
	}
	return f
}

// Export advances instance i by one interval and returns its export at a time,
// as an OTLP protobuf request.
func (f *Fleet) Export(i int, at time.Time) ([]byte, error) {
	in := &f.instances[i]
	in.advance()
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	in.resource(rm.Resource().Attributes())
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName("otelhttp")
	sm.Scope().SetVersion("0.60.0")
	w := writer{sm.Metrics(), pcommon.NewTimestampFromTime(f.start), pcommon.NewTimestampFromTime(at)}
	w.histograms(in, "http.server.request.duration", 0, routes, func(a pcommon.Map, n int) { putAll(a, routeAttrs(n, ".")) })
	w.histograms(in, "rpc.client.duration", routes, clients, func(a pcommon.Map, n int) { putAll(a, clientAttrs(n, ".")) })
	for n, v := range in.counter {
		m := sm.Metrics().AppendEmpty()
		m.SetName(fmt.Sprintf("app.events.%d", n))
		s := m.SetEmptySum()
		s.SetIsMonotonic(true)
		s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		w.number(s.DataPoints().AppendEmpty(), v, "kind", "normal")
	}
	for n, v := range in.gauge {
		m := sm.Metrics().AppendEmpty()
		m.SetName(fmt.Sprintf("process.runtime.value.%d", n))
		m.SetUnit("By")
		w.number(m.SetEmptyGauge().DataPoints().AppendEmpty(), v, "pool", "heap")
	}
	return pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
}

func (in *instance) advance() {
	for h := range in.hist {
		for range in.rng.IntN(12) {
			v := in.rng.ExpFloat64() * 0.1
			b := 0
			for b < len(bounds) && v > bounds[b] {
				b++
			}
			in.hist[h][b]++
			in.sum[h] += v
		}
	}
	for c := range in.counter {
		in.counter[c] += float64(in.rng.IntN(100))
	}
	for g := range in.gauge {
		if in.rng.IntN(2) == 0 {
			in.gauge[g] += float64(in.rng.IntN(2001)-1000) * 4096
		}
	}
}

func (in *instance) resource(a pcommon.Map) { putAll(a, in.resourceAttrs(".")) }

// resourceAttrs are the names and values of the resource; dot stands between
// the parts of a name.
func (in *instance) resourceAttrs(dot string) []string {
	return names(dot,
		"service.name", fmt.Sprintf("service-%d", in.service),
		"service.namespace", "shop",
		"service.version", "1.42.0",
		"service.instance.id", fmt.Sprintf("5f0c1a2b-%04d-4d3e-9f00-0000%08d", in.id%9999, in.id),
		"deployment.environment.name", "production",
		"k8s.cluster.name", "eu-central-1",
		"k8s.namespace.name", "shop",
		"k8s.pod.name", fmt.Sprintf("service-%d-7d9c8b6f5-%05d", in.service, in.id),
		"host.name", fmt.Sprintf("node-%d", in.id%40),
		"telemetry.sdk.language", "go")
}

// routeAttrs are those of route n of the HTTP server.
func routeAttrs(n int, dot string) []string {
	return names(dot,
		"http.request.method", []string{"GET", "POST", "PUT", "DELETE"}[n%4],
		"http.route", fmt.Sprintf("/api/v1/resource%d/{id}", n/4),
		"http.response.status_code", []string{"200", "201", "404", "500", "204"}[n%5],
		"network.protocol.version", "1.1",
		"url.scheme", "https")
}

// clientAttrs are those of RPC client n.
func clientAttrs(n int, dot string) []string {
	return names(dot, "rpc.system", "grpc", "rpc.service", fmt.Sprintf("shop.v1.Service%d", n), "rpc.method", "Call")
}

// names puts dot between the parts of every other string.
func names(dot string, kv ...string) []string {
	if dot != "." {
		for i := 0; i < len(kv); i += 2 {
			kv[i] = strings.ReplaceAll(kv[i], ".", dot)
		}
	}
	return kv
}

func putAll(a pcommon.Map, kv []string) {
	for i := 0; i < len(kv); i += 2 {
		a.PutStr(kv[i], kv[i+1])
	}
}

// writer fills metrics of one export.
type writer struct {
	metrics   pmetric.MetricSlice
	start, at pcommon.Timestamp
}

func (w *writer) histograms(in *instance, name string, from, n int, attrs func(pcommon.Map, int)) {
	m := w.metrics.AppendEmpty()
	m.SetName(name)
	m.SetUnit("s")
	h := m.SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	for i := range n {
		p := h.DataPoints().AppendEmpty()
		attrs(p.Attributes(), i)
		p.SetStartTimestamp(w.start)
		p.SetTimestamp(w.at)
		var count uint64
		for _, c := range in.hist[from+i] {
			count += c
		}
		p.SetCount(count)
		p.SetSum(in.sum[from+i])
		p.ExplicitBounds().FromRaw(bounds)
		p.BucketCounts().FromRaw(in.hist[from+i][:])
	}
}

func (w *writer) number(p pmetric.NumberDataPoint, v float64, key, value string) {
	p.SetStartTimestamp(w.start)
	p.SetTimestamp(w.at)
	p.SetDoubleValue(v)
	p.Attributes().PutStr(key, value)
}
