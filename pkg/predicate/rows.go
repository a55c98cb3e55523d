package predicate

import (
	"braid/pkg/model"
)

// LogRow adapts a model.LogRow to Row. Spec tells which attributes carry
// correlation ids.
type LogRow struct {
	*model.LogRow
	Spec *model.KeySpec
}

// Lookup implements Row.
func (r LogRow) Lookup(f Field, yield func(model.Value) bool) {
	switch f.Scope {
	case ScopeIntrinsic:
		if v, ok := LogIntrinsic(&r.LogRecord, f.Name); ok {
			yield(v)
		}
	case ScopeAny:
		lookupFirst(f, yield, r.Attrs, scopeAttrs(r.Scope), resourceAttrs(r.Resource))
	case ScopeRecord:
		lookupFirst(f, yield, r.Attrs)
	case ScopeResource:
		lookupFirst(f, yield, resourceAttrs(r.Resource))
	case ScopeInstrumentation:
		lookupScope(f, r.Scope, yield)
	}
}

// Correlated implements Row.
func (r LogRow) Correlated(kind, id string) bool {
	if (kind == "" || kind == model.KeyTrace) && !r.TraceID.IsZero() && r.TraceID.String() == id {
		return true
	}
	return attrsCorrelated(r.Spec, kind, id, r.Attrs, scopeAttrs(r.Scope), resourceAttrs(r.Resource))
}

// LogIntrinsic returns an intrinsic field of a log record; absent fields
// (no trace id, no severity) are not there.
func LogIntrinsic(r *model.LogRecord, name string) (model.Value, bool) {
	switch name {
	case Body:
		return r.Body, true
	case Severity:
		return model.Int(int64(r.Severity)), r.Severity != 0
	case Level:
		return model.String(r.Severity.Level()), true
	case SeverityText:
		return model.String(r.SeverityText), r.SeverityText != ""
	case EventName:
		return model.String(r.EventName), r.EventName != ""
	case Flags:
		return model.Int(int64(r.Flags)), r.Flags != 0
	case Time:
		return model.Int(r.Time), true
	case TraceID:
		return model.String(r.TraceID.String()), !r.TraceID.IsZero()
	case SpanID:
		return model.String(r.SpanID.String()), !r.SpanID.IsZero()
	}
	return model.Value{}, false
}

// SpanRow adapts a model.SpanRow to Row. Facts may be nil: trace-level fields
// are then absent.
type SpanRow struct {
	*model.SpanRow
	Facts *model.TraceFacts
	Spec  *model.KeySpec
}

// Lookup implements Row.
func (r SpanRow) Lookup(f Field, yield func(model.Value) bool) {
	switch f.Scope {
	case ScopeIntrinsic:
		if v, ok := SpanIntrinsic(&r.Span, f.Name); ok {
			yield(v)
		}
	case ScopeTrace:
		if r.Facts != nil {
			if v, ok := TraceIntrinsic(r.Facts, f.Name); ok {
				yield(v)
			}
		}
	case ScopeAny:
		lookupFirst(f, yield, r.Attrs, scopeAttrs(r.Scope), resourceAttrs(r.Resource))
	case ScopeRecord:
		lookupFirst(f, yield, r.Attrs)
	case ScopeResource:
		lookupFirst(f, yield, resourceAttrs(r.Resource))
	case ScopeInstrumentation:
		lookupScope(f, r.Scope, yield)
	case ScopeEvent:
		r.lookupEvents(f, yield)
	case ScopeLink:
		r.lookupLinks(f, yield)
	}
}

func (r SpanRow) lookupEvents(f Field, yield func(model.Value) bool) {
	more := true
	keep := func(v model.Value) bool { more = yield(v); return more }
	for i := range r.Events {
		e := &r.Events[i]
		switch f.Name {
		case Name:
			keep(model.String(e.Name))
		case "timeSinceStart":
			keep(model.Int(e.Time - r.Start))
		default:
			lookupFirst(f, keep, e.Attrs)
		}
		if !more {
			return
		}
	}
}

