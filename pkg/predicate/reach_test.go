package predicate

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Against trying every place: an expression of ids and of what says nothing about
// places holds only where Reach says, and Less takes away only what never holds
// there.
func TestReachAndLessLeaveNothingOut(t *testing.T) {
	const places = 6
	r := rand.New(rand.NewPCG(3, 4))
	in := map[Expr]map[int]struct{}{} // where each id is
	var draw func(depth int) Expr
	draw = func(depth int) Expr {
		switch n := r.IntN(6); {
		case depth > 0 && n == 0:
			out := And{}
			for range r.IntN(4) {
				out = append(out, draw(depth-1))
			}
			return out
		case depth > 0 && n <= 2:
			out := Or{}
			for range r.IntN(4) {
				out = append(out, draw(depth-1))
			}
			return out
		case n == 3:
			return True{}
		}
		id := Correlated{Kind: "k", ID: string(rune('a' + r.IntN(8)))}
		if in[id] == nil {
			in[id] = map[int]struct{}{}
			for p := range places {
				if r.IntN(3) == 0 {
					in[id][p] = struct{}{}
				}
			}
		}
		return id
	}
	var holds func(e Expr, at int) bool
	holds = func(e Expr, at int) bool {
		switch e := e.(type) {
		case And:
			for _, x := range e {
				if !holds(x, at) {
					return false
				}
			}
			return true
		case Or:
			for _, x := range e {
				if holds(x, at) {
					return true
				}
			}
			return false
		case Correlated:
			_, ok := in[e][at]
			return ok
		}
		return true
	}
	narrowed, emptied := 0, 0
	for range 5000 {
		e := draw(3)
		reach, narrow := Reach(e, func(e Expr) (map[int]struct{}, bool) {
			at, ok := in[e]
			return at, ok
		})
		for at := range places {
			left, none := Less(e, func(e Expr) bool {
				where, ok := in[e]
				_, has := where[at]
				return ok && !has
			})
			if holds(e, at) {
				require.False(t, none, "%v", e)
				if narrow {
					require.Contains(t, reach, at, "%v", e)
				}
			}
			if none {
				emptied++
			} else {
				require.Equal(t, holds(e, at), holds(left, at), "%v became %v", e, left)
			}
		}
		if narrow {
			narrowed++
		}
	}
	require.Greater(t, narrowed, 500)
	require.Greater(t, emptied, 500)
}
