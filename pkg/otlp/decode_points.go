package otlp

import (
	"encoding/binary"
	"math"

	"braid/pkg/model"
)

func (d *decoder) numberPoint(b []byte, p *model.Point) error {
	n := tally(b)
	p.Attrs = d.attrRun(nil, n[7])
	p.Exemplars = take(d.b, &d.b.exemplars, n[5])[:0]
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 2:
			p.Start = r.nanos()
		case 3:
			p.Time = r.nanos()
		case 4:
			p.Value, p.IsInt = r.double(), false
		case 5:
			d.exemplar(&r, p)
		case 6:
			p.Value, p.IsInt = float64(int64(r.fixed64())), true
		case 7:
			p.Attrs = d.pointAttr(&r, p.Attrs)
		case 8:
			p.Flags = r.uint32()
		default:
			r.skip()
		}
	}
	return r.err
}

func (d *decoder) histogramPoint(b []byte, p *model.Point) error {
	n := tally(b)
	p.Attrs = d.attrRun(nil, n[9])
	p.Exemplars = take(d.b, &d.b.exemplars, n[8])[:0]
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 2:
			p.Start = r.nanos()
		case 3:
			p.Time = r.nanos()
		case 4:
			p.Count = r.fixed64()
		case 5:
			p.Sum, p.HasSum = r.double(), true
		case 6:
			p.Counts = d.fixedCounts(&r, p.Counts)
		case 7:
			p.Bounds = d.doubles(&r, p.Bounds)
		case 8:
			d.exemplar(&r, p)
		case 9:
			p.Attrs = d.pointAttr(&r, p.Attrs)
		case 10:
			p.Flags = r.uint32()
		case 11:
			p.Min, p.HasMin = r.double(), true
		case 12:
			p.Max, p.HasMax = r.double(), true
		default:
			r.skip()
		}
	}
	return r.err
}

func (d *decoder) expPoint(b []byte, p *model.Point) error {
	n := tally(b)
	p.Attrs = d.attrRun(nil, n[1])
	p.Exemplars = take(d.b, &d.b.exemplars, n[11])[:0]
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			p.Attrs = d.pointAttr(&r, p.Attrs)
		case 2:
			p.Start = r.nanos()
		case 3:
			p.Time = r.nanos()
		case 4:
			p.Count = r.fixed64()
		case 5:
			p.Sum, p.HasSum = r.double(), true
		case 6:
			p.Scale = r.sint32()
		case 7:
			p.ZeroCount = r.fixed64()
		case 8:
			r.in("positive", d.buckets(r.bytes(), &p.Positive))
		case 9:
			r.in("negative", d.buckets(r.bytes(), &p.Negative))
		case 10:
			p.Flags = r.uint32()
		case 11:
			d.exemplar(&r, p)
		case 12:
			p.Min, p.HasMin = r.double(), true
		case 13:
			p.Max, p.HasMax = r.double(), true
		case 14:
			p.ZeroThresh = r.double()
		default:
			r.skip()
		}
	}
	return r.err
}

func (d *decoder) summaryPoint(b []byte, p *model.Point) error {
	n := tally(b)
	p.Attrs = d.attrRun(nil, n[7])
	p.Quantiles = take(d.b, &d.b.quantiles, n[6])[:0]
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 2:
			p.Start = r.nanos()
		case 3:
			p.Time = r.nanos()
		case 4:
			p.Count = r.fixed64()
		case 5:
			p.Sum, p.HasSum = r.double(), true
		case 6:
			q, err := quantile(r.bytes())
			p.Quantiles = append(p.Quantiles, q)
			r.in("quantile", err)
		case 7:
			p.Attrs = d.pointAttr(&r, p.Attrs)
		case 8:
			p.Flags = r.uint32()
		default:
			r.skip()
		}
	}
	return r.err
}

func quantile(b []byte) (q model.Quantile, err error) {
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			q.Quantile = r.double()
		case 2:
			q.Value = r.double()
		default:
			r.skip()
		}
	}
	return q, r.err
}

// pointAttr is attr for points, which have nowhere to count dropped ones.
func (d *decoder) pointAttr(r *reader, attrs model.Attrs) model.Attrs {
	var dropped uint32
	return d.attr(r, attrs, &dropped)
}

func (d *decoder) buckets(b []byte, dst *model.Buckets) error {
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			dst.Offset = r.sint32()
		case 2:
			dst.Counts = d.varintCounts(&r, dst.Counts)
		default:
			r.skip()
		}
	}
	return r.err
}

// exemplar reads one exemplar; an id of the wrong length is left out and said.
func (d *decoder) exemplar(outer *reader, p *model.Point) {
	b := outer.bytes()
	if d.b.overflow || outer.err != nil {
		return
	}
	e := model.Exemplar{Attrs: d.attrRun(nil, tally(b)[7])}
	goodID := true
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 2:
			e.Time = r.nanos()
		case 3:
			e.Value = r.double()
		case 4:
			goodID = id(e.SpanID[:], r.bytes()) && goodID
		case 5:
			goodID = id(e.TraceID[:], r.bytes()) && goodID
		case 6:
			e.Value = float64(int64(r.fixed64()))
		case 7:
			e.Attrs = d.pointAttr(&r, e.Attrs)
		default:
			r.skip()
		}
	}
	outer.in("exemplar", r.err)
	if !goodID {
		e.TraceID, e.SpanID = model.TraceID{}, model.SpanID{}
		d.rej.Add(0, "exemplar ids of the wrong length were left out")
	}
	p.Exemplars = append(p.Exemplars, e)
}

// doubles reads a repeated double: a packed list, which replaces what was there,
// or one element.
func (d *decoder) doubles(r *reader, have []float64) []float64 {
	if r.wire != wireLen {
		return append(have, r.double())
	}
	b := r.rawBytes()
	if len(b)%8 != 0 {
		r.fail(errRemainder)
	}
	if r.err != nil {
		return have
	}
	out := take(d.b, &d.b.floats, len(b)/8)
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return out
}

func (d *decoder) fixedCounts(r *reader, have []uint64) []uint64 {
	if r.wire != wireLen {
		return append(have, r.fixed64())
	}
	b := r.rawBytes()
	if len(b)%8 != 0 {
		r.fail(errRemainder)
	}
	if r.err != nil {
		return have
	}
	out := take(d.b, &d.b.uints, len(b)/8)
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return out
}

func (d *decoder) varintCounts(r *reader, have []uint64) []uint64 {
	if r.wire != wireLen {
		return append(have, r.varint())
	}
	list := reader{b: r.rawBytes()}
	if r.err != nil {
		return have
	}
	n := 0 // every varint ends with a byte below 0x80
	for _, c := range list.b {
		if c < 0x80 {
			n++
		}
	}
	out := take(d.b, &d.b.uints, n)[:0]
	if d.b.overflow {
		return nil
	}
	for list.p < len(list.b) && list.err == nil {
		if v := list.uvarint(); list.err == nil {
			out = append(out, v)
		}
	}
	r.in("bucketCounts", list.err)
	return out
}
