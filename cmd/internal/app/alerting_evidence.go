package app

import (
	"context"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"braid/pkg/alert/evidence"
	"braid/pkg/correlation"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query/logql"
	braidpromql "braid/pkg/query/promql"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

// evidenceSource answers what is behind an alert, from the same sources that
// queries ask.
type evidenceSource struct{ a *App }

// subject is what an alert's expression looks at, narrowed to the alert's own
// labels.
type subject struct {
	promql  string           // metric selectors, "" when there are none
	logs    *logql.Selection // of a LogQL rule
	spans   predicate.Expr   // of a TraceQL rule
	values  string           // the expression without its threshold
	service []string         // services that the labels name
	labels  map[string]string
}

// subjectOf reads a question's expression.
func (s *evidenceSource) subjectOf(q evidence.Question) (*subject, error) {
	e, err := s.a.engines.parser.ParseExpr(q.Expr)
	if err != nil {
		return nil, fmt.Errorf("cannot read the expression: %w", err)
	}
	out := &subject{values: withoutThreshold(e).String(), labels: q.Series}
	metrics := false
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		virtual := false
		for _, m := range v.LabelMatchers {
			switch m.Name {
			case braidpromql.LogQLLabel:
				virtual, out.logs = true, logSelection(m.Value)
			case braidpromql.TraceQLLabel:
				virtual, out.spans = true, spanSelection(m.Value)
			}
		}
		if !virtual {
			metrics = true
			narrow(v, q.Series)
		}
		return nil
	})
	if metrics {
		out.promql = e.String()
	}
	for _, name := range []string{"service_name", "service", "job", "app"} {
		if v := q.Series[name]; v != "" {
			out.service = append(out.service, v[strings.LastIndexByte(v, '/')+1:])
			break
		}
	}
	return out, nil
}

// withoutThreshold returns what is compared with a constant: the course of a
// value says more than that it is above a line.
func withoutThreshold(e parser.Expr) parser.Expr {
	if p, ok := e.(*parser.ParenExpr); ok {
		return withoutThreshold(p.Expr)
	}
	b, ok := e.(*parser.BinaryExpr)
	if !ok || !b.Op.IsComparisonOperator() {
		return e
	}
	if b.RHS.Type() == parser.ValueTypeScalar && b.LHS.Type() == parser.ValueTypeVector {
		return b.LHS
	}
	return e
}

// narrow adds the alert's labels to a selector that says nothing of them.
func narrow(v *parser.VectorSelector, series map[string]string) {
	said := map[string]bool{}
	for _, m := range v.LabelMatchers {
		said[m.Name] = m.Type == labels.MatchEqual
	}
	for name, value := range series {
		if !said[name] {
			v.LabelMatchers = append(v.LabelMatchers, labels.MustNewMatcher(labels.MatchEqual, name, value))
		}
	}
	sort.Slice(v.LabelMatchers, func(i, j int) bool { return v.LabelMatchers[i].Name < v.LabelMatchers[j].Name })
}

// logSelection finds the first log selection of a metric query.
func logSelection(text string) *logql.Selection {
	e, err := logql.Parse(text)
	if err != nil {
		return nil
	}
	var find func(logql.Expr) *logql.Selection
	find = func(e logql.Expr) *logql.Selection {
		switch x := e.(type) {
		case *logql.Selection:
			return x
		case *logql.RangeAgg:
			return x.Log
		case *logql.VectorAgg:
			return find(x.Of)
		case *logql.LabelReplace:
			return find(x.Of)
		case *logql.Binary:
			if l := find(x.Left); l != nil {
				return l
			}
			return find(x.Right)
		}
		return nil
	}
	return find(e)
}

// spanSelection finds the span filter of a metric query; nil when it has none
// that a source can try.
func spanSelection(text string) predicate.Expr {
	q, err := traceql.Parse(text)
	if err != nil || len(q.Pipeline.Stages) == 0 {
		return nil
	}
	x, err := traceql.SpanFilter(q.Pipeline.Stages[0].String())
	if err != nil {
		return nil
	}
	return x
}

// labelFilter turns labels into a condition on spans or records.
func labelFilter(ls map[string]string) predicate.Expr {
	var all []predicate.Expr
	for name, value := range ls {
		f := predicate.Field{Scope: predicate.ScopeAny, Name: strings.TrimPrefix(strings.TrimPrefix(name, "resource."), "span."), Underscored: true}
		all = append(all, predicate.Compare{Field: f, Op: predicate.Eq, Value: model.String(value), Loose: true})
	}
	return predicate.AllOf(all...)
}

