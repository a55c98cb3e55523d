package tracestore

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"braid/internal/testkit"
	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, o Options) *Store {
	t.Helper()
	o.Manual = true
	if o.FS == nil {
		o.FS = vfs.NewCrashable()
	}
	if o.Dir == "" {
		o.Dir = "/traces"
	}
	s, err := Open(o)
	require.NoError(t, err)
	return s
}

// spanMaker makes random spans out of a small vocabulary, so that random
// questions have answers.
type spanMaker struct {
	*rand.Rand
	resources []*model.Resource
	scopes    []*model.Scope
	traces    []model.TraceID
	made      []model.SpanRow
}

var testSpec = model.NewKeySpec(nil)

const second = int64(1e9)

func newSpanMaker(seed uint64) *spanMaker {
	m := &spanMaker{Rand: rand.New(rand.NewPCG(seed, 7))}
	for i := range 6 {
		m.resources = append(m.resources, &model.Resource{SchemaURL: strings.Repeat("u", i%2), DroppedAttrs: uint32(i % 3), Attrs: model.Attrs{
			{Key: "service.name", Value: model.String(fmt.Sprintf("svc-%d", i%4))},
			{Key: "k8s.pod.name", Value: model.String(fmt.Sprintf("pod-%d", i))},
			{Key: "level", Value: model.Int(int64(i))},
		}})
	}
	m.resources = append(m.resources, &model.Resource{})
	m.scopes = []*model.Scope{{}, {Name: "lib", Version: "1.2", Attrs: model.Attrs{{Key: "where", Value: model.String("scope")}}}}
	for range 40 {
		var id model.TraceID
		for i := range id {
			id[i] = byte(m.Uint32())
		}
		m.traces = append(m.traces, id)
	}
	return m
}

func (m *spanMaker) spanID() (id model.SpanID) {
	id[7] = byte(1 + m.IntN(60))
	return id
}

var words = []string{"GET", "POST", "checkout", "", "päth", "a b", "true", "7"}

func (m *spanMaker) value() model.Value {
	switch m.IntN(9) {
	case 0:
		return model.Int(int64(m.IntN(5)) - 1)
	case 1:
		return model.Double(float64(m.IntN(4)) / 2)
	case 2:
		return model.Bool(m.IntN(2) == 0)
	case 3:
		return model.ArrayJSON(`["GET",7,true]`)
	case 4:
		return model.MapJSON(`{"a":1}`)
	case 5:
		return model.Bytes("\x00\xff")
	case 6:
		return model.Value{}
	}
	return model.String(words[m.IntN(len(words))])
}

var keys = []string{"http.method", "http.status_code", "db.system", "where", "level", "user.id", "request.id", "odd key", "k8s.pod.name"}

func (m *spanMaker) attrs(n int) model.Attrs {
	var out model.Attrs
	for _, k := range m.Perm(len(keys))[:m.IntN(n+1)] {
		out = append(out, model.Attr{Key: keys[k], Value: m.value()})
	}
	return out
}

func (m *spanMaker) span() model.SpanRow {
	if len(m.made) > 0 && m.IntN(12) == 0 {
		return m.made[m.IntN(len(m.made))] // a retry
	}
	r := model.SpanRow{Resource: m.resources[m.IntN(len(m.resources))], Scope: m.scopes[m.IntN(len(m.scopes))]}
	trace := m.IntN(len(m.traces))
	start := (1000+int64(trace)*3)*second + m.Int64N(8*second)
	r.Span = model.Span{
		TraceID: m.traces[trace], SpanID: m.spanID(), Name: words[m.IntN(4)], Start: start,
		End: start + m.Int64N(3*second) - second/4, Kind: model.SpanKind(m.IntN(6)), Status: model.StatusCode(m.IntN(3)),
		Attrs: m.attrs(6), Flags: uint32(m.IntN(3)), DroppedAttrs: uint32(m.IntN(2)), DroppedEvents: uint32(m.IntN(2)), DroppedLinks: uint32(m.IntN(2)),
	}
	if m.IntN(4) > 0 {
		r.ParentID = m.spanID()
	}
	if m.IntN(5) == 0 {
		r.StatusMessage, r.TraceState = words[m.IntN(len(words))], "k=v"
	}
	for range m.IntN(3) {
		r.Events = append(r.Events, model.SpanEvent{Time: start + m.Int64N(second), Name: words[m.IntN(3)], Attrs: m.attrs(2), DroppedAttrs: uint32(m.IntN(2))})
	}
	if m.IntN(6) == 0 {
		r.Links = append(r.Links, model.SpanLink{TraceID: m.traces[0], SpanID: m.spanID(), TraceState: "x=y", Attrs: m.attrs(2), Flags: 1, DroppedAttrs: 2})
	}
	m.made = append(m.made, r)
	return r
}

