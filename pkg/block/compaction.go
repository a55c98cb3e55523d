package block

import (
	"cmp"
	"slices"
	"time"
)

// Compaction says which blocks are worth merging.
type Compaction struct {
	// MaxRows bounds a merged block; default 1,048,576.
	MaxRows int64
	// MinBlocks is how many blocks of about one size make a merge worth its
	// writing; default 4. Each row is then rewritten about log4(MaxRows / rows
	// of a flush) times.
	MinBlocks int
	// MaxBlocks bounds the inputs of one merge; default 32.
	MaxBlocks int
	// Window keeps merges within aligned windows of time, so that retention
	// drops whole blocks; default 24 h. A block belongs to the window of its
	// oldest row.
	Window time.Duration
	// SettleAfter is the time after the end of a window when its leftovers,
	// two or more, are merged whatever their size; default 2 h.
	SettleAfter time.Duration
}

func (c Compaction) withDefaults() Compaction {
	if c.MaxRows <= 0 {
		c.MaxRows = 1 << 20
	}
	if c.MinBlocks < 2 {
		c.MinBlocks = 4
	}
	if c.MaxBlocks < c.MinBlocks {
		c.MaxBlocks = max(32, c.MinBlocks)
	}
	if c.Window <= 0 {
		c.Window = 24 * time.Hour
	}
	if c.SettleAfter <= 0 {
		c.SettleAfter = 2 * time.Hour
	}
	return c
}

// PlanCompaction returns the merges worth doing among the blocks of one tenant,
// smallest first; no block is in two of them. Inputs are neighbours in time
// within one window. Blocks that already have half of MaxRows are left alone.
func PlanCompaction(blocks []*Block, c Compaction, now time.Time) [][]*Block {
	c = c.withDefaults()
	windows := map[int64][]*Block{}
	for _, b := range blocks {
		if b.Rows <= c.MaxRows/2 {
			w := floorDiv(b.MinTime, int64(c.Window))
			windows[w] = append(windows[w], b)
		}
	}
	var plan [][]*Block
	for w, group := range windows {
		slices.SortFunc(group, func(a, b *Block) int {
			return cmp.Or(cmp.Compare(a.MinTime, b.MinTime), cmp.Compare(a.ID, b.ID))
		})
		end := time.Unix(0, (w+1)*int64(c.Window))
		plan = append(plan, c.window(group, now.Sub(end) > c.SettleAfter)...)
	}
	slices.SortFunc(plan, func(a, b []*Block) int {
		return cmp.Or(cmp.Compare(rows(a), rows(b)), cmp.Compare(a[0].ID, b[0].ID))
	})
	return plan
}

// window plans within one window: by tiers of size, each four times the one
// below, so that a big block is not rewritten for the sake of a small one.
func (c Compaction) window(group []*Block, settled bool) [][]*Block {
	if settled {
		return c.runs(group, 2)
	}
	var plan [][]*Block
	for lo, hi := int64(0), int64(smallestTier); lo <= c.MaxRows/2; lo, hi = hi, hi*4 {
		var tier []*Block
		for _, b := range group {
			if b.Rows >= lo && b.Rows < hi {
				tier = append(tier, b)
			}
		}
		plan = append(plan, c.runs(tier, c.MinBlocks)...)
	}
	return plan
}

// smallestTier lumps the smallest blocks together: below this many rows a
// block costs its overhead, not its rows.
const smallestTier = 4096

// runs cuts neighbours into merges of at least minBlocks within the bounds.
func (c Compaction) runs(group []*Block, minBlocks int) [][]*Block {
	var plan [][]*Block
	var run []*Block
	flush := func() {
		if len(run) >= minBlocks {
			plan = append(plan, run)
		}
		run = nil
	}
	for _, b := range group {
		if len(run) == c.MaxBlocks || len(run) > 0 && rows(run)+b.Rows > c.MaxRows {
			flush()
		}
		run = append(run, b)
	}
	flush()
	return plan
}

func rows(blocks []*Block) int64 {
	var n int64
	for _, b := range blocks {
		n += b.Rows
	}
	return n
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
