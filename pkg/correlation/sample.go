package correlation

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// strata cut the range. Each gives rows in proportion to what it has, from a
// place drawn at random, so that a bounded sample speaks for all of the range.
const strata = 64

// maxDistinct bounds the values counted of one field: beyond it a field is an
// id, and tells nothing.
const maxDistinct = 2000

// sampleCounts counts values by field over a sample of rows. Rows that lie side
// by side are alike, so the error of a share is taken from how much it differs
// between strata, and not from the number of rows alone.
type sampleCounts struct {
	rows    int64 // read
	total   int64 // that match, read or not
	cut     bool  // fewer were read than match
	fields  map[string]map[string]*tally
	touched []*tally // of the present stratum
	inside  int64    // rows read of the present stratum
	strata  int      // that gave rows
	nn      float64  // sum of the squares of the rows of a stratum
}

// tally is one value's count: in all, in the present stratum, and the sums that
// the spread over strata is computed from.
type tally struct {
	n, here int64
	cc, cn  float64 // sums over strata of count², count*rows
}

func newSampleCounts() *sampleCounts { return &sampleCounts{fields: map[string]map[string]*tally{}} }

func (c *sampleCounts) add(field, value string) {
	if len(value) > 256 {
		return // a text, not a category
	}
	m := c.fields[field]
	if m == nil {
		m = map[string]*tally{}
		c.fields[field] = m
	}
	t := m[value]
	if t == nil {
		if len(m) >= maxDistinct {
			return
		}
		t = &tally{}
		m[value] = t
	}
	if t.here == 0 {
		c.touched = append(c.touched, t)
	}
	t.n++
	t.here++
}

// endStratum takes the counts of the present stratum into the sums.
func (c *sampleCounts) endStratum() {
	if c.inside > 0 {
		c.strata++
		c.nn += float64(c.inside) * float64(c.inside)
	}
	for _, t := range c.touched {
		t.cc += float64(t.here) * float64(t.here)
		t.cn += float64(t.here) * float64(c.inside)
		t.here = 0
	}
	c.touched, c.inside = c.touched[:0], 0
}

func (c *sampleCounts) count(field, value string) int64 {
	if t := c.fields[field][value]; t != nil {
		return t.n
	}
	return 0
}

// variance returns the variance of the estimate of a value's share: of a ratio
// over the strata as clusters, and no less than that of independent rows. When
// every row was read, only the latter.
func (c *sampleCounts) variance(field, value string) float64 {
	if c.rows == 0 {
		return 0
	}
	n := float64(c.rows)
	t := c.fields[field][value]
	if t == nil {
		t = &tally{}
	}
	p := float64(t.n) / n
	own := p * (1 - p) / n
	if !c.cut || c.strata < 2 {
		return own
	}
	k := float64(c.strata)
	between := k / (k - 1) / (n * n) * (t.cc - 2*p*t.cn + p*p*c.nn)
	return max(own, between)
}

func (c *sampleCounts) attrs(prefix string, attrs model.Attrs) {
	for i := range attrs {
		c.add(prefix+attrs[i].Key, attrs[i].Value.Text())
	}
}

func (c *sampleCounts) addLog(l *model.LogRow) {
	c.rows++
	c.inside++
	c.add("level", l.Severity.Level())
	c.attrs("", l.Attrs)
	if l.Resource != nil {
		c.attrs("resource.", l.Resource.Attrs)
	}
}

func (c *sampleCounts) addSpan(s *model.SpanRow) {
	c.rows++
	c.inside++
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

// side is one of the two that are compared: which rows, and how many match in
// each stratum of a range.
type side struct {
	filter predicate.Expr
	r      model.TimeRange
	counts []int64
}

// less takes away the rows that are counted elsewhere. Data may come between two
// counts.
func less(all, some []int64) []int64 {
	out := make([]int64, len(all))
	for i := range all {
		out[i] = max(0, all[i]-some[i])
	}
	return out
}

// sample reads some rows of each stratum. A sample of the same question is the
// same.
func (f *Finder) sample(ctx context.Context, t tenant.ID, req OutlierRequest, s side, stats *model.QueryStats) (*sampleCounts, error) {
	out := newSampleCounts()
	filter, r, counts := s.filter, s.r, s.counts
	width := stratum(r)
	for _, n := range counts {
		out.total += n
	}
	out.cut = out.total > int64(req.SampleRows)
	rnd := rand.New(rand.NewPCG(uint64(r.Start), uint64(r.End)))
	for i, n := range counts {
		if n == 0 {
			continue
		}
		part := model.TimeRange{Start: r.Start + int64(i)*width, End: min(r.End, r.Start+int64(i+1)*width)}
		limit, at := int(n), part.End
		if out.cut {
			limit = max(1, int(math.Round(float64(req.SampleRows)*float64(n)/float64(out.total))))
			at = part.Start + 1 + rnd.Int64N(max(1, part.End-part.Start))
		}
		// Newest first from the place drawn, then, when these are too few, from
		// the end of the stratum.
		read, err := f.sampleSlice(ctx, t, req.Logs, filter, model.TimeRange{Start: part.Start, End: at}, limit, out, stats)
		if err == nil && read < limit && at < part.End {
			_, err = f.sampleSlice(ctx, t, req.Logs, filter, model.TimeRange{Start: at, End: part.End}, limit-read, out, stats)
		}
		if err != nil {
			return nil, err
		}
		out.endStratum()
	}
	out.cut = out.cut || out.rows < out.total
	return out, nil
}

// stratum is how long each of a range is, ns.
func stratum(r model.TimeRange) int64 { return (r.End - r.Start + strata - 1) / strata }

// countStrata counts the rows that match in each stratum, where they lie.
func (f *Finder) countStrata(ctx context.Context, t tenant.ID, logs bool, filter predicate.Expr, r model.TimeRange, stats *model.QueryStats) ([]int64, error) {
	q := &predicate.Aggregation{Tenant: t, Range: r, Filter: filter, Step: stratum(r), Stats: stats}
	ask := f.opts.Traces.AggregateSpans
	if logs {
		ask = f.opts.Logs.AggregateLogs
	}
	a, err := ask(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("cannot count rows: %w", err)
	}
	out := make([]int64, strata)
	for i := range a.Groups {
		for k := range a.Groups[i].Cells {
			if k < len(out) {
				out[k] += int64(a.Groups[i].Cells[k].Count)
			}
		}
	}
	return out, nil
}

func (f *Finder) sampleSlice(ctx context.Context, t tenant.ID, logs bool, filter predicate.Expr, r model.TimeRange, limit int, out *sampleCounts, stats *model.QueryStats) (n int, err error) {
	if r.End <= r.Start {
		return 0, nil
	}
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
