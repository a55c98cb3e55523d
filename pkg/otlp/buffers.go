package otlp

import (
	"errors"
	"sync"
	"unsafe"

	"braid/pkg/model"
)

// MaxDepth bounds the nesting of arrays and maps in an attribute value.
const MaxDepth = 64

// DefaultMaxBytes bounds the memory that one decoded payload may take beside
// the payload itself: eight times the default size limit of a request.
const DefaultMaxBytes = 512 << 20

// keepBytes is the most memory that a Buffers takes back to the pool. A larger
// one came from a rare request and goes to the garbage collector.
const keepBytes = 32 << 20

// ErrTooLarge is returned for a payload that would decode to more memory than
// Buffers.MaxBytes.
var ErrTooLarge = errors.New("payload decodes to more memory than allowed; send smaller batches")

// Buffers is the memory of one decoded payload: slabs of records, attributes and
// points, and an arena for text that is not in the payload. What a Decode
// function returned is valid until Put. Not safe for concurrent use.
type Buffers struct {
	// MaxBytes bounds the slabs; 0 means DefaultMaxBytes.
	MaxBytes int

	logs    model.Logs
	spans   model.Spans
	metrics model.Metrics

	resources  slab[model.Resource]
	scopes     slab[model.Scope]
	attrs      slab[model.Attr]
	records    slab[model.LogRecord]
	spanRows   slab[model.Span]
	events     slab[model.SpanEvent]
	links      slab[model.SpanLink]
	metricRows slab[model.Metric]
	points     slab[model.Point]
	exemplars  slab[model.Exemplar]
	quantiles  slab[model.Quantile]
	floats     slab[float64]
	uints      slab[uint64]

	text    arena
	wire    []byte // JSON turned into protobuf
	scratch []byte
	leaves  []model.Attr
	seen    map[string]int // places of the keys of the attributes that begin at seenOf
	seenOf  *model.Attr

	used     int
	overflow bool
}

var pool = sync.Pool{New: func() any { return &Buffers{} }}

// Get takes an empty Buffers from the pool.
func Get() *Buffers { return pool.Get().(*Buffers) }

// Put gives a Buffers back. Nothing that was decoded into it may be used after.
func Put(b *Buffers) {
	b.Reset()
	if b.held() <= keepBytes {
		pool.Put(b)
	}
}

// Reset empties the Buffers for another payload.
func (b *Buffers) Reset() {
	b.logs.Batches = emptied(b.logs.Batches)
	b.spans.Batches = emptied(b.spans.Batches)
	b.metrics.Batches = emptied(b.metrics.Batches)
	b.resources.reset()
	b.scopes.reset()
	b.attrs.reset()
	b.records.reset()
	b.spanRows.reset()
	b.events.reset()
	b.links.reset()
	b.metricRows.reset()
	b.points.reset()
	b.exemplars.reset()
	b.quantiles.reset()
	b.floats.reset()
	b.uints.reset()
	b.text.reset()
	b.wire, b.scratch = b.wire[:0], b.scratch[:0]
	b.leaves = emptied(b.leaves[:cap(b.leaves)])
	clear(b.seen)
	b.seenOf = nil
	b.used, b.overflow = 0, false
}

// emptied forgets the elements and keeps the memory.
func emptied[T any](s []T) []T {
	clear(s)
	return s[:0]
}

func (b *Buffers) held() int {
	return b.resources.held() + b.scopes.held() + b.attrs.held() + b.records.held() + b.spanRows.held() + b.events.held() +
		b.links.held() + b.metricRows.held() + b.points.held() + b.exemplars.held() + b.quantiles.held() +
		b.floats.held() + b.uints.held() + b.text.held() + cap(b.wire) + cap(b.scratch)
}

// take returns n zeroed elements with no room to grow; nil, and a noted
// overflow, when they would pass the Buffers' limit.
func take[T any](b *Buffers, s *slab[T], n int) []T {
	if n == 0 {
		return nil
	}
	var t T
	limit := b.MaxBytes
	if limit == 0 {
		limit = DefaultMaxBytes
	}
	if b.used += n * int(unsafe.Sizeof(t)); b.used > limit {
		b.overflow = true
		return nil
	}
	return s.take(n)
}

// slab hands out runs of elements from chunks that are kept between uses.
type slab[T any] struct {
	chunks [][]T
	cur    int // the chunk that is being handed out
	off    int // how much of it is gone
}

const (
	minChunk = 64
	maxChunk = 32 << 10
)

func (s *slab[T]) take(n int) []T {
	for s.cur < len(s.chunks) {
		if c := s.chunks[s.cur]; len(c)-s.off >= n {
			s.off += n
			return c[s.off-n : s.off : s.off]
		}
		s.cur, s.off = s.cur+1, 0
	}
	size := minChunk
	if k := len(s.chunks); k > 0 {
		size = min(2*len(s.chunks[k-1]), maxChunk)
	}
	c := make([]T, max(n, size))
	s.chunks = append(s.chunks, c)
	s.off = n
	return c[:n:n]
}

// reset clears what was handed out: the payload's strings must not stay
// reachable, and take promises zeroes.
func (s *slab[T]) reset() {
	for i := 0; i <= s.cur && i < len(s.chunks); i++ {
		clear(s.chunks[i])
	}
	s.cur, s.off = 0, 0
}

func (s *slab[T]) held() int {
	var t T
	n := 0
	for _, c := range s.chunks {
		n += len(c) * int(unsafe.Sizeof(t))
	}
	return n
}

// arena holds text that is not in the payload. Strings handed out stay valid
// until reset: a full chunk is left as it is and a new one begun.
type arena struct {
	chunk []byte
	full  int // bytes in chunks given up
}

const arenaChunk = 16 << 10

// keep copies text into the arena.
func (a *arena) keep(text []byte) string {
	if len(text) == 0 {
		return ""
	}
	if cap(a.chunk)-len(a.chunk) < len(text) {
		a.full += cap(a.chunk)
		a.chunk = make([]byte, 0, max(len(text), min(max(arenaChunk, 2*cap(a.chunk)), 1<<20)))
	}
	start := len(a.chunk)
	a.chunk = append(a.chunk, text...)
	return alias(a.chunk[start:])
}

// reset begins the present chunk anew. Chunks given up belong to their strings.
func (a *arena) reset() {
	a.chunk = a.chunk[:0]
	a.full = 0
}

func (a *arena) held() int { return cap(a.chunk) }

// alias reads bytes as a string without a copy. The bytes must not change while
// the string is in use.
func alias(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b))
}

// unalias reads a string as bytes without a copy. They must not be written to.
func unalias(s string) []byte {
	if s == "" {
		return nil
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// Used returns the bytes of memory that the decoded payload takes.
func (b *Buffers) Used() int { return b.used + cap(b.wire) }

// Charge counts n bytes that a decoder of another protocol allocates against the
// Buffers' limit, so that it is bounded as OTLP is.
func (b *Buffers) Charge(n int) error {
	limit := b.MaxBytes
	if limit == 0 {
		limit = DefaultMaxBytes
	}
	if b.used += n; b.used > limit {
		return ErrTooLarge
	}
	return nil
}
