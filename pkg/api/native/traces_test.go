package native

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/query/engine"
	"braid/pkg/tenant"
	braidv1 "braid/proto/braid/v1"
)

func withTraces(rows ...model.SpanRow) *Service {
	src := testkit.NewMemTraces()
	src.Add(tenant.Default, rows...)
	return New(Options{Traces: src, Guard: engine.New(engine.Options{})})
}

// TestTraces asks over REST, as users do.
func TestTraces(t *testing.T) {
	s := withTraces(testkit.Shop()...)
	h, err := Handler(context.Background(), testkit.DialGRPC(t, s.Register))
	require.NoError(t, err)
	testkit.RunScript(t, "testdata/traces.txt", func(q string) string { return testkit.AskHTTP(h, q) })
}

// comb is a root with n children, one after the other, each with one of its own.
func comb(n int) []model.SpanRow {
	res := &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String("web")}}}
	id := func(i int) (out model.SpanID) {
		binary.BigEndian.PutUint64(out[:], uint64(i))
		return out
	}
	row := func(i, parent int, start, end int64) model.SpanRow {
		r := model.SpanRow{Resource: res, Scope: &model.Scope{}}
		r.TraceID, r.SpanID, r.Name, r.Start, r.End = model.TraceID{1}, id(i), "work", 1e9+start, 1e9+end
		if parent > 0 {
			r.ParentID = id(parent)
		}
		r.Attrs = model.Attrs{{Key: "i", Value: model.Int(int64(i))}}
		return r
	}
	rows := []model.SpanRow{row(1, 0, 0, int64(n)*10)}
	for i := range n {
		at := int64(i) * 10
		rows = append(rows, row(2+2*i, 1, at, at+8), row(3+2*i, 2+2*i, at+2, at+5))
	}
	return rows
}

// TestPagesOfALargeTrace reads a trace that is not held in memory whole, page by
// page: each span comes once, with its attributes, after its parent; self times
// add up to the union of all spans, critical times to the root's duration.
func TestPagesOfALargeTrace(t *testing.T) {
	const n = keptWhole/2 + 500
	pagesOfComb(t, withTraces(comb(n)...), n)
}

// outlined is a source that knows where its spans are.
type outlined struct {
	query.TraceSource
	rows     []model.SpanRow
	version  string
	outlines int  // how often all of it was read
	moves    int  // how often spans will have moved when they are asked for
	older    bool // it asks a program that makes no outlines
}

func (o *outlined) Outline(_ context.Context, _ tenant.ID, _ model.TraceID, known string, over int, _ *model.QueryStats) (*model.Outline, error) {
	if o.older {
		return nil, errors.ErrUnsupported
	}
	if len(o.rows) <= over {
		return nil, nil
	}
	if known == o.version {
		return &model.Outline{Version: known}, nil
	}
	o.outlines++
	out := model.OutlineOf(o.rows)
	out.Version = o.version
	for i := range out.Spans {
		out.Spans[i].At = uint64(i) + 1e6
	}
	return out, nil
}

func (o *outlined) SpansAt(_ context.Context, _ tenant.ID, _ model.TraceID, version string, at []uint64, _ *model.QueryStats) (out []model.SpanRow, err error) {
	if o.moves > 0 {
		o.moves--
		o.version += "'"
	}
	if version != o.version {
		return nil, model.ErrChanged
	}
	for _, i := range at {
		out = append(out, o.rows[i-1e6])
	}
	return out, nil
}

// TestPagesOfAnOutlinedTrace: all of a large trace is read once for all its
// pages, and again when it has changed.
func TestPagesOfAnOutlinedTrace(t *testing.T) {
	const n = keptWhole/2 + 500
	src := &outlined{TraceSource: testkit.NewMemTraces(), rows: comb(n), version: "1"}
	s := New(Options{Traces: src, Guard: engine.New(engine.Options{})})
	pagesOfComb(t, s, n)
	require.Equal(t, 1, src.outlines)
	src.version = "2"
	pagesOfComb(t, s, n)
	require.Equal(t, 2, src.outlines)
	src.moves = maxLooks - 1
	pagesOfComb(t, s, n)
	src.moves = maxLooks
	_, err := s.Trace(context.Background(), &braidv1.TraceRequest{TraceId: model.TraceID{1}.String()})
	require.Equal(t, codes.Unavailable, status.Code(err))
}

// TestPagesOfATraceWithoutOutline reads the whole where a source turns out to
// make no outlines, even while the structure is known of when it did.
func TestPagesOfATraceWithoutOutline(t *testing.T) {
	const n = keptWhole/2 + 500
	traces := testkit.NewMemTraces()
	traces.Add(tenant.Default, comb(n)...)
	src := &outlined{TraceSource: traces, rows: comb(n), version: "1"}
	s := New(Options{Traces: src, Guard: engine.New(engine.Options{})})
	pagesOfComb(t, s, n)
	src.older = true
	pagesOfComb(t, s, n)
}

// TestCompareTracesOfKnownStructure compares a large trace while its structure
// is kept for its pages.
func TestCompareTracesOfKnownStructure(t *testing.T) {
	const n = keptWhole/2 + 500
	src := &outlined{TraceSource: testkit.NewMemTraces(), rows: comb(n), version: "1"}
	s := New(Options{Traces: src, Guard: engine.New(engine.Options{})})
	pagesOfComb(t, s, n)
	id := model.TraceID{1}.String()
	got, err := s.CompareTraces(context.Background(), &braidv1.CompareTracesRequest{A: id, B: id})
	require.NoError(t, err)
	require.EqualValues(t, 2*n+1, got.GetA().GetSpans())
	require.EqualValues(t, 3, got.GetTotalPaths())
}

func TestStructuresAreKeptWithinBounds(t *testing.T) {
	var m structureMemo
	large := &structure{order: make([]int32, keepBytes/100)}
	for i := range byte(5) {
		m.put("a", model.TraceID{i + 1}, large)
	}
	require.LessOrEqual(t, m.bytes(), keepBytes)
	require.Nil(t, m.get("a", model.TraceID{1}))
	require.Nil(t, m.get("b", model.TraceID{5}))
	require.NotNil(t, m.get("a", model.TraceID{5}))
}

func pagesOfComb(t *testing.T, s *Service, n int) {
	seen := map[string]bool{"": true}
	offset, pages := int32(0), 0
	for {
		got, err := s.Trace(context.Background(), &braidv1.TraceRequest{TraceId: model.TraceID{1}.String(), Offset: offset, Limit: 9_000})
		require.NoError(t, err)
		require.EqualValues(t, 2*n+1, got.GetTotalSpans())
		for _, x := range got.GetSpans() {
			require.False(t, seen[x.GetSpanId()])
			require.True(t, seen[x.GetParentId()])
			require.Len(t, x.GetAttributes(), 1)
			seen[x.GetSpanId()] = true
		}
		require.Len(t, got.GetServices(), 1)
		require.EqualValues(t, 10*n, got.GetServices()[0].GetSelfNs())
		require.EqualValues(t, 10*n, got.GetServices()[0].GetCriticalNs())
		pages++
		if offset = got.GetNextOffset(); offset == 0 {
			break
		}
	}
	require.Equal(t, 3, pages)
	require.Len(t, seen, 2*n+2)
}
