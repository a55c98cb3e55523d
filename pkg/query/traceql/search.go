package traceql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// Params of a search.
type Params struct {
	Query string
	// Range selects spans by start; zero means all time.
	Range model.TimeRange
	Limit int // traces, 0 means 20
	// SpansPerSet bounds the spans returned of a spanset; 0 means 3, negative
	// means all.
	SpansPerSet int
	Order       predicate.Order
	// SortBy orders by the highest value of a field among the matching spans
	// instead, highest first (by the lowest, lowest first, when Ascending). All
	// matching traces are then looked at.
	SortBy    *Field
	Ascending bool
	// OnTrace, when set, is given each trace as it is found; an error ends the
	// search.
	OnTrace func(*TraceResult) error
}

// SearchResult is the answer of a search, in the order asked for.
type SearchResult struct {
	Traces []*TraceResult
	// Inspected counts the traces that the source returned.
	Inspected int
	Stats     *model.QueryStats
}

// TraceResult is one trace that answers.
type TraceResult struct {
	ID          model.TraceID
	RootService string
	RootName    string // "" while the root span is not there
	Start       int64  // Unix ns
	Duration    int64  // ns
	Services    map[string]model.ServiceStats
	SpanSets    []SpanSet
}

// SpanSet is one spanset of a trace. Attrs are its groups and aggregates.
type SpanSet struct {
	Spans   []SpanResult
	Matched int // spans in the set; Spans may hold fewer
	Attrs   model.Attrs
}

// SpanResult is one span with the fields that the query names.
type SpanResult struct {
	ID       model.SpanID
	Name     string
	Service  string
	Start    int64 // Unix ns
	Duration int64 // ns
	Attrs    model.Attrs
}

// matchedShown bounds the spans a source returns of one trace when they are
// only shown and counted; the count then comes from TraceMatch.Matched.
const matchedShown = 1000

var errMetrics = fmt.Errorf("%w: this is a metrics query: ask /api/metrics/query_range", model.ErrInvalid)

// Search answers a query with the traces that match.
func (e *Engine) Search(ctx context.Context, t tenant.ID, p Params) (res *SearchResult, err error) {
	q, err := Parse(p.Query)
	if err != nil {
		return nil, err
	}
	if q.Metrics != nil || q.Math != nil {
		return nil, errMetrics
	}
	if err := p.normalise(q, e.limits); err != nil {
		return nil, err
	}
	plan, err := newPlan(q, p.SortBy)
	if err != nil {
		return nil, err
	}
	ctx, done, err := e.begin(ctx, t, p.Query)
	if err != nil {
		return nil, err
	}
	res = &SearchResult{Stats: &model.QueryStats{}}
	defer func() { done(res.Stats, err) }()
	return res, e.search(ctx, t, plan, p, res)
}

func (p *Params) normalise(q *Query, l Limits) error {
	if p.Limit <= 0 {
		p.Limit = 20
	}
	if p.Limit > l.MaxTraces {
		return fmt.Errorf("%w: limit %d: at most %d traces can be asked for", model.ErrInvalid, p.Limit, l.MaxTraces)
	}
	if p.SpansPerSet == 0 {
		p.SpansPerSet = 3
	}
	if h, ok := q.Hint("sort"); ok {
		f, err := ParseField(strings.TrimPrefix(h.Value.Text(), "-"))
		if err != nil {
			return fmt.Errorf("%w: hint sort=%s: expected an attribute or an intrinsic in quotes, such as \"span.http.response.body.size\", with - before it for the lowest first", model.ErrInvalid, h)
		}
		p.SortBy, p.Ascending = &f, strings.HasPrefix(h.Value.Text(), "-")
	}
	if h, ok := q.Hint("order"); ok {
		switch h.Value.Text() {
		case "newest":
			p.Order = predicate.NewestFirst
		case "oldest":
			p.Order = predicate.OldestFirst
		case "longest":
			p.Order = predicate.LongestFirst
		default:
			return fmt.Errorf("%w: hint order=%s: expected \"newest\", \"oldest\" or \"longest\"", model.ErrInvalid, h)
		}
	}
	return nil
}

