package traceql

import (
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

func chain(n int) []model.SpanRow {
	rows := make([]model.SpanRow, n)
	for i := range rows {
		rows[i].Resource = &model.Resource{}
		rows[i].SpanID = [8]byte{1, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
		if i > 0 {
			rows[i].ParentID = rows[i-1].SpanID
		}
		rows[i].Start, rows[i].End = int64(i), int64(2*n-i)
	}
	return rows
}

func TestTreeSurvivesWhateverComes(t *testing.T) {
	rows := readTraces(t, `
trace 1
  root id=1 dur=10ms
    early id=2 at=-1ms
    own id=3 parent=3
    a id=4 parent=6
    b id=5 parent=4
    c id=6 parent=5
    lost id=7 parent=ff
    client id=8 kind=client
    server id=8 kind=server parent=1
    below id=9 parent=8
`)
	tree := BuildTree(rows)
	require.Equal(t, []int32{-1, 0, -1, -1, 3, 4, -1, 0, 7, 8}, tree.Parent)
	require.Equal(t, []int32{0, 2, 3, 6}, tree.Roots)
	require.Equal(t, FlagSkewed, tree.Flags[1])
	require.Equal(t, FlagCycle, tree.Flags[2])
	require.Equal(t, FlagCycle, tree.Flags[3])
	require.Equal(t, FlagOrphan, tree.Flags[6])
	require.Equal(t, FlagShared, tree.Flags[8])
	require.Len(t, tree.Order, len(rows))
	require.Equal(t, []int32{0, 1, 0, 0, 1, 2, 0, 1, 2, 3}, tree.Depth())
	for i := range rows {
		require.Less(t, tree.Left[i], tree.Right[i])
	}
}

func TestTreeOfAMillionInAChain(t *testing.T) {
	tree := BuildTree(chain(1_000_000))
	require.Equal(t, int32(2_000_000), tree.Right[0])
	require.Equal(t, int32(999_999), tree.Depth()[999_999])
	left, right := tree.relate("&>>", []int32{0}, []int32{999_999})
	require.Equal(t, []int32{0}, left)
	require.Equal(t, []int32{999_999}, right)
}

func TestTreeOfSpansThatShareAnID(t *testing.T) {
	rows := chain(200_000)
	for i := range rows {
		rows[i].SpanID, rows[i].ParentID = model.SpanID{1}, model.SpanID{1}
	}
	tree := BuildTree(rows)
	require.Len(t, tree.Order, len(rows))
	require.NotEmpty(t, tree.Roots)
}
