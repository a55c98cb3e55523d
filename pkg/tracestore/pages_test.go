package tracestore

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/model"
)

// TestManyPages fills blocks with several pages and row groups, among them a
// trace longer than a row group, flushed in two parts, and compares as
// TestStoreAgreesWithDefinition does, before and after a merge.
func TestManyPages(t *testing.T) {
	w := newWorld(t, 99)
	defer func() { require.NoError(t, w.s.Close()) }()
	w.bulk(5000, 0)
	w.huge(groupRows+300, 50)
	require.NoError(t, w.s.Flush(context.Background()))
	w.bulk(3000, 20)
	w.huge(1500, 51)
	w.compareAll(1)
	require.NoError(t, w.s.Flush(context.Background()))
	w.compareAll(2)
	ten := w.s.tenant(acme, true)
	require.NoError(t, ten.mergeBlocks(context.Background(), ten.blocks()))
	require.Len(t, ten.blocks(), 1)
	require.Equal(t, int64(len(w.rows)), ten.blocks()[0].Rows)
	w.compareAll(2)
	for range 30 {
		w.compareAggregate()
	}
	w.reopen()
	w.compareAll(1)
}

// bulk appends n random spans in traces of their own.
func (w *world) bulk(n int, salt byte) {
	var rows []model.SpanRow
	for i := range n {
		r := w.m.span()
		r.TraceID[0], r.TraceID[1], r.TraceID[2] = salt, byte(i/40), byte(i/40>>8)
		r.SpanID[0], r.SpanID[1] = byte(i), byte(i>>8)
		rows = append(rows, r)
	}
	w.take(rows)
}

// huge appends spans to one trace.
func (w *world) huge(n int, salt byte) {
	var rows []model.SpanRow
	for i := range n {
		r := w.m.span()
		r.TraceID = w.m.traces[3]
		r.SpanID[0], r.SpanID[1], r.SpanID[2] = salt, byte(i), byte(i>>8)
		rows = append(rows, r)
	}
	w.take(rows)
}

// take appends spans that are all different.
func (w *world) take(rows []model.SpanRow) {
	spans := &model.Spans{}
	for _, r := range rows {
		spans.Batches = append(spans.Batches, model.SpanBatch{Resource: r.Resource, Scope: r.Scope, Spans: []model.Span{r.Span}})
	}
	w.pos++
	_, err := w.s.AppendSpans(context.Background(), acme, w.pos, spans)
	require.NoError(w.t, err)
	w.rows = append(w.rows, rows...)
	w.truth = testkit.NewMemTraces()
	w.truth.Add(acme, w.rows...)
}

func (w *world) compareAll(n int) {
	for range n {
		w.compareTrace()
		w.compareSelect()
		w.compareAggregate()
		w.compareFields()
	}
}
