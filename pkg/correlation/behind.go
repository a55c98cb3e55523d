package correlation

import (
	"context"
	"fmt"
	"math"
	"sort"
	"time"

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
	// Series narrows the expression to one series of its result: the labels that
	// a chart shows of a line. Labels that the expression made up must be left out.
	Series []model.Label
	// Filter, when PromQL is empty, selects spans instead, or log records.
	Filter predicate.Expr
	Logs   bool
	Range  model.TimeRange
	// At, when not 0, is one point (Unix ns): the range is then what the
	// expression looks at for a value there.
	At    int64
	Limit int // 0 means 20
}

// Behind is one request with its part in the number.
type Behind struct {
	Request RequestSummary
	Value   float64 // the exemplar's, the duration in seconds, or how many records match
	Reason  string  // exemplar, failed, slow, match
	Series  []model.Label
}

// BehindAnswer is a ranked list. Source tells where it comes from: "exemplars";
// where the series have none in the window, "spans" or, without these, "logs".
type BehindAnswer struct {
	Requests []Behind
	Source   string
	Range    model.TimeRange // that was looked at
	Warnings []string
}

// maxBehind bounds what one call may ask for.
const maxBehind = 1000

// RequestsBehind names the requests behind a series, a point or a range: those
// of the stored exemplars, the largest values first; where there are none, the
// requests whose spans match the series' labels, failed then slow ones first;
// where there are none of these, those whose log records do.
func (f *Finder) RequestsBehind(ctx context.Context, t tenant.ID, req BehindRequest) (*BehindAnswer, error) {
	if req.Limit <= 0 {
		req.Limit = 20
	}
	req.Limit = min(req.Limit, maxBehind)
	if req.At != 0 {
		back := time.Duration(pointWindow)
		if req.PromQL != "" {
			var err error
			if back, err = looksBack(req.PromQL); err != nil {
				return nil, err
			}
		}
		req.Range = model.TimeRange{Start: req.At - int64(back), End: req.At + 1}
	}
	stats := &model.QueryStats{}
	out := &BehindAnswer{Source: "spans", Range: req.Range}
	filter, logs := req.Filter, req.Filter
	if req.PromQL != "" {
		selectors, err := Selectors(req.PromQL)
		if err != nil {
			return nil, err
		}
		narrow(selectors, req.Series)
		if out.Requests, err = f.fromExemplars(ctx, t, selectors, req, stats); err != nil {
			return nil, err
		}
		if len(out.Requests) > 0 {
			out.Source = "exemplars"
			out.Warnings = stats.Warnings()
			return out, nil
		}
		filter, logs = seriesFilter(selectors, spanFields), seriesFilter(selectors, logFields)
	}
	var err error
	if !req.Logs {
		out.Requests, err = f.fromSpans(ctx, t, filter, req, stats)
	}
	if err == nil && (req.Logs || len(out.Requests) == 0 && req.PromQL != "") {
		out.Source = "logs"
		out.Requests, err = f.fromLogs(ctx, t, logs, req, stats)
	}
	out.Warnings = stats.Warnings()
	return out, err
}

// pointWindow is how far a point looks back when its expression does not say.
const pointWindow = 5 * time.Minute

// looksBack returns how far back an expression looks for one value.
func looksBack(expr string) (time.Duration, error) {
	e, err := parser.NewParser(parser.Options{EnableExperimentalFunctions: true}).ParseExpr(expr)
	if err != nil {
		return 0, fmt.Errorf("%w: promql: %w", model.ErrInvalid, err)
	}
	back := time.Duration(0)
	parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		own := v.OriginalOffset
		ranged := false
		for _, p := range path {
			switch p := p.(type) {
			case *parser.MatrixSelector:
				own += p.Range
				ranged = true
			case *parser.SubqueryExpr:
				own += p.Range + p.OriginalOffset
			}
		}
		if !ranged {
			own += pointWindow
		}
		back = max(back, own)
		return nil
	})
	return max(back, time.Second), nil
}

// narrow adds the labels of one series to every selector.
func narrow(selectors [][]*labels.Matcher, series []model.Label) {
	for i := range selectors {
		for _, l := range series {
			if l.Name != commonmodel.MetricNameLabel && l.Value != "" {
				selectors[i] = append(selectors[i], labels.MustNewMatcher(labels.MatchEqual, l.Name, l.Value))
			}
		}
	}
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
	spec := f.opts.KeySpec()
	best := map[requestKey]*Behind{}
	for batch, err := range f.opts.Metrics.Exemplars(ctx, q) {
		if err != nil {
			return nil, fmt.Errorf("cannot read exemplars: %w", err)
		}
		for i := range batch {
			e := &batch[i]
			key := requestKey{trace: e.TraceID}
			if e.TraceID.IsZero() {
				predicate.EachExemplarKey(spec, e, func(k model.CorrelationKey) {
					if k.Kind == model.KeyRequest {
						key.request = k.ID
					}
				})
				if key.request == "" {
					continue
				}
			}
			if b := best[key]; b == nil || e.Value > b.Value {
				best[key] = &Behind{Value: e.Value, Reason: "exemplar", Series: e.Series,
					Request: RequestSummary{TraceID: key.trace, RequestID: key.request, Start: e.Time}}
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
		if a.Request.TraceID != b.Request.TraceID {
			return string(a.Request.TraceID[:]) < string(b.Request.TraceID[:])
		}
		return a.Request.RequestID < b.Request.RequestID
	})
	out = out[:min(len(out), req.Limit)]
	return out, f.fillSummaries(ctx, t, out, stats)
}

// fillSummaries replaces what an exemplar knows of its request by what the
// spans know.
func (f *Finder) fillSummaries(ctx context.Context, t tenant.ID, rows []Behind, stats *model.QueryStats) error {
	spec := f.opts.KeySpec()
	for i := range rows {
		if rows[i].Request.TraceID.IsZero() {
			continue
		}
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
			logs := rows[i].Request.Logs
			rows[i].Request = summarise(spec, &m)
			rows[i].Request.Logs = logs
		}
	}
	return nil
}

