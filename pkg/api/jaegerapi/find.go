package jaegerapi

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{model.ErrInvalid}, args...)...)
}

// question is a search as both generations ask it: one span of the trace
// satisfies all of it.
type question struct {
	service, operation       string
	attributes               map[string]string
	minDuration, maxDuration time.Duration
	rng                      model.TimeRange
	limit                    int
	raw                      bool // spans as they were sent, shared ids and all
}

const (
	defaultLimit = 100
	maxLimit     = 1500 // what Jaeger's UI offers at most
)

// filter is the condition on the one span.
func (q *question) filter() predicate.Expr {
	parts := []predicate.Expr{serviceIs(q.service)}
	if q.operation != "" && q.operation != "all" {
		parts = append(parts, predicate.Compare{Field: predicate.Intrinsic(predicate.Name), Value: model.String(q.operation)})
	}
	keys := make([]string, 0, len(q.attributes))
	for k := range q.attributes {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		parts = append(parts, tagIs(k, q.attributes[k]))
	}
	duration := predicate.Intrinsic(predicate.Duration)
	if q.minDuration > 0 {
		parts = append(parts, predicate.Compare{Field: duration, Op: predicate.Gte, Value: model.Int(int64(q.minDuration))})
	}
	if q.maxDuration > 0 {
		parts = append(parts, predicate.Compare{Field: duration, Op: predicate.Lte, Value: model.Int(int64(q.maxDuration))})
	}
	return predicate.AllOf(parts...)
}

var serviceField = predicate.Field{Scope: predicate.ScopeResource, Name: "service.name"}

// unknownService is how OpenTelemetry calls a resource without a service name.
const unknownService = "unknown_service"

func serviceIs(name string) predicate.Expr {
	if name == "" {
		return predicate.True{}
	}
	is := predicate.Compare{Field: serviceField, Value: model.String(name)}
	if name == unknownService {
		return predicate.Or{is, predicate.Not{X: predicate.Exists{Field: serviceField}}}
	}
	return is
}

// tagIs compares a tag, whose type the client does not know, at every level
// where Jaeger would show it.
func tagIs(key, value string) predicate.Expr {
	word := func(name, v string) predicate.Expr {
		return predicate.Compare{Field: predicate.Intrinsic(name), Value: model.String(v)}
	}
	loose := func(scope predicate.Scope, name string) predicate.Expr {
		return predicate.Compare{Field: predicate.Field{Scope: scope, Name: name}, Value: model.String(value), Loose: true}
	}
	either := predicate.Or{loose(predicate.ScopeAny, key), loose(predicate.ScopeEvent, key), loose(predicate.ScopeLink, key)}
	switch key {
	case "error":
		if value == "true" {
			either = append(either, word(predicate.Status, "error"))
		}
		if value == "false" {
			either = append(either, predicate.Not{X: word(predicate.Status, "error")})
		}
	case "span.kind":
		either = append(either, word(predicate.Kind, strings.ToLower(value)))
	case "otel.status_code":
		either = append(either, word(predicate.Status, strings.ToLower(value)))
	case "otel.status_description":
		either = append(either, word(predicate.StatusMessage, value))
	case "otel.scope.name", "otel.library.name":
		either = append(either, loose(predicate.ScopeInstrumentation, "name"))
	case "otel.scope.version", "otel.library.version":
		either = append(either, loose(predicate.ScopeInstrumentation, "version"))
	case "event":
		either = append(either, loose(predicate.ScopeEvent, predicate.Name))
	}
	return either
}

// begin enters the guard, if there is one.
func (a *API) begin(ctx context.Context, t tenant.ID, text string) (context.Context, func(*model.QueryStats, error), error) {
	if a.opts.Guard == nil {
		return ctx, func(*model.QueryStats, error) {}, nil
	}
	return a.opts.Guard.Begin(ctx, t, "jaeger", text)
}

