package predicate

import (
	"strings"

	"braid/pkg/model"
)

// Row is one log record or span that an Expr can be tried on.
type Row interface {
	// Lookup yields the values of a field: none when the row lacks it, several
	// for events and links. It stops when yield returns false.
	Lookup(f Field, yield func(model.Value) bool)
	// Correlated reports whether the row carries the canonical id; an empty
	// kind means any kind.
	Correlated(kind, id string) bool
}

// Eval tries an expression on a row. It is the definition that every store's
// faster way must agree with.
func Eval(e Expr, r Row) bool {
	switch e := e.(type) {
	case True:
		return true
	case And:
		for _, p := range e {
			if !Eval(p, r) {
				return false
			}
		}
		return true
	case Or:
		for _, p := range e {
			if Eval(p, r) {
				return true
			}
		}
		return false
	case Not:
		return !Eval(e.X, r)
	case Exists:
		return any1(r, e.Field, func(model.Value) bool { return true })
	case Compare:
		return any1(r, e.Field, e.Holds)
	case Match:
		return any1(r, e.Field, e.Holds)
	case Text:
		return any1(r, e.Field, func(v model.Value) bool { return e.Holds(v.Text()) })
	case Correlated:
		return r.Correlated(e.Kind, e.ID)
	}
	return false
}

func any1(r Row, f Field, holds func(model.Value) bool) bool {
	found := false
	r.Lookup(f, func(v model.Value) bool {
		found = holds(v)
		return !found
	})
	return found
}

// Holds tries the comparison on one value.
func (c Compare) Holds(v model.Value) bool {
	if c.Loose {
		if want, isNum := c.Value.Float(); isNum {
			got, ok := v.ParseFloat()
			return ok && order(c.Op, cmpFloat(got, want), got != got || want != want)
		}
		return order(c.Op, strings.Compare(v.Text(), c.Value.Text()), false)
	}
	if v.Kind() == model.KindArray && c.Value.Kind() != model.KindArray {
		elems := v.Elements()
		if c.Op == Neq {
			for _, e := range elems {
				if compareStrict(Eq, e, c.Value) {
					return false
				}
			}
			return true
		}
		for _, e := range elems {
			if compareStrict(c.Op, e, c.Value) {
				return true
			}
		}
		return false
	}
	return compareStrict(c.Op, v, c.Value)
}

func compareStrict(op Op, v, want model.Value) bool {
	if a, ok := v.Float(); ok {
		b, ok := want.Float()
		if !ok {
			return false
		}
		if v.Kind() == model.KindInt && want.Kind() == model.KindInt {
			return order(op, cmpInt(v.AsInt(), want.AsInt()), false)
		}
		return order(op, cmpFloat(a, b), a != a || b != b)
	}
	if v.Kind() != want.Kind() {
		return false
	}
	switch v.Kind() {
	case model.KindBool:
		return order(op, cmpInt(int64(v.Num()), int64(want.Num())), false)
	case model.KindEmpty:
		return op == Eq
	}
	return order(op, strings.Compare(v.Str(), want.Str()), false)
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func cmpInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// order applies an operator to a three-way comparison; nan makes everything
// but Neq fail, as IEEE 754 has it.
func order(op Op, c int, nan bool) bool {
	if nan {
		return op == Neq
	}
	switch op {
	case Eq:
		return c == 0
	case Neq:
		return c != 0
	case Lt:
		return c < 0
	case Lte:
		return c <= 0
	case Gt:
		return c > 0
	case Gte:
		return c >= 0
	}
	return false
}

// Holds searches one text.
func (t Text) Holds(s string) bool {
	if t.Mode == Regexp {
		return t.re.MatchString(s)
	}
	if t.Mode == Contains {
		if t.re != nil {
			return t.re.MatchString(s)
		}
		return strings.Contains(s, t.Query)
	}
	for from := 0; from <= len(s); {
		lo, hi := t.next(s, from)
		if lo < 0 {
			return false
		}
		if boundary(s, lo, t.Query, true) && (t.Mode == Prefix || boundary(s, hi, t.Query, false)) {
			return true
		}
		from = lo + 1
	}
	return false
}

func (t Text) next(s string, from int) (lo, hi int) {
	if t.re != nil {
		m := t.re.FindStringIndex(s[from:])
		if m == nil {
			return -1, -1
		}
		return from + m[0], from + m[1]
	}
	i := strings.Index(s[from:], t.Query)
	if i < 0 {
		return -1, -1
	}
	return from + i, from + i + len(t.Query)
}

// boundary reports whether position i of s is no inside of a word. A query
// that begins (ends) with a non-word byte needs no boundary there.
func boundary(s string, i int, query string, start bool) bool {
	if query == "" {
		return true
	}
	if start {
		return i == 0 || !WordByte(query[0]) || !WordByte(s[i-1])
	}
	return i >= len(s) || !WordByte(query[len(query)-1]) || !WordByte(s[i])
}

// WordByte reports whether a byte is part of a word: letters, digits, '_' and
// every byte of a non-ASCII character. It is the tokenizer's definition.
func WordByte(c byte) bool { return c >= 0x80 || wordByte(c) }
