package correlation

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/testkit"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

func service(name string) *model.Resource {
	return &model.Resource{Attrs: model.Attrs{str("service.name", name)}}
}

func spanID(n byte) (id model.SpanID) { id[7] = n; return id }

// smallShop is a house with what the case puts in.
func smallShop(spans []model.SpanRow, logs []model.LogRow, exemplars []model.ExemplarRow, alerts AlertSource) *Finder {
	spec := model.NewKeySpec(nil)
	l, t := &testkit.MemLog{}, testkit.NewMemTraces()
	l.Append(tenant.Default, logs...)
	t.Add(tenant.Default, spans...)
	return New(Options{Metrics: &memMetrics{spec: spec, rows: exemplars}, Logs: l, Traces: t, Alerts: alerts, KeySpec: func() *model.KeySpec { return spec }})
}

type fixedAlerts []Alert

func (a fixedAlerts) AlertsDuring(context.Context, tenant.ID, model.TimeRange) ([]Alert, error) {
	return a, nil
}

type noAlerts struct{}

func (noAlerts) AlertsDuring(context.Context, tenant.ID, model.TimeRange) ([]Alert, error) {
	return nil, fmt.Errorf("%w: no alerter", ErrAlertsNotAsked)
}

// TestAlertsThatWereNotAskedForAreAGap: it is said that nobody was asked, which
// is not the same as that there are none.
func TestAlertsThatWereNotAskedForAreAGap(t *testing.T) {
	trace := traceOf(1)
	f := smallShop([]model.SpanRow{{Resource: &model.Resource{}, Span: model.Span{TraceID: trace, SpanID: model.SpanID{7: 1}, Start: epoch, End: epoch + second}}}, nil, nil, noAlerts{})
	w, err := f.Correlate(context.Background(), tenant.Default, Request{ID: trace.String()})
	require.NoError(t, err)
	require.Equal(t, []Gap{{Kind: "not_asked", Message: "alerts were not asked for: no alerter"}}, w.Gaps)
	require.True(t, w.Complete)
	w, err = f.Correlate(context.Background(), tenant.Default, Request{ID: "nobody-1"})
	require.NoError(t, err)
	require.Empty(t, w.Gaps, "of an unknown id there is nothing to ask for")
}

// TestTimelineHoldsEverything has the second service's clock an hour behind:
// its span, its logs and its exemplar still come after what caused them.
func TestTimelineHoldsEverything(t *testing.T) {
	trace, hour := traceOf(1), int64(3600)*second
	f := smallShop([]model.SpanRow{
		{Resource: service("web"), Span: model.Span{TraceID: trace, SpanID: spanID(1), Name: "GET", Start: epoch, End: epoch + 100}},
		{Resource: service("pay"), Span: model.Span{TraceID: trace, SpanID: spanID(2), ParentID: spanID(1), Name: "charge", Start: epoch - hour + 10, End: epoch - hour + 50}},
	}, []model.LogRow{
		{Resource: service("pay"), LogRecord: model.LogRecord{Time: epoch - hour + 20, Body: model.String("in span"), TraceID: trace, SpanID: spanID(2)}},
		{Resource: service("pay"), LogRecord: model.LogRecord{Time: epoch - hour + 15, Body: model.String("of service"), TraceID: trace}},
	}, []model.ExemplarRow{{Exemplar: model.Exemplar{Time: epoch + 5, Value: 1, TraceID: trace, SpanID: spanID(1)}}},
		fixedAlerts{{Labels: map[string]string{"service": "web", "alertname": "Slow"}, Starts: epoch - 5}, {Labels: map[string]string{"service": "other"}}})
	w, err := f.Correlate(context.Background(), tenant.Default, Request{ID: trace.String()})
	require.NoError(t, err)
	var got []string
	for _, e := range w.Timeline {
		switch {
		case e.Span >= 0:
			got = append(got, "span "+w.Spans[e.Span].Name)
		case e.Log >= 0:
			got = append(got, "log "+w.Logs[e.Log].Body.Text())
		case e.Exemplar >= 0:
			got = append(got, "exemplar")
		case e.Alert >= 0:
			got = append(got, "alert "+w.Alerts[e.Alert].Labels["alertname"])
		}
	}
	require.Equal(t, []string{"alert Slow", "span GET", "span charge", "log of service", "exemplar", "log in span"}, got)
	require.Equal(t, "web", w.Services[0].Name, "call order, not the order of the clocks")
	require.Equal(t, "pay", w.Services[1].Name)
}

