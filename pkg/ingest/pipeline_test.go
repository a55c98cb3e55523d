package ingest

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/otlp"
	"braid/pkg/tenant"
)

var ctx = context.Background()

func (f *fixture) sendJSON(s Signal, t tenant.ID, body string) (model.Rejections, error) {
	return f.Ingest(ctx, &Request{Tenant: t, Protocol: protocolOf(s, otlp.JSON), Transport: "http", Body: []byte(body)})
}

func TestCrashThenReplayGivesTheSame(t *testing.T) {
	f := newFixture(t, nil)
	f.Register(Protocol{Name: "raw+snappy", Signal: SignalMetrics, Store: func(context.Context, tenant.ID, model.Position, []byte) (model.Rejections, error) {
		return model.Rejections{}, nil
	}})
	_, err := f.sendJSON(SignalLogs, "acme", logsWith(`"body":{"stringValue":"no time"}`))
	require.NoError(t, err)
	_, err = f.sendJSON(SignalTraces, "default", goodSpan(""))
	require.NoError(t, err)
	_, err = f.Accept(ctx, "default", Payload{Signal: SignalMetrics, Encoding: "raw+snappy", Body: []byte("series")}, func(model.Position) (model.Rejections, error) {
		return model.Rejections{}, nil
	})
	require.NoError(t, err)
	logs, spans, _ := f.store.counts()
	require.Equal(t, []int{1, 1}, []int{logs, spans})

	// The power goes; what was answered must be in the log of another process.
	after := openLog(t, f.fs.CrashClone(rand.New(rand.NewPCG(1, 2))))
	defer after.disk.Close()
	store := newMemStore()
	p, err := New(Options{Log: after, Logs: store, Spans: store, Metrics: store, Logger: f.opts.Logger, TrimEvery: time.Hour})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close(ctx)) }()
	var raw []string
	p.Register(Protocol{Name: "raw+snappy", Signal: SignalMetrics, Store: func(_ context.Context, id tenant.ID, pos model.Position, body []byte) (model.Rejections, error) {
		raw = append(raw, string(id)+" "+string(body))
		return model.Rejections{}, nil
	}})
	require.NoError(t, p.Replay(ctx))
	require.Equal(t, f.store.logs, store.logs, "also the time that was filled in")
	require.Equal(t, f.store.spans, store.spans)
	require.Equal(t, f.store.at, store.at, "at the same positions")
	require.Equal(t, []string{"default series"}, raw)
}

func TestReplayLeavesOutWhatNobodyReads(t *testing.T) {
	f := newFixture(t, nil)
	f.Register(Protocol{Name: "gone", Signal: SignalLogs, Store: func(context.Context, tenant.ID, model.Position, []byte) (model.Rejections, error) {
		return model.Rejections{}, nil
	}})
	_, err := f.Accept(ctx, "default", Payload{Signal: SignalLogs, Encoding: "gone", Body: []byte("x")}, func(model.Position) (model.Rejections, error) {
		return model.Rejections{}, nil
	})
	require.NoError(t, err)
	_, err = f.sendJSON(SignalTraces, "default", goodSpan(""))
	require.NoError(t, err)
	delete(f.protocols, "gone")
	f.store.spans = map[tenant.ID][]model.Span{}
	require.NoError(t, f.Replay(ctx))
	require.Len(t, f.store.spans["default"], 1)
}

func TestRefusedRequestIsNotReplayed(t *testing.T) {
	f := newFixture(t, nil)
	f.store.fail = &model.OverloadError{Reason: "head is full"}
	_, err := f.sendJSON(SignalLogs, "acme", logsWith(`"body":{"stringValue":"once"}`))
	require.True(t, isOverload(err))
	f.store.fail = nil
	_, err = f.sendJSON(SignalLogs, "acme", logsWith(`"body":{"stringValue":"once"}`)) // the sender tries again
	require.NoError(t, err)
	require.Len(t, f.log.records(t), 3, "the request, the note that it was refused, the request again")
	f.store.logs = map[tenant.ID][]model.LogRecord{}
	require.NoError(t, f.Replay(ctx))
	require.Len(t, f.store.logs["acme"], 1)
	require.EqualValues(t, 4, f.flight.oldest())
}

func TestReplayStopsWhenAStoreFails(t *testing.T) {
	f := newFixture(t, nil)
	_, err := f.sendJSON(SignalTraces, "default", goodSpan(""))
	require.NoError(t, err)
	f.store.fail = errDisk
	require.ErrorIs(t, f.Replay(ctx), errDisk)
}

