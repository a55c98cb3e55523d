package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// peer is another program that takes the same load and is asked the same, as
// far as its APIs go.
type peer struct {
	// launch writes what configuration the program needs and tells its arguments.
	launch    func(s *server, ports [4]string) (ready string, args []string, err error)
	questions func(s *server, g *generator) []httpQuestion
	counts    bool   // it tells how many spans it has
	byID      string // where a trace is, before its id
}

// settle is how long peers are left alone before they are asked.
const settle = 40 * time.Second

var (
	victoriaTraces = peer{launchVictoria, func(_ *server, g *generator) []httpQuestion { return jaegerQuestions(g, "/select/jaeger/api") }, false, "/select/jaeger/api/traces/"}
	tempo          = peer{launchTempo, tempoQuestions, true, "/api/v2/traces/"}
	jaeger         = peer{launchJaeger, func(_ *server, g *generator) []httpQuestion {
		return append(jaegerV3Questions(g), dependencies(g, "/api"))
	}, false, "/api/v3/traces/"}
)

// bench gives a peer the load, and asks it. What it has acknowledged may be in
// memory, and found only when it is written: it is left alone for a while first.
func (p peer) bench(bin, dir string, spans, batch, senders, rounds int, only string) error {
	s := newServer(bin, dir, nil)
	s.launch, s.only = p.launch, only
	if err := s.start(); err != nil {
		return err
	}
	defer s.kill()
	g := newGenerator(1, time.Now().Add(-time.Duration(spans/10_000+30)*time.Second).UnixNano())
	took, err := s.send(g, spans, batch, senders)
	if err != nil {
		return err
	}
	acked := s.cpu()
	time.Sleep(settle)
	s.idle()
	per := 1e6 / float64(g.spans)
	fmt.Printf("%d spans in %d traces, acknowledged in %.1f s wall\n", g.spans, g.traces, took.Seconds())
	fmt.Printf("%-52s %8.2f CPU-s a million\n", "until the last acknowledgement", acked.Seconds()*per)
	fmt.Printf("%-52s %8.2f CPU-s a million\n", "with what followed until idle", s.cpu().Seconds()*per)
	fmt.Printf("%-52s %8d MiB\n", "peak memory", s.peak()>>20)
	if err := p.counted(s, g); err != nil {
		return err
	}
	table := p.questions(s, g)
	if err := s.ask("warm", table, rounds); err != nil {
		return err
	}
	fmt.Printf("\n%-52s %8d MiB\n", "peak memory, questions included", s.peak()>>20)
	s.kill()
	if err := s.sizes(g.spans); err != nil {
		return err
	}
	if err := s.restart(); err != nil {
		return err
	}
	if err := p.counted(s, g); err != nil {
		return err
	}
	return s.ask("first after a restart, files not cached", table, 1)
}

// counted prints how many spans a peer has, when it can tell.
func (p peer) counted(s *server, g *generator) error {
	if !p.counts {
		return nil
	}
	n, err := s.count(g)
	if err != nil {
		return err
	}
	fmt.Printf("%-52s %8s of %d\n", "spans counted", n, g.spans)
	return nil
}

// sizes prints what each file and folder takes on disk: some hold the same spans.
func (s *server) sizes(spans int) error {
	fmt.Printf("%-52s %8.1f bytes a span\n", "on disk", float64(size(s.dir))/float64(spans))
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			fmt.Printf("%-52s %8.1f bytes a span\n", "  "+e.Name(), float64(size(filepath.Join(s.dir, e.Name())))/float64(spans))
		}
	}
	return nil
}

func launchVictoria(s *server, ports [4]string) (string, []string, error) {
	s.otlp = s.http + "/insert/opentelemetry"
	return "/health", []string{"-storageDataPath=" + s.dir, "-httpListenAddr=" + ports[0]}, nil
}

// tempoConfig is Tempo's example for one process, on loopback and without
// metrics of spans. Spans may be an hour old, as those of the load are.
const tempoConfig = `
stream_over_http_enabled: true
server: {http_listen_address: 127.0.0.1, http_listen_port: %s, grpc_listen_address: 127.0.0.1, grpc_listen_port: %s, log_level: error}
memberlist: {bind_addr: [127.0.0.1], bind_port: %s}
distributor: {receivers: {otlp: {protocols: {http: {endpoint: "%s"}}}}}
live_store: {wal: {path: "%[5]s/live", ingestion_time_range_slack: 1h}, shutdown_marker_dir: "%[5]s/marker"}
querier: {frontend_worker: {frontend_address: "127.0.0.1:%[2]s"}}
backend_worker: {backend_scheduler_addr: "127.0.0.1:%[2]s"}
backend_scheduler: {local_work_path: "%[5]s/work"}
storage: {trace: {backend: local, wal: {path: "%[5]s/wal", ingestion_time_range_slack: 1h}, local: {path: "%[5]s/blocks"}}}
overrides: {defaults: {ingestion: {rate_limit_bytes: 1000000000, burst_size_bytes: 1000000000, max_traces_per_user: 0}, global: {max_bytes_per_trace: 0}}}
usage_report: {reporting_enabled: false}
`

