package idindex

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"sync"
)

// ErrCorrupt is matched by every error about damaged bytes.
var ErrCorrupt = errors.New("corrupt id index")

// ErrVersion is matched when the index has another format version.
var ErrVersion = errors.New("unsupported id index version")

// Index is one block's id index. Immutable and safe for concurrent use.
type Index struct {
	geometry
	entries int
	dir     []byte // offsets of the superbuckets, 4 bytes each, one more for the end
	data    []byte // the whole index, or nil
	r       io.ReaderAt
	// trusted bytes were made by this process and are not verified again.
	trusted bool
}

// Open reads an index out of its bytes, which must not change while it is used.
// Superbuckets are verified when they are looked at.
func Open(data []byte) (*Index, error) {
	ix := &Index{data: data}
	return ix, ix.open(sliceReader(data), int64(len(data)))
}

// OpenReaderAt reads an index that stays where it is (a section of a file):
// only the directory, a byte for 64 entries, is held in memory, and a look-up
// is one read of some 700 bytes.
func OpenReaderAt(r io.ReaderAt, size int64) (*Index, error) {
	ix := &Index{r: r}
	return ix, ix.open(r, size)
}

// sliceReader is an io.ReaderAt without the state of bytes.Reader.
type sliceReader []byte

func (s sliceReader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(s)) {
		return 0, io.EOF
	}
	n := copy(p, s[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (ix *Index) open(r io.ReaderAt, size int64) error {
	var h [headerSize]byte
	if size < headerSize {
		return fmt.Errorf("%w: %d bytes are no header", ErrCorrupt, size)
	}
	if _, err := r.ReadAt(h[:], 0); err != nil && err != io.EOF {
		return fmt.Errorf("cannot read id index header: %w", err)
	}
	if string(h[:4]) != magic {
		return fmt.Errorf("%w: magic %q, expected %q", ErrCorrupt, h[:4], magic)
	}
	if crc32.Checksum(h[:20], castagnoli) != binary.LittleEndian.Uint32(h[20:]) {
		return fmt.Errorf("%w: header checksum differs", ErrCorrupt)
	}
	if h[4] != formatVersion {
		return fmt.Errorf("%w: %d, this program knows %d", ErrVersion, h[4], formatVersion)
	}
	ix.geometry = geometry{int(h[5]), int(h[6]), int(h[7])}
	ix.entries = int(binary.LittleEndian.Uint32(h[8:]))
	if got := binary.LittleEndian.Uint64(h[12:]); got != uint64(size) {
		return fmt.Errorf("%w: %d bytes long, expected %d", ErrCorrupt, size, got)
	}
	if ix.quotientBits < superBits || ix.hashBits() > keptHashBits || ix.pageBits > pageBits {
		return fmt.Errorf("%w: widths %d, %d and %d are out of range", ErrCorrupt, ix.quotientBits, ix.fingerprintBits, ix.pageBits)
	}
	if int64(ix.entries) > 8*size {
		return fmt.Errorf("%w: %d entries do not fit into %d bytes", ErrCorrupt, ix.entries, size)
	}
	dirSize := 4 * (int64(ix.superbuckets()) + 1)
	if headerSize+dirSize+4 > size {
		return fmt.Errorf("%w: %d bytes are too few for the directory", ErrCorrupt, size)
	}
	dir := make([]byte, dirSize+4)
	if ix.data != nil {
		dir = ix.data[headerSize : headerSize+dirSize+4]
	} else if _, err := r.ReadAt(dir, headerSize); err != nil && err != io.EOF {
		return fmt.Errorf("cannot read id index directory: %w", err)
	}
	ix.dir = dir[:dirSize]
	if crc32.Checksum(ix.dir, castagnoli) != binary.LittleEndian.Uint32(dir[dirSize:]) {
		return fmt.Errorf("%w: directory checksum differs", ErrCorrupt)
	}
	return ix.checkDirectory(headerSize+dirSize+4, size)
}

func (ix *Index) checkDirectory(from, size int64) error {
	last := from
	for s := 0; s <= ix.superbuckets(); s++ {
		at := int64(ix.offset(s))
		if s == 0 && at != from || at < last || at > size {
			return fmt.Errorf("%w: superbucket %d begins at %d", ErrCorrupt, s, at)
		}
		last = at
	}
	if last != size {
		return fmt.Errorf("%w: superbuckets end at %d of %d", ErrCorrupt, last, size)
	}
	return nil
}

func (ix *Index) offset(s int) uint32 { return binary.LittleEndian.Uint32(ix.dir[4*s:]) }

// Len returns the number of entries: pairs of id and page.
func (ix *Index) Len() int { return ix.entries }

// Size returns the length of the index in bytes.
func (ix *Index) Size() int64 { return int64(ix.offset(ix.superbuckets())) }

// FalseRate returns the probability that an absent id looks present.
func (ix *Index) FalseRate() float64 {
	return float64(ix.entries) / float64(uint64(1)<<ix.hashBits())
}

// super holds one verified superbucket.
type super struct {
	n       int
	unary   []byte
	entries []byte
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// load verifies superbucket s. The bytes may be those of *scratch.
func (ix *Index) load(s int, scratch *[]byte) (super, error) {
	lo, hi := ix.offset(s), ix.offset(s+1)
	var raw []byte
	if ix.data != nil {
		raw = ix.data[lo:hi]
	} else {
		if cap(*scratch) < int(hi-lo) {
			*scratch = make([]byte, hi-lo)
		}
		raw = (*scratch)[:hi-lo]
		if n, err := ix.r.ReadAt(raw, int64(lo)); n < len(raw) {
			return super{}, fmt.Errorf("cannot read id index at offset %d: %w", lo, err)
		}
	}
	if len(raw) < superHeader || !ix.trusted && crc32.Checksum(raw[4:], castagnoli) != binary.LittleEndian.Uint32(raw) {
		return super{}, fmt.Errorf("%w: checksum of the superbucket at offset %d differs", ErrCorrupt, lo)
	}
	n := int(binary.LittleEndian.Uint32(raw[4:]))
	unary := (n + 1<<superBits + 7) / 8
	width := ix.fingerprintBits + ix.pageBits
	if n > ix.entries || superHeader+unary+(n*width+7)/8 != len(raw) {
		return super{}, fmt.Errorf("%w: %d entries in the superbucket at offset %d", ErrCorrupt, n, lo)
	}
	return super{n, raw[superHeader : superHeader+unary], raw[superHeader+unary:]}, nil
}

// Pages appends to dst the pages that may hold the id with a hash, ascending
// and distinct. An error means that nothing is known: look at every page.
func (ix *Index) Pages(hash uint64, dst []uint32) ([]uint32, error) {
	scratch := buffers.Get().(*[]byte)
	defer buffers.Put(scratch)
	place := int(hash >> (64 - ix.quotientBits))
	sb, err := ix.load(place>>superBits, scratch)
	if err != nil {
		return dst, err
	}
	lo, hi := sb.quotient(place & (1<<superBits - 1))
	fp := hash << ix.quotientBits >> (64 - ix.fingerprintBits)
	width := ix.fingerprintBits + ix.pageBits
	for i := lo; i < hi && i < sb.n; i++ {
		e := readBits(sb.entries, i*width, width)
		if e>>ix.pageBits == fp {
			dst = append(dst, uint32(e&(1<<ix.pageBits-1)))
		}
	}
	return dst, nil
}

// quotient returns the range of entries of one of the 256 quotients: the ones
// before its own run of ones are counted by words.
func (sb super) quotient(q int) (lo, hi int) {
	if q == 0 {
		return 0, sb.run(0)
	}
	zeros := 0
	for at := 0; at < len(sb.unary); at += 8 {
		w := readBits56(sb.unary, at)
		n := min(64, 8*(len(sb.unary)-at))
		z := n - bits.OnesCount64(w)
		if zeros+z >= q {
			bit := 8*at + selectZero(w, q-zeros)
			lo = bit + 1 - q
			return lo, lo + sb.run(bit+1)
		}
		zeros += z
	}
	return sb.n, sb.n
}

// readBits56 reads up to 8 bytes at a byte offset.
func readBits56(data []byte, at int) uint64 {
	if at+8 <= len(data) {
		return binary.LittleEndian.Uint64(data[at:])
	}
	var w uint64
	for i, b := range data[at:] {
		w |= uint64(b) << (8 * i)
	}
	return w
}

// selectZero returns the index of the k-th zero of w, k from 1; it must exist.
func selectZero(w uint64, k int) int {
	w = ^w
	for ; k > 1; k-- {
		w &= w - 1
	}
	return bits.TrailingZeros64(w)
}

// run counts the ones from a bit on.
func (sb super) run(bit int) int {
	n := 0
	for at := bit / 8; at < len(sb.unary); at += 8 {
		w := readBits56(sb.unary, at) >> (bit % 8)
		valid := min(64, 8*(len(sb.unary)-at)) - bit%8
		ones := min(bits.TrailingZeros64(^w), valid)
		n += ones
		if ones < valid {
			return n
		}
		bit = 0
	}
	return n
}

// each yields every entry in order: the hash's upper hashBits and the page.
func (ix *Index) each(yield func(hash uint64, page uint32)) error {
	scratch := buffers.Get().(*[]byte)
	defer buffers.Put(scratch)
	c := cursor{ix: ix, scratch: scratch}
	for {
		more, err := c.next()
		if !more {
			return err
		}
		yield(c.hash, c.page)
	}
}

// cursor goes through the entries of an index in order.
type cursor struct {
	ix      *Index
	scratch *[]byte
	s       int // the superbucket to load next
	sb      super
	bit, at int    // in sb
	place   uint64 // of bit, in sb
	hash    uint64 // its upper hashBits
	page    uint32
}

// next moves to the next entry; false at the end, or with an error.
func (c *cursor) next() (bool, error) {
	for {
		for ; c.at < c.sb.n && c.bit < 8*len(c.sb.unary); c.bit++ {
			if c.sb.unary[c.bit/8]>>(c.bit%8)&1 == 0 {
				c.place++
				continue
			}
			width := c.ix.fingerprintBits + c.ix.pageBits
			e := readBits(c.sb.entries, c.at*width, width)
			place := uint64(c.s-1)<<superBits | c.place&(1<<superBits-1)
			c.hash, c.page = place<<c.ix.fingerprintBits|e>>c.ix.pageBits, uint32(e&(1<<c.ix.pageBits-1))
			c.at++
			c.bit++
			return true, nil
		}
		if c.s == c.ix.superbuckets() {
			return false, nil
		}
		var err error
		if c.sb, err = c.ix.load(c.s, c.scratch); err != nil {
			return false, err
		}
		c.s, c.bit, c.at, c.place = c.s+1, 0, 0, 0
	}
}

// Verify reads the whole index and checks every checksum.
func (ix *Index) Verify() error {
	n := 0
	if err := ix.each(func(uint64, uint32) { n++ }); err != nil {
		return err
	}
	if n != ix.entries {
		return fmt.Errorf("%w: %d entries, the header says %d", ErrCorrupt, n, ix.entries)
	}
	return nil
}
