package native

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/prometheus/prometheus/model/labels"

	"braid/internal/testkit"
	"braid/pkg/correlation"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/query/engine"
	"braid/pkg/tenant"
	braidv1 "braid/proto/braid/v1"
)

// oneExemplar is a metric source with an exemplar of the trace, and no series.
type oneExemplar struct{ row model.ExemplarRow }

func (m oneExemplar) Exemplars(_ context.Context, q *query.ExemplarQuery) iter.Seq2[[]model.ExemplarRow, error] {
	return func(yield func([]model.ExemplarRow, error) bool) {
		if q.ID == "" || q.ID == m.row.TraceID.String() {
			yield([]model.ExemplarRow{m.row}, nil)
		}
	}
}

func (oneExemplar) Metadata(context.Context, tenant.ID, string, int) (map[string]model.MetricMeta, error) {
	return nil, nil
}

func (oneExemplar) Queryable(tenant.ID) storage.SampleAndChunkQueryable { return noSeries{} }

type noSeries struct{ storage.ChunkQueryable }

func (noSeries) Querier(int64, int64) (storage.Querier, error) { return noQuerier{}, nil }

type noQuerier struct{ storage.LabelQuerier }

func (noQuerier) Select(context.Context, bool, *storage.SelectHints, ...*labels.Matcher) storage.SeriesSet {
	return storage.EmptySeriesSet()
}

func (noQuerier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (noQuerier) Close() error { return nil }

const at = int64(1_760_000_000_000_000_000)

func str(k, v string) model.Attr { return model.Attr{Key: k, Value: model.String(v)} }

// api serves the native API over one failed checkout.
func api(t *testing.T) (http.Handler, braidv1.BraidClient) {
	t.Helper()
	return apiOver(t, func(l query.LogSource) query.LogSource { return l })
}

func apiOver(t *testing.T, with func(query.LogSource) query.LogSource) (http.Handler, braidv1.BraidClient) {
	t.Helper()
	trace, _ := model.ParseTraceID("4bf92f3577b34da6a3ce929d0e0e4736")
	web := &model.Resource{Attrs: model.Attrs{str("service.name", "web")}}
	pay := &model.Resource{Attrs: model.Attrs{str("service.name", "pay")}}
	traces, logs := testkit.NewMemTraces(), &testkit.MemLog{}
	traces.Add(tenant.Default,
		model.SpanRow{Resource: web, Span: model.Span{TraceID: trace, SpanID: model.SpanID{7: 1}, Name: "POST", Kind: model.SpanKindServer, Start: at, End: at + 5e6,
			Attrs: model.Attrs{str("http.route", "/checkout"), str("x-request-id", "req-1"), str("user.id", "ann"), {Key: "http.response.status_code", Value: model.Int(502)}}}},
		model.SpanRow{Resource: pay, Span: model.Span{TraceID: trace, SpanID: model.SpanID{7: 2}, ParentID: model.SpanID{7: 1}, Name: "charge", Kind: model.SpanKindServer, Start: at + 1e6, End: at + 4e6,
			Status: model.StatusError, StatusMessage: "declined \xff"}})
	logs.Append(tenant.Default, model.LogRow{Resource: pay, LogRecord: model.LogRecord{Time: at + 2e6, Severity: 17, SeverityText: "ERROR", Body: model.String("card declined"), TraceID: trace, SpanID: model.SpanID{7: 2}}})
	spec := model.NewKeySpec(nil)
	metrics := oneExemplar{model.ExemplarRow{Series: []model.Label{{Name: "__name__", Value: "latency"}, {Name: "route", Value: "/checkout"}},
		Exemplar: model.Exemplar{Time: at + 3e6, Value: 0.005, TraceID: trace, SpanID: model.SpanID{7: 1}}}}
	filter := func(text string) (predicate.Expr, error) {
		if text == "bad" {
			return nil, fmt.Errorf("%w: cannot read %q", model.ErrInvalid, text)
		}
		return predicate.Compare{Field: predicate.Intrinsic(predicate.Status), Op: predicate.Eq, Value: model.String("error")}, nil
	}
	s := New(Options{Guard: engine.New(engine.Options{}), SpanFilter: filter, LogFilter: func(string) (predicate.Expr, error) { return predicate.True{}, nil },
		Finder: correlation.New(correlation.Options{Metrics: metrics, Logs: with(logs), Traces: traces, KeySpec: func() *model.KeySpec { return spec }})})
	conn := testkit.DialGRPC(t, func(r grpc.ServiceRegistrar) { s.Register(r) })
	h, err := Handler(context.Background(), conn)
	require.NoError(t, err)
	return h, braidv1.NewBraidClient(conn)
}

// TestAnswers holds the JSON of every call: clients are built on it.
func TestAnswers(t *testing.T) {
	h, _ := api(t)
	testkit.RunScript(t, "testdata/answers.txt", func(question string) string {
		method, rest, _ := strings.Cut(strings.TrimSpace(question), " ")
		path, body, _ := strings.Cut(rest, "\n")
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var out bytes.Buffer
		fmt.Fprintf(&out, "%d\n", w.Code)
		lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
		slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(kindOf(a), kindOf(b)) }) // of a stream: signals come as they answer
		for _, line := range lines {
			out.WriteString(pretty(line))
		}
		return out.String()
	})
}

