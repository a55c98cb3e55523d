package logstore

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the store's own.
type metrics struct {
	appended, cut, refused, queries, damaged prometheus.Counter
	flushedRows, flushFailures               prometheus.Counter
	merged, mergeFailures, retired           prometheus.Counter
	flushSeconds                             prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, s *Store) *metrics {
	m := &metrics{}
	counter := func(to *prometheus.Counter, name, help string) prometheus.Collector {
		*to = prometheus.NewCounter(prometheus.CounterOpts{Namespace: "braid", Subsystem: "logstore", Name: name, Help: help})
		return *to
	}
	m.flushSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "braid", Subsystem: "logstore",
		Name: "flush_duration_seconds", Help: "Time to turn a head into a block.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 12)})
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "braid", Subsystem: "logstore", Name: name, Help: help}, value)
	}
	all := []prometheus.Collector{
		counter(&m.appended, "appended_records_total", "Log records taken."),
		counter(&m.cut, "cut_records_total", "Log records that were longer than the tenant's limits and were cut."),
		counter(&m.refused, "refused_requests_total", "Requests refused because of the tenant's limit of bytes a second."),
		counter(&m.queries, "queries_total", "Questions answered."),
		counter(&m.damaged, "damaged_blocks_total", "Blocks found damaged."),
		counter(&m.flushedRows, "flushed_records_total", "Log records written to blocks."),
		counter(&m.flushFailures, "flush_failures_total", "Flushes that failed."),
		counter(&m.merged, "merged_blocks_total", "Blocks joined into others."),
		counter(&m.mergeFailures, "merge_failures_total", "Merges and rewrites that failed."),
		counter(&m.retired, "retired_blocks_total", "Blocks dropped by retention."),
		m.flushSeconds,
		gauge("head_records", "Log records in memory.", func() float64 { r, _ := s.memory(); return float64(r) }),
		gauge("head_bytes", "Memory held by log records not yet in blocks.", func() float64 { _, b := s.memory(); return float64(b) }),
		gauge("blocks", "Blocks on disk.", func() float64 { n, _ := s.disk(); return float64(n) }),
		gauge("block_bytes", "Bytes of all blocks on disk.", func() float64 { _, b := s.disk(); return float64(b) }),
	}
	if reg != nil {
		for _, c := range all {
			if err := reg.Register(c); err != nil {
				s.opts.Logger.Warn("cannot register a metric", "err", err)
			}
		}
	}
	return m
}

// memory returns the rows and bytes of all heads.
func (s *Store) memory() (rows int, bytes int64) {
	for _, t := range s.allTenants() {
		t.mu.Lock()
		heads := t.heads()
		t.mu.Unlock()
		for _, h := range heads {
			h.mu.Lock()
			rows, bytes = rows+h.rows, bytes+h.bytes
			h.mu.Unlock()
		}
	}
	return rows, bytes
}

// disk returns the number and size of all blocks.
func (s *Store) disk() (blocks int, bytes int64) {
	for _, t := range s.allTenants() {
		t.mu.Lock()
		for _, b := range t.blocks {
			blocks, bytes = blocks+1, bytes+b.block.Bytes()
		}
		t.mu.Unlock()
	}
	return blocks, bytes
}
