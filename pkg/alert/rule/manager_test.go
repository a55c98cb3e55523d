package rule

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	commonmodel "github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
)

const file = `groups:
- name: g
  interval: 1s
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
  - alert: Down
    expr: '{__logql__="rate({app=\"x\"} |= \"panic\" [1m])"} > 0'
    labels: {severity: page}
    annotations: {summary: "{{ $labels.job }} has {{ $value }}"}
`

func TestEvaluateRecordNotify(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yml")
	require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
	alerts := make(chan *rules.Alert, 10)
	recorded := make(chan *prompb.WriteRequest, 100)
	m := New(context.Background(), Options{
		Files: []string{filepath.Join(dir, "*.yml")}, Parser: parser.NewParser(parser.Options{}),
		Query: func(_ context.Context, q string, at time.Time) (promql.Vector, error) {
			return promql.Vector{{T: at.UnixMilli(), F: 3, Metric: labels.FromStrings("job", "j")}}, nil
		},
		Queryable: storage.QueryableFunc(func(int64, int64) (storage.Querier, error) { return storage.NoopQuerier(), nil }),
		Appendable: Appendable(func(_ context.Context, r *prompb.WriteRequest) error {
			recorded <- r
			return nil
		}),
		Notify: func(_ context.Context, _ string, about About, list []*rules.Alert) {
			require.Equal(t, `{severity="page"}`, about.Labels.String())
			for _, a := range list {
				alerts <- a
			}
		},
	})
	require.NoError(t, m.Reload())
	require.Len(t, m.AlertingRules(), 1)
	m.Start()
	a := <-alerts
	require.Equal(t, `{alertname="Down", job="j", severity="page"}`, a.Labels.String())
	require.Equal(t, "j has 3", a.Annotations.Get("summary"))
	names := map[string]bool{}
	for !names["job:up:sum"] || !names["ALERTS"] || !names["ALERTS_FOR_STATE"] {
		for _, ts := range (<-recorded).Timeseries {
			for _, l := range ts.Labels {
				if l.Name == commonmodel.MetricNameLabel {
					names[l.Value] = true
				}
			}
		}
	}

	require.NoError(t, os.WriteFile(path, []byte("groups:\n- name: g\n  rules:\n  - record: x\n    expr: sum(\n"), 0o600))
	err := m.Reload()
	require.ErrorContains(t, err, "a.yml")
	require.ErrorContains(t, err, "could not parse expression")
	require.Len(t, m.AlertingRules(), 1, "the old rules stay")
	m.Stop()
}

// A broken file is named with the line and the reason, whatever is broken.
func TestReloadErrorsSayFileLineAndWhy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yml")
	m := New(context.Background(), Options{Files: []string{path}, Parser: parser.NewParser(parser.Options{}),
		Virtual:   func(language, expr string) error { return errors.New(language + ": unexpected end") },
		Queryable: storage.QueryableFunc(func(int64, int64) (storage.Querier, error) { return storage.NoopQuerier(), nil })})
	defer m.Stop()
	require.NoError(t, os.WriteFile(path, []byte("groups:\n- name: g\n  rules:\n  - record: kept\n    expr: up\n"), 0o600))
	require.NoError(t, m.Reload())
	for text, says := range map[string][]string{
		"groups:\n- name: g\n  rules:\n  - record: x\n    expr: sum(\n":                                  {"5:", "could not parse expression"},
		"groups:\n- name: g\n  rules:\n  - alert: x\n    expr: up\n    fore: 5m\n":                       {"line 6", "fore"},
		"groups:\n- name: g\n  rules:\n  - alert: x\n    expr: up\n    annotations:\n      a: '{{ $x'\n": {"line 4", "undefined variable"},
		"groups:\n- name: g\n  rules:\n  - alert: x\n    expr: '{__logql__=\"{\"} > 1'\n":                {"line 5", "logql: unexpected end"},
		"groups:\n- name: g\n  rules: []\n- name: g\n  rules: []\n":                                      {"repeated"},
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		err := m.Reload()
		require.ErrorContains(t, err, path, text)
		for _, s := range says {
			require.ErrorContains(t, err, s)
		}
		require.Equal(t, "kept", m.RuleGroups()[0].Rules()[0].Name(), "the old rules stay")
	}
}

func TestExpand(t *testing.T) {
	_, err := Expand([]string{"/nonexistent/a.yml"})
	require.ErrorContains(t, err, "does not exist")
	list, err := Expand([]string{"/nonexistent/*.yml"})
	require.NoError(t, err)
	require.Empty(t, list)
	_, err = Expand([]string{"["})
	require.Error(t, err)
}
