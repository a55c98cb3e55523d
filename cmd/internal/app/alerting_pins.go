package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"braid/pkg/alert/evidence"
	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// What an alert's evidence points at outlives the stores' retention: each of its
// requests is kept with the alert's history, spans and log lines, and a look-up
// by id finds it there when the stores have it no more.

// Bounds of what is kept of one request.
const (
	keptSpans     = 200
	keptLines     = 100
	keptAttrs     = 40 // of a span or a line
	keptAttrBytes = 512
	keptTextBytes = 4096 // of a line, and of an exception's stack

	keptEvents    = 20 // of a span
	keptLinks     = 20 // of a span
	keptExemplars = 50
)

// keptAttributes keeps attributes that carry correlation ids before others: by
// them the request is found.
func (s *evidenceSource) keptAttributes(list model.Attrs) map[string]any {
	if len(list) == 0 {
		return nil
	}
	out := make(map[string]any, min(len(list), keptAttrs))
	if spec := s.a.keySpec(); len(list) > keptAttrs {
		ids, rest := model.Attrs{}, model.Attrs{}
		for _, a := range list {
			if _, ok := spec.Kind(a.Key); ok {
				ids = append(ids, a)
			} else {
				rest = append(rest, a)
			}
		}
		list = append(ids, rest...)
	}
	for _, a := range list[:min(len(list), keptAttrs)] {
		most := keptAttrBytes
		if a.Key == "exception.stacktrace" {
			most = keptTextBytes
		}
		switch v := a.Value; v.Kind() {
		case model.KindBool:
			out[a.Key] = v.AsBool()
		case model.KindInt:
			out[a.Key] = v.AsInt()
		case model.KindArray, model.KindMap: // an id may be one of several
			var x any
			if text := v.Text(); len(text) > most || json.Unmarshal([]byte(text), &x) != nil {
				out[a.Key] = cutText(text, most)
			} else {
				out[a.Key] = x
			}
		default:
			if f, ok := v.Float(); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
				out[a.Key] = f
				continue
			}
			out[a.Key] = cutText(v.Text(), most)
		}
	}
	return out
}

