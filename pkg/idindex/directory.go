package idindex

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// columns blocks share a group: one bit each of every byte of its table.
	columns = 8
	// lineRows is how many rows of a table one id's bits are within: 64 bytes,
	// one cache line, for eight blocks at once.
	lineRows = 64
	// probes is how many bits an id sets within its line.
	probes = 4
	// DefaultBitsPerID makes about one absent id in 20 look present in a block.
	DefaultBitsPerID = 8
)

// Directory tells which of many blocks may hold an id. It keeps a Bloom filter
// of every block, eight blocks of like size interleaved so that one cache line
// answers for all of them: some 25 lines for 200 blocks, about one byte of
// memory an id and block. B names a block. Safe for concurrent use; look-ups
// take no lock, changes copy one group.
type Directory[B comparable] struct {
	// BitsPerID is the memory spent; 0 means DefaultBitsPerID. Set it before
	// the first Add.
	BitsPerID int

	change sync.Mutex // serialises Add and Remove
	state  atomic.Pointer[directoryState[B]]
}

type directoryState[B comparable] struct {
	groups []*group[B]
	// always are blocks without a filter: candidates for every id.
	always []B
}

// group is immutable once published.
type group[B comparable] struct {
	shape  shape
	blocks [columns]B
	used   uint8 // bit i: column i holds a block
	table  []byte
}

// shape is what blocks must have in common to share a group.
type shape struct {
	lines    uint64 // of the table
	hashBits int    // of the hash, that the index still knows
}

// Add puts a block into the directory by the entries of its index. When the
// index cannot be read the block becomes a candidate for every id and the error
// is returned. Adding a block again replaces it.
func (d *Directory[B]) Add(block B, ix *Index) error {
	d.change.Lock()
	defer d.change.Unlock()
	s := d.without(block)
	sh := d.shapeOf(ix)
	g, at := s.room(sh)
	column := bits.TrailingZeros8(^g.used)
	var last uint64
	first := true
	err := ix.each(func(hash uint64, _ uint32) {
		if first || hash != last {
			g.set(hash<<(64-sh.hashBits), column)
		}
		first, last = false, hash
	})
	if err != nil {
		s = d.without(block)
		s.always = append(s.always, block)
		d.state.Store(s)
		return err
	}
	g.blocks[column] = block
	g.used |= 1 << column
	if at < 0 {
		s.groups = append(s.groups, g)
	} else {
		s.groups[at] = g
	}
	d.state.Store(s)
	return nil
}

// AddUnknown puts a block without a usable index into the directory: it is a
// candidate for every id.
func (d *Directory[B]) AddUnknown(block B) {
	d.change.Lock()
	defer d.change.Unlock()
	s := d.without(block)
	s.always = append(s.always, block)
	d.state.Store(s)
}

// Remove takes a block out; one that is not there is no error.
func (d *Directory[B]) Remove(block B) {
	d.change.Lock()
	defer d.change.Unlock()
	d.state.Store(d.without(block))
}

// Candidates appends to dst the blocks that may hold the id with a hash, in no
// order. A block that is not appended does not hold it.
func (d *Directory[B]) Candidates(hash uint64, dst []B) []B {
	s := d.state.Load()
	if s == nil {
		return dst
	}
	dst = append(dst, s.always...)
	for _, g := range s.groups {
		for hit := g.probe(hash); hit != 0; hit &= hit - 1 {
			dst = append(dst, g.blocks[bits.TrailingZeros8(hit)])
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
	for _, g := range s.groups {
		n += bits.OnesCount8(g.used)
	}
	return n
}

// Bytes returns the memory of the filters.
func (d *Directory[B]) Bytes() int64 {
	var n int64
	if s := d.state.Load(); s != nil {
		for _, g := range s.groups {
			n += int64(len(g.table))
		}
	}
	return n
}

// shapeOf rounds the size of the filter up to a quarter of a power of two, so
// that blocks of about one size share groups.
func (d *Directory[B]) shapeOf(ix *Index) shape {
	per := d.BitsPerID
	if per <= 0 {
		per = DefaultBitsPerID
	}
	lines := uint64(max(1, (ix.entries*per+lineRows-1)/lineRows))
	if step := uint64(1) << max(0, bits.Len64(lines)-3); step > 1 {
		lines = (lines + step - 1) / step * step
	}
	return shape{lines: lines, hashBits: ix.hashBits()}
}

// without copies the state, leaving a block out.
func (d *Directory[B]) without(block B) *directoryState[B] {
	old := d.state.Load()
	if old == nil {
		return &directoryState[B]{}
	}
	s := &directoryState[B]{groups: slices.Clone(old.groups), always: slices.Clone(old.always)}
	s.always = slices.DeleteFunc(s.always, func(b B) bool { return b == block })
	for i, g := range s.groups {
		for c := range columns {
			if g.used>>c&1 == 1 && g.blocks[c] == block {
				s.groups[i] = g.drop(c)
			}
		}
	}
	s.groups = slices.DeleteFunc(s.groups, func(g *group[B]) bool { return g.used == 0 })
	return s
}

// room returns a copy of a group of the shape with a free column and its
// index, or a new group and -1.
func (s *directoryState[B]) room(sh shape) (*group[B], int) {
	for i, g := range s.groups {
		if g.shape == sh && g.used != 1<<columns-1 {
			c := *g
			c.table = slices.Clone(g.table)
			return &c, i
		}
	}
	return &group[B]{shape: sh, table: make([]byte, sh.lines*lineRows)}, -1
}

func (g *group[B]) drop(column int) *group[B] {
	c := *g
	var none B
	c.blocks[column] = none
	c.used &^= 1 << column
	c.table = slices.Clone(g.table)
	for i := range c.table {
		c.table[i] &^= 1 << column
	}
	return &c
}

// rows returns the line of an id and four rows within it. Only the hash bits
// that the index knows count; lower ones must be ignored, so that what was
// added from an index and what is asked by a whole hash agree.
func (g *group[B]) rows(hash uint64) (line []byte, rows uint64) {
	hash = hash >> (64 - g.shape.hashBits) << (64 - g.shape.hashBits)
	hi, lo := bits.Mul64(hash, g.shape.lines)
	return g.table[hi*lineRows : hi*lineRows+lineRows], lo * 0x9e3779b97f4a7c15
}

func (g *group[B]) set(hash uint64, column int) {
	line, rows := g.rows(hash)
	for range probes {
		line[rows>>58] |= 1 << column
		rows <<= 6
	}
}

func (g *group[B]) probe(hash uint64) uint8 {
	line, rows := g.rows(hash)
	hit := g.used
	for range probes {
		hit &= line[rows>>58]
		rows <<= 6
	}
	return hit
}
