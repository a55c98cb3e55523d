package tsdb

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// A total goes on where it was after a crash, a replay adds nothing twice, and
// a stream that was forgotten for its silence is picked up again.
func TestDeltaTotalsSurvive(t *testing.T) {
	o := testOptions(t.TempDir())
	o.ResourceLabels = []string{}
	s := openTest(t, o)
	request := func(from, to int, v float64) *model.Metrics {
		p := model.Point{Start: at(from), Time: at(to) + 123_456, Value: v}
		h := histogramPoint(to)
		h.Start = at(from)
		e := model.Point{Start: at(from), Time: at(to), Count: 3, Sum: 3, HasSum: true, ZeroCount: 1, Positive: model.Buckets{Counts: []uint64{2}}}
		delta := func(m model.Metric) model.Metric {
			m.Temporality = model.TemporalityDelta
			return m
		}
		return batch(res("service.name", "shop"), delta(counter("c", p)),
			delta(model.Metric{Name: "updown", Type: model.MetricSum, Points: []model.Point{p}}),
			delta(model.Metric{Name: "h", Type: model.MetricHistogram, Points: []model.Point{h}}),
			delta(model.Metric{Name: "e", Type: model.MetricExpHistogram, Points: []model.Point{e}}))
	}
	send := func(s *Store, pos model.Position, m *model.Metrics) {
		rej, err := s.AppendMetrics(context.Background(), tenant.Default, pos, m)
		require.NoError(t, err)
		require.Zero(t, rej.Count, rej.Message())
	}
	send(s, 1, request(0, 10, 5))
	send(s, 2, request(10, 20, 7))
	send(s, 3, request(20, 30, -2))
	require.NoError(t, s.Sync())

	crashed := openTest(t, copyOf(t, o))
	crashed.EndReplay()
	// What a log repeats is contained already, the older points too.
	send(crashed, 2, request(10, 20, 7))
	send(crashed, 3, request(20, 30, -2))
	send(crashed, 4, request(30, 40, 100))
	want := `{__name__="c_total", job="shop"} 0@0 5@10 12@20 10@30 110@40
{__name__="e", job="shop"} {count:0, sum:0}@0 {count:3, sum:3, [-1e-128,1e-128]:1, (1,2]:2}@10 {count:6, sum:6, [-1e-128,1e-128]:2, (1,2]:4}@20 {count:9, sum:9, [-1e-128,1e-128]:3, (1,2]:6}@30 {count:12, sum:12, [-1e-128,1e-128]:4, (1,2]:8}@40
{__name__="h_bucket", job="shop", le="+Inf"} 0@0 3@10 6@20 9@30 12@40
{__name__="h_bucket", job="shop", le="1"} 0@0 1@10 2@20 3@30 4@40
{__name__="h_bucket", job="shop", le="2"} 0@0 2@10 4@20 6@30 8@40
{__name__="h_count", job="shop"} 0@0 3@10 6@20 9@30 12@40
{__name__="h_sum", job="shop"} 0@0 6@10 12@20 18@30 24@40
{__name__="updown", job="shop"} 5@10 12@20 10@30 110@40`
	require.Equal(t, want, dump(t, crashed, tenant.Default))

	db := crashed.lookup(tenant.Default)
	for i := range db.shards {
		db.shards[i].delta.sweep(at(1000))
	}
	send(crashed, 5, request(40, 50, 1))
	require.Contains(t, dump(t, crashed, tenant.Default), "110@40 111@50")

	// A stream that said that it has ended begins anew.
	ended := model.Point{Time: at(60), Flags: model.FlagNoRecordedValue}
	stop := counter("c", ended)
	stop.Temporality = model.TemporalityDelta
	send(crashed, 6, batch(res("service.name", "shop"), stop))
	for i := range db.shards {
		db.shards[i].delta.sweep(at(1000))
	}
	send(crashed, 7, request(60, 70, 4))
	require.Contains(t, dump(t, crashed, tenant.Default, named("c_total")), "NaN@60 4@70")
}