func TestTrimKeepsWhatAStoreOrARequestNeeds(t *testing.T) {
	f := newFixture(t, nil)
	for range 5 {
		_, err := f.sendJSON(SignalTraces, "default", goodSpan(""))
		require.NoError(t, err)
	}
	f.trim()
	require.EqualValues(t, 6, f.log.trimmed, "nobody needs anything")
	f.store.needed = 3
	f.trim()
	require.EqualValues(t, 3, f.log.trimmed)
	f.store.needed = 0
	token := f.flight.enter() // a request before the log has answered
	f.trim()
	require.EqualValues(t, 6, f.log.trimmed)
	_, err := f.sendJSON(SignalTraces, "default", goodSpan(""))
	require.NoError(t, err)
	f.trim()
	require.EqualValues(t, 6, f.log.trimmed, "the request under way may be anywhere from 6 on")
	f.flight.leave(token)
	f.trim()
	require.EqualValues(t, 7, f.log.trimmed)
}

func TestBudgetIsFair(t *testing.T) {
	b := newBudget(100)
	greedy, modest := b.lease("greedy"), b.lease("modest")
	require.NoError(t, greedy.grow(30))
	require.NoError(t, greedy.grow(20))
	err := greedy.grow(20)
	var o *model.OverloadError
	require.ErrorAs(t, err, &o)
	require.True(t, o.Tenant, "half of the memory is a lone tenant's share")
	require.NoError(t, modest.grow(40))
	require.ErrorAs(t, modest.grow(20), &o)
	require.False(t, o.Tenant)
	greedy.release()
	modest.release()
	modest.release()
	require.Zero(t, b.inUse())
	require.Empty(t, b.byTenant)
}

func TestRateOfATenant(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.Limits = func(id tenant.ID) Limits {
			if id == "small" {
				return Limits{BytesPerSecond: 100, BurstBytes: 300}
			}
			return Limits{}
		}
	})
	body := goodSpan("")
	_, err := f.sendJSON(SignalTraces, "small", body)
	require.NoError(t, err)
	_, err = f.sendJSON(SignalTraces, "small", body)
	var o *model.OverloadError
	require.ErrorAs(t, err, &o)
	require.True(t, o.Tenant)
	require.Positive(t, o.RetryAfter)
	_, err = f.sendJSON(SignalTraces, "other", body)
	require.NoError(t, err)
}

func TestLinesThatAreJSONBecomeFields(t *testing.T) {
	line := `{\"level\":\"error\",\"msg\":\"no\",\"http\":{\"status\":503},\"trace_id\":\"` + traceHex + `\"}`
	for _, c := range []struct {
		name   string
		change func(*Options)
		body   string
		attrs  string
		sev    model.SeverityNumber
	}{
		{"json", nil, line, "level=error msg=no http.status=503 trace_id=" + traceHex, 17},
		{"json off", func(o *Options) { o.KeepJSONText = true }, line, "", 17},
		{"broken json", nil, `{\"level\":\"error\"`, "", 17},
		{"logfmt off", nil, `level=warn msg=\"a b\" n=5`, "", 13},
		{"severities as they come", func(o *Options) { o.KeepSeverity = true }, line, "level=error msg=no http.status=503 trace_id=" + traceHex, 0},
		{"logfmt", func(o *Options) { o.ParseLogfmt = true }, `ts=1 level=warn msg=\"a b\" words in between ok=true n=5`, "ts=1 level=warn msg=a b ok=true n=5", 13},
		{"text", func(o *Options) { o.ParseLogfmt = true }, `hello world`, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, c.change)
			_, err := f.sendJSON(SignalLogs, "default", logsWith(`"body":{"stringValue":"`+c.body+`"}`))
			require.NoError(t, err)
			r := f.store.logs["default"][0]
			var got []string
			for _, a := range r.Attrs {
				got = append(got, a.Key+"="+a.Value.Text())
			}
			require.Equal(t, c.attrs, strings.Join(got, " "))
			require.Equal(t, c.sev, r.Severity)
		})
	}
}

