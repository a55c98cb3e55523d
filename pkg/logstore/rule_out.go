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
	// sure: the block has no id that the directory does not name it for, since all
	// attributes that carry ids now were indexed as what they carry.
	sure bool
	// others are the attributes that carry none, in their Prometheus spelling.
	others map[string]struct{}
}

func (r *blockReader) judge(spec *model.KeySpec) *verdict {
	if !r.inDir.Load() {
		return &verdict{}
	}
	if v := r.verdict.Load(); v != nil && v.spec == spec {
		return v
	}
	v := &verdict{spec: spec, sure: true, others: map[string]struct{}{}}
	for name, was := range r.names {
		kind, ok := spec.Kind(name)
		if !ok {
			v.others[predicate.Underscore(name)] = struct{}{}
		}
		v.sure = v.sure && (!ok || kind == was)
	}
	r.verdict.Store(v)
	return v
}

// ruler rules blocks out by ids, for one query, by what the directory of the
// tenant's blocks says: no block is asked.
type ruler struct {
	spec *model.KeySpec
	dir  *idindex.Directory[*blockReader]
	may  map[uint64][]*blockReader // by hash: the blocks that may hold it
	hash map[predicate.Expr][]uint64
	// asked are the Prometheus spellings of attributes that reach went by: it tells
	// nothing of a block where one stands for an attribute that carries no id.
	asked []string
}

func newRuler(t *tenantState, spec *model.KeySpec) *ruler {
	return &ruler{spec: spec, dir: &t.ids, may: map[uint64][]*blockReader{}, hash: map[predicate.Expr][]uint64{}}
}

// reach returns those blocks, of the ones that the directory is sure of, that
// may have rows for which an expression holds. narrow is false when it asks for
// no ids: then all may.
func (u *ruler) reach(e predicate.Expr) (blocks map[*blockReader]struct{}, narrow bool) {
	return predicate.Reach(e, func(e predicate.Expr) (map[*blockReader]struct{}, bool) {
		hashes, name, ok := u.inBlocks(e)
		if !ok {
			return nil, false
		}
		if name != "" {
			u.asked = append(u.asked, name)
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

// asksIDs reports whether the rows for which an expression holds have certain
// correlation ids, whatever attributes they are in.
func (u *ruler) asksIDs(e predicate.Expr) bool {
	_, narrow := predicate.Reach(e, func(e predicate.Expr) (map[uint64]struct{}, bool) {
		_, ok := u.hashes(e)
		return nil, ok
	})
	return narrow
}

// sure reports whether a block that reach does not name has nothing.
func (u *ruler) sure(r *blockReader) bool {
	v := r.judge(u.spec)
	return v.sure && !slices.ContainsFunc(u.asked, func(name string) bool { _, is := v.others[name]; return is })
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

// inBlocks is hashes for the directory of the blocks, which also knows the values
// of attributes that carry ids. A name, if there is one, is the Prometheus
// spelling of an attribute: what is told holds for the blocks where it stands for
// no attribute that carries none.
func (u *ruler) inBlocks(e predicate.Expr) (hashes []uint64, name string, ok bool) {
	if hashes, ok = u.hashes(e); ok {
		return hashes, "", true
	}
	c, is := e.(predicate.Compare)
	if !is || c.Op != predicate.Eq || c.Value.Kind() != model.KindString {
		return nil, "", false
	}
	switch c.Field.Scope {
	case predicate.ScopeAny, predicate.ScopeRecord, predicate.ScopeResource:
	default:
		return nil, "", false
	}
	if c.Field.Underscored {
		name = c.Field.Name
	}
	if hashes, ok = u.hash[e]; ok {
		return hashes, name, hashes != nil
	}
	hashes = u.valueHashes(c)
	u.hash[e] = hashes
	return hashes, name, hashes != nil
}

// valueHashes returns the hashes by which rows were indexed whose attribute has a
// value; nil when they may have been indexed otherwise, or not at all.
func (u *ruler) valueHashes(c predicate.Compare) (out []uint64) {
	value := c.Value.Str()
	if value == "" || value[0] == '[' { // of an array each element is an id
		return nil
	}
	for _, attr := range u.spec.Attributes() {
		if attr != c.Field.Name && (!c.Field.Underscored || predicate.Underscore(attr) != c.Field.Name) {
			continue
		}
		kind, _ := u.spec.Kind(attr)
		id := model.Canonical(kind, value)
		if id == "" {
			return nil
		}
		if h := idKind(kind).Hash(id); !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

// without returns the expression with those alternatives left out of it that no
// row of a block satisfies, as the directory says.
func (u *ruler) without(r *blockReader, e predicate.Expr) (left predicate.Expr, none bool) {
	v := r.judge(u.spec)
	if !v.sure {
		return e, false
	}
	return predicate.Less(e, func(e predicate.Expr) bool {
		hashes, name, ok := u.inBlocks(e)
		if _, other := v.others[name]; !ok || other && name != "" {
			return false
		}
		return !slices.ContainsFunc(hashes, func(h uint64) bool { return slices.Contains(u.candidates(h), r) })
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
