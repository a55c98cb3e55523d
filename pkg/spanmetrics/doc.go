// Package spanmetrics turns the spans that come in into series: calls and
// latencies by service and operation (traces_spanmetrics_*), and who calls whom
// (traces_service_graph_*), under the names and labels that Grafana asks for.
//
// The life of a span: the trace store tells of it as it takes it (Observe), and
// it waits, as a few numbers, until its trace has been quiet for Options.Quiet or
// has waited for Options.Longest. Then its trace is settled: a span that the
// store had already (a retry) is left out, every other one is counted, and so are
// the calls that its coming completed (pkg/calls, the rules of the store's own
// service graph). A late span finds the rest of its trace in the store, so a call
// is counted once, whenever its sides come; a call that was counted without its
// other side is not counted again when that comes.
//
// Counts only grow. They are written to Options.Write every Options.Interval, and
// just before to disk, with the spans that wait and the positions of the ingest
// log that both hold (Save): after a crash the log's replay brings exactly the
// rest, and the series go on where they were. OldestNeeded keeps the log until
// then.
//
// Counts are by the time of arrival: a counter cannot count in the past. A span
// that was sent twice is counted once also when a block had the first of it; only
// if the second came less than Interval before a crash, and had been flushed by
// then, may it be counted again.
package spanmetrics
