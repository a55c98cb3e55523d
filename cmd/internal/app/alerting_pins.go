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
	keptTextBytes = 4096 // of a line
)

func keptAttributes(list model.Attrs) map[string]any {
	if len(list) == 0 {
		return nil
	}
	out := make(map[string]any, min(len(list), keptAttrs))
	for _, a := range list[:min(len(list), keptAttrs)] {
		switch v := a.Value; v.Kind() {
		case model.KindBool:
			out[a.Key] = v.AsBool()
		case model.KindInt:
			out[a.Key] = v.AsInt()
		default:
			if f, ok := v.Float(); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
				out[a.Key] = f
				continue
			}
			out[a.Key] = cutText(v.Text(), keptAttrBytes)
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
				Attributes: keptAttributes(r.Attrs)}
			if r.Resource != nil {
				x.Resource = keptAttributes(r.Resource.Attrs)
			}
			if !r.ParentID.IsZero() {
				x.ParentID = r.ParentID.String()
			}
			if out = append(out, x); len(out) >= keptSpans {
				return out
			}
		}
	}
	return out
}

func (s *evidenceSource) keptLines(ctx context.Context, t tenant.ID, id model.TraceID) (out []evidence.Line) {
	q := &predicate.LogQuery{Tenant: t, Filter: predicate.Correlated{Kind: model.KeyTrace, ID: id.String()}, Order: predicate.OldestFirst, Limit: keptLines}
	for rows, err := range s.a.sources.logs.SelectLogs(ctx, q) {
		if err != nil {
			return out
		}
		for i := range rows {
			r := &rows[i]
			x := evidence.Line{Time: time.Unix(0, r.Time).UTC(), Service: r.Resource.Service(), Level: r.Severity.Level(), Text: cutText(r.Body.Text(), keptTextBytes),
				TraceID: id.String(), Attributes: keptAttributes(r.Attrs)}
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
	to := a.cfg.Load().Cluster.Alerter
	if to == "" {
		return nil
	}
	r, err := askPinned(ctx, to, t, id)
	if err != nil {
		a.log.Warn("cannot ask the alerter for a kept request", "err", err)
	}
	return r
}

// askPinned asks an alerter elsewhere; it must not hold a look-up up for long.
func askPinned(ctx context.Context, to string, t tenant.ID, id string) (*evidence.Request, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(to, "/")+"/api/braid/v1/alerts/request?id="+url.QueryEscape(id), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set(tenant.Header, string(t))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", to, resp.Status)
	}
	var out struct{ Request *evidence.Request }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(&out); err != nil {
		return nil, err
	}
	return out.Request, nil
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

// pinnedLogs does the same for log records.
type pinnedLogs struct {
	query.LogSource
	a *App
}

// SelectLogs implements query.LogSource.
func (p pinnedLogs) SelectLogs(ctx context.Context, q *predicate.LogQuery) iter.Seq2[[]model.LogRow, error] {
	key, byID := q.Filter.(predicate.Correlated)
	if !byID || key.Kind != model.KeyTrace {
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
		if r := p.a.pinned(ctx, q.Tenant, key.ID); r != nil && len(r.Lines) > 0 {
			rows := logRows(r)
			if q.Order != predicate.OldestFirst {
				slices.Reverse(rows)
			}
			if q.Limit > 0 {
				rows = rows[:min(len(rows), q.Limit)]
			}
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
	trace, _ := model.ParseTraceID(r.TraceID)
	out := make([]model.LogRow, 0, len(r.Lines))
	for i := range r.Lines {
		x := &r.Lines[i]
		row := model.LogRow{Resource: resourceOf(nil, x.Service), LogRecord: model.LogRecord{Time: x.Time.UnixNano(), SeverityText: x.Level,
			Body: model.String(x.Text), TraceID: trace, Attrs: attrsOf(x.Attributes)}}
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
