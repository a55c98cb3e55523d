package tsdb

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"braid/pkg/idindex"
	"braid/pkg/model"
)

// exemplarStore keeps a tenant's exemplars for the whole retention. New ones
// are in memory and in a log; when there are enough, or they are old enough,
// they become a block.
//
// Of the exemplars of a series within one window it keeps those that tell
// most: each new greatest and least value, the first that failed, and a random
// few of the rest. Which ones these are is decided as they come, so that what
// was kept is durable with its request.
type exemplarStore struct {
	dir    string
	window int64 // ns
	spec   func() *model.KeySpec

	mu     sync.RWMutex
	log    *exemplarLog // guarded by mu, as all below
	number int          // of the log and of the block that it becomes
	byRef  map[uint64]*activeSeries
	byName map[string]*activeSeries // by labels, for the log's series table
	held   int                      // exemplars in memory
	since  time.Time                // when the log was begun
	blocks []*exemplarBlock
	ids    idindex.Directory[*exemplarBlock] // of the blocks
	minute int64
	taken  int // in the minute
	rand   *rand.Rand
}

// activeSeries is a series with exemplars in memory.
type activeSeries struct {
	id     uint64
	labels []model.Label
	kept   []activeExemplar

	window     int64
	min, max   float64
	seen       int // offered in the window
	some, most int // kept in it: of the reservoir, of the extremes
	failed     bool
}

type activeExemplar struct {
	model.Exemplar
	ids []uint64 // hashes of its correlation ids
}

// The bounds of a series' window. The first of the reservoir are simply the
// first that come; extremes of random values are few (their number grows with
// the logarithm), those of ever rising values are bounded.
const (
	reservoir    = 4
	maxReservoir = 8
	maxExtremes  = 16
	maxPerWindow = maxReservoir + maxExtremes + 1
	// A log becomes a block at this many exemplars or this age.
	sealCount = 100_000
	sealAge   = 6 * time.Hour
)

// offered is one exemplar of an appended series. labels is empty when the
// store knows the reference.
type offered struct {
	ref    uint64
	labels labels.Labels
	e      *model.Exemplar
	time   int64 // of its point, for exemplars without a time
}

func openExemplars(dir string, window time.Duration, spec func() *model.KeySpec, now time.Time) (*exemplarStore, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("cannot make exemplar folder: %w", err)
	}
	s := &exemplarStore{dir: dir, window: int64(window), spec: spec, since: now, rand: rand.New(rand.NewPCG(uint64(now.UnixNano()), 1))}
	s.reset()
	logs, err := s.openFiles()
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	known := map[uint64]*activeSeries{}
	s.log, err = openExemplarLog(s.path(logs, "log"),
		func(id uint64, ls []model.Label) { known[id] = s.series(ls, id) },
		func(id uint64, e model.Exemplar) {
			if a := known[id]; a != nil {
				a.note(s, &e)
				s.keep(a, e)
			}
		})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open exemplars: %w", err), s.close())
	}
	return s, nil
}

// openFiles opens the blocks and finds the log that is in none of them.
func (s *exemplarStore) openFiles() (number int, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return 0, err
	}
	s.number = 1
	var opened []idindex.Entry[*exemplarBlock]
	for _, e := range entries {
		var n int
		name := e.Name()
		if _, err := fmt.Sscanf(name, "%d", &n); err != nil || strings.HasSuffix(name, ".tmp") {
			continue
		}
		switch filepath.Ext(name) {
		case ".blk":
			b, err := openExemplarBlock(filepath.Join(s.dir, name))
			if err != nil {
				// Set aside, so that the rest can be read and the damage looked at.
				if err := os.Rename(filepath.Join(s.dir, name), filepath.Join(s.dir, name+".damaged")); err != nil {
					return 0, err
				}
				continue
			}
			s.blocks = append(s.blocks, b)
			opened = append(opened, idindex.Entry[*exemplarBlock]{Block: b, Index: b.index})
			s.number = max(s.number, n+1)
		case ".log":
			s.number = max(s.number, n)
		}
	}
	_ = s.ids.AddAll(opened) // a block with damaged ids is asked for each, and says so
	// A log whose block is whole was about to be removed.
	for _, b := range s.blocks {
		_ = os.Remove(strings.TrimSuffix(b.path, ".blk") + ".log")
	}
	return s.number, nil
}

