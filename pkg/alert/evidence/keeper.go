package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"braid/internal/vfs"
	"braid/pkg/alert/journal"
	"braid/pkg/tenant"
)

// Options of a Keeper. Dir, Source and Pager are required.
type Options struct {
	FS          vfs.FS
	Dir         string
	Source      Source
	Pager       Pager
	ExternalURL *url.URL
	// Budget is how long a page waits for its evidence at most; 0 means 3 s.
	Budget time.Duration
	// Workers gather at once; 0 means 4. MaxWaiting alerts queue for them; more
	// are paged without evidence; 0 means 1,000.
	Workers, MaxWaiting int
	// Retention of ended episodes, 0 means 90 days; MaxEpisodes bounds those in
	// memory, 0 means 20,000; MaxBytes those on disk, 0 means 512 MiB.
	Retention   time.Duration
	MaxEpisodes int
	MaxBytes    int64
	Logger      *slog.Logger
	Registerer  prometheus.Registerer
	Now         func() time.Time
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	num := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	def(&o.Budget, 3*time.Second)
	def(&o.Retention, 90*24*time.Hour)
	num(&o.Workers, 4)
	num(&o.MaxWaiting, 1000)
	num(&o.MaxEpisodes, 20_000)
	if o.MaxBytes == 0 {
		o.MaxBytes = 512 << 20
	}
	if o.ExternalURL == nil {
		o.ExternalURL = &url.URL{Scheme: "http", Host: "localhost:4320"}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// segmentBytes is small enough that old episodes are forgotten in small steps.
const segmentBytes = 8 << 20

type key struct {
	tenant      tenant.ID
	fingerprint string
}

// Keeper keeps episodes and their evidence. Safe for concurrent use. Make one
// with Open, end it with Close.
type Keeper struct {
	o       Options
	journal *journal.Journal
	m       metrics

	mu       sync.Mutex // guards all below, episodes included
	open     map[key]*Episode
	episodes []*Episode // in order of FiredAt
	closed   bool

	queue  chan *Episode
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

type metrics struct {
	gathered, skipped, late, failed prometheus.Counter
	seconds                         prometheus.Histogram
}

// Open reads the episodes back and starts the gatherers.
func Open(o Options) (*Keeper, error) {
	o = o.withDefaults()
	k := &Keeper{o: o, open: map[key]*Episode{}, queue: make(chan *Episode, o.MaxWaiting)}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	if err := k.register(); err != nil {
		return nil, err
	}
	byStart := map[string]*Episode{}
	j, damaged, err := journal.Open(journal.Options{FS: o.FS, Dir: o.Dir, SegmentBytes: segmentBytes, Logger: o.Logger}, func(at journal.Position, b []byte) error {
		k.replay(byStart, at, b)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot open the history of alerts: %w", err)
	}
	if damaged > 0 {
		o.Logger.Warn("parts of the history of alerts are damaged and left out", "segments", damaged)
	}
	k.journal = j
	for _, e := range k.episodes {
		e.HasEvidence = e.pack != (journal.Position{})
		if e.ResolvedAt.IsZero() {
			k.open[key{e.Tenant, e.Fingerprint}] = e
		}
	}
	k.trim()
	for range o.Workers {
		k.wg.Add(1)
		go k.work()
	}
	k.wg.Add(1)
	go k.tidy()
	return k, nil
}

func (k *Keeper) register() error {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "braid_alert_evidence_" + name, Help: help})
	}
	k.m = metrics{
		gathered: counter("gathered_total", "Firing alerts for which evidence was gathered."),
		skipped:  counter("skipped_total", "Firing alerts paged without evidence because too many fired at once."),
		late:     counter("late_total", "Firing alerts paged before all their evidence was there."),
		failed:   counter("store_failures_total", "Episodes or packs that could not be written to disk."),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "braid_alert_evidence_seconds", Help: "Time to gather the evidence of an alert.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2, 3, 5}}),
	}
	for _, c := range []prometheus.Collector{k.m.gathered, k.m.skipped, k.m.late, k.m.failed, k.m.seconds} {
		if err := k.o.Registerer.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func startKey(t tenant.ID, fingerprint string, fired time.Time) string {
	return string(t) + "/" + fingerprint + "/" + fired.UTC().Format(time.RFC3339Nano)
}

// replay takes one record of the journal. A record that does not parse was
// written by a newer version: it is left out.
func (k *Keeper) replay(byStart map[string]*Episode, at journal.Position, b []byte) {
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		k.o.Logger.Warn("a record of the history of alerts cannot be read", "err", err)
		return
	}
	switch {
	case r.Episode != nil:
		e := r.Episode
		id := startKey(e.Tenant, e.Fingerprint, e.FiredAt)
		e.place, e.gathered, e.rev, e.placeRev = at, true, r.Rev, r.Rev
		e.seen = k.o.Now()
		e.until = e.seen.Add(unseenAfterStart)
		if old := byStart[id]; old != nil {
			if r.Rev < old.rev {
				return // two wrote at once, and the newer state was first
			}
			e.pack, e.kept = old.pack, old.kept
			*old = *e
			return
		}
		byStart[id] = e
		k.episodes = append(k.episodes, e)
	case r.Pack != nil:
		if e := byStart[startKey(r.Tenant, r.Pack.Fingerprint, r.FiredAt)]; e != nil {
			e.pack, e.HasEvidence, e.kept = at, true, keptIDs(r.Pack)
		}
	}
}

// unseenAfterStart is how long rules have after a start to speak of an alert
// that was open.
const unseenAfterStart = 15 * time.Minute

// Close ends gathering; alerts that wait for evidence are paged without.
func (k *Keeper) Close() error {
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return nil
	}
	k.closed = true
	k.mu.Unlock()
	k.cancel()
	k.wg.Wait()
	for {
		select {
		case e := <-k.queue:
			k.deliver(e)
			continue
		default:
		}
		return k.journal.Close()
	}
}

// Notify takes what rules say: firing alerts and resolved ones. It returns
// soon, and never fails: what cannot be kept is paged all the same.
func (k *Keeper) Notify(ctx context.Context, t tenant.ID, alerts []Alert) {
	var hold, page []Alert
	var begun, ended []*Episode
	now := k.o.Now()
	k.mu.Lock()
	for i := range alerts {
		a := alerts[i]
		a.Tenant = t
		id := key{t, a.Fingerprint()}
		e := k.open[id]
		switch {
		case !a.ResolvedAt.IsZero():
			if e != nil && a.ResolvedAt.Before(e.FiredAt) {
				continue // speaks of an earlier episode
			}
			if e != nil {
				e.ResolvedAt = a.ResolvedAt
				delete(k.open, id)
				ended = append(ended, e)
				if e.waiting != nil { // never paged and over: page both at once
					a.FiredAt = e.FiredAt
				}
				e.waiting = nil
				a.Annotations = merge(a.Annotations, e.Notes)
			}
			page = append(page, a)
		case e == nil:
			e = newEpisode(&a, id.fingerprint)
			e.seen, e.until = now, a.ValidUntil
			k.open[id] = e
			k.episodes = append(k.episodes, e)
			begun = append(begun, e)
			hold = append(hold, a)
		default:
			e.seen, e.until, e.Value = now, a.ValidUntil, a.Value
			if e.waiting != nil {
				e.waiting = &a
				continue // its page is on the way
			}
			a.Annotations = merge(a.Annotations, e.Notes)
			page = append(page, a)
		}
	}
	k.mu.Unlock()
	if len(hold) > 0 {
		if err := k.o.Pager.Hold(ctx, t, hold); err != nil {
			k.o.Logger.Error("cannot keep firing alerts on disk; they are paged all the same", "err", err, "alerts", len(hold))
		}
	}
	k.save(append(begun, ended...)...)
	for _, e := range begun {
		k.enqueue(e)
	}
	if len(page) > 0 {
		k.page(ctx, t, page)
	}
}

func newEpisode(a *Alert, fingerprint string) *Episode {
	pending := a.ActiveAt
	if pending.IsZero() {
		pending = a.FiredAt
	}
	return &Episode{Tenant: a.Tenant, Fingerprint: fingerprint, Name: a.Name(), Labels: a.Labels, Annotations: a.Annotations, Expr: a.Expr,
		Group: a.Group, File: a.File, Value: a.Value, PendingAt: pending.UTC(), FiredAt: a.FiredAt.UTC(), waiting: a}
}

// merge adds notes to annotations; what the rule says stays.
func merge(annotations, notes map[string]string) map[string]string {
	if len(notes) == 0 {
		return annotations
	}
	out := make(map[string]string, len(annotations)+len(notes))
	for k, v := range notes {
		out[k] = v
	}
	for k, v := range annotations {
		out[k] = v
	}
	return out
}

func (k *Keeper) page(ctx context.Context, t tenant.ID, alerts []Alert) {
	if err := k.o.Pager.Page(ctx, t, alerts); err != nil {
		k.o.Logger.Error("cannot hand alerts over for paging", "err", err, "alerts", len(alerts))
	}
}

// enqueue asks for an episode's evidence. When too many wait, the page goes
// out with no more than the link.
func (k *Keeper) enqueue(e *Episode) {
	k.mu.Lock()
	e.Notes = map[string]string{NoteURL: k.pageURL(e)}
	closed := k.closed
	k.mu.Unlock()
	if !closed {
		select {
		case k.queue <- e:
			return
		default:
		}
	}
	k.m.skipped.Inc()
	k.deliver(e)
}

func (k *Keeper) pageURL(e *Episode) string {
	return page(k.o.ExternalURL, "/alerting", "alert", e.Name, "fingerprint", e.Fingerprint)
}

func (k *Keeper) work() {
	defer k.wg.Done()
	for {
		select {
		case <-k.ctx.Done():
			return
		case e := <-k.queue:
			k.handle(e)
		}
	}
}

// handle gathers one episode's evidence and pages it. An alert that has waited
// in the queue for its whole budget is paged first.
func (k *Keeper) handle(e *Episode) {
	k.mu.Lock()
	a := e.waiting
	if a == nil {
		k.mu.Unlock()
		return // resolved while it waited
	}
	alert := *a
	left := k.o.Budget - k.o.Now().Sub(e.seen)
	k.mu.Unlock()
	if left < k.o.Budget/4 {
		k.m.late.Inc()
		k.deliver(e)
		left = k.o.Budget
	}
	ctx, cancel := context.WithTimeout(k.ctx, left)
	defer cancel()
	p := k.gather(ctx, &alert)
	k.m.gathered.Inc()
	k.m.seconds.Observe(time.Duration(p.TookNs).Seconds())
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		k.m.late.Inc()
	}
	k.mu.Lock()
	e.Notes = notes(p, k.pageURL(e))
	k.mu.Unlock()
	k.deliver(e)
	k.savePack(e, p)
}

