package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

func braid(program, name string, otlp bool) *system {
	return &system{name: name, program: program, otlp: otlp, ready: "/-/ready",
		args: func(dir string, port, second int) []string {
			conf := filepath.Join(dir, "braid.yml")
			// Braid's own metrics would be samples that the others do not have.
			text := "metrics: {resource_labels: [\"*\"]}\nquery: {admin_api: true}\nself: {metrics: false, traces: false}\n"
			if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
				panic(err)
			}
			return []string{"serve", "--config", conf, "--data-dir", filepath.Join(dir, "data"), "--http.listen", address(port),
				"--grpc.listen", "127.0.0.1:0", "--otlp.http.listen", address(second), "--otlp.grpc.listen", "127.0.0.1:0"}
		},
		flush: func(ctx context.Context, s *system) (string, error) {
			name, err := snapshot(ctx, s)
			return filepath.Join(s.dir, "data", "snapshots", "default", "snapshots", name), err
		}}
}

func prometheus(program string) *system {
	return &system{name: "Prometheus", program: program, ready: "/-/ready",
		args: func(dir string, port, _ int) []string {
			conf := filepath.Join(dir, "prometheus.yml")
			if err := os.WriteFile(conf, []byte("global: {}\n"), 0o600); err != nil {
				panic(err)
			}
			return []string{"--config.file=" + conf, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address(port),
				"--web.enable-remote-write-receiver", "--web.enable-admin-api", "--log.level=warn"}
		},
		flush: func(ctx context.Context, s *system) (string, error) {
			name, err := snapshot(ctx, s)
			return filepath.Join(s.dir, "data", "snapshots", name), err
		}}
}

func victoria(program string) *system {
	return &system{name: "VictoriaMetrics", program: program, ready: "/health",
		args: func(dir string, port, _ int) []string {
			return []string{"-storageDataPath=" + filepath.Join(dir, "data"), "-httpListenAddr=" + address(port), "-retentionPeriod=12",
				"-search.latencyOffset=0s", "-search.disableCache", "-loggerLevel=WARN"}
		},
		flush: func(ctx context.Context, s *system) (string, error) {
			_, err := get(ctx, s.url("/internal/force_flush"))
			return filepath.Join(s.dir, "data"), err
		}}
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// snapshot makes blocks of everything, the head included.
func snapshot(ctx context.Context, s *system) (string, error) {
	b, err := do(ctx, http.MethodPost, s.url("/api/v1/admin/tsdb/snapshot"), nil)
	if err != nil {
		return "", err
	}
	var a struct{ Data struct{ Name string } }
	err = json.Unmarshal(b, &a)
	return a.Data.Name, err
}
