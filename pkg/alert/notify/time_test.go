package notify

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/nflog/nflogpb"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/types/known/timestamppb"

	"braid/internal/vfs"
)

func timed(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// What must hold over hours, in the time of synctest.
func TestOverTime(t *testing.T) {
	timed(t, "an alert that ends between the flush of its group and the page", func(t *testing.T) {
		d := newDesk(t, onePhone, "p")
		d.turn = 15 * time.Second
		since := time.Now()
		d.put(fires("X", since))
		time.Sleep(20 * time.Second) // flushed at 10 s, paged at 25 s
		d.put(ends("X", since))
		time.Sleep(10 * time.Second)
		require.Equal(t, "firing", d.phones["p"].state()["X"])
		x := d.kept("X")
		require.NotNil(t, x, "the receiver knows of it, so it must be told of the end")
		require.True(t, x.Paged && x.Ended)
		d.kill(nil, time.Minute) // before the next flush
		time.Sleep(10 * time.Minute)
		require.Equal(t, "resolved", d.phones["p"].state()["X"])
		require.Equal(t, 1, d.phones["p"].pages("X"))
		d.end()
	})
	timed(t, "and fires again before it", func(t *testing.T) {
		d := newDesk(t, onePhone, "p")
		d.turn = 15 * time.Second
		since := time.Now()
		d.put(fires("X", since))
		time.Sleep(20 * time.Second)
		d.put(ends("X", since))
		time.Sleep(10 * time.Second)
		again := time.Now()
		d.put(fires("X", again))
		x := d.kept("X")
		require.True(t, x.Paged && !x.Ended, "it was paged, and goes on")
		for range 20 {
			time.Sleep(time.Minute)
			d.put(fires("X", again))
		}
		require.Equal(t, 1, d.phones["p"].pages("X"))
		d.end()
	})
	timed(t, "killed after the receiver took the page and before the log", func(t *testing.T) {
		d := newDesk(t, onePhone, "p")
		since := time.Now()
		var disk = d.disk
		d.phones["p"].taking = func() { disk = d.disk.CrashClone(nil) }
		d.put(fires("X", since))
		time.Sleep(20 * time.Second)
		d.life.Add(1)
		require.NoError(t, d.a.Close())
		d.disk, d.phones["p"].taking = disk, nil
		d.begin()
		d.put(ends("X", since)) // over before the group is flushed
		time.Sleep(6 * time.Minute)
		require.Equal(t, "resolved", d.phones["p"].state()["X"], "the receiver is told of the end of what it may have been told")
		d.end()
	})
	timed(t, "a receiver that is down for an hour gets the state once", func(t *testing.T) {
		d := newDesk(t, twoPhones, "p", "p1")
		p := d.phones["p"]
		p.set(func() { p.down = true })
		since := time.Now()
		for m := range 65 {
			d.put(fires("Stays", since))
			if m < 20 {
				d.put(fires("Passes", since))
			} else if m < 35 {
				a := ends("Passes", since)
				a.EndsAt = since.Add(20 * time.Minute)
				d.put(a)
			}
			if m == 60 {
				p.set(func() { p.down = false })
			}
			time.Sleep(time.Minute)
		}
		require.Equal(t, map[string]string{"Stays": "firing"}, p.state(), "what has passed is not paged")
		require.Equal(t, 1, p.pages("Stays"))
		require.Equal(t, map[string]string{"Stays": "firing", "Passes": "resolved"}, d.phones["p1"].state(), "another receiver is not held up")
		require.Equal(t, 1, d.phones["p1"].pages("Stays"))
		d.end()
	})
	timed(t, "an end that one receiver has not taken survives a restart", func(t *testing.T) {
		d := newDesk(t, twoPhones, "p", "p1")
		since := time.Now()
		d.put(fires("X", since))
		time.Sleep(time.Minute)
		p := d.phones["p1"]
		p.set(func() { p.down = true })
		d.put(ends("X", since))
		time.Sleep(3 * time.Hour)
		require.Equal(t, "resolved", d.phones["p"].state()["X"])
		d.restart(time.Minute)
		p.set(func() { p.down = false })
		time.Sleep(5 * time.Minute)
		require.Equal(t, "resolved", p.state()["X"])
		require.Len(t, d.phones["p"].log, 2, "whoever knew is not told again")
		time.Sleep(time.Minute)
		require.Nil(t, d.kept("X"), "everybody knows: forgotten")
		d.end()
	})
	timed(t, "a page that hangs holds up neither others nor the end of the process for long", func(t *testing.T) {
		d := newDesk(t, twoPhones, "p", "p1")
		p := d.phones["p"]
		p.set(func() { p.hangs = true })
		d.put(fires("X", time.Now()))
		time.Sleep(15 * time.Second)
		require.Equal(t, 1, d.phones["p1"].pages("X"))
		began := time.Now()
		d.restart(0)
		require.LessOrEqual(t, time.Since(began), 10*time.Second)
		p.set(func() { p.hangs = false })
		time.Sleep(3 * time.Minute)
		require.Equal(t, 1, p.pages("X"))
		require.Equal(t, 1, d.phones["p1"].pages("X"))
		d.end()
	})
	timed(t, "a clock that is set back does not page at every flush", func(t *testing.T) {
		d := newDesk(t, onePhone, "p")
		since := time.Now()
		// What the log has is then of the future.
		ahead := since.Add(time.Hour)
		var b bytes.Buffer
		_, err := protodelim.MarshalTo(&b, &nflogpb.MeshEntry{ExpiresAt: timestamppb.New(ahead.Add(time.Hour)), Entry: &nflogpb.Entry{
			Receiver: &nflogpb.Receiver{GroupName: "p", Integration: "webhook"}, GroupKey: []byte(`{}:{alertname="X"}`), Timestamp: timestamppb.New(ahead)}})
		require.NoError(t, err)
		require.NoError(t, d.a.nflog.Merge(b.Bytes()))
		for range 20 {
			d.put(fires("X", since))
			time.Sleep(time.Minute)
		}
		require.Equal(t, 1, d.phones["p"].pages("X"))
		d.end()
	})
	timed(t, "five thousand alerts at once are one page, over a restart too", func(t *testing.T) {
		d := newDesk(t, onePhone, "p")
		storm := func(since time.Time) (list []*alert.Alert) {
			for i := range 5000 {
				a := fires("Storm", since)
				a.Labels["instance"] = model.LabelValue(fmt.Sprint(i))
				list = append(list, a)
			}
			return list
		}
		since := time.Now()
		d.put(storm(since)...)
		time.Sleep(time.Minute)
		require.Len(t, d.phones["p"].log, 1)
		require.Len(t, d.phones["p"].log[0].firing, 5000)
		d.kill(nil, 10*time.Second)
		require.Len(t, d.a.Active(), 5000)
		d.put(storm(since)...)
		time.Sleep(10 * time.Minute)
		require.Len(t, d.phones["p"].log[0].firing, 5000)
		firing := 0
		for _, x := range d.phones["p"].log[1:] {
			firing += len(x.firing)
		}
		require.Zero(t, firing, "not paged again")
		d.end()
	})
	timed(t, "what the dispatcher missed is mended", func(t *testing.T) {
		d := newDesk(t, onePhone, "p")
		since := time.Now()
		d.put(fires("X", since))
		time.Sleep(time.Minute)
		// The dispatcher took an older change last: its group holds an end, the
		// store has what fires. As if the newer had never come.
		late := fires("Y", since)
		require.NoError(t, d.a.alerts.Alerts.Put(context.Background(), late))
		synctest.Wait()
		held := map[model.Fingerprint]bool{}
		require.NoError(t, d.a.alerts.tend(context.Background(), time.Now(), nil, time.Hour))
		for _, x := range d.a.Active() {
			held[x.Fingerprint()] = true
		}
		require.Len(t, held, 2)
		time.Sleep(time.Minute)
		require.Equal(t, 1, d.phones["p"].pages("X"), "sent again, not paged again")
		d.end()
	})
}

// A step of the time of day ends nothing that fires: the end that rules name by
// the time of day is kept by the clock that does not jump.
func TestEndsByTheSteadyClock(t *testing.T) {
	a := start(t, Options{Dir: t.TempDir()})
	x := firing("X", "1")
	x.EndsAt = x.EndsAt.Round(0) // no reading of the steady clock
	require.NoError(t, a.Put(context.Background(), x))
	require.Len(t, a.Active(), 1)
	require.Contains(t, a.Active()[0].EndsAt.String(), "m=+")
	require.NotContains(t, x.EndsAt.String(), "m=+", "the caller's is left alone")
	require.NoError(t, a.Close())
}

// The time of day is set while the process is away: synctest's time begins anew
// in each bubble, and the disk is the same.
func TestClockIsSetOverARestart(t *testing.T) {
	for _, c := range []struct {
		name         string
		before, away time.Duration // how long the first process ran, and what the clock says at the second
	}{
		{"back by six hours", 6 * time.Hour, 0},
		{"back by a minute", 2 * time.Minute, time.Minute},
		{"forward by three hours", 10 * time.Minute, 3*time.Hour + 10*time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			var disk *vfs.Crashable
			var told map[string]string
			since := time.Duration(0)
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, onePhone, "p")
				begin := time.Now()
				for time.Since(begin) < c.before {
					d.put(fires("X", begin))
					time.Sleep(time.Minute)
				}
				since = time.Since(begin)
				require.Equal(t, "firing", d.phones["p"].state()["X"])
				told = d.phones["p"].state()
				disk = d.disk.CrashClone(nil)
				d.end()
			})
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(c.away)
				d := newDesk(t, onePhone, "p")
				d.end()
				d.disk, d.phones["p"].last = disk, told
				d.begin()
				require.Len(t, d.a.Active(), 1, "it goes on: nothing says that it is over")
				begin := time.Now()
				for range 20 { // what the rules say after "for" was restored
					d.put(fires("X", begin.Add(-since)))
					time.Sleep(time.Minute)
				}
				require.Equal(t, "firing", d.phones["p"].state()["X"])
				require.Empty(t, d.phones["p"].log, "it was paged already")
				d.put(ends("X", begin.Add(-since)))
				time.Sleep(6 * time.Minute)
				require.Equal(t, "resolved", d.phones["p"].state()["X"], "and its end is told")
				require.Len(t, d.phones["p"].log, 1)
				d.end()
			})
		})
	}
}
