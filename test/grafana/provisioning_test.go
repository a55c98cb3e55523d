package grafana_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const provisioning = "../../grafana/provisioning"

// needCluster are the panels whose data the shop of `braid generate` does not
// send, because a kubelet or the API server of a cluster sends it. Their queries
// must be valid.
var needCluster = map[string]bool{
	"kubernetes/CPU by pod":              true,
	"kubernetes/Working set by pod":      true,
	"kubernetes/Restarts":                true,
	"kubernetes/Pods that are not ready": true,
	"kubernetes/Events of the cluster":   true,
}

type dashboard struct {
	UID    string
	Title  string
	Links  []struct{ URL string }
	Panels []struct {
		ID         int
		Type       string
		Title      string
		Datasource struct{ Type, UID string }
		Targets    []target
	}
	Templating struct {
		List []struct {
			Name, Type string
			IncludeAll bool
			Datasource struct{ UID string }
			Query      json.RawMessage
		}
	}
}

type target struct {
	Datasource struct{ Type, UID string }
	Expr       string
	Query      string
	QueryType  string
	Instant    bool
	Exemplar   bool
	Metrics    string `json:"metricsQueryType"`
}

type source struct {
	Name, UID, Type, URL string
	JSONData             map[string]any `yaml:"jsonData"`
}

func sources(t *testing.T) map[string]source {
	t.Helper()
	var file struct{ Datasources []source }
	readYAML(t, "datasources/braid.yaml", &file)
	out := map[string]source{}
	for _, s := range file.Datasources {
		require.NotContains(t, out, s.UID)
		out[s.UID] = s
	}
	return out
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(provisioning, name))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into))
}

