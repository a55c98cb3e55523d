// Package promql is where PromQL meets the other two signals. The engine and
// the language are Prometheus's own; Federated adds virtual series to any
// metric source: a selector with the label __logql__ or __traceql__ stands for
// the series that the LogQL or TraceQL metric query in its value yields.
//
//	sum by (service_name) ({__logql__="rate({service_name=~\".+\"} |= \"timeout\" [5m])"}) > 2
//
// So one PromQL expression can compare, join and alert on numbers of all three
// signals, in every client and in every rule file, and stays valid PromQL that
// promtool accepts (docs/adr/0003).
package promql
