package searchapi_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/api/searchapi"
	"braid/pkg/model"
	"braid/pkg/query/logql"
	"braid/pkg/tenant"
)

var rewrite = flag.Bool("rewrite", false, "write the answers into testdata instead of comparing them")

// base is the time of the first record: 2023-11-14T22:13:20Z.
const base = int64(1_700_000_000)

func sample() *testkit.MemLog {
	mem := &testkit.MemLog{}
	attrs := func(kv ...any) (out model.Attrs) {
		for i := 0; i < len(kv); i += 2 {
			v := model.Value{}
			switch x := kv[i+1].(type) {
			case string:
				v = model.String(x)
			case int:
				v = model.Int(int64(x))
			}
			out = append(out, model.Attr{Key: kv[i].(string), Value: v})
		}
		return out
	}
	api := &model.Resource{Attrs: attrs("service.name", "api", "k8s.pod.name", "api-1")}
	web := &model.Resource{Attrs: attrs("service.name", "web")}
	trace, _ := model.ParseTraceID("0af7651916cd43dd8448eb211c80319c")
	for i := range 12 {
		row := model.LogRow{Resource: api, Scope: &model.Scope{Name: "http", Version: "1"}, LogRecord: model.LogRecord{
			Time: (base + int64(i/2)) * 1e9, Observed: (base + 9) * 1e9, Severity: 9, Body: model.String(fmt.Sprintf("GET /users/%d done", i)),
			Attrs: attrs("user.id", "user-"+string(rune('a'+i%3)), "ms", 10*i)}}
		if i%4 == 3 {
			row.Resource, row.Scope, row.Severity, row.Body = web, nil, 17, model.String("upstream timeout")
			row.TraceID, row.EventName, row.DroppedAttrs = trace, "request.failed", 2
		}
		mem.Append(tenant.Default, row)
	}
	return mem
}

func handler() http.Handler {
	now := func() time.Time { return time.Unix(base+60, 0) }
	return searchapi.New(searchapi.Options{Now: now, Explorer: logql.NewExplorer(logql.ExplorerOptions{Source: sample(), Now: now})})
}

func serve(t *testing.T, h http.Handler, request string) (int, string) {
	method, target, _ := strings.Cut(request, " ")
	var body *strings.Reader
	target, form, posted := strings.Cut(target, "\n")
	body = strings.NewReader(form)
	r := httptest.NewRequest(method, strings.ReplaceAll(target, " ", "%20"), body)
	if posted {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
	require.True(t, json.Valid(w.Body.Bytes()), w.Body.String())
	return w.Code, w.Body.String()
}

// variable is what depends on the source.
var variable = regexp.MustCompile(`"stats":\{[^}]*\}`)

// testdata/*.http is blocks separated by blank lines: "METHOD path?query", for a
// POST the form below it, "----", and the answer's status and body.
func TestShapes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.http")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			raw, err := os.ReadFile(f)
			require.NoError(t, err)
			h := handler()
			var out []string
			for _, block := range strings.Split(strings.TrimRight(string(raw), "\n"), "\n\n") {
				request, want, _ := strings.Cut(block, "\n----")
				status, body := serve(t, h, request)
				got := fmt.Sprintf("%d\n%s", status, variable.ReplaceAllString(body, `"stats":{}`))
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

// Pages joined are the whole, in order, whatever their size and direction.
func TestPagesJoin(t *testing.T) {
	h := handler()
	for _, direction := range []string{"forward", "backward"} {
		for _, limit := range []int{1, 2, 5, 100} {
			var got []string
			for after := ""; ; {
				_, body := serve(t, h, fmt.Sprintf("GET /api/braid/v1/logs/search?direction=%s&limit=%d&after=%s", direction, limit, after))
				var page struct {
					Records []struct{ At string }
					Next    string
				}
				require.NoError(t, json.Unmarshal([]byte(body), &page))
				require.LessOrEqual(t, len(page.Records), limit)
				for _, r := range page.Records {
					got = append(got, r.At)
				}
				if after = page.Next; after == "" {
					break
				}
			}
			require.Len(t, got, 12)
			seen := map[string]bool{}
			for _, at := range got {
				require.False(t, seen[at], at)
				seen[at] = true
			}
		}
	}
}

// Every record's place leads back to it.
func TestPlaceNamesRecord(t *testing.T) {
	h := handler()
	_, body := serve(t, h, "GET /api/braid/v1/logs/search?limit=100")
	var page struct{ Records []json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(body), &page))
	for _, raw := range page.Records {
		var r struct{ At string }
		require.NoError(t, json.Unmarshal(raw, &r))
		status, body := serve(t, h, "GET /api/braid/v1/logs/context?same=none&before=20&after=20&at="+r.At)
		require.Equal(t, 200, status)
		var around struct {
			Before, After []json.RawMessage
			Record        json.RawMessage
		}
		require.NoError(t, json.Unmarshal([]byte(body), &around))
		require.JSONEq(t, string(raw), string(around.Record))
		require.Len(t, append(around.Before, around.After...), 11)
	}
}
