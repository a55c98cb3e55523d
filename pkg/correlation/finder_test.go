package correlation

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

const (
	epoch  = int64(1_700_000_000_000_000_000)
	second = int64(time.Second)
)

// memMetrics holds exemplars.
type memMetrics struct {
	query.MetricSource
	rows []model.ExemplarRow
	spec *model.KeySpec
}

func (m *memMetrics) Exemplars(_ context.Context, q *query.ExemplarQuery) iter.Seq2[[]model.ExemplarRow, error] {
	return func(yield func([]model.ExemplarRow, error) bool) {
		for i := range m.rows {
			found := q.ID == ""
			predicate.EachExemplarKey(m.spec, &m.rows[i], func(k model.CorrelationKey) {
				found = found || k.ID == q.ID && (q.Kind == "" || q.Kind == k.Kind)
			})
			if found && !yield([]model.ExemplarRow{m.rows[i]}, nil) {
				return
			}
		}
	}
}

// shop is a generated history, and the same as lists.
type shop struct {
	logs      *testkit.MemLog
	traces    *testkit.MemTraces
	metrics   *memMetrics
	logRows   []model.LogRow
	spanRows  []model.SpanRow
	spec      *model.KeySpec
	requests  int
	finder    *Finder
	resources []*model.Resource
}

func str(k, v string) model.Attr { return model.Attr{Key: k, Value: model.String(v)} }

func requestID(n int) string { return fmt.Sprintf("7F3A0000-0000-4000-8000-%012X", n) }
func canonicalRequest(n int) string {
	return strings.ToLower(requestID(n))
}

func traceOf(n int) (id model.TraceID) {
	binary.BigEndian.PutUint32(id[:4], 0xfeed)
	binary.BigEndian.PutUint64(id[8:], uint64(n)+1)
	return id
}

// newShop draws requests in which ids appear at every level and in several
// protocols' spellings, parts are missing, and clocks are off.
func newShop(seed uint64, requests int) *shop {
	r := rand.New(rand.NewPCG(seed, 7))
	s := &shop{logs: &testkit.MemLog{}, traces: testkit.NewMemTraces(), spec: model.NewKeySpec(nil), requests: requests}
	s.metrics = &memMetrics{spec: s.spec}
	for _, name := range []string{"web", "cart", "pay", "mail"} {
		s.resources = append(s.resources, &model.Resource{Attrs: model.Attrs{str("service.name", name)}})
	}
	for n := range requests {
		s.request(r, n)
	}
	s.logs.Append(tenant.Default, s.logRows...)
	s.traces.Add(tenant.Default, s.spanRows...)
	s.finder = New(Options{Metrics: s.metrics, Logs: s.logs, Traces: s.traces, KeySpec: func() *model.KeySpec { return s.spec }})
	return s
}

func (s *shop) request(r *rand.Rand, n int) {
	at := epoch + int64(n)*second
	var parent model.SpanID
	for hop := range 1 + r.IntN(4) {
		span := model.Span{TraceID: traceOf(n), ParentID: parent, Name: fmt.Sprintf("hop %d", hop), Kind: model.SpanKindServer,
			Start: at + int64(hop)*1e6 - int64(r.IntN(3))*5e6 /* skew */, End: at + 900e6 - int64(hop)*1e6}
		binary.BigEndian.PutUint64(span.SpanID[:], uint64(n*10+hop)+1)
		switch {
		case hop == 0 && r.IntN(2) == 0:
			span.Attrs = model.Attrs{{Key: "http.request.header.x-request-id", Value: model.ArrayJSON(`["` + requestID(n) + `"]`)}}
		case hop == 1 && r.IntN(2) == 0:
			span.Events = []model.SpanEvent{{Time: span.Start, Name: "received", Attrs: model.Attrs{str("request_id", canonicalRequest(n))}}}
		}
		if r.IntN(3) == 0 {
			span.Status = model.StatusError
		}
		span.Attrs = append(span.Attrs, str("user.id", fmt.Sprintf("u%d", n%17)))
		if r.IntN(6) > 0 { // else this hop's span was never sent
			s.spanRows = append(s.spanRows, model.SpanRow{Resource: s.resources[hop], Span: span})
		}
		parent = span.SpanID
		s.hopLogs(r, n, hop, &span)
	}
	if r.IntN(3) == 0 {
		s.metrics.rows = append(s.metrics.rows, model.ExemplarRow{Series: []model.Label{{Name: "__name__", Value: "latency_bucket"}},
			Exemplar: model.Exemplar{Time: at, Value: float64(n), TraceID: traceOf(n)}})
	}
	if r.IntN(5) == 0 {
		s.metrics.rows = append(s.metrics.rows, model.ExemplarRow{Series: []model.Label{{Name: "__name__", Value: "orders_total"}},
			Exemplar: model.Exemplar{Time: at, Value: 1, Attrs: model.Attrs{str("x-request-id", requestID(n))}}})
	}
}

