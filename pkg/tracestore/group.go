package tracestore

import (
	"braid/pkg/model"
	"braid/pkg/predicate"
)

// groupCounter is an aggregator bound to one part.
type groupCounter struct {
	a       *aggregator
	t       *tables
	b       *binding
	by      []fieldPlaces
	of      fieldPlaces
	byClass []int32 // group+1 where the class alone decides it
	byCode  []dictGroups
}

// fieldPlaces tells, by class, where a field's first value is.
type fieldPlaces struct {
	field  predicate.Field
	accept func(model.Value) bool
	places []fieldPlace
}

type fieldPlace struct {
	value model.Value // when src is 0
	src   source
	attr  int32
}

func (a *aggregator) bindTo(t *tables) *groupCounter {
	c := &groupCounter{a: a, t: t, b: a.prog.bind(t), byClass: make([]int32, len(t.classes))}
	for _, f := range a.q.By {
		c.by = append(c.by, placeField(t, f, anyValue))
	}
	if a.q.Measure != predicate.CountOnly {
		c.of = placeField(t, a.q.Of, a.isNumber)
	}
	return c
}

// placeField finds a field for every class by placing a leaf that notes what it
// is shown: a constant is shown at once, anything else leaves its place.
func placeField(t *tables, f predicate.Field, accept func(model.Value) bool) fieldPlaces {
	out := fieldPlaces{field: f, accept: accept, places: make([]fieldPlace, len(t.classes))}
	probe := leaf{field: f}
	part, n := probe.depends(t)
	known := make([]*fieldPlace, n)
	for c := range t.classes {
		if part == nil {
			out.places[c] = placeValue(t, &t.classes[c], f, accept)
			continue
		}
		i := part(&t.classes[c])
		if known[i] == nil {
			p := placeValue(t, &t.classes[c], f, accept)
			known[i] = &p
		}
		out.places[c] = *known[i]
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
func (f *fieldPlaces) value(cur cursor, n, class uint32, t *tables) (out model.Value) {
	p := &f.places[class]
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
	l := leaf{field: f.field, holds: func(v model.Value) bool {
		if !f.accept(v) {
			return false
		}
		out = v
		return true
	}}
	b := binding{program: &program{leaves: []leaf{l}}, t: t}
	b.leafHolds(0, place{verdict: maybe, src: p.src}, cur, n, class)
	return out
}

// eachValue reads all values of a field of events or links.
func (f *fieldPlaces) eachValue(cur cursor, n, class uint32, t *tables, yield func(model.Value)) {
	if f.places[class].src == 0 {
		return
	}
	l := leaf{field: f.field, holds: func(v model.Value) bool {
		yield(v)
		return false
	}}
	l.parts(f.places[class].src, cur, n)
}

// count counts a row in range.
func (c *groupCounter) count(cur cursor, n, class uint32, start int64) {
	switch c.b.verdict[class] {
	case no:
		return
	case maybe:
		if !c.b.test(cur, n, class) {
			return
		}
	}
	a := c.a
	if a.each {
		c.by[0].eachValue(cur, n, class, c.t, func(v model.Value) { a.countValue(v, start) })
		return
	}
	value, ok := 0.0, false
	if a.q.Measure != predicate.CountOnly {
		value, ok = c.number(cur, n, class)
	}
	if grp := a.add(c.group(cur, n, class), start, value, ok); grp != nil {
		exemplar(grp, cur.traceID(n), cur.spanID(n))
	}
}

func (c *groupCounter) number(cur cursor, n, class uint32) (float64, bool) {
	if c.of.places[class].src == fromDuration {
		return float64(cur.duration(n)), true
	}
	return c.a.number(c.of.value(cur, n, class, c.t))
}

func (c *groupCounter) group(cur cursor, n, class uint32) int {
	if g := c.byClass[class]; g > 0 {
		return int(g) - 1
	}
	if g, ok := c.groupByCode(cur, n, class); ok {
		return g
	}
	constant := true
	c.a.keys = c.a.keys[:0]
	for i := range c.by {
		c.a.keys = append(c.a.keys, c.by[i].value(cur, n, class, c.t))
		constant = constant && c.by[i].places[class].src == 0
	}
	g := c.a.group()
	if constant && g >= 0 {
		c.byClass[class] = int32(g) + 1
	}
	return g
}
