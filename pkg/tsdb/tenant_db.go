package tsdb

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/compression"

	"braid/pkg/tenant"
)

// numShards is how many targets can be appended at once. A shard's lock makes
// "look up, append, commit" of a target's series one step: the write-ahead log
// record of a commit is written outside the series' own locks, and two commits
// whose records are swapped lose samples when the log is replayed.
const numShards = 64

// tenantDB is one tenant's database and what Braid keeps beside it.
type tenantDB struct {
	id   tenant.ID
	dir  string
	opts *Options
	tr   *translator
	m    *storeMetrics

	// db is replaced by reopen alone, which holds mu and readers.
	db     *promtsdb.DB
	reg    swapCollector
	meta   *metaStore
	limits *limiter

	exemplars *exemplarStore
	pos       *positions

	// readers is held shared by every open querier: the database must not be
	// closed under one.
	readers sync.RWMutex
	broken  atomic.Bool // a commit failed: see reopen

	// mu is held shared by every transaction, beside its shards' locks, and
	// alone by one that touches series of targets it does not know beforehand.
	mu     sync.RWMutex
	shards [numShards]shard

	syncMu   sync.Mutex // one sync at a time; guards wal and wbl
	wal, wbl *logSyncer
	failed   atomic.Pointer[error] // why nothing more becomes durable
}

// shard is guarded by tenantDB.mu held shared and its own lock, or by
// tenantDB.mu held alone.
type shard struct {
	mu    sync.Mutex
	cache *refCache
	delta *deltaStore
}

// openTenant opens or makes a tenant's folder.
func openTenant(o *Options, tr *translator, m *storeMetrics, id tenant.ID) (*tenantDB, error) {
	t := &tenantDB{id: id, dir: filepath.Join(o.Dir, string(id)), opts: o, tr: tr, m: m, pos: newPositions()}
	if err := os.MkdirAll(t.dbDir(), 0o750); err != nil {
		return nil, fmt.Errorf("cannot make the folder of tenant %q: %w", id, err)
	}
	for i := range t.shards {
		t.shards[i].cache = newRefCache(o.MaxCachedSeries / numShards)
		t.shards[i].delta = newDeltaStore(o.MaxDeltaStreams / numShards)
	}
	t.limits = &limiter{tenant: id, limits: o.Limits, now: o.Now}
	var err error
	if t.meta, err = openMeta(filepath.Join(t.dir, "metadata.jsonl")); err != nil {
		return nil, err
	}
	if t.exemplars, err = openExemplars(filepath.Join(t.dir, "exemplars"), o.ExemplarWindow, o.KeySpec, o.Now()); err != nil {
		return nil, errors.Join(err, t.meta.close())
	}
	if err := t.openDB(); err != nil {
		return nil, errors.Join(err, t.meta.close(), t.exemplars.close())
	}
	outer := prometheus.WrapRegistererWith(prometheus.Labels{"tenant": string(id)}, o.Registerer)
	if err := outer.Register(&t.reg); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot register the metrics of tenant %q: %w", id, err), t.close())
	}
	return t, nil
}

func (t *tenantDB) dbDir() string { return filepath.Join(t.dir, "tsdb") }

// swapCollector shows the metrics of the database that is open: one that is
// opened again registers them in a registry of its own again.
type swapCollector struct {
	atomic.Pointer[prometheus.Registry]
}

// Describe says nothing, which lets the metrics change.
func (*swapCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *swapCollector) Collect(ch chan<- prometheus.Metric) {
	if reg := c.Load(); reg != nil {
		reg.Collect(ch)
	}
}

// openDB opens the Prometheus database.
func (t *tenantDB) openDB() error {
	if err := t.repairLogs(); err != nil {
		return err
	}
	reg := prometheus.NewRegistry()
	t.limits.head.Store(nil)
	t.setDamagedBlocksAside()
	db, err := promtsdb.Open(t.dbDir(), t.opts.Logger.With("tenant", string(t.id)), reg, t.promOptions(), nil)
	if err != nil {
		return fmt.Errorf("cannot open the metrics of tenant %q: %w", t.id, err)
	}
	t.db = db
	t.reg.Store(reg)
	t.limits.head.Store(db.Head())
	t.wal, t.wbl = newLogSyncer(filepath.Join(t.dbDir(), "wal")), newLogSyncer(filepath.Join(t.dbDir(), "wbl"))
	return nil
}

