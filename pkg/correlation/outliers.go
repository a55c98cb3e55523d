package correlation

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sort"

	"golang.org/x/sync/errgroup"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// OutlierRequest compares a selection with the rest of a range, over spans or
// logs.
type OutlierRequest struct {
	Logs      bool           // compare log records instead of spans
	Selection predicate.Expr // rows of interest
	Baseline  predicate.Expr // what to compare with; nil means every row
	Range     model.TimeRange
	// SelectionRange narrows the selection within Range; zero means all of it.
	SelectionRange model.TimeRange
	Limit          int // attributes returned; 0 means 50
	// SampleRows bounds the rows read of each side; 0 means 20,000, at most
	// 500,000 are.
	SampleRows int
}

// Outlier is one attribute value that the selection has more, or less, often.
// The counts are of the rows read.
type Outlier struct {
	Field                         string
	Value                         string
	SelectionCount, BaselineCount int64
	SelectionShare, BaselineShare float64
	// Score is the z statistic of the difference of the two shares, signed: the
	// difference over its standard error. Values whose score could come about by
	// chance are left out: those below the two-sided 95 % level for as many
	// values as were compared (Bonferroni). The rest are ranked by the difference
	// itself: with many rows everything is significant, and a difference is what
	// explains.
	Score float64
	// Error is the half width of the 95 % interval of the difference.
	Error float64
}

// OutlierAnswer ranks values by the difference of their shares.
type OutlierAnswer struct {
	Outliers                      []Outlier
	SelectionRows, BaselineRows   int64 // read
	SelectionTotal, BaselineTotal int64 // that match, counted
	Sampled                       bool
	// Error is the greatest half width of the 95 % interval of a share among
	// the outliers, when rows were sampled.
	Error    float64
	Warnings []string
}

// maxSampleRows bounds the rows read of each side.
const maxSampleRows = 500_000

// Outliers ranks the attributes that set the selection apart. The rest is the
// baseline less the selection.
func (f *Finder) Outliers(ctx context.Context, t tenant.ID, req OutlierRequest) (*OutlierAnswer, error) {
	if req.Range.All() || req.Range.End <= req.Range.Start {
		return nil, fmt.Errorf("%w: start and end: give a time range to compare in", model.ErrInvalid)
	}
	if req.Selection == nil {
		return nil, fmt.Errorf("%w: selection is empty: say which rows to compare with the rest", model.ErrInvalid)
	}
	if req.SampleRows <= 0 {
		req.SampleRows = 20_000
	}
	req.SampleRows = min(req.SampleRows, maxSampleRows)
	if req.Limit <= 0 {
		req.Limit = 50
	}
	if req.SelectionRange.All() {
		req.SelectionRange = req.Range
	}
	inside := req.Selection // that of the baseline's range
	if req.SelectionRange != req.Range {
		inside = predicate.AllOf(req.Selection,
			predicate.Compare{Field: predicate.Intrinsic(predicate.Time), Op: predicate.Gte, Value: model.Int(req.SelectionRange.Start)},
			predicate.Compare{Field: predicate.Intrinsic(predicate.Time), Op: predicate.Lt, Value: model.Int(req.SelectionRange.End)})
	}
	stats := &model.QueryStats{}
	selected, rest, err := f.count(ctx, t, req, inside, stats)
	if err != nil {
		return nil, err
	}
	var sel, base *sampleCounts
	g, sctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { sel, err = f.sample(sctx, t, req, selected, stats); return err })
	g.Go(func() (err error) { base, err = f.sample(sctx, t, req, rest, stats); return err })
	if err := g.Wait(); err != nil {
		return nil, cmp.Or(ctx.Err(), err)
	}
	out := &OutlierAnswer{Outliers: rank(sel, base, req.Limit), SelectionRows: sel.rows, BaselineRows: base.rows,
		SelectionTotal: sel.total, BaselineTotal: base.total, Sampled: sel.cut || base.cut, Warnings: stats.Warnings()}
	for i := range out.Outliers {
		o := &out.Outliers[i]
		for _, side := range []*sampleCounts{sel, base} {
			if side.cut {
				out.Error = max(out.Error, interval*math.Sqrt(side.variance(o.Field, o.Value)))
			}
		}
	}
	return out, nil
}