// TestDataSourcesLeadToEachOther: every datasourceUid is one of the file's, and
// the links name what Braid answers.
func TestDataSourcesLeadToEachOther(t *testing.T) {
	all := sources(t)
	for _, s := range all {
		require.True(t, strings.HasPrefix(s.URL, "${BRAID_URL}"), s.Name)
		text, err := json.Marshal(s.JSONData)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`"datasourceUid":"([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			require.Contains(t, all, m[1], s.Name)
		}
	}
	field := all["braid-logs"].JSONData["derivedFields"].([]any)[0].(map[string]any)
	require.Equal(t, "label", field["matcherType"])
	require.Equal(t, "trace_id", field["matcherRegex"])
}

// TestLinksFromTraces runs the queries that the trace view's links make.
func TestLinksFromTraces(t *testing.T) {
	for _, uid := range []string{"braid-traces", "braid-jaeger"} {
		logs := sources(t)[uid].JSONData["tracesToLogsV2"].(map[string]any)
		var a lokiAnswer
		lokiRange(fill(logs["query"].(string), nil), time.Minute).read(t, &a)
		require.Positive(t, a.entries(), uid)
	}
	metrics := sources(t)["braid-traces"].JSONData["tracesToMetrics"].(map[string]any)
	for _, q := range metrics["queries"].([]any) {
		query := q.(map[string]any)["query"].(string)
		var a promAnswer
		promRange(fill(query, nil), time.Minute).read(t, &a)
		require.Positive(t, a.numbers(), query)
	}
}

// TestDashboards runs every query of every panel; all but those of needCluster
// must have something to show.
func TestDashboards(t *testing.T) {
	files, err := filepath.Glob(provisioning + "/dashboards/*.json")
	require.NoError(t, err)
	require.Len(t, files, 6)
	boards := map[string]dashboard{}
	uids := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var d dashboard
		require.NoError(t, json.Unmarshal(text, &d), file)
		require.False(t, uids[d.UID], d.UID)
		uids[d.UID] = true
		boards[strings.TrimSuffix(filepath.Base(file), ".json")] = d
	}
	known := sources(t)
	seen := map[string]bool{}
	for name, d := range boards {
		for _, l := range d.Links {
			require.True(t, uids[strings.TrimPrefix(l.URL, "/d/")], "%s links to %s", name, l.URL)
		}
		values := variables(t, d)
		for _, p := range d.Panels {
			id := name + "/" + p.Title
			require.False(t, seen[id], id)
			seen[id] = true
			require.Equal(t, p.Type == "row", len(p.Targets) == 0, id)
			for _, q := range p.Targets {
				t.Run(id, func(t *testing.T) {
					require.Contains(t, known, q.Datasource.UID)
					require.Equal(t, known[q.Datasource.UID].Type, q.Datasource.Type)
					n := runTarget(t, q, values)
					if !needCluster[id] {
						require.Positive(t, n, "nothing to show for %s%s", q.Expr, q.Query)
					}
				})
			}
		}
	}
	for id := range needCluster {
		require.True(t, seen[id], "no panel %s", id)
	}
}

// variables asks for the values of each variable and takes one; those of
// "include all" take the pattern for all.
func variables(t *testing.T, d dashboard) map[string]string {
	out := map[string]string{"id": braid.traceID, "filter": ""}
	for _, v := range d.Templating.List {
		if v.Type == "textbox" {
			require.Contains(t, out, v.Name)
			continue
		}
		var q struct{ Label string }
		require.NoError(t, json.Unmarshal(v.Query, &q))
		var values []string
		switch v.Datasource.UID {
		case "braid-traces":
			var a struct{ TagValues []struct{ Value string } }
			call{path: "/api/v2/search/tag/" + q.Label + "/values", params: tempoSpan()}.read(t, &a)
			for _, tag := range a.TagValues {
				values = append(values, tag.Value)
			}
		case "braid-logs":
			var a struct{ Data []string }
			call{path: "/loki/api/v1/label/" + q.Label + "/values"}.read(t, &a)
			values = a.Data
		}
		require.NotEmpty(t, values, "%s: variable %s", d.Title, v.Name)
		switch {
		case v.IncludeAll:
			out[v.Name] = ".+"
		case v.Name == "service":
			require.Contains(t, values, "checkout")
			out[v.Name] = "checkout"
		default:
			out[v.Name] = values[0]
		}
	}
	return out
}

const panelStep = 15 * time.Second

// fill puts values in the place of variables as Grafana does.
func fill(query string, values map[string]string) string {
	query = strings.ReplaceAll(query, "$$", "$")
	for k, v := range map[string]string{
		"$__rate_interval": "1m", "$__auto": "1m", "$__range": "1800s",
		"${__trace.traceId}": braid.traceID, "$__tags": `service_name="frontend"`, `${__span.tags["service.name"]}`: "frontend",
	} {
		query = strings.ReplaceAll(query, k, v)
	}
	for k, v := range values {
		query = strings.ReplaceAll(query, "$"+k, v)
	}
	return query
}

var traceIDOnly = regexp.MustCompile(`^[0-9a-fA-F]{16,32}$`)

// runTarget sends what the panel's data source sends and counts what there is
// to show: numbers, lines, traces, edges.
func runTarget(t *testing.T, q target, values map[string]string) int {
	switch q.Datasource.Type {
	case "prometheus":
		return runPrometheus(t, q, fill(q.Expr, values))
	case "loki":
		var a lokiAnswer
		lokiRange(fill(q.Expr, values), time.Minute).read(t, &a)
		return a.entries()
	case "jaeger":
		require.Equal(t, "dependencyGraph", q.QueryType)
		return len(dependencies(t))
	case "tempo":
		return runTempo(t, q, fill(q.Query, values))
	}
	t.Fatalf("no such data source: %q", q.Datasource.Type)
	return 0
}

func runPrometheus(t *testing.T, q target, expr string) int {
	var a promAnswer
	if q.Instant {
		promInstant(expr, braid.now).read(t, &a)
	} else {
		promRange(expr, panelStep).read(t, &a)
	}
	if q.Exemplar {
		var ex struct{ Status string }
		c := promRange(expr, panelStep)
		c.path = "/api/v1/query_exemplars"
		c.read(t, &ex)
	}
	return a.numbers()
}

func runTempo(t *testing.T, q target, query string) int {
	require.Equal(t, "traceql", q.QueryType)
	if traceIDOnly.MatchString(query) {
		return len(traceOf(t, query))
	}
	if q.Metrics == "" {
		var s tempoSearch
		tempoFind(query, "20").read(t, &s)
		return len(s.Traces)
	}
	var s tempoSeries
	tempoMetrics(query, panelStep).read(t, &s)
	n := 0
	for _, series := range s.Series {
		for _, sample := range series.Samples {
			if !math.IsNaN(sample.Value) {
				n++
			}
		}
	}
	return n
}

// TestAlertRulesOfBraidItself: each rule's query is valid and has a value, so
// that silence means health; and a healthy Braid fires none.
func TestAlertRulesOfBraidItself(t *testing.T) {
	var file struct {
		Groups []struct {
			Rules []struct {
				UID, Title, Condition, NoDataState string
				Labels                             map[string]string
				Data                               []struct {
					RefID         string `yaml:"refId"`
					DatasourceUID string `yaml:"datasourceUid"`
					Model         struct {
						Expr, Type, Expression string
						Conditions             []struct {
							Evaluator struct {
								Type   string
								Params []float64
							}
						}
					}
				}
			}
		}
	}
	readYAML(t, "alerting/braid.yaml", &file)
	known := sources(t)
	require.NotEmpty(t, file.Groups[0].Rules)
	for _, rule := range file.Groups[0].Rules {
		require.Len(t, rule.Data, 2, rule.Title)
		value, over := rule.Data[0], rule.Data[1]
		require.Contains(t, known, value.DatasourceUID)
		require.Equal(t, rule.Condition, over.RefID)
		require.Equal(t, value.RefID, over.Model.Expression)
		require.NotEmpty(t, rule.Labels["severity"])
		var a promAnswer
		promInstant(value.Model.Expr, time.Now()).read(t, &a)
		require.Len(t, a.Data.Result, 1, "%s: %s", rule.Title, value.Model.Expr)
		fires := promAnswer{}
		sign := map[string]string{"gt": ">", "lt": "<"}[over.Model.Conditions[0].Evaluator.Type]
		limit, err := json.Marshal(over.Model.Conditions[0].Evaluator.Params[0])
		require.NoError(t, err)
		promInstant("("+value.Model.Expr+") "+sign+" "+string(limit), time.Now()).read(t, &fires)
		require.Empty(t, fires.Data.Result, "a healthy Braid fires %s", rule.Title)
	}
}
