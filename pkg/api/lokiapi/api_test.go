package lokiapi_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/api/lokiapi"
	"braid/pkg/model"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

var rewrite = flag.Bool("rewrite", false, "write the answers into testdata instead of comparing them")

// base is the time of the first record: 2023-11-14T22:13:20Z.
const base = int64(1_700_000_000)

func at(sec int64) int64 { return (base + sec) * int64(time.Second) }

func str(kv ...string) (out model.Attrs) {
	for i := 0; i < len(kv); i += 2 {
		out = append(out, model.Attr{Key: kv[i], Value: model.String(kv[i+1])})
	}
	return out
}

func sample() *testkit.MemLog {
	mem := &testkit.MemLog{}
	api := &model.Resource{Attrs: str("service.name", "api", "k8s.pod.name", "api-1")}
	web := &model.Resource{Attrs: str("service.name", "web")}
	trace, _ := model.ParseTraceID("0af7651916cd43dd8448eb211c80319c")
	add := func(sec int64, res *model.Resource, sev model.SeverityNumber, body string, attrs ...string) {
		row := model.LogRow{Resource: res, LogRecord: model.LogRecord{Time: at(sec), Severity: sev, Body: model.String(body), Attrs: str(attrs...)}}
		if sec == 1 {
			row.TraceID = trace
		}
		mem.Append(tenant.Default, row)
	}
	add(1, api, 9, `GET /users/17 200 in 12ms`, "user.id", "ann")
	add(2, api, 17, `GET /users/18 500 in 7ms`, "user.id", "bob", "took", "7ms")
	add(3, api, 9, `GET /users/19 200 in 9ms`)
	add(3, api, 9, `quote " backslash \ newline`+"\n\x01\xff")
	add(4, web, 0, `{"level":"info","n":3,"req":{"id":"x"}}`)
	add(5, web, 13, `level=warn size=5KB ok=true`)
	return mem
}

type fakeDeleter struct{ mem *testkit.MemLog }

func (d fakeDeleter) Delete(_ context.Context, t tenant.ID, x lokiapi.Deletion) (string, error) {
	d.mem.Delete(t, x.Range, x.Filter)
	return "1", nil
}

func (fakeDeleter) Deletions(context.Context, tenant.ID) ([]lokiapi.Deletion, error) {
	return []lokiapi.Deletion{{ID: "1", Query: `{a="b"}`, Range: model.TimeRange{Start: at(1), End: at(2)}, Status: "received", Created: time.Unix(base, 0)}}, nil
}

func (fakeDeleter) CancelDeletion(_ context.Context, _ tenant.ID, id string, _ bool) error {
	if id != "1" {
		return fmt.Errorf("deletion %q: %w", id, model.ErrNotFound)
	}
	return nil
}

func handler(mem *testkit.MemLog) http.Handler {
	return lokiapi.New(lokiapi.Options{
		Engine:  logql.NewEngine(logql.Options{Source: mem}),
		Deleter: fakeDeleter{mem}, Now: func() time.Time { return time.Unix(base+60, 0) },
	})
}

// variable is what differs from run to run.
var variable = regexp.MustCompile(`"(execTime|bytesProcessedPerSecond|linesProcessedPerSecond|totalLinesProcessed|decompressedLines)":[0-9.e+-]+`)

// A file testdata/*.http is a list of blocks separated by blank lines: a request
// line "METHOD path?query" with header lines below, "----", and the answer's
// status and body.
func TestShapes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.http")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			raw, err := os.ReadFile(f)
			require.NoError(t, err)
			h := handler(sample())
			var out []string
			for _, block := range strings.Split(strings.TrimRight(string(raw), "\n"), "\n\n") {
				request, want, _ := strings.Cut(block, "\n----")
				got := serve(t, h, request)
				out = append(out, request+"\n----\n"+got)
				if !*rewrite {
					require.Equal(t, strings.TrimPrefix(want, "\n"), got, request)
				}
			}
			if *rewrite {
				require.NoError(t, os.WriteFile(f, []byte(strings.Join(out, "\n\n")+"\n"), 0o644))
			}
		})
	}
}

