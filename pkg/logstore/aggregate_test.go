package logstore

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// TestCountsByADictionary: pages whose rows all have a value of a small
// dictionary, some pages only some of the values, and more values than groups.
func TestCountsByADictionary(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	const rows = 5001
	want := map[string]uint64{}
	l := &model.Logs{Batches: []model.LogBatch{{Resource: &model.Resource{}, Scope: &model.Scope{}}}}
	for i := range rows {
		route := fmt.Sprint("/r/", i%5+i/1000)
		want[route]++
		l.Batches[0].Records = append(l.Batches[0].Records, model.LogRecord{Time: testNow + int64(i), Attrs: model.Attrs{{Key: "route", Value: model.String(route)}}})
	}
	mustAppend(t, s, "t", 0, l)
	for _, flushed := range []bool{false, true} {
		if flushed {
			require.NoError(t, s.Flush(bg))
		}
		for _, most := range []int{0, 4} {
			q := &predicate.Aggregation{Tenant: "t", By: []predicate.Field{{Name: "route"}}, MaxGroups: most}
			got, err := s.AggregateLogs(bg, q)
			require.NoError(t, err)
			total := uint64(got.Dropped)
			for _, g := range got.Groups {
				total += g.Cells[0].Count
				if most == 0 {
					require.Equal(t, want[g.Key[0].Str()], g.Cells[0].Count, g.Key[0].Str())
				}
			}
			require.EqualValues(t, rows, total)
			if most == 0 {
				require.Len(t, got.Groups, len(want))
			} else {
				require.Len(t, got.Groups, most)
			}
		}
	}
	require.NoError(t, s.Close())
}
