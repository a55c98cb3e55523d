package logql

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// rangeNeeds says what the aggregation above a range function needs of it, so
// that rows are grouped at once where that is the same.
type rangeNeeds struct {
	collapse bool      // series may be summed (or min, max) already by grouping
	grouping *Grouping // nil with collapse: into one series
	result   bool      // its series are the query's result: no more than that are wanted
}

// needsOf tells whether an aggregation may be done together with the range
// function below it: sum of sums, min of minima, max of maxima.
func needsOf(v *VectorAgg, r *RangeAgg) *rangeNeeds {
	same := false
	switch v.Op {
	case "sum":
		switch r.Op {
		case opCount, opRate, opBytes, opBytesRate, opSum:
			same = true
		}
	case "min":
		same = r.Op == opMin
	case "max":
		same = r.Op == opMax
	}
	if !same || r.Grouping != nil || v.Grouping != nil && v.Grouping.Without {
		return &rangeNeeds{}
	}
	return &rangeNeeds{collapse: true, grouping: v.Grouping}
}

// by returns the labels to group by; ok is false when series keep all labels.
func (n *rangeNeeds) by(r *RangeAgg) (labels []string, ok bool) {
	switch {
	case n.collapse && n.grouping == nil:
		return nil, true
	case n.collapse:
		return n.grouping.Labels, true
	case r.Op == opAbsent:
		return nil, true
	case r.Grouping != nil && !r.Grouping.Without:
		return r.Grouping.Labels, true
	}
	return nil, false
}

// window is the geometry of a range function: step i looks at (at(i)-width,
// at(i)]. Time is cut into buckets of bucket ns, the first beginning (open) at
// base; a window is perStep·i … perStep·i+perWindow-1.
type window struct {
	base, bucket       int64
	first, width, step int64
	perStep, perWindow int64
	buckets            int64
}

