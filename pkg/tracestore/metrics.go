package tracestore

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the store tells of itself.
type metrics struct {
	appended, flushed, merged, dropped, damaged, failures prometheus.Counter

	reg prometheus.Registerer
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "braid", Subsystem: "tracestore", Name: name, Help: help})
	}
	m := &metrics{
		appended: counter("appended_spans_total", "Spans taken into the head, retries not counted."),
		flushed:  counter("flushed_blocks_total", "Blocks written out of heads."),
		merged:   counter("merged_blocks_total", "Blocks that a merge replaced."),
		dropped:  counter("dropped_blocks_total", "Blocks removed by retention."),
		damaged:  counter("damaged_blocks_total", "Blocks found damaged or unreadable."),
		failures: counter("failures_total", "Flushes, merges and removals that failed and are tried again."),
		reg:      reg,
	}
	if reg != nil {
		for _, c := range m.all() {
			// A second store of one process keeps its counters to itself.
			_ = reg.Register(c)
		}
	}
	return m
}

func (m *metrics) all() []prometheus.Counter {
	return []prometheus.Counter{m.appended, m.flushed, m.merged, m.dropped, m.damaged, m.failures}
}

func (m *metrics) unregister() {
	if m.reg != nil {
		for _, c := range m.all() {
			m.reg.Unregister(c)
		}
	}
}
