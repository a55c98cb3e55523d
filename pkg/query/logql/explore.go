package logql

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// Explorer answers what a search page asks: records page by page, histograms,
// fields and their values, the records around one. It is safe for concurrent
// use.
type Explorer struct {
	source query.LogSource
	guard  Guard
	now    func() time.Time
}

// ExplorerOptions of an Explorer. Source is needed.
type ExplorerOptions struct {
	Source query.LogSource
	Guard  Guard
	Now    func() time.Time
}

// NewExplorer makes an explorer.
func NewExplorer(o ExplorerOptions) *Explorer {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Explorer{source: o.Source, guard: o.Guard, now: o.Now}
}

// Question selects the records that all of an Explorer's answers are about.
type Question struct {
	// Search is a search as ParseSearch reads it, or, beginning with '{', a
	// LogQL selection without stages that only rows can be tried on.
	Search string
	// Filter is joined with it by and; nil means True.
	Filter predicate.Expr
	// Start (inclusive) and End (exclusive); zero times mean all time.
	Start, End time.Time
}

// compile turns the question into a filter.
func (q *Question) compile() (predicate.Expr, model.TimeRange, error) {
	var tr model.TimeRange
	if !q.Start.IsZero() || !q.End.IsZero() {
		tr = model.TimeRange{Start: math.MinInt64, End: math.MaxInt64}
		if !q.Start.IsZero() {
			tr.Start = q.Start.UnixNano()
		}
		if !q.End.IsZero() {
			tr.End = q.End.UnixNano()
		}
		if tr.End < tr.Start {
			return nil, tr, fmt.Errorf("%w: end lies before start", model.ErrInvalid)
		}
	}
	var e predicate.Expr
	if strings.HasPrefix(strings.TrimSpace(q.Search), "{") {
		sel, err := ParseSelection(q.Search)
		if err != nil {
			return nil, tr, err
		}
		exact, ok := ExactFilter(sel)
		if !ok {
			return nil, tr, fmt.Errorf("%w: %q has stages that run behind the store: ask it as LogQL, or leave out parsers and comparisons of durations, sizes and addresses", model.ErrInvalid, q.Search)
		}
		e = exact
	} else {
		parsed, err := ParseSearch(q.Search)
		if err != nil {
			return nil, tr, err
		}
		e = parsed
	}
	return predicate.AllOf(e, q.Filter), tr, nil
}

// begin compiles a question and enters the guard.
func (x *Explorer) begin(ctx context.Context, t tenant.ID, q *Question, what string) (*asked, error) {
	e, tr, err := q.compile()
	if err != nil {
		return nil, err
	}
	a := &asked{ctx: ctx, tenant: t, filter: e, tr: tr, stats: &model.QueryStats{}, done: func(error) {}}
	if x.guard != nil {
		guarded, done, err := x.guard.Begin(ctx, t, "search", what+" "+q.Search)
		if err != nil {
			return nil, err
		}
		a.ctx, a.done = guarded, func(err error) { done(a.stats, err) }
	}
	return a, nil
}

// asked is a question at work.
type asked struct {
	ctx    context.Context
	tenant tenant.ID
	filter predicate.Expr
	tr     model.TimeRange
	stats  *model.QueryStats
	done   func(error)
	// resource, when not nil, is the only one whose records are wanted; the
	// filter alone would let through those with more attributes.
	resource *model.Resource
}

// Cursor is a place between records: behind the record of that time and
// sequence in the order asked for.
type Cursor struct {
	Time int64  `json:"time"`
	Seq  uint64 `json:"seq"`
}

// shown reports whether a record stands before the cursor or on it.
func (c *Cursor) shown(r *model.LogRow, order predicate.Order) bool {
	if r.Time != c.Time {
		return false
	}
	if order == predicate.OldestFirst {
		return r.Seq <= c.Seq
	}
	return r.Seq >= c.Seq
}

// Page is some records, and where the next page begins (nil at the end).
type Page struct {
	Rows     []model.LogRow
	Next     *Cursor
	Stats    *model.QueryStats
	Warnings []string
}

const (
	defaultPage = 100
	maxPage     = 10_000
)

