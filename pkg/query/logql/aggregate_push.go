package logql

import (
	"context"
	"fmt"
	"slices"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// pushed is a range function that the source itself can count or measure.
type pushed struct {
	filter, probe predicate.Expr
	by            *GroupBy
	measure       predicate.Measure
	of            predicate.Field
	unwrapped     bool
	skipErrors    bool // | __error__="" behind unwrap
}

// maxPushBuckets bounds the time buckets that the source is asked to keep for
// every group.
const maxPushBuckets = 50_000

// planPush returns how the source can do a range function, nil when rows must
// be looked at here: a stage is left, series keep all their labels, or the
// function needs the samples in order.
func planPush(r *RangeAgg, needs *rangeNeeds) *pushed {
	names, grouped := needs.by(r)
	if !grouped {
		return nil
	}
	sel := prunedSelection(r, needs)
	pl := planSelection(sel)
	if pl.strict == nil {
		return nil
	}
	p := &pushed{filter: pl.strict}
	if pl.probe != nil {
		p.probe = predicate.AllOf(pl.filter, pl.probe)
	}
	switch r.Op {
	case opCount:
	case opBytes, opBytesRate:
		p.measure, p.of = predicate.Numbers, predicate.Intrinsic(predicate.Body)
	case opRate, opAbsent, opSum, opAvg, opMin, opMax, opQuantile:
		if r.Op == opQuantile {
			p.measure = predicate.Quantiles
		} else if r.Unwrap != nil {
			p.measure = predicate.Numbers
		}
	default:
		return nil
	}
	if r.Unwrap != nil && !p.unwrap(r.Unwrap, sel) {
		return nil
	}
	p.by = NewGroupBy(names)
	return p
}

// unwrap measures a plain attribute. Rows that lack it are left out.
func (p *pushed) unwrap(u *Unwrap, sel *Selection) bool {
	ref := refOf(u.Label)
	if u.Conversion != "" || len(ref.chain) != 1 || ref.def != "" || relabels(sel.Stages) {
		return false
	}
	for _, s := range u.After {
		f, ok := s.(*LabelFilter)
		if !ok {
			return false
		}
		c, ok := f.Cond.(CondString)
		if !ok || c.Name != labelError || c.Op != "=" || c.Value != "" {
			return false
		}
		p.skipErrors = true
	}
	p.unwrapped, p.of = true, ref.chain[0]
	exists := predicate.Compare{Field: p.of, Op: predicate.Neq, Value: text(""), Loose: true}
	p.filter = predicate.AllOf(p.filter, exists)
	return true
}

// relabels reports whether a stage may change labels.
func relabels(stages []Stage) bool {
	return slices.ContainsFunc(stages, func(s Stage) bool {
		switch s.(type) {
		case *LineFilter, *LabelFilter, *Decolorize, *LineFormat, *Distinct:
			return false
		}
		return true
	})
}

// aggregate asks the source. done is false when it turns out that rows must be
// looked at after all.
func (ev *evaluation) aggregate(ctx context.Context, p *pushed, r *RangeAgg, w *window) (groups []*bucketed, done bool, err error) {
	if w.buckets > maxPushBuckets {
		return nil, false, nil
	}
	tr := w.timeRange(ev.steps)
	if p.probe != nil {
		q := &predicate.LogQuery{Tenant: ev.tenant, Range: tr, Limit: 1, Stats: ev.stats, Filter: p.probe}
		for rows, err := range ev.g.source.SelectLogs(ctx, q) {
			if err != nil {
				return nil, false, fmt.Errorf("cannot read logs: %w", err)
			}
			if len(rows) > 0 {
				return nil, false, nil
			}
		}
	}
	a := &predicate.Aggregation{
		Tenant: ev.tenant, Range: tr, Filter: p.filter, Step: w.bucket, By: p.by.Fields,
		Measure: p.measure, Of: p.of, OfText: p.unwrapped,
		MaxGroups: ev.g.limits.MaxInnerSeries, Stats: ev.stats,
	}
	if w.buckets == 1 {
		a.Step = 0
	}
	agg, err := ev.g.source.AggregateLogs(ctx, a)
	if err != nil {
		return nil, false, fmt.Errorf("cannot count logs: %w", err)
	}
	if agg.Dropped > 0 {
		return nil, false, fmt.Errorf("%w: %s makes more than %d series: aggregate by fewer labels or narrow the selector", model.ErrTooMuch, r.Op, a.MaxGroups)
	}
	return ev.fromAggregate(p, r, agg, w)
}

func (ev *evaluation) fromAggregate(p *pushed, r *RangeAgg, agg *model.Aggregate, w *window) (groups []*bucketed, done bool, err error) {
	byKey := map[string]*bucketed{}
	for i := range agg.Groups {
		g := &agg.Groups[i]
		ls := p.by.Labels(g.Key)
		b := &bucketed{labels: ls}
		for k := range g.Cells {
			c := &g.Cells[k]
			if c.Count == 0 {
				continue
			}
			if p.unwrapped && c.Measured < c.Count && !p.skipErrors {
				return nil, false, nil // a value that is no number: let the rows say which
			}
			if pc, ok := partialOf(p, c); ok {
				b.at, b.cells = append(b.at, int64(k)), append(b.cells, pc)
			}
		}
		if err := ev.spend(len(b.cells) * cellPoints); err != nil {
			return nil, false, err
		}
		if len(b.at) == 0 {
			continue
		}
		// Two keys may be one label set: an attribute and its alias.
		key := ls.Key()
		if have := byKey[key]; have != nil {
			joinBuckets(have, b)
			continue
		}
		byKey[key] = b
		groups = append(groups, b)
	}
	return groups, true, nil
}

func partialOf(p *pushed, c *model.Cell) (partial, bool) {
	if p.measure == predicate.CountOnly {
		return partial{count: float64(c.Count), sum: float64(c.Count)}, true
	}
	if !p.unwrapped { // bytes: every row has a body, if an empty one
		return partial{count: float64(c.Count), sum: c.Sum, min: c.Min, max: c.Max}, true
	}
	return partial{count: float64(c.Measured), sum: c.Sum, min: c.Min, max: c.Max, sketch: c.Sketch}, c.Measured > 0
}

// joinBuckets adds b's cells to a's, bucket by bucket.
func joinBuckets(a, b *bucketed) {
	out := bucketed{labels: a.labels}
	i, j := 0, 0
	for i < len(a.at) || j < len(b.at) {
		switch {
		case j >= len(b.at) || i < len(a.at) && a.at[i] < b.at[j]:
			out.at, out.cells = append(out.at, a.at[i]), append(out.cells, a.cells[i])
			i++
		case i >= len(a.at) || b.at[j] < a.at[i]:
			out.at, out.cells = append(out.at, b.at[j]), append(out.cells, b.cells[j])
			j++
		default:
			c := a.cells[i].merge(&b.cells[j])
			if x, y := a.cells[i].sketch, b.cells[j].sketch; x != nil || y != nil {
				c.sketch = &model.Sketch{}
				for _, s := range []*model.Sketch{x, y} {
					if s != nil {
						c.sketch.Merge(s)
					}
				}
			}
			out.at, out.cells = append(out.at, a.at[i]), append(out.cells, c)
			i, j = i+1, j+1
		}
	}
	*a = out
}

// prunedSelection leaves out stages that cannot change the result: parsers,
// whose errors are dropped, below an aggregation by labels that every record
// brings. Logs Drilldown writes such queries for every panel.
func prunedSelection(r *RangeAgg, needs *rangeNeeds) *Selection {
	names, grouped := needs.by(r)
	if !grouped || r.Unwrap != nil || r.Op == opBytes || r.Op == opBytesRate {
		return r.Log
	}
	for _, n := range names {
		if u := predicate.Underscore(n); u != labelLevel && u != labelService {
			return r.Log
		}
	}
	stages := r.Log.Stages
	keep, errorsDropped := len(stages), false
	for keep > 0 {
		switch s := stages[keep-1].(type) {
		case *RegexpParser, *PatternParser:
		case *JSONParser, *LogfmtParser, *Unpack:
			if !errorsDropped {
				return r.Log
			}
		case *Drop:
			if !dropsOnlyErrors(s) {
				return r.Log
			}
			errorsDropped = errorsDropped || slices.ContainsFunc(s.Items, func(it LabelItem) bool { return it.Name == labelError })
		default:
			if errorsDropped && slices.ContainsFunc(stages[:keep], fallible) {
				return r.Log
			}
			return &Selection{r.Log.Matchers, stages[:keep]}
		}
		keep--
	}
	return &Selection{Matchers: r.Log.Matchers}
}

// fallible reports whether a stage may mark an entry with __error__, or reads
// the mark.
func fallible(s Stage) bool {
	switch s := s.(type) {
	case *LineFilter, *RegexpParser, *PatternParser, *Decolorize, *Keep, *Distinct:
		return false
	case *Drop:
		return false
	case *LabelFilter:
		c, ok := s.Cond.(CondString)
		return !ok || c.ref.under == labelError || c.ref.under == labelDetails
	}
	return true
}

func dropsOnlyErrors(d *Drop) bool {
	for _, it := range d.Items {
		if it.Matcher != nil || it.Name != labelError && it.Name != labelDetails {
			return false
		}
	}
	return true
}
