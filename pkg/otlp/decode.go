package otlp

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"braid/pkg/model"
)

// Encoding is how a payload is written.
type Encoding uint8

// The encodings of OTLP.
const (
	Protobuf Encoding = iota
	JSON
)

// decoder is one walk over a payload.
type decoder struct {
	b   *Buffers
	rej model.Rejections
	// deep is set when a value was cut at MaxDepth, keyless when an attribute
	// had no key, idless when an exemplar or link had a bad id.
	deep, keyless bool
}

// wireBytes returns the payload as protobuf: itself, or JSON turned into it.
func wireBytes(body []byte, enc Encoding, m *jsonMessage, b *Buffers) ([]byte, error) {
	if enc == Protobuf {
		return body, nil
	}
	out, err := transcode(b.wire[:0], body, m)
	b.wire = out
	if err != nil {
		return nil, fmt.Errorf("cannot decode OTLP JSON: %w", err)
	}
	return out, nil
}

// finish turns the end of a walk into Rejections and an error.
func (d *decoder) finish(err error) (model.Rejections, error) {
	if d.b.overflow {
		return model.Rejections{}, ErrTooLarge
	}
	if err != nil {
		return model.Rejections{}, fmt.Errorf("cannot decode OTLP protobuf: %w", err)
	}
	if d.deep {
		d.rej.Add(0, "attribute values nested more than %d levels deep were cut there", MaxDepth)
	}
	if d.keyless {
		d.rej.Add(0, "attributes with an empty key were left out")
	}
	return d.rej, nil
}

// text reads a string field in place; bytes that are not UTF-8 are replaced.
func (d *decoder) text(r *reader) string { return d.valid(r.bytes()) }

func (d *decoder) valid(b []byte) string {
	s := alias(b)
	if !utf8.ValidString(s) {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return s
}

// in wraps the error of an inner message with its name.
func (r *reader) in(name string, err error) {
	if err != nil {
		r.fail(fmt.Errorf("%s: %w", name, err))
	}
}

func (d *decoder) resource(b []byte, res *model.Resource) error {
	n := tally(b)
	attrs := d.attrRun(res.Attrs, n[1])
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			attrs = d.attr(&r, attrs, &res.DroppedAttrs)
		case 2:
			res.DroppedAttrs = r.uint32()
		case 3: // entity references: known, not kept
			r.in("entityRefs", checkStrings(r.bytes(), 4))
		default:
			r.skip()
		}
	}
	res.Attrs = attrs
	return r.err
}

func (d *decoder) scope(b []byte, s *model.Scope) error {
	n := tally(b)
	attrs := d.attrRun(s.Attrs, n[3])
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			s.Name = d.text(&r)
		case 2:
			s.Version = d.text(&r)
		case 3:
			attrs = d.attr(&r, attrs, &s.DroppedAttrs)
		case 4:
			s.DroppedAttrs = r.uint32()
		default:
			r.skip()
		}
	}
	s.Attrs = attrs
	return r.err
}

// checkStrings walks a message whose fields 1 to last are strings.
func checkStrings(b []byte, last int32) error {
	r := reader{b: b}
	for r.next() {
		if r.num <= last {
			r.bytes()
		} else {
			r.skip()
		}
	}
	return r.err
}

// attrRun makes room for n attributes after those that a repeated message has
// already given.
func (d *decoder) attrRun(have model.Attrs, n int) model.Attrs {
	if n == 0 {
		return have
	}
	run := take(d.b, &d.b.attrs, len(have)+n)
	return append(model.Attrs(run[:0]), have...)
}

// manyAttrs is where looking for an equal key by walking gets slower than by map.
const manyAttrs = 24

