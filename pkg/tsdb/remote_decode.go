package tsdb

import (
	"errors"
	"fmt"
	"strings"

	prommodel "github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"braid/pkg/model"
)

// decodeWrite decodes a remote-write message.
func decodeWrite(version int, body []byte) (*writeRequest, error) {
	switch version {
	case 1:
		return decodeWriteV1(body)
	case 2:
		return decodeWriteV2(body)
	}
	return nil, errors.New("versions 1 and 2 are known")
}

func decodeWriteV1(body []byte) (*writeRequest, error) {
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

func decodeWriteV2(body []byte) (*writeRequest, error) {
	var m writev2.Request
	if err := m.Unmarshal(body); err != nil {
		return nil, err
	}
	if len(m.Symbols) == 0 || m.Symbols[0] != "" {
		if len(m.Timeseries) == 0 {
			return &writeRequest{}, nil
		}
		return nil, errors.New("the symbol table must begin with the empty string")
	}
	out := &writeRequest{series: make([]writeSeries, 0, len(m.Timeseries))}
	for i := range m.Timeseries {
		in := &m.Timeseries[i]
		s := writeSeries{}
		if err := symbols(in.LabelsRefs, m.Symbols, func(name, value string) {
			s.labels = append(s.labels, labels.Label{Name: name, Value: value})
		}); err != nil {
			out.rej.Add(int64(len(in.Samples)+len(in.Histograms)), "series %d: %v", i, err)
			continue
		}
		for _, x := range in.Samples {
			s.samples = append(s.samples, writeSample{x.StartTimestamp, x.Timestamp, x.Value})
		}
		for _, h := range in.Histograms {
			w := writeHistogram{st: h.StartTimestamp, t: h.Timestamp}
			if h.IsFloatHistogram() {
				w.fh = h.ToFloatHistogram()
			} else {
				w.h = h.ToIntHistogram()
			}
			s.histograms = append(s.histograms, w)
		}
		for _, e := range in.Exemplars {
			ex := model.Exemplar{Time: nanos(e.Timestamp), Value: e.Value}
			if err := symbols(e.LabelsRefs, m.Symbols, func(name, value string) { addExemplarLabel(&ex, name, value) }); err != nil {
				out.rej.Add(0, "an exemplar of series %d: %v", i, err)
				continue
			}
			s.exemplars = append(s.exemplars, ex)
		}
		if meta, err := in.ToMetadata(m.Symbols); err == nil && (meta.Type != prommodel.MetricTypeUnknown || meta.Help != "" || meta.Unit != "") {
			out.meta = append(out.meta, metaLine{familyName(s.label(labels.MetricName), meta.Type), string(meta.Type), meta.Help, meta.Unit})
		}
		if s.count() == 0 {
			out.rej.Add(0, "series %d has neither samples nor histograms", i)
			continue
		}
		out.series = append(out.series, s)
	}
	return out, nil
}

// familyName is the metric that a classic series belongs to.
func familyName(series string, t prommodel.MetricType) string {
	if t == prommodel.MetricTypeHistogram || t == prommodel.MetricTypeSummary || t == prommodel.MetricTypeGaugeHistogram {
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			if name, ok := strings.CutSuffix(series, suffix); ok {
				return name
			}
		}
	}
	return series
}

// symbols yields the pairs that references into the symbol table stand for.
func symbols(refs []uint32, table []string, yield func(name, value string)) error {
	if len(refs)%2 != 0 {
		return fmt.Errorf("%d label references, there must be a value for each name", len(refs))
	}
	for i := 0; i < len(refs); i += 2 {
		if int(refs[i]) >= len(table) || int(refs[i+1]) >= len(table) {
			return fmt.Errorf("label reference %d lies outside the symbol table of %d", max(refs[i], refs[i+1]), len(table))
		}
		yield(table[refs[i]], table[refs[i+1]])
	}
	return nil
}

// addExemplarLabel puts trace and span ids where they belong, and everything
// else among the attributes.
func addExemplarLabel(e *model.Exemplar, name, value string) {
	switch name {
	case "trace_id", "traceID", "traceId", "TraceID":
		if id, ok := model.ParseTraceID(value); ok && e.TraceID.IsZero() {
			e.TraceID = id
			return
		}
	case "span_id", "spanID", "spanId", "SpanID":
		if id, ok := model.ParseSpanID(value); ok && e.SpanID.IsZero() {
			e.SpanID = id
			return
		}
	}
	e.Attrs = append(e.Attrs, model.Attr{Key: name, Value: model.String(value)})
}