// edges asks the graph.
func (a *API) edges(ctx context.Context, t tenant.ID, r model.TimeRange) (out []model.ServiceEdge, err error) {
	ctx, done, err := a.begin(ctx, t, "dependencies")
	if err != nil {
		return nil, err
	}
	defer func() { done(nil, err) }()
	if out, err = a.opts.Graph.Dependencies(ctx, t, r); err != nil {
		return nil, fmt.Errorf("cannot list dependencies: %w", err)
	}
	return out, nil
}

// find returns the traces that answer, newest first, with all their spans.
func (a *API) find(ctx context.Context, t tenant.ID, q *question) (out []*model.TraceMatch, err error) {
	stats := &model.QueryStats{}
	sq := &predicate.SpanQuery{Tenant: t, Range: q.rng, Filters: []predicate.Expr{q.filter()}, Tree: true,
		Order: predicate.NewestFirst, Limit: q.limit, Stats: stats}
	ctx, done, err := a.begin(ctx, t, sq.Filters[0].String())
	if err != nil {
		return nil, err
	}
	defer func() { done(stats, err) }()
	spans := 0
	for m, err := range a.opts.Source.SelectSpans(ctx, sq) {
		if err != nil {
			return nil, fmt.Errorf("cannot search traces: %w", err)
		}
		if spans += len(m.Spans); spans > a.opts.MaxSpans {
			return nil, fmt.Errorf("%w: the traces found have more than %d spans: ask for fewer traces", model.ErrTooMuch, a.opts.MaxSpans)
		}
		out = append(out, m)
	}
	return out, ctx.Err()
}

// serviceNames lists the services, sorted.
func (a *API) serviceNames(ctx context.Context, t tenant.ID) ([]string, error) {
	return a.values(ctx, t, serviceField, nil)
}

// maxNames bounds lists of services and operations.
const maxNames = 20_000

func (a *API) values(ctx context.Context, t tenant.ID, f predicate.Field, filter predicate.Expr) ([]string, error) {
	infos, err := a.opts.Source.SpanFields(ctx, &predicate.FieldQuery{Tenant: t, Field: &f, Filter: filter, Limit: maxNames})
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", f, err)
	}
	out := make([]string, 0, len(infos))
	for _, i := range infos {
		if s := i.Value.Text(); s != "" {
			out = append(out, s)
		}
	}
	sort.Strings(out)
	return slices.Compact(out), nil
}

type operation struct {
	Name     string `json:"name"`
	SpanKind string `json:"spanKind"`
}

var kinds = []model.SpanKind{model.SpanKindUnspecified, model.SpanKindInternal, model.SpanKindServer, model.SpanKindClient,
	model.SpanKindProducer, model.SpanKindConsumer}

// kindWord is Jaeger's word for a kind: "" where there is none.
func kindWord(k model.SpanKind) string {
	if k == model.SpanKindUnspecified {
		return ""
	}
	return k.String()
}

