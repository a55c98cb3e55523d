package promapi

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query/engine"
	"braid/pkg/tenant"
)

var now = time.Unix(1_700_000_000, 0)

// fakeSource holds one tenant's head.
type fakeSource struct {
	db        *tsdb.DB
	exemplars []model.ExemplarRow
	asked     *predicate.ExemplarQuery
}

func (s *fakeSource) Queryable(t tenant.ID) storage.SampleAndChunkQueryable {
	if t != "a" {
		return noSeries{}
	}
	return s.db
}

type noSeries struct{}

func (noSeries) Querier(int64, int64) (storage.Querier, error) { return storage.NoopQuerier(), nil }
func (noSeries) ChunkQuerier(int64, int64) (storage.ChunkQuerier, error) {
	return storage.NoopChunkedQuerier(), nil
}

func (s *fakeSource) Exemplars(_ context.Context, q *predicate.ExemplarQuery) iter.Seq2[[]model.ExemplarRow, error] {
	s.asked = q
	return func(yield func([]model.ExemplarRow, error) bool) { yield(s.exemplars, nil) }
}

func (s *fakeSource) Metadata(_ context.Context, t tenant.ID, metric string, limit int) (map[string]model.MetricMeta, error) {
	if t != "a" || metric != "" && metric != "up" {
		return nil, nil
	}
	return map[string]model.MetricMeta{"up": {Type: "gauge", Help: "Is it up?"}}, nil
}

func newTest(t *testing.T) (*Handler, *fakeSource) {
	t.Helper()
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	app := db.Appender(context.Background())
	for i := range 11 {
		ts := now.Add(time.Duration(i-10) * time.Minute).UnixMilli()
		for job, v := range map[string]float64{"x": 1, "y": float64(i)} {
			_, err := app.Append(0, labels.FromStrings("__name__", "up", "job", job), ts, v)
			require.NoError(t, err)
		}
	}
	require.NoError(t, app.Commit())
	s := &fakeSource{db: db}
	h, err := New(Options{Source: s, Now: func() time.Time { return now }, Guard: engine.New(engine.Options{})})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h, s
}

