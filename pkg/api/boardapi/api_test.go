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
