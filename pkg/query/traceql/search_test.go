package traceql

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/model"
)

// showResult draws a search result: a line a spanset, "trace: spans [attrs]".
func showResult(res *SearchResult) string {
	var b strings.Builder
	for _, tr := range res.Traces {
		id := strings.TrimLeft(tr.ID.String(), "0")
		for _, set := range tr.SpanSets {
			fmt.Fprintf(&b, "%s:", id)
			for _, s := range set.Spans {
				fmt.Fprintf(&b, " %s", strings.TrimLeft(s.ID.String(), "0"))
				if len(s.Attrs) > 0 {
					fmt.Fprintf(&b, "%s", showAttrs(s.Attrs))
				}
			}
			if set.Matched != len(set.Spans) {
				fmt.Fprintf(&b, " of %d", set.Matched)
			}
			if len(set.Attrs) > 0 {
				b.WriteString(" " + showAttrs(set.Attrs))
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func showAttrs(attrs model.Attrs) string {
	parts := make([]string, len(attrs))
	for i, a := range attrs {
		parts[i] = a.Key + "=" + a.Value.Text()
	}
	return "{" + strings.Join(parts, " ") + "}"
}

func TestSearch(t *testing.T) {
	e := NewEngine(Options{Source: loadSource(t, "testdata/traces.txt")})
	testkit.RunScript(t, "testdata/search.txt", func(q string) string {
		res, err := e.Search(context.Background(), testTenant, Params{Query: q, SpansPerSet: -1})
		if err != nil {
			return "error: " + err.Error()
		}
		return showResult(res)
	})
}

func TestSearchLimits(t *testing.T) {
	e := NewEngine(Options{Source: loadSource(t, "testdata/traces.txt"), Limits: Limits{MaxSpans: 8}})
	ctx := context.Background()
	var streamed []string
	res, err := e.Search(ctx, testTenant, Params{Query: `{ .db.system != nil }`, Limit: 2, SpansPerSet: 1,
		OnTrace: func(tr *TraceResult) error {
			streamed = append(streamed, tr.ID.String()[31:])
			return nil
		}})
	require.NoError(t, err)
	require.Equal(t, []string{"3", "2"}, streamed)
	require.Len(t, res.Traces[1].SpanSets[0].Spans, 1)
	require.Equal(t, 2, res.Traces[1].SpanSets[0].Matched)
	require.Equal(t, "GET /pay", res.Traces[1].RootName)
	require.Equal(t, 2*time.Second, time.Duration(res.Traces[1].Duration))

	_, err = e.Search(ctx, testTenant, Params{Query: `{ } >> { }`})
	require.ErrorIs(t, err, model.ErrTooMuch)
	_, err = e.Search(ctx, testTenant, Params{Query: `{}`, Limit: 1 << 30})
	require.ErrorIs(t, err, model.ErrInvalid)
	_, err = e.Search(ctx, testTenant, Params{Query: `{} | rate()`})
	require.ErrorIs(t, err, model.ErrInvalid)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = e.Search(cancelled, testTenant, Params{Query: `{}`})
	require.ErrorIs(t, err, context.Canceled)
	res, err = e.Search(ctx, "nobody", Params{Query: `{}`})
	require.NoError(t, err)
	require.Empty(t, res.Traces)
}

func TestSearchRangeAndOrder(t *testing.T) {
	e := NewEngine(Options{Source: loadSource(t, "testdata/traces.txt")})
	ids := func(p Params) string {
		res, err := e.Search(context.Background(), testTenant, p)
		require.NoError(t, err)
		var b strings.Builder
		for _, tr := range res.Traces {
			b.WriteString(tr.ID.String()[31:])
		}
		return b.String()
	}
	require.Equal(t, "321", ids(Params{Query: `{}`}))
	require.Equal(t, "123", ids(Params{Query: `{} with(order="oldest")`}))
	require.Equal(t, "213", ids(Params{Query: `{} with(order="longest")`}))
	require.Equal(t, "2", ids(Params{Query: `{}`, Range: model.TimeRange{Start: epoch + 9e9, End: epoch + 19e9}}))
}

func TestTrace(t *testing.T) {
	e := NewEngine(Options{Source: loadSource(t, "testdata/traces.txt"), Limits: Limits{MaxTraceSpans: 4}})
	tr, err := e.TraceByText(context.Background(), testTenant, "1")
	require.NoError(t, err)
	require.True(t, tr.Truncated)
	require.Len(t, tr.Spans, 4)
	_, err = e.TraceByText(context.Background(), testTenant, "abc")
	require.ErrorIs(t, err, model.ErrNotFound)
	_, err = e.TraceByText(context.Background(), testTenant, "zz!")
	require.ErrorIs(t, err, model.ErrInvalid)
}

// TestWhatIntegersMakeUpIsAnInteger also when it is summed: but not their mean.
func TestWhatIntegersMakeUpIsAnInteger(t *testing.T) {
	e := NewEngine(Options{Source: loadSource(t, "testdata/traces.txt")})
	res, err := e.Search(context.Background(), testTenant, Params{Query: "{ } | sum(.db.rows) = 10 | max(.db.rows) = 7 | avg(.db.rows) = 5 | count() = 6"})
	require.NoError(t, err)
	require.Len(t, res.Traces, 1)
	kinds := map[string]model.ValueKind{}
	for _, a := range res.Traces[0].SpanSets[0].Attrs {
		kinds[a.Key] = a.Value.Kind()
	}
	require.Equal(t, map[string]model.ValueKind{"sum(.db.rows)": model.KindInt, "max(.db.rows)": model.KindInt, "avg(.db.rows)": model.KindDouble,
		"count()": model.KindInt}, kinds)
}
