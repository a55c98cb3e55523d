package tsdb

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

func TestHistogramsFanOutIntoClassicSeries(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	m := model.Metric{Name: "lat", Unit: "ms", Type: model.MetricHistogram, Temporality: model.TemporalityCumulative, Points: []model.Point{histogramPoint(0)}}
	noSum := histogramPoint(0)
	noSum.HasSum, noSum.Attrs = false, attrs("sum", "no", "le", "mine")
	bare := model.Point{Time: at(0), Count: 5, Attrs: attrs("bare", "yes")}
	m.Points = append(m.Points, noSum, bare)
	require.Zero(t, push(t, s, batch(nil, m)).Count)
	ended := histogramPoint(10)
	ended.Flags = model.FlagNoRecordedValue
	m.Points = []model.Point{ended}
	require.Zero(t, push(t, s, batch(nil, m)).Count)
	require.Equal(t, `{__name__="lat_milliseconds_bucket", bare="yes", le="+Inf"} 5@0
{__name__="lat_milliseconds_bucket", le="+Inf", sum="no"} 3@0
{__name__="lat_milliseconds_bucket", le="+Inf"} 3@0 NaN@10
{__name__="lat_milliseconds_bucket", le="1", sum="no"} 1@0
{__name__="lat_milliseconds_bucket", le="1"} 1@0 NaN@10
{__name__="lat_milliseconds_bucket", le="2", sum="no"} 2@0
{__name__="lat_milliseconds_bucket", le="2"} 2@0 NaN@10
{__name__="lat_milliseconds_count", bare="yes"} 5@0
{__name__="lat_milliseconds_count", le="mine", sum="no"} 3@0
{__name__="lat_milliseconds_count"} 3@0 NaN@10
{__name__="lat_milliseconds_sum"} 6@0 NaN@10`, dump(t, s, tenant.Default))
}

func TestDeltaBecomesCumulative(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	delta := func(m model.Metric) model.Metric {
		m.Temporality = model.TemporalityDelta
		return m
	}
	send := func(from, to int, v float64) model.Rejections {
		p := model.Point{Start: at(from), Time: at(to), Value: v}
		h := histogramPoint(to)
		h.Start = at(from)
		e := model.Point{Start: at(from), Time: at(to), Count: 2, Sum: 3, HasSum: true, Positive: model.Buckets{Counts: []uint64{2}}}
		return push(t, s, batch(nil, delta(counter("c", p)),
			delta(model.Metric{Name: "h", Type: model.MetricHistogram, Points: []model.Point{h}}),
			delta(model.Metric{Name: "e", Type: model.MetricExpHistogram, Points: []model.Point{e}})))
	}
	require.Zero(t, send(0, 10, 5).Count)
	require.Zero(t, send(10, 20, 7).Count)
	require.Zero(t, send(10, 20, 7).Count, "a retry is not counted twice")
	rej := send(0, 15, 1)
	require.Equal(t, int64(3), rej.Count)
	require.Contains(t, rej.Message(), "delta points must come in order")
	require.Equal(t, `{__name__="c_total"} 0@0 5@10 12@20
{__name__="e"} {count:0, sum:0}@0 {count:2, sum:3, (1,2]:2}@10 {count:4, sum:6, (1,2]:4}@20
{__name__="h_bucket", le="+Inf"} 0@0 3@10 6@20
{__name__="h_bucket", le="1"} 0@0 1@10 2@20
{__name__="h_bucket", le="2"} 0@0 2@10 4@20
{__name__="h_count"} 0@0 3@10 6@20
{__name__="h_sum"} 0@0 6@10 12@20`, dump(t, s, tenant.Default))

	// What is silent for long is forgotten and begins again.
	db := s.lookup(tenant.Default)
	for i := range db.shards {
		db.shards[i].delta.sweep(at(0) + 1)
		require.Empty(t, db.shards[i].delta.byLabels)
	}
}

func TestZeroSamplesStandAtStartTimes(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	c := func(start, seconds int, v float64) model.Metric {
		return counter("c", model.Point{Start: at(start), Time: at(seconds), Value: v})
	}
	for _, m := range []model.Metric{c(-30, 0, 5), c(-30, 10, 6), c(15, 20, 1), c(15, 30, 2)} {
		require.Zero(t, push(t, s, batch(nil, m)).Count)
	}
	require.Equal(t, `{__name__="c_total"} 0@-30 5@0 6@10 0@15 1@20 2@30`, dump(t, s, tenant.Default))
	old := model.Point{Start: at(-7200), Time: at(0), Value: 1}
	push(t, s, batch(nil, counter("weeks", old), gauge("g", model.Point{Start: at(-10), Time: at(0), Value: 1})))
	require.Equal(t, `{__name__="weeks_total"} 1@0`, dump(t, s, tenant.Default, named("weeks_total")))
	require.Equal(t, `{__name__="g"} 1@0`, dump(t, s, tenant.Default, named("g")))
}