func (s *shop) hopLogs(r *rand.Rand, n, hop int, span *model.Span) {
	for range r.IntN(3) {
		l := model.LogRow{Resource: s.resources[hop], Seq: uint64(len(s.logRows) + 1), LogRecord: model.LogRecord{Time: span.Start + int64(r.IntN(100)),
			Body: model.String(fmt.Sprintf("request %d hop %d line %d", n, hop, len(s.logRows)))}}
		switch r.IntN(4) {
		case 0: // a logger that knows no request id
			l.TraceID, l.SpanID = span.TraceID, span.SpanID
		case 1: // one that knows only the request id
			l.Attrs = model.Attrs{str("x-request-id", requestID(n))}
		case 2: // both
			l.TraceID, l.SpanID = span.TraceID, span.SpanID
			l.Attrs = model.Attrs{str("request_id", canonicalRequest(n))}
		case 3: // a trace id as an attribute, in X-Ray's spelling
			hex := span.TraceID.String()
			l.Attrs = model.Attrs{str("trace_id", "1-"+hex[:8]+"-"+hex[8:])}
		}
		s.logRows = append(s.logRows, l)
	}
}

// brute finds by scanning everything, again and again until nothing new is
// named, what belongs to the ids.
func (s *shop) brute(start ...model.CorrelationKey) (spans, logs []string) {
	known := map[model.CorrelationKey]bool{}
	for _, k := range start {
		known[k] = true
	}
	gotSpan, gotLog := map[int]bool{}, map[int]bool{}
	for grown := true; grown; {
		grown = false
		grow := func(in map[int]bool, i int, each func(func(model.CorrelationKey))) {
			hit := false
			each(func(k model.CorrelationKey) { hit = hit || known[k] })
			if !hit || in[i] {
				return
			}
			in[i], grown = true, true
			each(func(k model.CorrelationKey) {
				if followed(k.Kind) {
					known[k] = true
				}
			})
		}
		for i := range s.spanRows {
			grow(gotSpan, i, func(y func(model.CorrelationKey)) { predicate.EachSpanKey(s.spec, &s.spanRows[i], y) })
		}
		for i := range s.logRows {
			grow(gotLog, i, func(y func(model.CorrelationKey)) { predicate.EachLogKey(s.spec, &s.logRows[i], y) })
		}
	}
	for i := range gotSpan {
		spans = append(spans, s.spanRows[i].SpanID.String())
	}
	for i := range gotLog {
		logs = append(logs, s.logRows[i].Body.Text())
	}
	sort.Strings(spans)
	sort.Strings(logs)
	return spans, logs
}

func TestCorrelateFindsWhatAScanFinds(t *testing.T) {
	s := newShop(1, 120)
	for n := range s.requests {
		for _, id := range []string{requestID(n), strings.ToUpper(traceOf(n).String()), "{" + canonicalRequest(n) + "}"} {
			w, err := s.finder.Correlate(context.Background(), tenant.Default, Request{ID: id})
			require.NoError(t, err)
			kind := model.CorrelationKey{Kind: model.KeyRequest, ID: canonicalRequest(n)}
			if id[0] != '{' && id[0] != '7' {
				kind = model.CorrelationKey{Kind: model.KeyTrace, ID: traceOf(n).String()}
			}
			spans, logs := s.brute(kind)
			var gotSpans, gotLogs []string
			for i := range w.Spans {
				gotSpans = append(gotSpans, w.Spans[i].SpanID.String())
			}
			for i := range w.Logs {
				gotLogs = append(gotLogs, w.Logs[i].Body.Text())
			}
			sort.Strings(gotSpans)
			sort.Strings(gotLogs)
			require.Equal(t, spans, gotSpans, "request %d by %s", n, id)
			require.Equal(t, logs, gotLogs, "request %d by %s", n, id)
			if w.Found() {
				require.Equal(t, kind, w.Kinds[0])
				causal(t, w)
			}
		}
	}
}

