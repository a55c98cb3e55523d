package config

import (
	"reflect"
	"time"

	"braid/pkg/model"
)

// Config is the whole configuration. Every field has a usable default, made by
// Default; the doc tags are the documentation.
type Config struct {
	DataDir     string       `yaml:"data_dir" doc:"Folder for everything that is kept. One process at a time."`
	ExternalURL string       `yaml:"external_url" doc:"The address under which users reach the UI: for links in pages. Empty: derived from http.listen."`
	HTTP        Listener     `yaml:"http" doc:"The HTTP port: UI, every query API, health, own metrics."`
	GRPC        Listener     `yaml:"grpc" doc:"The gRPC port: native API, and what queriers ask of ingesters."`
	OTLP        OTLP         `yaml:"otlp" doc:"Where OpenTelemetry data comes in."`
	Log         Log          `yaml:"log" doc:"The program's own log."`
	Ingest      Ingest       `yaml:"ingest" doc:"The way in: the ingest log and its limits."`
	Metrics     Metrics      `yaml:"metrics" doc:"The metric store."`
	Logs        Logs         `yaml:"logs" doc:"The log store."`
	Traces      Traces       `yaml:"traces" doc:"The trace store."`
	Correlation Correlation  `yaml:"correlation" doc:"Which attributes carry correlation ids."`
	Query       Query        `yaml:"query" doc:"Bounds of queries."`
	Alerting    Alerting     `yaml:"alerting" doc:"Rules and paging."`
	Limits      Limits       `yaml:"limits" doc:"Limits of every tenant that has none of its own below."`
	Tenants     TenantLimits `yaml:"tenants" doc:"Limits by tenant: fields left out are taken from limits."`
	Cluster     Cluster      `yaml:"cluster" doc:"Where the other programs are, when the roles run apart."`
	Self        Self         `yaml:"self" doc:"What Braid records of itself."`
}

// Listener is where a port is opened.
type Listener struct {
	Listen string `yaml:"listen" doc:"Host and port. Loopback unless said otherwise."`
	TLS    TLS    `yaml:"tls" doc:"TLS, when cert_file is set."`
}

// TLS of a listener.
type TLS struct {
	CertFile     string `yaml:"cert_file" doc:"PEM certificate chain; read again when it changes."`
	KeyFile      string `yaml:"key_file" doc:"PEM private key."`
	ClientCAFile string `yaml:"client_ca_file" doc:"PEM authorities: clients must show a certificate signed by one of them."`
}

// OTLP receivers.
type OTLP struct {
	HTTP      Listener `yaml:"http" doc:"OTLP/HTTP: protobuf and JSON on /v1/metrics, /v1/logs, /v1/traces."`
	GRPC      Listener `yaml:"grpc" doc:"OTLP/gRPC."`
	MaxBody   Size     `yaml:"max_body" doc:"Largest request, before and after decompression."`
	ParseBody bool     `yaml:"parse_bodies" doc:"Turn log bodies that are JSON objects into fields as well."`
	Severity  bool     `yaml:"find_severity" doc:"Give log records that have no severity the one that their text, attributes or line name."`
	Logfmt    bool     `yaml:"parse_logfmt" doc:"Turn log bodies such as level=info msg=\"done\" into fields as well."`
}

// Log of the program.
type Log struct {
	Level  string `yaml:"level" doc:"debug, info, warn or error."`
	Format string `yaml:"format" doc:"json, text, or auto: text on a terminal."`
}

// Ingest log and memory.
type Ingest struct {
	SegmentSize Size     `yaml:"segment_size" doc:"Size of one file of the ingest log."`
	SyncDelay   Duration `yaml:"sync_delay" doc:"Longest wait for more requests before one fsync answers them all."`
	NoSync      bool     `yaml:"no_sync" doc:"Acknowledge when the kernel has the data: kill -9 loses nothing, power loss may."`
	MaxLogSize  Size     `yaml:"max_log_size" doc:"Bound of the ingest log: beyond it requests are refused until stores have caught up."`
	MaxInFlight Size     `yaml:"max_in_flight" doc:"Bytes of requests worked on at once: beyond it senders are asked to wait."`
}

