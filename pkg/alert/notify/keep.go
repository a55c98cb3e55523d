package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/nflog/nflogpb"
	amnotify "github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/common/model"

	"braid/pkg/alert/journal"
)

// keptAlert is one alert as the journal has it.
type keptAlert struct {
	Alert     model.Alert `json:"alert"`
	UpdatedAt time.Time   `json:"updatedAt"`
	Timeout   bool        `json:"timeout,omitempty"`
	// Ended: whoever sent it said that it is over.
	Ended bool `json:"ended,omitempty"`
	// Paged: somebody was told that it fires, and not yet that it has ended.
	Paged bool `json:"paged,omitempty"`

	written time.Time // when it was last journalled
	tried   bool      // a receiver is being told, or was
}

// line is one record of the journal: an alert as it is now, or the end of one.
type line struct {
	Kept *keptAlert        `json:"kept,omitempty"`
	Gone model.Fingerprint `json:"gone,omitempty"`
	// Telling: a receiver is about to be told that alerts of a group have ended;
	// Told: it was, and the notification log says so.
	Telling *receiverGroup `json:"telling,omitempty"`
	Told    *receiverGroup `json:"told,omitempty"`
}

// receiverGroup names one entry of the notification log.
type receiverGroup struct {
	Receiver, Integration, Group string
	Index                        uint32
}

// keeper is Alertmanager's alert store with a memory that outlives the
// process. Alertmanager itself forgets all alerts at its end and waits to be
// told again: an alert that ends meanwhile would never be resolved at the
// receivers, and one that was not yet paged would never be. Only changes are
// written: beginning, end, paged.
type keeper struct {
	*mem.Alerts
	o       *Options
	journal *journal.Journal

	mu   sync.Mutex // guards kept and what it points to
	kept map[model.Fingerprint]*keptAlert
	// under are the groups of which receivers are being told ends.
	under map[receiverGroup]bool
	n     int // records written since the last compaction
}

var _ provider.Alerts = (*keeper)(nil)