func cutText(s string, most int) string {
	if len(s) <= most {
		return strings.ToValidUTF8(s, "?")
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func (s *evidenceSource) keptSpans(ctx context.Context, t tenant.ID, id model.TraceID) (out []evidence.Span) {
	for rows, err := range s.a.sources.traces.Trace(ctx, t, id, &model.QueryStats{}) {
		if err != nil {
			return out
		}
		for i := range rows {
			r := &rows[i]
			x := evidence.Span{SpanID: r.SpanID.String(), Service: r.Resource.Service(), Name: r.Name, Kind: r.Kind.String(), Status: r.Status.String(),
				Message: cutText(r.StatusMessage, keptAttrBytes), Start: time.Unix(0, r.Start).UTC(), DurationNs: r.Duration(),
				Attributes: s.keptAttributes(r.Attrs)}
			if r.Resource != nil {
				x.Resource = s.keptAttributes(r.Resource.Attrs)
			}
			if !r.ParentID.IsZero() {
				x.ParentID = r.ParentID.String()
			}
			for _, e := range r.Events[:min(len(r.Events), keptEvents)] {
				x.Events = append(x.Events, evidence.Event{Time: time.Unix(0, e.Time).UTC(), Name: cutText(e.Name, keptAttrBytes), Attributes: s.keptAttributes(e.Attrs)})
			}
			for _, l := range r.Links[:min(len(r.Links), keptLinks)] {
				x.Links = append(x.Links, evidence.SpanLink{TraceID: l.TraceID.String(), SpanID: l.SpanID.String(), Attributes: s.keptAttributes(l.Attrs)})
			}
			if out = append(out, x); len(out) >= keptSpans {
				return out
			}
		}
	}
	return out
}

func (s *evidenceSource) keptLines(ctx context.Context, t tenant.ID, carried predicate.Expr) (out []evidence.Line) {
	q := &predicate.LogQuery{Tenant: t, Filter: carried, Order: predicate.OldestFirst, Limit: keptLines}
	for rows, err := range s.a.sources.logs.SelectLogs(ctx, q) {
		if err != nil {
			return out
		}
		for i := range rows {
			r := &rows[i]
			x := evidence.Line{Time: time.Unix(0, r.Time).UTC(), Service: r.Resource.Service(), Level: r.Severity.Level(), Text: cutText(r.Body.Text(), keptTextBytes),
				Attributes: s.keptAttributes(r.Attrs)}
			if !r.TraceID.IsZero() {
				x.TraceID = r.TraceID.String()
			}
			if !r.SpanID.IsZero() {
				x.SpanID = r.SpanID.String()
			}
			out = append(out, x)
		}
	}
	return out
}

func (s *evidenceSource) keptExemplars(ctx context.Context, t tenant.ID, id model.TraceID) (out []evidence.Exemplar) {
	q := &query.ExemplarQuery{Tenant: t, Kind: model.KeyTrace, ID: id.String(), Limit: keptExemplars}
	for rows, err := range s.a.sources.metrics.Exemplars(ctx, q) {
		if err != nil {
			return out
		}
		for i := range rows {
			r := &rows[i]
			if len(out) >= keptExemplars || math.IsNaN(r.Value) || math.IsInf(r.Value, 0) {
				continue
			}
			x := evidence.Exemplar{Series: map[string]string{}, Value: r.Value, Time: time.Unix(0, r.Time).UTC(), Attributes: s.keptAttributes(r.Attrs)}
			for _, l := range r.Series {
				x.Series[l.Name] = l.Value
			}
			if !r.SpanID.IsZero() {
				x.SpanID = r.SpanID.String()
			}
			out = append(out, x)
		}
	}
	return out
}

// pinned finds a request that an alert keeps: in this process, or at the
// alerter's. nil when none does.
func (a *App) pinned(ctx context.Context, t tenant.ID, id string) *evidence.Request {
	if a.alerts != nil {
		if _, r, err := a.alerts.history.Request(t, id); err == nil {
			return r
		}
		return nil
	}
	var out struct{ Request *evidence.Request }
	if err := a.askAlerter(ctx, t, "/api/braid/v1/alerts/request", url.Values{"id": {id}}, &out); err != nil {
		a.log.Warn("cannot ask the alerter for a kept request", "err", err)
	}
	return out.Request
}

// askAlerter asks the alerter elsewhere, if there is one; it must not hold a
// look-up up for long. What is not there leaves out as it is.
func (a *App) askAlerter(ctx context.Context, t tenant.ID, path string, params url.Values, out any) error {
	to := a.cfg.Load().Cluster.Alerter
	if to == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(to, "/")+path+"?"+params.Encode(), nil)
	if err != nil {
		return err
	}
	r.Header.Set(tenant.Header, string(t))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusNotFound:
		return nil
	case http.StatusOK:
		return json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(out)
	}
	return fmt.Errorf("the alerter at %s answers %s", to, resp.Status)
}

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
	return func(yield func([]model.SpanRow, error) bool) {
		some := false
		for rows, err := range p.TraceSource.Trace(ctx, t, id, stats) {
			some = some || len(rows) > 0 || err != nil
			if !yield(rows, err) {
				return
			}
		}
		if some {
			return
		}
		if r := p.a.pinned(ctx, t, id.String()); r != nil && len(r.Spans) > 0 {
			yield(spanRows(r), nil)
		}
	}
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
	return func(yield func([]model.LogRow, error) bool) {
		some := false
		for rows, err := range p.LogSource.SelectLogs(ctx, q) {
			some = some || len(rows) > 0 || err != nil
			if !yield(rows, err) {
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
		rows := slices.DeleteFunc(logRows(r), func(l model.LogRow) bool {
			return !carries(key, func(yield func(model.CorrelationKey)) { predicate.EachLogKey(p.a.keySpec(), &l, yield) })
		})
		if len(rows) == 0 {
			return
		}
		if q.Order != predicate.OldestFirst {
			slices.Reverse(rows)
		}
		if q.Limit > 0 {
			rows = rows[:min(len(rows), q.Limit)]
		}
		yield(rows, nil)
	}
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
	return func(yield func([]model.ExemplarRow, error) bool) {
		some := false
		for rows, err := range p.MetricSource.Exemplars(ctx, q) {
			some = some || len(rows) > 0 || err != nil
			if !yield(rows, err) {
				return
			}
		}
		if some {
			return
		}
		r := p.a.pinned(ctx, q.Tenant, q.ID)
		if r == nil {
			return
		}
		key := predicate.Correlated{Kind: q.Kind, ID: q.ID}
		rows := slices.DeleteFunc(exemplarRows(r), func(e model.ExemplarRow) bool {
			return !carries(key, func(yield func(model.CorrelationKey)) { predicate.EachExemplarKey(p.a.keySpec(), &e, yield) })
		})
		if len(rows) > 0 {
			yield(rows, nil)
		}
	}
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
