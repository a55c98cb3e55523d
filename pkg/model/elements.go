package model

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Elements returns the elements of an array value; nil for any other kind or
// for text that is not a JSON array. Nested arrays and maps stay JSON text.
func (v Value) Elements() []Value {
	if v.kind != KindArray {
		return nil
	}
	var raw []json.RawMessage
	if json.Unmarshal([]byte(v.str), &raw) != nil {
		return nil
	}
	out := make([]Value, len(raw))
	for i, r := range raw {
		out[i] = FromJSON(r)
	}
	return out
}

// FromJSON reads one JSON value. Integers that fit become ints; text that is
// not JSON becomes a string as it is.
func FromJSON(raw []byte) Value {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return Value{}
	}
	switch raw[0] {
	case '{':
		return MapJSON(string(raw))
	case '[':
		return ArrayJSON(string(raw))
	case '"':
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return String(s)
		}
	case 't', 'f':
		var b bool
		if json.Unmarshal(raw, &b) == nil {
			return Bool(b)
		}
	case 'n':
		return Value{}
	default:
		d := json.NewDecoder(strings.NewReader(string(raw)))
		d.UseNumber()
		var n json.Number
		if d.Decode(&n) == nil {
			if i, err := n.Int64(); err == nil {
				return Int(i)
			}
			if f, err := n.Float64(); err == nil {
				return Double(f)
			}
		}
	}
	return String(string(raw))
}

// MarshalJSON writes the value as plain JSON: what a user would expect to read.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.kind {
	case KindEmpty:
		return []byte("null"), nil
	case KindArray, KindMap:
		if json.Valid([]byte(v.str)) {
			return []byte(v.str), nil
		}
		return json.Marshal(v.str)
	case KindBool, KindInt:
		return []byte(v.Text()), nil
	case KindDouble:
		f, _ := v.Float()
		b, err := json.Marshal(f)
		if err != nil { // NaN and infinities have no JSON number
			return json.Marshal(v.Text())
		}
		return b, nil
	}
	return json.Marshal(v.Text())
}
