package tracestore

import (
	"math/bits"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// pageSet is a set of pages, a bit each. nil means all pages.
type pageSet []uint64

func (p *pageSet) add(page int) {
	for len(*p) <= page/64 {
		*p = append(*p, 0)
	}
	(*p)[page/64] |= 1 << (page % 64)
}

func (p pageSet) has(page int) bool {
	return p == nil || page/64 < len(p) && p[page/64]>>(page%64)&1 != 0
}

func (p pageSet) len() (n int) {
	for _, w := range p {
		n += bits.OnesCount64(w)
	}
	return n
}

// none is the set without pages; it is not nil.
func none() pageSet { return make(pageSet, 1) }

func union(a, b pageSet) pageSet {
	if a == nil || b == nil {
		return nil
	}
	if len(a) < len(b) {
		a, b = b, a
	}
	out := append(pageSet(nil), a...)
	for i, w := range b {
		out[i] |= w
	}
	return out
}

func intersect(a, b pageSet) pageSet {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	out := make(pageSet, max(1, min(len(a), len(b))))
	for i := range min(len(a), len(b)) {
		out[i] = a[i] & b[i]
	}
	return out
}

// pruner finds the pages of a block on which an expression can hold at all, out
// of the id index, the statistics and the zones, without reading a page.
type pruner struct {
	b    *blockReader
	side *sidecar
	spec *model.KeySpec
}

// pagesOf returns the pages that some filter of the selection may match on.
func (s *selection) pagesOf(progs []*program, b *blockReader, side *sidecar) pageSet {
	if len(progs) == 0 {
		return nil
	}
	out := none()
	for _, p := range progs {
		out = union(out, (&pruner{b: b, side: side, spec: s.spec}).pages(p.expr))
	}
	return out
}

func (p *pruner) pages(e predicate.Expr) pageSet {
	switch e := e.(type) {
	case predicate.And:
		var out pageSet
		for _, x := range e {
			out = intersect(out, p.pages(x))
		}
		return out
	case predicate.Or:
		out := none()
		for _, x := range e {
			out = union(out, p.pages(x))
		}
		return out
	case predicate.Correlated:
		return p.ids(e.Kind, e.ID, func(kind string) bool { return e.Kind == "" || e.Kind == kind })
	case predicate.Compare:
		if e.Field == predicate.Intrinsic(predicate.Duration) {
			return p.durations(e)
		}
		return intersect(p.keyEquals(e), p.values(e.Field, e.Holds))
	case predicate.Match:
		return p.values(e.Field, e.Holds)
	case predicate.Text:
		return p.values(e.Field, func(v model.Value) bool { return e.Holds(v.Text()) })
	}
	return nil
}

// keyEquals uses the id index for an attribute that carries ids.
func (p *pruner) keyEquals(e predicate.Compare) pageSet {
	kind, ok := p.spec.Kind(e.Field.Name)
	if !ok || e.Op != predicate.Eq || e.Value.Kind() != model.KindString || !p.own(e.Field) {
		return nil
	}
	id := model.Canonical(kind, e.Value.Str())
	if id == "" {
		return nil
	}
	return p.ids(kind, id, func(string) bool { return false })
}

// ids asks the id index. It knows nothing when what carries ids has changed
// since the block was written, or when a resource or scope carries the id: those
// are not in the index. shared tells which kinds matter there.
func (p *pruner) ids(kind, id string, shared func(kind string) bool) pageSet {
	for _, n := range p.side.names {
		if k, ok := p.spec.Kind(n); ok && k != p.side.idKeys[n] {
			return nil
		}
	}
	for _, r := range p.side.resources {
		if p.carries(r.Attrs, id, shared) {
			return nil
		}
	}
	for _, s := range p.side.scopes {
		if p.carries(s.Attrs, id, shared) {
			return nil
		}
	}
	kinds := []string{kind}
	if kind == "" {
		kinds = p.spec.Kinds()
	}
	out := none()
	for _, k := range kinds {
		pages, err := p.b.ids.Pages(hashKey(k, id), nil)
		if err != nil {
			return nil // damage shows when a trace is looked up; here every page is looked at
		}
		for _, x := range pages {
			out.add(int(x))
		}
	}
	return out
}

func (p *pruner) carries(a model.Attrs, id string, shared func(string) bool) (found bool) {
	predicate.EachAttrKey(p.spec, a, func(k model.CorrelationKey) {
		found = found || k.ID == id && shared(k.Kind)
	})
	return found
}

// own reports whether a field can only be an attribute of the span itself.
func (p *pruner) own(f predicate.Field) bool {
	if f.Underscored {
		return false
	}
	switch f.Scope {
	case predicate.ScopeRecord:
		return true
	case predicate.ScopeAny:
		for _, r := range p.side.resources {
			if _, ok := r.Attrs.Get(f.Name); ok {
				return false
			}
		}
		for _, s := range p.side.scopes {
			if _, ok := s.Attrs.Get(f.Name); ok {
				return false
			}
		}
		return true
	}
	return false
}

// values uses the statistics of an attribute of which all values are listed.
func (p *pruner) values(f predicate.Field, holds func(model.Value) bool) pageSet {
	if !p.own(f) || !p.allListed(f.Name) {
		return nil
	}
	out := none()
	for i := range p.side.stats {
		if p.side.stats[i].key.name != f.Name {
			continue
		}
		for k := range p.side.stats[i].values {
			if v := &p.side.stats[i].values[k]; holds(v.value) {
				out = union(out, v.pages)
			}
		}
	}
	return out
}

// allListed reports whether every type that the attribute comes in has such
// statistics.
func (p *pruner) allListed(name string) bool {
	for _, sh := range p.side.shapes {
		for i, k := range sh {
			if k.name == name && !p.listed(k, sh[:i]) {
				return false
			}
		}
	}
	return true
}

func (p *pruner) listed(k attrKey, before []attrKey) bool {
	for _, b := range before {
		if b == k {
			return false // the second of two equal keys is in no statistics
		}
	}
	for i := range p.side.stats {
		if p.side.stats[i].key == k {
			return p.side.stats[i].whole
		}
	}
	return false
}

// durations uses the longest span of each page.
func (p *pruner) durations(e predicate.Compare) pageSet {
	if e.Loose || e.Op != predicate.Gt && e.Op != predicate.Gte {
		return nil
	}
	out := none()
	for i := range p.side.zones {
		if e.Holds(model.Int(p.side.zones[i].maxDuration)) {
			out.add(i)
		}
	}
	return out
}
