package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

func loki(path string) *program {
	return &program{name: "Loki", path: path, ready: "/ready", flush: "/flush", folders: []string{"chunks", "tsdb-shipper-active", "wal"},
		prepare: func(dir string, p []string) error {
			http, err := net.ResolveTCPAddr("tcp", p[0])
			if err != nil {
				return err
			}
			grpc, err := net.ResolveTCPAddr("tcp", p[1])
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, lokiConfigFile), fmt.Appendf(nil, lokiConfig, http.Port, grpc.Port, dir), 0o600)
		},
		args: func(dir string, _ []string) []string {
			return []string{"-config.file=" + filepath.Join(dir, lokiConfigFile)}
		},
		use: func(o *options, p []string) {
			o.send, o.loki, o.victoria = "http://"+p[0]+"/otlp/v1/logs", "http://"+p[0], ""
		}}
}

const lokiConfigFile = "loki.yaml"

// lokiConfig runs all of Loki in one process on local files, with limits that
// let the load in and the questions through. Results are not cached: each time
// a question is asked it is answered.
const lokiConfig = `
auth_enabled: false
analytics: {reporting_enabled: false}
server:
  http_listen_address: 127.0.0.1
  http_listen_port: %d
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: %d
  http_server_read_timeout: 10m
  http_server_write_timeout: 10m
  log_level: error
common:
  instance_addr: 127.0.0.1
  path_prefix: %[3]s
  replication_factor: 1
  ring: {kvstore: {store: inmemory}}
  storage: {filesystem: {chunks_directory: %[3]s/chunks, rules_directory: %[3]s/rules}}
memberlist: {bind_addr: [127.0.0.1]}
ingester: {lifecycler: {min_ready_duration: 0s}}
querier: {query_ingesters_within: 0s}
query_range: {cache_results: false}
limits_config:
  reject_old_samples: false
  ingestion_rate_mb: 10000
  ingestion_burst_size_mb: 10000
  per_stream_rate_limit: 10GB
  per_stream_rate_limit_burst: 10GB
  max_global_streams_per_user: 0
  max_query_series: 1000000
  query_timeout: 10m
storage_config: {use_thanos_objstore: false}
schema_config:
  configs:
    - {from: 2024-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}
`
