package otlp

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// transcode appends the protobuf form of a JSON message to dst.
func transcode(dst, body []byte, m *jsonMessage) ([]byte, error) {
	t := transcoder{scanner: scanner{b: body}, out: dst}
	if t.peek() != '{' {
		return dst, errors.New("the body is not a JSON object")
	}
	t.object(m)
	t.end()
	return t.out, t.err
}

type transcoder struct {
	scanner
	out []byte
}

// object writes the fields of one object.
func (t *transcoder) object(m *jsonMessage) {
	first := true
	for ok := t.open('{'); ok && t.more(&first, '}'); {
		f, known := m.fields[string(t.key())]
		switch {
		case t.err != nil:
			return
		case !known:
			t.skip()
		case t.peek() == 'n':
			t.word("null")
		case f.kind == kindMessage && f.list:
			t.messages(f)
		case f.kind == kindMessage:
			t.message(f)
		case f.kind >= kindPackedFixed64:
			t.packed(f)
		default:
			t.scalar(f)
		}
	}
}

func (t *transcoder) messages(f jsonField) {
	first := true
	for ok := t.open('['); ok && t.more(&first, ']'); {
		if t.peek() == 'n' {
			t.fail(errors.New("null in a list of objects"))
			return
		}
		t.message(f)
	}
}

// message writes a nested message.
func (t *transcoder) message(f jsonField) {
	t.out = appendTag(t.out, f.num, wireLen)
	mark := len(t.out)
	t.object(f.sub)
	t.out = insertLength(t.out, mark)
}

func (t *transcoder) packed(f jsonField) {
	t.out = appendTag(t.out, f.num, wireLen)
	mark := len(t.out)
	first := true
	for ok := t.open('['); ok && t.more(&first, ']'); {
		switch f.kind {
		case kindPackedFixed64:
			t.out = binary.LittleEndian.AppendUint64(t.out, t.unsigned(64))
		case kindPackedDouble:
			t.out = binary.LittleEndian.AppendUint64(t.out, math.Float64bits(t.float()))
		default:
			t.out = binary.AppendUvarint(t.out, t.unsigned(64))
		}
	}
	t.out = insertLength(t.out, mark)
}

func (t *transcoder) scalar(f jsonField) {
	switch f.kind {
	case kindString:
		t.appendBytes(f.num, t.str())
	case kindHex:
		t.hexID(f.num)
	case kindBase64:
		t.base64(f.num)
	case kindBool:
		v := uint64(0)
		if t.peek() == 't' {
			t.word("true")
			v = 1
		} else {
			t.word("false")
		}
		t.appendVarint(f.num, v)
	case kindEnum:
		if t.peek() == '"' {
			t.fail(errors.New("an enum by name or as a string; OTLP JSON has enums as numbers only"))
			return
		}
		t.appendVarint(f.num, uint64(t.signed(32)))
	case kindUint32:
		t.appendVarint(f.num, t.unsigned(32))
	case kindInt64:
		t.appendVarint(f.num, uint64(t.signed(64)))
	case kindSint32:
		v := t.signed(32)
		t.appendVarint(f.num, uint64(uint32(v<<1)^uint32(v>>31)))
	case kindFixed32:
		t.out = appendTag(t.out, f.num, wireI32)
		t.out = binary.LittleEndian.AppendUint32(t.out, uint32(t.unsigned(32)))
	case kindFixed64:
		t.appendFixed64(f.num, t.unsigned(64))
	case kindSfixed64:
		t.appendFixed64(f.num, uint64(t.signed(64)))
	case kindDouble:
		t.appendFixed64(f.num, math.Float64bits(t.float()))
	}
}

func (t *transcoder) appendVarint(num int32, v uint64) {
	t.out = binary.AppendUvarint(appendTag(t.out, num, wireVarint), v)
}

func (t *transcoder) appendFixed64(num int32, v uint64) {
	t.out = binary.LittleEndian.AppendUint64(appendTag(t.out, num, wireI64), v)
}

func (t *transcoder) appendBytes(num int32, v []byte) {
	t.out = binary.AppendUvarint(appendTag(t.out, num, wireLen), uint64(len(v)))
	t.out = append(t.out, v...)
}

// hexID writes an id. Base64, which protobuf's own JSON has for bytes, is not
// what OTLP says and would be read as another id.
func (t *transcoder) hexID(num int32) {
	text := t.str()
	t.out = appendTag(t.out, num, wireLen)
	t.out = binary.AppendUvarint(t.out, uint64(len(text)/2))
	var err error
	if t.out, err = hex.AppendDecode(t.out, text); err != nil {
		t.fail(fmt.Errorf("id %q is not hex digits; base64 ids are not OTLP", clip(text)))
	}
}

func (t *transcoder) base64(num int32) {
	text := strings.TrimRight(string(t.str()), "=")
	enc := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		enc = base64.RawURLEncoding
	}
	raw, err := enc.DecodeString(text)
	if err != nil {
		t.fail(fmt.Errorf("bytesValue is not base64: %w", err))
		return
	}
	t.appendBytes(num, raw)
}

// numeral returns the text of a number, or of a string that holds one.
func (t *transcoder) numeral() string {
	if t.peek() == '"' {
		return string(t.str())
	}
	return string(t.number())
}

func (t *transcoder) unsigned(bits int) uint64 {
	text := t.numeral()
	if t.err != nil {
		return 0
	}
	v, err := strconv.ParseUint(text, 10, bits)
	if err == nil {
		return v
	}
	if f, ok := integral(text); ok && f >= 0 && f < math.Pow(2, float64(bits)) {
		return uint64(f)
	}
	t.fail(fmt.Errorf("%q is not an unsigned %d-bit integer", clip([]byte(text)), bits))
	return 0
}

func (t *transcoder) signed(bits int) int64 {
	text := t.numeral()
	if t.err != nil {
		return 0
	}
	v, err := strconv.ParseInt(text, 10, bits)
	if err == nil {
		return v
	}
	half := math.Pow(2, float64(bits-1))
	if f, ok := integral(text); ok && f >= -half && f < half {
		return int64(f)
	}
	t.fail(fmt.Errorf("%q is not a %d-bit integer", clip([]byte(text)), bits))
	return 0
}

// integral reads 1e3 and 5.0, which JSON writers may send for integers.
func integral(text string) (float64, bool) {
	if !strings.ContainsAny(text, ".eE") || strings.ContainsAny(text, "xXpP_") {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil && f == math.Trunc(f)
}

func (t *transcoder) float() float64 {
	text := t.numeral()
	switch text {
	case "NaN":
		return math.NaN()
	case "Infinity":
		return math.Inf(1)
	case "-Infinity":
		return math.Inf(-1)
	}
	if t.err != nil {
		return 0
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.Trim(text, "+-.0123456789eE") != "" {
		t.fail(fmt.Errorf("%q is not a number", clip([]byte(text))))
		return 0
	}
	return v
}

// clip shortens what a sender wrote for an error message.
func clip(b []byte) []byte { return b[:min(len(b), 64)] }

func appendTag(dst []byte, num int32, wire uint8) []byte {
	return binary.AppendUvarint(dst, uint64(num)<<3|uint64(wire))
}

// insertLength puts the length of dst[mark:] before it.
func insertLength(dst []byte, mark int) []byte {
	n := len(dst) - mark
	var head [binary.MaxVarintLen64]byte
	h := binary.PutUvarint(head[:], uint64(n))
	dst = append(dst, head[:h]...)
	copy(dst[mark+h:], dst[mark:mark+n])
	copy(dst[mark:], head[:h])
	return dst
}