func call(h http.Handler, method, target, tenant string, header ...string) *httptest.ResponseRecorder {
	var body io.Reader
	if method == http.MethodPost {
		path, form, _ := strings.Cut(target, "?")
		target, body = path, strings.NewReader(form)
	}
	r := httptest.NewRequest(method, target, body)
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("X-Scope-OrgID", tenant)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestEndpoints(t *testing.T) {
	h, _ := newTest(t)
	at := "&time=1700000000"
	span := "&start=1699999880&end=1700000000&step=60"
	for _, c := range []struct{ method, target, tenant, want string }{
		{"GET", "/api/v1/query?query=1%2B1&time=4", "a", `{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}`},
		{"POST", "/api/v1/query?query=sum(up)" + at, "a", `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"11"]}]}}`},
		{"GET", "/api/v1/query?query=sum(up)" + at, "b", `{"status":"success","data":{"resultType":"vector","result":[]}}`},
		{"GET", "/api/v1/query_range?query=up{job='y'}" + span, "a", `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"y"},"values":[[1699999880,"8"],[1699999940,"9"],[1700000000,"10"]]}]}}`},
		{"GET", "/api/v1/query?query=up{" + at, "a", `"errorType":"bad_data"`},
		{"GET", "/api/v1/labels?limit=1", "a", `{"status":"success","data":["__name__"],"warnings":["results truncated due to limit"]}`},
		{"GET", "/api/v1/label/job/values", "a", `{"status":"success","data":["x","y"]}`},
		{"POST", "/api/v1/series?match[]=up{job=\"x\"}", "a", `{"status":"success","data":[{"__name__":"up","job":"x"}]}`},
		{"GET", "/api/v1/series", "a", `"errorType":"bad_data"`},
		{"GET", "/api/v1/metadata", "a", `{"data":{"up":[{"type":"gauge","help":"Is it up?","unit":""}]},"status":"success"}`},
		{"GET", "/api/v1/metadata?limit=0", "a", `{"data":{},"status":"success"}`},
		{"GET", "/api/v1/metadata?limit=x", "a", `"error":"limit must be a number"`},
		{"GET", "/api/v1/query_exemplars?query=up", "a", `{"status":"success","data":[]}`},
		{"GET", "/api/v1/format_query?query=a%2Bb", "a", `{"status":"success","data":"a + b"}`},
		{"GET", "/api/v1/parse_query?query=up", "a", `"type":"vectorSelector"`},
		{"GET", "/api/v1/rules", "a", `{"status":"success","data":{"groups":[]}}`},
		{"GET", "/api/v1/alerts", "a", `{"status":"success","data":{"alerts":[]}}`},
		{"GET", "/api/v1/targets", "a", `"activeTargets":[]`},
		{"GET", "/api/v1/alertmanagers", "a", `{"status":"success","data":{"activeAlertmanagers":[],"droppedAlertmanagers":[]}}`},
		{"GET", "/api/v1/status/buildinfo", "a", `{"status":"success","data":{"version":"3.15.0","revision":"braid"`},
		{"GET", "/api/v1/status/tsdb", "a", `"headStats"`},
		{"GET", "/api/v1/status/flags", "a", `"status":"success"`},
		{"GET", "/api/v1/status/config", "a", `"yaml"`},
		{"GET", "/api/v1/status/runtimeinfo", "a", `"storageRetention"`},
		{"GET", "/api/v1/status/walreplay", "a", `"status":"success"`},
		{"POST", "/api/v1/admin/tsdb/snapshot", "a", `admin APIs disabled`},
		{"GET", "/api/v1/search/metric_names?search[]=u", "a", `"status":"success"`},
		{"GET", "/api/v1/openapi.yaml", "a", "/query_range"},
		{"GET", "/api/v1/nonsense", "a", `{"error":"no such path \"/api/v1/nonsense\": the Prometheus API is at /api/v1/","errorType":"not_found","status":"error"}`},
		{"DELETE", "/api/v1/query", "a", `"error":"method DELETE is not allowed for \"/api/v1/query\", use GET, POST"`},
		{"POST", "/api/v1/write", "a", `remote write is not served here`},
		{"GET", "/api/v1/query?query=1", "a/b", `invalid tenant`},
		{"GET", "/federate?match[]=up", "a", "# TYPE up untyped\nup{job=\"x\",instance=\"\"} 1 1700000000000\nup{job=\"y\",instance=\"\"} 10 1700000000000\n"},
		{"GET", "/federate?match[]={", "a", "parse error"},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			w := call(h, c.method, c.target, c.tenant)
			require.Contains(t, w.Body.String(), c.want)
			if strings.HasPrefix(c.want, `{"status":"success"`) {
				require.Equal(t, 200, w.Code)
			}
		})
	}
}

func TestExemplarsComeFromTheSource(t *testing.T) {
	h, s := newTest(t)
	id, _ := model.ParseTraceID("4bf92f3577b34da6a3ce929d0e0e4736")
	s.exemplars = []model.ExemplarRow{{Series: []model.Label{{Name: "__name__", Value: "up"}, {Name: "job", Value: "x"}},
		Exemplar: model.Exemplar{Time: now.UnixNano(), Value: 0.5, TraceID: id, Attrs: model.Attrs{{Key: "user", Value: model.String("u")}}}}}
	w := call(h, "POST", "/api/v1/query_exemplars?query=rate(up{job=~'x|y'}[5m])&start=1&end=2", "a")
	require.JSONEq(t, `{"status":"success","data":[{"seriesLabels":{"__name__":"up","job":"x"},"exemplars":[{"labels":{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","user":"u"},"value":"0.5","timestamp":1700000000.000}]}]}`, w.Body.String())
	require.Equal(t, model.TimeRange{Start: 1e9, End: 2e9 + 1e6}, s.asked.Range)
	require.Equal(t, [][]predicate.LabelMatcher{{{Name: "job", Op: "=~", Value: "x|y"}, {Name: "__name__", Op: "=", Value: "up"}}}, s.asked.Series)
}

