package predicate

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

// randomExpr draws an expression of every kind.
func randomExpr(r *rand.Rand, depth int) Expr {
	f := Field{Scope: Scope(r.IntN(8)), Name: []string{"a", "http.route", "body", "x y"}[r.IntN(4)], Underscored: r.IntN(2) == 0}
	n := 9
	if depth == 0 {
		n = 6
	}
	switch r.IntN(n) {
	case 0:
		return True{}
	case 1:
		return Exists{f}
	case 2:
		values := []model.Value{model.Int(-7), model.Double(2.5), model.String("ü\xff"), model.Bool(true), model.Bytes("\x00"), model.ArrayJSON("[1]")}
		return Compare{Field: f, Op: Op(r.IntN(6)), Value: values[r.IntN(len(values))], Loose: r.IntN(2) == 0}
	case 3:
		m, _ := NewMatch(f, "a.*b|c")
		return m
	case 4:
		t, _ := NewText(f, TextMode(r.IntN(4)), "needle", r.IntN(2) == 0)
		return t
	case 5:
		return Correlated{Kind: "request", ID: "r-1"}
	case 6:
		return Not{randomExpr(r, depth-1)}
	case 7:
		return And{randomExpr(r, depth-1), randomExpr(r, depth-1)}
	}
	return Or{randomExpr(r, depth-1), randomExpr(r, depth-1)}
}

func TestExprSurvivesTheWire(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		e := randomExpr(r, 4)
		data, err := MarshalExpr(e)
		require.NoError(t, err)
		back, err := UnmarshalExpr(data)
		require.NoError(t, err, "seed %d: %s", seed, data)
		require.Equal(t, e.String(), back.String(), "seed %d", seed)
	}
}

func FuzzUnmarshalExpr(f *testing.F) {
	for seed := range uint64(20) {
		data, _ := MarshalExpr(randomExpr(rand.New(rand.NewPCG(seed, 2)), 3))
		f.Add(data)
	}
	f.Add([]byte(`{"match":{"Pattern":"("}}`))
	row := LogRow{LogRow: &model.LogRow{LogRecord: model.LogRecord{Body: model.String("needle a")}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := UnmarshalExpr(data)
		if err != nil {
			require.ErrorIs(t, err, model.ErrInvalid)
			return
		}
		Eval(e, row)
		again, err := MarshalExpr(e)
		require.NoError(t, err)
		back, err := UnmarshalExpr(again)
		require.NoError(t, err)
		require.Equal(t, e.String(), back.String())
	})
}
