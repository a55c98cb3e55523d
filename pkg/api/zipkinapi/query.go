package zipkinapi

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/regexp"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/tenant"
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{model.ErrInvalid}, args...)...)
}

var serviceField = predicate.Field{Scope: predicate.ScopeResource, Name: "service.name"}

// peerAttributes name the service at the other end of a span, best first.
var peerAttributes = []string{"peer.service", "server.address", "net.peer.name", "db.system", "db.system.name"}

func serviceIs(name string) predicate.Expr {
	return predicate.Compare{Field: serviceField, Value: model.String(name)}
}

const (
	defaultLimit = 10
	maxLimit     = 1000
	// defaultLookback is Zipkin's, in milliseconds.
	defaultLookback = 24 * 3600 * 1000
)

func parseUint(r *http.Request, name string, otherwise int64) (int64, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/1_000_000 {
		return 0, invalid("%s=%q: expected a number", name, s)
	}
	return n, nil
}

// timeRange reads endTs (now by default) and lookback, in milliseconds.
func (a *API) timeRange(r *http.Request) (model.TimeRange, error) {
	end, err := parseUint(r, "endTs", a.opts.Now().UnixMilli())
	if err != nil {
		return model.TimeRange{}, err
	}
	lookback, err := parseUint(r, "lookback", defaultLookback)
	if err != nil {
		return model.TimeRange{}, err
	}
	return model.TimeRange{Start: max(1, (end-lookback)*1_000_000), End: end*1_000_000 + 1}, nil
}

// traces answers GET /api/v2/traces. As in Zipkin, the conditions may be met by
// different spans of one trace, but all by spans of the service when one is
// named.
func (a *API) traces(r *http.Request, t tenant.ID) (any, error) {
	rng, err := a.timeRange(r)
	if err != nil {
		return nil, err
	}
	limit, err := parseUint(r, "limit", defaultLimit)
	if err != nil {
		return nil, err
	}
	filters, err := conditions(r)
	if err != nil {
		return nil, err
	}
	q := &predicate.SpanQuery{Tenant: t, Range: rng, Filters: filters, Require: []uint64{1<<len(filters) - 1}, Tree: true,
		Order: predicate.NewestFirst, Limit: int(min(max(limit, 1), maxLimit)), Stats: &model.QueryStats{}}
	return a.find(r.Context(), q)
}

func (a *API) find(ctx context.Context, q *predicate.SpanQuery) (out [][]span, err error) {
	if a.opts.Guard != nil {
		var done func(*model.QueryStats, error)
		if ctx, done, err = a.opts.Guard.Begin(ctx, q.Tenant, "zipkin", predicate.And(q.Filters).String()); err != nil {
			return nil, err
		}
		defer func() { done(q.Stats, err) }()
	}
	out = [][]span{}
	spans := 0
	for m, err := range a.opts.Source.SelectSpans(ctx, q) {
		if err != nil {
			return nil, fmt.Errorf("cannot search traces: %w", err)
		}
		if spans += len(m.Spans); spans > a.opts.MaxSpans {
			return nil, fmt.Errorf("%w: the traces found have more than %d spans: ask for fewer traces", model.ErrTooMuch, a.opts.MaxSpans)
		}
		out = append(out, newSpans(m.Spans))
	}
	return out, ctx.Err()
}

// maxConditions keeps the filters within the bits that a source can tell apart.
const maxConditions = 60

func conditions(r *http.Request) ([]predicate.Expr, error) {
	v := r.URL.Query()
	var service predicate.Expr = predicate.True{}
	if s := v.Get("serviceName"); s != "" && s != "all" {
		service = serviceIs(s)
	}
	var out []predicate.Expr
	add := func(e predicate.Expr) { out = append(out, predicate.AllOf(service, e)) }
	if s := v.Get("spanName"); s != "" && s != "all" {
		m, err := predicate.NewMatch(predicate.Intrinsic(predicate.Name), "(?i)"+regexp.QuoteMeta(s))
		if err != nil {
			return nil, invalid("spanName=%q: %v", s, err)
		}
		add(m)
	}
	if s := v.Get("remoteServiceName"); s != "" && s != "all" {
		var peers predicate.Or
		for _, key := range peerAttributes {
			peers = append(peers, predicate.Compare{Field: predicate.Field{Scope: predicate.ScopeRecord, Name: key}, Value: model.String(s)})
		}
		add(peers)
	}
	duration, err := durations(r)
	if err != nil {
		return nil, err
	}
	if duration != nil {
		add(duration)
	}
	for _, part := range strings.Split(v.Get("annotationQuery"), " and ") {
		if part = strings.TrimSpace(part); part != "" {
			add(annotation(part))
		}
	}
	if len(out) == 0 {
		add(predicate.True{})
	}
	if len(out) > maxConditions {
		return nil, invalid("annotationQuery has %d conditions, at most %d are allowed", len(out), maxConditions)
	}
	return out, nil
}

// durations reads minDuration and maxDuration in microseconds.
func durations(r *http.Request) (predicate.Expr, error) {
	low, err := parseUint(r, "minDuration", 0)
	if err != nil {
		return nil, err
	}
	high, err := parseUint(r, "maxDuration", 0)
	if err != nil {
		return nil, err
	}
	if high > 0 && low > high {
		return nil, invalid("minDuration=%d is longer than maxDuration=%d", low, high)
	}
	field := predicate.Intrinsic(predicate.Duration)
	var parts []predicate.Expr
	if low > 0 {
		parts = append(parts, predicate.Compare{Field: field, Op: predicate.Gte, Value: model.Int(low * int64(time.Microsecond))})
	}
	if high > 0 {
		parts = append(parts, predicate.Compare{Field: field, Op: predicate.Lte, Value: model.Int(high * int64(time.Microsecond))})
	}
	if len(parts) == 0 {
		return nil, nil
	}
	return predicate.AllOf(parts...), nil
}

// annotation reads one condition of annotationQuery: "key=value", or a word
// that is a tag's key or an event's name.
func annotation(s string) predicate.Expr {
	key, value, ok := strings.Cut(s, "=")
	anyField := predicate.Field{Scope: predicate.ScopeAny, Name: key}
	failed := predicate.Compare{Field: predicate.Intrinsic(predicate.Status), Value: model.String("error")}
	if ok {
		either := predicate.Or{predicate.Compare{Field: anyField, Value: model.String(value), Loose: true}}
		if key == "error" && value == "true" {
			either = append(either, failed)
		}
		return either
	}
	either := predicate.Or{predicate.Exists{Field: anyField},
		predicate.Compare{Field: predicate.Field{Scope: predicate.ScopeEvent, Name: predicate.Name}, Value: model.String(s)}}
	if s == "error" {
		either = append(either, failed)
	}
	return either
}