func TestResponsesAreCompressedOnRequest(t *testing.T) {
	h, _ := newTest(t)
	for _, target := range []string{"/api/v1/query?query=up&time=1700000000", "/api/v1/metadata", "/federate?match[]=up"} {
		w := call(h, "GET", target, "a", "Accept-Encoding", "gzip")
		require.Equal(t, "gzip", w.Header().Get("Content-Encoding"), target)
		z, err := gzip.NewReader(w.Body)
		require.NoError(t, err)
		b, err := io.ReadAll(z)
		require.NoError(t, err)
		require.Contains(t, string(b), "up")
	}
}

func TestZstdIsPreferred(t *testing.T) {
	h, _ := newTest(t)
	for _, target := range []string{"/api/v1/query?query=up&time=1700000000", "/api/v1/metadata", "/federate?match[]=up", "/api/v1/labels", "/api/v1/query?query=up{"} {
		for accept, want := range map[string]string{"gzip, deflate, br, zstd": "zstd", "gzip, zstd;q=0": "gzip", "zstd;q=0.5": "zstd", "identity": ""} {
			if want == "gzip" && strings.HasSuffix(target, "{") {
				continue
			}
			w := call(h, "GET", target, "a", "Accept-Encoding", accept)
			require.Equal(t, want, w.Header().Get("Content-Encoding"), "%s %s", target, accept)
			if want != "zstd" {
				continue
			}
			d, err := zstd.NewReader(w.Body)
			require.NoError(t, err)
			b, err := io.ReadAll(d)
			require.NoError(t, err)
			d.Close()
			plain := call(h, "GET", target, "a", "Accept-Encoding", "identity")
			require.Equal(t, plain.Body.String(), string(b))
			require.Equal(t, plain.Code, w.Code)
		}
	}
	w := call(h, "OPTIONS", "/api/v1/query", "a", "Accept-Encoding", "zstd")
	require.Equal(t, 204, w.Code)
	require.Empty(t, w.Header().Get("Content-Encoding"))
}

func TestTenantInstancesAreBounded(t *testing.T) {
	h, _ := newTest(t)
	h.shared() // built in the background, from the options
	h.opts.MaxTenants = 2
	for _, id := range []string{"a", "b", "c", "a", "d", "a"} {
		w := call(h, "GET", "/api/v1/status/tsdb", id)
		require.Equal(t, 200, w.Code)
		require.True(t, json.Valid(w.Body.Bytes()))
		require.LessOrEqual(t, len(h.tenants), 2)
	}
}

func TestAGivenEngineIsFusedUnlessItMustNotBe(t *testing.T) {
	h, s := newTest(t)
	require.IsType(t, &FusedEngine{}, h.opts.Engine)
	e, err := NewEngine(Options{})
	require.NoError(t, err)
	defer e.Close()
	fused, err := New(Options{Source: s, Engine: e})
	require.NoError(t, err)
	require.IsType(t, &FusedEngine{}, fused.opts.Engine)
	plain, err := New(Options{Source: s, Engine: e, PlainEngine: true})
	require.NoError(t, err)
	require.Same(t, e, plain.opts.Engine)
	want := call(plain, "GET", "/api/v1/query?query=sum(increase(up[5m]))&time=1700000000&stats=all", "a").Body.String()
	require.Contains(t, want, "totalQueryableSamples\":10", "a request for statistics counts every sample")
	require.JSONEq(t, call(plain, "GET", "/api/v1/query?query=sum(increase(up[5m]))&time=1700000000", "a").Body.String(),
		call(fused, "GET", "/api/v1/query?query=sum(increase(up[5m]))&time=1700000000", "a").Body.String())
}
