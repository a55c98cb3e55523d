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
	// Tried: a receiver was about to be told, and may have been; Paged: one was.
	Tried bool `json:"tried,omitempty"`
	Paged bool `json:"paged,omitempty"`

	written time.Time // when it was last journalled
	over    time.Time // since when we know that it has ended
}

// line is one record of the journal: an alert as it is now, or the end of one.
type line struct {
	Kept *keptAlert        `json:"kept,omitempty"`
	Gone model.Fingerprint `json:"gone,omitempty"`
	// Telling: a receiver is about to be told of a group. Told: it was, and the
	// notification log says so, or it refused.
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
// written: beginning, end, telling, told.
type keeper struct {
	*mem.Alerts
	o       *Options
	journal *journal.Journal

	// putting orders what enters the store in memory. Taken before mu.
	putting sync.Mutex

	mu   sync.Mutex // guards all below, and the order of the journal
	kept map[model.Fingerprint]*keptAlert
	// under are the groups of which receivers are being told, or were told
	// without an answer that is certain: true means that they may know.
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

// defaultHold is how long an alert that names no end counts as firing.
const defaultHold = 5 * time.Minute

// hold is how long the alert was to count as firing without being sent again:
// a measure of how often its rule is evaluated.
func (x *keptAlert) hold() time.Duration {
	if d := x.Alert.EndsAt.Sub(x.UpdatedAt); d > 0 && x.Alert.EndsAt.After(x.Alert.StartsAt) {
		return d
	}
	return defaultHold
}

// nobodysHash stands in the notification log for "something of this group may
// have been told". No alert has it, so that whatever fires in the group is news,
// and if nothing does, that is news too.
const nobodysHash = 0

// restore puts back what was there when the last process ended. What fired
// goes on firing for as long as its rule may need to be evaluated again; if the
// rule does not fire it again by then, it ends and the receivers are told. What
// was never paged and has long ended is not paged: nobody is paged for the past.
//
// A group of which a receiver was being told when the process was killed is
// told again: at worst once too often.
func (k *keeper) restore(ctx context.Context, now time.Time, log *nflog.Log, save func() error) error {
	for g := range k.under {
		r := &nflogpb.Receiver{GroupName: g.Receiver, Integration: g.Integration, Idx: g.Index}
		if err := logAt(log, r, g.Group, []uint64{nobodysHash}, nil, nil, k.o.Retention, now); err != nil {
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
		told := x.Tried || x.Paged
		if !x.Ended && !x.Paged && now.Sub(x.UpdatedAt) > 2*x.hold() {
			x.Ended = true
			x.Alert.EndsAt = x.UpdatedAt.Add(x.hold())
			a.EndsAt = x.Alert.EndsAt
		}
		switch {
		case x.Ended && (!told || now.Sub(x.Alert.EndsAt) > k.o.Retention):
			delete(k.kept, f)
			continue
		case x.Ended:
			x.over = now
		default:
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
	now := time.Now()
	steady := make([]*alert.Alert, len(alerts))
	for i, a := range alerts {
		steady[i] = a
		if left := a.EndsAt.Sub(now); left > 0 {
			// By the clock that never jumps: a step of the time of day must not end
			// what fires.
			x := *a
			x.EndsAt = now.Add(left)
			steady[i] = &x
		}
	}
	k.putting.Lock()
	defer k.putting.Unlock()
	return k.Alerts.Put(ctx, steady...)
}

// write journals the alerts that began or ended.
func (k *keeper) write(alerts []*alert.Alert) error {
	now := time.Now()
	var records []line
	k.mu.Lock()
	for _, a := range alerts {
		f := a.Fingerprint()
		old := k.kept[f]
		resolved := a.ResolvedAt(now)
		x := &keptAlert{Alert: a.Alert, UpdatedAt: a.UpdatedAt, Timeout: a.Timeout, Ended: resolved}
		if x.UpdatedAt.IsZero() {
			x.UpdatedAt = now
		}
		switch {
		case resolved && old == nil:
			continue // nobody knows of it
		case resolved && !old.Tried:
			// If a receiver is told this very moment, telling keeps it again.
			delete(k.kept, f)
			records = append(records, line{Gone: f})
			continue
		}
		wasFiring := old != nil && !old.Ended
		k.kept[f] = x
		if old != nil {
			x.Tried, x.Paged, x.written, x.over = old.Tried, old.Paged, old.written, old.over
		}
		switch {
		case !resolved:
			x.over = time.Time{}
		case x.over.IsZero():
			x.over = now
		}
		// Began, ended, or not written for long: how fresh the journal is says
		// after a crash whether an alert has long ended.
		if resolved == wasFiring || old == nil || now.Sub(x.written) > x.hold()/2 {
			x.written = now
			records = append(records, line{Kept: x})
		}
	}
	wait, err := k.begin(records)
	k.mu.Unlock()
	if err != nil {
		return err
	}
	return k.await(wait)
}

// begin writes records in the order of the changes they tell of. Called with mu
// held; nil when there are none.
func (k *keeper) begin(records []line) (wait func() ([]journal.Position, error), err error) {
	if len(records) == 0 {
		return nil, nil
	}
	text := make([][]byte, len(records))
	for i := range records {
		text[i] = mustLine(records[i])
	}
	k.n += len(records)
	return k.journal.Begin(text...)
}

// await waits until what was begun is on disk, and compacts the journal when it
// has grown.
func (k *keeper) await(wait func() ([]journal.Position, error)) error {
	if wait == nil {
		return nil
	}
	if _, err := wait(); err != nil {
		return err
	}
	k.mu.Lock()
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

// telling notes on disk that a receiver is about to be told. An alert that was
// ended and forgotten between the flush of its group and now is kept again, as
// ended: the receiver will have to be told of its end.
func (k *keeper) telling(g receiverGroup, alerts []*alert.Alert) {
	now := time.Now()
	var records []line
	k.mu.Lock()
	for _, a := range alerts {
		x := k.kept[a.Fingerprint()]
		switch {
		case x != nil && x.Tried:
			continue
		case x != nil:
			x.Tried = true
		case a.Resolved():
			continue
		default:
			x = &keptAlert{Alert: a.Alert, UpdatedAt: a.UpdatedAt, Timeout: a.Timeout, Ended: true, Tried: true, over: now}
			x.Alert.EndsAt = now
			k.kept[a.Fingerprint()] = x
		}
		records = append(records, line{Kept: x})
	}
	if _, known := k.under[g]; !known {
		k.under[g] = false
		records = append(records, line{Telling: &g})
	}
	wait, err := k.begin(records)
	k.mu.Unlock()
	if err == nil {
		err = k.await(wait)
	}
	if err != nil {
		k.o.Logger.Error("cannot note on disk that a receiver is being told", "err", err)
		k.o.failures.Inc()
	}
}

// paged notes that a receiver has taken alerts.
func (k *keeper) paged(g receiverGroup, alerts []*alert.Alert) {
	var records []line
	k.mu.Lock()
	k.under[g] = true
	for _, a := range alerts {
		if x := k.kept[a.Fingerprint()]; x != nil && !x.Paged && !a.Resolved() {
			x.Paged = true
			records = append(records, line{Kept: x})
		}
	}
	// What telling wrote is enough to tell again after a power loss: no wait.
	_, err := k.begin(records)
	k.mu.Unlock()
	if err != nil {
		k.o.Logger.Error("cannot note on disk that alerts were paged", "err", err)
		k.o.failures.Inc()
	}
}

// failed notes that a receiver was not told; perhaps it was, for all we know.
func (k *keeper) failed(g receiverGroup, perhaps bool) {
	k.mu.Lock()
	known := k.under[g]
	k.under[g] = known || perhaps
	k.mu.Unlock()
	if !known && !perhaps {
		k.told(g)
	}
}

// told notes that the notification log knows, or that there is nothing to know.
func (k *keeper) told(g receiverGroup) {
	k.mu.Lock()
	var records []line
	if _, known := k.under[g]; known {
		records = append(records, line{Told: &g})
	}
	delete(k.under, g)
	wait, err := k.begin(records)
	k.mu.Unlock()
	if err == nil {
		err = k.await(wait)
	}
	if err != nil {
		k.o.Logger.Warn("cannot note on disk that a receiver was told; it may be told again", "err", err)
	}
}

// tend compares the store with what the dispatcher's groups hold, by
// fingerprint. The dispatcher takes alerts in by several workers: of two changes
// of one alert that come in quick succession the older may win. What it has
// missed is sent again. What is over and in no group any more everybody has been
// told of: it is forgotten, once it has been over for a while.
func (k *keeper) tend(ctx context.Context, now time.Time, held map[model.Fingerprint]*alert.Alert, while time.Duration) error {
	k.putting.Lock()
	var again []*alert.Alert
	it := k.GetPending()
	for x := range it.Next() {
		a := x.Data
		h := held[a.Fingerprint()]
		if h == nil && !a.ResolvedAt(now) || h != nil && h.UpdatedAt.Before(a.UpdatedAt) {
			again = append(again, a)
		}
	}
	it.Close()
	err := k.Alerts.Put(ctx, again...)
	k.putting.Unlock()

	var records []line
	k.mu.Lock()
	for f, x := range k.kept {
		if x.over.IsZero() && !x.Alert.EndsAt.IsZero() && x.UpdatedAt.Add(x.hold()).Before(now) {
			x.over = now // nobody has sent it again
		}
		if !x.over.IsZero() && now.Sub(x.over) > while && held[f] == nil {
			delete(k.kept, f)
			records = append(records, line{Gone: f})
		}
	}
	_, journalErr := k.begin(records)
	k.mu.Unlock()
	if err == nil {
		err = journalErr
	}
	return err
}

func (k *keeper) close() error {
	k.Alerts.Close()
	return k.journal.Close()
}