func TestEntrySpeaksForARequest(t *testing.T) {
	var spans []model.SpanRow
	for n := range 6 {
		root := model.Span{TraceID: traceOf(n), SpanID: spanID(1), Name: "GET", Kind: model.SpanKindServer, Start: epoch + int64(n)*second, End: epoch + int64(n)*second + int64(n+1)*1e6,
			Attrs: model.Attrs{str("http.route", fmt.Sprint("/r", n%2)), {Key: "http.response.status_code", Value: model.Int(200 + int64(n%3))}}}
		deep := model.Span{TraceID: traceOf(n), SpanID: spanID(2), ParentID: spanID(1), Name: "SELECT", Start: root.Start + 10, End: root.Start + 20,
			Attrs: model.Attrs{str("user.id", "ann"), str("http.route", "/inner"), str("request_id", canonicalRequest(n))}}
		if n == 4 {
			deep.Status = model.StatusError
		}
		spans = append(spans, model.SpanRow{Resource: service("web"), Span: root}, model.SpanRow{Resource: service("db"), Span: deep})
	}
	logs := []model.LogRow{
		{Resource: service("cron"), LogRecord: model.LogRecord{Time: epoch + 100*second, Severity: 17, Attrs: model.Attrs{str("user.id", "ann"), str("request_id", "job-0001")}}},
		{Resource: service("cron"), LogRecord: model.LogRecord{Time: epoch + 101*second, Attrs: model.Attrs{str("user.id", "ann"), str("request_id", "job-0001")}}},
		{Resource: service("web"), LogRecord: model.LogRecord{Time: epoch, Attrs: model.Attrs{str("user.id", "ann"), str("request_id", canonicalRequest(0))}}},
	}
	f := smallShop(spans, logs, nil, nil)
	ask := func(r ListRequest) *List {
		r.ID = "ann"
		list, err := f.Requests(context.Background(), tenant.Default, r)
		require.NoError(t, err)
		return list
	}
	all := ask(ListRequest{Sort: "start"})
	require.Equal(t, 7, all.Total, "six traces, and one request of which only logs are known; the third record belongs to a trace")
	first := all.Requests[0]
	require.Equal(t, "web", first.Service)
	require.Equal(t, "/r0", first.Route, "of the entry span, not of the one that carries the id")
	require.Equal(t, "200", first.Status)
	require.Equal(t, canonicalRequest(0), first.RequestID)
	require.EqualValues(t, 1e6, first.Duration)
	last := all.Requests[6]
	require.Equal(t, RequestSummary{RequestID: "job-0001", Start: epoch + 100*second, Duration: second, Service: "cron", Error: true, Errors: 1, Logs: 2}, last)

	chosen := ask(ListRequest{Where: map[string]string{"route": "/r0", "error": "true"}})
	require.Equal(t, 1, chosen.Total)
	require.Equal(t, traceOf(4), chosen.Requests[0].TraceID)
	for _, facet := range chosen.Facets {
		switch facet.Field {
		case "route": // the other condition only: failed ones
			require.Equal(t, []FacetValue{{"", 1}, {"/r0", 1}}, facet.Values)
		case "error": // the other condition only: of this route
			require.Equal(t, []FacetValue{{"false", 2}, {"true", 1}}, facet.Values)
		}
	}
	require.True(t, ask(ListRequest{Sort: "-error"}).Requests[0].Error)
	require.Len(t, ask(ListRequest{Limit: 3, Offset: 5}).Requests, 2)
	for _, bad := range []ListRequest{{ID: "ann", Where: map[string]string{"colour": "x"}}, {ID: "ann", Kind: "colour"}, {ID: "ann", Offset: -1}, {}} {
		_, err := f.Requests(context.Background(), tenant.Default, bad)
		require.ErrorIs(t, err, model.ErrInvalid)
	}
}