// kindOf is what a line of a stream holds.
func kindOf(line string) string {
	var part struct{ Result map[string]json.RawMessage }
	_ = json.Unmarshal([]byte(line), &part) // other answers have no kind
	for kind := range part.Result {
		return kind
	}
	return ""
}

// pretty indents JSON and leaves out what differs from run to run, and fields
// of value zero.
func pretty(line string) string {
	var v any
	if json.Unmarshal([]byte(line), &v) != nil {
		return line + "\n"
	}
	raw, _ := json.MarshalIndent(tidy(v), "", " ")
	return string(raw) + "\n"
}

func tidy(v any) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "cost")
		for k, x := range v {
			if x = tidy(x); x == nil || x == "" || x == false || x == float64(0) || x == "0" {
				delete(v, k)
			} else {
				v[k] = x
			}
		}
		if len(v) == 0 {
			return nil
		}
		return v
	case []any:
		if len(v) == 0 {
			return nil
		}
		for i := range v {
			v[i] = tidy(v[i])
		}
		return v
	}
	return v
}

// TestStreamSaysTheSame puts the answer together from the stream, as a client
// does, and compares it with the one answer.
func TestStreamSaysTheSame(t *testing.T) {
	_, c := api(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	whole, err := c.Correlate(ctx, &braidv1.CorrelateRequest{Id: "req-1"})
	require.NoError(t, err)
	stream, err := c.CorrelateStream(ctx, &braidv1.CorrelateRequest{Id: "req-1"})
	require.NoError(t, err)
	var spans []*braidv1.Span
	var logs []*braidv1.Log
	var exemplars []*braidv1.Exemplar
	var summary *braidv1.CorrelateResponse
	for {
		part, err := stream.Recv()
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
		require.Nil(t, summary, "the summary is last")
		switch {
		case part.GetSpan() != nil:
			spans = append(spans, part.GetSpan())
		case part.GetLog() != nil:
			logs = append(logs, part.GetLog())
		case part.GetExemplar() != nil:
			exemplars = append(exemplars, part.GetExemplar())
		default:
			summary = part.GetSummary()
		}
	}
	require.NotNil(t, summary)
	require.Len(t, summary.GetSpans(), len(spans))
	for i, s := range summary.GetSpans() {
		require.Equal(t, spans[i].GetSpanId(), s.GetSpanId())
		spans[i].Depth, spans[i].SelfNs, spans[i].Critical, spans[i].Flags = s.GetDepth(), s.GetSelfNs(), s.GetCritical(), s.GetFlags()
	}
	of := func(r *braidv1.CorrelateResponse, spans []*braidv1.Span, logs []*braidv1.Log, exemplars []*braidv1.Exemplar) (out []string) {
		for _, e := range r.GetTimeline() {
			var what proto.Message
			switch e.GetWhat() {
			case "span":
				what = spans[e.GetIndex()]
			case "log":
				what = logs[e.GetIndex()]
			case "exemplar":
				what = exemplars[e.GetIndex()]
			}
			out = append(out, fmt.Sprint(e.GetTimeNs(), e.GetDepth(), " ", protojson.MarshalOptions{}.Format(what)))
		}
		return out
	}
	// Format's spaces are random by design: compare without them.
	tight := func(lines []string) string { return strings.ReplaceAll(strings.Join(lines, "\n"), " ", "") }
	want := of(whole, whole.GetSpans(), whole.GetLogs(), whole.GetExemplars())
	require.Len(t, want, 4)
	require.Equal(t, tight(want), tight(of(summary, spans, logs, exemplars)))
	require.Empty(t, summary.GetLogs())
	require.Empty(t, summary.GetExemplars())
	require.Len(t, summary.GetServices(), len(whole.GetServices()))
}

// slowLogs answers when it is allowed to.
type slowLogs struct {
	query.LogSource
	release chan struct{}
}

func (s slowLogs) SelectLogs(ctx context.Context, q *predicate.LogQuery) iter.Seq2[[]model.LogRow, error] {
	return func(yield func([]model.LogRow, error) bool) {
		select {
		case <-s.release:
			s.LogSource.SelectLogs(ctx, q)(yield)
		case <-ctx.Done():
			yield(nil, ctx.Err())
		}
	}
}

// TestStreamBeginsBeforeASlowSourceAnswers: over HTTP, the spans come while the
// logs are still being looked for.
func TestStreamBeginsBeforeASlowSourceAnswers(t *testing.T) {
	release := make(chan struct{})
	h, _ := apiOver(t, func(l query.LogSource) query.LogSource { return slowLogs{l, release} })
	server := httptest.NewServer(h)
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/braid/v1/correlate-stream/req-1", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	require.True(t, lines.Scan(), "a line comes although the logs do not answer")
	require.Contains(t, lines.Text(), `"span"`)
	close(release)
	var kinds []string
	for lines.Scan() {
		kinds = append(kinds, kindOf(lines.Text()))
	}
	require.NoError(t, lines.Err())
	require.Equal(t, "summary", kinds[len(kinds)-1])
	slices.Sort(kinds)
	require.Equal(t, []string{"exemplar", "log", "span", "summary"}, kinds)
}

func TestOverloadSaysWhenToTryAgain(t *testing.T) {
	require.Equal(t, "3", retryAfter(toStatus(&model.OverloadError{Reason: "full", RetryAfter: 2500 * time.Millisecond})))
	require.Equal(t, "1", retryAfter(toStatus(&model.OverloadError{Reason: "full", Tenant: true})))
	require.Empty(t, retryAfter(toStatus(model.ErrInvalid)))
}
