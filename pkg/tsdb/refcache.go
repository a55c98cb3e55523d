package tsdb

// refCache knows the series references of streams. It holds no pointers per
// stream (the map and the slab are opaque to the garbage collector) and is
// bounded by two generations: when the young one is full it becomes the old
// one, and what is asked for again moves back. It belongs to one shard and is
// guarded by that shard's lock.
//
// A reference may be stale, because the head forgets series that have no
// samples left. The head then refuses the append for want of labels, and the
// caller builds them and calls put again.
type refCache struct {
	young, old refGeneration
	max        int // series in a generation

	hits, misses uint64
}

type refGeneration struct {
	streams map[identity]refSpan
	slab    []uint64
	// owners names the stream that brought a series first, by the first
	// reference of the stream.
	owners map[uint64]identity
}

func newGeneration(room int) refGeneration {
	return refGeneration{streams: map[identity]refSpan{}, owners: map[uint64]identity{}, slab: make([]uint64, 0, room)}
}

// refSpan is where a stream's references are in the slab, and what is
// remembered of its last point.
type refSpan struct {
	off   uint32
	n     uint16
	flags uint16
	// start is the stream's start time in Unix ms, as last seen.
	start int64
}

const (
	// spanForeign marks a stream whose own attributes say another job or
	// instance than its resource: it is appended under the exclusive lock.
	spanForeign uint16 = 1 << iota
	// spanShared marks a stream whose series another stream has as well: they
	// differ in what does not become a label, and may contradict each other.
	spanShared
)

func newRefCache(maxSeries int) *refCache {
	c := &refCache{max: max(maxSeries/2, 64)}
	c.young = newGeneration(0)
	return c
}

// get returns the references of a stream. The slice is valid until the next
// put; start and flags may be changed through set.
func (c *refCache) get(id identity) (span refSpan, refs []uint64, ok bool) {
	if span, ok = c.young.streams[id]; ok {
		c.hits++
		return span, c.young.slab[span.off : span.off+uint32(span.n)], true
	}
	if span, ok = c.old.streams[id]; ok {
		c.hits++
		refs = c.old.slab[span.off : span.off+uint32(span.n)]
		span = c.put(id, refs, span.start, span.flags)
		return span, c.young.slab[span.off : span.off+uint32(span.n)], true
	}
	c.misses++
	return refSpan{}, nil, false
}

// put remembers a stream; refs are copied.
func (c *refCache) put(id identity, refs []uint64, start int64, flags uint16) refSpan {
	if len(c.young.slab)+len(refs) > c.max {
		c.old = c.young
		c.young = newGeneration(min(c.max, 1<<16))
	}
	span, ok := c.young.streams[id]
	if !ok || int(span.n) != len(refs) {
		span = refSpan{off: uint32(len(c.young.slab)), n: uint16(len(refs))}
		c.young.slab = append(c.young.slab, refs...)
	} else {
		copy(c.young.slab[span.off:], refs)
	}
	span.start, span.flags = start, flags|c.own(id, refs)
	c.young.streams[id] = span
	return span
}

// own notes whose series a stream's are, and marks both streams when they are
// another's already.
func (c *refCache) own(id identity, refs []uint64) (flags uint16) {
	if len(refs) == 0 || refs[0] == 0 {
		return 0
	}
	owner, ok := c.young.owners[refs[0]]
	if !ok || owner == id {
		c.young.owners[refs[0]] = id
		return 0
	}
	if span, ok := c.young.streams[owner]; ok {
		span.flags |= spanShared
		c.young.streams[owner] = span
	}
	return spanShared
}

// setStart remembers a new start time of a stream that get has just returned.
func (c *refCache) setStart(id identity, span refSpan, start int64) {
	span.start = start
	c.young.streams[id] = span
}

// series returns how many references are held.
func (c *refCache) series() int { return len(c.young.slab) + len(c.old.slab) }