func pageSize(n int) int {
	if n <= 0 {
		return defaultPage
	}
	return min(n, maxPage)
}

// Search returns a page of records. Paging is stable: a record that arrives
// while a client pages is never shown twice nor pushes another out.
func (x *Explorer) Search(ctx context.Context, t tenant.ID, q Question, order predicate.Order, limit int, after *Cursor) (page *Page, err error) {
	a, err := x.begin(ctx, t, &q, "search")
	if err != nil {
		return nil, err
	}
	defer func() { a.done(err) }()
	rows, more, err := x.rows(a, order, pageSize(limit), after)
	if err != nil {
		return nil, err
	}
	page = &Page{Rows: rows, Stats: a.stats, Warnings: a.stats.Warnings()}
	if n := len(rows); more && n > 0 {
		page.Next = &Cursor{rows[n-1].Time, rows[n-1].Seq}
	}
	return page, nil
}

// rows reads up to n records behind a cursor; more tells whether others follow.
func (x *Explorer) rows(a *asked, order predicate.Order, n int, after *Cursor) (out []model.LogRow, more bool, err error) {
	tr := a.tr
	if after != nil {
		if tr.All() {
			tr = model.TimeRange{Start: math.MinInt64, End: math.MaxInt64}
		}
		if order == predicate.OldestFirst {
			tr.Start = max(tr.Start, after.Time)
		} else if after.Time < math.MaxInt64 {
			tr.End = min(tr.End, after.Time+1)
		}
		if tr.Start >= tr.End {
			return nil, false, nil
		}
	}
	q := &predicate.LogQuery{Tenant: a.tenant, Range: tr, Filter: a.filter, Order: order, Stats: a.stats}
	if after == nil && a.resource == nil {
		q.Limit = n + 1
	}
	for rows, err := range x.source.SelectLogs(a.ctx, q) {
		if err != nil {
			return nil, false, fmt.Errorf("cannot read logs: %w", err)
		}
		for i := range rows {
			r := &rows[i]
			if after != nil && after.shown(r, order) || a.resource != nil && !equalResources(a.resource, r.Resource) {
				continue
			}
			if len(out) == n {
				return out, true, nil
			}
			out = append(out, *r)
		}
		if a.ctx.Err() != nil {
			return nil, false, context.Cause(a.ctx)
		}
	}
	return out, false, nil
}

// Around is the records before and after one, oldest first.
type Around struct {
	Before, After []model.LogRow
	Stats         *model.QueryStats
}

