package tsdb

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"braid/pkg/model"
)

// positions follows what a tenant has taken and not yet made durable.
type positions struct {
	mu       sync.Mutex
	inFlight map[model.Position]int // guarded by mu
	taken    map[model.Position]struct{}
	syncing  map[model.Position]struct{}
	done     model.PositionSet // durable since open, for the state file
	dirty    bool              // something was taken since the last sync, with or without a position
}

func newPositions() *positions {
	return &positions{inFlight: map[model.Position]int{}, taken: map[model.Position]struct{}{}}
}

// begin notes that a request is being appended.
func (p *positions) begin(pos model.Position) {
	if pos == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight[pos]++
}

// end notes that it was appended, or not.
func (p *positions) end(pos model.Position, appended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dirty = p.dirty || appended
	if pos == 0 {
		return
	}
	if p.inFlight[pos]--; p.inFlight[pos] <= 0 {
		delete(p.inFlight, pos)
	}
	if appended {
		p.taken[pos] = struct{}{}
	}
}

// cut takes the positions that the coming sync will cover; dirty is false when
// there are none.
func (p *positions) cut() (dirty bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dirty {
		return false
	}
	p.dirty = false
	p.syncing, p.taken = p.taken, map[model.Position]struct{}{}
	return true
}

// settle ends a sync: what it covered is durable, or needed as before.
func (p *positions) settle(ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pos := range p.syncing {
		if ok {
			p.done.Add(pos)
		} else {
			p.taken[pos] = struct{}{}
		}
	}
	p.syncing = nil
	p.dirty = p.dirty || !ok
}

// touch makes the next sync happen.
func (p *positions) touch() { p.end(0, true) }

// oldest returns the least position that is not durable.
func (p *positions) oldest() (least model.Position, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	take := func(pos model.Position) {
		if !ok || pos < least {
			least, ok = pos, true
		}
	}
	for pos := range p.inFlight {
		take(pos)
	}
	for pos := range p.taken {
		take(pos)
	}
	for pos := range p.syncing {
		take(pos)
	}
	return least, ok
}

// logSyncer makes the segments of one write-ahead log durable. Prometheus
// writes every record to the kernel at commit, but syncs a segment only when it
// is full.
type logSyncer struct {
	dir  string
	open map[int]*os.File
	high int // the newest segment seen
}

func newLogSyncer(dir string) *logSyncer {
	return &logSyncer{dir: dir, open: map[int]*os.File{}, high: -1}
}

// sync makes everything durable that was written before the call. Segments
// that were deleted meanwhile are in blocks or in a checkpoint, both synced by
// whoever wrote them. The files stay open between calls, so that an error of
// the kernel's write-back cannot be missed.
func (l *logSyncer) sync() error {
	segments, err := listSegments(l.dir)
	if err != nil {
		return err
	}
	fresh := false
	for _, n := range segments {
		if n < l.high || l.open[n] != nil {
			continue
		}
		f, err := os.Open(filepath.Join(l.dir, fmt.Sprintf("%08d", n)))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot open write-ahead log segment: %w", err)
		}
		l.open[n] = f
		fresh = true
	}
	for n, f := range l.open {
		if err := f.Sync(); err != nil {
			return fmt.Errorf("cannot sync write-ahead log segment %s: %w", f.Name(), err)
		}
		l.high = max(l.high, n)
	}
	if fresh {
		if err := syncDir(l.dir); err != nil {
			return err
		}
	}
	for n, f := range l.open {
		if n < l.high {
			_ = f.Close()
			delete(l.open, n)
		}
	}
	return nil
}

func (l *logSyncer) close() {
	for n, f := range l.open {
		_ = f.Close()
		delete(l.open, n)
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot open folder %q: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("cannot sync folder %q: %w", dir, err)
	}
	return nil
}

// listSegments returns the numbers of the segments of a log; a log that does
// not exist (no sample was ever out of order) has none.
func listSegments(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list write-ahead log %q: %w", dir, err)
	}
	var out []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && !e.IsDir() {
			out = append(out, n)
		}
	}
	return out, nil
}