func TestNearSpellings(t *testing.T) {
	uuid := "7f3a1b2c-0d4e-4f60-8a7b-9c8d7e6f5a4b"
	trace, _ := model.ParseTraceID("4bf92f3577b34da6a3ce929d0e0e4736")
	f := smallShop([]model.SpanRow{{Resource: service("web"), Span: model.Span{TraceID: trace, SpanID: spanID(1), Start: epoch, End: epoch + 1}}},
		[]model.LogRow{{Resource: service("web"), LogRecord: model.LogRecord{Time: epoch, Attrs: model.Attrs{str("request_id", uuid), str("user.id", "ann-1")}}}}, nil, nil)
	for text, want := range map[string]model.CorrelationKey{
		strings.ReplaceAll(uuid, "-", ""): {Kind: model.KeyRequest, ID: uuid},
		"req_" + uuid:                     {Kind: model.KeyRequest, ID: uuid},
		"<" + uuid + ">,":                 {Kind: model.KeyRequest, ID: uuid},
		uuid[:35]:                         {Kind: model.KeyRequest, ID: uuid},
		uuid[1:]:                          {Kind: model.KeyRequest, ID: uuid},
		uuid[:4] + uuid[5:6] + uuid[4:5] + uuid[6:]:                 {Kind: model.KeyRequest, ID: uuid},
		"4bf92f3577b34da6a3ce929d0e0e473":                           {Kind: model.KeyTrace, ID: trace.String()},
		"4bf92f3577b34da6a3ce929dOe0e4736":                          {Kind: model.KeyTrace, ID: trace.String()},
		"ANN-1":                                                     {Kind: model.KeyUser, ID: "ann-1"},
		"GET /cart failed, trace_id=" + trace.String() + ", user 7": {Kind: model.KeyTrace, ID: trace.String()},
	} {
		w, err := f.Correlate(context.Background(), tenant.Default, Request{ID: text})
		require.NoError(t, err)
		require.False(t, w.Found(), text)
		require.Contains(t, w.Near, want, text)
	}
	for _, text := range []string{"", " ", "x", strings.Repeat("ab", 400)} {
		require.LessOrEqual(t, len(spellings(text)), maxSpellings)
	}
}

func TestAnIdThatTellsItsTimeIsSaidToBeTooOld(t *testing.T) {
	f := smallShop(nil, nil, nil, nil)
	day := func(tenant.ID) time.Duration { return 24 * time.Hour }
	f.opts.Retention, f.opts.LogRetention = day, day
	f.opts.Now = func() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }
	for id, want := range map[string]bool{
		"1-5759e988-bd862e3fe1be46a994272793":  true,  // X-Ray, 2016
		"0195a1b2-0000-7000-8000-000000000001": true,  // UUID version 7, 2025
		"019ca44a-a200-7000-8000-000000000001": false, // of the last day
		"7f3a1b2c-0d4e-4f60-8a7b-9c8d7e6f5a4b": false, // says nothing
	} {
		w, err := f.Correlate(context.Background(), tenant.Default, Request{ID: id})
		require.NoError(t, err)
		require.Equal(t, want, len(w.Gaps) == 1 && w.Gaps[0].Kind == "expired", "%s: %v", id, w.Gaps)
	}
}