// Context returns the records around one: of the same resource when resource is
// not nil, and such as the question selects (its times are left out).
func (x *Explorer) Context(ctx context.Context, t tenant.ID, q Question, at Cursor, resource *model.Resource, before, after int) (out *Around, err error) {
	q.Start, q.End = time.Time{}, time.Time{}
	if resource != nil {
		q.Filter = predicate.AllOf(q.Filter, sameResource(resource))
	}
	a, err := x.begin(ctx, t, &q, "context")
	if err != nil {
		return nil, err
	}
	defer func() { a.done(err) }()
	a.resource = resource
	out = &Around{Stats: a.stats}
	if before > 0 {
		if out.Before, _, err = x.rows(a, predicate.NewestFirst, pageSize(before), &at); err != nil {
			return nil, err
		}
		slices.Reverse(out.Before)
	}
	if after > 0 {
		if out.After, _, err = x.rows(a, predicate.OldestFirst, pageSize(after), &at); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sameResource selects the records of a resource with all these attributes.
func sameResource(r *model.Resource) predicate.Expr {
	var parts []predicate.Expr
	for _, a := range r.Attrs {
		parts = append(parts, predicate.Compare{Field: predicate.Field{Scope: predicate.ScopeResource, Name: a.Key}, Op: predicate.Eq, Value: text(a.Value.Text()), Loose: true})
	}
	return predicate.AllOf(parts...)
}

// equalResources compares attributes, whatever their order.
func equalResources(a, b *model.Resource) bool {
	if a == b {
		return true
	}
	if b == nil || len(a.Attrs) != len(b.Attrs) {
		return false
	}
	for _, x := range a.Attrs {
		if v, ok := b.Attrs.Get(x.Key); !ok || v != x.Value {
			return false
		}
	}
	return true
}

// Bars is a histogram: counts by time bucket, for each value of a label.
type Bars struct {
	// Start is the first bucket's start and Step its width.
	Start time.Time
	Step  time.Duration
	Bars  []Bar
	Total int64
	Stats *model.QueryStats
}

// Bar is one value's counts; Value is "" for records that lack the label.
type Bar struct {
	Value  string  `json:"value"`
	Counts []int64 `json:"counts"`
	Total  int64   `json:"total"`
}

// niceSteps are the bucket widths that people read easily.
var niceSteps = []time.Duration{
	time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
}

// NiceStep returns the shortest easily read width that makes at most n buckets.
func NiceStep(span time.Duration, n int) time.Duration {
	for _, s := range niceSteps {
		if span/s < time.Duration(max(n, 1)) {
			return s
		}
	}
	return (span/time.Duration(max(n, 1))/time.Hour + 1) * time.Hour
}

const (
	defaultBars = 60
	maxBars     = 2000
	// maxBarValues bounds the values shown; the others are joined in "other".
	maxBarValues = 20
)

// Histogram counts records over time by a label's values ("" counts all,
// "level" by severity). buckets is how many there may be (0: 60); they are
// aligned to their width.
func (x *Explorer) Histogram(ctx context.Context, t tenant.ID, q Question, label string, buckets int) (out *Bars, err error) {
	if q.End.IsZero() {
		q.End = x.now()
	}
	if q.Start.IsZero() {
		q.Start = q.End.Add(-time.Hour)
	}
	if !q.End.After(q.Start) {
		return nil, fmt.Errorf("%w: end must lie behind start", model.ErrInvalid)
	}
	if buckets <= 0 {
		buckets = defaultBars
	}
	step := NiceStep(q.End.Sub(q.Start), min(buckets, maxBars))
	first := q.Start.Truncate(step)
	a, err := x.begin(ctx, t, &q, "histogram")
	if err != nil {
		return nil, err
	}
	defer func() { a.done(err) }()
	var names []string
	if label != "" {
		names = []string{label}
	}
	g := NewGroupBy(names)
	// The first bucket may begin before the range: the filter keeps out what
	// does not belong to it.
	filter := a.filter
	if first.UnixNano() < a.tr.Start {
		filter = predicate.AllOf(filter, predicate.Compare{Field: predicate.Intrinsic(predicate.Time), Op: predicate.Gte, Value: model.Int(a.tr.Start)})
	}
	agg, err := x.source.AggregateLogs(a.ctx, &predicate.Aggregation{
		Tenant: t, Range: model.TimeRange{Start: first.UnixNano(), End: a.tr.End}, Filter: filter, Step: int64(step), By: g.Fields, Stats: a.stats,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot count logs: %w", err)
	}
	out = &Bars{Start: first, Step: step, Stats: a.stats}
	out.fill(g, label, agg)
	return out, nil
}

func (b *Bars) fill(g *GroupBy, label string, agg *model.Aggregate) {
	index := map[string]int{}
	under := predicate.Underscore(label)
	for i := range agg.Groups {
		v := g.Labels(agg.Groups[i].Key).Get(under)
		at, ok := index[v]
		if !ok {
			at = len(b.Bars)
			index[v] = at
			b.Bars = append(b.Bars, Bar{Value: v, Counts: make([]int64, agg.Buckets)})
		}
		for k := range agg.Groups[i].Cells {
			n := int64(agg.Groups[i].Cells[k].Count)
			b.Bars[at].Counts[k] += n
			b.Bars[at].Total += n
			b.Total += n
		}
	}
	slices.SortFunc(b.Bars, func(x, y Bar) int { return cmp.Or(cmp.Compare(y.Total, x.Total), strings.Compare(x.Value, y.Value)) })
	if len(b.Bars) <= maxBarValues {
		return
	}
	other := Bar{Value: "other", Counts: make([]int64, agg.Buckets)}
	for _, x := range b.Bars[maxBarValues-1:] {
		other.Total += x.Total
		for k, n := range x.Counts {
			other.Counts[k] += n
		}
	}
	b.Bars = append(b.Bars[:maxBarValues-1], other)
}