func launchTempo(s *server, ports [4]string) (string, []string, error) {
	text := fmt.Sprintf(tempoConfig, port(ports[0]), port(ports[2]), port(ports[3]), ports[1], s.dir)
	file, err := s.config("tempo.yaml", text)
	return "/ready", []string{"-target=all", "-config.file=" + file}, err
}

// tempoQuestions are Braid's own but for those that Tempo has no API for.
func tempoQuestions(s *server, g *generator) (out []httpQuestion) {
	for _, q := range s.questions(g) {
		if q.tempo {
			out = append(out, q)
		}
	}
	return out
}

// jaegerConfig keeps spans in badger, synced when it likes.
const jaegerConfig = `
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [jaeger_storage_exporter]}}
  telemetry: {metrics: {level: none}, logs: {level: error}}
extensions:
  jaeger_query: {storage: {traces: kept}, http: {endpoint: "%[1]s"}, grpc: {endpoint: "%[3]s"}}
  jaeger_storage:
    backends: {kept: {badger: {directories: {keys: "%[4]s/keys", values: "%[4]s/values"}, ephemeral: false}}}
receivers: {otlp: {protocols: {http: {endpoint: "%[2]s"}}}}
processors: {batch: {}}
exporters: {jaeger_storage_exporter: {trace_storage: kept}}
`

func launchJaeger(s *server, ports [4]string) (string, []string, error) {
	file, err := s.config("jaeger.yaml", fmt.Sprintf(jaegerConfig, ports[0], ports[1], ports[2], s.dir))
	return "/api/v3/services", []string{"--config", file}, err
}

// config writes a file beside the program's data.
func (s *server) config(name, text string) (string, error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(s.dir, name)
	return file, os.WriteFile(file, []byte(text), 0o644)
}

// jaegerQuestions ask what Jaeger's first API can be asked, which names a
// service and answers with whole traces. Jaeger itself has little of it left.
func jaegerQuestions(g *generator, api string) []httpQuestion {
	find := func(kv ...string) string {
		return api + "/traces?" + query(append(kv, "service", "service-07", "limit", "20", "start", fmt.Sprint(g.begun/1e3-1e6), "end", fmt.Sprint(g.now/1e3+2e6)))
	}
	const span, trace = `"operationName":`, `"processes":`
	return []httpQuestion{
		{"trace by id, recent (Jaeger)", api + "/traces/" + g.recent.String(), span, false},
		{"trace by id, old (Jaeger)", api + "/traces/" + g.old.String(), span, false},
		{"trace by id, unknown (Jaeger)", api + "/traces/0102030405060708090a0b0c0d0e0f10", "", false},
		{"service + operation + duration (Jaeger)", find("operation", operation, "minDuration", "100ms"), trace, false},
		{"status code 500 of a service (Jaeger)", find("tags", status500), trace, false},
		{"services (Jaeger)", api + "/services", `"service-`, false},
		{"operations of a service (Jaeger)", api + "/services/service-07/operations", `"GET /api`, false},
		dependencies(g, api),
	}
}

// jaegerV3Questions ask the same of Jaeger's third API, whose whole traces are
// OTLP, and which has summaries too; results of whole traces are spans.
func jaegerV3Questions(g *generator) []httpQuestion {
	at := func(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
	find := func(what string, kv ...string) string {
		return "/api/v3/" + what + "?" + query(append(kv, "query.service_name", "service-07", "query.num_traces", "20", "query.start_time_min", at(g.begun-1e9), "query.start_time_max", at(g.now+2e9)))
	}
	slow := []string{"query.operation_name", operation, "query.duration_min", "100ms"}
	failed := []string{"query.attributes", status500}
	const span, summary = `"spanId":`, `"traceId":`
	return []httpQuestion{
		{"trace by id, recent (v3)", "/api/v3/traces/" + g.recent.String(), span, false},
		{"trace by id, old (v3)", "/api/v3/traces/" + g.old.String(), span, false},
		{"trace by id, unknown (v3)", "/api/v3/traces/0102030405060708090a0b0c0d0e0f10", "", false},
		{"service + operation + duration (v3)", find("traces", slow...), span, false},
		{"service + operation + duration, summaries (v3)", find("trace-summaries", slow...), summary, false},
		{"status code 500 of a service (v3)", find("traces", failed...), span, false},
		{"status code 500 of a service, summaries (v3)", find("trace-summaries", failed...), summary, false},
		{"services (v3)", "/api/v3/services", `"service-`, false},
		{"operations of a service (v3)", "/api/v3/operations?service=service-07", `"GET /api`, false},
	}
}

func dependencies(g *generator, api string) httpQuestion {
	return httpQuestion{"dependencies (Jaeger)", fmt.Sprintf("%s/dependencies?endTs=%d&lookback=%d", api, g.now/1e6+2000, (g.now-g.begun)/1e6+4000), `"callCount":`, false}
}

const (
	operation = "GET /api/v1/service-07/resource2/{id}"
	status500 = `{"http.response.status_code":"500"}`
)

func query(kv []string) string {
	v := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		v.Set(kv[i], kv[i+1])
	}
	return v.Encode()
}
