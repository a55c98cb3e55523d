package correlation

import (
	"context"
	"fmt"
	"math"
	"sort"

	commonmodel "github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// BehindRequest asks for the requests behind a number: a PromQL expression
// over a window.
type BehindRequest struct {
	PromQL string
	// Filter, when PromQL is empty, selects spans instead.
	Filter predicate.Expr
	Range  model.TimeRange
	Limit  int // 0 means 20
}

// Behind is one request with its part in the number.
type Behind struct {
	Request RequestSummary
	Value   float64 // the exemplar's, or the duration in seconds
	Reason  string  // exemplar, failed, slow
	Series  []model.Label
}

// BehindAnswer is a ranked list. Source tells where it comes from: "exemplars",
// or "spans" when the series have none in the window.
type BehindAnswer struct {
	Requests []Behind
	Source   string
	Warnings []string
}

// maxBehind bounds what one call may ask for.
const maxBehind = 1000

// RequestsBehind names the requests behind a series, a point or a range: those
// of the stored exemplars, the largest values first; where there are none, the
// requests whose spans match the series' labels, failed then slow ones first.
func (f *Finder) RequestsBehind(ctx context.Context, t tenant.ID, req BehindRequest) (*BehindAnswer, error) {
	if req.Limit <= 0 {
		req.Limit = 20
	}
	req.Limit = min(req.Limit, maxBehind)
	stats := &model.QueryStats{}
	out := &BehindAnswer{Source: "spans"}
	filter := req.Filter
	if req.PromQL != "" {
		selectors, err := Selectors(req.PromQL)
		if err != nil {
			return nil, err
		}
		if out.Requests, err = f.fromExemplars(ctx, t, selectors, req, stats); err != nil {
			return nil, err
		}
		if len(out.Requests) > 0 {
			out.Source = "exemplars"
			out.Warnings = stats.Warnings()
			return out, nil
		}
		filter = spanFilter(selectors)
	}
	var err error
	out.Requests, err = f.fromSpans(ctx, t, filter, req, stats)
	out.Warnings = stats.Warnings()
	return out, err
}

// Selectors returns the label matchers of every vector selector of a PromQL
// expression.
func Selectors(expr string) ([][]*labels.Matcher, error) {
	e, err := parser.NewParser(parser.Options{EnableExperimentalFunctions: true}).ParseExpr(expr)
	if err != nil {
		return nil, fmt.Errorf("%w: promql: %w", model.ErrInvalid, err)
	}
	var out [][]*labels.Matcher
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			out = append(out, v.LabelMatchers)
		}
		return nil
	})
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: promql %q names no series", model.ErrInvalid, expr)
	}
	return out, nil
}

func (f *Finder) fromExemplars(ctx context.Context, t tenant.ID, selectors [][]*labels.Matcher, req BehindRequest, stats *model.QueryStats) ([]Behind, error) {
	q := &query.ExemplarQuery{Tenant: t, Range: req.Range, Stats: stats}
	for _, ms := range selectors {
		var set []query.LabelMatcher
		for _, m := range ms {
			set = append(set, query.LabelMatcher{Name: m.Name, Op: m.Type.String(), Value: m.Value})
		}
		q.Series = append(q.Series, set)
	}
	best := map[model.TraceID]*Behind{}
	for batch, err := range f.opts.Metrics.Exemplars(ctx, q) {
		if err != nil {
			return nil, fmt.Errorf("cannot read exemplars: %w", err)
		}
		for i := range batch {
			e := &batch[i]
			if e.TraceID.IsZero() {
				continue
			}
			if b := best[e.TraceID]; b == nil || e.Value > b.Value {
				best[e.TraceID] = &Behind{Value: e.Value, Reason: "exemplar", Series: e.Series,
					Request: RequestSummary{TraceID: e.TraceID, Start: e.Time}}
			}
		}
	}
	out := make([]Behind, 0, len(best))
	for _, b := range best {
		out = append(out, *b)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := &out[i], &out[j]
		if a.Value != b.Value && !math.IsNaN(a.Value) && !math.IsNaN(b.Value) {
			return a.Value > b.Value
		}
		return a.Request.TraceID.String() < b.Request.TraceID.String()
	})
	out = out[:min(len(out), req.Limit)]
	return out, f.fillSummaries(ctx, t, out, stats)
}

// fillSummaries replaces what an exemplar knows of its request by what the
// spans know.
func (f *Finder) fillSummaries(ctx context.Context, t tenant.ID, rows []Behind, stats *model.QueryStats) error {
	spec := f.opts.KeySpec()
	for i := range rows {
		m := model.TraceMatch{}
		for batch, err := range f.opts.Traces.Trace(ctx, t, rows[i].Request.TraceID, stats) {
			if err != nil {
				return fmt.Errorf("cannot read trace %s: %w", rows[i].Request.TraceID, err)
			}
			for k := range batch {
				m.Facts.Add(&batch[k])
			}
			if m.Spans = append(m.Spans, batch...); len(m.Spans) >= f.opts.MaxRows {
				break
			}
		}
		if len(m.Spans) > 0 {
			rows[i].Request = summarise(spec, &m)
		}
	}
	return nil
}