func TestTapNeverWaitsAndSaysWhatItLost(t *testing.T) {
	f := newFixture(t, nil)
	s := f.Tap().Subscribe("acme", 1)
	other := f.Tap().Subscribe("default", 1)
	for range 3 {
		_, err := f.sendJSON(SignalLogs, "acme", logsWith(`"body":{"stringValue":"line"}`))
		require.NoError(t, err)
	}
	rows := <-s.Rows()
	require.Equal(t, "line", rows[0].Body.Str())
	require.Equal(t, "s", rows[0].Resource.Service())
	require.EqualValues(t, 2, s.Dropped())
	require.Zero(t, s.Dropped())
	require.Empty(t, other.Rows(), "another tenant's")
	s.Close()
	s.Close()
	_, open := <-s.Rows()
	require.False(t, open)
	other.Close()
}

func TestClosedPipelineAsksForPatience(t *testing.T) {
	f := newFixture(t, nil)
	sub := f.Tap().Subscribe("default", 1)
	require.NoError(t, f.Close(ctx))
	_, err := f.sendJSON(SignalTraces, "default", goodSpan(""))
	require.True(t, isOverload(err))
	_, open := <-sub.Rows()
	require.False(t, open)
}

func TestAuthorize(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.Authorize = func(_ context.Context, id tenant.ID, header func(string) string) error {
			switch header("Authorization") {
			case "Bearer good":
				return nil
			case "":
				return errDisk
			}
			return ErrForbidden
		}
	})
	url := listenHTTP(t, f.Pipeline)
	for token, want := range map[string]int{"": 401, "Bearer bad": 403, "Bearer good": 200} {
		r := post(t, url+"/v1/traces", jsonType, "", strings.NewReader(goodSpan("")), "Authorization", token)
		require.Equal(t, want, r.StatusCode)
	}
}

func TestLimitsOfTime(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Limits = func(tenant.ID) Limits { return Limits{MaxAge: time.Hour} } })
	rej, err := f.sendJSON(SignalTraces, "default", strings.ReplaceAll(goodSpan(""), nowNanos, "1772350000000000000"))
	require.NoError(t, err)
	require.EqualValues(t, 1, rej.Count)
	require.Contains(t, rej.Message(), "older than")
	require.Empty(t, f.log.records(t), "what is rejected whole is not logged")
}

func TestMetricsCountWhatHappened(t *testing.T) {
	reg := prometheus.NewRegistry()
	f := newFixture(t, func(o *Options) { o.Registerer = reg })
	_, err := f.sendJSON(SignalTraces, "acme", strings.Replace(goodSpan(""), traceHex, "", 1))
	require.NoError(t, err)
	_, err = f.sendJSON(SignalTraces, "acme", goodSpan(""))
	require.NoError(t, err)
	_, err = f.sendJSON(SignalTraces, "acme", "nonsense")
	require.Error(t, err)
	values := map[string]float64{}
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, fam := range families {
		for _, m := range fam.Metric {
			name := fam.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			values[name] = m.GetCounter().GetValue()
		}
	}
	const proto = "otlp-traces-json"
	require.EqualValues(t, 1, values["braid_ingest_items_total "+proto+" accepted traces acme"])
	require.EqualValues(t, 1, values["braid_ingest_items_total "+proto+" rejected traces acme"])
	require.EqualValues(t, 1, values["braid_ingest_requests_total 400 "+proto+" traces http"])
	require.EqualValues(t, 2, values["braid_ingest_requests_total 200 "+proto+" traces http"])
}

// holdingStore has some positions on disk already.
type holdingStore struct {
	*memStore
	has map[model.Position]bool
}

func (h holdingStore) Holds(_ tenant.ID, pos model.Position) bool { return h.has[pos] }

func TestReplayDoesNotUnpackWhatAStoreHolds(t *testing.T) {
	f := newFixture(t, nil)
	for range 3 {
		_, err := f.sendJSON(SignalTraces, "default", goodSpan(""))
		require.NoError(t, err)
	}
	all := f.store.at
	require.Len(t, all, 3)
	held := all[1]
	after := openLog(t, f.fs.CrashClone(rand.New(rand.NewPCG(1, 2))))
	defer after.disk.Close()
	store := newMemStore()
	p, err := New(Options{Log: after, Logs: store, Spans: holdingStore{store, map[model.Position]bool{held: true}}, Metrics: store, Logger: f.opts.Logger, TrimEvery: time.Hour})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close(ctx)) }()
	require.NoError(t, p.Replay(ctx))
	require.NotContains(t, store.at, held)
	require.Contains(t, store.at, all[0])
	require.Contains(t, store.at, all[2])
}
