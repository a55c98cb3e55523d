package remote

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

func encodeAggregate(a *model.Aggregate) ([]byte, error) {
	out := aggregateAnswer{Scale: model.SketchScale, Start: a.Start, Step: a.Step, Buckets: a.Buckets, Dropped: a.Dropped}
	for i := range a.Groups {
		g := &a.Groups[i]
		var ga groupAnswer
		for _, v := range g.Key {
			ga.Key = append(ga.Key, predicate.ToWire(v))
		}
		for at := range g.Cells {
			if c := &g.Cells[at]; c.Count > 0 {
				ga.Cells = append(ga.Cells, cellAnswer{at, c.Count, math.Float64bits(c.Sum), math.Float64bits(c.Min), math.Float64bits(c.Max), c.Measured, c.Sketch})
			}
		}
		for _, e := range g.Exemplars {
			ga.Exemplars = append(ga.Exemplars, exemplarAnswer{e.Bucket, e.Time, math.Float64bits(e.Value), e.TraceID.String(), e.SpanID.String()})
		}
		out.Groups = append(out.Groups, ga)
	}
	return json.Marshal(out)
}

// maxBuckets bounds what an answer may make the asker allocate.
const maxBuckets = 1 << 20

func decodeAggregate(data []byte) (*model.Aggregate, error) {
	var in aggregateAnswer
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("cannot read an aggregate from a remote source: %w", err)
	}
	if in.Buckets < 0 || in.Buckets > maxBuckets {
		return nil, fmt.Errorf("cannot read an aggregate from a remote source: %d buckets", in.Buckets)
	}
	out := &model.Aggregate{Start: in.Start, Step: in.Step, Buckets: in.Buckets, Dropped: in.Dropped}
	for _, ga := range in.Groups {
		g := model.AggGroup{Cells: make([]model.Cell, in.Buckets)}
		for _, w := range ga.Key {
			v, err := w.Value()
			if err != nil {
				return nil, err
			}
			g.Key = append(g.Key, v)
		}
		for _, c := range ga.Cells {
			if c.At < 0 || c.At >= in.Buckets {
				return nil, fmt.Errorf("cannot read an aggregate from a remote source: bucket %d of %d", c.At, in.Buckets)
			}
			sketch, err := c.Sketch.OfScale(in.Scale)
			if err != nil {
				return nil, fmt.Errorf("cannot read an aggregate from a remote source: %w", err)
			}
			g.Cells[c.At] = model.Cell{Count: c.Count, Sum: math.Float64frombits(c.Sum), Min: math.Float64frombits(c.Min),
				Max: math.Float64frombits(c.Max), Measured: c.Measured, Sketch: sketch}
		}
		for _, e := range ga.Exemplars {
			x := model.AggExemplar{Bucket: e.Bucket, Time: e.Time, Value: math.Float64frombits(e.Value)}
			x.TraceID, _ = model.ParseTraceID(e.TraceID)
			x.SpanID, _ = model.ParseSpanID(e.SpanID)
			g.Exemplars = append(g.Exemplars, x)
		}
		out.Groups = append(out.Groups, g)
	}
	return out, nil
}

func encodeFields(list []predicate.FieldInfo) ([]byte, error) {
	out := make([]fieldAnswer, len(list))
	for i, f := range list {
		out[i] = fieldAnswer{f.Field, predicate.ToWire(f.Value), f.Kind, f.Count, f.Distinct}
	}
	return json.Marshal(out)
}

func decodeFields(data []byte) ([]predicate.FieldInfo, error) {
	var in []fieldAnswer
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("cannot read fields from a remote source: %w", err)
	}
	out := make([]predicate.FieldInfo, len(in))
	for i, f := range in {
		v, err := f.Value.Value()
		if err != nil {
			return nil, err
		}
		out[i] = predicate.FieldInfo{Field: f.Field, Value: v, Kind: f.Kind, Count: f.Count, Distinct: f.Distinct}
	}
	return out, nil
}

// matchHead goes before the spans of several traces in one batch.
type matchHead struct {
	Facts   model.TraceFacts
	Spans   int // how many of the spans that follow are this trace's
	Matched int
}

// encodeMatches writes traces as: length of the heads, heads as JSON, spans as
// an Arrow stream.
func encodeMatches(matches []*model.TraceMatch) ([]byte, error) {
	heads := make([]matchHead, len(matches))
	var spans []model.SpanRow
	for i, m := range matches {
		heads[i] = matchHead{m.Facts, len(m.Spans), m.Matched}
		spans = append(spans, m.Spans...)
	}
	head, err := json.Marshal(heads)
	if err != nil {
		return nil, err
	}
	body, err := EncodeSpans(spans)
	if err != nil {
		return nil, err
	}
	out := binary.AppendUvarint(make([]byte, 0, len(head)+len(body)+8), uint64(len(head)))
	return append(append(out, head...), body...), nil
}

func decodeMatches(data []byte) ([]*model.TraceMatch, error) {
	n, k := binary.Uvarint(data)
	if k <= 0 || n > uint64(len(data)-k) {
		return nil, fmt.Errorf("cannot read traces from a remote source: damaged head")
	}
	var heads []matchHead
	if err := json.Unmarshal(data[k:k+int(n)], &heads); err != nil {
		return nil, fmt.Errorf("cannot read traces from a remote source: %w", err)
	}
	spans, err := DecodeSpans(data[k+int(n):])
	if err != nil {
		return nil, err
	}
	out := make([]*model.TraceMatch, len(heads))
	for i, h := range heads {
		if h.Spans < 0 || h.Spans > len(spans) {
			return nil, fmt.Errorf("cannot read traces from a remote source: spans are missing")
		}
		out[i] = &model.TraceMatch{Facts: h.Facts, Spans: spans[:h.Spans:h.Spans], Matched: h.Matched}
		spans = spans[h.Spans:]
	}
	return out, nil
}
