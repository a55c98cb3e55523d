package logstore

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"braid/pkg/model"
)

// appendValue encodes a value: kind, then bits or text.
func appendValue(dst []byte, v model.Value) []byte {
	dst = append(dst, byte(v.Kind()))
	switch {
	case hasText(v.Kind()):
		return appendString(dst, v.Str())
	case v.Kind() == model.KindEmpty:
		return dst
	}
	return binary.LittleEndian.AppendUint64(dst, v.Num())
}

func readValue(src []byte) (model.Value, []byte, error) {
	if len(src) == 0 || src[0] > byte(model.KindMap) {
		return model.Value{}, nil, errShort
	}
	kind := model.ValueKind(src[0])
	src = src[1:]
	switch {
	case hasText(kind):
		s, src, err := readString(src)
		return model.Raw(kind, 0, s), src, err
	case kind == model.KindEmpty:
		return model.Value{}, src, nil
	}
	if len(src) < 8 {
		return model.Value{}, nil, errShort
	}
	return model.Raw(kind, binary.LittleEndian.Uint64(src), ""), src[8:], nil
}

func appendAttrs(dst []byte, a model.Attrs) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(a)))
	for i := range a {
		dst = appendString(dst, a[i].Key)
		dst = appendValue(dst, a[i].Value)
	}
	return dst
}

func readAttrs(src []byte) (model.Attrs, []byte, error) {
	n, src, err := readUvarint(src, len(src))
	if err != nil || n == 0 {
		return nil, src, err
	}
	out := make(model.Attrs, n)
	for i := range out {
		if out[i].Key, src, err = readString(src); err != nil {
			return nil, nil, err
		}
		if out[i].Value, src, err = readValue(src); err != nil {
			return nil, nil, err
		}
	}
	return out, src, nil
}

// appendStream encodes a resource and scope; equal ones give equal bytes. A nil
// one is kept apart from an empty one.
func appendStream(dst []byte, s stream) []byte {
	if r := s.resource; r == nil {
		dst = append(dst, 0)
	} else {
		dst = append(dst, 1)
		dst = appendAttrs(dst, r.Attrs)
		dst = appendString(dst, r.SchemaURL)
		dst = binary.AppendUvarint(dst, uint64(r.DroppedAttrs))
	}
	c := s.scope
	if c == nil {
		return append(dst, 0)
	}
	dst = appendString(append(dst, 1), c.Name)
	dst = appendString(dst, c.Version)
	dst = appendString(dst, c.SchemaURL)
	dst = appendAttrs(dst, c.Attrs)
	return binary.AppendUvarint(dst, uint64(c.DroppedAttrs))
}

// readStream is the inverse of appendStream; what it returns shares no memory
// with src.
func readStream(src []byte) (s stream, rest []byte, err error) {
	if len(src) == 0 || src[0] > 1 {
		return s, nil, errShort
	}
	hasResource := src[0] == 1
	src = src[1:]
	if hasResource {
		s.resource = &model.Resource{}
		if s.resource.Attrs, src, err = readAttrs(src); err != nil {
			return s, nil, err
		}
		if s.resource.SchemaURL, src, err = readString(src); err != nil {
			return s, nil, err
		}
		var n int
		if n, src, err = readUvarint(src, math.MaxUint32); err != nil {
			return s, nil, err
		}
		s.resource.DroppedAttrs = uint32(n)
	}
	if len(src) == 0 || src[0] > 1 {
		return s, nil, errShort
	}
	hasScope := src[0] == 1
	src = src[1:]
	if !hasScope {
		return s, src, nil
	}
	s.scope = &model.Scope{}
	for _, to := range []*string{&s.scope.Name, &s.scope.Version, &s.scope.SchemaURL} {
		if *to, src, err = readString(src); err != nil {
			return s, nil, err
		}
	}
	if s.scope.Attrs, src, err = readAttrs(src); err != nil {
		return s, nil, err
	}
	n, src, err := readUvarint(src, math.MaxUint32)
	s.scope.DroppedAttrs = uint32(n)
	return s, src, err
}

// cutMark ends a text that was longer than the tenant's limit.
const cutMark = "…[cut]"

// clip cuts a text to a number of bytes, at a character, with a mark.
func clip(s string, limit int, cut *bool) string {
	if len(s) <= limit {
		return s
	}
	*cut = true
	n := max(0, limit-len(cutMark))
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + cutMark
}

// clipValue cuts the text of a value; what was an array or a map and is cut is
// text from then on.
func clipValue(v model.Value, limit int, cut *bool) model.Value {
	s := v.Str()
	if len(s) <= limit {
		return v
	}
	if s = clip(s, limit, cut); v.Kind() == model.KindBytes {
		return model.Bytes(s)
	}
	return model.String(s)
}
