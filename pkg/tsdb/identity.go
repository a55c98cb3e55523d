package tsdb

import (
	"encoding/binary"
	"math"

	"github.com/zeebo/xxh3"

	"braid/pkg/model"
)

// identity is a 128-bit hash over everything that tells one stream of points
// from another. At 128 bits two streams out of a billion meet with a chance of
// 10^-21, so that equality of hashes is taken for equality of streams.
type identity [2]uint64

// hasher builds the bytes that are hashed; its buffer is reused. Every part is
// length-prefixed, so that no two different inputs give the same bytes.
type hasher struct{ buf []byte }

func (h *hasher) reset() { h.buf = h.buf[:0] }

func (h *hasher) sum() identity {
	u := xxh3.Hash128(h.buf)
	return identity{u.Hi, u.Lo}
}

func (h *hasher) id(i identity) {
	h.buf = binary.LittleEndian.AppendUint64(h.buf, i[0])
	h.buf = binary.LittleEndian.AppendUint64(h.buf, i[1])
}

func (h *hasher) text(s string) {
	h.buf = binary.AppendUvarint(h.buf, uint64(len(s)))
	h.buf = append(h.buf, s...)
}

func (h *hasher) attrs(attrs model.Attrs) {
	h.buf = binary.AppendUvarint(h.buf, uint64(len(attrs)))
	for i := range attrs {
		a := &attrs[i]
		h.text(a.Key)
		kind := a.Value.Kind()
		h.buf = append(h.buf, byte(kind))
		switch kind {
		case model.KindBool, model.KindInt, model.KindDouble:
			h.buf = binary.LittleEndian.AppendUint64(h.buf, a.Value.Num())
		default:
			h.text(a.Value.Str())
		}
	}
}

func (h *hasher) floats(v []float64) {
	h.buf = binary.AppendUvarint(h.buf, uint64(len(v)))
	for _, f := range v {
		h.buf = binary.LittleEndian.AppendUint64(h.buf, math.Float64bits(f))
	}
}

// metricIdentity joins the stream's surroundings with what names the metric.
func (h *hasher) metricIdentity(scope identity, m *model.Metric) identity {
	h.reset()
	h.id(scope)
	h.text(m.Name)
	h.text(m.Unit)
	mono := byte(0)
	if m.Monotonic {
		mono = 1
	}
	h.buf = append(h.buf, byte(m.Type), byte(m.Temporality), mono)
	return h.sum()
}

// pointIdentity joins the metric with what names one point's series: its
// attributes, and the bounds or quantiles that become labels.
func (h *hasher) pointIdentity(metric identity, p *model.Point, t model.MetricType) identity {
	h.reset()
	h.id(metric)
	h.attrs(p.Attrs)
	switch t {
	case model.MetricHistogram:
		h.floats(p.Bounds)
		if p.HasSum {
			h.buf = append(h.buf, 1)
		}
	case model.MetricSummary:
		for i := range p.Quantiles {
			h.buf = binary.LittleEndian.AppendUint64(h.buf, math.Float64bits(p.Quantiles[i].Quantile))
		}
	}
	return h.sum()
}