// operationsOf lists the operations of a service with their kinds, sorted. No
// service has none.
func (a *API) operationsOf(ctx context.Context, t tenant.ID, service, kind string) ([]operation, error) {
	if service == "" {
		return []operation{}, nil
	}
	kind = strings.TrimPrefix(strings.ToLower(kind), "span_kind_")
	agg, err := a.opts.Source.AggregateSpans(ctx, &predicate.Aggregation{Tenant: t, Filter: serviceIs(service), MaxGroups: maxNames,
		By: []predicate.Field{predicate.Intrinsic(predicate.Name), predicate.Intrinsic(predicate.Kind)}})
	if err != nil {
		return nil, fmt.Errorf("cannot list the operations of %q: %w", service, err)
	}
	out := []operation{}
	for _, k := range kinds {
		if kind != "" && kind != k.String() {
			continue
		}
		for i := range agg.Groups {
			g := &agg.Groups[i]
			if name := g.Key[0].Text(); name != "" && g.Key[1].Text() == k.String() && g.Cells[0].Count > 0 {
				out = append(out, operation{name, kindWord(k)})
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

// legacyQuestion reads the parameters of GET /api/traces: times in
// microseconds, tags as JSON or as repeated key:value.
func (a *API) legacyQuestion(v url.Values) (q *question, err error) {
	q = &question{service: v.Get("service"), operation: v.Get("operation"), limit: defaultLimit}
	if q.service == "" {
		return nil, invalid("parameter 'service' is required")
	}
	if q.limit, err = parseLimit(v, "limit"); err != nil {
		return nil, err
	}
	if q.rng, err = a.legacyRange(v); err != nil {
		return nil, err
	}
	if q.minDuration, q.maxDuration, err = parseDurations(v.Get("minDuration"), v.Get("maxDuration")); err != nil {
		return nil, err
	}
	q.attributes, err = parseTags(v["tags"], v["tag"])
	return q, err
}

func parseLimit(v url.Values, names ...string) (int, error) {
	s := first(v, names...)
	if s == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, invalid("%s=%q: expected a number", names[0], s)
	}
	if n == 0 {
		n = defaultLimit
	}
	return min(n, maxLimit), nil
}

func first(v url.Values, names ...string) string {
	for _, n := range names {
		if s := v.Get(n); s != "" {
			return s
		}
	}
	return ""
}

// legacyRange reads start and end in microseconds, or lookback until now.
func (a *API) legacyRange(v url.Values) (r model.TimeRange, err error) {
	r.End = a.opts.Now().UnixNano()
	if r, err = microRange(v, r); err != nil {
		return r, err
	}
	if r.Start == 0 {
		lookback := 48 * time.Hour
		if s := v.Get("lookback"); s != "" && s != "custom" {
			if lookback, err = parseLookback(s); err != nil {
				return r, err
			}
		}
		r.Start = r.End - int64(lookback)
	}
	if r.End < r.Start {
		return r, invalid("end lies before start")
	}
	return r, nil
}

func microRange(v url.Values, r model.TimeRange) (model.TimeRange, error) {
	for _, p := range []struct {
		name string
		to   *int64
	}{{"start", &r.Start}, {"end", &r.End}} {
		s := v.Get(p.name)
		if s == "" {
			continue
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/1000 {
			return r, invalid("%s=%q: expected Unix microseconds", p.name, s)
		}
		*p.to = n * 1000
	}
	return r, nil
}

// parseLookback also reads days and weeks, as the UI offers them.
func parseLookback(s string) (time.Duration, error) {
	unit := map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[s[len(s)-1]]
	if unit > 0 {
		if n, err := strconv.Atoi(s[:len(s)-1]); err == nil && n >= 0 && n < 10_000 {
			return time.Duration(n) * unit, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, invalid("lookback=%q: expected a duration such as 1h or 2d", s)
	}
	return d, nil
}

func parseDurations(low, high string) (minD, maxD time.Duration, err error) {
	for _, p := range []struct {
		name, text string
		to         *time.Duration
	}{{"minDuration", low, &minD}, {"maxDuration", high, &maxD}} {
		if p.text == "" {
			continue
		}
		if *p.to, err = time.ParseDuration(p.text); err != nil || *p.to < 0 {
			return 0, 0, invalid("%s=%q: expected a duration such as 1.2ms", p.name, p.text)
		}
	}
	if maxD > 0 && minD > maxD {
		return 0, 0, invalid("'maxDuration' should be greater than 'minDuration'")
	}
	return minD, maxD, nil
}

func parseTags(asJSON, pairs []string) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range asJSON {
		if s == "" {
			continue
		}
		tags := map[string]any{}
		if err := json.Unmarshal([]byte(s), &tags); err != nil {
			return nil, invalid("tags=%q: expected a JSON object of strings: %v", s, err)
		}
		for k, v := range tags {
			out[k] = model.FromJSON(mustJSON(v)).Text()
		}
	}
	for _, s := range pairs {
		k, v, ok := strings.Cut(s, ":")
		if !ok {
			return nil, invalid("tag=%q: expected key:value", s)
		}
		out[k] = v
	}
	return out, nil
}

// mustJSON writes back what was just read from JSON.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return b
}
