package block

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// at makes a block of a size whose rows are hours from..to after the epoch.
func at(name string, from, to int, rows, size int64) *Block {
	hour := func(h int) int64 { return epoch.Truncate(24 * time.Hour).Add(time.Duration(h) * time.Hour).UnixNano() }
	return &Block{Meta: Meta{ID: ID(name), MinTime: hour(from), MaxTime: hour(to), Rows: rows, Files: []File{{Size: size}}}}
}

func TestRetentionByAgeAndSize(t *testing.T) {
	blocks := []*Block{at("c", 4, 6, 1, 10), at("a", 0, 2, 1, 10), at("d", 6, 8, 1, 10), at("b", 2, 4, 1, 10)}
	now := epoch.Truncate(24 * time.Hour).Add(10 * time.Hour)
	for _, c := range []struct {
		r    Retention
		want string
	}{
		{Retention{}, ""},
		{Retention{MaxAge: 7 * time.Hour}, "a"},
		{Retention{MaxAge: 6 * time.Hour}, "a"},
		{Retention{MaxAge: 5 * time.Hour}, "ab"},
		{Retention{MaxBytes: 40}, ""},
		{Retention{MaxBytes: 39}, "a"},
		{Retention{MaxBytes: 10}, "abc"},
		{Retention{MaxBytes: 25, MaxAge: 7 * time.Hour}, "ab"},
		{Retention{MaxAge: time.Hour}, "abcd"},
	} {
		got := ""
		for _, d := range PlanRetention(blocks, c.r, now) {
			require.NotEmpty(t, d.Reason)
			got += string(d.Block.ID)
		}
		require.Equal(t, c.want, got, "%+v", c.r)
	}
}

func planText(plan [][]*Block) string {
	s := ""
	for i, run := range plan {
		if i > 0 {
			s += " "
		}
		for _, b := range run {
			s += string(b.ID)
		}
	}
	return s
}

func TestCompactionJoinsNeighboursOfOneSize(t *testing.T) {
	now := epoch.Truncate(24 * time.Hour).Add(12 * time.Hour)
	later := now.Add(15 * time.Hour)
	small := func(n int) (out []*Block) {
		for i := range n {
			out = append(out, at(string(rune('a'+i)), i, i+1, 1000, 1))
		}
		return out
	}
	for _, c := range []struct {
		name   string
		blocks []*Block
		now    time.Time
		want   string
	}{
		{"too few", small(3), now, ""},
		{"enough", small(4), now, "abcd"},
		{"a big one is left alone", append(small(4), at("z", 2, 3, 900_000, 1)), now, "abcd"},
		{"sizes apart stay apart", append(small(3), at("z", 2, 3, 100_000, 1)), now, ""},
		{"a settled window takes leftovers", append(small(2), at("z", 3, 4, 100_000, 1)), later, "abz"},
		{"one leftover is nothing to merge", small(1), later, ""},
		{"windows stay apart", append(small(2), at("y", 24, 25, 1000, 1), at("z", 25, 26, 1000, 1)), now, ""},
	} {
		require.Equal(t, c.want, planText(PlanCompaction(c.blocks, Compaction{}, c.now)), c.name)
	}
}

// TestCompactionComesToRest merges whatever is planned until nothing is: no
// merge breaks a bound, and rows are rewritten few times.
func TestCompactionComesToRest(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	c := Compaction{MaxRows: 1 << 18}.withDefaults()
	var blocks []*Block
	var written, flushed int64
	now := epoch.Truncate(24 * time.Hour)
	for i := range 1000 {
		r := 1 + rng.Int64N(4000)
		flushed += r
		now = now.Add(5 * time.Minute)
		b := &Block{Meta: Meta{ID: ID(fmt.Sprintf("%08d", i)), MinTime: now.UnixNano(), MaxTime: now.UnixNano(), Rows: r}}
		blocks = append(blocks, b)
		for plan := PlanCompaction(blocks, c, now); len(plan) > 0; plan = PlanCompaction(blocks, c, now) {
			for _, run := range plan {
				merged := &Block{Meta: Meta{ID: run[0].ID, MinTime: run[0].MinTime, MaxTime: now.UnixNano(), Rows: rows(run)}}
				require.LessOrEqual(t, merged.Rows, c.MaxRows)
				require.LessOrEqual(t, len(run), c.MaxBlocks)
				written += merged.Rows
				in := map[*Block]bool{}
				for _, b := range run {
					in[b] = true
				}
				var rest []*Block
				for _, b := range blocks {
					if !in[b] {
						rest = append(rest, b)
					}
				}
				require.Len(t, rest, len(blocks)-len(run), "a block is planned twice")
				blocks = append(rest, merged)
			}
		}
	}
	require.Equal(t, flushed, rows(blocks))
	require.Less(t, len(blocks), 40)
	require.Less(t, float64(written)/float64(flushed), 6.0, "write amplification")
}
