package notify

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const twoPhones = `route: {receiver: p, group_by: [alertname], group_wait: 10s, group_interval: 2m, repeat_interval: 12h}
receivers: [{name: p, webhook_configs: [{url: 'http://x'}, {url: 'http://y'}]}]
`

// watcher is a model of what must be paged: it knows which alerts fire, sends
// them as rules do, every minute, and their ends for a while.
type watcher struct {
	d     *desk
	since map[string]time.Time // firing alerts
	ended map[string]time.Time // ended ones, until rules stop to speak of them
	spans map[string][]span    // when each fired
}

type span struct{ from, to time.Time }

const resent = 15 * time.Minute // how long rules speak of an alert that has ended

func (w *watcher) fire(name string) {
	if _, on := w.since[name]; !on {
		w.since[name] = time.Now()
		w.spans[name] = append(w.spans[name], span{from: time.Now()})
	}
	delete(w.ended, name)
	w.d.put(fires(name, w.since[name]))
}

func (w *watcher) end(name string) {
	if at, on := w.since[name]; on {
		w.spans[name][len(w.spans[name])-1].to = time.Now()
		w.ended[name] = time.Now()
		delete(w.since, name)
		w.d.put(ends(name, at))
	}
}

// wait lets time pass, a minute an evaluation.
func (w *watcher) wait(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(time.Minute, time.Until(end)))
		for name := range w.since {
			w.fire(name)
		}
		for name, at := range w.ended {
			if time.Since(at) > resent {
				delete(w.ended, name)
				continue
			}
			a := ends(name, at.Add(-time.Second))
			a.EndsAt = at
			w.d.put(a)
		}
	}
}

// Random alerts that begin and end, receivers that refuse, hang, or take a page
// and never say so, restarts, kills with loss of power at any instant: in the
// end every receiver knows what fires and that the rest has ended; nothing is
// paged that did not fire about then; and where nothing was killed, nor hung,
// each beginning is paged once.
func TestPagesAgainstModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { modelRun(t, seed) }) })
	}
}

func modelRun(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 3))
	d := newDesk(t, twoPhones, "p", "p1")
	w := &watcher{d: d, since: map[string]time.Time{}, ended: map[string]time.Time{}, spans: map[string][]span{}}
	calm := seed%3 == 0 // no kills, no receivers that leave one in doubt
	if seed%2 == 1 {
		d.turn = 15 * time.Second // as the second of a cluster
	}
	pick := func() *phone { return d.phones[[]string{"p", "p1"}[rng.IntN(2)]] }
	for range 100 {
		name := fmt.Sprint("A", rng.IntN(4))
		switch op := rng.IntN(12); {
		case op < 3:
			w.fire(name)
		case op < 5:
			w.end(name)
		case op == 5: // quick changes
			w.end(name)
			w.fire(name)
			if rng.IntN(2) == 0 {
				w.end(name)
			}
		case op == 6:
			d.restart(time.Duration(rng.IntN(90)) * time.Second)
		case op == 7:
			pick().set(func() {})
			p, broken := pick(), rng.IntN(2) == 0
			p.set(func() { p.down = broken })
		case op == 8 && !calm:
			p, how := pick(), rng.IntN(3)
			p.set(func() { p.hangs, p.silent = how == 1, how == 2 })
		case op == 9 && !calm:
			d.kill(rng, time.Duration(rng.IntN(90))*time.Second)
		default:
			w.wait(time.Duration(rng.IntN(400)) * time.Second)
		}
	}
	for _, p := range d.phones {
		p.set(func() { p.down, p.hangs, p.silent = false, false, false })
	}
	w.wait(30 * time.Minute)
	for id, p := range d.phones {
		for name, state := range p.state() {
			_, on := w.since[name]
			require.Equal(t, on, state == "firing", "%s: %s is %s", id, name, state)
		}
		for name := range w.since {
			require.Equal(t, "firing", p.state()[name], "%s: %s fires and was not paged", id, name)
		}
		w.check(t, id, p, calm)
	}
	d.end()
}

// late is how long after its end an alert may still be paged: the group's
// flush, a cluster's turn, and the rules' silence after a restart.
const late = 10 * time.Minute

func (w *watcher) check(t *testing.T, id string, p *phone, calm bool) {
	t.Helper()
	for _, x := range p.log {
		for _, name := range x.firing {
			about := false
			for _, s := range w.spans[name] {
				about = about || !x.at.Before(s.from) && (s.to.IsZero() || x.at.Before(s.to.Add(late)))
			}
			require.True(t, about, "%s: %s was paged at %s, it fired %v", id, name, x.at, w.spans[name])
		}
	}
	if !calm {
		return
	}
	// One page a beginning at most: between two pages the receiver was told of an
	// end, or the alert was repeated.
	open := map[string]time.Time{}
	for _, x := range p.log {
		for _, name := range x.firing {
			if at, told := open[name]; told {
				require.GreaterOrEqual(t, x.at.Sub(at), 12*time.Hour, "%s: %s was paged twice", id, name)
			}
			open[name] = x.at
		}
		for _, name := range x.resolved {
			delete(open, name)
		}
	}
}
