package logstore

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxPageText bounds the text of one column in one page, on the way in and,
	// as a guard against damaged lengths, on the way out. A page is cut before
	// its bodies reach maxPageBody; attributes come on top.
	maxPageText = 256 << 20
	maxPageBody = 4 << 20
	// plainBelow is the size below which zstd's overhead does not pay.
	plainBelow = 64
)

// encoder holds what encoding chunks needs again and again. Not safe for
// concurrent use.
type encoder struct {
	zstd    *zstd.Encoder
	ints    []int64
	local   []uint32
	slot    []uint32 // by code: 1 + its place in local, if it is there
	buf     []byte
	slotBuf []byte

	// of the chunk being encoded: where it begins, and its byte for absent rows
	from   int
	sparse byte
	// joined writes templates in the old encoding: tests
	joined bool
}

func newEncoder() (*encoder, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	return &encoder{zstd: z}, err
}

// decoder is shared: DecodeAll is safe for concurrent use.
var decoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxPageText), zstd.IgnoreChecksum(true))
})

// appendText encodes strings by what they look like.
func (e *encoder) appendText(dst []byte, v *vector, t *templateSet) (byte, []byte) {
	if enc, out, ok := e.shaped(dst, v); ok {
		return enc, out
	}
	if out, ok := e.appendTemplates(dst, v, t); ok {
		if e.joined {
			return encTemplate, out
		}
		return encLines, out
	}
	e.ints = e.ints[:0]
	for i := range v.n {
		e.ints = append(e.ints, int64(v.offs[i+1]-v.offs[i]))
	}
	dst = appendInts(dst, e.ints)
	data := v.data[v.offs[0]:v.offs[v.n]]
	if len(data) >= plainBelow {
		e.buf = e.zstd.EncodeAll(data, e.buf[:0])
		if len(e.buf) < len(data) {
			return encText, append(binary.AppendUvarint(dst, uint64(len(data))), e.buf...)
		}
	}
	return encPlain, append(dst, data...)
}

// shaped tries the shapes that ids have; the first value decides which.
func (e *encoder) shaped(dst []byte, v *vector) (byte, []byte, bool) {
	if v.n == 0 {
		return 0, dst, false
	}
	first := v.str(0)
	if len(first) == 36 && first[8] == '-' {
		if out, ok := appendUUIDs(dst, v); ok {
			return encUUID, out, true
		}
	}
	if out, ok := e.appendCounters(dst, v); ok {
		return encCounter, out, true
	}
	if len(first) >= 8 && len(first)%2 == 0 && len(first) <= 128 {
		if out, ok := appendHexes(dst, v, len(first)); ok {
			return encHex, out, true
		}
	}
	return 0, dst, false
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// hexDigits has the values of lower-case hex digits, and noHex for other bytes.
var hexDigits = func() (t [256]byte) {
	for i := range t {
		d, ok := hexDigit(byte(i))
		if t[i] = d; !ok {
			t[i] = noHex
		}
	}
	return t
}()

const noHex = 0xf0

// appendHex appends the bytes of lower-case hex digits, which are even in number.
func appendHex(dst []byte, s string) ([]byte, bool) {
	bad := byte(0)
	for ; len(s) >= 2; s = s[2:] {
		a, b := hexDigits[s[0]], hexDigits[s[1]]
		bad |= a | b
		dst = append(dst, a<<4|b)
	}
	return dst, bad&noHex == 0
}

// uuidParts are where the digits of a UUID stand.
var uuidParts = [...][2]int{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}}

func appendUUIDs(dst []byte, v *vector) ([]byte, bool) {
	for i := range v.n {
		s := v.str(i)
		if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			return nil, false
		}
		for _, p := range uuidParts {
			var ok bool
			if dst, ok = appendHex(dst, s[p[0]:p[1]]); !ok {
				return nil, false
			}
		}
	}
	return dst, true
}

func appendHexes(dst []byte, v *vector, size int) ([]byte, bool) {
	dst = binary.AppendUvarint(dst, uint64(size))
	for i := range v.n {
		s := v.str(i)
		if len(s) != size {
			return nil, false
		}
		var ok bool
		if dst, ok = appendHex(dst, s); !ok {
			return nil, false
		}
	}
	return dst, true
}

