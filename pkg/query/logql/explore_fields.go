package logql

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// FieldSummary is one field of the records asked about.
type FieldSummary struct {
	Name  string `json:"name"`  // as sent
	Label string `json:"label"` // as LogQL spells it
	Scope string `json:"scope"` // record, resource, scope or intrinsic
	Kind  string `json:"kind"`  // string, bool, int, double, bytes, array or map
	// Count estimates the records that have it, Distinct its different values (0
	// when not known).
	Count    int64 `json:"count"`
	Distinct int64 `json:"distinct,omitempty"`
}

var scopeNames = map[predicate.Scope]string{
	predicate.ScopeRecord: "record", predicate.ScopeResource: "resource",
	predicate.ScopeInstrumentation: "scope", predicate.ScopeIntrinsic: "intrinsic", predicate.ScopeAny: "any",
}

var kindNames = map[model.ValueKind]string{
	model.KindString: "string", model.KindBool: "bool", model.KindInt: "int", model.KindDouble: "double",
	model.KindBytes: "bytes", model.KindArray: "array", model.KindMap: "map",
}

// Fields lists the fields of the records, most frequent first; prefix filters
// names as they are typed.
func (x *Explorer) Fields(ctx context.Context, t tenant.ID, q Question, prefix string, limit int) (out []FieldSummary, err error) {
	a, err := x.begin(ctx, t, &q, "fields")
	if err != nil {
		return nil, err
	}
	defer func() { a.done(err) }()
	infos, err := x.source.LogFields(a.ctx, &predicate.FieldQuery{Tenant: t, Range: a.tr, Filter: a.filter, Prefix: prefix, Limit: pageSize(limit), Stats: a.stats})
	if err != nil {
		return nil, fmt.Errorf("cannot list fields: %w", err)
	}
	for _, f := range infos {
		out = append(out, FieldSummary{
			Name: f.Field.Name, Label: labelName(f.Field.Name), Scope: scopeNames[f.Field.Scope], Kind: kindNames[f.Kind],
			Count: f.Count, Distinct: f.Distinct,
		})
	}
	return out, nil
}

// ValueCount is one value of a field.
type ValueCount struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

// Facet is a field's most frequent values.
type Facet struct {
	Label  string       `json:"label"`
	Values []ValueCount `json:"values"`
	// Missing counts the records that lack the field, Other those with values
	// not listed, Distinct the different values.
	Missing  int64 `json:"missing"`
	Other    int64 `json:"other"`
	Distinct int64 `json:"distinct"`
	// Partial: there are more different values than were counted; the values
	// listed may lack some.
	Partial bool `json:"partial,omitempty"`
}

const (
	maxFacets       = 50
	maxFacetGroups  = 200_000
	defaultFacetTop = 10
)

// Facets counts the values of labels exactly, and returns the top of each.
func (x *Explorer) Facets(ctx context.Context, t tenant.ID, q Question, labels []string, top int) (out []Facet, err error) {
	if len(labels) > maxFacets {
		return nil, fmt.Errorf("%w: %d fields are asked for at once, at most %d are allowed", model.ErrInvalid, len(labels), maxFacets)
	}
	if top <= 0 {
		top = defaultFacetTop
	}
	a, err := x.begin(ctx, t, &q, "facets")
	if err != nil {
		return nil, err
	}
	defer func() { a.done(err) }()
	for _, name := range labels {
		g := NewGroupBy([]string{name})
		agg, err := x.source.AggregateLogs(a.ctx, &predicate.Aggregation{
			Tenant: t, Range: a.tr, Filter: a.filter, By: g.Fields, MaxGroups: maxFacetGroups, Stats: a.stats,
		})
		if err != nil {
			return nil, fmt.Errorf("cannot count values of %q: %w", name, err)
		}
		out = append(out, facetOf(g, name, agg, min(top, maxPage)))
	}
	return out, nil
}

func facetOf(g *GroupBy, name string, agg *model.Aggregate, top int) Facet {
	f := Facet{Label: predicate.Underscore(name), Partial: agg.Dropped > 0, Other: agg.Dropped, Values: []ValueCount{}}
	counts := map[string]int64{}
	for i := range agg.Groups {
		n := int64(0)
		for k := range agg.Groups[i].Cells {
			n += int64(agg.Groups[i].Cells[k].Count)
		}
		if v := g.Labels(agg.Groups[i].Key).Get(f.Label); v != "" {
			counts[v] += n
		} else {
			f.Missing += n
		}
	}
	f.Distinct = int64(len(counts))
	for v, n := range counts {
		f.Values = append(f.Values, ValueCount{v, n})
	}
	slices.SortFunc(f.Values, func(a, b ValueCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	})
	for _, v := range f.Values[min(top, len(f.Values)):] {
		f.Other += v.Count
	}
	f.Values = f.Values[:min(top, len(f.Values))]
	return f
}

// NumberStats describes the numbers that a field holds. Quantiles are exact to
// 1 %.
type NumberStats struct {
	Count     int64              `json:"count"`   // records with the field as a number
	Records   int64              `json:"records"` // all records asked about
	Min       float64            `json:"min"`
	Max       float64            `json:"max"`
	Sum       float64            `json:"sum"`
	Avg       float64            `json:"avg"`
	Quantiles map[string]float64 `json:"quantiles"`
}

// FieldStats measures a field's numbers, also those written as text. ok is
// false when no record has one.
func (x *Explorer) FieldStats(ctx context.Context, t tenant.ID, q Question, label string) (out NumberStats, ok bool, err error) {
	a, err := x.begin(ctx, t, &q, "field stats")
	if err != nil {
		return out, false, err
	}
	defer func() { a.done(err) }()
	agg, err := x.source.AggregateLogs(a.ctx, &predicate.Aggregation{
		Tenant: t, Range: a.tr, Filter: a.filter, Measure: predicate.Quantiles, Of: refOf(label).chain[0], OfText: true, Stats: a.stats,
	})
	if err != nil {
		return out, false, fmt.Errorf("cannot measure %q: %w", label, err)
	}
	var c model.Cell
	for i := range agg.Groups {
		for k := range agg.Groups[i].Cells {
			c.Merge(&agg.Groups[i].Cells[k])
		}
	}
	if c.Measured == 0 {
		return out, false, nil
	}
	out = NumberStats{Count: int64(c.Measured), Records: int64(c.Count), Min: c.Min, Max: c.Max, Sum: c.Sum, Avg: c.Sum / float64(c.Measured), Quantiles: map[string]float64{}}
	for name, p := range map[string]float64{"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99} {
		v := c.Sketch.Quantile(p)
		out.Quantiles[name] = math.Min(math.Max(v, c.Min), c.Max)
	}
	return out, true, nil
}
