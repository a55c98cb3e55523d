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

// runGeometry is that of so many entries of so many blocks, whose hashes keep all
// their bits.
func runGeometry(hashBits, entries, blocks int) (geometry, error) {
	if blocks > MaxPage {
		return geometry{}, fmt.Errorf("cannot join the id indexes of %d blocks: at most %d are numbered", blocks, MaxPage)
	}
	g := geometryFor(entries, keptHashBits, bits.Len(uint(max(0, blocks-1))))
	g.quotientBits = max(superBits, min(g.quotientBits, hashBits))
	g.fingerprintBits = max(0, hashBits-g.quotientBits)
	return g, nil
}

func (b *runBuilder[B]) build() (*run[B], error) {
	g, err := runGeometry(b.hashBits, len(b.keys), len(b.blocks))
	if err != nil {
		return nil, err
	}
	for i, k := range b.keys {
		b.keys[i] = k>>pageBits<<g.pageBits | k&MaxPage
	}
	keys := b.keys
	if !slices.IsSorted(keys) { // as one block's are
		keys = sortKeys(keys, 0, g.hashBits()+g.pageBits)
	}
	data, err := encode(g, keys)
	if err != nil {
		return nil, err
	}
	return openRun(data, b.blocks)
}

func openRun[B comparable](data []byte, blocks []B) (*run[B], error) {
	ix, err := Open(data)
	if err != nil {
		return nil, err
	}
	ix.trusted = true
	return newRun(ix, blocks), nil
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

// runCursor goes through the entries of a run whose block is still there.
type runCursor struct {
	cursor
	numbers []uint64 // of the blocks in the joined run
	live    []bool
	more    bool
}

func (c *runCursor) advance() (err error) {
	for {
		if c.more, err = c.next(); !c.more || c.live[c.page] {
			return err
		}
	}
}

// joinRuns makes one run of several, without the blocks that were removed. Their
// entries come in order, so that they are merged as they are written: all at once
// they would be by far the most memory that a directory takes.
func joinRuns[B comparable](group []*run[B]) (*run[B], error) {
	total := 0
	var blocks []B
	cursors := make([]*runCursor, len(group))
	for i, r := range group {
		total += r.index.entries
		c := &runCursor{cursor: cursor{ix: r.index, scratch: new([]byte)}, numbers: make([]uint64, len(r.blocks)), live: r.live}
		for j, block := range r.blocks {
			if r.live[j] {
				c.numbers[j] = uint64(len(blocks))
				blocks = append(blocks, block)
			}
		}
		if err := c.advance(); err != nil {
			return nil, err
		}
		cursors[i] = c
	}
	g, err := runGeometry(group[0].index.hashBits(), total, len(blocks))
	if err != nil {
		return nil, err
	}
	w, err := newIndexWriter(g, total)
	if err != nil {
		return nil, err
	}
	for {
		var least *runCursor // of equal ones the first, whose blocks have the lesser numbers
		for _, c := range cursors {
			if c.more && (least == nil || c.hash < least.hash) {
				least = c
			}
		}
		if least == nil {
			return openRun(w.finish(), blocks)
		}
		w.add(least.hash<<g.pageBits | least.numbers[least.page])
		if err := least.advance(); err != nil {
			return nil, err
		}
	}
}
