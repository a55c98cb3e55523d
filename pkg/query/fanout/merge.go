package fanout

import (
	"fmt"
	"sort"
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// mergeAggregates adds partial results of the same aggregation. Its result
// shares cells with the parts: they are no longer the caller's.
func mergeAggregates(parts []*model.Aggregate) *model.Aggregate {
	var out *model.Aggregate
	index := map[string]int{}
	for _, p := range parts {
		if p == nil {
			continue
		}
		if out == nil {
			out = &model.Aggregate{Start: p.Start, Step: p.Step, Buckets: p.Buckets}
		}
		out.Dropped += p.Dropped
		for gi := range p.Groups {
			g := &p.Groups[gi]
			key := groupKey(g.Key)
			at, known := index[key]
			if !known {
				index[key] = len(out.Groups)
				out.Groups = append(out.Groups, *g)
				continue
			}
			into := &out.Groups[at]
			for i := range g.Cells {
				into.Cells[i].Merge(&g.Cells[i])
			}
			into.Exemplars = append(into.Exemplars, g.Exemplars...)
		}
	}
	if out == nil {
		out = &model.Aggregate{}
	}
	return out
}

// groupKey tells groups apart by kind and value: the int 1 is not the text "1".
func groupKey(key []model.Value) string {
	var b strings.Builder
	for _, v := range key {
		fmt.Fprintf(&b, "%d:%d:%d:%s;", v.Kind(), v.Num(), len(v.Str()), v.Str())
	}
	return b.String()
}

// defaultFieldLimit is what a FieldQuery means by limit 0.
const defaultFieldLimit = 1000

func mergeFields(parts [][]predicate.FieldInfo, limit int) []predicate.FieldInfo {
	type key struct {
		field predicate.Field
		value model.Value
	}
	if limit == 0 {
		limit = defaultFieldLimit
	}
	index := map[key]int{}
	var out []predicate.FieldInfo
	for _, part := range parts {
		for _, info := range part {
			k := key{info.Field, info.Value}
			at, known := index[k]
			if !known {
				index[k] = len(out)
				out = append(out, info)
				continue
			}
			out[at].Count += info.Count
			// The parts may hold the same values or different ones: the larger
			// part's number is the safe lower bound.
			out[at].Distinct = max(out[at].Distinct, info.Distinct)
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].Count != out[j].Count {
			return out[i].Count > out[j].Count
		}
		if out[i].Field != out[j].Field {
			return out[i].Field.String() < out[j].Field.String()
		}
		return out[i].Value.Text() < out[j].Value.Text()
	})
	return out[:min(len(out), limit)]
}
