package notify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config"
	amnotify "github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
)

// told is one notification as somebody's phone shows it.
type told struct {
	at               time.Time
	firing, resolved []string
}

// phone is a receiver that can fail in every way. Time is that of synctest.
type phone struct {
	mu   sync.Mutex // guards below
	log  []told
	last map[string]string // by alert: "firing" or "resolved"
	// down refuses; hangs never answers; silent takes the page and never says so.
	down, hangs, silent bool
	taking              func() // called with the page taken, before the answer
	resolved            bool   // wants to be told of ends
}

func (p *phone) SendResolved() bool { return p.resolved }

func (p *phone) Notify(ctx context.Context, alerts ...*alert.Alert) (bool, error) {
	p.mu.Lock()
	down, hangs, silent, taking := p.down, p.hangs, p.silent, p.taking
	p.mu.Unlock()
	switch {
	case down:
		return true, errors.New("unexpected status code 500")
	case hangs:
		<-ctx.Done()
		return true, ctx.Err()
	}
	t := told{at: time.Now()}
	p.mu.Lock()
	for _, a := range alerts {
		name := string(a.Labels["alertname"])
		if a.Resolved() {
			t.resolved = append(t.resolved, name)
		} else {
			t.firing = append(t.firing, name)
		}
		p.last[name] = string(a.Status())
	}
	p.log = append(p.log, t)
	p.mu.Unlock()
	if taking != nil {
		taking()
	}
	if silent {
		<-ctx.Done()
		return true, ctx.Err()
	}
	return false, nil
}

func (p *phone) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *phone) state() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.last)
}

// pages counts the notifications that said that an alert fires.
func (p *phone) pages(name string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.log {
		for _, f := range t.firing {
			if f == name {
				n++
			}
		}
	}
	return n
}

// desk is an alerter with phones, on a disk that can crash, in the time of
// synctest.
type desk struct {
	t      *testing.T
	disk   *vfs.Crashable
	config string
	phones map[string]*phone
	a      *Alertmanager
	turn   time.Duration
	life   atomic.Int64 // counts processes: the dead ones reach nobody
}

func newDesk(t *testing.T, text string, names ...string) *desk {
	t.Helper()
	d := &desk{t: t, disk: vfs.NewCrashable(), config: write(t, t.TempDir(), text), phones: map[string]*phone{}}
	for _, n := range names {
		d.phones[n] = &phone{last: map[string]string{}, resolved: true}
	}
	d.begin()
	t.Cleanup(func() { // a failed test must not leave goroutines in the bubble
		if d.a != nil {
			_ = d.a.Close()
		}
	})
	return d
}

// kept is what the alerter remembers of an alert; nil when nothing.
func (d *desk) kept(name string) *keptAlert {
	d.a.alerts.mu.Lock()
	defer d.a.alerts.mu.Unlock()
	x := d.a.alerts.kept[fires(name, time.Time{}).Fingerprint()]
	if x == nil {
		return nil
	}
	out := *x
	return &out
}

func (d *desk) end() {
	require.NoError(d.t, d.a.Close())
	d.a = nil
}

type connection struct {
	d    *desk
	life int64
	*phone
}

func (c connection) Notify(ctx context.Context, alerts ...*alert.Alert) (bool, error) {
	if c.d.life.Load() != c.life {
		return false, errors.New("dial: this process is dead")
	}
	return c.phone.Notify(ctx, alerts...)
}

func (d *desk) begin() {
	life := d.life.Load()
	o := Options{ConfigFile: d.config, Dir: "/am", FS: d.disk, turn: func() time.Duration { return d.turn }, integrations: func(rc config.Receiver, _ *template.Template) ([]amnotify.Integration, error) {
		var out []amnotify.Integration
		for i := range rc.WebhookConfigs {
			name := rc.Name
			if i > 0 {
				name = fmt.Sprint(rc.Name, i)
			}
			c := connection{d, life, d.phones[name]}
			out = append(out, amnotify.NewIntegration(c, c, "webhook", i, rc.Name))
		}
		return out, nil
	}}
	d.a = start(d.t, o)
}

// restart ends the process in good order and begins the next.
func (d *desk) restart(away time.Duration) {
	require.NoError(d.t, d.a.Close())
	d.life.Add(1)
	time.Sleep(away)
	d.begin()
}

// kill ends the process, and with rng the power, at this instant.
func (d *desk) kill(rng *rand.Rand, away time.Duration) {
	disk := d.disk.CrashClone(rng)
	d.life.Add(1)
	_ = d.a.Close()
	d.disk = disk
	time.Sleep(away)
	d.begin()
}

func (d *desk) put(alerts ...*alert.Alert) {
	require.NoError(d.t, d.a.Put(context.Background(), alerts...))
}

// fires is an alert as a rule sends it every minute.
func fires(name string, since time.Time) *alert.Alert {
	now := time.Now()
	return &alert.Alert{Alert: model.Alert{Labels: model.LabelSet{"alertname": model.LabelValue(name)}, StartsAt: since, EndsAt: now.Add(4 * time.Minute)}, UpdatedAt: now}
}

func ends(name string, since time.Time) *alert.Alert {
	a := fires(name, since)
	a.EndsAt = a.UpdatedAt
	return a
}

const onePhone = `route: {receiver: p, group_by: [alertname], group_wait: 10s, group_interval: 5m, repeat_interval: 4h}
receivers: [{name: p, webhook_configs: [{url: 'http://x'}]}]
`
