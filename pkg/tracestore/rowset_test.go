package tracestore

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

// TestRowsetKeepsSpansOnce sends spans again, and spans that differ in one thing
// only, of traces that become larger than what is looked through span by span.
func TestRowsetKeepsSpansOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	s := newRowset()
	resource, scope := s.tab.resource(&model.Resource{}), s.tab.scope(&model.Scope{})
	want := map[string]bool{}
	for range 30_000 {
		sp := model.Span{Name: "op", TraceID: model.TraceID{1, byte(r.IntN(40))}, Start: int64(r.IntN(2)), End: 10,
			Attrs: model.Attrs{{Key: "n", Value: model.Int(int64(r.IntN(2)))}, {Key: "s", Value: model.String([]string{"", "a", "b"}[r.IntN(3)])}}}
		spans := 3 << (sp.TraceID[1] % 7)
		binary.BigEndian.PutUint32(sp.SpanID[:], uint32(1+r.IntN(spans)))
		key := fmt.Sprint(sp)
		_, fresh := s.add(resource, scope, &sp)
		require.Equal(t, !want[key], fresh, key)
		want[key] = true
	}
	require.Len(t, s.rows.rows, len(want))
	large := 0
	for i := range s.trs {
		if s.trs[i].rows >= fewRows {
			large += int(s.trs[i].rows)
		}
	}
	require.Equal(t, large, s.indexed)
	got := map[string]bool{}
	for n := range s.snapshot().rows {
		got[fmt.Sprint(s.snapshot().span(uint32(n)).Span)] = true
	}
	require.Equal(t, want, got)
}
