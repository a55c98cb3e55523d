package scrape

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"),
		goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// sink keeps the newest sample of each series.
type sink struct {
	mu   sync.Mutex
	seen map[string]string
}

func (s *sink) AppenderV2(context.Context) storage.AppenderV2 { return s }

func (s *sink) Append(_ storage.SeriesRef, ls labels.Labels, _, _ int64, v float64, h *histogram.Histogram, _ *histogram.FloatHistogram, o storage.AOptions) (storage.SeriesRef, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf("%v %s", v, o.Metadata.Type)
	if h != nil {
		text = "native " + h.String()
	}
	for _, e := range o.Exemplars {
		text += " " + e.Labels.String()
	}
	s.seen[ls.String()] = text
	return 0, nil
}

func (s *sink) Commit() error   { return nil }
func (s *sink) Rollback() error { return nil }

func (s *sink) get(series string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[series]
}

func TestTargetsOfEveryKindAreScraped(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
		fmt.Fprint(w, "# TYPE hits counter\nhits_total{path=\"/\"} 7 # {trace_id=\"abc\"} 1\n# EOF\n")
	}))
	defer target.Close()
	address := strings.TrimPrefix(target.URL, "http://")
	list := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `[{"targets":[%q],"labels":{"by":"http"}}]`, address)
	}))
	defer list.Close()
	file := filepath.Join(t.TempDir(), "targets.json")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `[{"targets":[%q],"labels":{"by":"file"}}]`, address), 0o600))

	s := &sink{seen: map[string]string{}}
	m, err := New(Options{Appendable: s, ReloadInterval: 5 * time.Millisecond})
	require.NoError(t, err)
	defer m.Close()
	require.NoError(t, m.Apply(fmt.Appendf(nil, `
global: {scrape_interval: 100ms, scrape_timeout: 100ms}
scrape_configs:
- job_name: a
  static_configs: [{targets: [%q], labels: {by: static}}]
- job_name: b
  file_sd_configs: [{files: [%q]}]
- job_name: c
  http_sd_configs: [{url: %q}]
`, address, file, list.URL)))
	for job, by := range map[string]string{"a": "static", "b": "file", "c": "http"} {
		series := fmt.Sprintf(`{__name__="hits_total", by=%q, instance=%q, job=%q, path="/"}`, by, address, job)
		require.Eventually(t, func() bool { return s.get(series) == `7 counter {trace_id="abc"}` }, 10*time.Second, 5*time.Millisecond, series)
		require.Equal(t, "1 gauge", s.get(fmt.Sprintf(`{__name__="up", by=%q, instance=%q, job=%q}`, by, address, job)))
	}
	require.Len(t, m.Targets().TargetsActive(), 3)
}

func TestBadConfigurationIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"scrape_configs: [{job_name: a, nonsense: 1}]":                                     "nonsense",
		"scrape_configs: [{job_name: a}, {job_name: a}]":                                   `"a"`,
		"scrape_configs: [{job_name: a, scrape_interval: 1s, scrape_timeout: 2s}]":         "scrape timeout greater",
		"scrape_configs: [{job_name: a, consul_sd_configs: [{server: 'localhost:8500'}]}]": "consul_sd_configs",
	} {
		require.ErrorContains(t, Check([]byte(text)), want)
	}
	require.NoError(t, Check([]byte("scrape_configs: [{job_name: k, kubernetes_sd_configs: [{role: pod}]}, {job_name: d, dns_sd_configs: [{names: [x]}]}]")))
	_, err := New(Options{})
	require.ErrorContains(t, err, "Appendable is nil")
}
