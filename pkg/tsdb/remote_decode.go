package tsdb

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"unsafe"

	prommodel "github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"google.golang.org/protobuf/encoding/protowire"

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

// decodeWriteV1 walks over the message by itself: nearly all of it is labels of
// known series, and a string for each of them would cost more than all the rest.
// The labels' strings are views of body, which must not change while the request
// is in use; whoever keeps one longer copies it, as building a label set does.
func decodeWriteV1(body []byte) (*writeRequest, error) {
	d := writeDecoders.Get().(*writeDecoder)
	d.out = &writeRequest{series: d.series[:0], decoder: d}
	err := eachField(body, func(field protowire.Number, kind protowire.Type, v []byte, _ uint64) error {
		switch field {
		case 1:
			if kind != protowire.BytesType {
				return errWireType
			}
			return d.timeSeries(v)
		case 3:
			if kind != protowire.BytesType {
				return errWireType
			}
			return d.metadata(v)
		}
		return nil
	})
	return d.out, err
}

// writeDecoder gathers labels and samples of a whole request in slices that are
// used again.
type writeDecoder struct {
	out     *writeRequest
	series  []writeSeries
	labels  []labels.Label
	samples []writeSample
}

var writeDecoders = sync.Pool{New: func() any { return &writeDecoder{} }}

// maxPooledLabels bounds what one decoder keeps for the next request: 8 MiB.
const maxPooledLabels = 1 << 18

// release gives the slices of the request back: nothing of it may be used after.
func (r *writeRequest) release() {
	d := r.decoder
	if d == nil || cap(d.labels) > maxPooledLabels {
		return
	}
	r.decoder = nil
	d.series = r.series
	clear(d.series)
	clear(d.labels)
	d.out, d.series, d.labels, d.samples = nil, d.series[:0], d.labels[:0], d.samples[:0]
	writeDecoders.Put(d)
}

var errWireType = errors.New("a field has the wrong wire type")

// eachField yields the fields of a message: bytes in v, numbers in n.
func eachField(b []byte, yield func(field protowire.Number, kind protowire.Type, v []byte, n uint64) error) error {
	for len(b) > 0 {
		field, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		var v []byte
		var n uint64
		switch kind {
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			n, size = protowire.ConsumeFixed64(b)
		default:
			size = protowire.ConsumeFieldValue(field, kind, b)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if err := yield(field, kind, v, n); err != nil {
			return err
		}
	}
	return nil
}

func (d *writeDecoder) timeSeries(b []byte) error {
	s := writeSeries{}
	firstLabel, firstSample := len(d.labels), len(d.samples)
	err := eachField(b, func(field protowire.Number, kind protowire.Type, v []byte, _ uint64) error {
		if field >= 1 && field <= 4 && kind != protowire.BytesType {
			return errWireType
		}
		switch field {
		case 1:
			return d.label(v)
		case 2:
			return d.sample(v)
		case 3:
			return s.exemplar(v)
		case 4:
			return s.histogram(v)
		}
		return nil
	})
	s.labels = d.labels[firstLabel:len(d.labels):len(d.labels)]
	s.samples = d.samples[firstSample:len(d.samples):len(d.samples)]
	d.out.series = append(d.out.series, s)
	return err
}

func (d *writeDecoder) label(b []byte) error {
	var l labels.Label
	err := eachField(b, func(field protowire.Number, kind protowire.Type, v []byte, _ uint64) error {
		if field > 2 {
			return nil
		}
		if kind != protowire.BytesType {
			return errWireType
		}
		if field == 1 {
			l.Name = view(v)
		} else {
			l.Value = view(v)
		}
		return nil
	})
	d.labels = append(d.labels, l)
	return err
}

// view is the text of bytes without a copy.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func (d *writeDecoder) sample(b []byte) error {
	var s writeSample
	err := eachField(b, func(field protowire.Number, kind protowire.Type, _ []byte, n uint64) error {
		switch {
		case field == 1 && kind == protowire.Fixed64Type:
			s.v = math.Float64frombits(n)
		case field == 2 && kind == protowire.VarintType:
			s.t = int64(n)
		case field <= 2:
			return errWireType
		}
		return nil
	})
	d.samples = append(d.samples, s)
	return err
}

func (s *writeSeries) exemplar(b []byte) error {
	var e prompb.Exemplar
	if err := e.Unmarshal(b); err != nil {
		return err
	}
	ex := model.Exemplar{Time: nanos(e.Timestamp), Value: e.Value}
	for _, l := range e.Labels {
		addExemplarLabel(&ex, l.Name, l.Value)
	}
	s.exemplars = append(s.exemplars, ex)
	return nil
}

func (s *writeSeries) histogram(b []byte) error {
	var h prompb.Histogram
	if err := h.Unmarshal(b); err != nil {
		return err
	}
	w := writeHistogram{t: h.Timestamp}
	if h.IsFloatHistogram() {
		w.fh = h.ToFloatHistogram()
	} else {
		w.h = h.ToIntHistogram()
	}
	s.histograms = append(s.histograms, w)
	return nil
}

func (d *writeDecoder) metadata(b []byte) error {
	var x prompb.MetricMetadata
	if err := x.Unmarshal(b); err != nil {
		return err
	}
	if x.MetricFamilyName != "" {
		d.out.meta = append(d.out.meta, metaLine{x.MetricFamilyName, strings.ToLower(x.Type.String()), x.Help, x.Unit})
	}
	return nil
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
