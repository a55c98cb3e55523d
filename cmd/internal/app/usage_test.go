package app

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/pkg/tenant"
)

func TestUsage(t *testing.T) {
	root := t.TempDir()
	write := func(path string, n int) {
		path = filepath.Join(root, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, make([]byte, n), 0o644))
	}
	write("logs/a/block/rows", 100)
	write("logs/a/head", 11)
	write("logs/b/head", 7)
	write("metrics/a/tsdb/wal/0", 50)
	write("ingestlog/1", 5)
	write("braid.lock", 3)
	now := time.Unix(0, 0)
	u := &usage{root: root, now: func() time.Time { return now }}
	ask := func(who string) string {
		r := httptest.NewRequest("GET", "/api/braid/v1/storage", nil)
		if who != "" {
			r.Header.Set(tenant.Header, who)
		}
		w := httptest.NewRecorder()
		u.ServeHTTP(w, r)
		require.Equal(t, 200, w.Code, w.Body.String())
		return w.Body.String()
	}
	all := `{"parts":[{"part":"ingestlog","bytes":5,"files":1},{"part":"logs","tenant":"a","bytes":111,"files":2},` +
		`{"part":"logs","tenant":"b","bytes":7,"files":1},{"part":"metrics","tenant":"a","bytes":50,"files":1}]}`
	require.JSONEq(t, all, ask(""))
	write("logs/b/more", 1000)
	require.JSONEq(t, all, ask(""), "the folder is not walked again at once")
	now = now.Add(usageAge)
	require.JSONEq(t, `{"parts":[{"part":"ingestlog","bytes":5,"files":1},{"part":"logs","tenant":"b","bytes":1007,"files":2}]}`, ask("b"))
}
