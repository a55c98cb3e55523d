package remote

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

func randomOutline(r *rand.Rand, n int) *model.Outline {
	o := &model.Outline{Version: "b1 h2:3"}
	for i := range 1 + n/10 {
		o.Operations = append(o.Operations, model.Operation{Service: fmt.Sprint("s", i%7), Name: strings.Repeat("ü", i%5)})
	}
	for i := range n {
		s := model.OutlineSpan{Start: 1e18 + int64(i), At: uint64(i), Operation: uint32(r.IntN(len(o.Operations))), Kind: model.SpanKind(r.IntN(6)), Status: model.StatusCode(r.IntN(3))}
		s.End = s.Start + r.Int64N(1e9)
		for k := range s.ID {
			s.ID[k], s.Parent[k] = byte(r.Uint32()), byte(r.Uint32())
		}
		if r.IntN(10) == 0 {
			s.Start, s.End, s.At = int64(r.Uint64()), int64(r.Uint64()), r.Uint64()
		}
		o.Spans = append(o.Spans, s)
	}
	return o
}

func partsOf(t *testing.T, o *model.Outline) (parts [][]byte) {
	require.NoError(t, sendOutline(func(b []byte) error {
		parts = append(parts, b)
		return nil
	}, o))
	return parts
}

func outlineFrom(parts [][]byte) (*model.Outline, error) {
	r, err := newOutlineReader(model.TraceID{1}, parts[0])
	if err != nil {
		return nil, err
	}
	for _, p := range parts[1:] {
		if err := r.add(p); err != nil {
			return nil, err
		}
	}
	return r.end()
}

// named makes outlines comparable: operations are numbered anew on the way.
func named(o *model.Outline) (out []string) {
	for _, s := range o.Spans {
		op := o.Operations[s.Operation]
		s.Operation = 0
		out = append(out, fmt.Sprint(s, op))
	}
	return append(out, o.Version)
}

func TestOutlinesTravel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 1000, 100_000} {
		o := randomOutline(r, n)
		parts := partsOf(t, o)
		got, err := outlineFrom(parts)
		require.NoError(t, err)
		require.Equal(t, named(o), named(got), n)
		bytes := 0
		for _, p := range parts {
			require.Less(t, len(p), outlinePart+1024)
			bytes += len(p)
		}
		if n > 10 {
			require.Less(t, bytes/n, 50)
		}
	}
}

func TestDamagedOutlines(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	parts := partsOf(t, randomOutline(r, 300))
	require.Len(t, parts, 2)
	_, err := outlineFrom(parts[:1])
	require.ErrorContains(t, err, "0 of 300 spans came")
	_, err = outlineFrom([][]byte{parts[0], parts[1], parts[1]})
	require.Error(t, err)
	_, err = outlineFrom([][]byte{[]byte(`{"Spans":-1}`), parts[1]})
	require.Error(t, err)
	for range 500 { // whatever comes: an error or an outline whose operations are there
		b := append([]byte(nil), parts[1]...)
		b[r.IntN(len(b))] ^= byte(1 << r.IntN(8))
		if r.IntN(3) == 0 {
			b = b[:r.IntN(len(b))]
		}
		if got, err := outlineFrom([][]byte{parts[0], b}); err == nil {
			named(got)
		}
	}
}

func TestOutlinesAreBounded(t *testing.T) {
	head, err := json.Marshal(outlineHead{Spans: maxOutline + 1})
	require.NoError(t, err)
	_, err = newOutlineReader(model.TraceID{1}, head)
	require.ErrorIs(t, err, model.ErrTooMuch)
	in, err := newOutlineReader(model.TraceID{1}, []byte(`{"Spans":2}`))
	require.NoError(t, err)
	in.names = maxOperations - 3
	one := partsOf(t, &model.Outline{Spans: make([]model.OutlineSpan, 1), Operations: []model.Operation{{Service: "some", Name: "thing"}}})
	require.ErrorIs(t, in.add(one[1]), model.ErrTooMuch)
}
