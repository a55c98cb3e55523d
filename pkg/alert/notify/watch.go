package notify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/nflog/nflogpb"
	amnotify "github.com/prometheus/alertmanager/notify"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/types/known/timestamppb"
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
	group, _ := amnotify.GroupKey(ctx)
	g := receiverGroup{Receiver: w.receiver, Integration: w.Name(), Group: group, Index: uint32(w.Index())}
	w.a.flying.begin(g)
	w.a.alerts.telling(g, alerts)
	retry, err := w.Integration.Notify(ctx, alerts...)
	if err == nil {
		w.a.alerts.paged(g, alerts) // in flight until the log knows
	} else {
		w.a.alerts.failed(g, perhapsTold(ctx, err))
		w.a.flying.end(g)
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

// perhapsTold reports whether a receiver may have taken what it did not say it
// took: the request was under way when it was cut off. A connection that never
// came about and an answer that refuses are certain.
func perhapsTold(ctx context.Context, err error) bool {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) {
		return true
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op != "dial"
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// flights are the notifications at a receiver that the log does not know of
// yet.
type flights struct {
	mu  sync.Mutex
	now map[receiverGroup]bool // guarded by mu
}

func (f *flights) begin(g receiverGroup) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == nil {
		f.now = map[receiverGroup]bool{}
	}
	f.now[g] = true
}

func (f *flights) end(g receiverGroup) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.now, g)
}

func (f *flights) any() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.now) > 0
}

// pageLog is the notification log as the pipeline writes it.
type pageLog struct{ a *Alertmanager }

// Query implements amnotify.NotificationLog.
func (l pageLog) Query(params ...nflog.QueryParam) ([]*nflogpb.Entry, error) {
	return l.a.nflog.Query(params...)
}

// Log notes that a receiver was told, and returns when that is on disk: else a
// process that is killed would page again, or, worse, believe that what fires
// anew has been paged. It is called without a notification before it when a
// receiver is not told of ends.
func (l pageLog) Log(r *nflogpb.Receiver, group string, firing, resolved []uint64, store *nflog.Store, expiry time.Duration) error {
	g := receiverGroup{Receiver: r.GroupName, Integration: r.Integration, Group: group, Index: r.Idx}
	defer l.a.flying.end(g)
	err := logAt(l.a.nflog, r, group, firing, resolved, store, expiry, time.Now())
	if err == nil {
		err = l.a.logged.wait(l.a.saveLog)
	}
	if err != nil {
		l.a.o.failures.Inc()
		l.a.o.Logger.Error("cannot save the notification log", "err", err)
		return nil // the receiver was told: saying otherwise would tell it again
	}
	l.a.alerts.told(g)
	return nil
}

// logAt writes an entry. The log itself takes none that is older than the one it
// has: after the clock was set back it would take none for as long, and all that
// fires would be paged at every flush. So the entry then goes just behind the
// one that is there.
func logAt(log *nflog.Log, r *nflogpb.Receiver, group string, firing, resolved []uint64, store *nflog.Store, expiry time.Duration, now time.Time) error {
	before, err := log.Query(nflog.QGroupKey(group), nflog.QReceiver(r))
	if err != nil && !errors.Is(err, nflog.ErrNotFound) {
		return err
	}
	if len(before) == 0 || before[0].Timestamp.AsTime().Before(now) {
		return log.Log(r, group, firing, resolved, store, expiry)
	}
	at := before[0].Timestamp.AsTime().Add(time.Millisecond)
	var b bytes.Buffer
	if _, err := protodelim.MarshalTo(&b, &nflogpb.MeshEntry{ExpiresAt: timestamppb.New(at.Add(expiry)), Entry: &nflogpb.Entry{
		Receiver: r, GroupKey: []byte(group), Timestamp: timestamppb.New(at), FiringAlerts: firing, ResolvedAlerts: resolved}}); err != nil {
		return err
	}
	return log.Merge(b.Bytes())
}

// joint runs a function so that each caller's run begins after the call, and
// callers of the same moment share one.
type joint struct {
	mu      sync.Mutex // one run at a time
	asked   atomic.Int64
	covered int64 // guarded by mu
}

func (s *joint) wait(run func() error) error {
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
	for deadline := time.Now().Add(graceInFlight); a.flying.any() && time.Now().Before(deadline); {
		time.Sleep(2 * time.Millisecond)
	}
}
