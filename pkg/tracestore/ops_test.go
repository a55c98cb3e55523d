package tracestore

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

func (w *world) flushSome(n int) {
	w.append(n)
	require.NoError(w.t, w.s.Flush(context.Background()))
}

func TestRetentionDropsWholeBlocks(t *testing.T) {
	now := time.Unix(1000, 0)
	for name, o := range map[string]Options{
		"by age":    {Retention: time.Hour},
		"by size":   {RetentionBytes: 1},
		"by tenant": {Limits: func(tenant.ID) Limits { return Limits{Retention: time.Hour} }},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, m: newSpanMaker(1), seen: map[string]bool{}}
			w.o = o
			w.o.FS, w.o.Dir, w.o.Now = vfs.NewCrashable(), "/traces", func() time.Time { return now.Add(2 * time.Hour) }
			w.s = open(t, w.o)
			defer func() { require.NoError(t, w.s.Close()) }()
			w.flushSome(20)
			v := w.s.tenant(acme, true).view(nil) // a query under way
			require.NoError(t, w.s.Maintain(context.Background()))
			require.Empty(t, w.s.tenant(acme, true).blocks())
			_, err := w.o.FS.Stat(v.blocks[0].Dir)
			require.NoError(t, err, "the folder stays while it is read")
			dir := v.blocks[0].Dir
			v.release()
			_, err = w.o.FS.Stat(dir)
			require.Error(t, err)
			require.Empty(t, collect(t, w.s, nil))
		})
	}
}

func TestMaintainMergesSmallBlocks(t *testing.T) {
	w := newWorld(t, 3)
	defer func() { require.NoError(t, w.s.Close()) }()
	for range 6 {
		w.flushSome(40)
	}
	require.Len(t, w.s.tenant(acme, true).blocks(), 6)
	require.NoError(t, w.s.Maintain(context.Background()))
	blocks := w.s.tenant(acme, true).blocks()
	require.Len(t, blocks, 1)
	require.Equal(t, 1, blocks[0].Level)
	require.Equal(t, "1-6", blocks[0].Positions.String())
	require.Empty(t, w.s.tenant(acme, true).set.split)
	w.compareAll(10)
	w.reopen()
	w.compareAll(5)
}

func TestRejectionsNameTheField(t *testing.T) {
	s := open(t, Options{Limits: func(tenant.ID) Limits { return Limits{MaxSpanBytes: 100} }})
	defer func() { require.NoError(t, s.Close()) }()
	id := model.TraceID{1}
	rej, err := s.AppendSpans(context.Background(), acme, 1, &model.Spans{Batches: []model.SpanBatch{{Spans: []model.Span{
		{SpanID: model.SpanID{1}}, {TraceID: id}, {TraceID: id, SpanID: model.SpanID{1}, Name: strings.Repeat("x", 101)},
		{TraceID: id, SpanID: model.SpanID{2}, Start: 5, End: 6},
	}}}})
	require.NoError(t, err)
	require.Equal(t, int64(3), rej.Count)
	require.Equal(t, "span without a trace id; set trace_id; span without a span id; set span_id; "+
		"span larger than 100 bytes; shorten its attributes and events or raise the limit max_span_bytes", rej.Message())
	require.Len(t, collect(t, s, nil), 1)
}

// TestFailingDiskIsSaidAndLosesNothing fails every write for a while: senders
// are told to wait, and all that was taken is there in the end.
func TestFailingDiskIsSaidAndLosesNothing(t *testing.T) {
	var broken atomic.Bool
	fsys := vfs.WithFaults(vfs.NewCrashable(), func(op vfs.Op) error {
		if broken.Load() && op.Kind == "create" {
			return errors.New("no space left on device")
		}
		return nil
	})
	w := &world{t: t, m: newSpanMaker(2), seen: map[string]bool{}, o: Options{FS: fsys, Dir: "/traces"}}
	w.s = open(t, w.o)
	broken.Store(true)
	var overload *model.OverloadError
	for range 10 {
		spans, _ := w.m.batch(20)
		w.pos++
		if _, err := w.s.AppendSpans(context.Background(), acme, w.pos, spans); errors.As(err, &overload) {
			break
		}
		require.Error(t, w.s.Flush(context.Background()))
	}
	require.NotNil(t, overload)
	require.Positive(t, overload.RetryAfter)
	oldest, ok := w.s.OldestNeeded()
	require.True(t, ok)
	require.Equal(t, model.Position(1), oldest)
	before := collect(t, w.s, nil)
	require.NotEmpty(t, before)
	broken.Store(false)
	require.NoError(t, w.s.Flush(context.Background()))
	sameSpans(t, before, collect(t, w.s, nil), "flushed")
	w.reopen()
	sameSpans(t, before, collect(t, w.s, nil), "reopened")
	require.NoError(t, w.s.Close())
}

func TestTenantsAreApartAndUnknownOnesEmpty(t *testing.T) {
	w := newWorld(t, 4)
	w.flushSome(30)
	w.append(10)
	other := tenant.ID("other")
	for range w.s.SelectSpans(context.Background(), &predicate.SpanQuery{Tenant: other}) {
		t.Fatal("another tenant's span")
	}
	g, err := w.s.ServiceGraph(context.Background(), other, model.TimeRange{}, nil)
	require.NoError(t, err)
	require.Empty(t, g.Edges)
	fields, err := w.s.SpanFields(context.Background(), &predicate.FieldQuery{Tenant: other})
	require.NoError(t, err)
	require.Empty(t, fields)
	agg, err := w.s.AggregateSpans(context.Background(), &predicate.Aggregation{Tenant: other})
	require.NoError(t, err)
	require.Empty(t, agg.Groups)
	require.NoError(t, w.s.Close())
	require.NoError(t, w.s.Close())
	_, err = w.s.AppendSpans(context.Background(), acme, 1, &model.Spans{})
	require.Error(t, err)
}

func TestCancelEndsQuestions(t *testing.T) {
	w := newWorld(t, 5)
	defer func() { require.NoError(t, w.s.Close()) }()
	w.flushSome(100)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, err := range w.s.SelectSpans(ctx, &predicate.SpanQuery{Tenant: acme}) {
		require.ErrorIs(t, err, context.Canceled)
	}
	_, err := w.s.AggregateSpans(ctx, &predicate.Aggregation{Tenant: acme})
	require.ErrorIs(t, err, context.Canceled)
	_, err = w.s.ServiceGraph(ctx, acme, model.TimeRange{}, nil)
	require.ErrorIs(t, err, context.Canceled)
}

// TestStoreWithLoopsOpensAndCloses fills heads that the store flushes by itself,
// on a real disk.
func TestStoreWithLoopsOpensAndCloses(t *testing.T) {
	reg := prometheus.NewRegistry()
	s, err := Open(Options{Dir: t.TempDir(), Registerer: reg, HeadMaxSpans: 50})
	require.NoError(t, err)
	m := newSpanMaker(1)
	for pos := range model.Position(20) {
		spans, _ := m.batch(30)
		for {
			_, err := s.AppendSpans(context.Background(), acme, pos+1, spans)
			var busy *model.OverloadError
			if !errors.As(err, &busy) {
				require.NoError(t, err)
				break
			}
		}
	}
	before := collect(t, s, nil)
	require.NoError(t, s.Maintain(context.Background()))
	sameSpans(t, before, collect(t, s, nil), "merged")
	require.NoError(t, s.Close())
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Empty(t, families, "a closed store takes its metrics with it")
}
