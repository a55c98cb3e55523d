package metrics

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"braid/pkg/api/metricapi"
	"braid/pkg/query/engine"
	"braid/pkg/tenant"
	"braid/pkg/tsdb"
)

// explorer is the API over a store of its own.
type explorer struct {
	dir   string
	store *tsdb.Store
	mux   *http.ServeMux
	guard *engine.Guard
}

func newExplorer(t *testing.T, maxSeries int) *explorer {
	t.Helper()
	dir := t.TempDir()
	store, err := tsdb.Open(tsdb.Options{Dir: dir, SyncInterval: -1, Now: func() time.Time { return epoch }, ResourceLabels: []string{}, NoZeroSample: true, NoTargetInfo: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	e := &explorer{dir: dir, store: store, mux: http.NewServeMux(), guard: engine.New(engine.Options{})}
	metricapi.New(metricapi.Options{Source: store, Guard: e.guard, MaxSeries: maxSeries, MaxImportBytes: 1 << 20, TempDir: t.TempDir(),
		Import: func(id tenant.ID) metricapi.Importer { return store.Import(id) }, Now: func() time.Time { return epoch }}).Register(e.mux)
	return e
}

func (e *explorer) do(method, path, id string, body []byte, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/api/braid/v1/"+path, bytes.NewReader(body))
	r.Header.Set("X-Scope-OrgID", id)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	e.mux.ServeHTTP(w, r)
	return w
}

func (e *explorer) ask(t *testing.T, id string, kv ...string) metricapi.Cardinality {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		form.Add(kv[i], kv[i+1])
	}
	w := e.do("GET", "cardinality?"+form.Encode(), id, nil)
	require.Equal(t, 200, w.Code, w.Body.String())
	var a struct{ Data metricapi.Cardinality }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
	return a.Data
}

// instance makes one gauge per path of an instance at a time.
func (e *explorer) instance(t *testing.T, id tenant.ID, job, instance, metric string, at time.Time, paths ...string) {
	t.Helper()
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", job)
	rm.Resource().Attributes().PutStr("service.instance.id", instance)
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(metric)
	g := m.SetEmptyGauge()
	for _, p := range paths {
		d := g.DataPoints().AppendEmpty()
		d.SetTimestamp(pcommon.NewTimestampFromTime(at))
		d.Attributes().PutStr("path", p)
	}
	sendOTLP(t, e.store, id, md)
}

// TestCardinalityExplorer: what the series are, how they grew, who sends them.
func TestCardinalityExplorer(t *testing.T) {
	e := newExplorer(t, 0)
	before, now := epoch.Add(-90*time.Minute), epoch.Add(-time.Minute)
	e.instance(t, "a", "shop", "1", "hits", before, "/a", "/b")
	e.instance(t, "a", "shop", "1", "hits", now, "/a", "/c", "/d")
	e.instance(t, "a", "shop", "2", "hits", now, "/a")
	e.instance(t, "a", "pay", "1", "temp", now, "/a")
	e.instance(t, "b", "other", "1", "noise", now, "/x")

	c := e.ask(t, "a", "label", "path")
	require.Equal(t, metricapi.Cardinality{Start: float64(epoch.Add(-time.Hour).Unix()), End: float64(epoch.Unix()),
		Series: 5, Before: 2, New: 4, Gone: 1,
		Metrics: []metricapi.Metric{{Name: "hits", Type: "gauge", Series: 4, Before: 2, New: 3}, {Name: "temp", Type: "gauge", Series: 1, New: 1}},
		Labels: []metricapi.Label{{Name: "path", Values: 3, Series: 5, Bytes: 6}, {Name: "__name__", Values: 2, Series: 5, Bytes: 8},
			{Name: "instance", Values: 2, Series: 5, Bytes: 2}, {Name: "job", Values: 2, Series: 5, Bytes: 7}},
		Values:  []metricapi.Value{{Label: "instance", Value: "1", Series: 4}, {Label: "job", Value: "shop", Series: 4}, {Label: "path", Value: "/a", Series: 3}, {Label: "instance", Value: "2", Series: 1}, {Label: "job", Value: "pay", Series: 1}, {Label: "path", Value: "/c", Series: 1}, {Label: "path", Value: "/d", Series: 1}},
		Senders: []metricapi.Sender{{Job: "shop", Instances: 2, Series: 4, Before: 2, New: 3}, {Job: "pay", Instances: 1, Series: 1, New: 1}},
		Label:   []metricapi.LabelRow{{Value: "/a", Series: 3, Before: 1, New: 2}, {Value: "/c", Series: 1, New: 1}, {Value: "/d", Series: 1, New: 1}, {Value: "/b", Before: 1}},
	}, c)

	c = e.ask(t, "a", "match[]", `{path="/a"}`, "match[]", `{job="pay"}`, "limit", "1")
	require.Equal(t, 3, c.Series, "a series that two selectors match counts once")
	require.Len(t, c.Metrics, 1)
	require.Len(t, c.Senders, 1)
	c = e.ask(t, "a", "end", fmt.Sprint(epoch.Add(-time.Hour).Unix()))
	require.Equal(t, []int{2, 0, 2, 0}, []int{c.Series, c.Before, c.New, c.Gone}, "a window of the past")
	require.Equal(t, 1, e.ask(t, "b").Series)
	require.Equal(t, metricapi.Cardinality{Start: c.Start + 3600, End: c.End + 3600, Metrics: []metricapi.Metric{}, Labels: []metricapi.Label{},
		Values: []metricapi.Value{}, Senders: []metricapi.Sender{}}, e.ask(t, "stranger"))
	require.Contains(t, e.guard.Log("a")[0].Text, "cardinality")

	for query, want := range map[string]string{"window=x": "window", "window=-1h": "window", "limit=0": "limit", "limit=x": "limit", "end=yesterday": "end",
		"match[]={": "match[]"} {
		w := e.do("GET", "cardinality?"+query, "a", nil)
		require.Equal(t, 400, w.Code, query)
		require.Contains(t, w.Body.String(), want)
		require.Contains(t, w.Body.String(), `"errorType":"bad_data"`)
	}

	few := newExplorer(t, 1)
	few.instance(t, "a", "shop", "1", "hits", now, "/a", "/b")
	require.True(t, few.ask(t, "a").Truncated)
	require.Equal(t, 1, few.ask(t, "a").Series)
}

// TestImportOverHTTP: text and blocks come in while the store runs, and what is
// wrong with them is named.
func TestImportOverHTTP(t *testing.T) {
	e := newExplorer(t, 0)
	text := []byte("# TYPE c counter\nc_total{x=\"y\"} 5 1699900000\nc_total{x=\"y\"} 7 1699900060\n# EOF\n")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(text)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for id, w := range map[string]*httptest.ResponseRecorder{
		"plain": e.do("POST", "import/openmetrics", "plain", text),
		"gzip":  e.do("POST", "import/openmetrics", "gzip", packed.Bytes(), "Content-Encoding", "gzip"),
	} {
		require.Equal(t, 200, w.Code, "%s: %s", id, w.Body)
		require.Contains(t, w.Body.String(), `"samples":2`)
	}
	dir := e.blockOf(t, "plain")
	w := e.do("POST", "import/block", "moved", archive(t, dir))
	require.Equal(t, 200, w.Code, w.Body.String())
	require.Contains(t, w.Body.String(), filepath.Base(dir))
	require.Equal(t, filepath.Base(dir), filepath.Base(e.blockOf(t, "moved")))

	for _, c := range []struct {
		path   string
		body   []byte
		header []string
		status int
		want   string
	}{
		{"openmetrics", []byte("a 1\n# EOF\n"), nil, 400, "no timestamp"},
		{"openmetrics", text[:30], nil, 400, "in lines"},
		{"openmetrics", text, []string{"Content-Encoding", "br"}, 400, "content encoding"},
		{"openmetrics", text, []string{"Content-Encoding", "gzip"}, 400, "gzip"},
		{"openmetrics", bytes.Repeat([]byte("# HELP a b\n"), 200_000), nil, 413, "too large"},
		{"openmetrics", bomb(t), []string{"Content-Encoding", "gzip"}, 400, "more data"},
		{"block", []byte("nonsense"), nil, 400, "tar archive"},
		{"block", tarOf(t, "a/meta.json", "{}", "b/meta.json", "{}"), nil, 400, "more than one block"},
		{"block", tarOf(t, "../meta.json", "{}"), nil, 400, "not a plain file"},
		{"block", tarOf(t, "a/index", ""), nil, 400, "no meta.json"},
		{"block", tarOf(t, "a/meta.json", "{}"), nil, 400, "cannot import block"},
		{"block", tarOf(t, "a/meta.json", "{}", "a/meta.json", "{}"), nil, 400, "twice"},
	} {
		w := e.do("POST", "import/"+c.path, "bad", c.body, c.header...)
		require.Equal(t, c.status, w.Code, "%s: %s", c.want, w.Body)
		require.Contains(t, w.Body.String(), c.want)
	}
}

// TestARunningQueryIsCancelled, by its own tenant alone.
func TestARunningQueryIsCancelled(t *testing.T) {
	e := newExplorer(t, 0)
	ctx, done, err := e.guard.Begin(t.Context(), "a", "promql", "up")
	require.NoError(t, err)
	id := e.guard.Log("a")[0].ID
	require.Equal(t, 404, e.do("DELETE", "queries/"+id, "b", nil).Code)
	require.Equal(t, 400, e.do("DELETE", "queries/x", "a", nil).Code)
	require.NoError(t, ctx.Err())
	require.Equal(t, 204, e.do("DELETE", "queries/"+id, "a", nil).Code)
	<-ctx.Done()
	done(nil, ctx.Err())
	require.Equal(t, 404, e.do("DELETE", "queries/"+id, "a", nil).Code)
}

func bomb(t *testing.T) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	line := bytes.Repeat([]byte("# HELP a b\n"), 1000)
	for range 200 {
		_, err := z.Write(line)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

// blockOf is the folder of a tenant's only block.
func (e *explorer) blockOf(t *testing.T, id string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(e.dir, id, "tsdb", "*", "meta.json"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	return filepath.Dir(found[0])
}

func archive(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"meta.json", "index", "chunks/000001"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, w.WriteHeader(&tar.Header{Name: filepath.Base(dir) + "/" + name, Mode: 0o600, Size: int64(len(b))}))
		_, err = w.Write(b)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func tarOf(t *testing.T, kv ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(kv); i += 2 {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: kv[i], Mode: 0o600, Size: int64(len(kv[i+1]))}))
		_, err := w.Write([]byte(kv[i+1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}
