package notify

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/nflog/nflogpb"
	amnotify "github.com/prometheus/alertmanager/notify"
)

// Outcome is what became of one attempt to notify a receiver.
type Outcome struct {
	At                    time.Time
	Receiver, Integration string
	Firing, Resolved      []string // fingerprints
	Err                   error    // nil when the receiver has taken it
}

// watched tells the Alertmanager what became of a notification.
type watched struct {
	amnotify.Integration
	receiver string
	a        *Alertmanager
}

func (a *Alertmanager) watch(receiver string, list []amnotify.Integration) []amnotify.Integration {
	out := make([]amnotify.Integration, 0, len(list))
	for i := range list {
		w := &watched{Integration: list[i], receiver: receiver, a: a}
		out = append(out, amnotify.NewIntegration(w, w, list[i].Name(), list[i].Index(), receiver))
	}
	return out
}

// Notify implements amnotify.Notifier.
func (w *watched) Notify(ctx context.Context, alerts ...*alert.Alert) (bool, error) {
	w.a.inFlight.Add(1)
	w.a.alerts.telling(ctx, w.Name(), w.Index(), alerts)
	retry, err := w.Integration.Notify(ctx, alerts...)
	if err == nil {
		w.a.alerts.paged(alerts)
	} else {
		w.a.inFlight.Add(-1)
	}
	if w.a.o.Observe != nil {
		o := Outcome{At: time.Now(), Receiver: w.receiver, Integration: w.String(), Err: err}
		for _, x := range alerts {
			if x.Resolved() {
				o.Resolved = append(o.Resolved, x.Fingerprint().String())
			} else {
				o.Firing = append(o.Firing, x.Fingerprint().String())
			}
		}
		w.a.o.Observe(o)
	}
	return retry, err
}

// pageLog is the notification log as the pipeline writes it.
type pageLog struct{ a *Alertmanager }

// Query implements amnotify.NotificationLog.
func (l pageLog) Query(params ...nflog.QueryParam) ([]*nflogpb.Entry, error) {
	return l.a.nflog.Query(params...)
}

// Log notes that a receiver was told, and returns when that is on disk: else a
// process that is killed would page again, or, worse, believe that what fires
// anew has been paged.
func (l pageLog) Log(r *nflogpb.Receiver, group string, firing, resolved []uint64, store *nflog.Store, expiry time.Duration) error {
	defer l.a.inFlight.Add(-1)
	err := l.a.nflog.Log(r, group, firing, resolved, store, expiry)
	if err == nil {
		err = l.a.logged.wait(l.a.saveLog)
	}
	if err != nil {
		l.a.o.failures.Inc()
		l.a.o.Logger.Error("cannot save the notification log", "err", err)
		return nil // the receiver was told: saying otherwise would tell it again
	}
	l.a.alerts.told(r, group)
	return nil
}

// shared runs a function so that each caller's run begins after the call, and
// callers of the same moment share one.
type shared struct {
	mu      sync.Mutex // one run at a time
	asked   atomic.Int64
	covered int64 // guarded by mu
}

func (s *shared) wait(run func() error) error {
	me := s.asked.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.covered >= me {
		return nil
	}
	upTo := s.asked.Load()
	if err := run(); err != nil {
		return err
	}
	s.covered = upTo
	return nil
}

// graceInFlight is how long the end of a dispatcher waits for notifications
// under way: cut off between the receiver and the log, they would go out again.
const graceInFlight = 3 * time.Second

// quiesce waits until no notification is under way, or the grace is over.
func (a *Alertmanager) quiesce() {
	for deadline := time.Now().Add(graceInFlight); a.inFlight.Load() > 0 && time.Now().Before(deadline); {
		time.Sleep(2 * time.Millisecond)
	}
}
