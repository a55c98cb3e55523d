package remote

import (
	"encoding/binary"
	"fmt"
	"math"

	"braid/pkg/model"
)

// Attributes, resources, scopes, events and links travel inside Arrow binary
// columns in this form: unsigned varints for counts, lengths and small
// numbers, 8 bytes little-endian for times and value bits.

func putString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func putAttrs(b []byte, attrs model.Attrs) []byte {
	b = binary.AppendUvarint(b, uint64(len(attrs)))
	for i := range attrs {
		b = putString(b, attrs[i].Key)
		b = putValue(b, attrs[i].Value)
	}
	return b
}

func putValue(b []byte, v model.Value) []byte {
	b = append(b, byte(v.Kind()))
	switch v.Kind() {
	case model.KindBool, model.KindInt, model.KindDouble:
		return binary.LittleEndian.AppendUint64(b, v.Num())
	case model.KindEmpty:
		return b
	}
	return putString(b, v.Str())
}

func putResource(b []byte, r *model.Resource) []byte {
	if r == nil {
		return b
	}
	b = putString(b, r.SchemaURL)
	b = binary.AppendUvarint(b, uint64(r.DroppedAttrs))
	return putAttrs(b, r.Attrs)
}

func putScope(b []byte, s *model.Scope) []byte {
	if s == nil {
		return b
	}
	b = putString(putString(putString(b, s.Name), s.Version), s.SchemaURL)
	b = binary.AppendUvarint(b, uint64(s.DroppedAttrs))
	return putAttrs(b, s.Attrs)
}

func putEvents(b []byte, events []model.SpanEvent) []byte {
	if len(events) == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(events)))
	for i := range events {
		e := &events[i]
		b = binary.LittleEndian.AppendUint64(b, uint64(e.Time))
		b = putString(b, e.Name)
		b = binary.AppendUvarint(b, uint64(e.DroppedAttrs))
		b = putAttrs(b, e.Attrs)
	}
	return b
}

func putLinks(b []byte, links []model.SpanLink) []byte {
	if len(links) == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(links)))
	for i := range links {
		l := &links[i]
		b = append(append(b, l.TraceID[:]...), l.SpanID[:]...)
		b = putString(b, l.TraceState)
		b = binary.AppendUvarint(b, uint64(l.Flags))
		b = binary.AppendUvarint(b, uint64(l.DroppedAttrs))
		b = putAttrs(b, l.Attrs)
	}
	return b
}

// reader takes the forms above apart. After the first error it yields zeros;
// err tells.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = fmt.Errorf("cannot read a row from a remote source: damaged at %d bytes before its end", len(r.b))
	}
	r.b = nil
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) string() string {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return ""
	}
	return string(r.bytes(int(n)))
}

func (r *reader) fixed64() uint64 {
	if b := r.bytes(8); len(b) == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	v := r.uvarint()
	if v > math.MaxUint32 {
		r.fail()
		return 0
	}
	return uint32(v)
}

// count reads how many things of at least size bytes follow.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) value() model.Value {
	kind := r.bytes(1)
	if len(kind) == 0 {
		return model.Value{}
	}
	switch k := model.ValueKind(kind[0]); k {
	case model.KindEmpty:
		return model.Value{}
	case model.KindBool, model.KindInt, model.KindDouble:
		return model.Raw(k, r.fixed64(), "")
	case model.KindString, model.KindBytes, model.KindArray, model.KindMap:
		return model.Raw(k, 0, r.string())
	}
	r.fail()
	return model.Value{}
}

func (r *reader) attrs() model.Attrs {
	n := r.count(2)
	if n == 0 {
		return nil
	}
	out := make(model.Attrs, n)
	for i := range out {
		out[i] = model.Attr{Key: r.string(), Value: r.value()}
	}
	return out
}

func (r *reader) resource() *model.Resource {
	if len(r.b) == 0 {
		return nil
	}
	return &model.Resource{SchemaURL: r.string(), DroppedAttrs: r.uint32(), Attrs: r.attrs()}
}

func (r *reader) scope() *model.Scope {
	if len(r.b) == 0 {
		return nil
	}
	return &model.Scope{Name: r.string(), Version: r.string(), SchemaURL: r.string(), DroppedAttrs: r.uint32(), Attrs: r.attrs()}
}

func (r *reader) events() []model.SpanEvent {
	if len(r.b) == 0 {
		return nil
	}
	out := make([]model.SpanEvent, r.count(11))
	for i := range out {
		out[i] = model.SpanEvent{Time: int64(r.fixed64()), Name: r.string(), DroppedAttrs: r.uint32(), Attrs: r.attrs()}
	}
	return out
}

func (r *reader) links() []model.SpanLink {
	if len(r.b) == 0 {
		return nil
	}
	out := make([]model.SpanLink, r.count(28))
	for i := range out {
		l := &out[i]
		copy(l.TraceID[:], r.bytes(16))
		copy(l.SpanID[:], r.bytes(8))
		l.TraceState, l.Flags, l.DroppedAttrs, l.Attrs = r.string(), r.uint32(), r.uint32(), r.attrs()
	}
	return out
}
