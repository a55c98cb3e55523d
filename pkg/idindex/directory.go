package idindex

import (
	"errors"
	"io"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// fan is how many runs of like size wait until they are joined into one.
	fan = 4
	// maxRunEntries bounds a run, and with it the time and the memory (16 bytes an
	// entry) that joining takes: more ids make more runs.
	maxRunEntries = 4 << 20
	// DefaultMaxBytes is what the runs of a directory may take in memory.
	DefaultMaxBytes = 256 << 20
)

// Directory tells which of many blocks hold an id: the level above the indexes
// of the blocks. It joins them into few runs, each an index from hashes to
// numbers of blocks, so that a look-up costs one superbucket a run, and the
// number of runs grows with the logarithm of the number of blocks until runs are
// full. It answers what the blocks' own indexes would, no better and no worse:
// give those enough fingerprint bits. Memory: fingerprint and 3 bits an id and
// block, up to MaxBytes. B names a block. Safe for concurrent use; look-ups take
// no lock.
type Directory[B comparable] struct {
	// MaxBytes bounds the memory of the runs; 0 means DefaultMaxBytes. Set it, and
	// Spill, before the first Add.
	MaxBytes int64
	// Spill puts the bytes of a run outside of memory when MaxBytes are used up;
	// what it returns is read at most once a look-up. Without it, or when it fails,
	// the blocks of the run become candidates for every id.
	Spill func(data []byte) (io.ReaderAt, error)

	change sync.Mutex // serialises what changes state
	state  atomic.Pointer[directoryState[B]]
}

type directoryState[B comparable] struct {
	runs []*run[B]
	// always are blocks that no run tells of: candidates for every id.
	always []B
}

// Entry is a block with its index.
type Entry[B comparable] struct {
	Block B
	Index *Index
}

// Add is AddAll of one block.
func (d *Directory[B]) Add(block B, ix *Index) error {
	return d.AddAll([]Entry[B]{{block, ix}})
}

// AddAll puts blocks into the directory by the entries of their indexes, which
// are not needed afterwards. A block whose index cannot be read becomes a
// candidate for every id, and the error is returned when the others are in.
// Adding a block again replaces it.
func (d *Directory[B]) AddAll(list []Entry[B]) error {
	d.change.Lock()
	defer d.change.Unlock()
	s := d.copy()
	for _, e := range list {
		s.remove(e.Block)
	}
	made, bad, errs := runsOf(list)
	s.runs = append(s.runs, made...)
	s.always = append(s.always, bad...)
	s.settle()
	d.bound(s)
	d.state.Store(s)
	return errors.Join(errs...)
}

// AddUnknown puts a block without a usable index into the directory: it is a
// candidate for every id.
func (d *Directory[B]) AddUnknown(block B) {
	d.change.Lock()
	defer d.change.Unlock()
	s := d.copy()
	s.remove(block)
	s.always = append(s.always, block)
	d.state.Store(s)
}

// Remove takes blocks out; one that is not there is no error.
func (d *Directory[B]) Remove(blocks ...B) {
	d.change.Lock()
	defer d.change.Unlock()
	s := d.copy()
	for _, b := range blocks {
		s.remove(b)
	}
	d.state.Store(s)
}

// Candidates appends to dst the blocks that may hold the id with a hash, in no
// order. A block that is not appended does not hold it.
func (d *Directory[B]) Candidates(hash uint64, dst []B) []B {
	s := d.state.Load()
	if s == nil {
		return dst
	}
	dst = append(dst, s.always...)
	var few [16]uint32
	for _, r := range s.runs {
		found, err := r.index.Pages(hash, few[:0])
		if err != nil { // of a run that was spilled: nothing is known
			for i, b := range r.blocks {
				if r.live[i] {
					dst = append(dst, b)
				}
			}
			continue
		}
		for _, n := range found {
			if int(n) < len(r.blocks) && r.live[n] {
				dst = append(dst, r.blocks[n])
			}
		}
	}
	return dst
}

// Len returns the number of blocks.
func (d *Directory[B]) Len() int {
	s := d.state.Load()
	if s == nil {
		return 0
	}
	n := len(s.always)
	for _, r := range s.runs {
		n += r.alive
	}
	return n
}

// Runs returns how many runs a look-up asks.
func (d *Directory[B]) Runs() int {
	if s := d.state.Load(); s != nil {
		return len(s.runs)
	}
	return 0
}

// Bytes returns the memory of the runs.
func (d *Directory[B]) Bytes() int64 {
	if s := d.state.Load(); s != nil {
		return s.bytes()
	}
	return 0
}

// copy returns the state to change: runs are replaced, not changed.
func (d *Directory[B]) copy() *directoryState[B] {
	s := &directoryState[B]{}
	if old := d.state.Load(); old != nil {
		s.runs, s.always = slices.Clone(old.runs), slices.Clone(old.always)
	}
	return s
}

// bound moves runs out of memory, the largest first, until the rest fits.
func (d *Directory[B]) bound(s *directoryState[B]) {
	most := d.MaxBytes
	if most <= 0 {
		most = DefaultMaxBytes
	}
	for s.bytes() > most {
		at := 0
		for i, r := range s.runs {
			if r.bytes() > s.runs[at].bytes() {
				at = i
			}
		}
		if spilled := s.runs[at].spill(d.Spill); spilled != nil && spilled.bytes() < s.runs[at].bytes() {
			s.runs[at] = spilled
			continue
		}
		for i, b := range s.runs[at].blocks {
			if s.runs[at].live[i] {
				s.always = append(s.always, b)
			}
		}
		s.runs = slices.Delete(s.runs, at, at+1)
	}
}

func (s *directoryState[B]) bytes() (n int64) {
	for _, r := range s.runs {
		n += r.bytes()
	}
	return n
}

func (s *directoryState[B]) remove(block B) {
	if at := slices.Index(s.always, block); at >= 0 {
		s.always = slices.Delete(s.always, at, at+1)
		return
	}
	for i, r := range s.runs {
		n := slices.Index(r.blocks, block)
		if n < 0 || !r.live[n] {
			continue
		}
		if r.alive == 1 {
			s.runs = slices.Delete(s.runs, i, i+1)
		} else {
			s.runs[i] = r.without(n)
		}
		return
	}
}

// settle rids runs of the ids of blocks that are gone, and joins runs until
// there are fewer than fan of like size. Only runs that know equally many bits of
// hashes are joined: an index that is cut to the bits of a lesser one names more
// blocks wrongly.
func (s *directoryState[B]) settle() {
	for _, r := range slices.Clone(s.runs) {
		if 2*r.alive <= len(r.blocks) {
			s.join([]*run[B]{r})
		}
	}
	type tier struct{ hashBits, size int }
	for joined := true; joined; {
		joined = false
		tiers := map[tier][]*run[B]{}
		for _, r := range s.runs {
			if n := r.index.entries; n < maxRunEntries/fan && r.index.data != nil { // a spilled one stays
				t := tier{r.index.hashBits(), bits.Len(uint(n)) / 2}
				tiers[t] = append(tiers[t], r)
			}
		}
		for _, group := range tiers {
			joined = len(group) >= fan && s.join(group) || joined
		}
	}
}

// join puts one run in place of several.
func (s *directoryState[B]) join(group []*run[B]) bool {
	joined, err := joinRuns(group)
	if err != nil {
		return false // they go on as they are
	}
	s.runs = slices.DeleteFunc(s.runs, func(r *run[B]) bool { return slices.Contains(group, r) })
	s.runs = append(s.runs, joined)
	return true
}
