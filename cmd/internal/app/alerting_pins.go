package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
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
