package tsdb

import (
	"context"
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

func ms(seconds int) int64 { return at(seconds) / 1e6 }

func pairs(kv ...string) (out []prompb.Label) {
	for i := 0; i < len(kv); i += 2 {
		out = append(out, prompb.Label{Name: kv[i], Value: kv[i+1]})
	}
	return out
}

func native() *histogram.Histogram {
	return &histogram.Histogram{Schema: 1, Count: 3, Sum: 4, PositiveSpans: []histogram.Span{{Offset: 1, Length: 2}}, PositiveBuckets: []int64{1, 1}}
}

func v1Request() *prompb.WriteRequest {
	return &prompb.WriteRequest{
		Timeseries: []prompb.TimeSeries{
			{Labels: pairs("__name__", "c_total", "job", "x"), Samples: []prompb.Sample{{Value: 1, Timestamp: ms(0)}, {Value: 2, Timestamp: ms(10)}},
				Exemplars: []prompb.Exemplar{{Labels: pairs("trace_id", traceID(4).String(), "who", "me"), Value: 7, Timestamp: ms(1)}}},
			{Labels: pairs("__name__", "h", "job", "x"), Histograms: []prompb.Histogram{prompb.FromIntHistogram(ms(0), native())}},
			{Labels: pairs("job", "x"), Samples: []prompb.Sample{{Value: 1, Timestamp: ms(0)}, {Value: 1, Timestamp: ms(1)}}},
			{Labels: pairs("__name__", "dup", "a", "1", "a", "2"), Samples: []prompb.Sample{{Value: 1, Timestamp: ms(0)}}},
			{Labels: pairs("__name__", "bad\xff"), Samples: []prompb.Sample{{Value: 1, Timestamp: ms(0)}}},
			{Labels: pairs("__name__", "future"), Samples: []prompb.Sample{{Value: 1, Timestamp: ms(3600)}, {Value: 5, Timestamp: ms(5)}}},
		},
		Metadata: []prompb.MetricMetadata{{MetricFamilyName: "c_total", Type: prompb.MetricMetadata_COUNTER, Help: "Counts.", Unit: "s"}},
	}
}

func TestRemoteWriteV1(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	body, err := v1Request().Marshal()
	require.NoError(t, err)
	for range 2 { // a retry changes nothing
		stats, rej, err := s.AppendRemoteWrite(context.Background(), tenant.Default, 0, 1, body)
		require.NoError(t, err)
		require.Equal(t, WriteStats{Samples: 3, Histograms: 1, Exemplars: 1}, stats)
		require.Equal(t, int64(5), rej.Count)
		for _, want := range []string{`series has no __name__`, `label "a" comes twice`, `not valid UTF-8`, `ahead of this server's clock`} {
			require.Contains(t, rej.Message(), want)
		}
	}
	require.Equal(t, `{__name__="c_total", job="x"} 1@0 2@10
{__name__="future"} 5@5
{__name__="h", job="x"} {count:3, sum:4, (1,1.414213562373095]:1, (1.414213562373095,2]:2}@0`, dump(t, s, tenant.Default))
	require.Equal(t, []string{"c_total  7 5"}, exemplarsOf(t, s, predicate.ExemplarQuery{ID: traceID(4).String()}))
	meta, err := s.Metadata(context.Background(), tenant.Default, "", 0)
	require.NoError(t, err)
	require.Equal(t, map[string]model.MetricMeta{"c_total": {Type: "counter", Help: "Counts.", Unit: "s"}}, meta)
}

func TestRemoteWriteV2(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	st := writev2.NewSymbolTable()
	refs := func(kv ...string) []uint32 { return st.SymbolizeLabels(labels.FromStrings(kv...), nil) }
	req := writev2.Request{Timeseries: []writev2.TimeSeries{
		{LabelsRefs: refs("__name__", "c_total", "job", "x"), Samples: []writev2.Sample{{Value: 1, Timestamp: ms(5), StartTimestamp: ms(-5)}, {Value: 2, Timestamp: ms(10), StartTimestamp: ms(-5)}},
			Exemplars: []writev2.Exemplar{{LabelsRefs: refs("trace_id", traceID(4).String()), Value: 7, Timestamp: ms(1)}},
			Metadata:  writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER, HelpRef: st.Symbolize("Counts."), UnitRef: 0}},
		{LabelsRefs: refs("__name__", "h", "job", "x"), Histograms: []writev2.Histogram{writev2.FromFloatHistogram(0, ms(0), native().ToFloat(nil))}},
		{LabelsRefs: []uint32{1, 999}, Samples: []writev2.Sample{{Value: 1, Timestamp: ms(0)}}},
		{LabelsRefs: []uint32{1}, Samples: []writev2.Sample{{Value: 1, Timestamp: ms(0)}}},
		{LabelsRefs: refs("__name__", "x_bucket", "le", "1"), Samples: []writev2.Sample{{Value: 1, Timestamp: ms(0)}},
			Metadata: writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_HISTOGRAM}},
	}}
	req.Symbols = st.Symbols()
	body, err := req.Marshal()
	require.NoError(t, err)
	for range 2 {
		stats, rej, err := s.AppendRemoteWrite(context.Background(), tenant.Default, 0, 2, body)
		require.NoError(t, err)
		require.Equal(t, WriteStats{Samples: 3, Histograms: 1, Exemplars: 1}, stats)
		require.Equal(t, int64(2), rej.Count, rej.Message())
	}
	require.Equal(t, `{__name__="c_total", job="x"} 0@-5 1@5 2@10
{__name__="h", job="x"} {count:3, sum:4, (1,1.414213562373095]:1, (1.414213562373095,2]:2}@0
{__name__="x_bucket", le="1"} 1@0`, dump(t, s, tenant.Default))
	meta, err := s.Metadata(context.Background(), tenant.Default, "", 0)
	require.NoError(t, err)
	require.Equal(t, map[string]model.MetricMeta{"c_total": {Type: "counter", Help: "Counts."}, "x": {Type: "histogram"}}, meta)
	hits, _, _ := s.cacheStats()
	require.Equal(t, uint64(3), hits)
}

