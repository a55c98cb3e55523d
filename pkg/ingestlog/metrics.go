package ingestlog

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one log. Names start with braid_ingest_log_.
type metrics struct {
	reg         prometheus.Registerer
	all         []prometheus.Collector
	records     prometheus.Counter
	bytes       prometheus.Counter
	refused     prometheus.Counter
	failures    prometheus.Counter
	damaged     prometheus.Counter
	syncSeconds prometheus.Histogram
}

func newMetrics(l *Log) (*metrics, error) {
	m := &metrics{reg: l.o.Registerer}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "braid_ingest_log_" + name, Help: help})
		m.all = append(m.all, c)
		return c
	}
	gauge := func(name, help string, value func(Stats) float64) {
		m.all = append(m.all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "braid_ingest_log_" + name, Help: help},
			func() float64 { return value(l.Stats()) }))
	}
	m.records = counter("records_total", "Requests made durable.")
	m.bytes = counter("bytes_total", "Bytes of requests made durable.")
	m.refused = counter("refused_total", "Requests refused because the log could not take them.")
	m.failures = counter("write_failures_total", "Segments given up after a failed write or sync.")
	m.damaged = counter("damaged_total", "Stretches of segments that held no whole record.")
	m.syncSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "braid_ingest_log_sync_seconds", Help: "Time of a sync.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2, 18),
	})
	m.all = append(m.all, m.syncSeconds)
	gauge("segments", "Files of the log.", func(s Stats) float64 { return float64(s.Segments) })
	gauge("size_bytes", "Bytes of all files of the log.", func(s Stats) float64 { return float64(s.Bytes) })
	gauge("queue_bytes", "Bytes that wait for the disk.", func(s Stats) float64 { return float64(s.QueuedBytes) })
	gauge("read_only", "1 while the log cannot be written.", func(s Stats) float64 {
		if s.ReadOnly != nil {
			return 1
		}
		return 0
	})
	if m.reg == nil {
		return m, nil
	}
	for i, c := range m.all {
		if err := m.reg.Register(c); err != nil {
			for _, done := range m.all[:i] {
				m.reg.Unregister(done)
			}
			return nil, fmt.Errorf("cannot register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) unregister() {
	if m.reg == nil {
		return
	}
	for _, c := range m.all {
		m.reg.Unregister(c)
	}
}