// causal checks that in the timeline a parent precedes its children and a span
// its logs.
func causal(t *testing.T, w *Whole) {
	t.Helper()
	place := map[int]int{}
	for i, e := range w.Timeline {
		if e.Span >= 0 {
			place[e.Span] = i
		}
	}
	for i := range w.Spans {
		if p := w.Spans[i].Parent; p >= 0 {
			require.Less(t, place[p], place[i])
			require.GreaterOrEqual(t, w.Spans[i].Start+w.Spans[i].Shift, w.Spans[p].Start+w.Spans[p].Shift)
		}
	}
	for i, e := range w.Timeline {
		if e.Log < 0 {
			continue
		}
		for k := range w.Spans {
			if w.Spans[k].SpanID == w.Logs[e.Log].SpanID && w.Spans[k].TraceID == w.Logs[e.Log].TraceID {
				require.Greater(t, i, place[k])
			}
		}
	}
}

func TestManyRequestsOfAUser(t *testing.T) {
	s := newShop(2, 200)
	w, err := s.finder.Correlate(context.Background(), tenant.Default, Request{ID: "u3"})
	require.NoError(t, err)
	require.Equal(t, []model.CorrelationKey{{Kind: model.KeyUser, ID: "u3"}}, w.Kinds)
	want := map[model.TraceID]bool{}
	for i := range s.spanRows {
		if s.spanRows[i].Attrs.Text("user.id") == "u3" {
			want[s.spanRows[i].TraceID] = true
		}
	}
	got := map[model.TraceID]bool{}
	for i, r := range w.Requests {
		got[r.TraceID] = true
		if i > 0 {
			require.GreaterOrEqual(t, w.Requests[i-1].Start, r.Start, "newest first")
		}
	}
	require.Equal(t, want, got)

	list, err := s.finder.Requests(context.Background(), tenant.Default, ListRequest{ID: "u3", Sort: "duration", Limit: 3, Offset: 2})
	require.NoError(t, err)
	require.Equal(t, len(want), list.Total)
	require.Len(t, list.Requests, 3)
	require.LessOrEqual(t, list.Requests[0].Duration, list.Requests[1].Duration)
	require.Equal(t, "service", list.Facets[0].Field)
	_, err = s.finder.Requests(context.Background(), tenant.Default, ListRequest{ID: "u3", Sort: "colour"})
	require.ErrorIs(t, err, model.ErrInvalid)
}

func TestUnknownAndPastedText(t *testing.T) {
	s := newShop(3, 50)
	w, err := s.finder.Correlate(context.Background(), tenant.Default, Request{ID: "nothing-like-it"})
	require.NoError(t, err)
	require.False(t, w.Found())
	require.Empty(t, w.Near)
	id := ""
	for i := range s.spanRows {
		id = s.spanRows[i].TraceID.String()
	}
	w, err = s.finder.Correlate(context.Background(), tenant.Default, Request{ID: "error at https://shop.example/cart?x=1 trace=" + id + " (pay:12)"})
	require.NoError(t, err)
	require.Equal(t, []model.CorrelationKey{{Kind: model.KeyTrace, ID: id}}, w.Near)

	for req, want := range map[Request]string{{}: "id is empty", {ID: "x", Kind: "colour"}: `kind "colour" is not configured`,
		{ID: strings.Repeat("x", maxIDText+1)}: "bytes long"} {
		_, err = s.finder.Correlate(context.Background(), tenant.Default, req)
		require.ErrorIs(t, err, model.ErrInvalid)
		require.ErrorContains(t, err, want)
	}
	other, err := s.finder.Correlate(context.Background(), "somebody-else", Request{ID: id})
	require.NoError(t, err)
	require.False(t, other.Found(), "another tenant's request is not there")
}

