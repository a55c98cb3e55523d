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

const (
	// maxPushBuckets bounds the time buckets of a query that is pushed down:
	// windows and steps with no common measure make very many.
	maxPushBuckets = 2_000_000
	// maxSegment bounds those that the source is asked for at once: it keeps all
	// of them for every group.
	maxSegment = 11_000
)

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

// aggregate asks the source, a segment of time buckets after the other. done is
// false when it turns out that rows must be looked at after all.
func (ev *evaluation) aggregate(ctx context.Context, p *pushed, r *RangeAgg, needs *rangeNeeds, w *window) (groups []*bucketed, done bool, err error) {
	if w.buckets > maxPushBuckets {
		return nil, false, nil
	}
	if p.probe != nil {
		found, err := ev.anyRow(ctx, p.probe, w.timeRange(ev.steps))
		if err != nil || found {
			return nil, false, err
		}
	}
	segment := min(w.buckets, maxSegment)
	limit, whole := ev.groupLimit(needs, segment)
	merged := &pushedGroups{p: p, byKey: map[string]*bucketed{}}
	for from := int64(0); from < w.buckets; from += segment {
		n := min(segment, w.buckets-from)
		a := &predicate.Aggregation{
			Tenant: ev.tenant, Filter: p.filter, Step: w.bucket, By: p.by.Fields,
			Range:   model.TimeRange{Start: w.base + 1 + from*w.bucket, End: w.base + 1 + (from+n)*w.bucket},
			Measure: p.measure, Of: p.of, OfText: p.unwrapped, MaxGroups: limit, Stats: ev.stats,
		}
		if n == 1 {
			a.Step = 0
		}
		agg, err := ev.g.source.AggregateLogs(ctx, a)
		if err != nil {
			return nil, false, fmt.Errorf("cannot count logs: %w", err)
		}
		if agg.Dropped > 0 && !whole {
			return nil, false, nil // too many for dense buckets: rows keep only what there is
		}
		if agg.Dropped > 0 {
			return nil, false, tooManySeries(r, limit)
		}
		if !merged.add(agg, from) {
			return nil, false, nil // a value that is no number: let the rows say which
		}
		if err := ev.spend(merged.fresh * cellPoints); err != nil {
			return nil, false, err
		}
	}
	return merged.order, true, nil
}

// groupLimit is how many groups the source may keep: as many as the result may
// have, or as fit into memory with all their buckets. whole tells whether more
// would be too many in any case.
func (ev *evaluation) groupLimit(needs *rangeNeeds, buckets int64) (limit int, whole bool) {
	limit = ev.g.limits.MaxInnerSeries
	if needs.result {
		// A label may have several spellings among the groups.
		limit = min(limit, 4*ev.g.limits.MaxSeries)
	}
	if fits := int(int64(ev.g.limits.MaxPoints) / 4 / buckets); fits < limit {
		return max(fits, 1), false
	}
	return limit, true
}

func tooManySeries(r *RangeAgg, limit int) error {
	return fmt.Errorf("%w: %s makes more than %d series: aggregate by fewer labels or narrow the selector", model.ErrTooMuch, r.Op, limit)
}

func (ev *evaluation) anyRow(ctx context.Context, filter predicate.Expr, tr model.TimeRange) (bool, error) {
	q := &predicate.LogQuery{Tenant: ev.tenant, Range: tr, Limit: 1, Stats: ev.stats, Filter: filter}
	for rows, err := range ev.g.source.SelectLogs(ctx, q) {
		if err != nil {
			return false, fmt.Errorf("cannot read logs: %w", err)
		}
		if len(rows) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// pushedGroups joins the answers of the source to series.
type pushedGroups struct {
	p     *pushed
	byKey map[string]*bucketed
	order []*bucketed
	fresh int // cells added by the last answer
	key   []byte
}

// add takes the answer for the buckets behind from; false when a row has no
// number where one is measured.
func (m *pushedGroups) add(agg *model.Aggregate, from int64) bool {
	m.fresh = 0
	for i := range agg.Groups {
		g := &agg.Groups[i]
		ls := m.p.by.Labels(g.Key)
		b := bucketed{labels: ls}
		for k := range g.Cells {
			c := &g.Cells[k]
			if c.Count == 0 {
				continue
			}
			if m.p.unwrapped && c.Measured < c.Count && !m.p.skipErrors {
				return false
			}
			if pc, ok := partialOf(m.p, c); ok {
				b.at, b.cells = append(b.at, from+int64(k)), append(b.cells, pc)
			}
		}
		if len(b.at) == 0 {
			continue
		}
		m.fresh += len(b.at)
		m.join(&b)
	}
	return true
}

// join adds a series to the one of the same labels: of an earlier segment, or
// another spelling of the label.
func (m *pushedGroups) join(b *bucketed) {
	m.key = b.labels.appendKey(m.key[:0])
	have := m.byKey[string(m.key)]
	switch {
	case have == nil:
		m.byKey[string(m.key)] = b
		m.order = append(m.order, b)
	case have.at[len(have.at)-1] < b.at[0]:
		have.at, have.cells = append(have.at, b.at...), append(have.cells, b.cells...)
	default:
		joinBuckets(have, b)
	}
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
// whose errors are dropped or excused, below an aggregation by labels that every
// record brings. Logs Drilldown writes such queries for every panel.
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
			if !errorsDropped && len(names) > 0 {
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