// appendCounters encodes values that are one prefix and a number of up to 18
// digits: without leading zeros, or all of one width.
func (e *encoder) appendCounters(dst []byte, v *vector) ([]byte, bool) {
	first := v.str(0)
	p := len(first)
	for p > 0 && first[p-1] >= '0' && first[p-1] <= '9' {
		p--
	}
	prefix := first[:p]
	if p == len(first) || p > 255 {
		return nil, false
	}
	e.ints = e.ints[:0]
	width, free, fixed := len(first), true, true
	for i := range v.n {
		s := v.str(i)
		if len(s) <= p || len(s)-p > 18 || s[:p] != prefix {
			return nil, false
		}
		x := int64(0)
		for _, c := range []byte(s[p:]) {
			if c < '0' || c > '9' {
				return nil, false
			}
			x = x*10 + int64(c-'0')
		}
		free = free && (s[p] != '0' || len(s) == p+1)
		fixed = fixed && len(s) == width
		if !free && !fixed {
			return nil, false
		}
		e.ints = append(e.ints, x)
	}
	dst = appendString(dst, prefix)
	if free {
		dst = append(dst, 0)
	} else {
		dst = append(dst, byte(width-p))
	}
	return appendInts(dst, e.ints), true
}

// text decodes the texts of a vector whose n is known.
func (r chunkReader) text(v *vector, enc byte, src []byte) error {
	switch enc {
	case encUUID:
		return r.uuids(v, src)
	case encHex:
		return r.hexes(v, src)
	case encCounter:
		return r.counters(v, src)
	}
	lens, src, err := readInts(asInts(r.mem.getWords(v.n)), src, v.n)
	if err != nil {
		return err
	}
	if v.offs, err = r.offsets(lens); err != nil {
		return err
	}
	at := int64(v.offs[v.n])
	if enc == encPlain {
		if int64(len(src)) != at {
			return errShort
		}
		v.data = src
		return nil
	}
	size, src, err := readUvarint(src, math.MaxUint32)
	if err != nil || int64(size) != at {
		return errShort
	}
	z, err := decoder()
	if err != nil {
		return err
	}
	// a damaged size must not make us ask for memory that the frame cannot fill
	if v.data, err = z.DecodeAll(src, r.mem.getBytes(min(size, len(src)<<8+1024))[:0]); err != nil || len(v.data) != size {
		return errShort
	}
	return nil
}

// uuids and hexes keep the bytes until somebody asks for the texts.
func (r chunkReader) uuids(v *vector, src []byte) error {
	if len(src) != 16*v.n {
		return errShort
	}
	v.packed = &packed{raw: src, size: 16, uuid: true, r: r}
	return nil
}

func (r chunkReader) hexes(v *vector, src []byte) error {
	size, src, err := hexHead(src)
	if err != nil || len(src) != size*v.n {
		return errShort
	}
	v.packed = &packed{raw: src, size: size, r: r}
	return nil
}

// hexHead reads how many bytes a text of hex digits stands for.
func hexHead(src []byte) (int, []byte, error) {
	size, src, err := readUvarint(src, 128)
	if err != nil || size%2 != 0 {
		return 0, nil, errShort
	}
	return size / 2, src, nil
}

// packed is the bytes that UUIDs, or texts of hex digits, stand for.
type packed struct {
	raw  []byte
	size int // of one
	uuid bool
	r    chunkReader
}

// textSize is the length of a text.
func (p *packed) textSize() int {
	if p.uuid {
		return 36
	}
	return 2 * p.size
}

// append appends the text of value i.
func (p *packed) append(dst []byte, i int) []byte {
	return appendUnpacked(dst, p.raw[i*p.size:(i+1)*p.size], p.uuid)
}

func appendUnpacked(dst, s []byte, uuid bool) []byte {
	if !uuid {
		return hex.AppendEncode(dst, s)
	}
	dst = append(hex.AppendEncode(dst, s[0:4]), '-')
	dst = append(hex.AppendEncode(dst, s[4:6]), '-')
	dst = append(hex.AppendEncode(dst, s[6:8]), '-')
	dst = append(hex.AppendEncode(dst, s[8:10]), '-')
	return hex.AppendEncode(dst, s[10:16])
}

// pack returns the bytes that a text stands for; false when it is none of them.
func (p *packed) pack(text string) ([]byte, bool) {
	if len(text) != p.textSize() {
		return nil, false
	}
	if !p.uuid {
		return appendHex(nil, text)
	}
	if text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return nil, false
	}
	out := make([]byte, 0, 16)
	for _, part := range uuidParts {
		var ok bool
		if out, ok = appendHex(out, text[part[0]:part[1]]); !ok {
			return nil, false
		}
	}
	return out, true
}