func services(names []string) predicate.Expr {
	var any predicate.Or
	for _, n := range names {
		any = append(any, predicate.Compare{Field: predicate.Field{Scope: predicate.ScopeResource, Name: "service.name"}, Op: predicate.Eq, Value: model.String(n)})
	}
	if len(any) == 0 {
		return predicate.True{}
	}
	return any
}

// valueSeries bounds the courses in a pack, valuePoints each of them.
const (
	valueSeries = 10
	valuePoints = 60
)

// Values implements evidence.Source.
func (s *evidenceSource) Values(ctx context.Context, q evidence.Question) ([]evidence.Series, error) {
	sub, err := s.subjectOf(q)
	if err != nil {
		return nil, err
	}
	start, end := time.Unix(0, q.Range.Start), time.Unix(0, q.Range.End)
	step := max(15*time.Second, end.Sub(start)/valuePoints).Truncate(time.Second)
	start, end = start.Truncate(step), end.Truncate(step).Add(step) // TraceQL's points lie on multiples of the step
	query, err := s.a.engines.promql.NewRangeQuery(ctx, s.a.engines.metrics.Queryable(q.Tenant), nil, sub.values, start, end, step)
	if err != nil {
		return nil, err
	}
	defer query.Close()
	res := query.Exec(ctx)
	if res.Err != nil {
		return nil, res.Err
	}
	matrix, ok := res.Value.(promql.Matrix)
	if !ok {
		return nil, nil
	}
	var out []evidence.Series
	for _, x := range matrix {
		if len(out) == valueSeries || !holds(x.Metric, q.Series) || len(x.Floats) == 0 {
			continue
		}
		one := evidence.Series{Labels: x.Metric.Map()}
		for _, p := range x.Floats {
			one.Points = append(one.Points, evidence.Point{T: p.T, V: p.F})
		}
		out = append(out, one)
	}
	return out, nil
}

func holds(ls labels.Labels, want map[string]string) bool {
	for k, v := range want {
		if ls.Get(k) != v {
			return false
		}
	}
	return true
}

