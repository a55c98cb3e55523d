package tsdb

import (
	"encoding/binary"
	"errors"
	"math"

	"braid/pkg/model"
)

var errCorrupt = errors.New("data is damaged")

// reader decodes what the append functions below wrote. After a first error
// every value is zero; whoever decodes checks err at the end. Strings are
// copies.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() { r.b, r.err = nil, errCorrupt }

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u64() uint64 {
	b := r.bytes(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

func (r *reader) byte() byte {
	b := r.bytes(1)
	if b == nil {
		return 0
	}
	return b[0]
}

func (r *reader) text() string { return string(r.bytes(r.uvarint())) }

// count reads a number of items that each take at least one byte.
func (r *reader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendLabels(b []byte, ls []model.Label) []byte {
	b = binary.AppendUvarint(b, uint64(len(ls)))
	for _, l := range ls {
		b = appendText(appendText(b, l.Name), l.Value)
	}
	return b
}

func (r *reader) labels() []model.Label {
	n := r.count()
	out := make([]model.Label, 0, n)
	for range n {
		out = append(out, model.Label{Name: r.text(), Value: r.text()})
	}
	return out
}

// The parts of an exemplar that may be absent.
const (
	exHasTrace = 1 << iota
	exHasSpan
	exHasAttrs
)

func appendExemplar(b []byte, e *model.Exemplar) []byte {
	var flags byte
	if !e.TraceID.IsZero() {
		flags |= exHasTrace
	}
	if !e.SpanID.IsZero() {
		flags |= exHasSpan
	}
	if len(e.Attrs) > 0 {
		flags |= exHasAttrs
	}
	b = append(b, flags)
	b = binary.AppendVarint(b, e.Time)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(e.Value))
	if flags&exHasTrace != 0 {
		b = append(b, e.TraceID[:]...)
	}
	if flags&exHasSpan != 0 {
		b = append(b, e.SpanID[:]...)
	}
	if flags&exHasAttrs != 0 {
		b = binary.AppendUvarint(b, uint64(len(e.Attrs)))
		for _, a := range e.Attrs {
			b = appendText(b, a.Key)
			b = append(b, byte(a.Value.Kind()))
			b = binary.LittleEndian.AppendUint64(b, a.Value.Num())
			b = appendText(b, a.Value.Str())
		}
	}
	return b
}

func (r *reader) exemplar() model.Exemplar {
	flags := r.byte()
	e := model.Exemplar{Time: r.varint(), Value: math.Float64frombits(r.u64())}
	if flags&exHasTrace != 0 {
		copy(e.TraceID[:], r.bytes(uint64(len(e.TraceID))))
	}
	if flags&exHasSpan != 0 {
		copy(e.SpanID[:], r.bytes(uint64(len(e.SpanID))))
	}
	if flags&exHasAttrs != 0 {
		n := r.count()
		e.Attrs = make(model.Attrs, 0, n)
		for range n {
			key, kind := r.text(), model.ValueKind(r.byte())
			e.Attrs = append(e.Attrs, model.Attr{Key: key, Value: model.Raw(kind, r.u64(), r.text())})
		}
	}
	return e
}