// Metrics store.
type Metrics struct {
	Retention        Duration `yaml:"retention" doc:"How long samples are kept."`
	RetentionSize    Size     `yaml:"retention_size" doc:"Largest size of a tenant's metrics; 0: no bound."`
	OutOfOrderWindow Duration `yaml:"out_of_order_window" doc:"How late a sample may come."`
	Names            string   `yaml:"names" doc:"How OpenTelemetry names become Prometheus names: UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, NoUTF8EscapingWithSuffixes or NoTranslation."`
	ResourceLabels   []string `yaml:"resource_labels" doc:"Resource attributes that become labels of every series; [\"*\"]: all. Empty: the usual ones (service, namespace, instance, version, environment, k8s names)."`
	ScopeLabels      bool     `yaml:"scope_labels" doc:"Add the instrumentation scope as labels."`
	TargetInfo       bool     `yaml:"target_info" doc:"Keep a target_info series for each OpenTelemetry resource, with all its attributes."`
	ScrapeConfig     string   `yaml:"scrape_config" doc:"A prometheus.yml: its scrape_configs are scraped, with static, file, HTTP, DNS and Kubernetes discovery. Read again on reload."`
}

// Logs store.
type Logs struct {
	Retention     Duration `yaml:"retention" doc:"How long records are kept."`
	RetentionSize Size     `yaml:"retention_size" doc:"Largest size of a tenant's logs; 0: no bound."`
	FlushAge      Duration `yaml:"flush_age" doc:"Age at which records in memory become a block."`
}

// Traces store.
type Traces struct {
	Retention     Duration `yaml:"retention" doc:"How long spans are kept."`
	RetentionSize Size     `yaml:"retention_size" doc:"Largest size of a tenant's spans; 0: no bound."`
	FlushAge      Duration `yaml:"flush_age" doc:"Age at which spans in memory become a block."`

	SpanMetrics SpanMetrics `yaml:"span_metrics" doc:"Series made of the spans that come in, in the tenant's metrics: traces_spanmetrics_* (calls and latencies by service and operation) and traces_service_graph_* (who calls whom), as Grafana's service graph and APM table ask for them."`
}

// SpanMetrics are series made of spans.
type SpanMetrics struct {
	Enabled        bool      `yaml:"enabled" doc:"Write the series."`
	Interval       Duration  `yaml:"interval" doc:"How often each series gets a sample."`
	Wait           Duration  `yaml:"wait" doc:"How long nothing of a trace must have come before its spans are counted; at most six times that. Sides of a call that come later are still counted once."`
	Dimensions     []string  `yaml:"dimensions" doc:"Attributes of spans or their resources that become labels of traces_spanmetrics_*, besides service, span_name, span_kind and status_code. Each multiplies the series."`
	LatencyBuckets []float64 `yaml:"latency_buckets" doc:"Bounds of traces_spanmetrics_latency, in seconds. Changed bounds begin the counters anew."`
	GraphBuckets   []float64 `yaml:"graph_buckets" doc:"Bounds of traces_service_graph_request_client_seconds and …_server_seconds, in seconds."`
	MaxOperations  int       `yaml:"max_operations" doc:"Combinations of labels, and edges of the graph, of a tenant; further ones are counted together as (other)."`
}

// Correlation keys.
type Correlation struct {
	Kinds    map[string][]string `yaml:"kinds" doc:"Attribute names by kind of id: added to those recognised without configuration. A new kind needs no more than its name here, for example {order: [order.id]}."`
	Disabled []string            `yaml:"disabled" doc:"Kinds not to be indexed."`
}

// KeySpec builds the key spec that the settings ask for.
func (c Correlation) KeySpec() *model.KeySpec {
	names := map[string][]string{}
	for kind, list := range model.DefaultKeyAttributes {
		names[kind] = append(names[kind], list...)
	}
	for kind, list := range c.Kinds {
		names[kind] = append(names[kind], list...)
	}
	for _, kind := range c.Disabled {
		delete(names, kind)
	}
	return model.NewKeySpec(names)
}

// Query bounds.
type Query struct {
	MaxConcurrent int      `yaml:"max_concurrent" doc:"Queries of one tenant that run at once; more wait."`
	Timeout       Duration `yaml:"timeout" doc:"Longest time of a query."`
	MaxSamples    int      `yaml:"max_samples" doc:"Samples that one PromQL query may hold in memory."`
	Lookback      Duration `yaml:"lookback" doc:"How old a sample may be and still count as current."`
	Experimental  bool     `yaml:"experimental_functions" doc:"PromQL's experimental functions."`
	AdminAPI      bool     `yaml:"admin_api" doc:"Allow deletion and snapshots over HTTP."`
}

