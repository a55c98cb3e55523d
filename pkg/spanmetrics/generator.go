package spanmetrics

import (
	"context"
	"fmt"
	"sync"
	"time"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Generator counts spans into series: see the package's comment. Safe for
// concurrent use.
type Generator struct {
	opts    Options
	store   Store
	metrics *metrics

	// mu guards what Observe changes: the tenants' waiting spans and classes, and
	// the positions.
	mu      sync.Mutex
	tenants map[tenant.ID]*waiting
	// counted are the positions whose spans are counted or wait; those since the
	// last Save began are not yet on disk, nor are those of a Save under way.
	counted model.PositionSet
	unsaved model.Position // the least one, 0: none
	saving  model.Position
	dirty   bool // something is not on disk

	// ticking is held by whoever settles, saves and writes; it guards what follows.
	ticking     sync.Mutex
	tallies     map[tenant.ID]*tally
	settlers    map[tenant.ID]*settler
	lastWritten time.Time

	stop context.CancelFunc
	done sync.WaitGroup
}

// New reads the state that an earlier run left. Nothing is counted before
// Observe, nothing written before Start.
func New(o Options) (*Generator, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("cannot make span metrics: %w", err)
	}
	g := &Generator{opts: o, metrics: newMetrics(o.Registerer), tenants: map[tenant.ID]*waiting{}, tallies: map[tenant.ID]*tally{}, settlers: map[tenant.ID]*settler{}}
	if err := g.load(); err != nil {
		return nil, fmt.Errorf("cannot make span metrics: %w", err)
	}
	return g, nil
}

// Attach names the store whose spans are counted. Call it once, before Start.
func (g *Generator) Attach(store Store) {
	g.ticking.Lock()
	defer g.ticking.Unlock()
	g.store = store
}

// Start begins to settle traces and to write series, until Close. Call it when
// the ingest log has been replayed.
func (g *Generator) Start() {
	if g.opts.Manual {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	g.done.Add(1)
	go g.loop(ctx)
}

// loop settles every second, and saves and writes every Interval.
func (g *Generator) loop(ctx context.Context) {
	defer g.done.Done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := g.Tick(ctx); err != nil && ctx.Err() == nil {
			g.metrics.failures.Inc()
			g.opts.Logger.Error("cannot write span metrics; it is tried again", "err", err)
		}
	}
}

// Tick settles the traces that are due and, when Interval has passed, saves the
// counts and writes the series.
func (g *Generator) Tick(ctx context.Context) error {
	g.ticking.Lock()
	defer g.ticking.Unlock()
	now := g.opts.Now()
	g.settleDue(ctx, now)
	if !g.lastWritten.IsZero() && now.Sub(g.lastWritten) < g.opts.Interval {
		return nil
	}
	g.lastWritten = now
	return g.saveAndWrite(ctx, now)
}

// saveAndWrite puts the counts on disk first: a series that has been begun must
// not begin again.
func (g *Generator) saveAndWrite(ctx context.Context, now time.Time) error {
	samples := map[tenant.ID][]Sample{}
	for t, ta := range g.tallies {
		samples[t] = ta.samples(&g.opts, now)
	}
	if err := g.save(); err != nil {
		return err
	}
	for t, list := range samples {
		for len(list) > 0 {
			n := min(len(list), writeBatch)
			if err := g.opts.Write(ctx, t, list[:n:n]); err != nil {
				return fmt.Errorf("cannot append series of tenant %q: %w", t, err)
			}
			g.metrics.samples.Add(float64(n))
			list = list[n:]
		}
	}
	return nil
}

// writeBatch is how many samples are handed over at once.
const writeBatch = 5000

// Close stops, writes the series a last time and saves what still waits.
func (g *Generator) Close(ctx context.Context) error {
	if g.stop != nil {
		g.stop()
		g.done.Wait()
	}
	g.ticking.Lock()
	defer g.ticking.Unlock()
	g.metrics.unregister()
	if g.store == nil {
		return nil
	}
	if err := g.saveAndWrite(ctx, g.opts.Now()); err != nil {
		return fmt.Errorf("cannot close span metrics: %w", err)
	}
	return nil
}

// OldestNeeded returns the least position whose spans are in no saved state.
func (g *Generator) OldestNeeded() (model.Position, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.saving != 0 && (g.unsaved == 0 || g.saving < g.unsaved):
		return g.saving, true
	case g.unsaved != 0:
		return g.unsaved, true
	}
	return 0, false
}

// Counted reports whether the spans of a position are counted or wait.
func (g *Generator) Counted(pos model.Position) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return pos != 0 && g.counted.Contains(pos)
}

// waiting returns a tenant's spans that wait; it needs mu.
func (g *Generator) waiting(t tenant.ID) *waiting {
	w := g.tenants[t]
	if w == nil {
		w = newWaiting(g.opts.MaxOperations, g.opts.Dimensions)
		g.tenants[t] = w
	}
	return w
}

// Observe takes the spans of one request: the function that it returns is called
// with each, and with nil at the end; nil means that they are counted already.
// Spans of which like is equal, and not 0, have the same resource, name, kind and
// status; their class is looked up once as long as the upper half of like stays.
// The generator is locked in between.
func (g *Generator) Observe(t tenant.ID, pos model.Position) func(r *model.Resource, s *model.Span, like uint64) {
	g.mu.Lock()
	if pos != 0 && g.counted.Contains(pos) {
		g.mu.Unlock()
		return nil
	}
	if pos != 0 {
		g.counted.Add(pos)
		if g.unsaved == 0 || pos < g.unsaved {
			g.unsaved = pos
		}
	}
	g.dirty = true
	w := g.waiting(t)
	now := g.opts.Now().UnixNano()
	return func(r *model.Resource, s *model.Span, like uint64) {
		if s == nil {
			w.endOfRequest()
			g.mu.Unlock()
			return
		}
		w.add(r, s, like, now)
	}
}