// batch makes a request of n spans; what the spans point at is not shared.
func (m *spanMaker) batch(n int) (*model.Spans, []model.SpanRow) {
	spans, rows := &model.Spans{}, []model.SpanRow{}
	for range n {
		r := m.span()
		rows = append(rows, r)
		spans.Batches = append(spans.Batches, model.SpanBatch{Resource: r.Resource, Scope: r.Scope, Spans: []model.Span{r.Span}})
	}
	return spans, rows
}

func (m *spanMaker) field() predicate.Field {
	switch m.IntN(8) {
	case 0:
		return predicate.Intrinsic([]string{predicate.Name, predicate.Duration, predicate.Kind, predicate.Status, predicate.StatusMessage,
			predicate.Time, predicate.TraceID, predicate.SpanID, predicate.ParentID, "nothing"}[m.IntN(10)])
	case 1:
		return predicate.Field{Scope: predicate.ScopeTrace, Name: []string{predicate.RootName, predicate.RootService, predicate.TraceDuration}[m.IntN(3)]}
	case 2:
		return predicate.Field{Scope: predicate.ScopeEvent, Name: append(keys, "name", "timeSinceStart")[m.IntN(len(keys)+2)]}
	case 3:
		return predicate.Field{Scope: predicate.ScopeLink, Name: append(keys, "traceID", "spanID")[m.IntN(len(keys)+2)]}
	case 4:
		return predicate.Field{Scope: predicate.ScopeResource, Name: []string{"service.name", "k8s.pod.name", "level"}[m.IntN(3)]}
	case 5:
		return predicate.Field{Scope: predicate.ScopeInstrumentation, Name: []string{"name", "version", "where"}[m.IntN(3)]}
	}
	f := predicate.Field{Scope: []predicate.Scope{predicate.ScopeAny, predicate.ScopeRecord}[m.IntN(2)], Name: keys[m.IntN(len(keys))]}
	if m.IntN(4) == 0 {
		f.Name, f.Underscored = predicate.Underscore(f.Name), true
	}
	return f
}

func (m *spanMaker) operand() model.Value {
	switch m.IntN(8) {
	case 0:
		return model.String([]string{"svc-1", "pod-2", "lib", "error", "server", "scope"}[m.IntN(6)])
	case 1:
		return model.Int(m.Int64N(3 * second))
	}
	return m.value()
}

func (m *spanMaker) expr(depth int) predicate.Expr {
	if depth > 0 && m.IntN(2) == 0 {
		switch m.IntN(3) {
		case 0:
			return predicate.And{m.expr(depth - 1), m.expr(depth - 1)}
		case 1:
			return predicate.Or{m.expr(depth - 1), m.expr(depth - 1)}
		}
		return predicate.Not{X: m.expr(depth - 1)}
	}
	switch m.IntN(10) {
	case 0:
		return predicate.Exists{Field: m.field()}
	case 1:
		x, _ := predicate.NewMatch(m.field(), []string{"svc-[12]", ".*", "G.T", "7|true"}[m.IntN(4)])
		return x
	case 2:
		x, _ := predicate.NewText(m.field(), predicate.TextMode(m.IntN(4)), []string{"e", "GET", "pod"}[m.IntN(3)], m.IntN(2) == 0)
		return x
	case 3:
		return predicate.Correlated{Kind: []string{"", "user", "request", "trace"}[m.IntN(4)], ID: m.id()}
	case 4:
		return predicate.True{}
	}
	return predicate.Compare{Field: m.field(), Op: predicate.Op(m.IntN(6)), Value: m.operand(), Loose: m.IntN(3) == 0}
}

func (m *spanMaker) id() string {
	if m.IntN(2) == 0 {
		return m.traces[m.IntN(len(m.traces))].String()
	}
	return words[m.IntN(len(words))]
}

