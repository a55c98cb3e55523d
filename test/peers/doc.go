// Package peers holds Braid's answers to those of the real Tempo and
// Jaeger: the same spans go to both, the same questions too, and what comes
// back is compared as a client reads it. The programs are not built or started
// here: the tests are skipped unless the environment names them.
//
//	BRAID_URL=http://127.0.0.1:4320 BRAID_OTLP_URL=http://127.0.0.1:4318
//	TEMPO_URL=http://127.0.0.1:3200 TEMPO_OTLP_URL=http://127.0.0.1:3318
//	JAEGER_URL=http://127.0.0.1:16686 JAEGER_OTLP_URL=http://127.0.0.1:14318
//
// All of them must be empty at first: every span that is there is compared.
// The spans are 16 minutes old: Tempo finds them with the slack of its write-ahead
// logs (ingestion_time_range_slack) and query_backend_after, of search and of
// metrics, at an hour. Jaeger is compared on memory.
// testdata/traceql.txt has the questions to Tempo; testdata/differences.txt
// what differs for a reason, and the reason.
package peers