// deliver pages an episode that waits.
func (k *Keeper) deliver(e *Episode) {
	k.mu.Lock()
	a := e.waiting
	e.waiting, e.gathered = nil, true
	if a == nil {
		k.mu.Unlock()
		return
	}
	out := *a
	out.Annotations = merge(a.Annotations, e.Notes)
	k.mu.Unlock()
	k.page(context.WithoutCancel(k.ctx), e.Tenant, []Alert{out})
}

// Paged notes a notification on the episodes of alerts.
func (k *Keeper) Paged(t tenant.ID, fingerprints []string, p Page) {
	var changed []*Episode
	k.mu.Lock()
	for _, f := range fingerprints {
		e := k.open[key{t, f}]
		if e == nil {
			e = k.latest(t, f)
		}
		if e != nil {
			e.addPage(p)
			changed = append(changed, e)
		}
	}
	k.mu.Unlock()
	if p.Error == "" { // failures are tried again, and noted with the outcome
		k.save(changed...)
	}
}

// latest returns the newest episode of an alert. Called with mu held.
func (k *Keeper) latest(t tenant.ID, fingerprint string) *Episode {
	for i := len(k.episodes) - 1; i >= 0; i-- {
		if e := k.episodes[i]; e.Fingerprint == fingerprint && e.Tenant == t {
			return e
		}
	}
	return nil
}