func TestGapsAreSaid(t *testing.T) {
	web := &model.Resource{Attrs: model.Attrs{str("service.name", "web")}}
	pay := &model.Resource{Attrs: model.Attrs{str("service.name", "pay")}}
	trace, lost := traceOf(1), traceOf(2)
	span := model.Span{TraceID: trace, Name: "GET", Start: epoch, End: epoch + 5}
	span.SpanID[7], span.ParentID[7] = 2, 9
	s := &shop{logs: &testkit.MemLog{}, traces: testkit.NewMemTraces(), spec: model.NewKeySpec(nil)}
	s.traces.Add(tenant.Default, model.SpanRow{Resource: web, Span: span})
	s.logs.Append(tenant.Default,
		model.LogRow{Resource: pay, LogRecord: model.LogRecord{Time: epoch + 1, Body: model.String("charged"), TraceID: trace}},
		model.LogRow{Resource: pay, LogRecord: model.LogRecord{Time: epoch + 2, Body: model.String("alone"), TraceID: lost}},
		model.LogRow{Resource: pay, LogRecord: model.LogRecord{Time: epoch + 2, Body: model.String("alone"), TraceID: traceOf(3), Flags: 1}})
	now := time.Unix(0, epoch).Add(time.Hour)
	f := New(Options{Metrics: &memMetrics{spec: s.spec}, Logs: s.logs, Traces: s.traces, KeySpec: func() *model.KeySpec { return s.spec },
		Retention: func(tenant.ID) time.Duration { return 24 * time.Hour }, Now: func() time.Time { return now }})
	kinds := func(id model.TraceID) (out []string) {
		w, err := f.Correlate(context.Background(), tenant.Default, Request{ID: id.String()})
		require.NoError(t, err)
		for _, g := range w.Gaps {
			out = append(out, g.Kind)
		}
		return out
	}
	require.Equal(t, []string{"missing_parent", "missing_spans"}, kinds(trace))
	require.Equal(t, []string{"sampled_out"}, kinds(lost))
	require.Equal(t, []string{"missing_spans"}, kinds(traceOf(3)))
	now = now.Add(48 * time.Hour)
	require.Equal(t, []string{"expired"}, kinds(lost))
}

func TestTreeSurvivesOddTraces(t *testing.T) {
	id := func(n byte) (s model.SpanID) { s[7] = n; return s }
	res := &model.Resource{}
	row := func(span, parent byte, start, end int64, kind model.SpanKind) model.SpanRow {
		return model.SpanRow{Resource: res, Span: model.Span{TraceID: traceOf(0), SpanID: id(span), ParentID: id(parent), Start: start, End: end, Kind: kind}}
	}
	// A cycle of two, a span that is its own parent, Zipkin's shared id, and an
	// end before the start.
	tr := buildTree([]model.SpanRow{row(1, 2, 0, 10, 1), row(2, 1, 1, 9, 1), row(3, 3, 2, 8, 1),
		row(4, 0, 3, 9, model.SpanKindClient), row(4, 0, 4, 8, model.SpanKindServer), row(5, 4, 5, 4, 1)})
	require.Len(t, tr.roots, 3)
	require.Equal(t, 3, tr.nodes[4].Parent, "the server half hangs below the client half")
	require.Equal(t, 4, tr.nodes[5].Parent, "and children below the server half")
	require.Contains(t, tr.nodes[5].Flags, FlagNegEnd)
	require.EqualValues(t, 2, tr.nodes[3].Self)

	// A chain as deep as a trace may be does not overflow the stack.
	var deep []model.SpanRow
	for i := range 200_000 {
		r := model.SpanRow{Resource: res, Span: model.Span{TraceID: traceOf(0), Start: int64(i), End: 1e9}}
		binary.BigEndian.PutUint64(r.SpanID[:], uint64(i)+1)
		binary.BigEndian.PutUint64(r.ParentID[:], uint64(i))
		deep = append(deep, r)
	}
	require.Equal(t, len(deep)-1, buildTree(deep).nodes[len(deep)-1].Depth)
}
