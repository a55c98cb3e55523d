package logstore

import (
	"slices"

	"braid/pkg/idindex"
	"braid/pkg/model"
	"braid/pkg/predicate"
)

// maxKeyNames bounds the attribute names that a block's meta lists.
const maxKeyNames = 256

// keyNames returns what ruling a block out by an id needs to know: for each
// attribute name of its records the kind of id as which its values were indexed
// ("": none). nil when there are too many names, or when a resource or scope
// carries ids: these are not in the id index.
func keyNames(columns []blockColumn, streams []stream, spec *model.KeySpec) map[string]string {
	out := map[string]string{}
	for i := range columns {
		if c := &columns[i]; !c.intrinsic {
			out[c.name] = c.ids
		}
	}
	carries := func(a model.Attr) bool { _, ok := spec.Kind(a.Key); return ok }
	for _, s := range streams {
		if s.resource != nil && slices.ContainsFunc(s.resource.Attrs, carries) || s.scope != nil && slices.ContainsFunc(s.scope.Attrs, carries) {
			return nil
		}
	}
	if len(out) > maxKeyNames {
		return nil
	}
	return out
}

// ruledOut reports whether the id index alone says that a block has no row that
// answers. It reads nothing else, so that a look-up over all time opens only the
// blocks that hold the id.
func (r *blockReader) ruledOut(e predicate.Expr, spec *model.KeySpec, stats *model.QueryStats) bool {
	switch e := e.(type) {
	case predicate.And:
		return slices.ContainsFunc(e, func(p predicate.Expr) bool { return r.ruledOut(p, spec, stats) })
	case predicate.Correlated:
		return e.ID != "" && r.sameKeys(spec) && r.lacks(correlatedKinds(e.Kind, spec), e.ID, stats)
	case predicate.Compare:
		return e.Field == predicate.Intrinsic(predicate.TraceID) && e.Op == predicate.Eq && e.Value.Kind() == model.KindString &&
			r.lacks([]idindex.Kind{kindTrace}, e.Value.Str(), stats)
	}
	return false
}

func correlatedKinds(kind string, spec *model.KeySpec) []idindex.Kind {
	kinds := []string{kind}
	if kind == "" {
		kinds = spec.Kinds()
	}
	out := make([]idindex.Kind, len(kinds))
	for i, k := range kinds {
		out[i] = idKind(k)
	}
	return out
}

// sameKeys reports whether the attributes of the block carry the kinds of ids
// that they carried when it was written.
func (r *blockReader) sameKeys(spec *model.KeySpec) bool {
	if r.keys == nil {
		return false
	}
	for name, was := range r.keys {
		if kind, _ := spec.Kind(name); kind != was {
			return false
		}
	}
	return true
}

// lacks reports whether the index has an id under none of some kinds.
func (r *blockReader) lacks(kinds []idindex.Kind, id string, stats *model.QueryStats) bool {
	ids, err := r.idIndex(stats)
	if err != nil {
		return false
	}
	for _, k := range kinds {
		if pages, err := ids.Pages(k.Hash(id), nil); err != nil || len(pages) > 0 {
			return false
		}
	}
	return true
}
