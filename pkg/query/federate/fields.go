package federate

import (
	"strings"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// fieldGetter reads a field of a record.
type fieldGetter struct {
	field   predicate.Field
	service bool // service.name, or unknown_service
	record  bool // the record itself: one value a record
}

var intrinsics = map[Signal]map[string]string{
	Traces: {"name": predicate.Name, "duration": predicate.Duration, "kind": predicate.Kind, "status": predicate.Status,
		"statusMessage": predicate.StatusMessage, "time": predicate.Time, "traceID": predicate.TraceID, "spanID": predicate.SpanID},
	Logs: {"body": predicate.Body, "level": predicate.Level, "severity": predicate.Severity, "severity_text": predicate.SeverityText,
		"event_name": predicate.EventName, "time": predicate.Time, "traceID": predicate.TraceID, "spanID": predicate.SpanID},
	Exemplars: {"value": "value", "time": predicate.Time, "traceID": predicate.TraceID, "spanID": predicate.SpanID},
}

var scopes = []struct {
	prefix string
	scope  predicate.Scope
}{{"resource.", predicate.ScopeResource}, {"span.", predicate.ScopeRecord}, {"record.", predicate.ScopeRecord}, {"event.", predicate.ScopeEvent}, {"scope.", predicate.ScopeInstrumentation}}

// fieldOf resolves the field of an enrich column and tells the column's type.
func fieldOf(signal Signal, c EnrichColumn) (fieldGetter, string) {
	g, typ := getterOf(signal, c.Field)
	return g, aggType(c.Func, typ)
}

func getterOf(signal Signal, text string) (fieldGetter, string) {
	if text == "" {
		return fieldGetter{record: true}, TypeInt
	}
	if text == "service" {
		return fieldGetter{service: true}, TypeString
	}
	if in, ok := intrinsics[signal][text]; ok {
		typ := TypeString
		switch text {
		case "time":
			typ = TypeTime
		case "duration":
			typ = TypeDuration
		case "severity":
			typ = TypeInt
		case "value":
			typ = TypeDouble
		}
		return fieldGetter{field: predicate.Intrinsic(in)}, typ
	}
	for _, s := range scopes {
		if rest, ok := strings.CutPrefix(text, s.prefix); ok {
			return fieldGetter{field: predicate.Field{Scope: s.scope, Name: rest, Underscored: true}}, TypeValue
		}
	}
	return fieldGetter{field: predicate.Field{Name: text, Underscored: true}}, TypeValue
}

// record is one span, log record or exemplar, as the collector sees it.
type record struct {
	predicate.Row
	start, end int64
	service    string
	failed     bool
	keys       []model.CorrelationKey
}

// each yields the values of the field.
func (g fieldGetter) each(r *record, yield func(model.Value)) {
	switch {
	case g.record:
		yield(model.Int(1))
	case g.service:
		yield(model.String(r.service))
	default:
		r.Lookup(g.field, func(v model.Value) bool {
			yield(v)
			return true
		})
	}
}

// exemplarRow makes an exemplar a predicate.Row: its value, its ids, the labels
// of its series, its own attributes.
type exemplarRow struct{ *model.ExemplarRow }

// Lookup implements predicate.Row.
func (r exemplarRow) Lookup(f predicate.Field, yield func(model.Value) bool) {
	if f.Scope == predicate.ScopeIntrinsic {
		switch f.Name {
		case "value":
			yield(model.Double(r.Value))
		case predicate.Time:
			yield(model.Int(r.Time))
		case predicate.TraceID:
			if !r.TraceID.IsZero() {
				yield(model.String(r.TraceID.String()))
			}
		case predicate.SpanID:
			if !r.SpanID.IsZero() {
				yield(model.String(r.SpanID.String()))
			}
		}
		return
	}
	if v, ok := r.Attrs.Get(f.Name); ok {
		yield(v)
		return
	}
	for _, l := range r.Series {
		if l.Name == f.Name || l.Name == predicate.Underscore(f.Name) {
			yield(model.String(l.Value))
			return
		}
	}
}

// Correlated implements predicate.Row; nothing asks an exemplar so.
func (exemplarRow) Correlated(string, string) bool { return false }