// seriesFields tells which span field a well-known label names, where turning
// dots into underscores does not.
var seriesFields = map[string]predicate.Field{
	"service":     {Scope: predicate.ScopeResource, Name: "service.name"},
	"span_name":   predicate.Intrinsic(predicate.Name),
	"operation":   predicate.Intrinsic(predicate.Name),
	"server":      {Scope: predicate.ScopeResource, Name: "service.name"},
	"client":      {Scope: predicate.ScopeResource, Name: "service.name"},
	"route":       {Scope: predicate.ScopeAny, Name: "http.route"},
	"method":      {Scope: predicate.ScopeAny, Name: "http.request.method"},
	"status_code": {Scope: predicate.ScopeAny, Name: "http.response.status_code"},
	"code":        {Scope: predicate.ScopeAny, Name: "http.response.status_code"},
}

// ignoredLabels say nothing of a request.
var ignoredLabels = map[string]bool{commonmodel.MetricNameLabel: true, "le": true, "quantile": true, "instance": true, "otel_scope_name": true, "otel_scope_version": true}

// spanFilter turns series selectors into a condition on spans: a label names
// the attribute that Prometheus would spell so.
func spanFilter(selectors [][]*labels.Matcher) predicate.Expr {
	var any predicate.Or
	for _, ms := range selectors {
		var all []predicate.Expr
		for _, m := range ms {
			if ignoredLabels[m.Name] {
				continue
			}
			all = append(all, matcherFilter(m))
		}
		any = append(any, predicate.AllOf(all...))
	}
	return any
}

func matcherFilter(m *labels.Matcher) predicate.Expr {
	field, ok := seriesFields[m.Name]
	if !ok {
		field = predicate.Field{Scope: predicate.ScopeAny, Name: m.Name, Underscored: true}
	}
	if m.Name == "job" { // namespace/name, or name alone
		field = predicate.Field{Scope: predicate.ScopeResource, Name: "service.name"}
		if i := lastSlash(m.Value); i >= 0 && (m.Type == labels.MatchEqual || m.Type == labels.MatchNotEqual) {
			m = labels.MustNewMatcher(m.Type, m.Name, m.Value[i+1:])
		}
	}
	var x predicate.Expr
	switch m.Type {
	case labels.MatchEqual, labels.MatchNotEqual:
		x = predicate.Compare{Field: field, Op: predicate.Eq, Value: model.String(m.Value), Loose: true}
		if m.Value == "" {
			x = predicate.Not{X: predicate.Exists{Field: field}}
		}
	default:
		re, err := predicate.NewMatch(field, m.Value)
		if err != nil {
			return predicate.True{} // the PromQL parser has accepted it: cannot be
		}
		x = re
	}
	if m.Type == labels.MatchNotEqual || m.Type == labels.MatchNotRegexp {
		return predicate.Not{X: x}
	}
	return x
}

func lastSlash(s string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return i
		}
	}
	return -1
}

// fromSpans ranks the requests whose spans match: failed ones, then the
// slowest.
func (f *Finder) fromSpans(ctx context.Context, t tenant.ID, filter predicate.Expr, req BehindRequest, stats *model.QueryStats) ([]Behind, error) {
	spec := f.opts.KeySpec()
	if filter == nil {
		filter = predicate.True{}
	}
	failed := predicate.Compare{Field: predicate.Intrinsic(predicate.Status), Op: predicate.Eq, Value: model.String("error")}
	seen := map[model.TraceID]bool{}
	var out []Behind
	passes := []struct {
		filter predicate.Expr
		reason string
		limit  int
	}{{predicate.AllOf(filter, failed), "failed", (req.Limit + 1) / 2}, {filter, "slow", req.Limit}}
	for _, p := range passes {
		q := &predicate.SpanQuery{Tenant: t, Range: req.Range, Filters: []predicate.Expr{p.filter}, Order: predicate.LongestFirst,
			Limit: p.limit, Stats: stats}
		for m, err := range f.opts.Traces.SelectSpans(ctx, q) {
			if err != nil {
				return nil, fmt.Errorf("cannot select spans: %w", err)
			}
			if seen[m.Facts.ID] || len(out) >= req.Limit {
				continue
			}
			seen[m.Facts.ID] = true
			longest := int64(0)
			for i := range m.Spans {
				longest = max(longest, m.Spans[i].Duration())
			}
			out = append(out, Behind{Request: summarise(spec, m), Value: float64(longest) / 1e9, Reason: p.reason})
		}
	}
	return out, nil
}
