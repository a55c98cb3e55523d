package idindex

import (
	"fmt"
	"io"
	"math/bits"
	"slices"
)

// run is the joined index of several blocks: from hashes to numbers of blocks.
// Immutable once published.
type run[B comparable] struct {
	index  *Index
	blocks []B
	live   []bool // by number: the block was not removed
	alive  int
}

func newRun[B comparable](index *Index, blocks []B) *run[B] {
	r := &run[B]{index: index, blocks: blocks, live: make([]bool, len(blocks)), alive: len(blocks)}
	for i := range r.live {
		r.live[i] = true
	}
	return r
}

// bytes returns the memory of the run's index.
func (r *run[B]) bytes() int64 { return int64(len(r.index.dir)) + int64(len(r.index.data)) }

// without returns the run less one of its blocks.
func (r *run[B]) without(n int) *run[B] {
	c := *r
	c.live = slices.Clone(r.live)
	c.live[n] = false
	c.alive--
	return &c
}

// spill returns the run with its index outside of memory, nil when it cannot be
// put there.
func (r *run[B]) spill(to func([]byte) (io.ReaderAt, error)) *run[B] {
	if to == nil || r.index.data == nil {
		return nil
	}
	at, err := to(r.index.data)
	if err != nil {
		return nil
	}
	c := *r
	if c.index, err = OpenReaderAt(at, int64(len(r.index.data))); err != nil {
		return nil
	}
	return &c
}

// runBuilder gathers (hash, number of block) pairs whose hashes have equally
// many bits.
type runBuilder[B comparable] struct {
	hashBits int
	keys     []uint64 // the hash, then the number in pageBits bits
	blocks   []B
}

// add puts a block in, by the hashes that each yields in ascending order.
func (b *runBuilder[B]) add(block B, each func(yield func(hash uint64)) error) error {
	number, start := uint64(len(b.blocks)), len(b.keys)
	var last uint64
	err := each(func(hash uint64) {
		if len(b.keys) > start && hash == last { // on several pages
			return
		}
		last = hash
		b.keys = append(b.keys, hash<<pageBits|number)
	})
	if err != nil {
		b.keys = b.keys[:start]
		return err
	}
	b.blocks = append(b.blocks, block)
	return nil
}

func (b *runBuilder[B]) build() (*run[B], error) {
	if len(b.blocks) > MaxPage {
		return nil, fmt.Errorf("cannot join the id indexes of %d blocks: at most %d are numbered", len(b.blocks), MaxPage)
	}
	g := geometryFor(len(b.keys), keptHashBits, bits.Len(uint(len(b.blocks)-1)))
	g.quotientBits = max(superBits, min(g.quotientBits, b.hashBits))
	g.fingerprintBits = max(0, b.hashBits-g.quotientBits)
	for i, k := range b.keys {
		b.keys[i] = k>>pageBits<<g.pageBits | k&MaxPage
	}
	data, err := encode(g, sortKeys(b.keys, 0, g.hashBits()+g.pageBits))
	if err != nil {
		return nil, err
	}
	ix, err := Open(data)
	if err != nil {
		return nil, err
	}
	ix.trusted = true
	return newRun(ix, b.blocks), nil
}

// runsOf makes runs of blocks, as few as may be. bad are the blocks whose index
// could not be read.
func runsOf[B comparable](list []Entry[B]) (made []*run[B], bad []B, errs []error) {
	byBits := map[int][]Entry[B]{}
	for _, e := range list {
		byBits[e.Index.hashBits()] = append(byBits[e.Index.hashBits()], e)
	}
	for hashBits, entries := range byBits {
		for len(entries) > 0 {
			n, total := 0, 0
			for n < len(entries) && (n == 0 || total+entries[n].Index.entries <= maxRunEntries) {
				total += entries[n].Index.entries
				n++
			}
			b := runBuilder[B]{hashBits: hashBits, keys: make([]uint64, 0, total)}
			for _, e := range entries[:n] {
				err := b.add(e.Block, func(yield func(uint64)) error {
					return e.Index.each(func(hash uint64, _ uint32) { yield(hash) })
				})
				if err != nil {
					bad, errs = append(bad, e.Block), append(errs, err)
				}
			}
			entries = entries[n:]
			if len(b.blocks) == 0 {
				continue
			}
			r, err := b.build()
			if err != nil {
				bad, errs = append(bad, b.blocks...), append(errs, err)
				continue
			}
			made = append(made, r)
		}
	}
	return made, bad, errs
}

// joinRuns makes one run of several, without the blocks that were removed.
func joinRuns[B comparable](group []*run[B]) (*run[B], error) {
	total := 0
	for _, r := range group {
		total += r.index.entries
	}
	b := runBuilder[B]{hashBits: group[0].index.hashBits(), keys: make([]uint64, 0, total)}
	for _, r := range group {
		numbers := make([]uint64, len(r.blocks))
		for i, block := range r.blocks {
			if r.live[i] {
				numbers[i] = uint64(len(b.blocks))
				b.blocks = append(b.blocks, block)
			}
		}
		err := r.index.each(func(hash uint64, n uint32) {
			if r.live[n] {
				b.keys = append(b.keys, hash<<pageBits|numbers[n])
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return b.build()
}