// Requests implements evidence.Source.
func (s *evidenceSource) Requests(ctx context.Context, q evidence.Question, limit int) ([]evidence.Request, error) {
	sub, err := s.subjectOf(q)
	if err != nil {
		return nil, err
	}
	asks := []correlation.BehindRequest{}
	switch {
	case sub.logs != nil:
		ids, err := s.tracesOfLogs(ctx, q, sub, limit)
		if err != nil {
			return nil, err
		}
		if len(ids) > 0 {
			asks = append(asks, correlation.BehindRequest{Filter: ids})
		}
		lines, _, err := s.logFilter(q, sub, nil) // of requests without spans
		if err != nil {
			return nil, err
		}
		asks = append(asks, correlation.BehindRequest{Filter: lines, Logs: true})
	case sub.spans != nil:
		asks = append(asks, correlation.BehindRequest{Filter: predicate.AllOf(sub.spans, labelFilter(q.Series))}, correlation.BehindRequest{Filter: sub.spans})
	case sub.promql != "":
		asks = append(asks, correlation.BehindRequest{PromQL: sub.promql})
	}
	if len(sub.service) > 0 && sub.logs == nil {
		asks = append(asks, correlation.BehindRequest{Filter: services(sub.service)})
	}
	var list []correlation.Behind
	seen := map[string]bool{}
	for _, ask := range asks {
		if len(list) >= limit || len(list) > 0 && !ask.Logs {
			break // what follows is for when there is nothing, but log lines add to what there is
		}
		ask.Range, ask.Limit = q.Range, limit
		found, err := s.a.engines.finder.RequestsBehind(ctx, q.Tenant, ask)
		if err != nil {
			return nil, err
		}
		for _, b := range found.Requests {
			id := b.Request.RequestID
			if !b.Request.TraceID.IsZero() {
				id = b.Request.TraceID.String()
			}
			if !seen[id] && len(list) < limit {
				seen[id] = true
				list = append(list, b)
			}
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	return s.requests(ctx, q.Tenant, list), nil
}

func (s *evidenceSource) requests(ctx context.Context, t tenant.ID, list []correlation.Behind) []evidence.Request {
	out := make([]evidence.Request, len(list))
	var wg sync.WaitGroup
	for i := range list {
		r := &list[i].Request
		out[i] = evidence.Request{TraceID: r.TraceID.String(), RequestID: r.RequestID, Service: r.Service, Route: r.Route, Status: r.Status, Error: r.Error,
			Start: time.Unix(0, r.Start).UTC(), DurationNs: r.Duration, Reason: list[i].Reason}
		var carried predicate.Or // by lines of the request
		if r.TraceID.IsZero() {
			out[i].TraceID = ""
		} else {
			carried = append(carried, predicate.Correlated{Kind: model.KeyTrace, ID: r.TraceID.String()})
		}
		if r.RequestID != "" {
			carried = append(carried, predicate.Correlated{Kind: model.KeyRequest, ID: r.RequestID})
		}
		if len(carried) == 0 {
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			out[i].Lines = s.keptLines(ctx, t, carried)
			if !r.TraceID.IsZero() {
				out[i].Spans = s.keptSpans(ctx, t, r.TraceID)
				out[i].Exemplars = s.keptExemplars(ctx, t, r.TraceID)
			}
		}()
	}
	wg.Wait()
	return out
}

// tracesOfLogs returns the condition of belonging to one of the traces that the
// alert's newest lines belong to.
func (s *evidenceSource) tracesOfLogs(ctx context.Context, q evidence.Question, sub *subject, limit int) (predicate.Or, error) {
	filter, _, err := s.logFilter(q, sub, nil)
	if err != nil {
		return nil, err
	}
	seen := map[model.TraceID]bool{}
	var out predicate.Or
	for rows, err := range s.a.sources.logs.SelectLogs(ctx, &predicate.LogQuery{Tenant: q.Tenant, Range: q.Range, Filter: filter, Limit: 50 * limit}) {
		if err != nil {
			return nil, err
		}
		for i := range rows {
			if id := rows[i].TraceID; !id.IsZero() && !seen[id] && len(out) < limit {
				seen[id] = true
				out = append(out, predicate.Correlated{Kind: model.KeyTrace, ID: id.String()})
			}
		}
	}
	return out, nil
}

// logFilter returns the condition that an alert's lines satisfy, and the LogQL
// query that says the same.
func (s *evidenceSource) logFilter(q evidence.Question, sub *subject, requests []evidence.Request) (predicate.Expr, string, error) {
	if sub.logs != nil {
		text := sub.logs.String()
		f, err := logql.LogFilter(text)
		if err != nil { // parses lines: its selector and line filters will do
			plain := logql.Selection{Matchers: sub.logs.Matchers}
			for _, st := range sub.logs.Stages {
				l, ok := st.(*logql.LineFilter)
				if !ok {
					break
				}
				plain.Stages = append(plain.Stages, l)
			}
			if f, err = logql.LogFilter(plain.String()); err != nil {
				return nil, "", err
			}
			return f, text, nil
		}
		return predicate.AllOf(f, labelFilter(q.Series)), text, nil
	}
	names := sub.service
	if len(names) == 0 {
		seen := map[string]bool{}
		for _, r := range requests {
			for _, n := range append(spanServices(r), r.Service) {
				if n != "" && !seen[n] {
					seen[n] = true
					names = append(names, n)
				}
			}
		}
		sort.Strings(names)
		names = names[:min(len(names), 10)]
	}
	if len(names) == 0 {
		return nil, "", nil
	}
	text := "{service_name=~" + strconv.Quote(strings.Join(quoteAll(names), "|")) + "} | detected_level=~\"warn|error|fatal\""
	level := predicate.Compare{Field: predicate.Intrinsic(predicate.Severity), Op: predicate.Gte, Value: model.Int(13)}
	return predicate.AllOf(services(names), level), text, nil
}

func spanServices(r evidence.Request) (out []string) {
	for _, x := range r.Spans {
		out = append(out, x.Service)
	}
	return out
}

func quoteAll(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = regexp.QuoteMeta(n)
	}
	return out
}

// Logs implements evidence.Source.
func (s *evidenceSource) Logs(ctx context.Context, q evidence.Question, requests []evidence.Request, limit int) ([]evidence.Line, string, error) {
	sub, err := s.subjectOf(q)
	if err != nil {
		return nil, "", err
	}
	filter, text, err := s.logFilter(q, sub, requests)
	if err != nil || filter == nil {
		return nil, "", err
	}
	var out []evidence.Line
	for rows, err := range s.a.sources.logs.SelectLogs(ctx, &predicate.LogQuery{Tenant: q.Tenant, Range: q.Range, Filter: filter, Limit: limit}) {
		if err != nil {
			return out, text, err
		}
		for i := range rows {
			r := &rows[i]
			x := evidence.Line{Time: time.Unix(0, r.Time).UTC(), Service: r.Resource.Service(), Level: r.Severity.Level(), Text: r.Body.Text()}
			if !r.TraceID.IsZero() {
				x.TraceID = r.TraceID.String()
			}
			out = append(out, x)
		}
	}
	return out, text, nil
}

// baseline is how much longer than the alert the rest is looked at.
const baseline = 30 * time.Minute

// Different implements evidence.Source.
func (s *evidenceSource) Different(ctx context.Context, q evidence.Question, requests []evidence.Request, limit int) ([]evidence.Difference, error) {
	sub, err := s.subjectOf(q)
	if err != nil {
		return nil, err
	}
	ask := correlation.OutlierRequest{Range: model.TimeRange{Start: q.Range.Start - int64(baseline), End: q.Range.End}, SelectionRange: q.Range, Limit: limit, SampleRows: 5000}
	switch {
	case sub.logs != nil:
		ask.Logs = true
		if ask.Selection, _, err = s.logFilter(q, sub, nil); err != nil {
			return nil, err
		}
	case len(requests) == 0:
		return nil, nil
	default:
		ask.Selection, ask.Baseline = tellingSpans(sub, requests)
	}
	if ask.Selection == nil {
		return nil, nil
	}
	answer, err := s.a.engines.finder.Outliers(ctx, q.Tenant, ask)
	if err != nil {
		return nil, err
	}
	var out []evidence.Difference
	for _, o := range answer.Outliers {
		out = append(out, evidence.Difference{Field: o.Field, Value: o.Value, Share: o.SelectionShare, Rest: o.BaselineShare, Score: o.Score})
	}
	return out, nil
}

// tellingSpans selects the spans that the alert is about: the failed ones when
// requests failed, else those as slow as its requests.
func tellingSpans(sub *subject, requests []evidence.Request) (selection, base predicate.Expr) {
	names, failed, slow := sub.service, 0, requests[0].DurationNs
	for _, r := range requests {
		if r.Error {
			failed++
		}
		slow = min(slow, r.DurationNs)
		if len(sub.service) == 0 && r.Service != "" {
			names = append(names, r.Service)
		}
	}
	base = services(names)
	if sub.spans != nil {
		return predicate.AllOf(sub.spans, base), base
	}
	if 2*failed >= len(requests) {
		return predicate.AllOf(base, predicate.Compare{Field: predicate.Intrinsic(predicate.Status), Op: predicate.Eq, Value: model.String("error")}), base
	}
	return predicate.AllOf(base, predicate.Compare{Field: predicate.Intrinsic(predicate.Duration), Op: predicate.Gte, Value: model.Int(slow)}), base
}

// any tells whether what a virtual selector looks at exists at all.
func (al *alerting) any(t tenant.ID) func(ctx context.Context, language, expr string) (bool, error) {
	return func(ctx context.Context, language, expr string) (bool, error) {
		now := time.Now()
		window := model.TimeRange{Start: now.Add(-time.Hour).UnixNano(), End: now.UnixNano()}
		if language == "logql" {
			sel := logSelection(expr)
			if sel == nil {
				return true, nil
			}
			f, err := logql.LogFilter((&logql.Selection{Matchers: sel.Matchers}).String())
			if err != nil {
				return true, err
			}
			for rows, err := range al.a.sources.logs.SelectLogs(ctx, &predicate.LogQuery{Tenant: t, Range: window, Filter: f, Limit: 1}) {
				return len(rows) > 0, err
			}
			return false, nil
		}
		f := spanSelection(expr)
		if f == nil {
			return true, nil
		}
		for m, err := range al.a.sources.traces.SelectSpans(ctx, &predicate.SpanQuery{Tenant: t, Range: window, Filters: []predicate.Expr{f}, Limit: 1}) {
			return m != nil, err
		}
		return false, nil
	}
}
