//go:build stress

// The model test runs against the clock and with load its receiver is late in
// ways that it does not tell from lost pages yet: `make stress` runs it.

package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Random alerts that begin and end, kills and clean restarts: every alert that
// a simple model says is firing at the end has been paged, nothing is paged that
// never fired, and what was paged and went on firing over a clean restart is
// not paged again.
func TestPagesAgainstModel(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 3))
		pages := make(chan page, 10_000)
		var dead atomic.Bool // a killed process tells nobody anything
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if dead.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			var p page
			body, _ := io.ReadAll(r.Body)
			if json.Unmarshal(body, &p) == nil {
				pages <- p
			}
		}))
		dir := t.TempDir()
		text := fmt.Sprintf("route: {receiver: hook, group_by: [alertname], group_wait: 1ms, group_interval: 10ms, repeat_interval: 4h}\nreceivers: [{name: hook, webhook_configs: [{url: %q}]}]\n", srv.URL)
		o := Options{ConfigFile: write(t, dir, text), Dir: filepath.Join(dir, "am")}
		a := start(t, o)
		kills := false
		isFiring, everFired := map[string]bool{}, map[string]bool{}
		var log []string
		for range 40 {
			name := fmt.Sprint("A", rng.IntN(5))
			op := rng.IntN(6)
			log = append(log, fmt.Sprint(op, name))
			switch op {
			case 0, 1, 2:
				x := firing(name, "1")
				if rng.IntN(2) == 0 {
					require.NoError(t, a.Hold(x))
				}
				require.NoError(t, a.Put(context.Background(), x))
				isFiring[name], everFired[name] = true, true
			case 3:
				x := firing(name, "1")
				x.StartsAt = x.StartsAt.Add(-time.Second)
				x.EndsAt = time.Now()
				require.NoError(t, a.Put(context.Background(), x))
				isFiring[name] = false
			case 4:
				require.NoError(t, a.Close())
				a = start(t, o)
			case 5:
				if seed%2 == 0 {
					continue
				}
				kills = true
				dead.Store(true)
				to := kill(t, o.Dir)
				require.NoError(t, a.Close())
				dead.Store(false)
				o.Dir = to
				a = start(t, o)
			}
		}
		told := map[string]string{}
		settled := func() bool {
			for len(pages) > 0 {
				p := <-pages
				for _, x := range p.Alerts {
					name := x.Labels["alertname"]
					require.True(t, everFired[name], "seed %d: %s never fired", seed, name)
					told[name] = p.Status
					log = append(log, "told "+name+" "+p.Status)
				}
			}
			for name, f := range isFiring {
				// Killed between the receiver and the log, and ended before it could
				// be paged again: the receiver is not told of the end.
				if f && told[name] != "firing" || !f && told[name] == "firing" && !kills {
					return false
				}
			}
			a.alerts.mu.Lock()
			defer a.alerts.mu.Unlock()
			for _, x := range a.alerts.kept {
				if !x.Paged && !x.Ended && !kills {
					return false
				}
			}
			return true
		}
		if !assert.Eventually(t, settled, 20*time.Second, 5*time.Millisecond, "seed %d: firing %v, told %v", seed, isFiring, told) {
			for _, x := range a.alerts.kept {
				log = append(log, fmt.Sprintf("kept %+v", *x))
			}
			t.Fatal(log)
		}
		// All of it over again in a new process says nothing new.
		require.NoError(t, a.Close())
		settled()
		b := start(t, o)
		for name, f := range isFiring {
			if f {
				require.NoError(t, b.Put(context.Background(), firing(name, "1")))
			}
		}
		require.NoError(t, b.Put(context.Background(), firing("Last", "1")))
		for p := range pages {
			name := p.Alerts[0].Labels["alertname"]
			if name == "Last" {
				break
			}
			require.True(t, kills, "seed %d: %s was paged again", seed, name)
		}
		require.NoError(t, b.Close())
		srv.Close()
	}
}
