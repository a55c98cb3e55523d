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
	// same: what attributes of the block carry ids, carried ids of that kind when
	// it was written.
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
		if k, ok := spec.Kind(n); ok && k != side.idKeys[n] {
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

// setVerdict is what the blocks of a set together are good for: the directory
// does not know of the ids that resources and scopes carry.
type setVerdict struct {
	spec   *model.KeySpec
	unsure map[*blockReader]bool // the directory's word on them does not hold
	shared map[uint64][]*blockReader
}

// verdict returns the verdict of a set for a spec, made once.
func (s *blockSet) verdict(spec *model.KeySpec) *setVerdict {
	if v := s.judged.Load(); v != nil && v.spec == spec {
		return v
	}
	v := &setVerdict{spec: spec, unsure: map[*blockReader]bool{}, shared: map[uint64][]*blockReader{}}
	for _, b := range s.blocks {
		one, err := b.keyVerdict(spec)
		if err != nil || !one.same {
			v.unsure[b] = true
			continue
		}
		for _, hash := range one.shared {
			v.shared[hash] = append(v.shared[hash], b)
		}
	}
	s.judged.Store(v)
	return v
}

// ruler rules blocks out by ids, for one view, by what the directory of all
// blocks says: no block is asked.
type ruler struct {
	v       *view
	spec    *model.KeySpec
	verdict *setVerdict
	may     map[uint64][]*blockReader // by hash: the blocks that may hold it
	reached map[*program]*reach       // by filter
}

// reach is those blocks, of the ones that the directory is sure of, that may
// have spans for which a filter holds; nil when it asks for no ids: then all
// may.
type reach map[*blockReader]struct{}

func newRuler(v *view, spec *model.KeySpec) *ruler {
	return &ruler{v: v, spec: spec, may: map[uint64][]*blockReader{}, reached: map[*program]*reach{}}
}

// rulesOut reports whether no span of a block satisfies any of some filters, as
// far as that is told without trying their alternatives on it.
func (u *ruler) rulesOut(b *blockReader, progs []*program) bool {
	if len(progs) == 0 {
		return false
	}
	for _, p := range progs {
		r, known := u.reached[p]
		if !known {
			got := u.reach(p.expr)
			r = &got
			u.reached[p] = r
		}
		if _, may := (*r)[b]; may || *r == nil {
			return false
		}
	}
	return !u.sure().unsure[b]
}

func (u *ruler) sure() *setVerdict {
	if u.verdict == nil {
		u.verdict = u.v.set.verdict(u.spec)
	}
	return u.verdict
}

func (u *ruler) reach(e predicate.Expr) reach {
	places, narrow := predicate.Reach(e, func(e predicate.Expr) (map[*blockReader]struct{}, bool) {
		id, ok := e.(predicate.Correlated)
		if !ok || id.ID == "" {
			return nil, false
		}
		out := map[*blockReader]struct{}{}
		u.eachHash(id, func(hash uint64) bool {
			for _, b := range u.candidates(hash) {
				out[b] = struct{}{}
			}
			return true
		})
		return out, true
	})
	if !narrow {
		return nil
	}
	return places
}

// eachHash yields the hashes of an id until one is enough.
func (u *ruler) eachHash(e predicate.Correlated, more func(hash uint64) bool) {
	if e.Kind != "" {
		more(hashKey(e.Kind, e.ID))
		return
	}
	for _, k := range u.spec.Kinds() {
		if !more(hashKey(k, e.ID)) {
			return
		}
	}
}

// candidates returns the blocks of the set that may hold a hash.
func (u *ruler) candidates(hash uint64) []*blockReader {
	may, known := u.may[hash]
	if !known {
		may = slices.Clone(u.v.set.mayHold(&u.v.ten.dir, hash, nil))
		may = append(may, u.sure().shared[hash]...)
		u.may[hash] = may
	}
	return may
}

// without returns the expression with those alternatives left out of it that no
// span of a block satisfies, as the block's ids say; none says that nothing is
// left. It reads no page, and mostly no sidecar.
func (u *ruler) without(b *blockReader, e predicate.Expr) (left predicate.Expr, none bool) {
	return predicate.Less(e, func(e predicate.Expr) bool {
		id, ok := e.(predicate.Correlated)
		return ok && u.lacks(b, id)
	})
}

// lacks reports whether a block has no span that carries an id.
func (u *ruler) lacks(b *blockReader, e predicate.Correlated) bool {
	if e.ID == "" || u.sure().unsure[b] {
		return false
	}
	lacks := true
	u.eachHash(e, func(hash uint64) bool {
		lacks = !slices.Contains(u.candidates(hash), b)
		return lacks
	})
	return lacks
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
			if &out[0] == &s.progs[0] {
				out = slices.Clone(s.progs)
			}
			out[i] = p.less(or)
		}
	}
	if !some {
		return nil
	}
	return out
}

// less is a filter with fewer alternatives, for one part: it has fewer leaves,
// with numbers that the whole filter's have.
func (p *program) less(left predicate.Or) *program {
	q := compile(left, p.spec)
	q.base = p.base
	return q
}
