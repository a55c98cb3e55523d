package app

import (
	"context"
	"encoding/json"
	"iter"
	"math"
	"slices"
	"strings"

	"braid/pkg/alert/evidence"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// pinTraces looks kept requests up when the traces have them no more.
func pinTraces(src query.TraceSource, a *App) query.TraceSource {
	p := pinnedTraces{src, a}
	if g, ok := src.(query.GraphSource); ok {
		return struct {
			pinnedTraces
			query.GraphSource
		}{p, g}
	}
	return p
}

type pinnedTraces struct {
	query.TraceSource
	a *App
}

// Trace implements query.TraceSource.
func (p pinnedTraces) Trace(ctx context.Context, t tenant.ID, id model.TraceID, stats *model.QueryStats) iter.Seq2[[]model.SpanRow, error] {
	return orKept(p.TraceSource.Trace(ctx, t, id, stats), func() []model.SpanRow {
		if r := p.a.pinned(ctx, t, id.String()); r != nil {
			return spanRows(r)
		}
		return nil
	})
}

// SelectSpans implements query.TraceSource. Of questions other than for one id it
// knows nothing.
func (p pinnedTraces) SelectSpans(ctx context.Context, q *predicate.SpanQuery) iter.Seq2[*model.TraceMatch, error] {
	var key predicate.Correlated
	byID := false
	if len(q.Filters) == 1 {
		key, byID = q.Filters[0].(predicate.Correlated)
	}
	if !byID || key.Kind == model.KeyTrace { // a trace is looked up by Trace as well
		return p.TraceSource.SelectSpans(ctx, q)
	}
	return func(yield func(*model.TraceMatch, error) bool) {
		some := false
		for m, err := range p.TraceSource.SelectSpans(ctx, q) {
			some = true
			if !yield(m, err) {
				return
			}
		}
		if some {
			return
		}
		r := p.a.pinned(ctx, q.Tenant, key.ID)
		if r == nil {
			return
		}
		if m := matchOf(spanRows(r), func(s *model.SpanRow) bool {
			return carries(key, func(yield func(model.CorrelationKey)) { predicate.EachSpanKey(p.a.keySpec(), s, yield) })
		}); m != nil {
			yield(m, nil)
		}
	}
}

// orKept yields the rows of a source and, when it has none, those that are kept.
func orKept[R any](src iter.Seq2[[]R, error], kept func() []R) iter.Seq2[[]R, error] {
	return func(yield func([]R, error) bool) {
		some := false
		for rows, err := range src {
			some = some || len(rows) > 0 || err != nil
			if !yield(rows, err) {
				return
			}
		}
		if some {
			return
		}
		if rows := kept(); len(rows) > 0 {
			yield(rows, nil)
		}
	}
}

// carries reports whether one of a row's keys is the one asked for.
func carries(want predicate.Correlated, each func(yield func(model.CorrelationKey))) bool {
	found := false
	each(func(k model.CorrelationKey) {
		found = found || k.ID == want.ID && (want.Kind == "" || k.Kind == want.Kind)
	})
	return found
}

// matchOf is what a store answers of a trace of which some spans are asked for.
func matchOf(rows []model.SpanRow, asked func(*model.SpanRow) bool) *model.TraceMatch {
	m := &model.TraceMatch{Facts: model.TraceFacts{Services: map[string]model.ServiceStats{}}}
	for i := range rows {
		r := &rows[i]
		f := &m.Facts
		if f.Spans == 0 || r.Start < f.Start {
			f.Start = r.Start
		}
		f.ID, f.End, f.Spans = r.TraceID, max(f.End, r.End), f.Spans+1
		s := f.Services[r.Resource.Service()]
		s.Spans++
		if r.Status == model.StatusError {
			f.Errors++
			s.Errors++
		}
		f.Services[r.Resource.Service()] = s
		if r.ParentID.IsZero() {
			f.RootService, f.RootName, f.RootStart, f.RootDuration = r.Resource.Service(), r.Name, r.Start, r.Duration()
		}
		if asked(r) {
			r.Match = 1
			m.Spans = append(m.Spans, *r)
		}
	}
	if m.Matched = len(m.Spans); m.Matched == 0 {
		return nil
	}
	return m
}

// pinnedLogs does the same for log records.
type pinnedLogs struct {
	query.LogSource
	a *App
}

// SelectLogs implements query.LogSource.
func (p pinnedLogs) SelectLogs(ctx context.Context, q *predicate.LogQuery) iter.Seq2[[]model.LogRow, error] {
	key, byID := q.Filter.(predicate.Correlated)
	if !byID {
		return p.LogSource.SelectLogs(ctx, q)
	}
	return orKept(p.LogSource.SelectLogs(ctx, q), func() []model.LogRow {
		r := p.a.pinned(ctx, q.Tenant, key.ID)
		if r == nil {
			return nil
		}
		rows := slices.DeleteFunc(logRows(r), func(l model.LogRow) bool {
			return !carries(key, func(yield func(model.CorrelationKey)) { predicate.EachLogKey(p.a.keySpec(), &l, yield) })
		})
		if q.Order != predicate.OldestFirst {
			slices.Reverse(rows)
		}
		if q.Limit > 0 {
			rows = rows[:min(len(rows), q.Limit)]
		}
		return rows
	})
}

// pinnedMetrics does the same for exemplars.
type pinnedMetrics struct {
	query.MetricSource
	a *App
}

// Exemplars implements query.MetricSource.
func (p pinnedMetrics) Exemplars(ctx context.Context, q *query.ExemplarQuery) iter.Seq2[[]model.ExemplarRow, error] {
	if q.ID == "" {
		return p.MetricSource.Exemplars(ctx, q)
	}
	return orKept(p.MetricSource.Exemplars(ctx, q), func() []model.ExemplarRow {
		r := p.a.pinned(ctx, q.Tenant, q.ID)
		if r == nil {
			return nil
		}
		key := predicate.Correlated{Kind: q.Kind, ID: q.ID}
		return slices.DeleteFunc(exemplarRows(r), func(e model.ExemplarRow) bool {
			return !carries(key, func(yield func(model.CorrelationKey)) { predicate.EachExemplarKey(p.a.keySpec(), &e, yield) })
		})
	})
}

func attrsOf(m map[string]any) (out model.Attrs) {
	for k, v := range m {
		switch x := v.(type) {
		case string:
			out = append(out, model.Attr{Key: k, Value: model.String(x)})
		case bool:
			out = append(out, model.Attr{Key: k, Value: model.Bool(x)})
		case int64:
			out = append(out, model.Attr{Key: k, Value: model.Int(x)})
		case []any:
			if b, err := json.Marshal(x); err == nil {
				out = append(out, model.Attr{Key: k, Value: model.ArrayJSON(string(b))})
			}
		case map[string]any:
			if b, err := json.Marshal(x); err == nil {
				out = append(out, model.Attr{Key: k, Value: model.MapJSON(string(b))})
			}
		case float64: // as JSON has numbers
			if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
				out = append(out, model.Attr{Key: k, Value: model.Int(int64(x))})
			} else {
				out = append(out, model.Attr{Key: k, Value: model.Double(x)})
			}
		}
	}
	slices.SortFunc(out, func(a, b model.Attr) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func resourceOf(m map[string]any, service string) *model.Resource {
	if m == nil {
		m = map[string]any{"service.name": service}
	}
	return &model.Resource{Attrs: attrsOf(m)}
}

func spanRows(r *evidence.Request) []model.SpanRow {
	trace, _ := model.ParseTraceID(r.TraceID)
	out := make([]model.SpanRow, 0, len(r.Spans))
	for i := range r.Spans {
		x := &r.Spans[i]
		row := model.SpanRow{Resource: resourceOf(x.Resource, x.Service), Span: model.Span{TraceID: trace, Name: x.Name, Start: x.Start.UnixNano(),
			End: x.Start.UnixNano() + x.DurationNs, StatusMessage: x.Message, Attrs: attrsOf(x.Attributes)}}
		row.SpanID, _ = model.ParseSpanID(x.SpanID)
		row.ParentID, _ = model.ParseSpanID(x.ParentID)
		for _, e := range x.Events {
			row.Events = append(row.Events, model.SpanEvent{Time: e.Time.UnixNano(), Name: e.Name, Attrs: attrsOf(e.Attributes)})
		}
		for _, l := range x.Links {
			link := model.SpanLink{Attrs: attrsOf(l.Attributes)}
			link.TraceID, _ = model.ParseTraceID(l.TraceID)
			link.SpanID, _ = model.ParseSpanID(l.SpanID)
			row.Links = append(row.Links, link)
		}
		for k := model.SpanKind(0); k <= model.SpanKindConsumer; k++ {
			if k.String() == x.Kind {
				row.Kind = k
			}
		}
		for _, s := range []model.StatusCode{model.StatusOK, model.StatusError} {
			if s.String() == x.Status {
				row.Status = s
			}
		}
		out = append(out, row)
	}
	return out
}

func logRows(r *evidence.Request) []model.LogRow {
	out := make([]model.LogRow, 0, len(r.Lines))
	for i := range r.Lines {
		x := &r.Lines[i]
		row := model.LogRow{Resource: resourceOf(nil, x.Service), LogRecord: model.LogRecord{Time: x.Time.UnixNano(), SeverityText: x.Level,
			Body: model.String(x.Text), Attrs: attrsOf(x.Attributes)}}
		row.TraceID, _ = model.ParseTraceID(x.TraceID)
		row.SpanID, _ = model.ParseSpanID(x.SpanID)
		for n := model.SeverityNumber(1); n <= 24; n++ {
			if n.Level() == x.Level {
				row.Severity = n
				break
			}
		}
		out = append(out, row)
	}
	return out
}

func exemplarRows(r *evidence.Request) []model.ExemplarRow {
	trace, _ := model.ParseTraceID(r.TraceID)
	out := make([]model.ExemplarRow, 0, len(r.Exemplars))
	for i := range r.Exemplars {
		x := &r.Exemplars[i]
		row := model.ExemplarRow{Exemplar: model.Exemplar{Time: x.Time.UnixNano(), Value: x.Value, TraceID: trace, Attrs: attrsOf(x.Attributes)}}
		row.SpanID, _ = model.ParseSpanID(x.SpanID)
		for name, value := range x.Series {
			row.Series = append(row.Series, model.Label{Name: name, Value: value})
		}
		slices.SortFunc(row.Series, func(a, b model.Label) int { return strings.Compare(a.Name, b.Name) })
		out = append(out, row)
	}
	return out
}
