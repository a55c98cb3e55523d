package traceql

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

func showPath(t *Tree, rows []model.SpanRow) string {
	var b strings.Builder
	for _, s := range t.CriticalPath() {
		fmt.Fprintf(&b, "%s %s-%s; ", rows[s.Span].Name, time.Duration(s.Start-epoch), time.Duration(s.End-epoch))
	}
	return b.String()
}

func TestCriticalPathWaitsForTheLastChild(t *testing.T) {
	rows := readTraces(t, `
trace 1
  root dur=100ms
    quick at=10ms dur=20ms
    slow at=10ms dur=50ms
      inner at=20ms dur=10ms
    late at=70ms dur=60ms
    before at=-20ms dur=10ms
`)
	tree := BuildTree(rows)
	require.Equal(t, "root 0s-10ms; slow 10ms-20ms; inner 20ms-30ms; slow 30ms-60ms; root 60ms-70ms; late 70ms-100ms; ", showPath(tree, rows))
	self := tree.SelfTimes()
	require.Equal(t, 20*time.Millisecond, time.Duration(self[0]))
	require.Equal(t, 40*time.Millisecond, time.Duration(self[2]))
	require.Equal(t, 60*time.Millisecond, time.Duration(self[4]))
}

// TestCriticalPathCoversTheRoot: whatever the trace, the segments follow each
// other without gap and add up to the root.
func TestCriticalPathCoversTheRoot(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for range 300 {
		rows := randomTraces(r)
		for i := range rows {
			rows[i].TraceID[15] = 1
			rows[i].Start = epoch + r.Int64N(50)
			rows[i].End = rows[i].Start + r.Int64N(50) - 3
		}
		tree := BuildTree(rows)
		root := &rows[tree.MainRoot()]
		at := root.Start
		for _, s := range tree.CriticalPath() {
			require.Equal(t, at, s.Start, "seed %d", seed)
			require.Greater(t, s.End, s.Start)
			at = s.End
		}
		require.Equal(t, max(root.Start, root.End), at, "seed %d", seed)
		for i, self := range tree.SelfTimes() {
			require.GreaterOrEqual(t, self, int64(0))
			require.LessOrEqual(t, self, rows[i].Duration())
		}
	}
	require.Empty(t, BuildTree(nil).CriticalPath())
	require.NotEmpty(t, BuildTree(chain(100_000)).CriticalPath())
}

func TestCompareTraces(t *testing.T) {
	a := readTraces(t, "trace 1\n  root svc=f dur=10ms\n    q svc=db dur=1ms\n    gone svc=x dur=1ms\n")
	b := readTraces(t, "trace 2\n  root svc=f dur=90ms\n    q svc=db dur=20ms\n    q svc=db at=30ms dur=20ms status=error\n    new svc=y at=60ms dur=5ms\n")
	diff := CompareTraces(model.OutlineOf(a), model.OutlineOf(b))
	var text strings.Builder
	for _, d := range diff {
		for _, s := range d.Path {
			fmt.Fprintf(&text, "/%s:%s", s.Service, s.Operation)
		}
		fmt.Fprintf(&text, " %d>%d %s>%s errors %d>%d\n", d.A.Spans, d.B.Spans, time.Duration(d.A.Duration), time.Duration(d.B.Duration), d.A.Errors, d.B.Errors)
	}
	require.Equal(t, `/f:root 1>1 10ms>90ms errors 0>0
/f:root/db:q 1>2 1ms>40ms errors 0>1
/f:root/x:gone 1>0 1ms>0s errors 0>0
/f:root/y:new 0>1 0s>5ms errors 0>0
`, text.String())
	require.Equal(t, "q", SlowerPaths(diff)[0].Path[1].Operation)
}
