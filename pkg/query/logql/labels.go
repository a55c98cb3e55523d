package logql

import (
	"slices"
	"strconv"
	"strings"
)

// Label is one name and value.
type Label struct{ Name, Value string }

// Labels are sorted by name, names unique. Only what a pipeline made may have an
// empty value.
type Labels []Label

// Get returns a label's value, "" when absent.
func (ls Labels) Get(name string) string {
	for i := range ls {
		if ls[i].Name == name {
			return ls[i].Value
		}
	}
	return ""
}

// Map returns the labels as a map, never nil.
func (ls Labels) Map() map[string]string {
	m := make(map[string]string, len(ls))
	for _, l := range ls {
		m[l.Name] = l.Value
	}
	return m
}

// String renders {a="x", b="y"}.
func (ls Labels) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, l := range ls {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(l.Name)
		b.WriteByte('=')
		b.WriteString(strconv.Quote(l.Value))
	}
	b.WriteByte('}')
	return b.String()
}

// appendKey appends a text that is equal for equal labels only.
func (ls Labels) appendKey(dst []byte) []byte {
	for i := range ls {
		dst = append(dst, ls[i].Name...)
		dst = append(dst, 0xff)
		dst = append(dst, ls[i].Value...)
		dst = append(dst, 0xff)
	}
	return dst
}

// Key returns a text that is equal for equal labels only.
func (ls Labels) Key() string { return string(ls.appendKey(nil)) }

// sortLabels sorts and drops empty values; of one name the first stays.
func sortLabels(ls Labels) Labels {
	return sortUnique(slices.DeleteFunc(ls, func(l Label) bool { return l.Value == "" }))
}

// sortUnique sorts; of one name the first stays.
func sortUnique(ls Labels) Labels {
	slices.SortStableFunc(ls, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(ls, func(a, b Label) bool { return a.Name == b.Name })
}

// Merge joins label sets; of one name the last set's stays.
func Merge(sets ...Labels) Labels {
	n := 0
	for _, s := range sets {
		n += len(s)
	}
	out := make(Labels, 0, n)
	for i := len(sets) - 1; i >= 0; i-- {
		out = append(out, sets[i]...)
	}
	return sortUnique(out)
}

func compareLabels(a, b Labels) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if c := strings.Compare(a[i].Name, b[i].Name); c != 0 {
			return c
		}
		if c := strings.Compare(a[i].Value, b[i].Value); c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

// only returns the labels named (drop false), or all others (drop true).
func (ls Labels) only(names []string, drop bool) Labels {
	out := make(Labels, 0, len(ls))
	for _, l := range ls {
		if slices.Contains(names, l.Name) != drop {
			out = append(out, l)
		}
	}
	return out
}

// with sets one label; an empty value removes it.
func (ls Labels) with(name, value string) Labels {
	out := ls.only([]string{name}, true)
	if value == "" {
		return out
	}
	return sortLabels(append(out, Label{name, value}))
}