func (r SpanRow) lookupLinks(f Field, yield func(model.Value) bool) {
	more := true
	keep := func(v model.Value) bool { more = yield(v); return more }
	for i := range r.Links {
		l := &r.Links[i]
		switch f.Name {
		case TraceID:
			keep(model.String(l.TraceID.String()))
		case SpanID:
			keep(model.String(l.SpanID.String()))
		default:
			lookupFirst(f, keep, l.Attrs)
		}
		if !more {
			return
		}
	}
}

// Correlated implements Row.
func (r SpanRow) Correlated(kind, id string) bool {
	if (kind == "" || kind == model.KeyTrace) && r.TraceID.String() == id {
		return true
	}
	if attrsCorrelated(r.Spec, kind, id, r.Attrs, scopeAttrs(r.Scope), resourceAttrs(r.Resource)) {
		return true
	}
	for i := range r.Events {
		if attrsCorrelated(r.Spec, kind, id, r.Events[i].Attrs) {
			return true
		}
	}
	return false
}

// SpanIntrinsic returns an intrinsic field of a span.
func SpanIntrinsic(s *model.Span, name string) (model.Value, bool) {
	switch name {
	case Name:
		return model.String(s.Name), true
	case Duration:
		return model.Int(s.Duration()), true
	case Kind:
		return model.String(s.Kind.String()), true
	case Status:
		return model.String(s.Status.String()), true
	case StatusMessage:
		return model.String(s.StatusMessage), s.StatusMessage != ""
	case Time:
		return model.Int(s.Start), true
	case TraceID:
		return model.String(s.TraceID.String()), true
	case SpanID:
		return model.String(s.SpanID.String()), true
	case ParentID:
		return model.String(s.ParentID.String()), !s.ParentID.IsZero()
	}
	return model.Value{}, false
}

// TraceIntrinsic returns a trace-level field.
func TraceIntrinsic(f *model.TraceFacts, name string) (model.Value, bool) {
	switch name {
	case RootName:
		return model.String(f.RootName), f.RootName != ""
	case RootService:
		return model.String(f.RootService), f.RootService != ""
	case TraceDuration:
		return model.Int(max(0, f.End-f.Start)), true
	}
	return model.Value{}, false
}

func scopeAttrs(s *model.Scope) model.Attrs {
	if s == nil {
		return nil
	}
	return s.Attrs
}

func resourceAttrs(r *model.Resource) model.Attrs {
	if r == nil {
		return nil
	}
	return r.Attrs
}

func lookupScope(f Field, s *model.Scope, yield func(model.Value) bool) {
	if s == nil {
		return
	}
	switch {
	case f.Name == "name" && s.Name != "":
		yield(model.String(s.Name))
	case f.Name == "version" && s.Version != "":
		yield(model.String(s.Version))
	default:
		lookupFirst(f, yield, s.Attrs)
	}
}

func lookupFirst(f Field, yield func(model.Value) bool, levels ...model.Attrs) {
	for _, attrs := range levels {
		if v, ok := attrs.Get(f.Name); ok {
			yield(v)
			return
		}
	}
	if !f.Underscored {
		return
	}
	for _, attrs := range levels {
		for i := range attrs {
			if Underscore(attrs[i].Key) == f.Name {
				yield(attrs[i].Value)
				return
			}
		}
	}
}

func attrsCorrelated(spec *model.KeySpec, kind, id string, levels ...model.Attrs) bool {
	if spec == nil {
		return false
	}
	for _, attrs := range levels {
		for i := range attrs {
			k, ok := spec.Kind(attrs[i].Key)
			if !ok || kind != "" && k != kind {
				continue
			}
			found := false
			model.EachID(attrs[i].Value, func(text string) bool {
				found = model.Canonical(k, text) == id
				return !found
			})
			if found {
				return true
			}
		}
	}
	return false
}