func TestRemoteWriteOfGarbageIsInvalid(t *testing.T) {
	s := openTest(t, testOptions(t.TempDir()))
	for version := range 4 {
		_, _, err := s.AppendRemoteWrite(context.Background(), tenant.Default, 0, version, []byte("\x0a\xff\xff\xff\xff\x0f"))
		require.ErrorIs(t, err, model.ErrInvalid)
	}
}

func FuzzRemoteWrite(f *testing.F) {
	body, err := v1Request().Marshal()
	require.NoError(f, err)
	f.Add(1, body)
	st := writev2.NewSymbolTable()
	req := writev2.Request{Timeseries: []writev2.TimeSeries{{LabelsRefs: st.SymbolizeLabels(labels.FromStrings("__name__", "c"), nil),
		Samples: []writev2.Sample{{Value: 1, Timestamp: 5}}, Histograms: []writev2.Histogram{writev2.FromIntHistogram(0, 6, native())}}}, Symbols: st.Symbols()}
	body, err = req.Marshal()
	require.NoError(f, err)
	f.Add(2, body)
	s, err := Open(testOptions(f.TempDir()))
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, s.Close()) })
	f.Fuzz(func(t *testing.T, version int, body []byte) {
		_, _, err := s.AppendRemoteWrite(context.Background(), tenant.Default, 0, version, body)
		if err != nil {
			require.ErrorIs(t, err, model.ErrInvalid)
		}
	})
}

// A native histogram that contradicts itself is refused by itself: what else the
// request has is taken. Counts that are fractions need not add up, as in Prometheus:
// they are not exact.
func TestNativeHistogramsThatDoNotAddUp(t *testing.T) {
	change := func(f func(h *histogram.Histogram)) prompb.Histogram {
		h := native()
		f(h)
		return prompb.FromIntHistogram(ms(0), h)
	}
	float := func(f func(h *histogram.FloatHistogram)) prompb.Histogram {
		h := native().ToFloat(nil)
		f(h)
		return prompb.FromFloatHistogram(ms(0), h)
	}
	bad := map[string]prompb.Histogram{
		"fewer observations than the buckets have": change(func(h *histogram.Histogram) { h.Count = 2 }),
		"more observations, and a sum":             change(func(h *histogram.Histogram) { h.Count = 4 }),
		"a zero bucket not counted":                change(func(h *histogram.Histogram) { h.ZeroThreshold, h.ZeroCount = 0.1, 1 }),
		"a bucket of less than nothing":            change(func(h *histogram.Histogram) { h.PositiveBuckets = []int64{3, -4} }),
		"more spans than buckets":                  change(func(h *histogram.Histogram) { h.PositiveSpans[0].Length = 3 }),
		"more buckets than spans":                  change(func(h *histogram.Histogram) { h.PositiveSpans[0].Length = 1 }),
		"spans one over the other": change(func(h *histogram.Histogram) {
			h.PositiveSpans = []histogram.Span{{Offset: 1, Length: 1}, {Offset: -1, Length: 1}}
		}),
		"no such schema": change(func(h *histogram.Histogram) { h.Schema = 77 }),
		"bounds out of order": change(func(h *histogram.Histogram) {
			h.Schema, h.CustomValues, h.PositiveSpans[0].Offset = histogram.CustomBucketsSchema, []float64{2, 1}, 0
		}),
		"a fraction of less than nothing": float(func(h *histogram.FloatHistogram) { h.PositiveBuckets[0] = -0.5 }),
	}
	for what, h := range bad {
		t.Run(what, func(t *testing.T) {
			s := openTest(t, testOptions(t.TempDir()))
			req := prompb.WriteRequest{Timeseries: []prompb.TimeSeries{
				{Labels: pairs("__name__", "before"), Samples: []prompb.Sample{{Value: 1, Timestamp: ms(0)}}},
				{Labels: pairs("__name__", "h"), Histograms: []prompb.Histogram{h, prompb.FromIntHistogram(ms(1), native())}},
				{Labels: pairs("__name__", "nan"), Histograms: []prompb.Histogram{change(func(h *histogram.Histogram) { h.Count, h.Sum = 4, math.NaN() })}},
			}}
			body, err := req.Marshal()
			require.NoError(t, err)
			stats, rej, err := s.AppendRemoteWrite(context.Background(), tenant.Default, 0, 1, body)
			require.NoError(t, err)
			require.Equal(t, int64(1), rej.Count, rej.Message())
			require.Contains(t, rej.Message(), `"h"`)
			require.Equal(t, WriteStats{Samples: 1, Histograms: 2}, stats)
			require.Equal(t, `{__name__="before"} 1@0
{__name__="h"} {count:3, sum:4, (1,1.414213562373095]:1, (1.414213562373095,2]:2}@1
{__name__="nan"} {count:4, sum:NaN, (1,1.414213562373095]:1, (1.414213562373095,2]:2}@0`, dump(t, s, tenant.Default))
		})
	}
}
