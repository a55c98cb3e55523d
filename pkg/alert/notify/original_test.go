package notify

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/prometheus/alertmanager/config"
	"github.com/stretchr/testify/require"
)

// What the API shows of the configuration is the operator's, and no secret is
// in it, whatever name it goes by.
func TestStatusShowsTheOwnConfigurationWithoutSecrets(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: filepath.Join(dir, "am"), ConfigFile: write(t, dir, `global: {smtp_auth_password: hush1, slack_api_url: 'https://hush2.example/x', resolve_timeout: 1m}
route: {receiver: r, group_by: [alertname], routes: [{matchers: [severity="page"], receiver: r}]}
receivers:
- name: r
  pagerduty_configs: [{routing_key: hush3, description: d}]
  webhook_configs:
  - {url: 'http://hush4.example', http_config: {bearer_token: hush5}}
  - {url: 'http://hush6.example', http_config: {basic_auth: {username: u, password: hush7}, tls_config: {insecure_skip_verify: true}}}
  pushover_configs: [{user_key: hush8, token: hush9}]
`)}
	a := start(t, o)
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v2/status", nil))
	require.Equal(t, 200, w.Code)
	var s struct {
		Config      struct{ Original string }
		Cluster     struct{ Status string }
		VersionInfo struct{ Version, GoVersion string }
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &s), w.Body)
	require.Equal(t, "disabled", s.Cluster.Status)
	require.NotEmpty(t, s.VersionInfo.Version) // of the library, where it was built in: a test does not know
	require.NotEmpty(t, s.VersionInfo.GoVersion)
	require.NotContains(t, s.Config.Original, "hush")
	require.NotContains(t, s.Config.Original, "opsgenie_api_url", "no defaults")
	require.Contains(t, s.Config.Original, "http://<secret>")
	conf, err := config.Load(s.Config.Original)
	require.NoError(t, err, s.Config.Original)
	require.Len(t, conf.Receivers[0].WebhookConfigs, 2)
	require.Equal(t, "d", conf.Receivers[0].PagerdutyConfigs[0].Description)
	require.Len(t, conf.Route.Routes, 1)
	require.NoError(t, a.Close())
}
