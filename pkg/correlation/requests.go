package correlation

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

// RequestSummary is one request of many, as a row of a list. Start is Unix ns,
// Duration ns.
type RequestSummary struct {
	TraceID       model.TraceID
	RequestID     string
	Start         int64
	Duration      int64
	Service       string // the entry service
	Route         string
	Status        string
	Error         bool
	Spans, Errors int
}

// routeFields name a request's route, the most telling first.
var routeFields = []string{"http.route", "url.path", "http.target", "rpc.method", "messaging.destination.name"}

// statusFields name a request's outcome.
var statusFields = []string{"http.response.status_code", "http.status_code", "rpc.grpc.status_code", "rpc.response.status_code"}

// summarise makes the row of one trace from its facts and the spans at hand,
// of which the root, or else the earliest, speaks for the request.
func summarise(spec *model.KeySpec, m *model.TraceMatch) RequestSummary {
	f := &m.Facts
	out := RequestSummary{TraceID: f.ID, Start: f.Start, Duration: max(0, f.End-f.Start), Service: f.RootService, Route: f.RootName,
		Spans: f.Spans, Errors: f.Errors, Error: f.Errors > 0}
	var entry *model.SpanRow
	for i := range m.Spans {
		s := &m.Spans[i]
		if entry == nil || s.ParentID.IsZero() && !entry.ParentID.IsZero() || s.Start < entry.Start && s.ParentID.IsZero() == entry.ParentID.IsZero() {
			entry = s
		}
		predicate.EachSpanKey(spec, s, func(k model.CorrelationKey) {
			if k.Kind == model.KeyRequest && out.RequestID == "" {
				out.RequestID = k.ID
			}
		})
	}
	if entry == nil {
		return out
	}
	if out.Service == "" {
		out.Service, out.Route = entry.Resource.Service(), entry.Name
	}
	for _, name := range routeFields {
		if v := entry.Attrs.Text(name); v != "" {
			out.Route = v
			break
		}
	}
	out.Status = entry.Status.String()
	for _, name := range statusFields {
		if v := entry.Attrs.Text(name); v != "" {
			out.Status = v
			break
		}
	}
	return out
}

// listRequests fills the requests that an id of many stands for.
func (w *walk) listRequests(ctx context.Context) error {
	rows, full, err := w.f.requestsOf(ctx, w.t, w.spec, w.kinds, w.stats)
	if err != nil {
		return err
	}
	w.requests = rows
	if full {
		w.gaps = append(w.gaps, Gap{Kind: "limit", Message: fmt.Sprintf("only the newest %d requests are listed", len(rows))})
	}
	// The rows that carry the id itself stay in the answer: they are what the
	// user asked for. Ids that they name belong to single requests.
	w.aliases = map[model.CorrelationKey]bool{}
	return nil
}

func (f *Finder) requestsOf(ctx context.Context, t tenant.ID, spec *model.KeySpec, keys []model.CorrelationKey, stats *model.QueryStats) (rows []RequestSummary, full bool, err error) {
	var any predicate.Or
	for _, k := range keys {
		any = append(any, predicate.Correlated(k))
	}
	seen := map[model.TraceID]bool{}
	sq := &predicate.SpanQuery{Tenant: t, Filters: []predicate.Expr{any}, Limit: f.opts.MaxRequests, Stats: stats}
	for m, err := range f.opts.Traces.SelectSpans(ctx, sq) {
		if err != nil {
			return nil, false, fmt.Errorf("cannot list requests: %w", err)
		}
		seen[m.Facts.ID] = true
		rows = append(rows, summarise(spec, m))
	}
	lq := &predicate.LogQuery{Tenant: t, Filter: any, Limit: f.opts.MaxRows, Stats: stats}
	byLog := map[model.TraceID]*RequestSummary{}
	for batch, err := range f.opts.Logs.SelectLogs(ctx, lq) {
		if err != nil {
			return nil, false, fmt.Errorf("cannot list requests: %w", err)
		}
		for i := range batch {
			addLogRequest(spec, byLog, seen, &batch[i])
		}
	}
	for _, r := range byLog {
		rows = append(rows, *r)
	}
	sort.Slice(rows, func(i, j int) bool {
		if rows[i].Start != rows[j].Start {
			return rows[i].Start > rows[j].Start
		}
		return rows[i].TraceID.String() < rows[j].TraceID.String()
	})
	if len(rows) > f.opts.MaxRequests {
		rows = rows[:f.opts.MaxRequests]
	}
	return rows, len(rows) == f.opts.MaxRequests, nil
}

// addLogRequest makes a row for a request of which only logs carry the id.
func addLogRequest(spec *model.KeySpec, byLog map[model.TraceID]*RequestSummary, seen map[model.TraceID]bool, l *model.LogRow) {
	if l.TraceID.IsZero() || seen[l.TraceID] {
		return
	}
	r := byLog[l.TraceID]
	if r == nil {
		r = &RequestSummary{TraceID: l.TraceID, Start: l.Time, Service: l.Resource.Service()}
		byLog[l.TraceID] = r
	}
	end := max(r.Start+r.Duration, l.Time)
	r.Start = min(r.Start, l.Time)
	r.Duration = end - r.Start
	if l.Severity >= 17 {
		r.Error = true
		r.Errors++
	}
	predicate.EachLogKey(spec, l, func(k model.CorrelationKey) {
		if k.Kind == model.KeyRequest && r.RequestID == "" {
			r.RequestID = k.ID
		}
	})
}

