package tracestore

import (
	"braid/pkg/model"
	"braid/pkg/predicate"
)

// groupCounter is an aggregator bound to one part.
type groupCounter struct {
	a      *aggregator
	t      *tables
	b      *binding
	by     []fieldPlaces
	of     fieldPlaces
	first  []int32 // by class: the first cell of its group, or one of the below
	byCode []dictGroups
	byText []textGroup
}

// What is known of a class whose spans do not all count in the same group.
const (
	classNew  = -1 - iota // not yet looked at
	classOut              // none of its spans count
	classRows             // each is to be looked at
)

// fieldPlaces tells, by class, where a field's first value is. Classes that have
// the same resource, name or whatever else decides it share a place.
type fieldPlaces struct {
	field  predicate.Field
	accept func(model.Value) bool
	at     []uint32 // by class: its place
	places []fieldPlace
}

type fieldPlace struct {
	value model.Value // when src is 0
	src   source
	attr  int32
}

func (f *fieldPlaces) of(class uint32) *fieldPlace { return &f.places[f.at[class]] }

func (a *aggregator) bindTo(t *tables) *groupCounter {
	c := &groupCounter{t: t, b: a.prog.bind(t)}
	for _, f := range a.q.By {
		c.by = append(c.by, placeField(t, f, anyValue))
	}
	if a.q.Measure != predicate.CountOnly {
		c.of = placeField(t, a.q.Of, a.isNumber)
	}
	return c.forWorker(a)
}

// forWorker returns a counter of the same part that counts into another
// aggregator.
func (c *groupCounter) forWorker(a *aggregator) *groupCounter {
	own := *c
	own.a, own.byCode, own.byText, own.first = a, nil, nil, make([]int32, len(c.t.classes))
	for i := range own.first {
		own.first[i] = classNew
	}
	return &own
}

// placeField finds a field for every class by placing a leaf that notes what it
// is shown: a constant is shown at once, anything else leaves its place.
func placeField(t *tables, f predicate.Field, accept func(model.Value) bool) fieldPlaces {
	out := fieldPlaces{field: f, accept: accept, at: make([]uint32, len(t.classes))}
	probe := leaf{field: f}
	part, n := probe.depends(t)
	known := make([]uint32, n) // by part: its place, +1
	rest := map[[4]uint32]uint32{}
	for c := range t.classes {
		cl := &t.classes[c]
		var at uint32
		if part != nil {
			at = known[part(cl)]
		} else {
			at = rest[cl.attributes()]
		}
		if at == 0 {
			out.places = append(out.places, placeValue(t, cl, f, accept))
			at = uint32(len(out.places))
			if part != nil {
				known[part(cl)] = at
			} else {
				rest[cl.attributes()] = at
			}
		}
		out.at[c] = at - 1
	}
	return out
}

func placeValue(t *tables, c *class, f predicate.Field, accept func(model.Value) bool) (p fieldPlace) {
	l := leaf{field: f, holds: func(v model.Value) bool {
		if !accept(v) {
			return false
		}
		p.value = v
		return true
	}}
	if at := l.place(t, c, nil); at.verdict == maybe {
		p.src, p.attr = at.src, at.attr
	}
	return p
}

// value reads the field of a row.
func (f *fieldPlaces) value(cur cursor, n, class uint32, t *tables) model.Value {
	p := f.of(class)
	switch p.src {
	case 0:
		return p.value
	case fromAttr:
		return cur.attr(n, t.classes[class].shape, int(p.attr))
	case fromDuration:
		return model.Int(cur.duration(n))
	case fromTime:
		return model.Int(cur.start(n))
	}
	return f.search(cur, n, class, t)
}

// search is value for fields that are looked for among several.
func (f *fieldPlaces) search(cur cursor, n, class uint32, t *tables) (out model.Value) {
	l := leaf{field: f.field, holds: func(v model.Value) bool {
		if !f.accept(v) {
			return false
		}
		out = v
		return true
	}}
	b := binding{program: &program{leaves: []leaf{l}}, t: t}
	b.leafHolds(0, place{verdict: maybe, src: f.of(class).src}, cur, n, class)
	return out
}

// eachValue reads all values of a field of events or links.
func (f *fieldPlaces) eachValue(cur cursor, n, class uint32, t *tables, yield func(model.Value)) {
	if f.of(class).src == 0 {
		return
	}
	l := leaf{field: f.field, holds: func(v model.Value) bool {
		yield(v)
		return false
	}}
	l.parts(f.of(class).src, cur, n)
}
