package conformance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/query/fanout"
	"braid/pkg/query/sourcetest"
	"braid/pkg/remote"
	"braid/pkg/tenant"
)

// split is several trace stores behind one fanout. Every second one is in
// another process.
type split struct {
	t      *testing.T
	shelfs []*traceShelf
	parts  []*part
	src    *fanout.Traces
	pos    model.Position
}

// part is a source that counts, and that can be away or of an older version.
type part struct {
	query.TraceSource
	mu     sync.Mutex
	away   error  // what every question ends with
	before func() // called once, before the next SpansAt
	whole  int    // how often a trace was read, or spans of it sent by an outline
	spans  int    // how many spans SpansAt has returned
}

func (p *part) Outline(ctx context.Context, t tenant.ID, id model.TraceID, known string, over int, stats *model.QueryStats) (*model.Outline, error) {
	if p.away != nil {
		return nil, p.away
	}
	o, err := p.TraceSource.(query.OutlineSource).Outline(ctx, t, id, known, over, stats)
	p.mu.Lock()
	defer p.mu.Unlock()
	if o != nil && len(o.Spans) > 0 {
		p.whole++
	}
	return o, err
}

func (p *part) SpansAt(ctx context.Context, t tenant.ID, id model.TraceID, version string, at []uint64, stats *model.QueryStats) ([]model.SpanRow, error) {
	p.mu.Lock()
	before := p.before
	p.before, p.spans = nil, p.spans+len(at)
	p.mu.Unlock()
	if before != nil {
		before()
	}
	if p.away != nil {
		return nil, p.away
	}
	return p.TraceSource.(query.OutlineSource).SpansAt(ctx, t, id, version, at, stats)
}

func newSplit(t *testing.T, stores int) *split {
	s := &split{t: t, src: &fanout.Traces{KeySpec: func() *model.KeySpec { return model.NewKeySpec(nil) }}}
	for i := range stores {
		shelf := newTraceShelf(t)
		p := &part{TraceSource: shelf.store}
		if i%2 == 0 {
			p.TraceSource = over(t, remote.Sources{Traces: shelf.store})
		}
		s.shelfs, s.parts = append(s.shelfs, shelf), append(s.parts, p)
		s.src.Parts = append(s.src.Parts, fanout.Part[query.TraceSource]{Name: fmt.Sprint("part ", i), Source: p})
	}
	return s
}

func (s *split) add(store int, rows ...model.SpanRow) {
	s.t.Helper()
	spans := &model.Spans{}
	for _, r := range rows {
		spans.Batches = append(spans.Batches, model.SpanBatch{Resource: r.Resource, Scope: r.Scope, Spans: []model.Span{r.Span}})
	}
	s.pos++
	require.NoError(s.t, s.shelfs[store].append("a", s.pos, spans))
}

func (s *split) check() {
	s.t.Helper()
	sourcetest.CheckOutline(ctx, s.t, 0, s.src, chainID, false)
}

func (s *split) outline(known string, over int) (*model.Outline, []string) {
	s.t.Helper()
	stats := &model.QueryStats{}
	o, err := s.src.Outline(ctx, "a", chainID, known, over, stats)
	require.NoError(s.t, err)
	return o, stats.Warnings()
}

var chainID = model.TraceID{7}

// link is span n of a trace in which each is the child of the one before.
func link(n int) model.SpanRow {
	id := func(n int) model.SpanID { return model.SpanID{1, byte(n >> 8), byte(n)} }
	r := model.SpanRow{Resource: &model.Resource{Attrs: model.Attrs{{Key: "service.name", Value: model.String(fmt.Sprint("s", n%3))}}}, Scope: &model.Scope{Name: "x"}}
	r.Span = model.Span{TraceID: chainID, SpanID: id(n), Name: fmt.Sprint("op", n%5), Start: sourcetest.Epoch + int64(n)*1000, End: sourcetest.Epoch + int64(n)*1000 + 500,
		Attrs: model.Attrs{{Key: "n", Value: model.Int(int64(n))}}}
	if n > 0 {
		r.ParentID = id(n - 1)
	}
	return r
}

func chain(from, to int) (out []model.SpanRow) {
	for n := from; n < to; n++ {
		out = append(out, link(n))
	}
	return out
}