func TestWhatCannotBeTakenIsNamedAndTheRestKept(t *testing.T) {
	bad := func(change func(*model.Metric, *model.Point)) model.Metric {
		m := model.Metric{Name: "bad", Type: model.MetricHistogram, Temporality: model.TemporalityCumulative, Points: []model.Point{histogramPoint(0)}}
		change(&m, &m.Points[0])
		return m
	}
	for want, m := range map[string]model.Metric{
		"metric has no name":                                 gauge("", point(0, 1)),
		"point has no time_unix_nano":                        gauge("g", model.Point{Value: 1}),
		"ahead of this server's clock, at most 10m0s":        gauge("g", point(3600, 1)),
		"older than the retention of 360h":                   gauge("g", point(-20*86400, 1)),
		"temporality is unspecified":                         {Name: "g", Type: model.MetricSum, Points: []model.Point{point(0, 1)}},
		"no data of a known type":                            {Name: "g", Points: []model.Point{point(0, 1)}, Temporality: model.TemporalityCumulative},
		"label name is empty":                                gauge("g", point(0, 1, "", "x")),
		"resulted in invalid name":                           gauge("g", point(0, 1, "__", "x")),
		"buckets add up to 3, its count is 4":                bad(func(_ *model.Metric, p *model.Point) { p.Count = 4 }),
		"3 bucket counts for 1 bounds":                       bad(func(_ *model.Metric, p *model.Point) { p.Bounds = p.Bounds[:1] }),
		"bounds are not increasing at 1":                     bad(func(_ *model.Metric, p *model.Point) { p.Bounds = []float64{2, 2} }),
		"bound is not a number":                              bad(func(_ *model.Metric, p *model.Point) { p.Bounds, p.Counts = []float64{math.NaN()}, []uint64{3, 0} }),
		"at most 1000 are allowed":                           bad(func(_ *model.Metric, p *model.Point) { p.Bounds = make([]float64, 1001) }),
		"inconsistent exponential histogram: its buckets":    {Name: "e", Type: model.MetricExpHistogram, Temporality: model.TemporalityCumulative, Points: []model.Point{{Time: at(0), Count: 1}}},
		"another value is stored for the same series and":    gauge("known", point(5, 2)),
		"sample is too old: more than 1h0m0s (out-of-order)": gauge("known", point(-7200, 1)),
	} {
		t.Run(want, func(t *testing.T) {
			s := openTest(t, testOptions(t.TempDir()))
			push(t, s, batch(nil, gauge("known", point(5, 1))))
			rej := push(t, s, batch(nil, gauge("before", point(0, 1)), m, gauge("after", point(0, 1))))
			require.Equal(t, int64(1), rej.Count)
			if want != "sample is too old: more than 1h0m0s (out-of-order)" {
				require.Contains(t, rej.Message(), want)
			} else {
				require.Contains(t, rej.Message(), "too old")
			}
			require.NotEmpty(t, dump(t, s, tenant.Default, named("before")))
			require.NotEmpty(t, dump(t, s, tenant.Default, named("after")))
		})
	}
}

func TestNaNAndInfinitiesAreStoredBitExact(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	odd := math.Float64frombits(0x7ff8000000000abc)
	for i, v := range []float64{math.Inf(1), math.Inf(-1), odd, math.Copysign(0, -1), 5e-324} {
		require.Zero(t, push(t, s, batch(nil, gauge("g", point(i, v)))).Count)
	}
	require.Equal(t, `{__name__="g"} +Inf@0 -Inf@1 NaN@2 -0@3 5e-324@4`, dump(t, s, tenant.Default))
}

