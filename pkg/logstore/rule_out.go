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

// ruler rules blocks out by ids, for one query. What the directory of the
// tenant's blocks knows of them it asks there: that is one line of memory for
// eight blocks.
type ruler struct {
	spec  *model.KeySpec
	stats *model.QueryStats
	dir   *idindex.Directory[*blockReader]
	// known are the blocks that were in the directory before it was asked.
	known map[*blockReader]bool
	may   map[uint64][]*blockReader // by hash: the blocks that may hold it
}

func newRuler(t *tenantState, blocks []*blockReader, spec *model.KeySpec, stats *model.QueryStats) *ruler {
	u := &ruler{spec: spec, stats: stats, dir: &t.ids, known: make(map[*blockReader]bool, len(blocks)), may: map[uint64][]*blockReader{}}
	for _, b := range blocks {
		u.known[b] = b.inDir.Load()
	}
	return u
}

// without returns the expression with those alternatives left out of it that no
// row of a block satisfies, as the id index alone says; none says that nothing
// is left. It reads nothing else, so that a look-up over all time opens only the
// blocks that hold the id.
func (u *ruler) without(r *blockReader, e predicate.Expr) (left predicate.Expr, none bool) {
	switch e := e.(type) {
	case predicate.And:
		for _, p := range e {
			if _, none := u.without(r, p); none {
				return nil, true
			}
		}
	case predicate.Or:
		var out predicate.Or
		for i, p := range e {
			q, gone := u.without(r, p)
			if gone && out == nil {
				out = append(make(predicate.Or, 0, len(e)), e[:i]...)
			}
			if !gone && out != nil {
				out = append(out, q)
			}
		}
		if out != nil {
			return out, len(out) == 0
		}
	case predicate.Correlated:
		return e, e.ID != "" && r.sameKeys(u.spec) && u.lacks(r, correlatedKinds(e.Kind, u.spec), e.ID)
	case predicate.Compare:
		return e, e.Field == predicate.Intrinsic(predicate.TraceID) && e.Op == predicate.Eq && e.Value.Kind() == model.KindString &&
			u.lacks(r, []idindex.Kind{kindTrace}, e.Value.Str())
	}
	return e, false
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

// lacks reports whether a block has an id under none of some kinds.
func (u *ruler) lacks(r *blockReader, kinds []idindex.Kind, id string) bool {
	var ids *idindex.Index
	for _, k := range kinds {
		hash := k.Hash(id)
		if u.known[r] && !slices.Contains(u.candidates(hash), r) {
			continue
		}
		if ids == nil {
			var err error
			if ids, err = r.idIndex(u.stats); err != nil {
				return false
			}
		}
		if pages, err := ids.Pages(hash, nil); err != nil || len(pages) > 0 {
			return false
		}
	}
	return true
}

func (u *ruler) candidates(hash uint64) []*blockReader {
	may, asked := u.may[hash]
	if !asked {
		may = u.dir.Candidates(hash, nil)
		u.may[hash] = may
	}
	return may
}
