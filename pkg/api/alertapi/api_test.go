package alertapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
	"braid/pkg/alert/evidence"
	"braid/pkg/alert/rule"
	"braid/pkg/tenant"
)

type nobody struct{ evidence.Source }

type server struct {
	mux    *http.ServeMux
	reload error
	loaded []tenant.ID
}

func newServer(t *testing.T) *server {
	t.Helper()
	store, err := rule.OpenStore(rule.StoreOptions{FS: vfs.NewCrashable(), Dir: "/rules", Parser: parser.NewParser(parser.Options{})})
	require.NoError(t, err)
	keeper, err := evidence.Open(evidence.Options{FS: vfs.NewCrashable(), Dir: "/history", Source: nobody{}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, keeper.Close()) })
	s := &server{mux: http.NewServeMux()}
	New(Options{Store: store, History: keeper, States: func(tenant.ID) []rule.State { return []rule.State{{Name: "r", MatchesNothing: []string{"gone"}}} },
		Changed: func(_ context.Context, t tenant.ID) error { s.loaded = append(s.loaded, t); return s.reload },
		LogQL: func(expr string) error {
			if strings.Contains(expr, "broken") {
				return errors.New("parse error")
			}
			return nil
		}}).Register(s.mux)
	return s
}

func (s *server) ask(method, path, tenantName, body string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set(tenant.Header, tenantName)
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

const logGroup = `name: errors
interval: 1m
rules:
    - alert: ManyErrors
      expr: sum by (app) (rate({app=~".+"} |= "error" [5m])) > 5
      for: 5m
      labels:
        severity: page
`

func TestLokiRuler(t *testing.T) {
	s := newServer(t)
	for _, prefix := range []string{"/loki/api/v1/rules", "/api/prom/rules"} {
		code, body := s.ask("GET", prefix, "a", "")
		require.Equal(t, 404, code, body)
		code, body = s.ask("POST", prefix+"/team%2Fone", "a", logGroup)
		require.Equal(t, 202, code, body)
		code, body = s.ask("GET", prefix+"/team%2Fone/errors", "a", "")
		require.Equal(t, 200, code)
		require.YAMLEq(t, logGroup, body, "LogQL comes back as it came")
		code, body = s.ask("GET", prefix, "a", "")
		require.Equal(t, 200, code)
		require.Contains(t, body, "team/one:")
		code, _ = s.ask("GET", prefix, "b", "")
		require.Equal(t, 404, code, "another tenant sees nothing")
		code, _ = s.ask("DELETE", prefix+"/team%2Fone/errors", "b", "")
		require.Equal(t, 404, code)
		code, _ = s.ask("DELETE", prefix+"/team%2Fone", "a", "")
		require.Equal(t, 202, code)
	}
	require.Equal(t, tenant.ID("a"), s.loaded[0])
}

func TestMetricsRulerAndRefusals(t *testing.T) {
	s := newServer(t)
	code, _ := s.ask("GET", "/config/v1/rules", "a", "")
	require.Equal(t, 200, code)
	good := "name: g\nrules: [{record: a:b, expr: sum(up)}]\n"
	code, body := s.ask("POST", "/config/v1/rules/ns", "a", good)
	require.Equal(t, 202, code, body)
	code, body = s.ask("GET", "/prometheus/config/v1/rules/ns/g", "a", "")
	require.Equal(t, 200, code)
	require.YAMLEq(t, good, body)

	for name, c := range map[string]struct{ path, body, want string }{
		"bad PromQL":    {"/config/v1/rules/ns", "name: g\nrules: [{record: a:b, expr: 'sum('}]", "parse"},
		"bad LogQL":     {"/loki/api/v1/rules/ns", "name: g\nrules: [{record: a:b, expr: broken}]", "parse error"},
		"unknown key":   {"/config/v1/rules/ns", "name: g\nreceivers: [{webhook: x}]\nrules: [{record: a:b, expr: up}]", "receivers"},
		"two groups":    {"/config/v1/rules/ns", good + "---\n" + good, "more than one"},
		"no rules":      {"/config/v1/rules/ns", "name: g", "0 rules"},
		"not YAML":      {"/config/v1/rules/ns", "\t{", "YAML"},
		"too long":      {"/config/v1/rules/ns", "name: " + strings.Repeat("x", maxBody+1), "too large"},
		"bad namespace": {"/config/v1/rules/" + strings.Repeat("n", 65), good, "namespace"},
	} {
		code, body := s.ask("POST", c.path, "a", c.body)
		require.Equal(t, 400, code, "%s: %s", name, body)
		require.Contains(t, body, c.want, name)
	}
	code, _ = s.ask("GET", "/config/v1/rules", "../x", "")
	require.Equal(t, 400, code)

	// What cannot be loaded is taken back.
	s.reload = errors.New("the engine refuses it")
	code, body = s.ask("POST", "/config/v1/rules/ns", "a", "name: h\nrules: [{record: c:d, expr: up}]")
	require.Equal(t, 400, code)
	require.Contains(t, body, "the engine refuses it")
	code, _ = s.ask("GET", "/config/v1/rules/ns/h", "a", "")
	require.Equal(t, 404, code)
}

func TestHistoryAndStates(t *testing.T) {
	s := newServer(t)
	code, body := s.ask("GET", "/api/braid/v1/alerts/history?limit=5&start=2026-01-01T00:00:00Z&end=1.8e9", "a", "")
	require.Equal(t, 200, code)
	require.JSONEq(t, `{"alerts":[]}`, body)
	code, _ = s.ask("GET", "/api/braid/v1/alerts/history?limit=x", "a", "")
	require.Equal(t, 400, code)
	code, _ = s.ask("GET", "/api/braid/v1/alerts/0123456789abcdef/evidence", "a", "")
	require.Equal(t, 404, code)
	code, body = s.ask("GET", "/api/braid/v1/alerts/rules?matches_nothing=true", "a", "")
	require.Equal(t, 200, code)
	require.Contains(t, body, `"matchesNothing":["gone"]`)
}

func FuzzReadGroup(f *testing.F) {
	f.Add(logGroup)
	f.Add("name: g\nrules: [{record: a, expr: up}]")
	f.Fuzz(func(_ *testing.T, s string) {
		_, _ = readGroup(strings.NewReader(s))
	})
}
