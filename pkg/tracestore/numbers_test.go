package tracestore

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// TestNumbers compares with a plain list, before and after a large number comes.
func TestNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 6))
	for range 300 {
		v, want := newNumbers(r.IntN(20)), []uint32{}
		top := uint32(1) << (1 + r.IntN(31))
		for range r.IntN(200) {
			x := r.Uint32N(top)
			if len(want) > 0 && r.IntN(3) == 0 {
				i := r.IntN(len(want))
				v.set(uint32(i), x)
				want[i] = x
				continue
			}
			v.add(x)
			want = append(want, x)
		}
		lo := r.IntN(len(want) + 1)
		hi := lo + r.IntN(len(want)-lo+1)
		require.Equal(t, want[lo:hi], v.slice(make([]uint32, 200), uint32(lo), uint32(hi)))
		part := v.part(uint32(lo), uint32(hi))
		require.Equal(t, want[lo:hi], part.slice(make([]uint32, 200), 0, uint32(hi-lo)))
		fit := v.fitted()
		require.Equal(t, len(want), fit.len())
		for i, x := range want {
			require.Equal(t, x, v.at(uint32(i)))
			require.Equal(t, x, fit.at(uint32(i)))
		}
		var e enc
		planes(&e, &v)
		d := &dec{b: e.b}
		back := readPlanes(d, len(want))
		require.NoError(t, d.err)
		require.Empty(t, d.b)
		require.Equal(t, want, back.slice(make([]uint32, 200), 0, uint32(len(want))))
	}
}

// TestParentsBothWays are before their children, mostly.
func TestParentsBothWays(t *testing.T) {
	s := &sidecar{rows: 300_000}
	for range s.rows {
		s.parent.add(0)
	}
	want := map[uint32]uint32{}
	r := rand.New(rand.NewPCG(1, 7))
	for n := range 2000 {
		row, far := uint32(r.IntN(s.rows)), 20
		if n > 1000 {
			far = s.rows
		}
		p := min(max(int(row)+r.IntN(2*far)-far, 0), s.rows-1)
		if uint32(p) == row {
			continue
		}
		s.setParent(row, uint32(p)+1)
		want[row] = uint32(p) + 1
	}
	for row := range uint32(s.rows) {
		require.Equal(t, want[row], s.parentOf(row))
	}
}

// TestMoreClassesThanTwoBytes counts and finds spans of which each has a name of
// its own.
func TestMoreClassesThanTwoBytes(t *testing.T) {
	ctx, s := context.Background(), open(t, Options{})
	defer s.Close()
	const n = 70_000
	res := &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String("web")}}}
	var spans []model.Span
	for i := range n {
		sp := model.Span{Name: fmt.Sprint("op ", i), Start: int64(i)*1e6 + 1, End: int64(i)*1e6 + 1000, Kind: model.SpanKindServer}
		binary.BigEndian.PutUint64(sp.TraceID[:], uint64(1+i/10))
		binary.BigEndian.PutUint64(sp.SpanID[:], uint64(1+i))
		spans = append(spans, sp)
	}
	_, err := s.AppendSpans(ctx, tenant.Default, 1, &model.Spans{Batches: []model.SpanBatch{{Resource: res, Spans: spans}}})
	require.NoError(t, err)
	require.NoError(t, s.Flush(ctx))
	all := model.TimeRange{Start: 0, End: n * 1e6}
	a, err := s.AggregateSpans(ctx, &predicate.Aggregation{Tenant: tenant.Default, Range: all, Step: 1e9, Measure: predicate.Quantiles, Of: predicate.Intrinsic(predicate.Duration)})
	require.NoError(t, err)
	require.Len(t, a.Groups, 1)
	for b, c := range a.Groups[0].Cells {
		require.EqualValues(t, 1000, c.Count, "second %d", b)
	}
	for _, i := range []int{0, 100, n - 1} {
		q := &predicate.SpanQuery{Tenant: tenant.Default, Range: all, Limit: 10, SpansPerTrace: 3,
			Filters: []predicate.Expr{predicate.Compare{Field: predicate.Intrinsic(predicate.Name), Op: predicate.Eq, Value: model.String(fmt.Sprint("op ", i))}}}
		found := 0
		for m, err := range s.SelectSpans(ctx, q) {
			require.NoError(t, err)
			require.Equal(t, spans[i].SpanID, m.Spans[0].SpanID)
			found++
		}
		require.Equal(t, 1, found)
	}
}
