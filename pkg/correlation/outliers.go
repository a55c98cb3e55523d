package correlation

import (
	"context"
	"fmt"
	"math"
	"sort"

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
	// SampleRows bounds the rows read of each side; 0 means 20,000.
	SampleRows int
}

// Outlier is one attribute value that the selection has more, or less, often.
type Outlier struct {
	Field                         string
	Value                         string
	SelectionCount, BaselineCount int64
	SelectionShare, BaselineShare float64
	// Score is the z statistic of the difference of the two shares, signed. The
	// ranking is by the difference itself, of those whose score is significant:
	// with many rows everything is significant, and a difference is what explains.
	Score float64
}

// OutlierAnswer ranks values by the difference of their shares.
type OutlierAnswer struct {
	Outliers                    []Outlier
	SelectionRows, BaselineRows int64
	Sampled                     bool
	// Error is the half width of the 95 % interval of a share, at its widest,
	// when rows were sampled.
	Error    float64
	Warnings []string
}

// slices cut the range, so that a bounded sample comes from all of it and not
// only from its newest part.
const sampleSlices = 16

// maxDistinct bounds the values counted of one field: beyond it a field is an
// id, and tells nothing.
const maxDistinct = 2000

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
	if req.Limit <= 0 {
		req.Limit = 50
	}
	if req.SelectionRange.All() {
		req.SelectionRange = req.Range
	}
	rest := predicate.Expr(predicate.Not{X: req.Selection})
	if req.SelectionRange != req.Range {
		inside := predicate.AllOf(req.Selection,
			predicate.Compare{Field: predicate.Intrinsic(predicate.Time), Op: predicate.Gte, Value: model.Int(req.SelectionRange.Start)},
			predicate.Compare{Field: predicate.Intrinsic(predicate.Time), Op: predicate.Lt, Value: model.Int(req.SelectionRange.End)})
		rest = predicate.Not{X: inside}
	}
	if req.Baseline != nil {
		rest = predicate.AllOf(req.Baseline, rest)
	}
	stats := &model.QueryStats{}
	sel, err := f.sample(ctx, t, req, req.Selection, req.SelectionRange, stats)
	if err != nil {
		return nil, err
	}
	base, err := f.sample(ctx, t, req, rest, req.Range, stats)
	if err != nil {
		return nil, err
	}
	out := &OutlierAnswer{Outliers: rank(sel, base, req.Limit), SelectionRows: sel.rows, BaselineRows: base.rows,
		Sampled: sel.cut || base.cut, Warnings: stats.Warnings()}
	if out.Sampled {
		n := float64(max(1, min(sel.rows, base.rows)))
		out.Error = 1.96 * math.Sqrt(0.25/n)
	}
	return out, nil
}

// sampleCounts counts values by field over a sample of rows.
type sampleCounts struct {
	rows   int64
	cut    bool // more rows match than were read
	fields map[string]map[string]int64
}

func (c *sampleCounts) add(field, value string) {
	if len(value) > 256 {
		return // a text, not a category
	}
	m := c.fields[field]
	if m == nil {
		m = map[string]int64{}
		c.fields[field] = m
	}
	if _, known := m[value]; known || len(m) < maxDistinct {
		m[value]++
	}
}

func (c *sampleCounts) attrs(prefix string, attrs model.Attrs) {
	for i := range attrs {
		c.add(prefix+attrs[i].Key, attrs[i].Value.Text())
	}
}

func (f *Finder) sample(ctx context.Context, t tenant.ID, req OutlierRequest, filter predicate.Expr, r model.TimeRange, stats *model.QueryStats) (*sampleCounts, error) {
	out := &sampleCounts{fields: map[string]map[string]int64{}}
	width := (r.End - r.Start + sampleSlices - 1) / sampleSlices
	per := max(1, req.SampleRows/sampleSlices)
	for i := range int64(sampleSlices) {
		part := model.TimeRange{Start: r.Start + i*width, End: min(r.End, r.Start+(i+1)*width)}
		if part.End <= part.Start {
			break
		}
		n, err := f.sampleSlice(ctx, t, req.Logs, filter, part, per, out, stats)
		if err != nil {
			return nil, err
		}
		out.cut = out.cut || n >= per
	}
	return out, nil
}

func (f *Finder) sampleSlice(ctx context.Context, t tenant.ID, logs bool, filter predicate.Expr, r model.TimeRange, limit int, out *sampleCounts, stats *model.QueryStats) (n int, err error) {
	if logs {
		q := &predicate.LogQuery{Tenant: t, Range: r, Filter: filter, Limit: limit, Stats: stats}
		for batch, err := range f.opts.Logs.SelectLogs(ctx, q) {
			if err != nil {
				return n, fmt.Errorf("cannot sample logs: %w", err)
			}
			for i := range batch {
				out.addLog(&batch[i])
			}
			n += len(batch)
		}
		return n, nil
	}
	q := &predicate.SpanQuery{Tenant: t, Range: r, Filters: []predicate.Expr{filter}, Limit: limit, Stats: stats}
	for m, err := range f.opts.Traces.SelectSpans(ctx, q) {
		if err != nil {
			return n, fmt.Errorf("cannot sample spans: %w", err)
		}
		for i := range m.Spans {
			if n < limit {
				out.addSpan(&m.Spans[i])
				n++
			}
		}
		if n >= limit {
			break
		}
	}
	return n, nil
}

func (c *sampleCounts) addLog(l *model.LogRow) {
	c.rows++
	c.add("level", l.Severity.Level())
	c.attrs("", l.Attrs)
	if l.Resource != nil {
		c.attrs("resource.", l.Resource.Attrs)
	}
}

func (c *sampleCounts) addSpan(s *model.SpanRow) {
	c.rows++
	c.add("name", s.Name)
	c.add("kind", s.Kind.String())
	c.add("status", s.Status.String())
	if s.StatusMessage != "" {
		c.add("statusMessage", s.StatusMessage)
	}
	c.attrs("span.", s.Attrs)
	if s.Resource != nil {
		c.attrs("resource.", s.Resource.Attrs)
	}
	for i := range s.Events {
		c.add("event:name", s.Events[i].Name)
	}
}

// rank compares shares by the z test for two proportions. A field whose values
// are nearly all different is an id: it is left out, it would always win.
func rank(sel, base *sampleCounts, limit int) []Outlier {
	var out []Outlier
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
			o := Outlier{Field: field, Value: v, SelectionCount: sel.fields[field][v], BaselineCount: base.fields[field][v]}
			o.SelectionShare = float64(o.SelectionCount) / float64(sel.rows)
			o.BaselineShare = float64(o.BaselineCount) / float64(base.rows)
			o.Score = zScore(o.SelectionCount, sel.rows, o.BaselineCount, base.rows)
			if math.Abs(o.Score) >= 1.96 { // the 95 % level: less is noise
				out = append(out, o)
			}
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

func sum(m map[string]int64) (n int64) {
	for _, c := range m {
		n += c
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
