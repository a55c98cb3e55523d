package logstore

// arena is memory for the decoded columns of one page after the other: what was
// handed out is taken back by reset. One goroutine uses it. A nil arena hands
// out memory of the garbage collector.
type arena struct {
	bytes slab[byte]
	words slab[uint64]
	codes slab[uint32]
	slots []slot // of one page's templates
	by    []slots
	// ahead has the keys of pages that will be asked for; reset leaves it.
	ahead   stretch
	aheadOf *blockReader
}

type slab[T any] struct {
	block []T
	used  int
}

func (s *slab[T]) get(n int) []T {
	if s.used+n > len(s.block) {
		if n > maxSlab {
			return make([]T, n)
		}
		s.block = make([]T, max(minSlab, n, min(2*len(s.block), maxSlab)))
		s.used = 0
	}
	out := s.block[s.used : s.used+n : s.used+n]
	s.used += n
	return out
}

const (
	minSlab = 1 << 14
	maxSlab = 1 << 22
)

func (a *arena) reset() {
	if a != nil {
		a.bytes.used, a.words.used, a.codes.used = 0, 0, 0
	}
}

// getBytes returns n bytes of any content.
func (a *arena) getBytes(n int) []byte {
	if a == nil {
		return make([]byte, n)
	}
	return a.bytes.get(n)
}

func (a *arena) getWords(n int) []uint64 {
	if a == nil {
		return make([]uint64, n)
	}
	return a.words.get(n)
}

func (a *arena) getCodes(n int) []uint32 {
	if a == nil {
		return make([]uint32, n)
	}
	return a.codes.get(n)
}

// getSlots returns n empty slots; those handed out before are taken back.
func (a *arena) getSlots(n int) []slot {
	if a == nil {
		return make([]slot, n)
	}
	if n > len(a.slots) {
		a.slots = make([]slot, n+n/2)
	}
	out := a.slots[:n:n]
	clear(out)
	return out
}

// getTemplates does the same for lists of a page's templates.
func (a *arena) getTemplates(n int) []slots {
	if a == nil {
		return make([]slots, n)
	}
	if n > len(a.by) {
		a.by = make([]slots, n+n/2)
	}
	out := a.by[:n:n]
	clear(out)
	return out
}