// Alerting rules and paging.
type Alerting struct {
	Rules              []string `yaml:"rules" doc:"Prometheus rule files: paths or globs."`
	Interval           Duration `yaml:"evaluation_interval" doc:"Interval of rule groups that name none."`
	AlertmanagerConfig string   `yaml:"alertmanager_config" doc:"An alertmanager.yml: pages go out from here. Empty: alerts are shown, nobody is paged."`
	AlertmanagerURLs   []string `yaml:"alertmanager_urls" doc:"Alertmanagers elsewhere, which then page instead of the built-in one."`
	Receivers          Reach    `yaml:"receivers" doc:"What the API may set, and where pages may go."`
	Peers              Gossip   `yaml:"cluster" doc:"Several alerters of which one pages."`
}

// Reach of receivers.
type Reach struct {
	API       bool     `yaml:"api" doc:"Allow each tenant to set its Alertmanager configuration, receivers included, by the API: whoever reaches the API then says where Braid sends pages."`
	Allow     []string `yaml:"allow" doc:"Networks (10.1.0.0/16) or addresses that receivers set by the API may reach beside public ones. Private, loopback, link-local and other special addresses are refused when a connection is made, after names are resolved, and after redirects."`
	GuardFile bool     `yaml:"guard_file" doc:"Hold the receivers of alertmanager_config to the same addresses."`
}

// Gossip of alerters.
type Gossip struct {
	Listen    string   `yaml:"listen" doc:"Address of the gossip, TCP and UDP. Empty: this alerter is alone."`
	Advertise string   `yaml:"advertise" doc:"The address at which the others reach it. Empty: that of listen."`
	Peers     []string `yaml:"peers" doc:"Addresses of other alerters' gossip; one that answers is enough."`
	Timeout   Duration `yaml:"peer_timeout" doc:"How long each waits for the page of the one before it."`
	TLSConfig string   `yaml:"tls_config" doc:"A file as Alertmanager's --cluster.tls-config has it. Empty: the gossip is open to whoever reaches the port."`
}

// Limits of a tenant; 0 means no limit.
type Limits struct {
	BytesPerSecond     Size     `yaml:"bytes_per_second" doc:"Bytes of requests of all signals, as they come, taken in a second; more is answered 429 with Retry-After."`
	MaxFuture          Duration `yaml:"max_future" doc:"How far ahead of the clock a record may be; others are rejected. The metric store takes 10 minutes at most."`
	MaxAge             Duration `yaml:"max_age" doc:"How old a record may be when it comes; others are rejected."`
	ActiveSeries       int      `yaml:"active_series" doc:"Metric series in memory."`
	NewSeriesPerMinute int      `yaml:"new_series_per_minute" doc:"Metric series created in a minute."`
	LabelsPerSeries    int      `yaml:"labels_per_series" doc:"Labels of a metric series."`
	LabelLength        int      `yaml:"label_length" doc:"Bytes of a label's value."`
	LabelNameLength    int      `yaml:"label_name_length" doc:"Bytes of a label's name."`
	ExemplarsPerMinute int      `yaml:"exemplars_per_minute" doc:"Exemplars taken in a minute."`
	MetricsRetention   Duration `yaml:"metrics_retention" doc:"How long the tenant's samples are kept, instead of metrics.retention; read at start."`
	MetricsSize        Size     `yaml:"metrics_size" doc:"Largest size of the tenant's metrics, instead of metrics.retention_size; read at start."`
	QuerySamples       int      `yaml:"query_samples" doc:"Samples that one PromQL query may read."`
	QueryBytes         Size     `yaml:"query_bytes" doc:"Bytes of labels and samples that one PromQL query may read."`
	QueryTimeout       Duration `yaml:"query_timeout" doc:"Longest time of a PromQL query, when shorter than query.timeout."`
	LogBytesPerSecond  Size     `yaml:"log_bytes_per_second" doc:"Log bytes taken in a second."`
	LogsRetention      Duration `yaml:"logs_retention" doc:"How long the tenant's log records are kept, instead of logs.retention."`
	LogsSize           Size     `yaml:"logs_size" doc:"Largest size of the tenant's logs, instead of logs.retention_size."`
	LogRecordSize      Size     `yaml:"log_record_size" doc:"Bytes of a log record: longer ones are cut, with a mark."`
	TracesRetention    Duration `yaml:"traces_retention" doc:"How long the tenant's spans are kept, instead of traces.retention."`
	TracesSize         Size     `yaml:"traces_size" doc:"Largest size of the tenant's traces, instead of traces.retention_size."`
	SpanSize           Size     `yaml:"span_size" doc:"Bytes of a span: larger ones are rejected."`
	MaxAttributes      int      `yaml:"max_attributes" doc:"Attributes of one record, span or point."`
	MaxAttributeSize   Size     `yaml:"max_attribute_size" doc:"Bytes of one attribute value."`
}

