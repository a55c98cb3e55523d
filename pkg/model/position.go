package model

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Position numbers the accepted requests of one ingest log, from 1 upwards
// without reuse; 0 means "not from a log".
type Position uint64

// PositionSet is a set of positions as sorted, disjoint, inclusive ranges.
// The zero value is empty. A block's meta carries the set of requests that it
// holds, so that a replay can leave them out.
type PositionSet struct {
	ranges []positionRange
}

type positionRange struct{ lo, hi Position }

// Add puts a position into the set.
func (s *PositionSet) Add(p Position) { s.AddRange(p, p) }

// AddRange puts all positions of [lo, hi] into the set.
func (s *PositionSet) AddRange(lo, hi Position) {
	if lo > hi {
		return
	}
	if n := len(s.ranges); n > 0 && s.ranges[n-1].hi+1 == lo {
		s.ranges[n-1].hi = hi // the common case: requests arrive in order
		return
	}
	i := sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].hi+1 >= lo })
	j := i
	for j < len(s.ranges) && s.ranges[j].lo <= hi+1 {
		lo, hi = min(lo, s.ranges[j].lo), max(hi, s.ranges[j].hi)
		j++
	}
	s.ranges = slices.Replace(s.ranges, i, j, positionRange{lo, hi})
}

// Union adds all of another set.
func (s *PositionSet) Union(o PositionSet) {
	for _, r := range o.ranges {
		s.AddRange(r.lo, r.hi)
	}
}

// Contains reports whether a position is in the set.
func (s *PositionSet) Contains(p Position) bool {
	i := sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].hi >= p })
	return i < len(s.ranges) && s.ranges[i].lo <= p
}

// Min returns the least position; ok is false when the set is empty.
func (s *PositionSet) Min() (p Position, ok bool) {
	if len(s.ranges) == 0 {
		return 0, false
	}
	return s.ranges[0].lo, true
}

// Max returns the greatest position, 0 when empty.
func (s *PositionSet) Max() Position {
	if len(s.ranges) == 0 {
		return 0
	}
	return s.ranges[len(s.ranges)-1].hi
}

// Clone returns an independent copy.
func (s *PositionSet) Clone() PositionSet { return PositionSet{ranges: slices.Clone(s.ranges)} }

// Each yields the ranges in order.
func (s *PositionSet) Each(yield func(lo, hi Position) bool) {
	for _, r := range s.ranges {
		if !yield(r.lo, r.hi) {
			return
		}
	}
}

// String returns "1-7,9": also its JSON form.
func (s PositionSet) String() string {
	var b strings.Builder
	for i, r := range s.ranges {
		if i > 0 {
			b.WriteByte(',')
		}
		if r.lo == r.hi {
			fmt.Fprintf(&b, "%d", r.lo)
		} else {
			fmt.Fprintf(&b, "%d-%d", r.lo, r.hi)
		}
	}
	return b.String()
}

// MarshalText implements encoding.TextMarshaler.
func (s PositionSet) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *PositionSet) UnmarshalText(text []byte) error {
	s.ranges = nil
	if len(text) == 0 {
		return nil
	}
	for _, part := range strings.Split(string(text), ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		lo, err := strconv.ParseUint(from, 10, 64)
		if err != nil {
			return fmt.Errorf("cannot read position range %q: %w", part, err)
		}
		hi, err := strconv.ParseUint(to, 10, 64)
		if err != nil {
			return fmt.Errorf("cannot read position range %q: %w", part, err)
		}
		s.AddRange(Position(lo), Position(hi))
	}
	return nil
}