// spanFields and logFields tell which field of a span, or of a log record, a
// well-known label names, where turning dots into underscores does not.
var (
	spanFields = map[string]predicate.Field{
		"service":     {Scope: predicate.ScopeResource, Name: "service.name"},
		"span_name":   predicate.Intrinsic(predicate.Name),
		"operation":   predicate.Intrinsic(predicate.Name),
		"span_kind":   predicate.Intrinsic(predicate.Kind),
		"server":      {Scope: predicate.ScopeResource, Name: "service.name"},
		"client":      {Scope: predicate.ScopeResource, Name: "service.name"},
		"route":       {Scope: predicate.ScopeAny, Name: "http.route"},
		"method":      {Scope: predicate.ScopeAny, Name: "http.request.method"},
		"status_code": {Scope: predicate.ScopeAny, Name: "http.response.status_code"},
		"code":        {Scope: predicate.ScopeAny, Name: "http.response.status_code"},
	}
	logFields = map[string]predicate.Field{
		"service":        {Scope: predicate.ScopeResource, Name: "service.name"},
		"level":          predicate.Intrinsic(predicate.Level),
		"detected_level": predicate.Intrinsic(predicate.Level),
		"severity":       predicate.Intrinsic(predicate.Level),
	}
)

// ignoredLabels say nothing of a request.
var ignoredLabels = map[string]bool{commonmodel.MetricNameLabel: true, "le": true, "quantile": true, "instance": true, "otel_scope_name": true, "otel_scope_version": true}

// seriesFilter turns series selectors into a condition on spans or records: a
// label names the attribute that Prometheus would spell so.
func seriesFilter(selectors [][]*labels.Matcher, fields map[string]predicate.Field) predicate.Expr {
	var any predicate.Or
	for _, ms := range selectors {
		var all []predicate.Expr
		for _, m := range ms {
			if ignoredLabels[m.Name] {
				continue
			}
			all = append(all, matcherFilter(m, fields))
		}
		any = append(any, predicate.AllOf(all...))
	}
	return any
}

func matcherFilter(m *labels.Matcher, fields map[string]predicate.Field) predicate.Expr {
	field, ok := fields[m.Name]
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

// maxBehindLogs bounds the log records that are looked at.
const maxBehindLogs = 5000

// fromLogs ranks the requests whose log records match: those that failed, then
// those with most records.
func (f *Finder) fromLogs(ctx context.Context, t tenant.ID, filter predicate.Expr, req BehindRequest, stats *model.QueryStats) ([]Behind, error) {
	if filter == nil {
		filter = predicate.True{}
	}
	spec := f.opts.KeySpec()
	failed := predicate.Compare{Field: predicate.Intrinsic(predicate.Severity), Op: predicate.Gte, Value: model.Int(17)}
	rows := map[requestKey]*RequestSummary{}
	for _, pass := range []predicate.Expr{predicate.AllOf(filter, failed), predicate.AllOf(filter, predicate.Not{X: failed})} {
		q := &predicate.LogQuery{Tenant: t, Range: req.Range, Filter: pass, Limit: maxBehindLogs, Stats: stats}
		n := 0
		for batch, err := range f.opts.Logs.SelectLogs(ctx, q) {
			if err != nil {
				return nil, fmt.Errorf("cannot select logs: %w", err)
			}
			for i := range batch {
				addLogRequest(spec, rows, nil, &batch[i])
			}
			n += len(batch)
		}
		if n >= maxBehindLogs {
			stats.Warn("only the newest %d log records that match were looked at", maxBehindLogs)
		}
		if len(rows) >= req.Limit {
			break
		}
	}
	out := make([]Behind, 0, len(rows))
	for _, r := range rows {
		b := Behind{Request: *r, Value: float64(r.Logs), Reason: "match"}
		if r.Error {
			b.Reason = "failed"
		}
		out = append(out, b)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := &out[i], &out[j]
		if a.Request.Errors != b.Request.Errors {
			return a.Request.Errors > b.Request.Errors
		}
		if a.Value != b.Value {
			return a.Value > b.Value
		}
		if a.Request.Start != b.Request.Start {
			return a.Request.Start > b.Request.Start
		}
		return string(a.Request.TraceID[:])+a.Request.RequestID < string(b.Request.TraceID[:])+b.Request.RequestID
	})
	out = out[:min(len(out), req.Limit)]
	return out, f.fillSummaries(ctx, t, out, stats)
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
	// The matching span may lie deep inside: the trace's entry tells the route.
	return out, f.fillSummaries(ctx, t, out, stats)
}
