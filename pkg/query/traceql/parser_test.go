package traceql

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/model"
)

func TestParse(t *testing.T) {
	testkit.RunScript(t, "testdata/parse.txt", func(q string) string {
		parsed, err := Parse(q)
		if err != nil {
			require.ErrorIs(t, err, model.ErrInvalid)
			return "error: " + err.Error()
		}
		again, err := Parse(parsed.String())
		require.NoError(t, err, parsed.String())
		require.Equal(t, parsed.String(), again.String())
		return parsed.String()
	})
}

func TestExplain(t *testing.T) {
	e := NewEngine(Options{})
	testkit.RunScript(t, "testdata/explain.txt", func(q string) string {
		text, err := e.Explain(q)
		if err != nil {
			return "error: " + err.Error()
		}
		return text
	})
}

func TestParseErrorTellsThePlace(t *testing.T) {
	_, err := Parse("{ .a = 1 }\n && { .b == 2 }")
	var pe *ParseError
	require.True(t, errors.As(err, &pe))
	require.Equal(t, 2, pe.Line)
	require.Equal(t, 11, pe.Column)
}

func TestParseIsBounded(t *testing.T) {
	for _, q := range []string{
		strings.Repeat("(", 100_000), "{" + strings.Repeat("!", 100_000), "{" + strings.Repeat("(", 100_000),
		"{" + strings.Repeat("-", 100_000) + ".a}", strings.Repeat("{}", 100_000), "{.a=1" + strings.Repeat("^2", 10_000),
		"{}|" + strings.Repeat("(", 10_000),
	} {
		_, err := Parse(q)
		require.ErrorIs(t, err, model.ErrInvalid)
	}
	var many []string
	for i := range 65 {
		many = append(many, "{ .a = "+string(rune('0'+i%10))+" && .b = "+string(rune('0'+i/10))+" }")
	}
	q, err := Parse(strings.Join(many, " || "))
	require.NoError(t, err)
	_, err = NewPlan(q)
	require.ErrorContains(t, err, "at most 64 different span filters")
}

// FuzzParse: no input panics, and what parses is spelled so that it parses to
// itself.
func FuzzParse(f *testing.F) {
	for _, q := range []string{
		`{}`, `{ .a = 1 && span."b c" != "x" || !(resource.d =~ "e.*") }`, `{ status = error } >> { duration > 1.5s } | count() > 2`,
		`({ .a } | avg(duration) > 1s) && { .b } | by(.c) | coalesce() | select(name, .x)`,
		`{ nestedSetParent < 0 } | quantile_over_time(duration, .5, .99) by (resource.service.name) | topk(3) with(exemplars=true)`,
		`{} | compare({ status = error }, 10, 1, 2)`, `{ -.a ^ 2 * 3 > -1 && .b = ["x", "y"] }`, `({}|count()) > ({.x}|count()) + 1`,
		`(({} | rate()) / 2 + ({ .a } | rate() by(b))) * 3 > 1 | topk(2)`,
		"{ .a = `raw` } !&>> {}", `{ parent.span.a = nil } &!>> {}`, `{ 1h30m > 1d }`,
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, q string) {
		parsed, err := Parse(q)
		if err != nil {
			require.ErrorIs(t, err, model.ErrInvalid)
			return
		}
		text := parsed.String()
		again, err := Parse(text)
		if len(text) > maxQueryBytes || len(text) > 3*len(q)+100 {
			return
		}
		require.NoError(t, err, "%q spelled %q", q, text)
		require.Equal(t, text, again.String(), "%q", q)
		if p, err := NewPlan(parsed); err == nil {
			_ = p.String()
		}
	})
}