func TestRequestsBehindANumber(t *testing.T) {
	at := func(n int) int64 { return epoch + int64(n)*60*second }
	var spans []model.SpanRow
	for n := range 10 {
		s := model.Span{TraceID: traceOf(n), SpanID: spanID(1), Name: "GET", Start: at(n), End: at(n) + int64(n)*1e6, Attrs: model.Attrs{str("http.route", fmt.Sprint("/r", n%2))}}
		if n == 2 {
			s.Status = model.StatusError
		}
		spans = append(spans, model.SpanRow{Resource: service("web"), Span: s})
	}
	logs := []model.LogRow{
		{Resource: service("mail"), LogRecord: model.LogRecord{Time: at(1), Attrs: model.Attrs{str("queue", "q"), str("request_id", "m-1")}}},
		{Resource: service("mail"), LogRecord: model.LogRecord{Time: at(2), Severity: 17, TraceID: traceOf(7), Attrs: model.Attrs{str("queue", "q")}}},
	}
	series := []model.Label{{Name: "__name__", Value: "orders_total"}}
	f := smallShop(spans, logs, []model.ExemplarRow{
		{Series: series, Exemplar: model.Exemplar{Time: at(3), Value: 7, TraceID: traceOf(3)}},
		{Series: series, Exemplar: model.Exemplar{Time: at(3), Value: 9, Attrs: model.Attrs{str("request_id", "r-1")}}},
	}, nil)
	all := model.TimeRange{Start: at(0), End: at(100)}
	ask := func(r BehindRequest) *BehindAnswer {
		got, err := f.RequestsBehind(context.Background(), tenant.Default, r)
		require.NoError(t, err)
		return got
	}
	// The exemplars of this source answer whatever is asked: none is left for
	// the cases below.
	got := ask(BehindRequest{PromQL: `rate(orders_total[5m])`, Range: all})
	require.Equal(t, "exemplars", got.Source)
	require.Equal(t, "r-1", got.Requests[0].Request.RequestID, "the greatest value first, though it has no trace")
	require.Equal(t, traceOf(3), got.Requests[1].Request.TraceID)
	f.opts.Metrics = &memMetrics{spec: f.opts.KeySpec()}

	got = ask(BehindRequest{PromQL: `rate(http_server_duration_count{service_name="web"}[5m])`, Range: all, Limit: 4})
	require.Equal(t, "spans", got.Source)
	require.Equal(t, "failed", got.Requests[0].Reason)
	require.Equal(t, traceOf(2), got.Requests[0].Request.TraceID)
	require.Equal(t, traceOf(9), got.Requests[1].Request.TraceID, "then the slowest")

	got = ask(BehindRequest{PromQL: `rate(http_server_duration_count{service_name="web"}[5m])`, Series: []model.Label{{Name: "http_route", Value: "/r1"}}, Range: all})
	require.Len(t, got.Requests, 5, "of the series that was pointed at")

	got = ask(BehindRequest{PromQL: `rate(http_server_duration_count{service_name="web"}[3m])`, At: at(6)})
	require.Len(t, got.Requests, 4, "those that a value at the point is made of")
	require.Equal(t, at(3), got.Range.Start)

	got = ask(BehindRequest{PromQL: `sum(rate(jobs_total{queue="q"}[5m]))`, Range: all})
	require.Equal(t, "logs", got.Source)
	require.Equal(t, "failed", got.Requests[0].Reason)
	require.Equal(t, traceOf(7), got.Requests[0].Request.TraceID)
	require.Equal(t, "/r1", got.Requests[0].Request.Route, "what the spans know of it")
	require.Equal(t, "m-1", got.Requests[1].Request.RequestID)

	got = ask(BehindRequest{Filter: predicate.True{}, Logs: true, Range: all})
	require.Equal(t, "logs", got.Source)
	require.Len(t, got.Requests, 2)
	_, err := f.RequestsBehind(context.Background(), tenant.Default, BehindRequest{PromQL: "rate(", At: 1})
	require.ErrorIs(t, err, model.ErrInvalid)
}

