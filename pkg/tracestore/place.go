package tracestore

import (
	"braid/pkg/model"
	"braid/pkg/predicate"
)

func decided(ok bool) place {
	if ok {
		return place{verdict: yes}
	}
	return place{verdict: no}
}

func undecided(s source) place { return place{verdict: maybe, src: s} }

func (l *leaf) place(t *tables, c *class, spec *model.KeySpec) place {
	if l.corr != nil {
		return l.placeKeys(t, c, spec)
	}
	switch l.field.Scope {
	case predicate.ScopeIntrinsic:
		return l.placeIntrinsic(t, c)
	case predicate.ScopeTrace:
		return undecided(fromFacts)
	case predicate.ScopeEvent:
		return placeIf(c.bits&hasEvents != 0, fromEvents)
	case predicate.ScopeLink:
		return placeIf(c.bits&hasLinks != 0, fromLinks)
	case predicate.ScopeInstrumentation:
		row := predicate.SpanRow{SpanRow: &model.SpanRow{Scope: t.scopes[c.scope]}}
		return l.constant(row)
	case predicate.ScopeResource:
		row := predicate.SpanRow{SpanRow: &model.SpanRow{Resource: t.resources[c.resource]}}
		return l.constant(row)
	case predicate.ScopeRecord, predicate.ScopeAny:
		return l.placeAttr(t, c)
	}
	return decided(false)
}

func placeIf(there bool, s source) place {
	if there {
		return undecided(s)
	}
	return decided(false)
}

// constant tries a leaf on what all spans of a class share.
func (l *leaf) constant(row predicate.SpanRow) place {
	found := false
	row.Lookup(l.field, func(v model.Value) bool {
		found = l.holds(v)
		return !found
	})
	return decided(found)
}

func (l *leaf) placeIntrinsic(t *tables, c *class) place {
	switch l.field.Name {
	case predicate.Name:
		return decided(l.holds(model.String(t.strs.str(c.name))))
	case predicate.Kind:
		return decided(l.holds(model.String(model.SpanKind(c.kind).String())))
	case predicate.Status:
		return decided(l.holds(model.String(model.StatusCode(c.status).String())))
	case predicate.StatusMessage:
		return placeIf(c.bits&hasMessage != 0, fromMessage)
	case predicate.Duration:
		return undecided(fromDuration)
	case predicate.Time:
		return undecided(fromTime)
	case predicate.TraceID:
		return undecided(fromTraceID)
	case predicate.SpanID:
		return undecided(fromSpanID)
	case predicate.ParentID:
		return undecided(fromParentID)
	}
	return decided(false)
}

// placeAttr finds an attribute by the rules of predicate.SpanRow: the span's
// own, and, for ScopeAny, the scope's and the resource's; exact names on all
// levels first, then Prometheus spellings.
func (l *leaf) placeAttr(t *tables, c *class) place {
	sh := t.shapes[c.shape]
	var levels []model.Attrs
	if l.field.Scope == predicate.ScopeAny {
		levels = []model.Attrs{t.scopes[c.scope].Attrs, t.resources[c.resource].Attrs}
	}
	if p, ok := l.placeNamed(sh, levels, func(name string) bool { return name == l.field.Name }); ok {
		return p
	}
	if l.field.Underscored {
		if p, ok := l.placeNamed(sh, levels, func(name string) bool { return predicate.Underscore(name) == l.field.Name }); ok {
			return p
		}
	}
	return decided(false)
}

func (l *leaf) placeNamed(sh shape, levels []model.Attrs, is func(string) bool) (place, bool) {
	for i := range sh {
		if is(sh[i].name) {
			return l.placeCell(sh[i].kind, i), true
		}
	}
	for _, attrs := range levels {
		for i := range attrs {
			if is(attrs[i].Key) {
				return decided(l.holds(attrs[i].Value)), true
			}
		}
	}
	return place{}, false
}

func (l *leaf) placeCell(kind model.ValueKind, i int) place {
	if kind == model.KindEmpty {
		return decided(l.holds(model.Value{}))
	}
	return place{verdict: maybe, src: fromAttr, attr: int32(i)}
}

// placeKeys decides a Correlated leaf by the resource and the scope, or finds
// that the spans of the class may carry an id of the kind.
func (l *leaf) placeKeys(t *tables, c *class, spec *model.KeySpec) place {
	want := func(kind string) bool { return l.corr.Kind == "" || l.corr.Kind == kind }
	for _, attrs := range []model.Attrs{t.scopes[c.scope].Attrs, t.resources[c.resource].Attrs} {
		for i := range attrs {
			if kind, ok := spec.Kind(attrs[i].Key); ok && want(kind) && l.correlatedAs(kind, attrs[i].Value) {
				return decided(true)
			}
		}
	}
	if want(model.KeyTrace) || c.bits&hasEvents != 0 {
		return undecided(fromKeys)
	}
	for _, k := range t.shapes[c.shape] {
		if kind, ok := spec.Kind(k.name); ok && want(kind) {
			return undecided(fromKeys)
		}
	}
	return decided(false)
}