// TenantLimits are limits by tenant name.
type TenantLimits map[string]Limits

// Cluster addresses.
type Cluster struct {
	Ingesters []string `yaml:"ingesters" doc:"gRPC addresses of the ingesters, for a querier."`
	Querier   string   `yaml:"querier" doc:"gRPC address of a querier, for an alerter."`
	Write     string   `yaml:"write" doc:"HTTP address of an ingester, to which an alerter writes recorded series."`
	Alerter   string   `yaml:"alerter" doc:"HTTP address of the alerter, for a querier: rules and alerts are asked of it."`
}

// Self observation.
type Self struct {
	Traces      bool     `yaml:"traces" doc:"Record traces of own requests."`
	Metrics     bool     `yaml:"metrics" doc:"Keep own metrics as series, as well as at /metrics."`
	Tenant      string   `yaml:"tenant" doc:"The tenant that holds own metrics."`
	TraceTenant string   `yaml:"trace_tenant" doc:"The tenant that holds own traces: apart, since every look at the UI makes some."`
	Interval    Duration `yaml:"interval" doc:"How often own metrics are kept."`
}

// Default returns the configuration of a start without a file.
func Default() *Config {
	return &Config{
		DataDir: "data",
		HTTP:    Listener{Listen: "127.0.0.1:4320"},
		GRPC:    Listener{Listen: "127.0.0.1:4321"},
		OTLP: OTLP{HTTP: Listener{Listen: "127.0.0.1:4318"}, GRPC: Listener{Listen: "127.0.0.1:4317"},
			MaxBody: 64 << 20, ParseBody: true, Severity: true},
		Log:     Log{Level: "info", Format: "auto"},
		Ingest:  Ingest{SegmentSize: 64 << 20, SyncDelay: Duration(2 * time.Millisecond), MaxLogSize: 16 << 30, MaxInFlight: 256 << 20},
		Metrics: Metrics{Retention: Duration(15 * 24 * time.Hour), OutOfOrderWindow: Duration(2 * time.Hour), Names: "UnderscoreEscapingWithSuffixes", TargetInfo: true},
		Logs:    Logs{Retention: Duration(15 * 24 * time.Hour), FlushAge: Duration(5 * time.Minute)},
		Traces: Traces{Retention: Duration(15 * 24 * time.Hour), FlushAge: Duration(5 * time.Minute),
			SpanMetrics: SpanMetrics{Enabled: true, Interval: Duration(15 * time.Second), Wait: Duration(5 * time.Second), MaxOperations: 5000,
				LatencyBuckets: []float64{0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384},
				GraphBuckets:   []float64{0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8}}},
		Query: Query{MaxConcurrent: 20, Timeout: Duration(2 * time.Minute), MaxSamples: 50_000_000,
			Lookback: Duration(5 * time.Minute)},
		Alerting: Alerting{Interval: Duration(time.Minute), Peers: Gossip{Timeout: Duration(15 * time.Second)}},
		Limits:   Limits{MaxFuture: Duration(time.Hour), LabelsPerSeries: 100, LabelLength: 4096, LogRecordSize: 256 << 10, SpanSize: 1 << 20, MaxAttributes: 1024, MaxAttributeSize: 256 << 10},
		Self:     Self{Traces: true, Metrics: true, Tenant: "default", TraceTenant: "braid", Interval: Duration(15 * time.Second)},
	}
}

// LimitsOf returns a tenant's limits: its own where it has any, else the
// common ones.
func (c *Config) LimitsOf(t string) Limits {
	own, ok := c.Tenants[t]
	if !ok {
		return c.Limits
	}
	l := c.Limits
	to, from := reflect.ValueOf(&l).Elem(), reflect.ValueOf(own)
	for i := range from.NumField() {
		if f := from.Field(i); !f.IsZero() {
			to.Field(i).Set(f)
		}
	}
	return l
}
