package ingest

import (
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"braid/pkg/tenant"
)

// maxTenantLabels bounds the tenants that have series of their own: the name
// comes from the sender. The others share "other".
const maxTenantLabels = 500

type metrics struct {
	bytes, items, requests *prometheus.CounterVec
	seconds, decode        *prometheus.HistogramVec
	replayed               prometheus.Counter
	trimmedTo              prometheus.Gauge

	mu      sync.Mutex
	tenants map[tenant.ID]bool // guarded by mu
}

func newMetrics(reg prometheus.Registerer, b *budget) (*metrics, error) {
	labels := []string{"signal", "protocol", "tenant"}
	m := &metrics{
		tenants: map[tenant.ID]bool{},
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_ingest_received_bytes_total", Help: "Payload bytes received, as they came."}, labels),
		items: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_ingest_items_total", Help: "Log records, spans and data points by result: accepted or rejected."}, append(labels, "result")),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_ingest_requests_total", Help: "Requests by the HTTP status that they were answered with (on gRPC its equivalent)."}, []string{"signal", "protocol", "transport", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "braid_ingest_request_seconds", Help: "Time from the last byte of a request to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 10), NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100}, []string{"signal", "transport"}),
		decode: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "braid_ingest_decode_seconds", Help: "Time to decompress, decode and validate a request.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 3, 10), NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100}, []string{"signal"}),
		replayed:  prometheus.NewCounter(prometheus.CounterOpts{Name: "braid_ingest_replayed_records_total", Help: "Records of the ingest log replayed at start."}),
		trimmedTo: prometheus.NewGauge(prometheus.GaugeOpts{Name: "braid_ingest_log_needed_position", Help: "Least position of the ingest log that is still needed."}),
	}
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "braid_ingest_in_flight_bytes", Help: "Memory held by requests in flight."}, func() float64 { return float64(b.inUse()) })
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.bytes, m.items, m.requests, m.seconds, m.decode, m.replayed, m.trimmedTo, inFlight} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// label returns the tenant's label, "other" when there are too many.
func (m *metrics) label(t tenant.ID) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.tenants[t] {
		if len(m.tenants) >= maxTenantLabels {
			return "other"
		}
		m.tenants[t] = true
	}
	return string(t)
}

// observation is one request under way.
type observation struct {
	m         *metrics
	proto     *Protocol
	tenant    string
	transport string
	begun     time.Time
}

func (m *metrics) start(p *Protocol, t tenant.ID, transport string) *observation {
	return &observation{m: m, proto: p, tenant: m.label(t), transport: transport, begun: time.Now()}
}

func (o *observation) decoded() {
	o.m.decode.WithLabelValues(o.proto.Signal.String()).Observe(time.Since(o.begun).Seconds())
}

func (o *observation) end(bytes, accepted int, rejected int64, err error) {
	signal := o.proto.Signal.String()
	o.m.seconds.WithLabelValues(signal, o.transport).Observe(time.Since(o.begun).Seconds())
	o.m.bytes.WithLabelValues(signal, o.proto.Name, o.tenant).Add(float64(bytes))
	code := 200
	if err != nil {
		code = classify(err).http
	} else {
		o.m.items.WithLabelValues(signal, o.proto.Name, o.tenant, "accepted").Add(float64(accepted))
		o.m.items.WithLabelValues(signal, o.proto.Name, o.tenant, "rejected").Add(float64(rejected))
	}
	o.m.requests.WithLabelValues(signal, o.proto.Name, o.transport, strconv.Itoa(code)).Inc()
}
