package tracestore

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"braid/pkg/model"
)

// errShort is what a decoder says of bytes that end too early or promise more
// than they hold. Readers turn it into a block.CorruptionError.
var errShort = errors.New("bytes end too early or name what is not there")

// enc appends the primitive shapes of the sidecar and of packed columns.
type enc struct{ b []byte }

func (e *enc) uv(v uint64)   { e.b = binary.AppendUvarint(e.b, v) }
func (e *enc) sv(v int64)    { e.b = binary.AppendVarint(e.b, v) }
func (e *enc) byte(v byte)   { e.b = append(e.b, v) }
func (e *enc) str(s string)  { e.uv(uint64(len(s))); e.b = append(e.b, s...) }
func (e *enc) u64(v uint64)  { e.b = binary.LittleEndian.AppendUint64(e.b, v) }
func (e *enc) raw(p ...byte) { e.b = append(e.b, p...) }

// dec takes them apart again. After the first fault every method returns zero
// and err stays set.
type dec struct {
	b   []byte
	err error
}

func (d *dec) fail() {
	d.err = errShort
	d.b = nil
}

// uv reads a number. Most are below 128: that case is small enough to stand in
// the loops that read a sidecar.
func (d *dec) uv() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 {
		v := d.b[0]
		d.b = d.b[1:]
		return uint64(v)
	}
	return d.long()
}

func (d *dec) long() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *dec) u32() uint32 {
	v := d.uv()
	if v > math.MaxUint32 {
		d.fail()
		return 0
	}
	return uint32(v)
}

func (d *dec) sv() int64 {
	v := d.uv()
	return int64(v>>1) ^ -int64(v&1)
}

func (d *dec) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

// take returns the next n bytes, aliasing the input.
func (d *dec) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *dec) str() string { return string(d.take(d.uv())) }

func (d *dec) u64() uint64 {
	p := d.take(8)
	if p == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(p)
}

// count reads a number of things that take at least min bytes each, so that a
// flipped bit cannot ask for terabytes.
func (d *dec) count(min int) int {
	n := d.uv()
	if n > uint64(len(d.b)/max(1, min)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (e *enc) value(v model.Value) {
	e.byte(byte(v.Kind()))
	switch v.Kind() {
	case model.KindBool, model.KindInt:
		e.sv(int64(v.Num()))
	case model.KindDouble:
		e.u64(v.Num())
	case model.KindEmpty:
	default:
		e.str(v.Str())
	}
}

func (d *dec) value() model.Value {
	kind := model.ValueKind(d.byte())
	switch kind {
	case model.KindEmpty:
		return model.Value{}
	case model.KindBool, model.KindInt:
		return model.Raw(kind, uint64(d.sv()), "")
	case model.KindDouble:
		return model.Raw(kind, d.u64(), "")
	case model.KindString, model.KindBytes, model.KindArray, model.KindMap:
		return model.Raw(kind, 0, d.str())
	}
	d.fail()
	return model.Value{}
}

func (e *enc) attrs(a model.Attrs) {
	e.uv(uint64(len(a)))
	for i := range a {
		e.str(a[i].Key)
		e.value(a[i].Value)
	}
}

func (d *dec) attrs() model.Attrs {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	out := make(model.Attrs, 0, n)
	for i := 0; i < n && d.err == nil; i++ {
		k := d.str()
		out = append(out, model.Attr{Key: k, Value: d.value()})
	}
	return slices.Clip(out)
}

func (e *enc) resource(r *model.Resource) {
	if r == nil {
		r = &model.Resource{}
	}
	e.str(r.SchemaURL)
	e.uv(uint64(r.DroppedAttrs))
	e.attrs(r.Attrs)
}

func (d *dec) resource() *model.Resource {
	return &model.Resource{SchemaURL: d.str(), DroppedAttrs: d.u32(), Attrs: d.attrs()}
}

func (e *enc) scope(s *model.Scope) {
	if s == nil {
		s = &model.Scope{}
	}
	e.str(s.Name)
	e.str(s.Version)
	e.str(s.SchemaURL)
	e.uv(uint64(s.DroppedAttrs))
	e.attrs(s.Attrs)
}

func (d *dec) scope() *model.Scope {
	return &model.Scope{Name: d.str(), Version: d.str(), SchemaURL: d.str(), DroppedAttrs: d.u32(), Attrs: d.attrs()}
}

func (e *enc) events(evs []model.SpanEvent) {
	e.uv(uint64(len(evs)))
	for i := range evs {
		e.sv(evs[i].Time)
		e.str(evs[i].Name)
		e.uv(uint64(evs[i].DroppedAttrs))
		e.attrs(evs[i].Attrs)
	}
}

func (d *dec) events() []model.SpanEvent {
	n := d.count(4)
	if n == 0 {
		return nil
	}
	out := make([]model.SpanEvent, 0, n)
	for i := 0; i < n && d.err == nil; i++ {
		out = append(out, model.SpanEvent{Time: d.sv(), Name: d.str(), DroppedAttrs: d.u32(), Attrs: d.attrs()})
	}
	return out
}

func (e *enc) links(ls []model.SpanLink) {
	e.uv(uint64(len(ls)))
	for i := range ls {
		l := &ls[i]
		e.raw(l.TraceID[:]...)
		e.raw(l.SpanID[:]...)
		e.str(l.TraceState)
		e.uv(uint64(l.Flags))
		e.uv(uint64(l.DroppedAttrs))
		e.attrs(l.Attrs)
	}
}

func (d *dec) links() []model.SpanLink {
	n := d.count(28)
	if n == 0 {
		return nil
	}
	out := make([]model.SpanLink, 0, n)
	for i := 0; i < n && d.err == nil; i++ {
		var l model.SpanLink
		copy(l.TraceID[:], d.take(16))
		copy(l.SpanID[:], d.take(8))
		l.TraceState, l.Flags, l.DroppedAttrs, l.Attrs = d.str(), d.u32(), d.u32(), d.attrs()
		out = append(out, l)
	}
	return out
}