func (s *exemplarStore) path(n int, ext string) string {
	return filepath.Join(s.dir, fmt.Sprintf("%08d.%s", n, ext))
}

func (s *exemplarStore) reset() {
	s.byRef, s.byName, s.held = map[uint64]*activeSeries{}, map[string]*activeSeries{}, 0
}

// knows reports whether an exemplar of a reference needs no labels.
func (s *exemplarStore) knows(ref uint64) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byRef[ref] != nil
}

// forgetRefs is called when the database's references start anew.
func (s *exemplarStore) forgetRefs() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byRef = map[uint64]*activeSeries{}
}

// series finds or makes the active series of labels. id 0 takes the next one.
func (s *exemplarStore) series(ls []model.Label, id uint64) *activeSeries {
	key := labelKey(ls)
	if a := s.byName[key]; a != nil {
		return a
	}
	if id == 0 {
		id = uint64(len(s.byName) + 1)
	}
	a := &activeSeries{id: id, labels: ls}
	s.byName[key] = a
	return a
}

func labelKey(ls []model.Label) string { return string(appendLabels(nil, ls)) }

// add offers exemplars. limit bounds what is taken a minute, 0 means no bound;
// over is how many were left out by it.
func (s *exemplarStore) add(offers []offered, now time.Time, limit int) (over int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := now.Unix() / 60; m != s.minute {
		s.minute, s.taken = m, 0
	}
	for i := range offers {
		o := &offers[i]
		a := s.byRef[o.ref]
		if a == nil {
			if o.labels.IsEmpty() {
				continue // sealed meanwhile: the next one brings its labels
			}
			known := len(s.byName)
			a = s.series(modelLabels(o.labels), 0)
			if len(s.byName) > known {
				s.log.series(a.id, a.labels)
			}
			s.byRef[o.ref] = a
		}
		e := *o.e
		if e.Time <= 0 {
			e.Time = o.time
		}
		if !a.note(s, &e) {
			continue
		}
		if limit > 0 && s.taken >= limit {
			over++
			continue
		}
		s.taken++
		e = cloneExemplar(&e)
		if err := s.log.exemplar(a.id, &e); err != nil {
			return over, err
		}
		s.keep(a, e)
	}
	return over, nil
}

// note counts an exemplar into its window and says whether to keep it.
func (a *activeSeries) note(s *exemplarStore, e *model.Exemplar) bool {
	w := e.Time / s.window
	if w > a.window || a.seen == 0 {
		a.window, a.seen, a.some, a.most, a.failed = w, 0, 0, 0, false
		a.min, a.max = e.Value, e.Value
	}
	for i := len(a.kept) - 1; i >= 0 && i >= len(a.kept)-maxPerWindow; i-- {
		if k := &a.kept[i].Exemplar; k.Time == e.Time && k.TraceID == e.TraceID && k.Value == e.Value {
			return false // a repetition
		}
	}
	a.seen++
	failed := !a.failed && isFailure(e)
	extreme := e.Value > a.max || e.Value < a.min
	a.min, a.max, a.failed = min(a.min, e.Value), max(a.max, e.Value), a.failed || failed
	switch {
	case failed:
		return true
	case extreme && a.most < maxExtremes:
		a.most++
		return true
	case a.some < maxReservoir && (a.seen <= reservoir || s.rand.IntN(a.seen) < reservoir):
		a.some++
		return true
	}
	return false
}

// isFailure reports whether an exemplar's own attributes speak of an error.
func isFailure(e *model.Exemplar) bool {
	for _, at := range e.Attrs {
		switch at.Key {
		case "error.type", "exception.type", "exception.message":
			return true
		case "error":
			return at.Value.Text() == "true"
		case "otel.status_code", "status.code":
			return strings.EqualFold(at.Value.Text(), "error")
		case "http.response.status_code", "http.status_code":
			v, ok := at.Value.ParseFloat()
			return ok && v >= 500
		}
	}
	return false
}

