package model

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTraceIDReadings(t *testing.T) {
	const w3c = "0af7651916cd43dd8448eb211c80319c"
	for in, want := range map[string]string{
		w3c:                                    w3c,
		"0AF7651916CD43DD8448EB211C80319C":     w3c,
		"af7651916cd43dd8448eb211c80319c":      w3c, // leading zero dropped
		" " + w3c + "\n":                       w3c,
		"0af76519-16cd-43dd-8448-eb211c80319c": w3c,
		"1-0af76519-16cd43dd8448eb211c80319c":  w3c,
		"projects/p/traces/" + w3c:             w3c,
		"00-" + w3c + "-b7ad6b7169203331-01":   w3c,
		"CvdlGRbNQ92ESOshHIAxnA==":             w3c,
		"8448eb211c80319c":                     "00000000000000008448eb211c80319c",
		"9532127138774266268":                  "00000000000000008448eb211c80319c", // Datadog's decimal first …
		"Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=53995c3f42cd8ad8;Sampled=1": w3c,
	} {
		got := TraceIDReadings(in)
		require.NotEmpty(t, got, in)
		require.Equal(t, want, got[0].String(), in)
	}
	dd := TraceIDReadings("9532127138774266268") // … and hex second
	require.Equal(t, "00000000000009532127138774266268", dd[1].String())
	for _, in := range []string{"", "0", "00000000000000000000000000000000", "xyz", "hello world", "-1", "0af7651916cd43dd8448eb211c80319c0", string(make([]byte, 100))} {
		require.Empty(t, TraceIDReadings(in), in)
	}
}

func FuzzTraceIDReadings(f *testing.F) {
	f.Add("0af7651916cd43dd8448eb211c80319c")
	f.Add("1-0af76519-16cd43dd8448eb211c80319c")
	f.Fuzz(func(t *testing.T, s string) {
		for _, id := range TraceIDReadings(s) {
			require.False(t, id.IsZero())
			back, ok := ParseTraceID(id.String())
			require.True(t, ok)
			require.Equal(t, id, back)
		}
	})
}

func TestCanonical(t *testing.T) {
	require.Equal(t, "a1b2c3d4-0000-1111-2222-333344445555", Canonical(KeyRequest, " {A1B2C3D4-0000-1111-2222-333344445555} "))
	require.Equal(t, "Req-42", Canonical(KeyRequest, "Req-42"), "an id that is no UUID keeps its case")
	require.Equal(t, "", Canonical(KeyTrace, "not a trace"))
	require.Equal(t, "", Canonical(KeyUser, "  "))
}

func TestPositionSetAgainstAMap(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var s, other PositionSet
		want := map[Position]bool{}
		for range 40 {
			lo := Position(r.IntN(60) + 1)
			hi := lo + Position(r.IntN(4))
			to := &s
			if r.IntN(4) == 0 {
				to = &other
			}
			to.AddRange(lo, hi)
			for p := lo; p <= hi; p++ {
				want[p] = true
			}
		}
		s.Union(other)
		var least, greatest Position
		for p := Position(0); p < 70; p++ {
			require.Equal(t, want[p], s.Contains(p), "seed %d position %d of %s", seed, p, s)
			if want[p] {
				greatest = p
				if least == 0 {
					least = p
				}
			}
		}
		got, ok := s.Min()
		require.True(t, ok)
		require.Equal(t, least, got)
		require.Equal(t, greatest, s.Max())
		var back PositionSet
		text, err := s.MarshalText()
		require.NoError(t, err)
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, s.String(), back.String())
	}
	require.Error(t, new(PositionSet).UnmarshalText([]byte("1-x")))
}

func TestSketchKeepsItsBound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var all []float64
	var a, b Sketch
	for i := range 20_000 {
		v := math.Exp(r.NormFloat64()*3) * float64(r.IntN(5)-1)
		all = append(all, v)
		if i%2 == 0 {
			a.Add(v, 1)
		} else {
			b.Add(v, 1)
		}
	}
	a.Merge(&b)
	sort.Float64s(all)
	for _, q := range []float64{0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[int(q*float64(len(all)-1))]
		require.InDelta(t, want, a.Quantile(q), math.Abs(want)*0.0101+1e-12, "q %g", q)
	}
	require.True(t, math.IsNaN((*Sketch)(nil).Quantile(0.5)))
	require.True(t, math.IsNaN(a.Quantile(math.NaN())))
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		v    Value
		text string
		json string
	}{
		{String("a\"b"), `a"b`, `"a\"b"`},
		{Int(-5), "-5", "-5"},
		{Double(0.1), "0.1", "0.1"},
		{Double(math.NaN()), "NaN", `"NaN"`},
		{Bool(true), "true", "true"},
		{Bytes("\x00\xff"), "AP8=", `"AP8="`},
		{ArrayJSON(`[1,"x"]`), `[1,"x"]`, `[1,"x"]`},
		{Value{}, "", "null"},
	} {
		require.Equal(t, c.text, c.v.Text())
		require.Equal(t, c.text, string(c.v.AppendText(nil)))
		j, err := c.v.MarshalJSON()
		require.NoError(t, err)
		require.Equal(t, c.json, string(j))
		require.Equal(t, c.v, Raw(c.v.Kind(), c.v.Num(), c.v.Str()))
	}
	require.Equal(t, []Value{Int(1), String("x"), Double(1.5), MapJSON(`{"a":1}`), Value{}}, ArrayJSON(`[1,"x",1.5,{"a":1},null]`).Elements())
	require.Nil(t, ArrayJSON("not json").Elements())
	f, ok := String("2.5").ParseFloat()
	require.True(t, ok)
	require.Equal(t, 2.5, f)
}

func TestTraceFactsMergeIsWhatAddingAllIs(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var whole, a, b TraceFacts
		for i := range 1 + r.IntN(20) {
			row := SpanRow{Resource: &Resource{Attrs: Attrs{{Key: "service.name", Value: String(string(rune('a' + r.IntN(3))))}}},
				Span: Span{Name: "n", Start: int64(r.IntN(100)), End: int64(r.IntN(200)), Status: StatusCode(r.IntN(3))}}
			if i > 0 {
				row.ParentID[0] = 1
			}
			whole.Add(&row)
			if r.IntN(2) == 0 {
				a.Add(&row)
			} else {
				b.Add(&row)
			}
		}
		if a.Spans == 0 {
			a, b = b, a
		}
		if b.Spans > 0 {
			a.Merge(&b)
		}
		require.Equal(t, whole, a)
	}
}
