package generate

import (
	"maps"
	"math"
	"slices"
	"sort"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// exportEvery is how often the services export metrics.
const exportEvery = 10 * time.Second

var bounds = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}

// expScale gives buckets that grow by about 9 %.
const expScale = 3

// seriesKey is one series of one instance; name, then up to three attributes.
type seriesKey struct {
	at     instance
	metric string
	a1, a2 string
	status int
}

// series is its state. Cumulative kinds keep it; delta kinds are emptied.
type series struct {
	start     time.Time
	count     uint64
	sum       float64
	buckets   []uint64
	exp       map[int32]uint64
	exemplars []exemplar
}

type exemplar struct {
	t     time.Time
	value float64
	f     *frame
}

// measures is what the services' metric SDKs would hold.
type measures struct {
	s      *shop
	series map[seriesKey]*series
	memory map[instance]float64
	seen   map[instance]time.Time
}

func newMeasures(s *shop) *measures {
	return &measures{s: s, series: map[seriesKey]*series{}, memory: map[instance]float64{}, seen: map[instance]time.Time{}}
}

func (m *measures) at(k seriesKey, t time.Time) *series {
	v, ok := m.series[k]
	if !ok {
		v = &series{start: t, buckets: make([]uint64, len(bounds)+1), exp: map[int32]uint64{}}
		m.series[k] = v
	}
	m.seen[k.at] = t
	return v
}

func (v *series) add(f *frame, value float64) {
	v.count++
	v.sum += value
	v.buckets[sort.SearchFloat64s(bounds, value)]++
	if value > 0 {
		v.exp[int32(math.Ceil(math.Log2(value)*(1<<expScale)))-1]++
	}
	if e := (exemplar{f.now, value, f}); len(v.exemplars) < 2 {
		v.exemplars = append(v.exemplars, e)
	} else if value > v.exemplars[1].value {
		v.exemplars[1] = e // the slowest is the one worth looking at
	}
}

func (m *measures) http(f *frame, method, route string, status int, took time.Duration) {
	m.at(seriesKey{f.at, "http.server.request.duration", method, route, status}, f.now).add(f, took.Seconds())
}

func (m *measures) rpc(f *frame, method string, code int, took time.Duration) {
	m.at(seriesKey{f.at, "rpc.server.duration", "shop." + f.at.service, method, code}, f.now).add(f, took.Seconds())
}

func (m *measures) order(f *frame, outcome string, total float64) {
	m.at(seriesKey{f.at, "shop.orders", outcome, f.r.user.tier, 0}, f.now).add(f, 1)
	if total > 0 {
		m.at(seriesKey{f.at, "shop.revenue", "EUR", f.r.user.tier, 0}, f.now).add(f, total)
	}
}

// flush exports at every tenth second in (from, to].
func (m *measures) flush(from, to time.Time) {
	for t := from.Truncate(exportEvery).Add(exportEvery); !t.After(to); t = t.Add(exportEvery) {
		m.export(t)
	}
}

func (m *measures) export(t time.Time) {
	byInstance := map[instance][]seriesKey{}
	for k := range m.series {
		byInstance[k.at] = append(byInstance[k.at], k)
	}
	for at, seen := range m.seen {
		if t.Sub(seen) > 5*time.Minute { // the pod is gone
			delete(m.seen, at)
			delete(m.memory, at)
			for _, k := range byInstance[at] {
				delete(m.series, k)
			}
			delete(byInstance, at)
		}
	}
	for at := range m.seen {
		rm := m.s.rec.cur.metrics.ResourceMetrics().AppendEmpty()
		fill(rm.Resource(), at)
		sm := rm.ScopeMetrics().AppendEmpty()
		sm.Scope().SetName("shop/" + at.service)
		m.runtime(sm.Metrics(), at, t)
		byName := map[string]pmetric.Metric{}
		for _, k := range byInstance[at] {
			metric, ok := byName[k.metric]
			if !ok {
				metric = describe(sm.Metrics().AppendEmpty(), k.metric)
				byName[k.metric] = metric
			}
			m.series[k].point(metric, k, t)
		}
	}
}

func describe(m pmetric.Metric, name string) pmetric.Metric {
	m.SetName(name)
	switch name {
	case "http.server.request.duration":
		m.SetUnit("s")
		m.SetDescription("Duration of HTTP server requests.")
		m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	case "rpc.server.duration":
		m.SetUnit("s")
		m.SetDescription("Duration of inbound remote procedure calls.")
		m.SetEmptyExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	case "shop.orders":
		m.SetUnit("{order}")
		m.SetDescription("Orders by outcome.")
		sum := m.SetEmptySum()
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		sum.SetIsMonotonic(true)
	case "shop.revenue":
		m.SetUnit("EUR")
		m.SetDescription("Revenue of placed orders.")
		sum := m.SetEmptySum()
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		sum.SetIsMonotonic(true)
	}
	return m
}

