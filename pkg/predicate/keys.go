package predicate

import "braid/pkg/model"

// EachSpanKey calls yield with every correlation key that a span carries: its
// trace, and the ids in its attributes, events, scope and resource. A key may
// come more than once.
func EachSpanKey(spec *model.KeySpec, r *model.SpanRow, yield func(model.CorrelationKey)) {
	yield(model.CorrelationKey{Kind: model.KeyTrace, ID: r.TraceID.String()})
	EachAttrKey(spec, r.Attrs, yield)
	EachAttrKey(spec, scopeAttrs(r.Scope), yield)
	EachAttrKey(spec, resourceAttrs(r.Resource), yield)
	for i := range r.Events {
		EachAttrKey(spec, r.Events[i].Attrs, yield)
	}
}

// EachLogKey calls yield with every correlation key that a log record carries.
func EachLogKey(spec *model.KeySpec, r *model.LogRow, yield func(model.CorrelationKey)) {
	if !r.TraceID.IsZero() {
		yield(model.CorrelationKey{Kind: model.KeyTrace, ID: r.TraceID.String()})
	}
	EachAttrKey(spec, r.Attrs, yield)
	EachAttrKey(spec, scopeAttrs(r.Scope), yield)
	EachAttrKey(spec, resourceAttrs(r.Resource), yield)
}

// EachExemplarKey calls yield with every correlation key of an exemplar.
func EachExemplarKey(spec *model.KeySpec, r *model.ExemplarRow, yield func(model.CorrelationKey)) {
	if !r.TraceID.IsZero() {
		yield(model.CorrelationKey{Kind: model.KeyTrace, ID: r.TraceID.String()})
	}
	EachAttrKey(spec, r.Attrs, yield)
}

// EachAttrKey calls yield with every correlation key among attributes.
func EachAttrKey(spec *model.KeySpec, attrs model.Attrs, yield func(model.CorrelationKey)) {
	for i := range attrs {
		kind, ok := spec.Kind(attrs[i].Key)
		if !ok {
			continue
		}
		model.EachID(attrs[i].Value, func(text string) bool {
			if id := model.Canonical(kind, text); id != "" {
				yield(model.CorrelationKey{Kind: kind, ID: id})
			}
			return true
		})
	}
}
