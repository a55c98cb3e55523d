package tracestore

import (
	"braid/pkg/idindex"
	"braid/pkg/model"
)

// keyFinder finds the correlation ids that rows carry beyond their trace id and
// what their class says (resource and scope attributes).
type keyFinder struct {
	spec   *model.KeySpec
	trace  idindex.Kind
	kinds  map[string]idindex.Kind
	shapes map[*attrKey][]keyAttr // by the shape's first entry
	events map[string]struct{}    // attributes of events that were looked at
}

// keyAttr is an attribute of a shape that carries ids of a kind.
type keyAttr struct {
	at   int
	kind string
}

func newKeyFinder(spec *model.KeySpec) keyFinder {
	k := keyFinder{spec: spec, trace: idindex.NewKind(model.KeyTrace), kinds: map[string]idindex.Kind{}, shapes: map[*attrKey][]keyAttr{}, events: map[string]struct{}{}}
	for _, kind := range spec.Kinds() {
		k.kinds[kind] = idindex.NewKind(kind)
	}
	return k
}

// row yields the hash of each id of a row.
func (k *keyFinder) row(s *rows, r *row, yield func(hash uint64)) {
	c := &s.classes[r.class]
	for _, a := range k.of(s.shapes[c.shape]) {
		k.value(a.kind, s.value(r, a.at, s.shapes[c.shape][a.at].kind), yield)
	}
	if c.bits&hasEvents == 0 {
		return
	}
	for _, ev := range (&dec{b: s.piece(r.events)}).events() {
		for _, a := range ev.Attrs {
			k.events[a.Key] = struct{}{}
			if kind, ok := k.spec.Kind(a.Key); ok {
				k.value(kind, a.Value, yield)
			}
		}
	}
}

func (k *keyFinder) value(kind string, v model.Value, yield func(uint64)) {
	model.EachID(v, func(text string) bool {
		if id := model.Canonical(kind, text); id != "" {
			yield(k.kinds[kind].Hash(id))
		}
		return true
	})
}

func (k *keyFinder) of(sh shape) []keyAttr {
	if len(sh) == 0 {
		return nil
	}
	if out, ok := k.shapes[&sh[0]]; ok {
		return out
	}
	var out []keyAttr
	for i, key := range sh {
		if kind, ok := k.spec.Kind(key.name); ok {
			out = append(out, keyAttr{i, kind})
		}
	}
	k.shapes[&sh[0]] = out
	return out
}

// seen returns the names of all attributes that were looked at, sorted, and
// the kind of those whose ids were indexed.
func (k *keyFinder) seen(shapes []shape) ([]string, map[string]string) {
	for _, sh := range shapes {
		for _, key := range sh {
			k.events[key.name] = struct{}{}
		}
	}
	kinds := map[string]string{}
	names := sortedKeys(k.events)
	for _, n := range names {
		if kind, ok := k.spec.Kind(n); ok {
			kinds[n] = kind
		}
	}
	return names, kinds
}

func hashKey(kind, id string) uint64 { return idindex.NewKind(kind).Hash(id) }
