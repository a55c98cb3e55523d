// Command traces measures the trace store: what taking spans costs, what they
// take on disk, and what each kind of question costs, on a load that is the
// same on every machine. It prints one table; it decides nothing.
//
//	go run ./benchmarks/traces -spans 1000000 -dir /tmp/traces
//	go run ./benchmarks/traces -server bin/braid -spans 1000000 -dir /tmp/traces
//
// The load: call trees of 5 to 40 spans over 30 services, 10 resource
// attributes, HTTP, RPC and database attributes, a user id in every entry span,
// errors in 2 % of the traces. CPU is that of the process, user and system, all
// threads; generating the load is measured apart and taken off.
package main
