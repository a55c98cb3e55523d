package block

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Retention says how long a tenant's blocks are kept. Zero fields keep forever.
type Retention struct {
	// MaxAge drops blocks whose newest row is older.
	MaxAge time.Duration
	// MaxBytes drops the oldest blocks of the tenant beyond this total.
	MaxBytes int64
}

// Drop is one block to remove, and why, in words for the log.
type Drop struct {
	Block  *Block
	Reason string
}

// PlanRetention returns the blocks of one tenant to remove, oldest first. It
// removes nothing by itself. The caller's clock decides what is old: pass one
// that does not jump (SteadyClock).
func PlanRetention(blocks []*Block, r Retention, now time.Time) []Drop {
	byAge := slices.Clone(blocks)
	slices.SortStableFunc(byAge, func(a, b *Block) int { return cmp.Compare(a.MaxTime, b.MaxTime) })
	var total int64
	for _, b := range byAge {
		total += b.Bytes()
	}
	var out []Drop
	oldest := now.Add(-r.MaxAge).UnixNano()
	for _, b := range byAge {
		switch {
		case r.MaxAge > 0 && b.MaxTime < oldest:
			out = append(out, Drop{b, fmt.Sprintf("its newest row is older than %v", r.MaxAge)})
		case r.MaxBytes > 0 && total > r.MaxBytes:
			out = append(out, Drop{b, fmt.Sprintf("the tenant's blocks take more than %d bytes", r.MaxBytes)})
		default:
			return out
		}
		total -= b.Bytes()
	}
	return out
}

// SteadyClock returns a clock that starts at the wall's time and then goes on
// by the time that really passes: a wall clock set forward by a day while the
// process runs does not make a day of data a day older.
func SteadyClock() func() time.Time {
	start := time.Now()
	wall := start.Round(0)
	return func() time.Time { return wall.Add(time.Since(start)) }
}
