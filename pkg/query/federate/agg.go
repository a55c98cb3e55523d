package federate

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"braid/pkg/model"
)

// maxValueText cuts what a column keeps of a text, at a rune.
const maxValueText = 4096

// agg is the state of one column of one id or group. What it keeps is its own
// copy: a value may lie in a large page.
type agg struct {
	n        int64 // values seen
	at       int64 // of first and last
	v        model.Value
	isFloat  bool // the sum is in f
	f        float64
	i        int64
	distinct map[string]struct{}
	numbers  []float64 // of quantiles
}

// add takes one value at a moment (or place). It returns the bytes now kept
// more.
func (a *agg) add(fn string, v model.Value, at int64) (grown int64) {
	a.n++
	switch fn {
	case "count":
	case "first":
		if a.n == 1 || at < a.at || at == a.at && compareValues(v, a.v) < 0 {
			return a.keep(v, at)
		}
	case "last":
		if a.n == 1 || at > a.at || at == a.at && compareValues(v, a.v) < 0 {
			return a.keep(v, at)
		}
	case "min":
		if a.n == 1 || compareValues(v, a.v) < 0 {
			return a.keep(v, at)
		}
	case "max":
		if a.n == 1 || compareValues(v, a.v) > 0 {
			return a.keep(v, at)
		}
	case "distinct":
		text := v.Text()
		if _, known := a.distinct[text]; !known {
			if a.distinct == nil {
				a.distinct = map[string]struct{}{}
			}
			a.distinct[strings.Clone(text)] = struct{}{}
			return int64(len(text)) + 32
		}
	case "sum", "avg":
		a.sum(v)
	default: // quantiles
		if f, ok := v.ParseFloat(); ok && !math.IsNaN(f) {
			a.numbers = append(a.numbers, f)
			return 8
		}
		a.n--
	}
	return 0
}

func (a *agg) sum(v model.Value) {
	if v.Kind() == model.KindInt && !a.isFloat {
		sum := a.i + v.AsInt()
		if (sum > a.i) == (v.AsInt() > 0) {
			a.i = sum
			return
		}
	}
	f, ok := v.ParseFloat()
	if !ok {
		a.n--
		return
	}
	if !a.isFloat {
		a.isFloat, a.f = true, float64(a.i)
	}
	a.f += f
}

func (a *agg) keep(v model.Value, at int64) (grown int64) {
	s := v.Str()
	if len(s) > maxValueText {
		s = strings.ToValidUTF8(s[:maxValueText], "")
		if v.Kind() == model.KindArray || v.Kind() == model.KindMap {
			v = model.String("")
		}
	}
	grown = int64(len(s) - len(a.v.Str()))
	a.v, a.at = model.Raw(v.Kind(), v.Num(), strings.Clone(s)), at
	return grown
}

// merge adds the state of other records.
func (a *agg) merge(fn string, o *agg) {
	if o.n == 0 {
		return
	}
	n := a.n + o.n
	switch fn {
	case "first", "last", "min", "max":
		a.add(fn, o.v, o.at)
	case "distinct":
		for text := range o.distinct {
			a.add(fn, model.String(text), 0)
		}
	case "sum", "avg":
		if o.isFloat {
			a.sum(model.Double(o.f))
		} else {
			a.sum(model.Int(o.i))
		}
	}
	a.n = n
}

// value is the result; empty when nothing was seen.
func (a *agg) value(fn string) model.Value {
	switch {
	case fn == "count":
		return model.Int(a.n)
	case fn == "distinct":
		return model.Int(int64(len(a.distinct)))
	case a.n == 0:
		return model.Value{}
	}
	switch fn {
	case "first", "last", "min", "max":
		return a.v
	case "sum":
		if a.isFloat {
			return model.Double(a.f)
		}
		return model.Int(a.i)
	case "avg":
		return model.Double((a.f + float64(a.i)*b2f(!a.isFloat)) / float64(a.n))
	}
	q, _ := quantileOf(fn)
	slices.Sort(a.numbers)
	rank := int(math.Ceil(q*float64(len(a.numbers)))) - 1
	return model.Double(a.numbers[min(max(rank, 0), len(a.numbers)-1)])
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// compareValues orders values: none first, then numbers, then texts.
func compareValues(a, b model.Value) int {
	ra, rb := rankOf(a), rankOf(b)
	if ra != rb {
		return cmp.Compare(ra, rb)
	}
	if ra == 1 {
		if a.Kind() == model.KindInt && b.Kind() == model.KindInt {
			return cmp.Compare(a.AsInt(), b.AsInt())
		}
		fa, _ := a.Float()
		fb, _ := b.Float()
		return cmp.Compare(fa, fb)
	}
	return strings.Compare(a.Text(), b.Text())
}

func rankOf(v model.Value) int {
	switch v.Kind() {
	case model.KindEmpty:
		return 0
	case model.KindInt, model.KindDouble:
		return 1
	}
	return 2
}
