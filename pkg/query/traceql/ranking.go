package traceql

import (
	"cmp"
	"slices"
	"strings"

	"braid/pkg/model"
)

// ranking keeps the traces with the highest (lowest) values of a field. Traces
// without the field come last; equal ones keep the order they came in.
type ranking struct {
	limit     int
	ascending bool
	all       []ranked
}

type ranked struct {
	trace *TraceResult
	value model.Value
}

// add keeps at most twice the limit at a time.
func (r *ranking) add(tr *TraceResult, v model.Value) {
	r.all = append(r.all, ranked{tr, v})
	if len(r.all) >= 2*r.limit {
		r.cut()
	}
}

func (r *ranking) cut() {
	slices.SortStableFunc(r.all, func(a, b ranked) int {
		aNone, bNone := a.value.Kind() == model.KindEmpty, b.value.Kind() == model.KindEmpty
		if aNone || bNone {
			switch {
			case aNone && bNone:
				return 0
			case aNone:
				return 1
			}
			return -1
		}
		if r.ascending {
			return compareRanks(a.value, b.value)
		}
		return compareRanks(b.value, a.value)
	})
	r.all = r.all[:min(r.limit, len(r.all))]
}

func (r *ranking) sorted() []*TraceResult {
	r.cut()
	out := make([]*TraceResult, len(r.all))
	for i, x := range r.all {
		out[i] = x.trace
	}
	return out
}

// compareRanks orders values of different types by type, nothing first.
func compareRanks(a, b model.Value) int {
	x, xok := a.Float()
	y, yok := b.Float()
	switch {
	case xok && yok:
		return cmp.Compare(x, y)
	case a.Kind() != b.Kind():
		return cmp.Compare(a.Kind(), b.Kind())
	}
	return strings.Compare(a.Text(), b.Text())
}