// setDamagedBlocksAside moves blocks that cannot be opened out of the database:
// one of them would keep all the rest from being opened.
func (t *tenantDB) setDamagedBlocksAside() {
	blocks, err := filepath.Glob(filepath.Join(t.dbDir(), "*", "meta.json"))
	if err != nil {
		return // the pattern is a constant; a folder's name cannot spoil it
	}
	aside := filepath.Join(t.dir, "damaged")
	for _, meta := range blocks {
		dir := filepath.Dir(meta)
		b, err := promtsdb.OpenBlock(t.opts.Logger, dir, nil, nil)
		if err == nil {
			err = b.Close()
		}
		if err == nil {
			continue
		}
		to := filepath.Join(aside, filepath.Base(dir))
		t.opts.Logger.Error("block is damaged and set aside; the rest is served", "tenant", string(t.id), "block", dir, "moved_to", to, "err", err)
		t.m.damaged.Inc()
		if err := errors.Join(os.MkdirAll(aside, 0o750), os.Rename(dir, to)); err != nil {
			t.opts.Logger.Error("cannot set a damaged block aside", "tenant", string(t.id), "err", err)
		}
	}
}

// reopen closes the database and opens it again. A commit that failed may have
// left series in memory whose names never reached the write-ahead log: samples
// written for them would be lost at a replay. Until reopen succeeds nothing is
// taken.
func (t *tenantDB) reopen() error {
	t.syncMu.Lock()
	defer t.syncMu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readers.Lock()
	defer t.readers.Unlock()
	t.wal.close()
	t.wbl.close()
	if err := t.db.Close(); err != nil {
		t.opts.Logger.Warn("cannot close metrics before opening them again", "tenant", string(t.id), "err", err)
	}
	if err := t.openDB(); err != nil {
		return err
	}
	for i := range t.shards {
		t.shards[i].cache = newRefCache(t.opts.MaxCachedSeries / numShards)
	}
	t.exemplars.forgetRefs()
	t.broken.Store(false)
	return nil
}

func (t *tenantDB) promOptions() *promtsdb.Options {
	lim := t.opts.Limits(t.id)
	retention, bytes := t.opts.Retention, t.opts.RetentionBytes
	if lim.Retention > 0 {
		retention = lim.Retention
	}
	if lim.RetentionBytes > 0 {
		bytes = lim.RetentionBytes
	}
	o := promtsdb.DefaultOptions()
	o.RetentionDuration = retention.Milliseconds()
	o.MaxBytes = bytes
	// A merged block holds at most a tenth of the retention, as in Prometheus,
	// so that expiry frees space in small steps.
	o.MaxBlockDuration = max(min(retention/10, 31*24*time.Hour).Milliseconds(), o.MinBlockDuration)
	o.OutOfOrderTimeWindow = t.opts.OutOfOrderWindow.Milliseconds()
	o.WALCompression = compression.Snappy
	o.EnableSTAsZeroSample = !t.opts.NoZeroSample && !t.opts.StoreStartTimes
	if t.opts.StoreStartTimes {
		o.EnableSTStorage, o.EnableHistogramSTEncoding, o.FloatChunkEncoding = true, true, chunkenc.EncXOR2
	}
	o.StripeSize = 1 << 12
	// Readers see a commit's samples as they come; what Append acknowledged is
	// wholly visible. Isolation would cost every append a list of open ids.
	o.IsolationDisabled = true
	o.SeriesLifecycleCallback = t.limits
	return o
}

// sync makes durable what was appended before the call.
func (t *tenantDB) sync() error {
	t.syncMu.Lock()
	defer t.syncMu.Unlock()
	if err := t.failed.Load(); err != nil {
		return *err
	}
	if !t.pos.cut() {
		return nil
	}
	fatal, err := t.syncFiles()
	t.pos.settle(err == nil)
	if fatal {
		// After a failed sync the kernel may have dropped the pages: a later
		// success would prove nothing. The positions stay needed until a
		// restart replays them.
		t.failed.Store(&err)
	}
	return err
}

// syncFiles syncs all files of the tenant. An error is fatal unless trying
// again may help, as it does when the disk was full.
func (t *tenantDB) syncFiles() (fatal bool, err error) {
	if err := t.wal.sync(); err != nil {
		return true, err
	}
	if err := t.wbl.sync(); err != nil {
		return true, err
	}
	if err := t.exemplars.sync(); err != nil {
		return t.exemplars.broken(), err
	}
	return false, t.meta.sync()
}

