package tracestore

import (
	"braid/pkg/predicate"
)

// wanted is a query's projection: which attributes the caller will read. Nil
// wants everything.
type wanted struct {
	names       map[string]bool
	underscored map[string]bool
	ev, li      bool
}

func newWanted(fields []predicate.Field) *wanted {
	if fields == nil {
		return nil
	}
	w := &wanted{names: map[string]bool{}, underscored: map[string]bool{}}
	for _, f := range fields {
		switch f.Scope {
		case predicate.ScopeAny, predicate.ScopeRecord:
			w.names[f.Name] = true
			if f.Underscored {
				w.underscored[f.Name] = true
			}
		case predicate.ScopeEvent:
			w.ev = true
		case predicate.ScopeLink:
			w.li = true
		}
	}
	return w
}

func (w *wanted) attr(name string) bool {
	return w == nil || w.names[name] || len(w.underscored) > 0 && w.underscored[predicate.Underscore(name)]
}

func (w *wanted) events() bool { return w == nil || w.ev }
func (w *wanted) links() bool  { return w == nil || w.li }
