// Package spanmetrics holds the span metrics to the trace store: whatever is
// sent, late, twice, and through crashes, the series say what the store counts.
package spanmetrics
