// Package metricapi serves what Braid knows of metrics beyond Prometheus's API:
// the cardinality explorer, which says what the series of a tenant are made of,
// how they grow and who sends them, and the import of history.
//
// The explorer reads labels alone, through the same contract as PromQL, so that
// it answers for stores in other processes as well. The import goes straight
// into the store of this process.
package metricapi
