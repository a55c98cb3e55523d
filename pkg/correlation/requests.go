package correlation

import (
	"context"
	"fmt"
	"sort"
	"strconv"

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
	Logs          int // of a request of which no spans are known
}

// routeFields name a request's route, the most telling first.
var routeFields = []string{"http.route", "url.path", "http.target", "rpc.method", "messaging.destination.name"}

// statusFields name a request's outcome.
var statusFields = []string{"http.response.status_code", "http.status_code", "rpc.grpc.status_code", "rpc.response.status_code"}

// summaryFields is what summarise reads of a span.
func summaryFields(spec *model.KeySpec) []predicate.Field {
	var out []predicate.Field
	for _, names := range [][]string{routeFields, statusFields, spec.Attributes()} {
		for _, n := range names {
			out = append(out, predicate.Field{Name: n}, predicate.Field{Scope: predicate.ScopeEvent, Name: n})
		}
	}
	return out
}

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
	seen := map[requestKey]bool{}
	// The whole trace, so that its entry speaks for it, though only some span
	// deep inside may carry the id.
	sq := &predicate.SpanQuery{Tenant: t, Filters: []predicate.Expr{any}, Tree: true, Project: summaryFields(spec), Limit: f.opts.MaxRequests, Stats: stats}
	for m, err := range f.opts.Traces.SelectSpans(ctx, sq) {
		if err != nil {
			return nil, false, fmt.Errorf("cannot list requests: %w", err)
		}
		row := summarise(spec, m)
		seen[requestKey{trace: m.Facts.ID}] = true
		if row.RequestID != "" {
			seen[requestKey{request: row.RequestID}] = true
		}
		rows = append(rows, row)
	}
	lq := &predicate.LogQuery{Tenant: t, Filter: any, Limit: f.opts.MaxRows, Stats: stats}
	byLog := map[requestKey]*RequestSummary{}
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
		if rows[i].TraceID != rows[j].TraceID {
			return string(rows[i].TraceID[:]) < string(rows[j].TraceID[:])
		}
		return rows[i].RequestID < rows[j].RequestID
	})
	if len(rows) > f.opts.MaxRequests {
		rows = rows[:f.opts.MaxRequests]
	}
	return rows, len(rows) == f.opts.MaxRequests, nil
}

// requestKey names one request: by its trace, or, where there is none, by its
// request id.
type requestKey struct {
	trace   model.TraceID
	request string
}

// requestOf returns the request that a log record belongs to; false for none.
func requestOf(spec *model.KeySpec, l *model.LogRow) (requestKey, string, bool) {
	id, trace := "", l.TraceID
	predicate.EachLogKey(spec, l, func(k model.CorrelationKey) {
		switch {
		case k.Kind == model.KeyRequest && id == "":
			id = k.ID
		case k.Kind == model.KeyTrace && trace.IsZero():
			trace, _ = model.ParseTraceID(k.ID)
		}
	})
	if !trace.IsZero() {
		return requestKey{trace: trace}, id, true
	}
	return requestKey{request: id}, id, id != ""
}

// addLogRequest makes a row for a request of which only logs carry the id.
func addLogRequest(spec *model.KeySpec, byLog map[requestKey]*RequestSummary, seen map[requestKey]bool, l *model.LogRow) {
	key, id, ok := requestOf(spec, l)
	if !ok || seen[key] || id != "" && seen[requestKey{request: id}] {
		return
	}
	r := byLog[key]
	if r == nil {
		r = &RequestSummary{TraceID: key.trace, Start: l.Time, Service: l.Resource.Service()}
		byLog[key] = r
	}
	if l.Time < r.Start {
		r.Service = l.Resource.Service()
	}
	end := max(r.Start+r.Duration, l.Time)
	r.Start = min(r.Start, l.Time)
	r.Duration = end - r.Start
	r.Logs++
	if l.Severity >= 17 {
		r.Error = true
		r.Errors++
	}
	if r.RequestID == "" {
		r.RequestID = id
	}
}

// ListRequest asks for the requests of an id of many.
type ListRequest struct {
	ID, Kind      string
	Sort          string // start, duration, status, service, route, error, spans; "-" reverses; "" is -start
	Limit, Offset int    // Limit 0 means 100
	// Where keeps the rows with these values, by column: service, route, status,
	// error ("true", "false"). A facet counts the rows that the conditions on
	// the other columns leave.
	Where map[string]string
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
	for column := range req.Where {
		if facetOf(column) == nil {
			return nil, fmt.Errorf("%w: %q is no column to choose by; use service, route, status or error", model.ErrInvalid, column)
		}
	}
	spec := f.opts.KeySpec()
	if req.Kind != "" && !contains(spec.Kinds(), req.Kind) {
		return nil, fmt.Errorf("%w: kind %q is not configured; known kinds: %v", model.ErrInvalid, req.Kind, spec.Kinds())
	}
	all, full, err := f.requestsOf(ctx, t, spec, keys, stats)
	if err != nil {
		return nil, err
	}
	rows := make([]RequestSummary, 0, len(all))
	for i := range all {
		if all[i].passes(req.Where, "") {
			rows = append(rows, all[i])
		}
	}
	sort.SliceStable(rows, func(i, j int) bool { return less(&rows[i], &rows[j]) })
	out := &List{Total: len(rows), Facets: facets(all, req.Where), Warnings: stats.Warnings(), Complete: !full}
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
	case "error":
		less = func(a, b *RequestSummary) bool {
			return a.Errors < b.Errors || a.Errors == b.Errors && !a.Error && b.Error
		}
	case "spans":
		less = func(a, b *RequestSummary) bool { return a.Spans < b.Spans }
	default:
		return nil, fmt.Errorf("%w: sort %q; use start, duration, status, service, route, error or spans, with - before it to reverse", model.ErrInvalid, key)
	}
	if reverse {
		return func(a, b *RequestSummary) bool { return less(b, a) }, nil
	}
	return less, nil
}

// facetColumns are the columns whose values are counted.
var facetColumns = []struct {
	name string
	of   func(*RequestSummary) string
}{
	{"service", func(r *RequestSummary) string { return r.Service }},
	{"route", func(r *RequestSummary) string { return r.Route }},
	{"status", func(r *RequestSummary) string { return r.Status }},
	{"error", func(r *RequestSummary) string { return strconv.FormatBool(r.Error) }},
}

func facetOf(name string) func(*RequestSummary) string {
	for i := range facetColumns {
		if facetColumns[i].name == name {
			return facetColumns[i].of
		}
	}
	return nil
}

// passes reports whether a row has the values asked for, but for one column.
func (r *RequestSummary) passes(where map[string]string, but string) bool {
	for column, value := range where {
		if column != but && facetOf(column)(r) != value {
			return false
		}
	}
	return true
}

func facets(rows []RequestSummary, where map[string]string) []Facet {
	var out []Facet
	for _, c := range facetColumns {
		counts := map[string]int64{}
		for i := range rows {
			if rows[i].passes(where, c.name) {
				counts[c.of(&rows[i])]++
			}
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