func serve(t *testing.T, h http.Handler, request string) string {
	lines := strings.Split(request, "\n")
	method, target, ok := strings.Cut(lines[0], " ")
	require.True(t, ok, request)
	path, query, _ := strings.Cut(target, "?")
	values := url.Values{}
	for _, kv := range strings.Split(query, "&") {
		if k, v, ok := strings.Cut(kv, "="); ok {
			values.Add(k, strings.ReplaceAll(v, "%26", "&"))
		}
	}
	var body io.Reader
	if method == "POST" {
		body = strings.NewReader(values.Encode())
	} else if len(values) > 0 {
		path += "?" + values.Encode()
	}
	r := httptest.NewRequest(method, path, body)
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, l := range lines[1:] {
		k, v, _ := strings.Cut(l, ": ")
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	text := variable.ReplaceAllString(w.Body.String(), `"$1":0`)
	if json.Valid([]byte(text)) {
		text = strings.ReplaceAll(text, "\n", "\\n")
	}
	return strings.TrimRight(fmt.Sprintf("%d %s\n%s", w.Code, w.Header().Get("Content-Type"), text), "\n")
}

func TestGzip(t *testing.T) {
	r := httptest.NewRequest("GET", "/loki/api/v1/labels?start=1700000000&end=1700000060", nil)
	r.Header.Set("Accept-Encoding", "br, gzip")
	w := httptest.NewRecorder()
	handler(sample()).ServeHTTP(w, r)
	require.Equal(t, "gzip", w.Header().Get("Content-Encoding"))
	z, err := gzip.NewReader(w.Body)
	require.NoError(t, err)
	text, err := io.ReadAll(z)
	require.NoError(t, err)
	require.JSONEq(t, `{"status":"success","data":["k8s_pod_name","service_name"]}`, string(text))
}

// Clients page by moving the end to the oldest time seen and dropping what they
// have: equal times must come in the same order every time.
func TestPagingWithEqualTimes(t *testing.T) {
	mem := &testkit.MemLog{}
	for i := range 50 {
		mem.Append(tenant.Default, model.LogRow{LogRecord: model.LogRecord{Time: at(int64(i / 10)), Body: model.String(fmt.Sprint("line ", i))}})
	}
	h := handler(mem)
	page := func(end int64, limit int) (lines []string, oldest int64) {
		r := httptest.NewRequest("GET", fmt.Sprintf("/loki/api/v1/query_range?query={}&start=%d&end=%d&limit=%d&direction=backward", at(0), end, limit), nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, 200, w.Code, w.Body.String())
		var res struct {
			Data struct {
				Result []struct{ Values [][2]string }
			}
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &res))
		for _, s := range res.Data.Result {
			for _, v := range s.Values {
				lines = append(lines, v[1])
				_, err := fmt.Sscan(v[0], &oldest)
				require.NoError(t, err)
			}
		}
		return lines, oldest
	}
	var all []string
	seen := map[string]bool{}
	for end := at(10); ; {
		lines, oldest := page(end, 15)
		fresh := 0
		for _, l := range lines {
			if !seen[l] {
				seen[l], fresh = true, fresh+1
				all = append(all, l)
			}
		}
		if fresh == 0 {
			break
		}
		end = oldest + 1
	}
	require.Len(t, all, 50)
	for i, l := range all {
		require.Equal(t, fmt.Sprint("line ", 49-i), l)
	}
}

// The bytes of many lines are estimated, from all of the time range.
func TestStatsOfManyLines(t *testing.T) {
	mem := &testkit.MemLog{}
	rows := make([]model.LogRow, 60_000)
	for i := range rows {
		rows[i] = model.LogRow{LogRecord: model.LogRecord{Time: at(0) + int64(i)*1e6, Body: model.String(strings.Repeat("x", 10+i%3+10*(i/30_000)))}}
	}
	mem.Append(tenant.Default, rows...)
	w := httptest.NewRecorder()
	handler(mem).ServeHTTP(w, httptest.NewRequest("GET", "/loki/api/v1/index/stats?query={}&start=1700000000&end=1700000060", nil))
	var got struct{ Streams, Entries, Bytes int64 }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.EqualValues(t, 60_000, got.Entries)
	require.EqualValues(t, 1, got.Streams)
	require.InEpsilon(t, 60_000*16, got.Bytes, 0.05)
}
