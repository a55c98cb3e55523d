package notify

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOutsideAlertmanagersGetTheAlerts(t *testing.T) {
	type sent struct {
		Labels, Annotations map[string]string
		StartsAt            time.Time
	}
	got := make(chan []sent, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if r.URL.Path != "/am/api/v2/alerts" || user != "u" || password != "p" {
			t.Errorf("asked %s as %s", r.URL.Path, user)
		}
		var list []sent
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
			t.Error(err)
		}
		got <- list
	}))
	defer srv.Close()
	x, err := NewOutside(OutsideOptions{URLs: []string{strings.Replace(srv.URL, "http://", "http://u:p@", 1) + "/am"}})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(x.URLs()) == 1 }, time.Minute, time.Millisecond)
	a := firing("X", "1")
	a.Annotations = map2(map[string]string{"braid_requests": "r1"})
	x.Send(a)
	list := <-got
	require.Equal(t, "X", list[0].Labels["alertname"])
	require.Equal(t, "r1", list[0].Annotations["braid_requests"])
	require.WithinDuration(t, a.StartsAt, list[0].StartsAt, time.Second)
	require.NoError(t, x.Close())
	_, err = NewOutside(OutsideOptions{URLs: []string{"file:///etc/passwd"}})
	require.ErrorContains(t, err, "not the address")
}
