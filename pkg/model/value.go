package model

import (
	"encoding/base64"
	"math"
	"strconv"
)

// ValueKind tells which of the OTLP AnyValue types a Value holds.
type ValueKind uint8

// The kinds of a Value. Their numbers are stored in blocks: never renumber.
const (
	KindEmpty  ValueKind = 0
	KindString ValueKind = 1
	KindBool   ValueKind = 2
	KindInt    ValueKind = 3
	KindDouble ValueKind = 4
	KindBytes  ValueKind = 5
	KindArray  ValueKind = 6
	KindMap    ValueKind = 7
)

// Value is one attribute value: a small comparable struct, 32 bytes, no
// pointers but the string's. Arrays and maps are held as their JSON text
// (compact, keys in the order received), so that a Value never owns a tree;
// bytes are held raw in the string.
type Value struct {
	str  string
	num  uint64
	kind ValueKind
}

// String returns a string value.
func String(s string) Value { return Value{kind: KindString, str: s} }

// Bool returns a boolean value.
func Bool(b bool) Value {
	v := Value{kind: KindBool}
	if b {
		v.num = 1
	}
	return v
}

// Int returns an integer value.
func Int(i int64) Value { return Value{kind: KindInt, num: uint64(i)} }

// Double returns a floating-point value.
func Double(f float64) Value { return Value{kind: KindDouble, num: math.Float64bits(f)} }

// Bytes returns a bytes value; b is aliased by the string given.
func Bytes(b string) Value { return Value{kind: KindBytes, str: b} }

// ArrayJSON returns an array value from its JSON text.
func ArrayJSON(text string) Value { return Value{kind: KindArray, str: text} }

// MapJSON returns a map value from its JSON text.
func MapJSON(text string) Value { return Value{kind: KindMap, str: text} }

// Raw rebuilds a value from what Kind, Num and Str returned: for codecs.
func Raw(kind ValueKind, num uint64, str string) Value { return Value{kind: kind, num: num, str: str} }

// Kind returns the value's kind; the zero Value is KindEmpty.
func (v Value) Kind() ValueKind { return v.kind }

// Num returns the raw bits of a bool, int or double: for codecs.
func (v Value) Num() uint64 { return v.num }

// Str returns the raw text of a string, bytes, array or map: for codecs.
func (v Value) Str() string { return v.str }

// AsBool returns the boolean held; false for other kinds.
func (v Value) AsBool() bool { return v.kind == KindBool && v.num == 1 }

// AsInt returns the integer held, or the truncated double; 0 otherwise.
func (v Value) AsInt() int64 {
	switch v.kind {
	case KindInt:
		return int64(v.num)
	case KindDouble:
		return int64(math.Float64frombits(v.num))
	}
	return 0
}

// Float returns the number held by an int or a double.
func (v Value) Float() (float64, bool) {
	switch v.kind {
	case KindInt:
		return float64(int64(v.num)), true
	case KindDouble:
		return math.Float64frombits(v.num), true
	}
	return 0, false
}

// ParseFloat is Float, and also reads a number out of a string value.
func (v Value) ParseFloat() (float64, bool) {
	if f, ok := v.Float(); ok {
		return f, true
	}
	if v.kind != KindString || v.str == "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(v.str, 64)
	return f, err == nil
}

// Text renders the value as users read it: strings as they are, numbers in
// their shortest form, bytes as base64, arrays and maps as JSON, empty as "".
func (v Value) Text() string {
	switch v.kind {
	case KindString, KindArray, KindMap:
		return v.str
	case KindBool:
		if v.num == 1 {
			return "true"
		}
		return "false"
	case KindInt:
		return strconv.FormatInt(int64(v.num), 10)
	case KindDouble:
		return strconv.FormatFloat(math.Float64frombits(v.num), 'g', -1, 64)
	case KindBytes:
		return base64.StdEncoding.EncodeToString([]byte(v.str))
	}
	return ""
}

// AppendText appends Text to dst without allocating for strings.
func (v Value) AppendText(dst []byte) []byte {
	switch v.kind {
	case KindString, KindArray, KindMap:
		return append(dst, v.str...)
	case KindInt:
		return strconv.AppendInt(dst, int64(v.num), 10)
	case KindDouble:
		return strconv.AppendFloat(dst, math.Float64frombits(v.num), 'g', -1, 64)
	}
	return append(dst, v.Text()...)
}

// Attr is one attribute.
type Attr struct {
	Key   string
	Value Value
}

// Attrs are attributes with unique keys, in the order received.
type Attrs []Attr

// Get returns the value of a key.
func (a Attrs) Get(key string) (Value, bool) {
	for i := range a {
		if a[i].Key == key {
			return a[i].Value, true
		}
	}
	return Value{}, false
}

// Text returns the text of a key's value, "" when absent.
func (a Attrs) Text(key string) string {
	v, _ := a.Get(key)
	return v.Text()
}
