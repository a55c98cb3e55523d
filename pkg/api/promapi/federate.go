package promapi

import (
	"context"
	"fmt"
	"net/http"
	"sort"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"braid/pkg/tenant"
)

// serveFederate answers /federate: the newest sample of every series that
// matches, as an exposition. Native histograms travel in the protobuf formats
// only, as in Prometheus.
func (h *Handler) serveFederate(id tenant.ID) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			http.Error(w, fmt.Sprintf("cannot read the form: %v", err), http.StatusBadRequest)
			return
		}
		selectors, err := h.opts.Parser().ParseMetricSelectors(r.Form["match[]"])
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		now := h.opts.Now()
		samples, err := h.newest(r.Context(), id, selectors, now.Add(-h.opts.LookbackDelta), now)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		format := expfmt.NegotiateAccept(r.Header, expfmt.NewFormat(expfmt.TypeProtoDelim), expfmt.NewFormat(expfmt.TypeTextPlain))
		w.Header().Set("Content-Type", string(format))
		enc := expfmt.NewEncoder(w, format)
		for _, family := range families(samples, format.FormatType() == expfmt.TypeProtoDelim) {
			if err := enc.Encode(family); err != nil {
				h.opts.Logger.Warn("cannot write federation", "tenant", string(id), "err", err)
				return
			}
		}
	})
}

type federated struct {
	labels labels.Labels
	t      int64
	f      float64
	h      *histogram.FloatHistogram
}

// newest returns the last sample of each series in the window, sorted by name.
func (h *Handler) newest(ctx context.Context, id tenant.ID, selectors [][]*labels.Matcher, from, to time.Time) ([]federated, error) {
	mint, maxt := from.UnixMilli(), to.UnixMilli()
	q, err := h.opts.Source.Queryable(id).Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	var sets []storage.SeriesSet
	for _, s := range selectors {
		sets = append(sets, q.Select(ctx, true, &storage.SelectHints{Start: mint, End: maxt}, s...))
	}
	var out []federated
	set := storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
	var it chunkenc.Iterator
	for set.Next() {
		it = set.At().Iterator(it)
		last := federated{labels: set.At().Labels()}
		found := false
		for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
			found = true
			if vt == chunkenc.ValFloat {
				last.t, last.f = it.At()
				last.h = nil
			} else {
				last.t, last.h = it.AtFloatHistogram(nil)
			}
		}
		if err := it.Err(); err != nil {
			return nil, err
		}
		stale := last.h == nil && value.IsStaleNaN(last.f) || last.h != nil && value.IsStaleNaN(last.h.Sum)
		if found && !stale && last.labels.Get(labels.MetricName) != "" {
			out = append(out, last)
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		return out[i].labels.Get(labels.MetricName) < out[j].labels.Get(labels.MetricName)
	})
	return out, set.Err()
}

// families groups samples by name and kind of value.
func families(samples []federated, native bool) []*dto.MetricFamily {
	var out []*dto.MetricFamily
	for i := range samples {
		s := &samples[i]
		kind := dto.MetricType_UNTYPED
		if s.h != nil {
			if !native {
				continue
			}
			kind = dto.MetricType_HISTOGRAM
			if s.h.CounterResetHint == histogram.GaugeType {
				kind = dto.MetricType_GAUGE_HISTOGRAM
			}
		}
		name := s.labels.Get(labels.MetricName)
		if n := len(out); n == 0 || out[n-1].GetName() != name || out[n-1].GetType() != kind {
			out = append(out, &dto.MetricFamily{Name: &name, Type: &kind})
		}
		family := out[len(out)-1]
		family.Metric = append(family.Metric, s.metric())
	}
	return out
}

func (s *federated) metric() *dto.Metric {
	m := &dto.Metric{TimestampMs: &s.t}
	s.labels.Range(func(l labels.Label) {
		if l.Name != labels.MetricName {
			m.Label = append(m.Label, &dto.LabelPair{Name: &l.Name, Value: &l.Value})
		}
	})
	if s.labels.Get("instance") == "" {
		// The reader must not put the federating server's own instance there.
		name, empty := "instance", ""
		m.Label = append(m.Label, &dto.LabelPair{Name: &name, Value: &empty})
	}
	if s.h == nil {
		m.Untyped = &dto.Untyped{Value: &s.f}
		return m
	}
	m.Histogram = &dto.Histogram{
		SampleCountFloat: &s.h.Count, SampleSum: &s.h.Sum, Schema: &s.h.Schema, ZeroThreshold: &s.h.ZeroThreshold,
		ZeroCountFloat: &s.h.ZeroCount, PositiveCount: s.h.PositiveBuckets, NegativeCount: s.h.NegativeBuckets,
		PositiveSpan: spans(s.h.PositiveSpans), NegativeSpan: spans(s.h.NegativeSpans),
	}
	return m
}

func spans(in []histogram.Span) []*dto.BucketSpan {
	out := make([]*dto.BucketSpan, len(in))
	for i := range in {
		out[i] = &dto.BucketSpan{Offset: &in[i].Offset, Length: &in[i].Length}
	}
	return out
}