// attr reads one KeyValue and puts it among the others.
func (d *decoder) attr(r *reader, attrs model.Attrs, dropped *uint32) model.Attrs {
	b := r.bytes()
	kv, ok := d.plainKeyValue(b)
	var err error
	if !ok {
		kv, err = d.keyValue(b)
	}
	switch {
	case err != nil:
		r.in("attribute", err)
		return attrs
	case r.err != nil || d.b.overflow:
		return attrs
	case kv.Key == "":
		d.keyless = true
		*dropped++
		return attrs
	}
	if i := d.find(attrs, kv.Key); i >= 0 {
		attrs[i].Value = kv.Value
		return attrs
	}
	return append(attrs, kv)
}

// find returns the place of a key, -1 when it is new. Beyond manyAttrs it keeps
// a map, which begins anew with each set of attributes.
func (d *decoder) find(attrs model.Attrs, key string) int {
	if len(attrs) < manyAttrs {
		for i := range attrs {
			if attrs[i].Key == key {
				return i
			}
		}
		return -1
	}
	b := d.b
	if len(attrs) == manyAttrs || len(b.seen) != len(attrs) || len(attrs) > 0 && b.seenOf != &attrs[0] {
		if b.seen == nil {
			b.seen = make(map[string]int, 4*manyAttrs)
		}
		clear(b.seen)
		for i := range attrs {
			b.seen[attrs[i].Key] = i
		}
		b.seenOf = &attrs[0]
	}
	if i, ok := b.seen[key]; ok {
		return i
	}
	b.seen[key] = len(attrs)
	return -1
}

// plainKeyValue reads the shape that nearly all attributes have: a key, then a
// string, each shorter than 128 bytes and nothing else. ok is false for all
// others, which keyValue reads.
func (d *decoder) plainKeyValue(b []byte) (kv model.Attr, ok bool) {
	if len(b) < 6 || b[0] != 1<<3|wireLen {
		return kv, false
	}
	n := int(b[1])
	if n >= 0x80 || len(b) < n+6 || b[n+2] != 2<<3|wireLen {
		return kv, false
	}
	value := b[n+4:]
	if int(b[n+3]) != len(value) || value[0] != 1<<3|wireLen || int(value[1]) != len(value)-2 || len(value) >= 0x80 {
		return kv, false
	}
	return model.Attr{Key: d.valid(b[2 : n+2]), Value: model.String(d.valid(value[2:]))}, true
}

func (d *decoder) keyValue(b []byte) (model.Attr, error) {
	var kv model.Attr
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			kv.Key = d.text(&r)
		case 2:
			v, err := d.value(r.bytes(), kv.Value)
			kv.Value = v
			r.in("value", err)
		case 3: // an index into a dictionary that only profiles have
			r.varint()
		default:
			r.skip()
		}
	}
	return kv, r.err
}

// value reads an AnyValue over what an earlier part of the same message said.
func (d *decoder) value(b []byte, v model.Value) (model.Value, error) {
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			v = model.String(d.text(&r))
		case 2:
			v = model.Bool(r.varint() != 0)
		case 3:
			v = model.Int(int64(r.varint()))
		case 4:
			v = model.Double(r.double())
		case 5:
			v = model.ArrayJSON(d.json(&r, d.appendArray))
		case 6:
			v = model.MapJSON(d.json(&r, d.appendMap))
		case 7:
			v = model.Bytes(alias(r.bytes()))
		case 8:
			r.varint()
			v = model.Value{}
		default:
			r.skip()
		}
	}
	return v, r.err
}

// json renders an array or a map into the arena.
func (d *decoder) json(r *reader, render func([]byte, []byte, int) ([]byte, error)) string {
	b := r.bytes()
	if r.err != nil {
		return ""
	}
	out, err := render(d.b.scratch[:0], b, 1)
	d.b.scratch = out[:0]
	r.in("value", err)
	if err != nil || d.overText(len(out)) {
		return ""
	}
	return d.b.text.keep(out)
}

// overText counts n bytes of the arena against the limit.
func (d *decoder) overText(n int) bool {
	limit := d.b.MaxBytes
	if limit == 0 {
		limit = DefaultMaxBytes
	}
	if d.b.used += n; d.b.used > limit {
		d.b.overflow = true
	}
	return d.b.overflow
}
