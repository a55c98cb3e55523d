// Package rule evaluates rules: Prometheus rule files as they are, by
// Prometheus's own rules package. What a rule asks, it asks of a Queryable
// given by the wiring; what it records, and the state of alerts (ALERTS,
// ALERTS_FOR_STATE), goes to an Appendable; alerts go to a notify function.
//
// A rule asks LogQL and TraceQL by a virtual selector, {__logql__="…"} or
// {__traceql__="…"}: see package promql. So every file that Braid takes,
// promtool takes too.
//
// Reload is atomic: a broken file keeps the old set, and the error says the
// file, the line and why.
package rule
