package metrics

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/stats"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"
	"github.com/stretchr/testify/require"

	"braid/pkg/api/promapi"
	"braid/pkg/tenant"
	"braid/pkg/tsdb"
)

// TestPublishedPromQLCases runs the cases that Prometheus publishes: loaded into
// the store, evaluated by the engine on it, and asked over HTTP as well. What
// the HTTP API answers must be the engine's result, which the cases check.
func TestPublishedPromQLCases(t *testing.T) {
	p := parser.NewParser(parser.Options{EnableExperimentalFunctions: true, ExperimentalDurationExpr: true,
		EnableExtendedRangeSelectors: true, EnableBinopFillModifiers: true})
	engine := promqltest.NewTestEngineWithOpts(t, promql.EngineOpts{MaxSamples: 100_000, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() }, LookbackDelta: 5 * time.Minute,
		EnableDelayedNameRemoval: true, UseStartTimestamps: true, Parser: p})
	w := &world{t: t, engine: engine}
	var err error
	w.api, err = promapi.New(promapi.Options{Source: w, Engine: promapi.NewFusedEngine(engine, promapi.Options{Experimental: true}), Experimental: true})
	require.NoError(t, err)
	promqltest.RunBuiltinTestsWithStorage(t, w, w.storage)
	require.Greater(t, w.asked.Load(), int64(1500), "queries asked over HTTP")
	t.Logf("%d queries agreed over HTTP", w.asked.Load())
}

// world is the store and the API of one case at a time.
type world struct {
	t           *testing.T
	engine      *promql.Engine
	*tsdb.Store // of the case that runs
	api         *promapi.Handler
	asked       atomic.Int64
}

func (w *world) storage(t testing.TB) storage.Storage {
	// The cases begin in 1970 and reach far: neither clock nor retention may
	// stand in their way.
	store, err := tsdb.Open(tsdb.Options{Dir: t.TempDir(), Now: func() time.Time { return time.Unix(0, 0) }, SyncInterval: -1,
		FutureWindow: 200 * 365 * 24 * time.Hour, Retention: 200 * 365 * 24 * time.Hour,
		OutOfOrderWindow: 200 * 365 * 24 * time.Hour, StoreStartTimes: true})
	require.NoError(t, err)
	w.Store = store
	return &caseStorage{SampleAndChunkQueryable: store.Queryable(tenant.Default), Appendable: store.Appendable(tenant.Default), store: store}
}

type caseStorage struct {
	storage.SampleAndChunkQueryable
	*tsdb.Appendable
	store *tsdb.Store
}

func (*caseStorage) StartTime() (int64, error) { return 0, nil }
func (s *caseStorage) Close() error            { return s.store.Close() }

// NewInstantQuery implements promql.QueryEngine.
func (w *world) NewInstantQuery(ctx context.Context, q storage.Queryable, o promql.QueryOpts, text string, ts time.Time) (promql.Query, error) {
	query, err := w.engine.NewInstantQuery(ctx, q, o, text, ts)
	return w.twice(query, err, "/api/v1/query", url.Values{"query": {text}, "time": {unix(ts)}})
}

// NewRangeQuery implements promql.QueryEngine.
func (w *world) NewRangeQuery(ctx context.Context, q storage.Queryable, o promql.QueryOpts, text string, start, end time.Time, step time.Duration) (promql.Query, error) {
	query, err := w.engine.NewRangeQuery(ctx, q, o, text, start, end, step)
	return w.twice(query, err, "/api/v1/query_range", url.Values{"query": {text}, "start": {unix(start)}, "end": {unix(end)},
		"step": {fmt.Sprintf("%d.%09d", step/time.Second, step%time.Second)}})
}

func unix(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func (w *world) twice(q promql.Query, err error, path string, form url.Values) (promql.Query, error) {
	answer := w.ask(path, form)
	if err != nil {
		require.Equal(w.t, "bad_data", answer.ErrorType, "%v: %v", form, err)
		return nil, err
	}
	return &twiceQuery{Query: q, w: w, answer: answer, form: form}, nil
}

type answer struct {
	Status, ErrorType, Error string
	Data                     struct {
		ResultType string
		Result     json.RawMessage
	}
}

func (w *world) ask(path string, form url.Values) answer {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	var a answer
	require.NoError(w.t, json.Unmarshal(rec.Body.Bytes(), &a), "%v: %s", form, rec.Body)
	return a
}

// twiceQuery gives the engine's result and compares it with the API's.
type twiceQuery struct {
	promql.Query
	w      *world
	answer answer
	form   url.Values
}

func (q *twiceQuery) Exec(ctx context.Context) *promql.Result {
	res := q.Query.Exec(ctx)
	if res.Err != nil {
		require.Equal(q.w.t, "error", q.answer.Status, "%v", q.form)
		require.Equal(q.w.t, strings.ToValidUTF8(res.Err.Error(), "\uFFFD"), q.answer.Error, "%v", q.form)
		return res
	}
	// The API refuses results of more than 11,000 points a series and sorts
	// nothing; the codec is Prometheus's own.
	want, err := apiv1.JSONCodec{}.Encode(&apiv1.Response{Status: "success", Data: &apiv1.QueryData{ResultType: res.Value.Type(), Result: res.Value}})
	require.NoError(q.w.t, err)
	var w answer
	require.NoError(q.w.t, json.Unmarshal(want, &w))
	require.Equal(q.w.t, w.Data.ResultType, q.answer.Data.ResultType, "%v: %s", q.form, q.answer.Error)
	require.Equal(q.w.t, canonical(q.w.t, w), canonical(q.w.t, q.answer), "%v", q.form)
	q.w.asked.Add(1)
	return res
}

func (q *twiceQuery) Stats() *stats.Statistics { return q.Query.Stats() }

// canonical is the result with its series as a set: their order is not promised
// but by sort functions.
func canonical(t *testing.T, a answer) any {
	if a.Data.ResultType != "vector" && a.Data.ResultType != "matrix" {
		return string(a.Data.Result)
	}
	var list []json.RawMessage
	require.NoError(t, json.Unmarshal(a.Data.Result, &list))
	out := map[string]int{}
	for _, r := range list {
		out[string(r)]++
	}
	return out
}