// save writes episodes as they are now. Others may save them at the same time,
// and the journal takes the records in either order: the number tells which is
// the newer.
func (k *Keeper) save(list ...*Episode) {
	if len(list) == 0 {
		return
	}
	var records [][]byte
	var revs []uint64
	k.mu.Lock()
	for _, e := range list {
		e.rev++
		b, err := json.Marshal(record{Episode: e, Rev: e.rev})
		if err != nil { // NaN or infinity as value
			e.Value = 0
			b, err = json.Marshal(record{Episode: e, Rev: e.rev})
		}
		if err != nil {
			k.mu.Unlock()
			k.o.Logger.Error("cannot encode an episode", "err", err, "alert", e.Name)
			return
		}
		records, revs = append(records, b), append(revs, e.rev)
	}
	k.mu.Unlock()
	places, err := k.journal.Append(records...)
	if err != nil {
		k.m.failed.Add(float64(len(list)))
		k.o.Logger.Error("cannot keep the history of alerts", "err", err, "episodes", len(list))
		return
	}
	k.mu.Lock()
	for i, e := range list {
		if revs[i] > e.placeRev {
			e.place, e.placeRev = places[i], revs[i]
		}
	}
	k.mu.Unlock()
}

func (k *Keeper) savePack(e *Episode, p *Pack) {
	finite(p)
	b, err := json.Marshal(record{Pack: p, Tenant: e.Tenant, FiredAt: e.FiredAt})
	var at []journal.Position
	if err == nil {
		at, err = k.journal.Append(b)
	}
	if err != nil {
		k.m.failed.Inc()
		k.o.Logger.Error("cannot keep the evidence of an alert", "err", err, "alert", e.Name)
		return
	}
	k.mu.Lock()
	e.pack, e.HasEvidence, e.kept = at[0], true, keptIDs(p)
	k.mu.Unlock()
	k.save(e)
}
