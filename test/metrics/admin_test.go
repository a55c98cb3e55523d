package metrics

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"
	"github.com/stretchr/testify/require"

	"braid/pkg/api/promapi"
	"braid/pkg/tenant"
	"braid/pkg/tsdb"
)

var _ apiv1.TSDBAdminStats = (*tsdb.Admin)(nil)

// TestAdministrationOverHTTP counts, copies and deletes series of one tenant
// and leaves the other alone.
func TestAdministrationOverHTTP(t *testing.T) {
	reg := prometheus.NewRegistry()
	store, err := tsdb.Open(tsdb.Options{Dir: t.TempDir(), Registerer: reg, SyncInterval: -1, Now: func() time.Time { return epoch }})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	snapshots := t.TempDir()
	api, err := promapi.New(promapi.Options{Source: store, EnableAdmin: true, SnapshotDir: snapshots, Gatherer: reg,
		Admin: func(id tenant.ID) apiv1.TSDBAdminStats { return store.Admin(id) }})
	require.NoError(t, err)
	defer api.Close()
	for _, id := range []tenant.ID{"a", "b"} {
		sendOTLP(t, store, id, otlpRequest("i1"))
	}
	require.Contains(t, question(t, api, "a", "status/tsdb"), `"headStats":{"numSeries":7,"numLabelPairs":13,"chunkCount":7`)
	require.Contains(t, question(t, api, "a", "status/tsdb"), `{"name":"lat_seconds_bucket","value":3}`)
	require.Contains(t, question(t, api, "stranger", "status/tsdb"), `"numSeries":0`)
	require.Contains(t, question(t, api, "a", "status/tsdb/blocks"), `"blocks":[]`)

	change := func(path string) string {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/admin/tsdb/"+path, nil)
		r.Header.Set("X-Scope-OrgID", "a")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		require.Less(t, w.Code, 300, w.Body.String())
		return w.Body.String()
	}
	require.Contains(t, change("snapshot"), `"name":"`)
	made, err := filepath.Glob(filepath.Join(snapshots, "a", "snapshots", "*", "*", "meta.json"))
	require.NoError(t, err)
	require.Len(t, made, 1)
	change("delete_series?match[]=hits_total")
	change("clean_tombstones")
	require.NotContains(t, question(t, api, "a", "query", "query", "hits_total", "time", "1700000000"), "hits_total")
	require.Contains(t, question(t, api, "b", "query", "query", "hits_total", "time", "1700000000"), "hits_total")

	// A snapshot's block can be imported.
	require.NoError(t, store.Import("c").Block(filepath.Dir(made[0])))
	found, err := filepath.Glob(filepath.Join(filepath.Dir(made[0]), "*"))
	require.NoError(t, err)
	require.NotEmpty(t, found)
	_, err = os.Stat(made[0])
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(question(t, api, "c", "labels"), `{"status":"success"`))
}
