package tsdb

import (
	"github.com/prometheus/client_golang/prometheus"
)

// storeMetrics counts the way in. Prometheus's own metrics of each database
// are registered beside them with a tenant label.
type storeMetrics struct {
	samples      prometheus.Counter
	rejected     *prometheus.CounterVec
	staleRefs    prometheus.Counter
	exemplars    *prometheus.CounterVec
	commitErrors prometheus.Counter
	syncErrors   prometheus.Counter
	damaged      prometheus.Counter
	deltaSeeded  prometheus.Counter
	syncSeconds  prometheus.Histogram
}

func newStoreMetrics(s *Store, reg prometheus.Registerer) *storeMetrics {
	m := &storeMetrics{
		samples:      prometheus.NewCounter(prometheus.CounterOpts{Name: "braid_tsdb_samples_appended_total", Help: "Samples appended."}),
		rejected:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "braid_tsdb_points_rejected_total", Help: "Points not taken, by reason."}, []string{"reason"}),
		staleRefs:    prometheus.NewCounter(prometheus.CounterOpts{Name: "braid_tsdb_stale_references_total", Help: "Cached series references that the head had forgotten."}),
		exemplars:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "braid_tsdb_exemplars_total", Help: "Exemplars offered, and left out by reason."}, []string{"outcome"}),
		commitErrors: prometheus.NewCounter(prometheus.CounterOpts{Name: "braid_tsdb_commit_errors_total", Help: "Transactions that could not be written."}),
		damaged:      prometheus.NewCounter(prometheus.CounterOpts{Name: "braid_tsdb_damaged_parts_total", Help: "Records of write-ahead logs, and blocks, that could not be read when a database was opened."}),
		deltaSeeded:  prometheus.NewCounter(prometheus.CounterOpts{Name: "braid_tsdb_delta_totals_restored_total", Help: "Delta streams whose running total was read back from what is stored."}),
		syncErrors:   prometheus.NewCounter(prometheus.CounterOpts{Name: "braid_tsdb_sync_errors_total", Help: "Failed syncs of a write-ahead log."}),
		syncSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "braid_tsdb_sync_seconds", Help: "Time to make the write-ahead logs durable.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
	}
	hits := prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "braid_tsdb_reference_cache_hits_total", Help: "Points whose series references were known."},
		func() float64 { h, _, _ := s.cacheStats(); return float64(h) })
	misses := prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "braid_tsdb_reference_cache_misses_total", Help: "Points whose labels had to be built."},
		func() float64 { _, n, _ := s.cacheStats(); return float64(n) })
	series := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "braid_tsdb_reference_cache_series", Help: "Series references held."},
		func() float64 { _, _, n := s.cacheStats(); return float64(n) })
	reg.MustRegister(m.samples, m.rejected, m.staleRefs, m.exemplars, m.commitErrors, m.syncErrors, m.damaged, m.deltaSeeded, m.syncSeconds, hits, misses, series)
	return m
}
