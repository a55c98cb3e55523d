package tempoapi

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"braid/internal/rawgrpc"
	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

func newShop() *API {
	src := testkit.NewMemTraces()
	src.Add(tenant.Default, testkit.Shop()...)
	return New(Options{Engine: traceql.NewEngine(traceql.Options{Source: src}),
		Now: func() time.Time { return time.Unix(0, testkit.ShopEpoch+60e9) }})
}

func TestHTTP(t *testing.T) {
	a := newShop()
	testkit.RunScript(t, "testdata/http.txt", func(q string) string { return testkit.AskHTTP(a, q) })
}

func TestTraceIsOTLP(t *testing.T) {
	a := newShop()
	r := httptest.NewRequest("GET", "/api/traces/1", nil)
	r.Header.Set("Accept", "application/protobuf")
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(w.Body.Bytes())
	require.NoError(t, err)
	require.Equal(t, 4, td.SpanCount())
	require.Equal(t, "application/protobuf", w.Header().Get("Content-Type"))
}

// batches yields a trace in two batches, then fails if it is told to.
type batches struct {
	*testkit.MemTraces
	err error
}

func (b batches) Trace(ctx context.Context, t tenant.ID, id model.TraceID, stats *model.QueryStats) iter.Seq2[[]model.SpanRow, error] {
	return func(yield func([]model.SpanRow, error) bool) {
		for rows := range b.MemTraces.Trace(ctx, t, id, stats) {
			if !yield(rows[:1], nil) || b.err == nil && !yield(rows[1:], nil) {
				return
			}
			if b.err != nil {
				yield(nil, b.err)
			}
		}
	}
}

// TestTraceIsSentBatchByBatch: what comes in batches is one message, and what
// breaks off is no answer.
func TestTraceIsSentBatchByBatch(t *testing.T) {
	src := testkit.NewMemTraces()
	src.Add(tenant.Default, testkit.Shop()...)
	ask := func(err error, path string) *httptest.ResponseRecorder {
		a := New(Options{Engine: traceql.NewEngine(traceql.Options{Source: batches{src, err}})})
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept", "application/protobuf")
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		return w
	}
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(ask(nil, "/api/traces/1").Body.Bytes())
	require.NoError(t, err)
	require.Equal(t, 4, td.SpanCount())

	var parts []byte
	require.NoError(t, rawgrpc.Each(ask(nil, "/api/v2/traces/1").Body.Bytes(), func(f rawgrpc.Field) error {
		if f.Number == fieldTrace {
			parts = append(parts, f.Bytes...)
		}
		return nil
	}))
	td, err = (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(parts)
	require.NoError(t, err)
	require.Equal(t, 4, td.SpanCount())

	require.PanicsWithValue(t, http.ErrAbortHandler, func() { ask(errors.New("disk"), "/api/traces/1") })
}

func TestParseTags(t *testing.T) {
	got, err := parseTags(`a=b  c="d \"e" f=`)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "b", "c": `d "e`, "f": ""}, got)
	for _, bad := range []string{"a", "=b", `a="b`, `a b=c`} {
		_, err := parseTags(bad)
		require.Error(t, err, bad)
	}
}

// TestSubset: what q leaves of a trace, as the names of its spans.
func TestSubset(t *testing.T) {
	a := newShop()
	testkit.RunScript(t, "testdata/subset.txt", func(q string) string {
		answer := testkit.AskHTTP(a, q)
		if !strings.HasPrefix(answer, "200") {
			return answer
		}
		var out strings.Builder
		for l := range strings.Lines(answer) {
			if l = strings.TrimSpace(l); strings.HasPrefix(l, `"name": "`) && !strings.Contains(l, "net/http") || strings.HasPrefix(l, `"status": "`) || strings.HasPrefix(l, `"message": "`) {
				out.WriteString(l + "\n")
			}
		}
		return out.String()
	})
}

func TestSubsetIsOTLP(t *testing.T) {
	r := httptest.NewRequest("GET", "/api/v2/traces/1?q=%7Bkind%3Dclient%7D", nil)
	r.Header.Set("Accept", "application/protobuf")
	w := httptest.NewRecorder()
	newShop().ServeHTTP(w, r)
	spans, status := 0, uint64(0)
	require.NoError(t, rawgrpc.Each(w.Body.Bytes(), func(f rawgrpc.Field) error {
		switch f.Number {
		case fieldTrace:
			td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(f.Bytes)
			spans += td.SpanCount()
			return err
		case fieldStatus:
			status = f.Int
		}
		return nil
	}))
	require.Equal(t, 2, spans)
	require.Equal(t, uint64(statusPartial), status)
}
