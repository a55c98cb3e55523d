package tracestore

import (
	"cmp"
	"slices"
	"strings"

	"braid/pkg/model"
)

// statCounter counts the values of one attribute column of a block.
type statCounter struct {
	rows   int64
	counts map[model.Value]*valueStat
	many   bool
}

// maxStatValues is how many different values a block's statistics list.
const maxStatValues = 256

// group counts the rows of a row group that begins at a page.
func (s *statCounter) group(v *vector, kind model.ValueKind, page int) {
	for i := range v.n {
		if v.codes != nil && v.codes[i] >= 0 || v.codes == nil && !v.null[i] {
			s.rows++
		}
	}
	if s.many {
		return
	}
	n := len(v.dict) + len(v.dictInts)
	if kind == model.KindBool {
		n = 2
	}
	if n == 0 && s.rows > 0 || n > maxStatValues {
		s.many, s.counts = true, nil
		return
	}
	values := make([]model.Value, 0, n)
	switch {
	case kind == model.KindBool:
		values = append(values, model.Bool(false), model.Bool(true))
	case v.dictInts != nil:
		for _, x := range v.dictInts {
			values = append(values, model.Raw(kind, uint64(x), ""))
		}
	default:
		for _, text := range v.dict {
			values = append(values, model.Raw(kind, 0, text))
		}
	}
	s.values(v, kind, page, values)
}

// values counts a page's rows by code first: few values are on it.
func (s *statCounter) values(v *vector, kind model.ValueKind, page int, values []model.Value) {
	at, rows := make([]*valueStat, len(values)), make([]int64, len(values))
	for from := 0; from < v.n; from += pageRows {
		to := min(v.n, from+pageRows)
		clear(rows)
		switch {
		case v.codes != nil:
			for _, code := range v.codes[from:to] {
				if code >= 0 {
					rows[code]++
				}
			}
		case kind == model.KindBool:
			for i := from; i < to; i++ {
				if !v.null[i] {
					rows[v.ints[i]&1]++
				}
			}
		}
		for code, n := range rows {
			if n == 0 {
				continue
			}
			x := at[code]
			if x == nil {
				if x = s.value(values[code]); x == nil {
					return
				}
				at[code] = x
			}
			x.rows += n
			x.pages.add(page + from/pageRows)
		}
	}
}

// value returns the counter of a value; nil when there are too many.
func (s *statCounter) value(v model.Value) *valueStat {
	if s.counts == nil {
		s.counts = map[model.Value]*valueStat{}
	}
	x := s.counts[v]
	if x == nil {
		if len(s.counts) == maxStatValues {
			s.many, s.counts = true, nil
			return nil
		}
		v = model.Raw(v.Kind(), v.Num(), strings.Clone(v.Str()))
		x = &valueStat{value: v}
		s.counts[v] = x
	}
	return x
}

// stat returns what the sidecar keeps. Pages are kept of values that are on
// less than half of them: of others they would not rule out enough.
func (s *statCounter) stat(k attrKey, pages int) fieldStat {
	f := fieldStat{key: k, rows: s.rows, whole: !s.many}
	for _, x := range s.counts {
		if x.pages.len() > pages/2 {
			x.pages = nil
		}
		f.values = append(f.values, *x)
	}
	slices.SortFunc(f.values, func(a, b valueStat) int {
		return cmp.Or(cmp.Compare(b.rows, a.rows), cmp.Compare(a.value.Text(), b.value.Text()))
	})
	return f
}