func (r chunkReader) counters(v *vector, src []byte) error {
	prefix, width, src, err := counterHead(src)
	if err != nil {
		return err
	}
	ints, err := r.positive(src, v.n)
	if err != nil {
		return err
	}
	v.counter = &counter{prefix: prefix, width: width, ints: ints, r: r}
	return nil
}

func counterHead(src []byte) (prefix string, width int, rest []byte, err error) {
	n, src, err := readUvarint(src, 255)
	if err != nil || n >= len(src) || src[n] > 18 {
		return "", 0, nil, errShort
	}
	return view(src[:n]), int(src[n]), src[n+1:], nil // what aliases the chunk lives as long as its page
}

// positive reads integers that are not negative.
func (r chunkReader) positive(src []byte, n int) ([]int64, error) {
	ints, _, err := readInts(asInts(r.mem.getWords(n)), src, n)
	if err != nil {
		return nil, err
	}
	for _, x := range ints {
		if x < 0 {
			return nil, errShort
		}
	}
	return ints, nil
}

// counter is what texts of one prefix and a number are before somebody asks for
// the texts.
type counter struct {
	prefix string
	width  int
	ints   []int64
	r      chunkReader
}

// lazy reports whether the texts of a vector may not be there yet.
func (v *vector) lazy() bool { return v.counter != nil || v.tmpl != nil || v.packed != nil }

// expand makes the texts of a vector that does not have them yet.
func (v *vector) expand() error {
	switch {
	case v.offs != nil:
	case v.tmpl != nil:
		return v.tmpl.build(v, v.tmpl.r.only)
	case v.counter != nil:
		c := v.counter
		v.room(c.r.mem, v.n*(len(c.prefix)+19))
		for i, x := range c.ints {
			if c.r.wants(v, i) {
				v.data = c.append(v.data, x)
			}
			v.offs[i+1] = uint32(len(v.data))
		}
	case v.packed != nil:
		p := v.packed
		v.room(p.r.mem, v.n*p.textSize())
		for i := range v.n {
			if p.r.wants(v, i) {
				v.data = p.append(v.data, i)
			}
			v.offs[i+1] = uint32(len(v.data))
		}
	}
	return nil
}

// room makes place for so many bytes of text.
func (v *vector) room(mem *arena, size int) {
	v.offs = mem.getCodes(v.n + 1)
	v.offs[0] = 0
	v.data = mem.getBytes(size)[:0]
}

// equal sets the rows whose text is the one given, without making texts; false
// when it cannot tell.
func (v *vector) equal(text string, left, out bitset) bool {
	switch {
	case v.offs != nil:
		return false
	case v.counter != nil:
		c := v.counter
		x, ok := c.parse(text)
		if !ok {
			return true
		}
		for i, y := range c.ints[:v.n] {
			if x == y {
				if row := v.row(i); left.has(row) {
					out.set(row)
				}
			}
		}
		return true
	case v.packed != nil:
		p := v.packed
		want, ok := p.pack(text)
		if !ok {
			return true
		}
		for i := range v.n {
			if view(p.raw[i*p.size:(i+1)*p.size]) == view(want) {
				if row := v.row(i); left.has(row) {
					out.set(row)
				}
			}
		}
		return true
	}
	return false
}

// parse returns the number for which a text stands; false when it is none of
// the counter's.
func (c *counter) parse(text string) (int64, bool) {
	digits, ok := strings.CutPrefix(text, c.prefix)
	if !ok || digits == "" || len(digits) > 18 {
		return 0, false
	}
	x := int64(0)
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, false
		}
		x = x*10 + int64(digits[i]-'0')
	}
	// the text of a number is one: what has more or fewer zeros is another
	return x, string(c.append(nil, x)) == text
}

func (c *counter) append(dst []byte, x int64) []byte {
	return appendCounter(dst, c.prefix, c.width, x)
}

func appendCounter(dst []byte, prefix string, width int, x int64) []byte {
	dst = append(dst, prefix...)
	at := len(dst)
	dst = strconv.AppendInt(dst, x, 10)
	for len(dst)-at < width {
		dst = append(dst, 0)
		copy(dst[at+1:], dst[at:])
		dst[at] = '0'
	}
	return dst
}
