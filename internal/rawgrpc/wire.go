package rawgrpc

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"braid/pkg/model"
)

// Encoder appends the fields of a message to B. Zero values are left out, as
// proto3 has it.
type Encoder struct{ B []byte }

// String writes a string or bytes field.
func (e *Encoder) String(n protowire.Number, s string) {
	if s != "" {
		e.B = protowire.AppendString(protowire.AppendTag(e.B, n, protowire.BytesType), s)
	}
}

// Bytes writes a message or bytes field, also when it is empty.
func (e *Encoder) Bytes(n protowire.Number, b []byte) {
	e.B = protowire.AppendBytes(protowire.AppendTag(e.B, n, protowire.BytesType), b)
}

// Int writes an integer, boolean or enumeration; never negative ones as sint.
func (e *Encoder) Int(n protowire.Number, v int64) {
	if v != 0 {
		e.B = protowire.AppendVarint(protowire.AppendTag(e.B, n, protowire.VarintType), uint64(v))
	}
}

// Double writes a double.
func (e *Encoder) Double(n protowire.Number, v float64) {
	if v != 0 {
		e.B = protowire.AppendFixed64(protowire.AppendTag(e.B, n, protowire.Fixed64Type), math.Float64bits(v))
	}
}

// Message writes a message field.
func (e *Encoder) Message(n protowire.Number, fill func(*Encoder)) {
	var inner Encoder
	fill(&inner)
	e.Bytes(n, inner.B)
}

// Time writes a google.protobuf.Timestamp.
func (e *Encoder) Time(n protowire.Number, ns int64) {
	e.Message(n, func(e *Encoder) { e.Int(1, ns/1e9); e.Int(2, ns%1e9) })
}

// KeyValue writes an opentelemetry.proto.common.v1.KeyValue field.
func (e *Encoder) KeyValue(n protowire.Number, a model.Attr) {
	e.Message(n, func(e *Encoder) {
		e.String(1, a.Key)
		e.Message(2, func(e *Encoder) { e.anyValue(a.Value) })
	})
}

// anyValue writes one of the alternatives, also when it is zero: it says the
// type.
func (e *Encoder) anyValue(v model.Value) {
	switch v.Kind() {
	case model.KindEmpty:
	case model.KindBool, model.KindInt:
		n := protowire.Number(3)
		if v.Kind() == model.KindBool {
			n = 2
		}
		e.B = protowire.AppendVarint(protowire.AppendTag(e.B, n, protowire.VarintType), v.Num())
	case model.KindDouble:
		e.B = protowire.AppendFixed64(protowire.AppendTag(e.B, 4, protowire.Fixed64Type), v.Num())
	case model.KindBytes:
		e.Bytes(7, []byte(v.Str()))
	case model.KindArray:
		e.Message(5, func(e *Encoder) {
			for _, x := range v.Elements() {
				e.Message(1, func(e *Encoder) { e.anyValue(x) })
			}
		})
	default:
		e.Bytes(1, []byte(v.Text()))
	}
}

// Number is the number of a field.
type Number = protowire.Number

// Field is one field of a message as it was met.
type Field struct {
	Number protowire.Number
	// Bytes of a string, bytes or message field; Int of a varint or fixed one.
	Bytes []byte
	Int   uint64
	Type  protowire.Type
}

// Each calls visit with every field of a message. Groups are skipped.
func Each(b []byte, visit func(Field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return malformed(n)
		}
		b = b[n:]
		f := Field{Number: num, Type: typ}
		switch typ {
		case protowire.VarintType:
			f.Int, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.Int, n = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			f.Int = uint64(v)
		case protowire.BytesType:
			f.Bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return malformed(n)
		}
		b = b[n:]
		if typ == protowire.StartGroupType {
			continue
		}
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

func malformed(code int) error {
	return fmt.Errorf("%w: the message is not protobuf: %w", model.ErrInvalid, protowire.ParseError(code))
}

// Entry reads an entry of a map<string, string>.
func (f Field) Entry() (key, value string, err error) {
	err = Each(f.Bytes, func(x Field) error {
		switch x.Number {
		case 1:
			key = string(x.Bytes)
		case 2:
			value = string(x.Bytes)
		}
		return nil
	})
	return key, value, err
}

// maxSeconds is what nanoseconds in 64 bits can tell.
const maxSeconds = math.MaxInt64 / 1_000_000_000

// Seconds reads a google.protobuf.Timestamp or Duration as nanoseconds. What
// lies before 1677 is Go's zero time, sent by clients that set none: 0.
func (f Field) Seconds() (ns int64, err error) {
	unset := false
	err = Each(f.Bytes, func(x Field) error {
		switch x.Number {
		case 1:
			s := int64(x.Int)
			if s > maxSeconds {
				return fmt.Errorf("%w: a time of %d seconds is out of range", model.ErrInvalid, s)
			}
			unset = s < -maxSeconds
			ns += s * 1e9
		case 2:
			ns += int64(int32(x.Int))
		}
		return nil
	})
	if unset {
		return 0, err
	}
	return ns, err
}

// KeyValueText reads an OTLP KeyValue; the value as text.
func (f Field) KeyValueText() (key, value string, err error) {
	err = Each(f.Bytes, func(x Field) error {
		if x.Number == 1 {
			key = string(x.Bytes)
			return nil
		}
		return Each(x.Bytes, func(v Field) error {
			switch v.Number {
			case 1:
				value = string(v.Bytes)
			case 2:
				value = model.Bool(v.Int != 0).Text()
			case 3:
				value = model.Int(int64(v.Int)).Text()
			case 4:
				value = model.Double(math.Float64frombits(v.Int)).Text()
			}
			return nil
		})
	})
	return key, value, err
}
