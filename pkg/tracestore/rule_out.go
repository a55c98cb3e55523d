package tracestore

import (
	"slices"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// keyVerdict says, for one key spec, what the id index of a block is good for.
// It is kept with the block, so that a look-up needs the sidecars of those
// blocks only that may hold the id.
type keyVerdict struct {
	spec *model.KeySpec
	// same: the attributes of the block carry the kinds of ids that they carried
	// when it was written.
	same bool
	// shared are the hashes of the ids that resources and scopes carry: those are
	// not in the index. Sorted.
	shared []uint64
}

// keyVerdict returns the verdict for a spec; the first time it reads the
// sidecar.
func (r *blockReader) keyVerdict(spec *model.KeySpec) (*keyVerdict, error) {
	if v := r.verdict.Load(); v != nil && v.spec == spec {
		return v, nil
	}
	side, err := r.sidecar()
	if err != nil {
		return nil, err
	}
	v := &keyVerdict{spec: spec, same: true}
	for _, n := range side.names {
		if k, _ := spec.Kind(n); k != side.idKeys[n] {
			v.same = false
		}
	}
	note := func(k model.CorrelationKey) { v.shared = append(v.shared, hashKey(k.Kind, k.ID)) }
	for _, x := range side.resources {
		predicate.EachAttrKey(spec, x.Attrs, note)
	}
	for _, x := range side.scopes {
		predicate.EachAttrKey(spec, x.Attrs, note)
	}
	slices.Sort(v.shared)
	v.shared = slices.Compact(v.shared)
	r.verdict.Store(v)
	return v, nil
}

// ruler rules blocks out by ids, for one view. It asks the directory of all
// blocks first: that is one line of memory for eight of them.
type ruler struct {
	v    *view
	spec *model.KeySpec
	may  map[uint64][]*blockReader // by hash: the blocks that may hold it
}

// without returns the expression with those alternatives left out of it that no
// span of a block satisfies, as the block's ids say; none says that nothing is
// left. It reads no page, and mostly no sidecar.
func (u *ruler) without(b *blockReader, e predicate.Expr) (left predicate.Expr, none bool) {
	switch e := e.(type) {
	case predicate.Correlated:
		return e, u.lacks(b, e)
	case predicate.And:
		for _, x := range e {
			if _, none := u.without(b, x); none {
				return nil, true
			}
		}
	case predicate.Or:
		if len(e) == 0 {
			return e, true
		}
		var out predicate.Or
		for i, x := range e {
			y, gone := u.without(b, x)
			if gone && out == nil {
				out = append(make(predicate.Or, 0, len(e)), e[:i]...)
			}
			if !gone && out != nil {
				out = append(out, y)
			}
		}
		if out != nil {
			return out, len(out) == 0
		}
	}
	return e, false
}

// lacks reports whether a block has no span that carries an id.
func (u *ruler) lacks(b *blockReader, e predicate.Correlated) bool {
	if e.ID == "" {
		return false
	}
	verdict, err := b.keyVerdict(u.spec)
	if err != nil || !verdict.same {
		return false
	}
	kinds := []string{e.Kind}
	if e.Kind == "" {
		kinds = u.spec.Kinds()
	}
	for _, k := range kinds {
		hash := hashKey(k, e.ID)
		if _, shared := slices.BinarySearch(verdict.shared, hash); shared {
			return false
		}
		may, known := u.may[hash]
		if !known {
			may = slices.Clone(u.v.set.mayHold(&u.v.ten.dir, hash, nil))
			u.may[hash] = may
		}
		if !slices.Contains(may, b) {
			continue
		}
		if pages, err := b.ids.Pages(hash, nil); err != nil || len(pages) > 0 {
			return false
		}
	}
	return true
}

// programs returns the filters of the selection as they are for one block, nil
// when none can match there.
func (s *selection) programs(b *blockReader) []*program {
	if len(s.progs) == 0 {
		return s.progs
	}
	out, some := s.progs, false
	for i, p := range s.progs {
		left, none := s.ruler.without(b, p.expr)
		some = some || !none
		if or, ok := left.(predicate.Or); ok && len(or) < len(p.expr.(predicate.Or)) {
			// Fewer leaves, with the numbers that the whole filter's have.
			q := compile(left, s.spec)
			q.base = p.base
			if &out[0] == &s.progs[0] {
				out = slices.Clone(s.progs)
			}
			out[i] = q
		}
	}
	if !some {
		return nil
	}
	return out
}
