// Package arch holds the plan of the house as a test: which package may import
// which, that every package tells its story in a package comment, and that
// generated code is current. A failing case says what to do instead.
package arch

// rooms maps a package (or, with a trailing "/...", a folder of them) to the
// packages of Braid that it may import. Test files may also import what is in
// testOnly. A package that no line names fails the test: give it a place in
// the plan first.
var rooms = map[string][]string{
	// Floor 1: words and tools. They import nothing of Braid but each other,
	// downwards.
	"pkg/model":            {},
	"pkg/tenant":           {},
	"internal/vfs":         {},
	"internal/arch":        {},
	"internal/rawgrpc":     {"pkg/model", "pkg/tenant"},
	"internal/testkit":     {"internal/rawgrpc", "pkg/model", "pkg/tenant", "pkg/predicate", "pkg/query"},
	"proto":                {},
	"proto/braid/v1":       {},
	"proto/braid/store/v1": {},
	"ui":                   {},

	// Floor 2: the question, the log, what blocks share, decoding, alerting.
	"pkg/predicate":      {"pkg/model", "pkg/tenant"},
	"pkg/ingestlog":      {"pkg/model", "pkg/tenant", "internal/vfs"},
	"pkg/idindex":        {"internal/vfs"},
	"pkg/block":          {"pkg/model", "pkg/tenant", "internal/vfs"},
	"pkg/otlp":           {"pkg/model"},
	"pkg/calls":          {"pkg/model"},
	"pkg/criticalpath":   {},
	"pkg/alert/rule":     {"pkg/model", "pkg/tenant", "pkg/alert/shared", "internal/vfs"},
	"pkg/alert/evidence": {"pkg/model", "pkg/tenant", "pkg/alert/journal", "internal/vfs"},
	"pkg/alert/journal":  {"internal/vfs"},
	"pkg/alert/shared":   {},
	"pkg/alert/notify":   {"pkg/model", "pkg/tenant", "pkg/alert/journal", "pkg/alert/shared", "internal/vfs"},

	// Floor 3: the three stores, which do not know each other nor who asks; the
	// contract, the languages over it; the way in.
	"pkg/tsdb":              stores,
	"pkg/logstore":          stores,
	"pkg/tracestore":        stores,
	"pkg/scrape":            {"pkg/model", "pkg/tenant"},
	"pkg/spanmetrics":       {"pkg/model", "pkg/tenant", "pkg/calls", "internal/vfs"},
	"pkg/query":             {"pkg/model", "pkg/predicate", "pkg/tenant"},
	"pkg/query/promql":      languages,
	"pkg/query/logql":       languages,
	"pkg/query/traceql":     append([]string{"pkg/criticalpath"}, languages...),
	"pkg/query/federate":    languages,
	"pkg/query/fanout":      append([]string{"pkg/calls"}, languages...),
	"pkg/query/sourcetest":  append([]string{"internal/testkit", "pkg/calls"}, languages...),
	"pkg/query/engine":      {"pkg/model", "pkg/tenant"},
	"pkg/ingest":            {"pkg/model", "pkg/tenant", "pkg/otlp", "pkg/ingestlog"},
	"pkg/ingest/lokipush":   protocols,
	"pkg/ingest/zipkin":     protocols,
	"pkg/ingest/ingesttest": append([]string{"pkg/ingestlog", "internal/vfs", "internal/testkit"}, protocols...),

	// Floor 4: correlation, and sources in other processes.
	"pkg/correlation": {"pkg/criticalpath", "pkg/model", "pkg/tenant", "pkg/predicate", "pkg/query"},
	"pkg/remote":      {"pkg/model", "pkg/tenant", "pkg/predicate", "pkg/query", "proto/braid/store/v1"},

	// Floor 5: dialects of HTTP and gRPC.
	"pkg/api/apierr":    {"pkg/model", "pkg/tenant"},
	"pkg/api/native":    append([]string{"pkg/correlation", "pkg/criticalpath", "pkg/query/traceql", "proto/braid/v1"}, dialect...),
	"pkg/api/promapi":   dialect,
	"pkg/api/lokiapi":   append([]string{"pkg/query/logql"}, dialect...),
	"pkg/api/searchapi": append([]string{"pkg/query/logql"}, dialect...),
	"pkg/api/tempoapi":  append([]string{"pkg/query/traceql", "pkg/otlp"}, dialect...),
	"pkg/api/jaegerapi": append([]string{"pkg/query/traceql", "pkg/otlp"}, dialect...),
	"pkg/api/zipkinapi": append([]string{"pkg/query/traceql", "pkg/otlp"}, dialect...),
	"pkg/api/metricapi": dialect,
	"pkg/api/boardapi":  {"pkg/model", "pkg/tenant", "internal/vfs"},
	"pkg/api/alertapi":  append([]string{"pkg/alert/rule", "pkg/alert/evidence", "pkg/alert/notify"}, dialect...),

	// Floor 6: the programs. They may import everything; nothing imports them,
	// which the compiler sees to.
	"cmd/...":        {"..."},
	"benchmarks/...": {"..."},
	"test/...":       {"..."},
}

var (
	protocols = []string{"pkg/model", "pkg/tenant", "pkg/otlp", "pkg/ingest"}
	stores    = []string{"pkg/model", "pkg/tenant", "pkg/predicate", "pkg/block", "pkg/idindex", "pkg/calls", "internal/vfs"}
	languages = []string{"pkg/model", "pkg/tenant", "pkg/predicate", "pkg/query"}
	dialect   = []string{"pkg/api/apierr", "internal/rawgrpc", "pkg/model", "pkg/tenant", "pkg/predicate", "pkg/query", "pkg/query/engine"}
)

// testOnly may be imported by every test, beside the room's own list.
var testOnly = []string{"internal/rawgrpc", "pkg/ingest/ingesttest", "internal/testkit", "internal/vfs", "pkg/query/sourcetest", "pkg/model", "pkg/tenant", "pkg/predicate", "pkg/query"}
