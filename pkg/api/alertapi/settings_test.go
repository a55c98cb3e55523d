package alertapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/alert/notify"
	"braid/pkg/tenant"
)

// onePager keeps every tenant's configuration in one Alertmanager.
type onePager struct{ *notify.Alertmanager }

func (p onePager) Settings(tenant.ID) (notify.Settings, error) { return p.Alertmanager.Settings() }
func (p onePager) Set(_ tenant.ID, s notify.Settings) error    { return p.Alertmanager.Set(s, "me") }
func (p onePager) Unset(tenant.ID) error                       { return p.Alertmanager.Unset("me") }

func TestAlertmanagerConfigurationByAPI(t *testing.T) {
	allowed := false
	am, err := notify.New(context.Background(), notify.Options{Dir: filepath.Join(t.TempDir(), "am"), Policy: func() notify.Policy { return notify.Policy{API: allowed} }})
	require.NoError(t, err)
	defer func() { require.NoError(t, am.Close()) }()
	mux := http.NewServeMux()
	New(Options{Pager: onePager{am}}).Register(mux)
	ask := func(method, body string) (int, string) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(method, SettingsPath, strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	const good = `template_files:
  mine.tmpl: '{{ define "mine" }}hello{{ end }}'
alertmanager_config: |
  templates: [mine.tmpl]
  route: {receiver: hook}
  receivers: [{name: hook, webhook_configs: [{url: 'https://example.org/hush'}]}]
`
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		code, body := ask(method, good)
		require.Equal(t, http.StatusForbidden, code, method)
		require.Contains(t, body, "alerting.receivers.api", "the way out is named")
	}
	allowed = true
	code, _ := ask(http.MethodGet, "")
	require.Equal(t, http.StatusNotFound, code)
	for body, says := range map[string]string{
		"":                       "alertmanager_config",
		"surprise: 1":            "surprise",
		good + "---\nx: 1\n":     "more than one document",
		"alertmanager_config: x": "alertmanager_config",
		strings.Replace(good, "receiver: hook", "receiver: none", 1):                    "none",
		strings.Replace(good, "url: 'https", "url_file: '/etc/passwd', url: 'https", 1): "url_file",
	} {
		code, answer := ask(http.MethodPost, body)
		require.Equal(t, http.StatusBadRequest, code, "%s: %s", body, answer)
		require.Contains(t, answer, says)
	}
	code, body := ask(http.MethodPost, good)
	require.Equal(t, http.StatusCreated, code, body)
	code, body = ask(http.MethodGet, "")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "hello")
	require.NotContains(t, body, "hush")
	code, body = ask(http.MethodPost, body)
	require.Equal(t, http.StatusBadRequest, code, "what is shown has no secrets, and must not replace what has")
	require.Contains(t, body, "secret")
	code, _ = ask(http.MethodDelete, "")
	require.Equal(t, http.StatusOK, code)
	code, _ = ask(http.MethodDelete, "")
	require.Equal(t, http.StatusNotFound, code)
}