func (s *exemplarStore) keep(a *activeSeries, e model.Exemplar) {
	a.kept = append(a.kept, activeExemplar{e, s.hashes(&e)})
	s.held++
}

// hashes returns the hashes of an exemplar's correlation ids.
func (s *exemplarStore) hashes(e *model.Exemplar) []uint64 {
	var out []uint64
	eachKey(s.spec(), e, func(kind, id string) bool {
		out = append(out, idindex.Hash(kind, id))
		return true
	})
	return out
}

// eachKey yields the canonical correlation ids of an exemplar.
func eachKey(spec *model.KeySpec, e *model.Exemplar, yield func(kind, id string) bool) {
	if !e.TraceID.IsZero() && !yield(model.KeyTrace, e.TraceID.String()) {
		return
	}
	for _, at := range e.Attrs {
		kind, ok := spec.Kind(at.Key)
		if !ok {
			continue
		}
		goOn := true
		model.EachID(at.Value, func(text string) bool {
			if id := model.Canonical(kind, text); id != "" {
				goOn = yield(kind, id)
			}
			return goOn
		})
		if !goOn {
			return
		}
	}
}

// sync makes durable what was added.
func (s *exemplarStore) sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == 0 {
		return nil
	}
	return s.log.sync()
}

// broken reports whether a sync failed, so that nothing more becomes durable.
func (s *exemplarStore) broken() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.log.err != nil
}

// maintain turns a full or old log into a block and drops blocks that ended
// before the given time (Unix ns).
func (s *exemplarStore) maintain(now time.Time, before int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held >= sealCount || s.held > 0 && now.Sub(s.since) >= sealAge {
		if err := s.seal(now); err != nil {
			return err
		}
	}
	kept := s.blocks[:0:0]
	var err error
	for _, b := range s.blocks {
		if b.maxT >= before {
			kept = append(kept, b)
			continue
		}
		s.ids.Remove(b)
		err = errors.Join(err, b.file.Close(), os.Remove(b.path))
	}
	s.blocks = kept
	return err
}

// seal writes the block, begins a new log, and removes the old one.
func (s *exemplarStore) seal(now time.Time) error {
	if err := s.log.sync(); err != nil {
		return err
	}
	all := make([]*activeSeries, 0, len(s.byName))
	for _, a := range s.byName {
		if len(a.kept) > 0 {
			all = append(all, a)
		}
	}
	path := s.path(s.number, "blk")
	if err := writeExemplarBlock(path, all, s.hashes); err != nil {
		return err
	}
	b, err := openExemplarBlock(path)
	if err != nil {
		return err
	}
	next, err := openExemplarLog(s.path(s.number+1, "log"), nil, nil)
	if err != nil {
		return errors.Join(err, b.file.Close())
	}
	old := s.log
	s.log, s.number, s.since = next, s.number+1, now
	s.blocks = append(s.blocks, b)
	_ = s.ids.Add(b, b.index) // as when it is opened
	s.reset()
	return errors.Join(old.close(), os.Remove(old.path), syncDir(s.dir))
}

func (s *exemplarStore) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.log != nil {
		err = errors.Join(s.log.sync(), s.log.close())
	}
	for _, b := range s.blocks {
		err = errors.Join(err, b.file.Close())
	}
	return err
}

func modelLabels(ls labels.Labels) []model.Label {
	out := make([]model.Label, 0, ls.Len())
	ls.Range(func(l labels.Label) {
		out = append(out, model.Label{Name: strings.Clone(l.Name), Value: strings.Clone(l.Value)})
	})
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// cloneExemplar copies what aliases the request's payload.
func cloneExemplar(e *model.Exemplar) model.Exemplar {
	out := *e
	out.Attrs = make(model.Attrs, len(e.Attrs))
	for i, a := range e.Attrs {
		v := a.Value
		out.Attrs[i] = model.Attr{Key: strings.Clone(a.Key), Value: model.Raw(v.Kind(), v.Num(), strings.Clone(v.Str()))}
	}
	return out
}