func (v *series) point(m pmetric.Metric, k seriesKey, t time.Time) {
	switch m.Type() {
	case pmetric.MetricTypeHistogram:
		p := m.Histogram().DataPoints().AppendEmpty()
		put(p.Attributes(), "http.request.method", k.a1, "http.route", k.a2, "http.response.status_code", k.status)
		p.SetStartTimestamp(stamp(v.start))
		p.SetTimestamp(stamp(t))
		p.SetCount(v.count)
		p.SetSum(v.sum)
		p.ExplicitBounds().FromRaw(bounds)
		p.BucketCounts().FromRaw(v.buckets)
		v.putExemplars(p.Exemplars())
	case pmetric.MetricTypeExponentialHistogram:
		p := m.ExponentialHistogram().DataPoints().AppendEmpty()
		put(p.Attributes(), "rpc.system", "grpc", "rpc.service", k.a1, "rpc.method", k.a2, "rpc.grpc.status_code", k.status)
		p.SetStartTimestamp(stamp(v.start))
		p.SetTimestamp(stamp(t))
		p.SetCount(v.count)
		p.SetSum(v.sum)
		p.SetScale(expScale)
		v.putBuckets(p.Positive())
		v.putExemplars(p.Exemplars())
	case pmetric.MetricTypeSum:
		if v.count == 0 {
			return
		}
		p := m.Sum().DataPoints().AppendEmpty()
		p.SetStartTimestamp(stamp(v.start))
		p.SetTimestamp(stamp(t))
		if k.metric == "shop.orders" {
			put(p.Attributes(), "order.outcome", k.a1, "user.tier", k.a2)
			p.SetIntValue(int64(v.count))
		} else {
			put(p.Attributes(), "currency", k.a1, "user.tier", k.a2)
			p.SetDoubleValue(v.sum)
		}
		v.putExemplars(p.Exemplars())
		v.start, v.count, v.sum = t, 0, 0
	}
	v.exemplars = v.exemplars[:0]
}

func (v *series) putBuckets(b pmetric.ExponentialHistogramDataPointBuckets) {
	if len(v.exp) == 0 {
		return
	}
	first, last := slices.Min(slices.Collect(maps.Keys(v.exp))), slices.Max(slices.Collect(maps.Keys(v.exp)))
	counts := make([]uint64, last-first+1)
	for i, n := range v.exp {
		counts[i-first] = n
	}
	b.SetOffset(first)
	b.BucketCounts().FromRaw(counts)
}

func (v *series) putExemplars(dst pmetric.ExemplarSlice) {
	for _, e := range v.exemplars {
		x := dst.AppendEmpty()
		x.SetTimestamp(stamp(e.t))
		x.SetDoubleValue(e.value)
		x.SetTraceID(e.f.r.trace)
		x.SetSpanID(e.f.span.SpanID())
		put(x.FilteredAttributes(), "x-request-id", e.f.r.id, "user.id", e.f.r.user.id)
	}
}

// runtime exports what a process says of itself.
func (m *measures) runtime(dst pmetric.MetricSlice, at instance, t time.Time) {
	const mib = 1 << 20
	if m.memory[at] == 0 {
		m.memory[at] = 120*mib + m.s.rng.Float64()*80*mib
	}
	m.memory[at] = max(60*mib, m.memory[at]*(1+0.01*m.s.rng.NormFloat64()))
	gauge := func(name, unit string, value float64) pcommon.Map {
		g := dst.AppendEmpty()
		g.SetName(name)
		g.SetUnit(unit)
		p := g.SetEmptyGauge().DataPoints().AppendEmpty()
		p.SetTimestamp(stamp(t))
		p.SetDoubleValue(value)
		return p.Attributes()
	}
	gauge("process.memory.usage", "By", m.memory[at])
	active := dst.AppendEmpty()
	active.SetName("http.server.active_requests")
	active.SetUnit("{request}")
	sum := active.SetEmptySum()
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	p := sum.DataPoints().AppendEmpty()
	p.SetTimestamp(stamp(t))
	p.SetIntValue(int64(m.s.rng.IntN(6)))
	if at.service == "payment" {
		waiting := 0.0
		if m.s.incident(t) && at.region == canaryRegion {
			waiting = 4 + float64(m.s.rng.IntN(8))
		}
		put(gauge("payment.pool.waiting", "{request}", waiting), "pool", "gateway")
	}
	if at.service == "shipping" || at.service == "notification" {
		put(gauge("kafka.consumer.lag", "{message}", float64(m.s.rng.IntN(30))), "messaging.destination.name", "orders")
	}
}