func openKeeper(o *Options, alerts *mem.Alerts) (*keeper, error) {
	k := &keeper{Alerts: alerts, o: o, kept: map[model.Fingerprint]*keptAlert{}, under: map[receiverGroup]bool{}}
	j, damaged, err := journal.Open(journal.Options{FS: o.FS, Dir: o.alertsDir(), Logger: o.Logger}, func(_ journal.Position, b []byte) error {
		var l line
		if err := json.Unmarshal(b, &l); err != nil {
			o.Logger.Warn("a record of the firing alerts cannot be read", "err", err)
			return nil
		}
		switch {
		case l.Kept != nil:
			k.kept[l.Kept.Alert.Fingerprint()] = l.Kept
		case l.Telling != nil:
			k.under[*l.Telling] = true
		case l.Told != nil:
			delete(k.under, *l.Told)
		default:
			delete(k.kept, l.Gone)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot open the firing alerts: %w", err)
	}
	if damaged > 0 {
		o.Logger.Warn("parts of the firing alerts on disk are damaged and left out; rules will fire them again", "segments", damaged)
	}
	k.journal = j
	return k, nil
}

const (
	// defaultHold is how long an alert that names no end counts as firing.
	defaultHold = 5 * time.Minute
	// forgetResolved is how long an ended alert waits for the notice of its end
	// to reach a receiver.
	forgetResolved = 2 * time.Hour
)

// hold is how long the alert was to count as firing without being sent again:
// a measure of how often its rule is evaluated.
func (x *keptAlert) hold() time.Duration {
	if d := x.Alert.EndsAt.Sub(x.UpdatedAt); d > 0 && x.Alert.EndsAt.After(x.Alert.StartsAt) {
		return d
	}
	return defaultHold
}

// restore puts back what was there when the last process ended. What fired
// goes on firing for as long as its rule may need to be evaluated again; if the
// rule does not fire it again by then, it ends and the receivers are told. What
// was never paged and has long ended is dropped: nobody is paged for the past.
//
// A group of which a receiver was being told ends when the process was killed
// is marked as not firing in the notification log: if it fires anew it is paged
// anew, at worst once too often.
func (k *keeper) restore(ctx context.Context, now time.Time, log *nflog.Log, save func() error) error {
	for g := range k.under {
		r := &nflogpb.Receiver{GroupName: g.Receiver, Integration: g.Integration, Idx: g.Index}
		if err := log.Log(r, g.Group, nil, nil, nil, k.o.Retention); err != nil {
			return err
		}
	}
	if len(k.under) > 0 {
		if err := save(); err != nil {
			return err
		}
	}
	clear(k.under)
	var put []*alert.Alert
	for f, x := range k.kept {
		a := &alert.Alert{Alert: x.Alert, UpdatedAt: x.UpdatedAt, Timeout: x.Timeout}
		ended := x.Ended
		switch {
		case ended && (!x.Paged || now.Sub(x.Alert.EndsAt) > forgetResolved):
			delete(k.kept, f)
			continue
		case !ended && !x.Paged && now.Sub(x.UpdatedAt) > 2*x.hold():
			delete(k.kept, f)
			continue
		case !ended:
			// Evaluation needs up to three intervals to restore "for" and fire.
			a.EndsAt = now.Add(x.hold() * 3 / 2)
		}
		put = append(put, a)
	}
	if err := k.compact(); err != nil {
		return err
	}
	return k.Alerts.Put(ctx, put...)
}

// Put takes alerts from rules and from the API: durable first, then in memory.
// A disk that fails does not keep a page back.
func (k *keeper) Put(ctx context.Context, alerts ...*alert.Alert) error {
	if err := k.write(alerts); err != nil {
		k.o.Logger.Error("cannot keep firing alerts on disk; they are paged all the same", "err", err, "alerts", len(alerts))
		k.o.failures.Inc()
	}
	return k.Alerts.Put(ctx, alerts...)
}

// write journals the alerts that began or ended.
func (k *keeper) write(alerts []*alert.Alert) error {
	now := time.Now()
	var records [][]byte
	k.mu.Lock()
	for _, a := range alerts {
		f := a.Fingerprint()
		old := k.kept[f]
		resolved := a.ResolvedAt(now)
		x := &keptAlert{Alert: a.Alert, UpdatedAt: a.UpdatedAt, Timeout: a.Timeout, Ended: resolved, Paged: old != nil && old.Paged}
		if x.UpdatedAt.IsZero() {
			x.UpdatedAt = now
		}
		switch {
		case resolved && old == nil:
			continue // nobody knows of it
		case resolved && !x.Paged && !old.tried:
			delete(k.kept, f)
			records = append(records, mustLine(line{Gone: f}))
			continue
		}
		wasFiring := old != nil && !old.Ended
		k.kept[f] = x
		if old != nil {
			x.written, x.tried = old.written, old.tried
		}
		// Began, ended, or not written for long: how fresh the journal is says
		// after a crash whether an alert has long ended.
		if resolved == wasFiring || old == nil || now.Sub(x.written) > x.hold()/2 {
			x.written = now
			records = append(records, mustLine(line{Kept: x}))
		}
	}
	k.mu.Unlock()
	return k.append(records)
}

func (k *keeper) append(records [][]byte) error {
	if len(records) == 0 {
		return nil
	}
	if _, err := k.journal.Append(records...); err != nil {
		return err
	}
	k.mu.Lock()
	k.n += len(records)
	full := k.n > 4*len(k.kept)+1000
	k.mu.Unlock()
	if full {
		return k.compact()
	}
	return nil
}

// compact rewrites the journal with what is still true. A change that comes
// meanwhile may be written before the rewritten state of its alert: so the lock
// is held.
func (k *keeper) compact() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	records := make([][]byte, 0, len(k.kept))
	for _, x := range k.kept {
		records = append(records, mustLine(line{Kept: x}))
	}
	for g := range k.under {
		records = append(records, mustLine(line{Telling: &g}))
	}
	k.n = 0
	return k.journal.Compact(records...)
}

// mustLine encodes a record: labels and times always can be.
func mustLine(l line) []byte {
	b, err := json.Marshal(l)
	if err != nil {
		return []byte("{}")
	}
	return b
}

// paged notes that a receiver was told of alerts.
func (k *keeper) paged(alerts []*alert.Alert) {
	var records [][]byte
	k.mu.Lock()
	for _, a := range alerts {
		f := a.Fingerprint()
		x := k.kept[f]
		switch {
		case x == nil:
		case a.Resolved():
			if x.Ended {
				delete(k.kept, f)
				records = append(records, mustLine(line{Gone: f}))
			}
		case !x.Paged:
			x.Paged = true
			records = append(records, mustLine(line{Kept: x}))
		}
	}
	k.mu.Unlock()
	if err := k.append(records); err != nil {
		k.o.Logger.Error("cannot note on disk that alerts were paged", "err", err)
		k.o.failures.Inc()
	}
}

// telling notes that a receiver is about to be told.
func (k *keeper) telling(ctx context.Context, integration string, index int, alerts []*alert.Alert) {
	receiver, _ := amnotify.ReceiverName(ctx)
	group, _ := amnotify.GroupKey(ctx)
	ends := false
	k.mu.Lock()
	for _, a := range alerts {
		if x := k.kept[a.Fingerprint()]; x != nil {
			x.tried = true
		}
		ends = ends || a.Resolved()
	}
	k.mu.Unlock()
	if !ends {
		return
	}
	g := receiverGroup{Receiver: receiver, Integration: integration, Group: group, Index: uint32(index)}
	k.mu.Lock()
	known := k.under[g]
	k.under[g] = true
	k.mu.Unlock()
	if known {
		return // a retry
	}
	if err := k.append([][]byte{mustLine(line{Telling: &g})}); err != nil {
		k.o.Logger.Error("cannot note on disk that a receiver is being told", "err", err)
		k.o.failures.Inc()
	}
}

// told notes that the notification log knows.
func (k *keeper) told(r *nflogpb.Receiver, group string) {
	g := receiverGroup{Receiver: r.GroupName, Integration: r.Integration, Group: group, Index: r.Idx}
	k.mu.Lock()
	known := k.under[g]
	delete(k.under, g)
	k.mu.Unlock()
	if !known {
		return
	}
	if err := k.append([][]byte{mustLine(line{Told: &g})}); err != nil {
		k.o.Logger.Warn("cannot note on disk that a receiver was told; it may be told again", "err", err)
	}
}

// expire forgets alerts whose end nobody is told of.
func (k *keeper) expire(now time.Time) {
	var records [][]byte
	k.mu.Lock()
	for f, x := range k.kept {
		if end := x.Alert.EndsAt; !end.IsZero() && now.Sub(end) > forgetResolved {
			delete(k.kept, f)
			records = append(records, mustLine(line{Gone: f}))
		}
	}
	k.mu.Unlock()
	if err := k.append(records); err != nil {
		k.o.Logger.Warn("cannot forget ended alerts", "err", err)
	}
}

func (k *keeper) close() error {
	k.Alerts.Close()
	return k.journal.Close()
}