// count counts both sides. The rest is what the baseline has more than the
// selection: counting every row costs next to nothing, counting those that a
// condition leaves out as much as looking for those that it finds.
func (f *Finder) count(ctx context.Context, t tenant.ID, req OutlierRequest, inside predicate.Expr, stats *model.QueryStats) (selected, rest side, err error) {
	selected = side{filter: req.Selection, r: req.SelectionRange}
	rest = side{filter: predicate.Not{X: inside}, r: req.Range}
	both := inside // rows of the selection that the baseline would have
	if req.Baseline != nil {
		rest.filter, both = predicate.AllOf(req.Baseline, rest.filter), predicate.AllOf(req.Baseline, inside)
	}
	shared := req.Baseline == nil && req.SelectionRange == req.Range
	var all, taken []int64
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		selected.counts, err = f.countStrata(gctx, t, req.Logs, selected.filter, selected.r, stats)
		return err
	})
	g.Go(func() (err error) {
		all, err = f.countStrata(gctx, t, req.Logs, predicate.AllOf(req.Baseline), req.Range, stats)
		return err
	})
	if !shared {
		g.Go(func() (err error) {
			taken, err = f.countStrata(gctx, t, req.Logs, both, req.Range, stats)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return selected, rest, cmp.Or(ctx.Err(), err)
	}
	if shared {
		taken = selected.counts
	}
	rest.counts = less(all, taken)
	return selected, rest, nil
}

// interval is how many standard errors reach to the end of a 95 % interval.
const interval = 1.959964

// rank compares shares by the z test for two proportions. A field whose values
// are nearly all different is an id: it is left out, it would always win.
func rank(sel, base *sampleCounts, limit int) []Outlier {
	if sel.rows == 0 || base.rows == 0 {
		return nil
	}
	fields := map[string]bool{}
	for name := range sel.fields {
		fields[name] = true
	}
	for name := range base.fields {
		fields[name] = true
	}
	var all []Outlier
	for field := range fields {
		values := map[string]bool{}
		for v := range sel.fields[field] {
			values[v] = true
		}
		for v := range base.fields[field] {
			values[v] = true
		}
		if total := sum(sel.fields[field]) + sum(base.fields[field]); int64(len(values))*2 > total && total > 20 {
			continue
		}
		for v := range values {
			o := Outlier{Field: field, Value: v, SelectionCount: sel.count(field, v), BaselineCount: base.count(field, v)}
			o.SelectionShare = float64(o.SelectionCount) / float64(sel.rows)
			o.BaselineShare = float64(o.BaselineCount) / float64(base.rows)
			o.Score = zScore(o.SelectionCount, sel.rows, o.BaselineCount, base.rows)
			se := math.Sqrt(sel.variance(field, v) + base.variance(field, v))
			o.Error = interval * se
			if z := (o.SelectionShare - o.BaselineShare) / se; se > 0 && math.Abs(z) < math.Abs(o.Score) {
				o.Score = z // the samples say less than as many independent rows would
			}
			all = append(all, o)
		}
	}
	// The level for which one in twenty answers, not one in twenty values, has
	// a value by chance.
	level := math.Sqrt2 * math.Erfinv(1-0.05/float64(max(1, len(all))))
	var out []Outlier
	for _, o := range all {
		if math.Abs(o.Score) >= level {
			out = append(out, o)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := &out[i], &out[j]
		if d := math.Abs(a.SelectionShare-a.BaselineShare) - math.Abs(b.SelectionShare-b.BaselineShare); math.Abs(d) > 1e-12 {
			return d > 0
		}
		return a.Field < b.Field || a.Field == b.Field && a.Value < b.Value
	})
	return out[:min(len(out), limit)]
}

func sum(m map[string]*tally) (n int64) {
	for _, t := range m {
		n += t.n
	}
	return n
}

// zScore is the pooled two-proportion z statistic.
func zScore(a, na, b, nb int64) float64 {
	p := float64(a+b) / float64(na+nb)
	se := math.Sqrt(p * (1 - p) * (1/float64(na) + 1/float64(nb)))
	if se == 0 {
		return 0
	}
	return (float64(a)/float64(na) - float64(b)/float64(nb)) / se
}
