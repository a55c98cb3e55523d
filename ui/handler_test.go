package ui

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func zip(t *testing.T, text string) *fstest.MapFile {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return &fstest.MapFile{Data: b.Bytes()}
}

func built(t *testing.T) http.Handler {
	return newHandler(fstest.MapFS{
		"index.html":                 {Data: []byte("placeholder")},
		"app/index.html.gz":          zip(t, `<meta name="nonce" content="__BRAID_NONCE__">`),
		"app/assets/main-ab12.js.gz": zip(t, "console.log(1)"),
	})
}

func get(h http.Handler, method, path, encoding string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	if encoding != "" {
		r.Header.Set("Accept-Encoding", encoding)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

func TestAppPathsAnswerThePage(t *testing.T) {
	h := built(t)
	for _, p := range []string{"/", "/index.html", "/explore/logs", "/request/4bf9%2Fx", "/map", "/status", "/split", "/graph"} {
		r := get(h, "GET", p, "")
		require.Equal(t, 200, r.StatusCode, p)
		require.Equal(t, "no-store", r.Header.Get("Cache-Control"), p)
		require.Contains(t, body(t, r), `name="nonce"`, p)
	}
}

func TestOtherPathsAreNeverThePage(t *testing.T) {
	h := built(t)
	for _, p := range []string{
		"/api/v1/nothing", "/loki/api/v1/nothing", "/v1/traces", "/-/ready", "/metrics", "/services", "/health",
		"/api/v2/status", "/alertmanager/api/v2/status", "/prometheus/api/v1/rules", "/explorer", "/../explore", "/assets/../api/v1/x",
	} {
		r := get(h, "GET", p, "")
		if p == "/../explore" {
			require.Equal(t, 200, r.StatusCode, "cleaned to /explore")
			continue
		}
		require.Equal(t, 404, r.StatusCode, p)
		require.Equal(t, "application/json", r.Header.Get("Content-Type"), p)
	}
}

func TestPolicyForbidsInlineScriptAndNonceChanges(t *testing.T) {
	h := built(t)
	a, b := get(h, "GET", "/", ""), get(h, "GET", "/", "")
	policy := a.Header.Get("Content-Security-Policy")
	require.Contains(t, policy, "script-src 'self';")
	require.Equal(t, 1, strings.Count(policy, "unsafe"), "only style attributes are let be")
	require.Contains(t, policy, "style-src-attr 'unsafe-inline'")
	require.NotEqual(t, policy, b.Header.Get("Content-Security-Policy"))
	page := body(t, a)
	_, rest, ok := strings.Cut(page, `content="`)
	require.True(t, ok)
	nonce, _, _ := strings.Cut(rest, `"`)
	require.NotContains(t, page, nonceMark)
	require.Contains(t, policy, "'nonce-"+nonce+"'")
}

func TestAssetsAreGzippedAndCachedForAYear(t *testing.T) {
	h := built(t)
	r := get(h, "GET", "/assets/main-ab12.js", "br, gzip")
	require.Equal(t, "gzip", r.Header.Get("Content-Encoding"))
	require.Equal(t, "text/javascript; charset=utf-8", r.Header.Get("Content-Type"))
	require.Contains(t, r.Header.Get("Cache-Control"), "immutable")
	z, err := gzip.NewReader(r.Body)
	require.NoError(t, err)
	text, err := io.ReadAll(z)
	require.NoError(t, err)
	require.Equal(t, "console.log(1)", string(text))

	for _, encoding := range []string{"", "identity", "gzip;q=0"} {
		r = get(h, "GET", "/assets/main-ab12.js", encoding)
		require.Empty(t, r.Header.Get("Content-Encoding"), encoding)
		require.Equal(t, "console.log(1)", body(t, r), encoding)
	}
	require.Equal(t, 404, get(h, "GET", "/assets/main-old.js", "gzip").StatusCode)
}

func TestMethods(t *testing.T) {
	h := built(t)
	require.Equal(t, 405, get(h, "POST", "/", "").StatusCode)
	r := get(h, "HEAD", "/assets/main-ab12.js", "gzip")
	require.Equal(t, 200, r.StatusCode)
	require.Empty(t, body(t, r))
}

func TestCleanCloneSaysHowToBuild(t *testing.T) {
	h := newHandler(fstest.MapFS{"index.html": {Data: []byte("build me")}})
	r := get(h, "GET", "/explore/logs", "")
	require.Equal(t, 200, r.StatusCode)
	require.Equal(t, "build me", body(t, r))
}

func TestHandlerServesWhatIsEmbedded(t *testing.T) {
	r := get(Handler(), "GET", "/", "")
	require.Equal(t, 200, r.StatusCode)
	require.Contains(t, body(t, r), "Braid")
}
