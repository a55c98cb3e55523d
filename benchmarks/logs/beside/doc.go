// Command beside sends the load of benchmarks/logs to any server that takes OTLP
// over HTTP, and asks it the questions of the table in its own language: Loki's
// API with LogQL, or VictoriaLogs' with LogsQL. With the process id of the server
// it tells the CPU time and the memory of both, so that servers can be measured
// beside each other with the same records. See benchmarks/logs/README.md.
package main