// ListRequest asks for the requests of an id of many.
type ListRequest struct {
	ID, Kind      string
	Sort          string // start, duration, status, service, route; "-" reverses; "" is -start
	Limit, Offset int    // Limit 0 means 100
}

// List is a page of requests.
type List struct {
	Requests []RequestSummary
	Total    int
	Facets   []Facet
	Complete bool
	Warnings []string
}

// Facet counts the values of one column over all requests of the list.
type Facet struct {
	Field  string
	Values []FacetValue // most frequent first
}

// FacetValue is one value with its count.
type FacetValue struct {
	Value string
	Count int64
}

// Requests lists the requests that carry an id.
func (f *Finder) Requests(ctx context.Context, t tenant.ID, req ListRequest) (*List, error) {
	less, err := sortBy(req.Sort)
	if err != nil {
		return nil, err
	}
	if req.Limit <= 0 || req.Limit > f.opts.MaxRequests {
		req.Limit = 100
	}
	if req.Offset < 0 {
		return nil, fmt.Errorf("%w: offset %d is negative", model.ErrInvalid, req.Offset)
	}
	stats := &model.QueryStats{}
	keys := readings(req.ID, req.Kind)
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: id %q cannot be an id", model.ErrInvalid, req.ID)
	}
	rows, full, err := f.requestsOf(ctx, t, f.opts.KeySpec(), keys, stats)
	if err != nil {
		return nil, err
	}
	sort.SliceStable(rows, func(i, j int) bool { return less(&rows[i], &rows[j]) })
	out := &List{Total: len(rows), Facets: facets(rows), Warnings: stats.Warnings(), Complete: !full}
	out.Complete = out.Complete && len(out.Warnings) == 0
	if req.Offset < len(rows) {
		out.Requests = rows[req.Offset:min(len(rows), req.Offset+req.Limit)]
	}
	return out, nil
}

func sortBy(key string) (func(a, b *RequestSummary) bool, error) {
	if key == "" {
		key = "-start"
	}
	reverse := key[0] == '-'
	if reverse {
		key = key[1:]
	}
	var less func(a, b *RequestSummary) bool
	switch key {
	case "start":
		less = func(a, b *RequestSummary) bool { return a.Start < b.Start }
	case "duration":
		less = func(a, b *RequestSummary) bool { return a.Duration < b.Duration }
	case "status":
		less = func(a, b *RequestSummary) bool { return a.Status < b.Status }
	case "service":
		less = func(a, b *RequestSummary) bool { return a.Service < b.Service }
	case "route":
		less = func(a, b *RequestSummary) bool { return a.Route < b.Route }
	default:
		return nil, fmt.Errorf("%w: sort %q; use start, duration, status, service or route, with - before it to reverse", model.ErrInvalid, key)
	}
	if reverse {
		return func(a, b *RequestSummary) bool { return less(b, a) }, nil
	}
	return less, nil
}

func facets(rows []RequestSummary) []Facet {
	columns := []struct {
		name string
		of   func(*RequestSummary) string
	}{
		{"service", func(r *RequestSummary) string { return r.Service }},
		{"route", func(r *RequestSummary) string { return r.Route }},
		{"status", func(r *RequestSummary) string { return r.Status }},
		{"error", func(r *RequestSummary) string { return fmt.Sprint(r.Error) }},
	}
	var out []Facet
	for _, c := range columns {
		counts := map[string]int64{}
		for i := range rows {
			counts[c.of(&rows[i])]++
		}
		facet := Facet{Field: c.name}
		for v, n := range counts {
			facet.Values = append(facet.Values, FacetValue{v, n})
		}
		sort.Slice(facet.Values, func(i, j int) bool {
			a, b := facet.Values[i], facet.Values[j]
			return a.Count > b.Count || a.Count == b.Count && a.Value < b.Value
		})
		if len(facet.Values) > 50 {
			facet.Values = facet.Values[:50]
		}
		out = append(out, facet)
	}
	return out
}

// near looks inside a pasted text for ids that are known, and says which.
func (f *Finder) near(ctx context.Context, t tenant.ID, spec *model.KeySpec, req Request) []model.CorrelationKey {
	var out []model.CorrelationKey
	for _, token := range tokens(req.ID) {
		for _, key := range readings(token, req.Kind) {
			w := newWalk(f, t, spec, Request{ID: token, Limit: 1})
			got, err := w.ask(ctx, key)
			if err != nil {
				return out
			}
			w.noteKinds(got, key)
			for _, k := range w.kinds {
				if !slices.Contains(out, k) {
					out = append(out, k)
				}
			}
		}
	}
	return out
}