// TestOutlineOfRepeatedSpans has spans in several stores: equal ones, and ones
// that share an id but differ in something that outlines say, or do not.
func TestOutlineOfRepeatedSpans(t *testing.T) {
	changes := []func(*model.SpanRow){
		func(*model.SpanRow) {}, func(*model.SpanRow) {}, func(*model.SpanRow) {},
		func(r *model.SpanRow) { r.Name = "other" },
		func(r *model.SpanRow) { r.End++ },
		func(r *model.SpanRow) { r.Kind = model.SpanKindServer },
		func(r *model.SpanRow) { r.Status = model.StatusError },
		func(r *model.SpanRow) { r.ParentID = model.SpanID{9} },
		func(r *model.SpanRow) { r.Attrs = model.Attrs{{Key: "n", Value: model.String("other")}} },
		func(r *model.SpanRow) {
			r.Resource = &model.Resource{Attrs: append(model.Attrs{{Key: "pod", Value: model.String("2")}}, r.Resource.Attrs...)}
		},
	}
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 5))
		s := newSplit(t, 3)
		for n := range 200 {
			for range 1 + r.IntN(4) {
				row := link(n)
				changes[r.IntN(len(changes))](&row)
				s.add(r.IntN(3), row)
			}
			if n%60 == 30 {
				require.NoError(t, s.shelfs[r.IntN(3)].store.Flush(ctx))
			}
		}
		s.check()
	}
}

// TestOutlineOfAMirroredTrace: all of it is in two stores, more than is compared
// at a time.
func TestOutlineOfAMirroredTrace(t *testing.T) {
	const n = 5000
	s := newSplit(t, 2)
	s.add(0, chain(0, n)...)
	s.add(1, chain(0, n)...)
	require.NoError(t, s.shelfs[0].store.Flush(ctx))
	o, _ := s.outline("", n-1)
	require.Len(t, o.Spans, n)
	s.check()
}

// TestOutlineOfASplitTrace: the few spans that one part has are there when the
// trace is large in another, nobody reads all again for a version that is known,
// and a part that changes is noticed.
func TestOutlineOfASplitTrace(t *testing.T) {
	s := newSplit(t, 3)
	s.add(0, chain(0, 100)...)
	s.add(1, chain(100, 110)...)
	o, _ := s.outline("", 100)
	require.Nil(t, o, "no part has more")
	o, _ = s.outline("", 99)
	require.Len(t, o.Spans, 110)
	s.check()
	version := o.Version
	for _, p := range s.parts {
		p.whole, p.spans = 0, 0
	}
	o, _ = s.outline(version, 99)
	require.Equal(t, &model.Outline{Version: version}, o)
	rows, err := s.src.SpansAt(ctx, "a", chainID, version, nil, nil)
	require.NoError(t, err)
	require.Empty(t, rows)
	for _, p := range s.parts {
		require.Zero(t, p.whole)
		require.Zero(t, p.spans, "nothing is alike")
	}
	for i := range s.parts { // the last one had none
		s.add(i, link(200+i))
		o, _ = s.outline(version, 99)
		require.NotEqual(t, version, o.Version)
		require.Len(t, o.Spans, 111+i)
		version = o.Version
	}
	s.check()
}

// TestOutlineWithAPartAway: what the others have comes with a warning, and again
// in whole when the part is back.
func TestOutlineWithAPartAway(t *testing.T) {
	away := &model.OverloadError{Reason: "connection refused", RetryAfter: time.Second}
	s := newSplit(t, 3)
	s.add(0, chain(0, 100)...)
	s.add(1, chain(100, 200)...)
	o, warnings := s.outline("", 50)
	require.Len(t, o.Spans, 200)
	require.Empty(t, warnings)
	whole := o
	at := make([]uint64, 0, 200)
	for i := range whole.Spans {
		at = append(at, whole.Spans[i].At)
	}

	s.parts[1].away = away
	_, err := s.src.SpansAt(ctx, "a", chainID, whole.Version, at, nil)
	require.ErrorIs(t, err, model.ErrChanged, "so that the outline is asked for again")
	for _, known := range []string{"", whole.Version} {
		o, warnings = s.outline(known, 50)
		require.Len(t, o.Spans, 100)
		require.Len(t, warnings, 1)
		require.Contains(t, warnings[0], "part 1 did not answer, the result is not whole")
	}
	require.NotEqual(t, whole.Version, o.Version)
	part := o.Version
	o, warnings = s.outline(part, 50)
	require.Equal(t, &model.Outline{Version: part}, o)
	require.Len(t, warnings, 1)

	s.parts[1].away = nil
	o, warnings = s.outline(part, 50)
	require.Empty(t, warnings)
	require.Equal(t, whole, o)

	s.parts[1].away = errors.New("damaged")
	_, err = s.src.SpansAt(ctx, "a", chainID, whole.Version, at, nil)
	require.NotErrorIs(t, err, model.ErrChanged)
	require.ErrorContains(t, err, "from part 1: damaged")

	for _, p := range s.parts {
		p.away = away
	}
	o, warnings = s.outline(whole.Version, 50)
	require.Nil(t, o, "Trace tells what is the matter")
	require.Empty(t, warnings)

	s.parts[0].away, s.parts[1].away, s.parts[2].away = nil, nil, fmt.Errorf("%w: too large", model.ErrTooMuch)
	_, err = s.src.Outline(ctx, "a", chainID, "", 50, nil)
	require.ErrorIs(t, err, model.ErrTooMuch)
}