func (m *spanMaker) timeRange() model.TimeRange {
	if m.IntN(3) == 0 {
		return model.TimeRange{}
	}
	from := 1000*second + m.Int64N(130*second)
	to := from + m.Int64N(60*second) + 1
	switch m.IntN(3) {
	case 0:
		from -= from % second
	case 1:
		from, to = from-from%second, to-to%second+second
	}
	return model.TimeRange{Start: from, End: to}
}

const acme = tenant.ID("acme")

// world is a store and what it should hold.
type world struct {
	t     *testing.T
	m     *spanMaker
	o     Options
	s     *Store
	seen  map[string]bool
	rows  []model.SpanRow
	truth *testkit.MemTraces
	pos   model.Position
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, m: newSpanMaker(seed), seen: map[string]bool{}, truth: testkit.NewMemTraces()}
	w.o = Options{FS: vfs.NewCrashable(), Dir: "/traces"}
	w.s = open(t, w.o)
	return w
}

func (w *world) append(n int) {
	spans, rows := w.m.batch(n)
	w.pos++
	rej, err := w.s.AppendSpans(context.Background(), acme, w.pos, spans)
	require.NoError(w.t, err)
	require.Zero(w.t, rej.Count)
	for _, r := range rows {
		if key := fmt.Sprintf("%+v %+v %+v", *r.Resource, *r.Scope, r.Span); !w.seen[key] {
			w.seen[key] = true
			w.rows = append(w.rows, r)
		}
	}
	// What several spans of one start and id are ordered by is the store's own.
	sorted := slices.Clone(w.rows)
	slices.SortStableFunc(sorted, func(a, b model.SpanRow) int { return compareSpans(&a, &b) })
	w.truth = testkit.NewMemTraces()
	w.truth.Add(acme, sorted...)
}

func (w *world) reopen() {
	require.NoError(w.t, w.s.Close())
	w.s = open(w.t, w.o)
}

func (w *world) step() {
	ctx := context.Background()
	switch w.m.IntN(8) {
	case 0, 1:
		require.NoError(w.t, w.s.Flush(ctx))
	case 2:
		require.NoError(w.t, w.s.Flush(ctx))
		ten := w.s.tenant(acme, true)
		if blocks := ten.blocks(); len(blocks) > 1 {
			require.NoError(w.t, ten.mergeBlocks(ctx, blocks[:2]))
		}
	case 3:
		w.reopen()
	default:
		w.append(1 + w.m.IntN(60))
	}
}

func canonSpans(rows []model.SpanRow) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = fmt.Sprintf("%+v %+v %+v match=%b", *r.Resource, *r.Scope, r.Span, r.Match)
	}
	return out
}

func (w *world) compareTrace() {
	id := w.m.traces[w.m.IntN(len(w.m.traces))]
	collect := func(seq func(func([]model.SpanRow, error) bool)) (out []model.SpanRow) {
		for rows, err := range seq {
			require.NoError(w.t, err)
			out = append(out, rows...)
		}
		return out
	}
	got := collect(w.s.Trace(context.Background(), acme, id, nil))
	want := collect(w.truth.Trace(context.Background(), acme, id, nil))
	require.True(w.t, slices.IsSortedFunc(got, func(a, b model.SpanRow) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), slices.Compare(a.SpanID[:], b.SpanID[:]))
	}))
	require.ElementsMatch(w.t, canonSpans(want), canonSpans(got))
}

func (w *world) compareSelect() {
	q := &predicate.SpanQuery{Tenant: acme, Range: w.m.timeRange(), Order: predicate.Order(w.m.IntN(3)), Tree: w.m.IntN(3) == 0}
	for range w.m.IntN(4) {
		q.Filters = append(q.Filters, w.m.expr(2))
	}
	if len(q.Filters) > 1 && w.m.IntN(2) == 0 {
		q.Require = []uint64{1 + w.m.Uint64N(1<<len(q.Filters)-1)}
	}
	if w.m.IntN(2) == 0 {
		q.Limit = 1 + w.m.IntN(5)
	}
	collect := func(seq func(func(*model.TraceMatch, error) bool)) (out []string) {
		for m, err := range seq {
			require.NoError(w.t, err)
			if q.Tree {
				m.Matched = 0
			}
			spans := canonSpans(m.Spans)
			slices.Sort(spans)
			out = append(out, fmt.Sprintf("%+v matched=%d\n%s", m.Facts, m.Matched, strings.Join(spans, "\n")))
		}
		return out
	}
	stats := &model.QueryStats{}
	q.Stats = stats
	got := collect(w.s.SelectSpans(context.Background(), q))
	q.Stats = nil
	want := collect(w.truth.SelectSpans(context.Background(), q))
	require.Empty(w.t, stats.Warnings())
	require.Equal(w.t, want, got, "filters %v require %b range %v order %d limit %d tree %v", q.Filters, q.Require, q.Range, q.Order, q.Limit, q.Tree)
	if q.Tree || len(want) == 0 {
		return
	}
	q.SpansPerTrace = 2
	for m, err := range w.s.SelectSpans(context.Background(), q) {
		require.NoError(w.t, err)
		require.LessOrEqual(w.t, len(m.Spans), 2)
		require.GreaterOrEqual(w.t, m.Matched, len(m.Spans))
	}
}