// maintain forgets idle delta streams and tidies the exemplars.
func (t *tenantDB) maintain() error {
	before := t.opts.Now().Add(-t.opts.DeltaIdle).UnixNano()
	t.mu.RLock()
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		s.delta.sweep(before)
		s.mu.Unlock()
	}
	t.mu.RUnlock()
	now := t.opts.Now()
	return t.exemplars.maintain(now, now.Add(-t.retention()).UnixNano())
}

// cacheStats sums the counters of the shards' caches.
func (t *tenantDB) cacheStats() (hits, misses uint64, series int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		hits += s.cache.hits
		misses += s.cache.misses
		series += s.cache.series()
		s.mu.Unlock()
	}
	return hits, misses, series
}

// close makes everything durable and closes the files.
func (t *tenantDB) close() error {
	err := t.sync()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readers.Lock()
	defer t.readers.Unlock()
	t.wal.close()
	t.wbl.close()
	return errors.Join(err, t.db.Close(), t.meta.close(), t.exemplars.close())
}

// limiter refuses new series beyond a tenant's limits. It is called by the head
// for every series that it is about to make.
type limiter struct {
	tenant tenant.ID
	limits func(tenant.ID) Limits
	now    func() time.Time
	head   atomic.Pointer[promtsdb.Head] // nil while the log is replayed

	mu     sync.Mutex
	minute int64 // guarded by mu
	made   int
}

// limitError names the limit and the series that hit it.
type limitError struct {
	limit  string
	max    int
	series string
}

func (e *limitError) Error() string {
	return fmt.Sprintf("limit %s of %d reached by series %s: raise the limit or send fewer series", e.limit, e.max, e.series)
}

// PreCreation implements tsdb.SeriesLifecycleCallback.
func (l *limiter) PreCreation(ls labels.Labels) error {
	head := l.head.Load()
	if head == nil {
		return nil
	}
	lim := l.limits(l.tenant)
	if lim.ActiveSeries > 0 && head.NumSeries() >= uint64(lim.ActiveSeries) {
		return &limitError{"active_series", lim.ActiveSeries, ls.String()}
	}
	if err := checkLabels(lim, ls); err != nil {
		return err
	}
	if lim.NewSeriesPerMinute > 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		if m := l.now().Unix() / 60; m != l.minute {
			l.minute, l.made = m, 0
		}
		if l.made >= lim.NewSeriesPerMinute {
			return &limitError{"new_series_per_minute", lim.NewSeriesPerMinute, ls.String()}
		}
		l.made++
	}
	return nil
}

func checkLabels(lim Limits, ls labels.Labels) error {
	if lim.LabelsPerSeries > 0 && ls.Len() > lim.LabelsPerSeries {
		return &limitError{"labels_per_series", lim.LabelsPerSeries, clip(ls.String())}
	}
	if lim.LabelNameLength <= 0 && lim.LabelValueLength <= 0 {
		return nil
	}
	maxName, maxValue := orMax(lim.LabelNameLength), orMax(lim.LabelValueLength)
	var err error
	ls.Range(func(l labels.Label) {
		switch {
		case err != nil:
		case len(l.Name) > maxName:
			err = &limitError{"label_name_length", maxName, clip(ls.Get(labels.MetricName) + "{" + l.Name)}
		case len(l.Value) > maxValue:
			err = &limitError{"label_value_length", maxValue, clip(ls.Get(labels.MetricName) + "{" + l.Name + "=" + l.Value)}
		}
	})
	return err
}

func orMax(n int) int {
	if n <= 0 {
		return math.MaxInt
	}
	return n
}

// clip keeps a message readable when the series is what is too long.
func clip(s string) string {
	const most = 300
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// PostCreation implements tsdb.SeriesLifecycleCallback.
func (l *limiter) PostCreation(labels.Labels) {}

// PostDeletion implements tsdb.SeriesLifecycleCallback.
func (l *limiter) PostDeletion(map[chunks.HeadSeriesRef]labels.Labels) {}

// retention is how long the tenant's samples are kept.
func (t *tenantDB) retention() time.Duration {
	if r := t.opts.Limits(t.id).Retention; r > 0 {
		return r
	}
	return t.opts.Retention
}
