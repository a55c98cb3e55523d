package tracestore

import "math"

// numbers is a list that takes two bytes a number as long as all are below 2^16,
// and four from then on.
type numbers struct {
	small []uint16
	large []uint32 // in the place of small, when not nil
}

// newNumbers returns an empty list with room for n.
func newNumbers(n int) numbers { return numbers{small: make([]uint16, 0, n)} }

func (v *numbers) len() int { return max(len(v.small), len(v.large)) }

func (v *numbers) at(i uint32) uint32 {
	if v.large != nil {
		return v.large[i]
	}
	return uint32(v.small[i])
}

func (v *numbers) add(x uint32) {
	if x > math.MaxUint16 {
		v.widen()
	}
	if v.large != nil {
		v.large = append(v.large, x)
		return
	}
	v.small = append(v.small, uint16(x))
}

func (v *numbers) set(i, x uint32) {
	if x > math.MaxUint16 {
		v.widen()
	}
	if v.large != nil {
		v.large[i] = x
		return
	}
	v.small[i] = uint16(x)
}

func (v *numbers) widen() {
	if v.large != nil {
		return
	}
	v.large = make([]uint32, len(v.small), max(1, cap(v.small)))
	for i, x := range v.small {
		v.large[i] = uint32(x)
	}
	v.small = nil
}

// slice returns the numbers [lo, hi): in room, which has to be large enough, or
// where they lie. They are only read.
func (v *numbers) slice(room []uint32, lo, hi uint32) []uint32 {
	if v.large != nil {
		return v.large[lo:hi]
	}
	room = room[:hi-lo]
	for i, x := range v.small[lo:hi] {
		room[i] = uint32(x)
	}
	return room
}

// part returns the numbers [lo, hi), which are only read.
func (v *numbers) part(lo, hi uint32) numbers {
	if v.large != nil {
		return numbers{large: v.large[lo:hi]}
	}
	return numbers{small: v.small[lo:hi]}
}

func (v *numbers) fitted() numbers { return numbers{fitted(v.small), fitted(v.large)} }

func (v *numbers) bytes() int64 { return 2*int64(cap(v.small)) + 4*int64(cap(v.large)) }
