package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// hook stands in for somebody's webhook.
func hook(t *testing.T) (url string, pages <-chan page) {
	ch := make(chan page, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p page
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &p); err != nil {
			t.Errorf("cannot read page %s: %v", body, err)
		}
		ch <- p
	}))
	t.Cleanup(srv.Close)
	return srv.URL, ch
}

type page struct {
	Status string
	Alerts []struct{ Labels map[string]string }
}

func write(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "alertmanager.yml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func firing(name, instance string) *alert.Alert {
	now := time.Now()
	return &alert.Alert{Alert: model.Alert{Labels: model.LabelSet{"alertname": model.LabelValue(name), "instance": model.LabelValue(instance)},
		StartsAt: now, EndsAt: now.Add(time.Hour)}, UpdatedAt: now}
}

func start(t *testing.T, o Options) *Alertmanager {
	t.Helper()
	a, err := New(context.Background(), o)
	require.NoError(t, err)
	return a
}

func hookConfig(url string) string {
	return fmt.Sprintf("route: {receiver: hook, group_by: [alertname], group_wait: 100ms, group_interval: 1h, repeat_interval: 4h}\nreceivers: [{name: hook, webhook_configs: [{url: %q, send_resolved: false}]}]\n", url)
}

func TestGroupedPageSilenceAndRestart(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	url, pages := hook(t)
	o := Options{ConfigFile: write(t, dir, hookConfig(url)), Dir: filepath.Join(dir, "am")}
	a := start(t, o)

	w := httptest.NewRecorder()
	body := fmt.Sprintf(`{"matchers":[{"name":"alertname","value":"Quiet","isRegex":false,"isEqual":true}],"startsAt":%q,"endsAt":%q,"createdBy":"t","comment":"t"}`,
		time.Now().Add(-time.Minute).Format(time.RFC3339), time.Now().Add(time.Hour).Format(time.RFC3339))
	r := httptest.NewRequest(http.MethodPost, "/api/v2/silences", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	a.Handler().ServeHTTP(w, r)
	require.Equal(t, 200, w.Code, w.Body)

	require.NoError(t, a.Put(ctx, firing("Quiet", "1"), firing("Loud", "1"), firing("Loud", "2")))
	p := <-pages
	require.Equal(t, "firing", p.Status)
	require.Len(t, p.Alerts, 2, "one page a group")
	require.Len(t, a.Active(), 3)
	// The receiver has the page a moment before the log knows that it was sent.
	require.Eventually(t, func() bool { return logged(t, a) == 2 }, time.Minute, time.Millisecond)
	require.NoError(t, a.Close())

	// A new process over the same folder: the silence is there, and what was
	// paged is not paged again.
	b := start(t, o)
	require.NoError(t, b.Put(ctx, firing("Quiet", "1"), firing("Loud", "1"), firing("Loud", "2"), firing("Fresh", "1")))
	p = <-pages
	require.Equal(t, "Fresh", p.Alerts[0].Labels["alertname"])
	w = httptest.NewRecorder()
	b.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v2/silences", nil))
	require.Contains(t, w.Body.String(), `"state":"active"`)
	require.NoError(t, b.Close())
	require.Empty(t, drain(pages))
}

func TestSilenceSurvivesWithoutClose(t *testing.T) {
	dir := t.TempDir()
	a := start(t, Options{Dir: dir})
	defer func() { require.NoError(t, a.Close()) }()
	w := httptest.NewRecorder()
	body := fmt.Sprintf(`{"matchers":[{"name":"a","value":"b","isRegex":false,"isEqual":true}],"startsAt":%q,"endsAt":%q,"createdBy":"t","comment":"t"}`,
		time.Now().Format(time.RFC3339), time.Now().Add(time.Hour).Format(time.RFC3339))
	r := httptest.NewRequest(http.MethodPost, "/api/v2/silences", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	a.Handler().ServeHTTP(w, r)
	require.Equal(t, 200, w.Code, w.Body)
	info, err := os.Stat(filepath.Join(dir, "silences"))
	require.NoError(t, err)
	require.NotZero(t, info.Size(), "answered for, so on disk")
}

func TestBrokenConfigKeepsTheOld(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	url, pages := hook(t)
	o := Options{ConfigFile: write(t, dir, hookConfig(url)), Dir: filepath.Join(dir, "am")}
	a := start(t, o)
	write(t, dir, "route: {receiver: nobody_here}\n")
	require.ErrorContains(t, a.Reload(), "nobody_here")
	require.NoError(t, a.Put(ctx, firing("X", "1")))
	require.Equal(t, "firing", (<-pages).Status)
	write(t, dir, hookConfig(url))
	require.NoError(t, a.Reload())
	require.NoError(t, a.Close())

	write(t, dir, "rout: {}")
	_, err := New(ctx, o)
	require.ErrorContains(t, err, "rout")
}

func drain(pages <-chan page) (out []page) {
	for len(pages) > 0 {
		out = append(out, <-pages)
	}
	return out
}
