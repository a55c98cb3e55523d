package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// kill copies what an Alertmanager has on disk at this moment, as kill -9
// leaves it.
func kill(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "am")
	// A snapshot that is being written may come or go meanwhile: again.
	require.Eventually(t, func() bool {
		return os.RemoveAll(to) == nil && os.CopyFS(to, os.DirFS(dir)) == nil
	}, time.Minute, time.Millisecond)
	return to
}

// short is an alert whose rule is evaluated every few ms: it ends soon unless
// it is sent again.
func short(name string, hold time.Duration) *alert.Alert {
	a := firing(name, "1")
	a.EndsAt = a.UpdatedAt.Add(hold)
	return a
}

func TestKillBetweenEvaluationAndNotification(t *testing.T) {
	url, pages := hook(t)
	dir := t.TempDir()
	slow := fmt.Sprintf("route: {receiver: hook, group_by: [alertname], group_wait: 1h}\nreceivers: [{name: hook, webhook_configs: [{url: %q}]}]\n", url)
	o := Options{ConfigFile: write(t, dir, slow), Dir: filepath.Join(dir, "am")}
	a := start(t, o)
	require.NoError(t, a.Put(context.Background(), firing("Put", "1")))
	require.NoError(t, a.Hold(firing("Held", "1")))
	resolved := firing("Over", "1")
	require.NoError(t, a.Put(context.Background(), resolved))
	over := *resolved
	over.EndsAt = time.Now()
	require.NoError(t, a.Put(context.Background(), &over))
	o.Dir = kill(t, o.Dir)
	require.NoError(t, a.Close())

	o.ConfigFile = write(t, dir, hookConfig(url))
	b := start(t, o)
	names := map[string]bool{}
	for range 2 {
		p := <-pages
		require.Equal(t, "firing", p.Status)
		names[p.Alerts[0].Labels["alertname"]] = true
	}
	require.Equal(t, map[string]bool{"Put": true, "Held": true}, names)
	require.NoError(t, b.Close())
	require.Empty(t, drain(pages))
}

func TestEndedWhileDownIsResolvedAtTheReceiver(t *testing.T) {
	url, pages := hook(t)
	dir := t.TempDir()
	text := fmt.Sprintf("route: {receiver: hook, group_by: [alertname], group_wait: 10ms, group_interval: 50ms, repeat_interval: 4h}\nreceivers: [{name: hook, webhook_configs: [{url: %q}]}]\n", url)
	o := Options{ConfigFile: write(t, dir, text), Dir: filepath.Join(dir, "am")}
	a := start(t, o)
	require.NoError(t, a.Put(context.Background(), short("Gone", time.Minute), short("Stays", time.Minute)))
	<-pages
	<-pages
	require.Eventually(t, func() bool { return a.saveLog() == nil && logged(t, a) == 2 }, time.Minute, time.Millisecond)
	require.NoError(t, a.Close())

	b := start(t, o)
	for _, x := range b.Active() {
		require.True(t, x.EndsAt.After(time.Now().Add(time.Minute)), "rules have time to fire it again")
	}
	require.Len(t, b.Active(), 2)
	gone := short("Gone", time.Minute)
	gone.EndsAt = time.Now()
	require.NoError(t, b.Put(context.Background(), short("Stays", time.Minute), gone))
	p := <-pages
	require.Equal(t, "resolved", p.Status)
	require.Equal(t, "Gone", p.Alerts[0].Labels["alertname"])
	require.NoError(t, b.Close())
	require.Empty(t, drain(pages), "what went on firing is not paged again")
}

// logged counts the groups in the notification log.
func logged(t *testing.T, a *Alertmanager) int {
	t.Helper()
	entries := 0
	active := a.Active()
	a.alerts.mu.Lock()
	defer a.alerts.mu.Unlock()
	if len(a.alerts.under) > 0 {
		return -1 // a receiver has it, the log not yet
	}
	for _, x := range active {
		k := a.alerts.kept[x.Fingerprint()]
		if k != nil && k.Paged {
			entries++
		}
	}
	return entries
}

func TestLongEndedIsNotPagedAfterDowntime(t *testing.T) {
	url, pages := hook(t)
	dir := t.TempDir()
	o := Options{Dir: filepath.Join(dir, "am")}
	a := start(t, o)
	old := short("Old", time.Minute)
	old.StartsAt, old.UpdatedAt, old.EndsAt = old.StartsAt.Add(-time.Hour), old.UpdatedAt.Add(-time.Hour), old.EndsAt.Add(-time.Hour)
	a.alerts.mu.Lock()
	a.alerts.kept[old.Fingerprint()] = &keptAlert{Alert: old.Alert, UpdatedAt: old.UpdatedAt}
	a.alerts.mu.Unlock()
	require.NoError(t, a.alerts.compact())
	require.NoError(t, a.Close())
	o.ConfigFile = write(t, dir, hookConfig(url))
	b := start(t, o)
	require.NoError(t, b.Put(context.Background(), firing("New", "1")))
	require.Equal(t, "New", (<-pages).Alerts[0].Labels["alertname"])
	require.NoError(t, b.Close())
	require.Empty(t, drain(pages))
}

func TestReceiverDownThenBackGetsTheStateOnce(t *testing.T) {
	var mu sync.Mutex
	down, got := true, []page{}
	tried := make(chan struct{}, 1000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			w.WriteHeader(http.StatusInternalServerError)
			tried <- struct{}{}
			return
		}
		var p page
		_ = json.NewDecoder(r.Body).Decode(&p)
		got = append(got, p)
		tried <- struct{}{}
	}))
	defer srv.Close()
	hang := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer hanging.Close()
	defer close(hang)
	outcomes := make(chan Outcome, 1000)
	dir := t.TempDir()
	text := fmt.Sprintf("route: {receiver: both, group_by: [alertname], group_wait: 10ms, group_interval: 30s}\nreceivers: [{name: both, webhook_configs: [{url: %q},{url: %q}]}]\n", hanging.URL, srv.URL)
	a := start(t, Options{ConfigFile: write(t, dir, text), Dir: filepath.Join(dir, "am"), Observe: func(o Outcome) {
		select {
		case outcomes <- o:
		default:
		}
	}})
	require.NoError(t, a.Put(context.Background(), firing("X", "1")))
	<-tried
	require.Error(t, (<-outcomes).Err)
	mu.Lock()
	down = false
	mu.Unlock()
	for o := range outcomes { // the hanging one beside it delays nothing
		if o.Err == nil {
			require.Equal(t, "both", o.Receiver)
			require.Len(t, o.Firing, 1)
			break
		}
	}
	mu.Lock()
	require.Len(t, got, 1)
	mu.Unlock()
	require.NoError(t, a.Close())
}

func map2(m map[string]string) model.LabelSet {
	out := model.LabelSet{}
	for k, v := range m {
		out[model.LabelName(k)] = model.LabelValue(v)
	}
	return out
}
