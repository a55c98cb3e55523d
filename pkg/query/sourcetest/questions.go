package sourcetest

import (
	"fmt"
	"math/rand/v2"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// field draws a field of log records or of spans.
func field(r *rand.Rand, spans bool) predicate.Field {
	switch r.IntN(6) {
	case 0:
		return predicate.Field{Scope: predicate.ScopeResource, Name: pick(r, []string{"service.name", "host.name", "nope"})}
	case 1:
		if spans {
			return predicate.Intrinsic(pick(r, []string{predicate.Name, predicate.Duration, predicate.Kind, predicate.Status, predicate.StatusMessage, predicate.SpanID, predicate.ParentID}))
		}
		return predicate.Intrinsic(pick(r, []string{predicate.Body, predicate.Severity, predicate.Level, predicate.SeverityText, predicate.EventName, predicate.TraceID, predicate.Flags}))
	case 2:
		return predicate.Field{Scope: predicate.ScopeInstrumentation, Name: pick(r, []string{"name", "version"})}
	case 3:
		return predicate.Field{Scope: predicate.ScopeAny, Name: pick(r, []string{"service_name", "http_route", "k8s_pod", "status"}), Underscored: true}
	case 4:
		if spans {
			return predicate.Field{Scope: predicate.ScopeEvent, Name: pick(r, append([]string{"name"}, keys[:4]...))}
		}
	}
	return predicate.Field{Scope: pick(r, []predicate.Scope{predicate.ScopeAny, predicate.ScopeRecord}), Name: pick(r, keys)}
}

// Expr draws a condition.
func Expr(r *rand.Rand, spans bool, depth int) predicate.Expr {
	if depth > 0 {
		switch r.IntN(6) {
		case 0:
			return predicate.And{Expr(r, spans, depth-1), Expr(r, spans, depth-1)}
		case 1:
			return predicate.Or{Expr(r, spans, depth-1), Expr(r, spans, depth-1)}
		case 2:
			return predicate.Not{X: Expr(r, spans, depth-1)}
		}
	}
	f := field(r, spans)
	switch r.IntN(7) {
	case 0:
		return predicate.Exists{Field: f}
	case 1:
		m, _ := predicate.NewMatch(f, pick(r, []string{"c.*", "a|b", ".*00", "[^x]+", "ERROR.*", "(?i)order.*"}))
		return m
	case 2:
		text := predicate.Intrinsic(predicate.Body)
		if spans {
			text = predicate.Intrinsic(predicate.Name)
		}
		q := pick(r, words)
		if r.IntN(3) == 0 {
			q = pick(r, []string{"ment", "ail", "er ", "ard_d", "öße", "failed timeout"})
		}
		t, _ := predicate.NewText(text, predicate.TextMode(pick(r, []int{0, 0, 2, 3})), q, r.IntN(3) == 0)
		return t
	case 3:
		t, _ := predicate.NewText(predicate.Intrinsic(predicate.Body), predicate.Regexp, pick(r, []string{"pay.*failed", `\bGET\b`, "time(out)?", "^ERROR", "[0-9]$"}), r.IntN(3) == 0)
		return t
	case 4:
		if r.IntN(2) == 0 {
			return predicate.Correlated{Kind: model.KeyTrace, ID: traceID(r.IntN(110)).String()}
		}
		return predicate.Correlated{Kind: pick(r, []string{"", model.KeyRequest}), ID: fmt.Sprintf("req-%04d", r.IntN(220))}
	}
	v := value(r)
	switch f.Name {
	case "service.name", "service_name":
		v = model.String(pick(r, []string{"cart", "payment", "nobody"}))
	case predicate.Status:
		v = model.String(pick(r, []string{"error", "ok"}))
	case predicate.Duration:
		v = model.Int(int64(r.IntN(300)) * 1_000_000)
	case predicate.Severity:
		v = model.Int(int64(r.IntN(20)))
	}
	return predicate.Compare{Field: f, Op: predicate.Op(r.IntN(6)), Value: v, Loose: r.IntN(2) == 0}
}

// timeRange draws a range: all time, a part, or none of the data.
func timeRange(r *rand.Rand) model.TimeRange {
	switch r.IntN(4) {
	case 0:
		return model.TimeRange{}
	case 1:
		return model.TimeRange{Start: 1, End: Epoch}
	}
	start := Epoch + int64(r.IntN(100))*second
	return model.TimeRange{Start: start, End: start + int64(1+r.IntN(100))*second}
}