// TestOutlineThatChangesMeanwhile: a part goes away, or its spans move, between
// its outline and the look whether spans are the same.
func TestOutlineThatChangesMeanwhile(t *testing.T) {
	s := newSplit(t, 2)
	s.add(0, chain(0, 60)...)
	s.add(1, chain(40, 100)...)
	s.parts[1].before = func() { require.NoError(t, s.shelfs[1].store.Flush(ctx)) }
	o, warnings := s.outline("", 50)
	require.Len(t, o.Spans, 100)
	require.Empty(t, warnings)

	s.parts[0].before = func() { s.parts[0].away = &model.OverloadError{Reason: "ended"} }
	o, warnings = s.outline("", 50)
	require.Len(t, o.Spans, 60)
	require.Len(t, warnings, 1)
	s.parts[0].away = nil

	old := o.Version
	_, err := s.src.SpansAt(ctx, "a", chainID, old, []uint64{0}, nil)
	require.ErrorIs(t, err, model.ErrChanged, "of a part that was away")
	require.NoError(t, s.shelfs[0].store.Flush(ctx))
	o, _ = s.outline("", 50)
	s.add(0, chain(100, 101)...)
	next, _ := s.outline(o.Version, 50)
	require.Len(t, next.Spans, 101)
	require.NotEqual(t, o.Version, next.Version)
}

// TestOutlineOfOlderPrograms: errors.ErrUnsupported, whichever part it is.
func TestOutlineOfOlderPrograms(t *testing.T) {
	shelf := newTraceShelf(t)
	s := newSplit(t, 2)
	s.add(0, chain(0, 100)...)
	older := struct{ query.TraceSource }{shelf.store}
	for name, src := range map[string]query.TraceSource{"here": older, "there": over(t, remote.Sources{Traces: older})} {
		for _, one := range []query.OutlineSource{
			&fanout.Traces{Parts: []fanout.Part[query.TraceSource]{{Name: name, Source: src}}},
			&fanout.Traces{Parts: append([]fanout.Part[query.TraceSource]{{Name: name, Source: src}}, s.src.Parts...)},
			&fanout.Traces{Parts: append(append([]fanout.Part[query.TraceSource]{}, s.src.Parts...), fanout.Part[query.TraceSource]{Name: name, Source: src})},
		} {
			_, err := one.Outline(ctx, "a", chainID, "", 10, nil)
			require.ErrorIs(t, err, errors.ErrUnsupported, name)
		}
	}
}

// TestOutlineBehindTwoFanouts: places of spans have room for more than one.
func TestOutlineBehindTwoFanouts(t *testing.T) {
	s := newSplit(t, 3)
	s.add(0, chain(0, 100)...)
	s.add(1, chain(50, 150)...)
	inner := over(t, remote.Sources{Traces: s.src})
	other := newTraceShelf(t)
	outer := &fanout.Traces{Parts: []fanout.Part[query.TraceSource]{{Name: "empty", Source: other.store}, {Name: "inner", Source: inner}}}
	sourcetest.CheckOutline(ctx, t, 0, outer, chainID, false)
	only := &fanout.Traces{Parts: outer.Parts[1:]}
	sourcetest.CheckOutline(ctx, t, 0, only, chainID, false)
}
