package traceql

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// maxCompareValues bounds the values counted of one attribute: beyond it the
// attribute is an id, of no use in a comparison.
const maxCompareValues = 10_000

// maxCompareCells bounds all counters of a comparison.
const maxCompareCells = 2_000_000

// comparison counts, for every attribute of the spans, its values in the
// selection and in the rest.
type comparison struct {
	plan    *Plan
	params  MetricsParams
	buckets int
	names   []string
	attrs   map[string]*comparedAttr
	cells   int
	dropped int64
}

type comparedAttr struct {
	values map[model.Value]*[2][]float64 // counts of baseline and selection
	totals [2][]float64
	tooBig bool
}

func (e *Engine) compare(ctx context.Context, t tenant.ID, plan *Plan, p MetricsParams, stats *model.QueryStats) ([]Series, error) {
	c := &comparison{plan: plan, params: p, buckets: int((p.End - p.Start + p.Step - 1) / p.Step), attrs: map[string]*comparedAttr{}}
	if err := e.eachMatch(ctx, t, plan, p, stats, c.add); err != nil {
		return nil, fmt.Errorf("cannot compare spans: %w", cause(ctx, err))
	}
	if c.dropped > 0 {
		stats.Warn("the comparison has too many values: %d were not counted; shorten the range or widen the step", c.dropped)
	}
	return c.series(), nil
}

const baseline, selection = 0, 1

func (c *comparison) add(s *scene, i int) {
	row := &s.spans[i]
	cmp := c.plan.query.Metrics.Compare
	side := baseline
	inTime := cmp.Start == 0 || row.Start >= cmp.Start && row.Start < cmp.End
	if inTime && len(c.plan.matches(s, cmp.Selection, []int32{int32(i)})) > 0 {
		side = selection
	}
	bucket := int((row.Start - c.params.Start) / c.params.Step)
	c.count("name", model.String(row.Name), side, bucket)
	c.count("kind", model.String(row.Kind.String()), side, bucket)
	c.count("status", model.String(row.Status.String()), side, bucket)
	if row.StatusMessage != "" {
		c.count("statusMessage", model.String(row.StatusMessage), side, bucket)
	}
	if s.facts.RootName != "" {
		c.count("rootName", model.String(s.facts.RootName), side, bucket)
		c.count("rootServiceName", model.String(s.facts.RootService), side, bucket)
	}
	for _, a := range row.Attrs {
		c.count(Field{Scope: ScopeSpan, Name: a.Key}.String(), a.Value, side, bucket)
	}
	if row.Resource != nil {
		for _, a := range row.Resource.Attrs {
			c.count(Field{Scope: ScopeResource, Name: a.Key}.String(), a.Value, side, bucket)
		}
	}
}

func (c *comparison) count(name string, v model.Value, side, bucket int) {
	if bucket < 0 || bucket >= c.buckets {
		return
	}
	a := c.attrs[name]
	if a == nil {
		a = &comparedAttr{values: map[model.Value]*[2][]float64{}}
		a.totals[0], a.totals[1] = make([]float64, c.buckets), make([]float64, c.buckets)
		c.attrs[name] = a
		c.names = append(c.names, name)
	}
	a.totals[side][bucket]++
	n := a.values[v]
	if n == nil {
		if len(a.values) == maxCompareValues || c.cells > maxCompareCells {
			a.tooBig = true
			c.dropped++
			return
		}
		n = &[2][]float64{}
		a.values[v] = n
	}
	if n[side] == nil {
		n[side] = make([]float64, c.buckets)
		c.cells += c.buckets
	}
	n[side][bucket]++
}

// series writes out, for every attribute and side, its most frequent values
// and the total, as Grafana's Traces Drilldown reads them.
func (c *comparison) series() []Series {
	top := c.plan.query.Metrics.Compare.TopN
	if top == 0 {
		top = 10
	}
	slices.Sort(c.names)
	var out []Series
	for side, word := range []string{"baseline", "selection"} {
		for _, name := range c.names {
			a := c.attrs[name]
			for _, v := range a.top(side, top) {
				out = append(out, c.line(word, name, v, a.values[v][side]))
			}
			if a.tooBig {
				s := c.line(word, name, model.String("nil"), nil)
				s.Labels = append(s.Labels, Label{Name: "__meta_error", Value: model.String("__too_many_values__")})
				out = append(out, s)
			}
			out = append(out, c.line(word+"_total", name, model.String("nil"), a.totals[side]))
		}
	}
	return out
}

func (a *comparedAttr) top(side, n int) []model.Value {
	type counted struct {
		value model.Value
		count float64
	}
	var all []counted
	for v, counts := range a.values {
		if counts[side] == nil {
			continue
		}
		sum := 0.0
		for _, x := range counts[side] {
			sum += x
		}
		all = append(all, counted{v, sum})
	}
	slices.SortFunc(all, func(x, y counted) int {
		if d := cmp.Compare(y.count, x.count); d != 0 {
			return d
		}
		return cmp.Compare(x.value.Text(), y.value.Text())
	})
	out := make([]model.Value, min(n, len(all)))
	for i := range out {
		out[i] = all[i].value
	}
	return out
}

func (c *comparison) line(word, name string, v model.Value, counts []float64) Series {
	s := Series{Labels: []Label{{Name: "__meta_type", Value: model.String(word)}, {Name: name, Value: v}}}
	for b, n := range counts {
		s.Samples = append(s.Samples, Sample{T: c.params.Start + int64(b+1)*c.params.Step, Value: n})
	}
	return s
}