func TestLooksBack(t *testing.T) {
	for expr, want := range map[string]time.Duration{
		"up":                                 5 * time.Minute,
		"rate(x[1h])":                        time.Hour,
		"rate(x[1h] offset 1d)":              25 * time.Hour,
		"max_over_time(rate(x[5m])[30m:1m])": 35 * time.Minute,
		"x + rate(y[10m])":                   10 * time.Minute,
		"1":                                  time.Second,
	} {
		got, err := looksBack(expr)
		require.NoError(t, err)
		require.Equal(t, want, got, expr)
	}
}

func TestNeighbours(t *testing.T) {
	trace, other := traceOf(1), traceOf(2)
	log := func(body string, at int64, trace model.TraceID, span model.SpanID, attrs ...model.Attr) model.LogRow {
		return model.LogRow{Resource: service("web"), LogRecord: model.LogRecord{Time: at, Body: model.String(body), TraceID: trace, SpanID: span, Attrs: attrs}}
	}
	f := smallShop([]model.SpanRow{
		{Resource: service("web"), Span: model.Span{TraceID: trace, SpanID: spanID(1), Name: "GET", Start: epoch, End: epoch + 100, Attrs: model.Attrs{str("request_id", "r-77")}}},
		{Resource: service("web"), Span: model.Span{TraceID: trace, SpanID: spanID(2), ParentID: spanID(1), Start: epoch + 50, End: epoch + 60}},
	}, []model.LogRow{
		log("of the first", epoch+1, trace, spanID(1)), log("of another trace", epoch+1, other, spanID(1)),
		log("names no span", epoch+55, trace, model.SpanID{}), log("names no span, too late", epoch+70, trace, model.SpanID{}),
	}, nil, nil)
	ctx := context.Background()
	bodies := func(l *SpanLogs, err error) (out []string) {
		require.NoError(t, err)
		for i := range l.Logs {
			out = append(out, l.Logs[i].Body.Text())
		}
		return append(out, l.By)
	}
	require.Equal(t, []string{"of the first", "span"}, bodies(f.SpanLogs(ctx, tenant.Default, trace, spanID(1), 0)))
	require.Equal(t, []string{"names no span", "time"}, bodies(f.SpanLogs(ctx, tenant.Default, trace, spanID(2), 0)))
	require.Equal(t, []string{"span"}, bodies(f.SpanLogs(ctx, tenant.Default, trace, spanID(9), 0)))
	_, err := f.SpanLogs(ctx, tenant.Default, trace, model.SpanID{}, 0)
	require.ErrorIs(t, err, model.ErrInvalid)

	for name, c := range map[string]struct {
		log   model.LogRow
		trace model.TraceID
		via   string
		known bool
	}{
		"its own field":   {log("x", epoch, trace, model.SpanID{}), trace, model.KeyTrace, true},
		"its request id":  {log("x", epoch, model.TraceID{}, model.SpanID{}, str("x-request-id", "r-77")), trace, model.KeyRequest, true},
		"its text":        {log("failed: trace="+trace.String(), epoch, model.TraceID{}, model.SpanID{}), trace, model.KeyTrace, true},
		"no span arrived": {log("x", epoch, other, model.SpanID{}), other, model.KeyTrace, false},
	} {
		got, _, err := f.TracesOfLog(ctx, tenant.Default, &c.log)
		require.NoError(t, err, name)
		require.Len(t, got, 1, name)
		require.Equal(t, c.trace, got[0].Request.TraceID, name)
		require.Equal(t, c.via, got[0].Via.Kind, name)
		require.Equal(t, c.known, got[0].Known, name)
	}
	lost := log("nothing to see", epoch, model.TraceID{}, model.SpanID{})
	got, _, err := f.TracesOfLog(ctx, tenant.Default, &lost)
	require.NoError(t, err)
	require.Empty(t, got)
}