func (e *Engine) search(ctx context.Context, t tenant.ID, plan *Plan, p Params, res *SearchResult) error {
	q := plan.spanQuery()
	q.Tenant, q.Range, q.Order, q.Stats = t, p.Range, p.Order, res.Stats
	if plan.pushed && p.SortBy == nil {
		q.Limit = p.Limit
		if p.SpansPerSet > 0 {
			q.SpansPerTrace = max(p.SpansPerSet, matchedShown)
		}
	}
	budget := spanBudget{left: e.limits.MaxSpans, limit: e.limits.MaxSpans}
	seen := map[model.TraceID]bool{}
	var best *ranking
	if p.SortBy != nil {
		best = &ranking{limit: p.Limit, ascending: p.Ascending}
		defer func() { res.Traces = best.sorted() }()
	}
	for m, err := range e.source.SelectSpans(ctx, q) {
		if err != nil {
			return fmt.Errorf("cannot search traces: %w", cause(ctx, err))
		}
		res.Inspected++
		if err := budget.spend(len(m.Spans)); err != nil {
			return err
		}
		if seen[m.Facts.ID] {
			continue
		}
		tr, rank := plan.result(m, &p)
		if tr == nil {
			continue
		}
		if best != nil {
			best.add(tr, rank)
			continue
		}
		seen[tr.ID] = true
		res.Traces = append(res.Traces, tr)
		if p.OnTrace != nil {
			if err := p.OnTrace(tr); err != nil {
				return err
			}
		}
		if len(res.Traces) == p.Limit {
			return nil
		}
	}
	return ctx.Err()
}

// cause prefers why a context ended over that it did.
func cause(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		if c := context.Cause(ctx); c != nil {
			return c
		}
	}
	return err
}

// spanBudget bounds the spans that one query evaluates.
type spanBudget struct{ left, limit int }

func (b *spanBudget) spend(n int) error {
	if b.left -= n; b.left < 0 {
		return fmt.Errorf("%w: the query looked at more than %d spans: narrow the time range or the span filters", model.ErrTooMuch, b.limit)
	}
	return nil
}

// result evaluates one trace; nil when it does not answer. rank is the highest
// (lowest, when ascending) value among its spans of the field to sort by.
func (p *Plan) result(m *model.TraceMatch, params *Params) (tr *TraceResult, rank model.Value) {
	s := &scene{spans: m.Spans, facts: &m.Facts}
	sets := p.evaluate(s)
	if len(sets) == 0 {
		return nil, rank
	}
	tr = &TraceResult{ID: m.Facts.ID, RootService: m.Facts.RootService, RootName: m.Facts.RootName,
		Start: m.Facts.Start, Duration: max(0, m.Facts.End-m.Facts.Start), Services: m.Facts.Services}
	for _, set := range sets {
		ss := SpanSet{Matched: len(set.spans), Attrs: set.attrs}
		if p.pushed && m.Matched > ss.Matched {
			ss.Matched = m.Matched
		}
		for _, i := range set.spans {
			if params.SortBy != nil {
				rank = params.rank(s, int(i), rank)
			}
			if len(ss.Spans) != params.SpansPerSet {
				ss.Spans = append(ss.Spans, p.spanResult(s, int(i)))
			} else if params.SortBy == nil {
				break
			}
		}
		tr.SpanSets = append(tr.SpanSets, ss)
	}
	return tr, rank
}

// rank returns the better of a rank and the values of span i.
func (p *Params) rank(s *scene, i int, rank model.Value) model.Value {
	s.lookup(*p.SortBy, i, func(v model.Value) bool {
		c := compareRanks(v, rank)
		if rank.Kind() == model.KindEmpty || c > 0 && !p.Ascending || c < 0 && p.Ascending {
			rank = v
		}
		return true
	})
	return rank
}

// wanted returns the first value of a field of span i that a comparison of the
// query holds for, else the first.
func (p *Plan) wanted(s *scene, f Field, i int) (v model.Value, ok bool) {
	if tests := p.tests[f]; len(tests) > 0 {
		s.lookup(f, i, func(x model.Value) bool {
			ok = slices.ContainsFunc(tests, func(t Binary) bool {
				return s.comparison(Binary{Op: t.Op, L: Static{Value: x}, R: t.R}, i)
			})
			v = x
			return !ok
		})
		if ok {
			return v, true
		}
	}
	return s.first(f, i)
}

func (p *Plan) spanResult(s *scene, i int) SpanResult {
	row := &s.spans[i]
	out := SpanResult{ID: row.SpanID, Name: row.Name, Service: row.Resource.Service(), Start: row.Start, Duration: row.Duration()}
	for _, f := range p.shown {
		v, ok := p.wanted(s, f, i)
		if !ok {
			continue
		}
		if f.typ() == TypeDuration {
			v = model.String(time.Duration(v.AsInt()).String())
		}
		if _, dup := out.Attrs.Get(f.Key()); !dup {
			out.Attrs = append(out.Attrs, model.Attr{Key: f.Key(), Value: v})
		}
	}
	return out
}