func (w *world) compareAggregate() {
	q := &predicate.Aggregation{Tenant: acme, Range: w.m.timeRange(), Filter: w.m.expr(2), Measure: predicate.Measure(w.m.IntN(3)), Of: w.m.field(), OfText: w.m.IntN(2) == 0, Exemplars: w.m.IntN(2)}
	if q.Range.All() {
		q.Range = model.TimeRange{Start: 1000 * second, End: 1200 * second}
	}
	if w.m.IntN(2) == 0 {
		q.Step = []int64{second, 7 * second, second / 3}[w.m.IntN(3)]
	}
	for range w.m.IntN(3) {
		q.By = append(q.By, w.m.field())
	}
	got, err := w.s.AggregateSpans(context.Background(), q)
	require.NoError(w.t, err)
	want, err := w.truth.AggregateSpans(context.Background(), q)
	require.NoError(w.t, err)
	require.Equal(w.t, canonAggregate(want), canonAggregate(got), "filter %v by %v of %v step %d range %v", q.Filter, q.By, q.Of, q.Step, q.Range)
}

func canonAggregate(a *model.Aggregate) map[string]string {
	out := map[string]string{}
	for _, g := range a.Groups {
		var b strings.Builder
		for i, c := range g.Cells {
			if c.Count > 0 {
				fmt.Fprintf(&b, "%d: %d of %d sum %.6g min %g max %g", i, c.Measured, c.Count, c.Sum, c.Min, c.Max)
				if c.Sketch != nil {
					fmt.Fprintf(&b, " sketch %v %v %d %d", c.Sketch.Positive, c.Sketch.Negative, c.Sketch.Zero, c.Sketch.Total)
				}
				b.WriteByte('\n')
			}
		}
		fmt.Fprintf(&b, "%d exemplars", len(g.Exemplars))
		var key []string
		for _, v := range g.Key {
			key = append(key, fmt.Sprintf("%d:%s", v.Kind(), v.Text()))
		}
		out[strings.Join(key, ",")] = b.String()
	}
	return out
}

func (w *world) compareFields() {
	q := &predicate.FieldQuery{Tenant: acme, Range: w.m.timeRange(), Filter: w.m.expr(1)}
	if w.m.IntN(2) == 0 {
		f := w.m.field()
		q.Field = &f
	}
	got, err := w.s.SpanFields(context.Background(), q)
	require.NoError(w.t, err)
	want, err := w.truth.SpanFields(context.Background(), q)
	require.NoError(w.t, err)
	canon := func(in []predicate.FieldInfo) map[string]int64 {
		out := map[string]int64{}
		for _, f := range in {
			if q.Field == nil && f.Field.Scope == predicate.ScopeIntrinsic || q.Field != nil && f.Kind == model.KindEmpty {
				continue
			}
			out[fmt.Sprintf("%s %d %q", f.Field, f.Kind, f.Value.Text())] += f.Count
		}
		return out
	}
	require.Equal(w.t, canon(want), canon(got), "field %v filter %v range %v", q.Field, q.Filter, q.Range)
}

// TestStoreAgreesWithDefinition appends, flushes, merges and reopens at random,
// and compares every kind of answer with predicate.Eval on every span.
func TestStoreAgreesWithDefinition(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			defer func() { require.NoError(t, w.s.Close()) }()
			for range 14 {
				w.step()
				for range 3 {
					w.compareTrace()
					w.compareSelect()
					w.compareAggregate()
					w.compareFields()
				}
			}
		})
	}
}
