package tsdb

import (
	"math"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"

	"braid/pkg/model"
)

// unmarshalWriteV1 is what decodeWriteV1 must agree with: the generated decoder.
func unmarshalWriteV1(body []byte) (*writeRequest, error) {
	var m prompb.WriteRequest
	if err := m.Unmarshal(body); err != nil {
		return nil, err
	}
	out := &writeRequest{series: make([]writeSeries, len(m.Timeseries))}
	for i := range m.Timeseries {
		in, s := &m.Timeseries[i], &out.series[i]
		s.labels = make([]labels.Label, len(in.Labels))
		for j, l := range in.Labels {
			s.labels[j] = labels.Label{Name: l.Name, Value: l.Value}
		}
		for _, x := range in.Samples {
			s.samples = append(s.samples, writeSample{0, x.Timestamp, x.Value})
		}
		for _, h := range in.Histograms {
			w := writeHistogram{t: h.Timestamp}
			if h.IsFloatHistogram() {
				w.fh = h.ToFloatHistogram()
			} else {
				w.h = h.ToIntHistogram()
			}
			s.histograms = append(s.histograms, w)
		}
		for _, e := range in.Exemplars {
			ex := model.Exemplar{Time: nanos(e.Timestamp), Value: e.Value}
			for _, l := range e.Labels {
				addExemplarLabel(&ex, l.Name, l.Value)
			}
			s.exemplars = append(s.exemplars, ex)
		}
	}
	for _, x := range m.Metadata {
		if x.MetricFamilyName != "" {
			out.meta = append(out.meta, metaLine{x.MetricFamilyName, strings.ToLower(x.Type.String()), x.Help, x.Unit})
		}
	}
	return out, nil
}

// sameWrite compares what the two decoders make of a message; NaN is equal to
// itself.
func sameWrite(t *testing.T, body []byte) {
	t.Helper()
	want, wantErr := unmarshalWriteV1(body)
	got, err := decodeWriteV1(body)
	if wantErr != nil {
		require.Error(t, err)
		return
	}
	require.NoError(t, err)
	require.Equal(t, want.meta, got.meta)
	require.Len(t, got.series, len(want.series))
	for i := range want.series {
		w, g := &want.series[i], &got.series[i]
		require.ElementsMatch(t, w.labels, g.labels)
		require.Len(t, g.samples, len(w.samples))
		for j := range w.samples {
			require.Equal(t, w.samples[j].t, g.samples[j].t)
			require.Equal(t, math.Float64bits(w.samples[j].v), math.Float64bits(g.samples[j].v))
		}
		require.Len(t, g.histograms, len(w.histograms))
		require.Len(t, g.exemplars, len(w.exemplars))
	}
}

func TestDecodersOfRemoteWriteAgree(t *testing.T) {
	body, err := v1Request().Marshal()
	require.NoError(t, err)
	sameWrite(t, body)
	for cut := range body {
		sameWrite(t, body[:cut])
	}
	for i := range body {
		for _, flip := range []byte{1, 2, 4, 0x80} {
			b := append([]byte(nil), body...)
			b[i] ^= flip
			sameWrite(t, b)
		}
	}
}

// What one request leaves in the slices is not seen by the next.
func TestDecodersOfRemoteWriteAreUsedAgain(t *testing.T) {
	large, err := v1Request().Marshal()
	require.NoError(t, err)
	small, err := (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{Labels: pairs("__name__", "one"), Samples: []prompb.Sample{{Value: 1, Timestamp: 2}}}, {}}}).Marshal()
	require.NoError(t, err)
	for range 20 {
		for _, body := range [][]byte{large, small} {
			sameWrite(t, body)
			req, err := decodeWriteV1(body)
			require.NoError(t, err)
			req.release()
			req.release()
		}
	}
}

func FuzzDecodersOfRemoteWrite(f *testing.F) {
	body, err := v1Request().Marshal()
	require.NoError(f, err)
	f.Add(body)
	f.Fuzz(sameWrite)
}

func BenchmarkDecodeRemoteWrite(b *testing.B) {
	req := prompb.WriteRequest{}
	for range 2000 {
		s := prompb.TimeSeries{Samples: []prompb.Sample{{Value: 1.5, Timestamp: ms(0)}}}
		for n := range 16 {
			s.Labels = append(s.Labels, prompb.Label{Name: "label_name_" + string(rune('a'+n)), Value: "some value of a label"})
		}
		req.Timeseries = append(req.Timeseries, s)
	}
	body, err := req.Marshal()
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		req, err := decodeWriteV1(body)
		if err != nil {
			b.Fatal(err)
		}
		req.release()
	}
}