// A series that the head has forgotten is made again though its reference is
// cached.
func TestStaleReferencesRecover(t *testing.T) {
	o := testOptions(t.TempDir())
	now := t0
	o.Now = func() time.Time { return now }
	s := openTest(t, o)
	r := res("service.name", "x", "service.instance.id", "1", "host.name", "h")
	push(t, s, batch(r, gauge("g", point(0, 1)), counter("c", point(0, 1))))
	db := s.lookup(tenant.Default).db
	end := at(3*3600) / 1e6
	require.NoError(t, db.CompactHead(promtsdb.NewRangeHead(db.Head(), at(0)/1e6, end)))
	require.Zero(t, db.Head().NumSeries())
	now = t0.Add(4 * time.Hour)
	require.Zero(t, push(t, s, batch(r, gauge("g", point(4*3600, 2)), counter("c", point(4*3600, 2)))).Count)
	require.Equal(t, `{__name__="c_total", instance="1", job="x", service_instance_id="1", service_name="x"} 1@0 2@14400
{__name__="g", instance="1", job="x", service_instance_id="1", service_name="x"} 1@0 2@14400
{__name__="target_info", host_name="h", instance="1", job="x"} 1@0 1@14400`, dump(t, s, tenant.Default))
	hits, misses, _ := s.cacheStats()
	require.Equal(t, []uint64{3, 3}, []uint64{hits, misses})
}

// Attributes that name another target than the resource does are appended
// alone in the tenant, and land in the same series as that target's own.
func TestForeignTargets(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	own := batch(res("service.name", "a", "service.instance.id", "1"), gauge("g", point(0, 1)))
	foreign := batch(&model.Resource{}, gauge("g", point(10, 2, "job", "a", "instance", "1", "service.name", "a", "service.instance.id", "1"), point(0, 7)))
	for range 2 {
		require.Zero(t, push(t, s, own).Count)
		require.Zero(t, push(t, s, foreign).Count)
	}
	require.Equal(t, `{__name__="g", instance="1", job="a", service_instance_id="1", service_name="a"} 1@0 2@10
{__name__="g"} 7@0`, dump(t, s, tenant.Default))
}

// Many requests carry the same series at once, later times before earlier ones.
// What was acknowledged must be there after a replay of the log.
func TestConcurrentRequestsSurviveReplay(t *testing.T) {
	o := testOptions(t.TempDir())
	s := openTest(t, o)
	const workers, steps, series = 4, 50, 20
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range steps {
				sec := i*workers + w
				var m []model.Metric
				for n := range series {
					m = append(m, gauge(fmt.Sprintf("g%d", n), point(sec, float64(sec))))
				}
				rej, err := s.AppendMetrics(context.Background(), tenant.Default, model.Position(sec+1), batch(res("service.name", "x"), m...))
				if err != nil || rej.Count > 0 {
					t.Errorf("append: %v %v", err, rej.Message())
				}
			}
		}()
	}
	wg.Wait()
	count := func(s *Store) int {
		n := 0
		for _, c := range dump(t, s, tenant.Default) {
			if c == '@' {
				n++
			}
		}
		return n
	}
	require.Equal(t, workers*steps*series, count(s))
	require.NoError(t, s.Sync())
	c := openTest(t, copyOf(t, o))
	require.Equal(t, workers*steps*series, count(c))
}

func TestCancelledContextTakesNothing(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m := counter("c", model.Point{Start: at(0), Time: at(1), Value: 1})
	m.Temporality = model.TemporalityDelta
	_, err := s.AppendMetrics(ctx, tenant.Default, 5, batch(nil, m))
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, dump(t, s, tenant.Default))
	_, ok := s.OldestNeeded()
	require.False(t, ok)
	require.Zero(t, push(t, s, batch(nil, m)).Count)
	require.Equal(t, `{__name__="c_total"} 0@0 1@1`, dump(t, s, tenant.Default), "what was rolled back is not counted twice")
}

// Two scopes send the same series with different values in one request: without
// scope labels one of them is named as not taken. (In the very first request
// the head drops it without a word.)
func TestStreamsThatContradictEachOther(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	r := res("service.name", "x")
	send := func(sec int, a, b float64) model.Rejections {
		m := batch(r, gauge("g", point(sec, a)))
		other := batch(res("service.name", "x", "unpromoted", "y"), gauge("g", point(sec, b)))
		m.Batches = append(m.Batches, other.Batches...)
		return push(t, s, m)
	}
	send(0, 1, 2)
	require.Zero(t, send(10, 3, 3).Count)
	rej := send(20, 4, 5)
	require.Equal(t, int64(1), rej.Count)
	require.Contains(t, rej.Message(), "another value is stored for the same series and time")
	require.Equal(t, `{__name__="g", job="x", service_name="x"} 1@0 3@10 4@20`, dump(t, s, tenant.Default, named("g")))
}
