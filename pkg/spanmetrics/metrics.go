package spanmetrics

import "github.com/prometheus/client_golang/prometheus"

// metrics are the generator's own.
type metrics struct {
	reg                               prometheus.Registerer
	spans, retries, samples, failures prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{reg: reg}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "braid", Subsystem: "span_metrics", Name: name, Help: help})
		if reg != nil {
			reg.MustRegister(c)
		}
		return c
	}
	m.spans = counter("spans_total", "Spans counted into series.")
	m.retries = counter("retries_total", "Spans left out because the store had them before.")
	m.samples = counter("samples_total", "Samples written.")
	m.failures = counter("failures_total", "Rounds that could not be written.")
	return m
}

func (m *metrics) unregister() {
	if m.reg == nil {
		return
	}
	for _, c := range []prometheus.Counter{m.spans, m.retries, m.samples, m.failures} {
		m.reg.Unregister(c)
	}
}