func (ev *evaluation) window(r *RangeAgg) window {
	w := window{first: ev.start - int64(r.Offset), width: int64(r.Range), step: ev.step}
	w.base = w.first - w.width
	if ev.steps == 1 {
		w.bucket, w.perStep, w.perWindow, w.buckets = w.width, 1, 1, 1
		return w
	}
	w.bucket = gcd(w.step, w.width)
	w.perStep, w.perWindow = w.step/w.bucket, w.width/w.bucket
	w.buckets = int64(ev.steps-1)*w.perStep + w.perWindow
	return w
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// timeRange is what the source must be asked for: (base, last window's end].
func (w *window) timeRange(steps int) model.TimeRange {
	return model.TimeRange{Start: w.base + 1, End: w.first + int64(steps-1)*w.step + 1}
}

// bucketOf returns the bucket of an instant; -1 when it lies in no window.
func (w *window) bucketOf(t int64) int64 {
	k := (t - w.base - 1) / w.bucket
	if t <= w.base || k >= w.buckets {
		return -1
	}
	if w.perStep > w.perWindow && k%w.perStep >= w.perWindow {
		return -1 // between two windows
	}
	return k
}

// bucketed is a series as the pieces of its windows, in order of bucket.
type bucketed struct {
	labels Labels
	at     []int64
	cells  []partial
}

func (b *bucketed) cell(k int64) *partial {
	if n := len(b.at); n > 0 && b.at[n-1] == k {
		return &b.cells[n-1]
	}
	b.at = append(b.at, k)
	b.cells = append(b.cells, partial{})
	return &b.cells[len(b.cells)-1]
}

// maxWindow bounds a range and an offset: see farPast.
const maxWindow = 50 * 365 * 24 * time.Hour

func (ev *evaluation) rangeAgg(ctx context.Context, r *RangeAgg, needs *rangeNeeds) (value, error) {
	if r.Range > maxWindow || max(r.Offset, -r.Offset) > maxWindow {
		return value{}, fmt.Errorf("%w: the range and the offset of %s may be at most %s long", model.ErrInvalid, r.Op, formatDuration(maxWindow))
	}
	w := ev.window(r)
	var groups []*bucketed
	push := (*pushed)(nil)
	if !ev.g.fullScan {
		push = planPush(r, needs)
	}
	done := false
	var err error
	if push != nil {
		if groups, done, err = ev.aggregate(ctx, push, r, needs, &w); err != nil {
			return value{}, err
		}
	}
	if push == nil && !ev.g.fullScan {
		if sp := planSplit(r, needs); sp != nil {
			if groups, done, err = ev.splitRange(ctx, sp, r, needs, &w); err != nil {
				return value{}, err
			}
		}
	}
	if !done {
		if groups, err = ev.rows(ctx, r, needs, &w, nil); err != nil {
			return value{}, err
		}
	}
	if r.Op == opAbsent {
		return ev.absent(r, groups, &w), nil
	}
	return ev.windows(ctx, r, groups, &w)
}

// rows streams the rows of the range that also satisfy extra (nil: all) through
// the pipeline into buckets.
func (ev *evaluation) rows(ctx context.Context, r *RangeAgg, needs *rangeNeeds, w *window, extra predicate.Expr) ([]*bucketed, error) {
	sel := r.Log
	if !ev.g.fullScan {
		sel = prunedSelection(r, needs)
	}
	filter, matchers, stages := ev.g.split(sel)
	s, err := newSampler(r, needs, matchers, stages)
	if err != nil {
		return nil, err
	}
	q := &predicate.LogQuery{Tenant: ev.tenant, Filter: predicate.AllOf(filter, extra), Range: w.timeRange(ev.steps), Order: predicate.OldestFirst, Stats: ev.stats}
	if !ev.g.fullScan {
		rd := readsOfRange(r, needs, matchers, stages)
		q.Project, s.pipe.e.want = rd.project(), rd.wanted()
	}
	groups := map[string]*bucketed{}
	var order []*bucketed
	limit := ev.g.limits.MaxInnerSeries
	if needs.result && r.Op != opAbsent {
		limit = min(limit, ev.g.limits.MaxSeries)
	}
	open := func(ctx context.Context) iter.Seq2[[]model.LogRow, error] { return ev.g.source.SelectLogs(ctx, q) }
	for rows, err := range prefetch(ctx, open) {
		if err != nil {
			return nil, fmt.Errorf("cannot read logs: %w", err)
		}
		held := 0
		for i := range rows {
			k := w.bucketOf(rows[i].Time)
			if k < 0 {
				continue
			}
			v, ok, err := s.sample(&rows[i])
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			b := groups[string(s.key)]
			if b == nil {
				if len(groups) >= limit {
					return nil, tooManySeries(r, limit)
				}
				b = &bucketed{labels: s.labels()}
				groups[string(s.key)] = b
				order = append(order, b)
			}
			before := len(b.cells)
			b.cell(k).add(rows[i].Time, v, s.keep)
			held += (len(b.cells) - before) * cellPoints
			if s.keep == keepValues {
				held++
			}
		}
		if err := ev.spend(held); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return order, nil
}

// cellPoints is what a partial costs of the budget of points.
const cellPoints = 8

// sampler turns rows into samples with the key of their series.
type sampler struct {
	r        *RangeAgg
	pipe     *pipeline
	keep     keepWhat
	by       []labelRef
	grouped  bool
	without  []string
	unwrap   labelRef
	after    []processor
	key      []byte
	e        *entry
	lastL    Labels
	lastKey  []byte
	preserve labelRef
}

func newSampler(r *RangeAgg, needs *rangeNeeds, matchers []*Matcher, stages []Stage) (*sampler, error) {
	pipe, err := newPipeline(matchers, stages)
	if err != nil {
		return nil, err
	}
	s := &sampler{r: r, pipe: pipe, preserve: refOf("__preserve_error__")}
	if r.Op == opQuantile {
		s.keep = keepValues
	}
	labels, ok := needs.by(r)
	s.by, s.grouped = refsOf(labels), ok
	if r.Grouping != nil && r.Grouping.Without {
		for _, l := range r.Grouping.Labels {
			s.without = append(s.without, predicate.Underscore(l))
		}
	}
	if r.Unwrap != nil {
		s.unwrap = refOf(r.Unwrap.Label)
		after, err := newPipeline(nil, r.Unwrap.After)
		if err != nil {
			return nil, err
		}
		s.after = after.stages
	}
	return s, nil
}

// sample runs a row through the pipeline and leaves its series' key in s.key.
func (s *sampler) sample(row *model.LogRow) (v float64, ok bool, err error) {
	e, ok := s.pipe.run(row)
	if !ok {
		return 0, false, nil
	}
	v, ok = s.measure(e)
	if !ok {
		return 0, false, nil
	}
	for _, p := range s.after {
		if !p.process(e) {
			return 0, false, nil
		}
	}
	if e.failed() && !s.excuses(e) {
		return 0, false, s.pipelineError(e)
	}
	s.e = e
	s.makeKey()
	return v, true, nil
}

// excuses reports whether an entry counts in spite of its error: when that was
// asked for, or when what a parser could not make of it is no label of the
// result, which has none.
func (s *sampler) excuses(e *entry) bool {
	unparsed := e.errKind == errJSON || e.errKind == errLogfmt
	return unparsed && s.grouped && len(s.by) == 0 || e.get(&s.preserve) != ""
}

func (s *sampler) measure(e *entry) (float64, bool) {
	switch s.r.Op {
	case opBytes, opBytesRate:
		return float64(len(e.line)), true
	}
	if s.r.Unwrap == nil {
		return 1, true
	}
	text := e.get(&s.unwrap)
	if text == "" {
		return 0, false
	}
	v, err := convertUnwrapped(s.r.Unwrap.Conversion, text)
	if err != nil {
		e.fail(errSample, err.Error())
	}
	return v, true
}

func convertUnwrapped(conversion, text string) (float64, error) {
	switch conversion {
	case "duration", "duration_seconds":
		d, err := parseDuration(text)
		return d.Seconds(), err
	case "bytes":
		return parseBytes(text)
	}
	return strconv.ParseFloat(text, 64)
}

func (s *sampler) pipelineError(e *entry) error {
	return fmt.Errorf("%w: pipeline error %s (%s) for a line of %s: skip such lines with | __error__!=%q, or all errors with | __error__=\"\" behind the stage that fails",
		model.ErrInvalid, e.errKind, e.errDetails, e.streamLabels(), e.errKind)
}

func (s *sampler) makeKey() {
	if s.grouped {
		s.key = s.key[:0]
		for i := range s.by {
			s.key = append(append(s.key, s.e.get(&s.by[i])...), 0xff)
		}
		return
	}
	ls := s.e.seriesLabels(s.unwrap.under)
	if len(s.without) > 0 {
		ls = ls.only(s.without, true)
	}
	if len(ls) > 0 && len(ls) == len(s.lastL) && &ls[0] == &s.lastL[0] {
		s.key = s.lastKey
		return
	}
	s.lastKey = ls.appendKey(s.lastKey[:0])
	s.lastL, s.key = ls, s.lastKey
}

// labels returns the labels of the series of the last sample.
func (s *sampler) labels() Labels {
	if !s.grouped {
		return s.lastL
	}
	out := make(Labels, 0, len(s.by))
	for i := range s.by {
		out = append(out, Label{s.by[i].under, s.e.get(&s.by[i])})
	}
	return sortLabels(out)
}

// windows joins buckets into the value of every step.
func (ev *evaluation) windows(ctx context.Context, r *RangeAgg, groups []*bucketed, w *window) (value, error) {
	var out value
	for i, b := range groups {
		if i%256 == 0 && ctx.Err() != nil {
			return value{}, context.Cause(ctx)
		}
		s := series{labels: b.labels}
		if r.Op == opQuantile {
			if err := ev.quantiles(ctx, &s, b, r.Param, w); err != nil {
				return value{}, err
			}
		} else {
			ev.slide(&s, b, r, w)
		}
		if err := ev.spend(len(s.pts)); err != nil {
			return value{}, err
		}
		out.series = append(out.series, s)
	}
	return out, nil
}

// single is slide where a window is one bucket.
func (ev *evaluation) single(s *series, b *bucketed, r *RangeAgg, w *window) {
	s.pts = make([]pt, 0, len(b.at))
	for i, k := range b.at {
		step := k / w.perStep
		if k%w.perStep != 0 || step >= int64(ev.steps) || b.cells[i].count == 0 {
			continue
		}
		to := w.first + step*w.step
		if v, ok := b.cells[i].value(r.Op, r.Unwrap != nil, to-w.width, to); ok {
			s.pts = append(s.pts, pt{int32(step), v})
		}
	}
}

// slide moves the window over the buckets. The window is kept as two stacks of
// partials, so that every bucket is joined twice however many windows hold it.
func (ev *evaluation) slide(s *series, b *bucketed, r *RangeAgg, w *window) {
	if w.perWindow == 1 {
		ev.single(s, b, r, w)
		return
	}
	var front []partial // front[i] is the join of the front's oldest i.. pieces
	var frontAt []int64
	var back partial
	backFrom, next := 0, 0
	for i := range ev.steps {
		lo := int64(i) * w.perStep
		hi := lo + w.perWindow
		for next < len(b.at) && b.at[next] < hi {
			back = back.merge(&b.cells[next])
			next++
		}
		for len(front) > 0 && frontAt[len(frontAt)-1] < lo {
			front, frontAt = front[:len(front)-1], frontAt[:len(frontAt)-1]
		}
		if len(front) == 0 {
			for backFrom < next && b.at[backFrom] < lo {
				backFrom++
			}
			var acc partial
			for k := next - 1; k >= backFrom; k-- {
				acc = b.cells[k].merge(&acc)
				front, frontAt = append(front, acc), append(frontAt, b.at[k])
			}
			back, backFrom = partial{}, next
		}
		var all partial
		if len(front) > 0 {
			all = front[len(front)-1]
		}
		all = all.merge(&back)
		if all.count == 0 {
			continue
		}
		to := w.first + int64(i)*w.step
		if v, ok := all.value(r.Op, r.Unwrap != nil, to-w.width, to); ok {
			s.pts = append(s.pts, pt{int32(i), v})
		}
	}
}

// maxQuantileWork bounds the values sorted for exact quantiles of overlapping
// windows; beyond it they are estimated to 1 %.
const maxQuantileWork = 20_000_000

func (ev *evaluation) quantiles(ctx context.Context, s *series, b *bucketed, q float64, w *window) error {
	n := 0
	for i := range b.cells {
		n += len(b.cells[i].values)
	}
	if int64(n)*(w.perWindow/max(w.perStep, 1)+1) > maxQuantileWork {
		for i := range b.cells {
			c := &b.cells[i]
			for _, v := range c.values {
				if c.sketch == nil {
					c.sketch = &model.Sketch{}
				}
				c.sketch.Add(v, 1)
			}
			c.values = nil
		}
	}
	var values []float64
	from := 0
	for i := range ev.steps {
		if i%64 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		lo := int64(i) * w.perStep
		for from < len(b.at) && b.at[from] < lo {
			from++
		}
		values = values[:0]
		var sketch model.Sketch
		for k := from; k < len(b.at) && b.at[k] < lo+w.perWindow; k++ {
			values = append(values, b.cells[k].values...)
			if b.cells[k].sketch != nil {
				sketch.Merge(b.cells[k].sketch)
			}
		}
		switch {
		case len(values) > 0:
			s.pts = append(s.pts, pt{int32(i), quantileOf(q, values)})
		case sketch.Total > 0:
			s.pts = append(s.pts, pt{int32(i), sketch.Quantile(q)})
		}
	}
	return nil
}

// absent is 1 where a window has no sample, with the labels that the selector
// says by equality.
func (ev *evaluation) absent(r *RangeAgg, groups []*bucketed, w *window) value {
	var present series
	for _, b := range groups {
		ev.slide(&present, b, r, w)
	}
	has := make([]bool, ev.steps)
	for _, p := range present.pts {
		has[p.step] = true
	}
	var ls Labels
	count := map[string]int{}
	for _, m := range r.Log.Matchers {
		count[m.ref.under]++
	}
	for _, m := range r.Log.Matchers {
		if m.Op == "=" && count[m.ref.under] == 1 {
			ls = append(ls, Label{m.ref.under, m.Value})
		}
	}
	s := series{labels: sortLabels(slices.Clone(ls))}
	for i := range has {
		if !has[i] {
			s.pts = append(s.pts, pt{int32(i), 1})
		}
	}
	if len(s.pts) == 0 {
		return value{}
	}
	return value{series: []series{s}}
}
