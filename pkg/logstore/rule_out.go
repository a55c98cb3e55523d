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
// attribute name of its records, scopes and resources the kind of id as which
// its values were indexed ("": none). nil when there are too many names.
func keyNames(columns []blockColumn, streams []stream, spec *model.KeySpec) map[string]string {
	out := map[string]string{}
	note := func(name string) { out[name], _ = spec.Kind(name) }
	for i := range columns {
		if c := &columns[i]; !c.intrinsic {
			note(c.name)
		}
	}
	eachStreamAttrs(streams, func(attrs model.Attrs) {
		for i := range attrs {
			note(attrs[i].Key)
		}
	})
	if len(out) > maxKeyNames {
		return nil
	}
	return out
}

func eachStreamAttrs(streams []stream, yield func(model.Attrs)) {
	for _, s := range streams {
		if s.resource != nil {
			yield(s.resource.Attrs)
		}
		if s.scope != nil {
			yield(s.scope.Attrs)
		}
	}
}

// tellIDs puts the ids of blocks into the tenant's directory: before the blocks
// are seen by queries, so that what the directory does not name has the id in no
// block that it was told of. A block whose ids cannot be read is asked each time.
func (s *Store) tellIDs(t *tenantState, blocks ...*blockReader) {
	var list []idindex.Entry[*blockReader]
	for _, r := range blocks {
		r.onGone, r.dir = s.blockGone, &t.ids
		if _, has := r.block.File(keysFile); !has || r.names == nil {
			continue
		}
		data, err := r.block.ReadFile(s.opts.FS, keysFile)
		if err == nil {
			var ix *idindex.Index
			if ix, err = idindex.Open(data); err == nil {
				list = append(list, idindex.Entry[*blockReader]{Block: r, Index: ix})
			}
		}
		if err != nil {
			s.noteDamage(r, err)
		}
	}
	if len(list) == 0 {
		return
	}
	if err := t.ids.AddAll(list); err != nil {
		s.opts.Logger.Warn("cannot read the ids of a block; it is looked at for every id", "tenant", t.id, "err", err)
	}
	for _, e := range list {
		e.Block.inDir.Store(true)
	}
}

// verdict says, for one key spec, whether the directory's word on a block holds.
type verdict struct {
	spec *model.KeySpec
	sure bool
}

// sure reports whether a block has no id that the directory does not name it
// for: all attributes that carry ids now were indexed as what they carry.
func (r *blockReader) sure(spec *model.KeySpec) bool {
	if !r.inDir.Load() {
		return false
	}
	if v := r.verdict.Load(); v != nil && v.spec == spec {
		return v.sure
	}
	v := &verdict{spec: spec, sure: true}
	for name, was := range r.names {
		if kind, ok := spec.Kind(name); ok && kind != was {
			v.sure = false
		}
	}
	r.verdict.Store(v)
	return v.sure
}

// ruler rules blocks out by ids, for one query, by what the directory of the
// tenant's blocks says: no block is asked.
type ruler struct {
	spec *model.KeySpec
	dir  *idindex.Directory[*blockReader]
	may  map[uint64][]*blockReader // by hash: the blocks that may hold it
	hash map[predicate.Expr][]uint64
}

func newRuler(t *tenantState, spec *model.KeySpec) *ruler {
	return &ruler{spec: spec, dir: &t.ids, may: map[uint64][]*blockReader{}, hash: map[predicate.Expr][]uint64{}}
}

// reach returns those blocks, of the ones that the directory is sure of, that
// may have rows for which an expression holds. narrow is false when it asks for
// no ids: then all may.
func (u *ruler) reach(e predicate.Expr) (blocks map[*blockReader]struct{}, narrow bool) {
	return predicate.Reach(e, func(e predicate.Expr) (map[*blockReader]struct{}, bool) {
		hashes, ok := u.hashes(e)
		if !ok {
			return nil, false
		}
		out := map[*blockReader]struct{}{}
		for _, h := range hashes {
			for _, r := range u.candidates(h) {
				out[r] = struct{}{}
			}
		}
		return out, true
	})
}

// hashes returns those of the ids that a leaf asks for; ok is false when it asks
// for none.
func (u *ruler) hashes(e predicate.Expr) (out []uint64, ok bool) {
	switch x := e.(type) {
	case predicate.Correlated:
		if x.ID == "" {
			return nil, false
		}
		if out, ok = u.hash[e]; ok {
			return out, true
		}
		kinds := []string{x.Kind}
		if x.Kind == "" {
			kinds = u.spec.Kinds()
		}
		for _, k := range kinds {
			out = append(out, idKind(k).Hash(x.ID))
		}
		u.hash[e] = out
		return out, true
	case predicate.Compare:
		if x.Field == predicate.Intrinsic(predicate.TraceID) && x.Op == predicate.Eq && x.Value.Kind() == model.KindString {
			return []uint64{kindTrace.Hash(x.Value.Str())}, true
		}
	}
	return nil, false
}

// without returns the expression with those alternatives left out of it that no
// row of a block satisfies, as the directory says.
func (u *ruler) without(r *blockReader, e predicate.Expr) (left predicate.Expr, none bool) {
	return predicate.Less(e, func(e predicate.Expr) bool {
		hashes, ok := u.hashes(e)
		return ok && !slices.ContainsFunc(hashes, func(h uint64) bool { return slices.Contains(u.candidates(h), r) })
	})
}

func (u *ruler) candidates(hash uint64) []*blockReader {
	may, asked := u.may[hash]
	if !asked {
		may = u.dir.Candidates(hash, nil)
		u.may[hash] = may
	}
	return may
}
