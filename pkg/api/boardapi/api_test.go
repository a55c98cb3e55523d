package boardapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
	"braid/pkg/tenant"
)

func TestDashboards(t *testing.T) {
	disk := vfs.NewCrashable()
	open := func(fs vfs.FS) func(method, path, who, body string) (int, string) {
		mux := http.NewServeMux()
		New(Options{Dir: "/boards", FS: fs, Now: func() time.Time { return time.UnixMilli(5) }, MaxBytes: 200, MaxBoards: 2}).Register(mux)
		return func(method, path, who, body string) (int, string) {
			r := httptest.NewRequest(method, "/api/braid/v1/dashboards"+path, strings.NewReader(body))
			r.Header.Set(tenant.Header, who)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			return w.Code, strings.TrimSpace(w.Body.String())
		}
	}
	do := open(disk)
	check := func(wantCode int, want string, method, path, who, body string) {
		t.Helper()
		code, got := do(method, path, who, body)
		require.Equal(t, wantCode, code, got)
		require.Contains(t, got, want)
	}
	check(200, `{"dashboards":[]}`, "GET", "", "a", "")
	check(200, `"updatedMs":5`, "PUT", "/shop", "a", `{"title":"Shop","document":"{\"panels\":[]}"}`)
	check(200, `{"dashboards":[{"id":"shop","title":"Shop","updatedMs":5}]}`, "GET", "", "a", "")
	check(200, `"document":"{\"panels\":[]}"`, "GET", "/shop", "a", "")
	check(404, `not found`, "GET", "/shop", "b", "")
	check(400, `document is not JSON`, "PUT", "/x", "a", `{"title":"X","document":"{"}`)
	check(400, `body:`, "PUT", "/x", "a", `nonsense`)
	check(400, `dashboard id`, "PUT", "/..%2fx", "a", `{}`)
	check(400, `invalid tenant`, "GET", "", "../b", "")
	check(413, `at most 200 bytes`, "PUT", "/x", "a", `{"document":"`+strings.Repeat("1", 300)+`"}`)
	check(200, ``, "PUT", "/y", "a", `{"title":"Y","document":"1"}`)
	check(413, `at most 2 dashboards`, "PUT", "/z", "a", `{"title":"Z","document":"1"}`)
	check(200, ``, "DELETE", "/y", "a", "")
	check(404, `not found`, "DELETE", "/y", "a", "")

	do = open(disk.CrashClone(nil)) // the power goes: what was answered is there
	check(200, `{"dashboards":[{"id":"shop","title":"Shop","updatedMs":5}]}`, "GET", "", "a", "")
}

func TestViewsNotesLinks(t *testing.T) {
	disk := vfs.NewCrashable()
	now := int64(0)
	open := func(fs vfs.FS) func(wantCode int, want, method, path, who, body string) string {
		mux := http.NewServeMux()
		tick := func() time.Time { now++; return time.UnixMilli(now) }
		New(Options{Dir: "/boards", FS: fs, Now: tick, MaxViews: 1, MaxNotes: 2, MaxLinks: 2}).Register(mux)
		return func(wantCode int, want, method, path, who, body string) string {
			t.Helper()
			r := httptest.NewRequest(method, "/api/braid/v1"+path, strings.NewReader(body))
			r.Header.Set(tenant.Header, who)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			require.Equal(t, wantCode, w.Code, w.Body.String())
			require.Contains(t, w.Body.String(), want)
			return w.Body.String()
		}
	}
	check := open(disk)
	check(200, `{"notes":[]}`, "GET", "/notes", "a", "")
	check(200, `"updatedMs":1`, "PUT", "/notes/n1", "a", `{"title":"deploy","document":"{\"fromMs\":5}"}`)
	check(200, `"document":"{\"fromMs\":5}"`, "GET", "/notes", "a", "")
	check(200, `{"notes":[]}`, "GET", "/notes", "b", "")
	check(200, `{"dashboards":[]}`, "GET", "/dashboards", "a", "") // another kind of the same tenant
	check(200, ``, "PUT", "/notes/n2", "a", `{"title":"two","document":"1"}`)
	check(413, `at most 2 notes`, "PUT", "/notes/n3", "a", `{"title":"three","document":"1"}`)
	check(200, ``, "PUT", "/notes/n2", "a", `{"title":"still two","document":"2"}`) // an old one may change
	check(413, `a note has at most 8192 bytes`, "PUT", "/notes/n2", "a", `{"title":"`+strings.Repeat("x", 9000)+`"}`)
	check(200, ``, "DELETE", "/notes/n1", "a", "")
	require.NotContains(t, check(200, `still two`, "GET", "/notes", "a", ""), "deploy")
	check(200, ``, "PUT", "/views/v", "a", `{"title":"mine","document":"{}"}`)
	check(413, `at most 1 views`, "PUT", "/views/w", "a", `{"title":"mine","document":"{}"}`)

	id := func(answer string) string { return strings.Split(answer, `"`)[3] }
	one := id(check(200, `"id"`, "POST", "/links", "a", `{"document":"\"/explore/logs?q=1\""}`))
	require.Len(t, one, 10)
	require.Equal(t, one, id(check(200, `"id"`, "POST", "/links", "a", `{"document":"\"/explore/logs?q=1\""}`)))
	two := id(check(200, `"id"`, "POST", "/links", "a", `{"document":"\"/explore/logs?q=2\""}`))
	require.NotEqual(t, one, two)
	check(404, `not found`, "GET", "/links/"+one, "b", "")
	three := id(check(200, `"id"`, "POST", "/links", "a", `{"document":"\"/explore/logs?q=3\""}`))
	check(404, `not found`, "GET", "/links/"+one, "a", "") // the oldest made room
	check(200, `q=2`, "GET", "/links/"+two, "a", "")
	check(405, ``, "DELETE", "/links/"+two, "a", "")

	check = open(disk.CrashClone(nil))
	check(200, `q=3`, "GET", "/links/"+three, "a", "")
	require.NotContains(t, check(200, `still two`, "GET", "/notes", "a", ""), "deploy")
}
