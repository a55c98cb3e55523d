package tracestore

import (
	"braid/pkg/model"
	"braid/pkg/predicate"
)

// tri is what is known of a condition before a row is looked at.
type tri uint8

const (
	no tri = iota
	yes
	maybe
)

// program is an expression taken apart into its leaves, so that each leaf can
// be placed once a class instead of searched for once a row. predicate.Eval is
// the definition; a program answers the same. Immutable, shared by workers.
type program struct {
	expr   predicate.Expr
	root   node
	leaves []leaf
	spec   *model.KeySpec
	trace  bool // some leaf asks about the whole trace
	base   int  // number of the first leaf among those of a query
}

type nodeOp uint8

const (
	opTrue nodeOp = iota
	opFalse
	opAnd
	opOr
	opNot
	opLeaf
)

type node struct {
	op   nodeOp
	leaf int
	kids []node
}

// leaf is a condition on one field.
type leaf struct {
	field  predicate.Field
	holds  func(model.Value) bool
	corr   *predicate.Correlated
	number func(int64) bool // holds of an integer, where that is quicker
}

func compile(e predicate.Expr, spec *model.KeySpec) *program {
	if e == nil {
		e = predicate.True{}
	}
	p := &program{expr: e, spec: spec}
	p.root = p.node(e)
	return p
}

func (p *program) node(e predicate.Expr) node {
	switch e := e.(type) {
	case predicate.True:
		return node{op: opTrue}
	case predicate.And:
		return p.kids(opAnd, e)
	case predicate.Or:
		return p.kids(opOr, e)
	case predicate.Not:
		return node{op: opNot, kids: []node{p.node(e.X)}}
	case predicate.Exists:
		return p.leaf(leaf{field: e.Field, holds: func(model.Value) bool { return true }})
	case predicate.Compare:
		return p.leaf(leaf{field: e.Field, holds: e.Holds, number: integerCompare(e)})
	case predicate.Match:
		return p.leaf(leaf{field: e.Field, holds: e.Holds})
	case predicate.Text:
		return p.leaf(leaf{field: e.Field, holds: func(v model.Value) bool { return e.Holds(v.Text()) }})
	case predicate.Correlated:
		return p.leaf(leaf{corr: &e})
	}
	return node{op: opFalse}
}

func (p *program) kids(op nodeOp, parts []predicate.Expr) node {
	n := node{op: op}
	for _, x := range parts {
		n.kids = append(n.kids, p.node(x))
	}
	return n
}

func (p *program) leaf(l leaf) node {
	p.leaves = append(p.leaves, l)
	p.trace = p.trace || l.corr == nil && l.field.Scope == predicate.ScopeTrace
	return node{op: opLeaf, leaf: len(p.leaves) - 1}
}

// integerCompare is Compare.Holds for an integer against an integer.
func integerCompare(c predicate.Compare) func(int64) bool {
	if c.Loose || c.Value.Kind() != model.KindInt {
		return nil
	}
	want := c.Value.AsInt()
	switch c.Op {
	case predicate.Eq:
		return func(v int64) bool { return v == want }
	case predicate.Neq:
		return func(v int64) bool { return v != want }
	case predicate.Lt:
		return func(v int64) bool { return v < want }
	case predicate.Lte:
		return func(v int64) bool { return v <= want }
	case predicate.Gt:
		return func(v int64) bool { return v > want }
	case predicate.Gte:
		return func(v int64) bool { return v >= want }
	}
	return nil
}

func (l *leaf) int(v int64) bool {
	if l.number != nil {
		return l.number(v)
	}
	return l.holds(model.Int(v))
}

// correlatedAs tries a Correlated leaf on the value of an attribute that
// carries ids of a kind.
func (l *leaf) correlatedAs(kind string, v model.Value) bool {
	found := false
	model.EachID(v, func(text string) bool {
		found = model.Canonical(kind, text) == l.corr.ID
		return !found
	})
	return found
}

// source says where a leaf that is undecided for a class finds its value.
type source uint8

const (
	fromAttr source = iota + 1
	fromTime
	fromDuration
	fromTraceID
	fromSpanID
	fromParentID
	fromMessage
	fromEvents
	fromLinks
	fromFacts
	fromKeys
)

// place is what a leaf comes to for the spans of one class.
type place struct {
	verdict tri
	src     source
	attr    int32
}

// binding is a program placed in a part's tables. Immutable once bound.
type binding struct {
	*program
	t       *tables
	places  []place // by class, then leaf
	verdict []tri   // by class
	any     bool    // some class is not ruled out
}

func (p *program) bind(t *tables) *binding {
	k := len(p.leaves)
	b := &binding{program: p, t: t, places: make([]place, len(t.classes)*k), verdict: make([]tri, len(t.classes))}
	if p.root.op == opTrue {
		for c := range b.verdict {
			b.verdict[c] = yes
		}
		b.any = len(b.verdict) > 0
		return b
	}
	for l := range p.leaves {
		p.leaves[l].placeAll(t, p.spec, b.places[l:], k)
	}
	for c := range t.classes {
		b.verdict[c] = p.root.decide(b.places[c*k : (c+1)*k])
		b.any = b.any || b.verdict[c] != no
	}
	return b
}

// placeAll places a leaf in every class, at every k-th of out. Classes are
// many because they combine few resources, names and shapes: what the leaf
// looks at is tried once.
func (l *leaf) placeAll(t *tables, spec *model.KeySpec, out []place, k int) {
	part, n := l.depends(t)
	known := make([]place, n)
	done := make([]bool, n)
	rest := map[[4]uint32]place{}
	for c := range t.classes {
		cl := &t.classes[c]
		if part != nil {
			i := part(cl)
			if !done[i] {
				known[i], done[i] = l.place(t, cl, spec), true
			}
			out[c*k] = known[i]
			continue
		}
		key := cl.attributes()
		p, ok := rest[key]
		if !ok {
			p = l.place(t, cl, spec)
			rest[key] = p
		}
		out[c*k] = p
	}
}

// attributes is what decides which attributes, events and links a span of the
// class has.
func (c *class) attributes() [4]uint32 {
	return [4]uint32{c.resource, c.scope, c.shape, uint32(c.bits)}
}

// depends returns the part of a class that alone decides where a leaf is, and
// how many there are of it; nil when it is several.
func (l *leaf) depends(t *tables) (part func(*class) uint32, n int) {
	if l.corr != nil {
		return nil, 0
	}
	switch l.field.Scope {
	case predicate.ScopeResource:
		return func(c *class) uint32 { return c.resource }, len(t.resources)
	case predicate.ScopeInstrumentation:
		return func(c *class) uint32 { return c.scope }, len(t.scopes)
	case predicate.ScopeRecord:
		return func(c *class) uint32 { return c.shape }, len(t.shapes)
	case predicate.ScopeEvent, predicate.ScopeLink:
		return func(c *class) uint32 { return uint32(c.bits) }, 256
	case predicate.ScopeTrace:
		return func(*class) uint32 { return 0 }, 1
	case predicate.ScopeIntrinsic:
		switch l.field.Name {
		case predicate.Name:
			return func(c *class) uint32 { return c.name }, t.strs.len()
		case predicate.Kind:
			return func(c *class) uint32 { return uint32(c.kind) }, 256
		case predicate.Status:
			return func(c *class) uint32 { return uint32(c.status) }, 256
		case predicate.StatusMessage:
			return func(c *class) uint32 { return uint32(c.bits) }, 256
		}
		return func(*class) uint32 { return 0 }, 1
	}
	return nil, 0
}

func (n *node) decide(at []place) tri {
	switch n.op {
	case opTrue:
		return yes
	case opLeaf:
		return at[n.leaf].verdict
	case opNot:
		switch n.kids[0].decide(at) {
		case yes:
			return no
		case no:
			return yes
		}
		return maybe
	case opAnd:
		out := yes
		for i := range n.kids {
			switch n.kids[i].decide(at) {
			case no:
				return no
			case maybe:
				out = maybe
			}
		}
		return out
	case opOr:
		out := no
		for i := range n.kids {
			switch n.kids[i].decide(at) {
			case yes:
				return yes
			case maybe:
				out = maybe
			}
		}
		return out
	}
	return no
}

// cursor gives the values of rows of one part. Its methods take the row's
// number in the part. A cursor that cannot read says so by err, and then
// returns zero values. Not safe for concurrent use.
type cursor interface {
	// holds tries leaf l, number at of the query, on attribute i of a row of a
	// shape.
	holds(l *leaf, at int, n, shape uint32, i int) bool
	attr(n, shape uint32, i int) model.Value
	start(n uint32) int64
	duration(n uint32) int64
	traceID(n uint32) model.TraceID
	spanID(n uint32) model.SpanID
	parentID(n uint32) model.SpanID
	message(n uint32) string
	events(n uint32) []model.SpanEvent
	links(n uint32) []model.SpanLink
	facts(n uint32) *model.TraceFacts
	err() error
}

// test tries the expression on a row whose class leaves it undecided.
func (b *binding) test(cur cursor, n, class uint32) bool {
	k := len(b.leaves)
	return b.row(&b.root, b.places[int(class)*k:int(class+1)*k], cur, n, class)
}

func (b *binding) row(x *node, at []place, cur cursor, n, class uint32) bool {
	switch x.op {
	case opTrue:
		return true
	case opLeaf:
		p := at[x.leaf]
		if p.verdict != maybe {
			return p.verdict == yes
		}
		return b.leafHolds(x.leaf, p, cur, n, class)
	case opNot:
		return !b.row(&x.kids[0], at, cur, n, class)
	case opAnd:
		for i := range x.kids {
			if !b.row(&x.kids[i], at, cur, n, class) {
				return false
			}
		}
		return true
	case opOr:
		for i := range x.kids {
			if b.row(&x.kids[i], at, cur, n, class) {
				return true
			}
		}
	}
	return false
}

func (b *binding) leafHolds(at int, p place, cur cursor, n, class uint32) bool {
	l := &b.leaves[at]
	switch p.src {
	case fromAttr:
		return cur.holds(l, b.base+at, n, b.t.classes[class].shape, int(p.attr))
	case fromTime:
		return l.int(cur.start(n))
	case fromDuration:
		return l.int(cur.duration(n))
	case fromTraceID:
		return l.holds(model.String(cur.traceID(n).String()))
	case fromSpanID:
		return l.holds(model.String(cur.spanID(n).String()))
	case fromParentID:
		id := cur.parentID(n)
		return !id.IsZero() && l.holds(model.String(id.String()))
	case fromMessage:
		return l.holds(model.String(cur.message(n)))
	case fromFacts:
		v, ok := predicate.TraceIntrinsic(cur.facts(n), l.field.Name)
		return ok && l.holds(v)
	case fromEvents, fromLinks:
		return l.parts(p.src, cur, n)
	case fromKeys:
		return b.correlated(l, cur, n, class)
	}
	return false
}

// parts tries a leaf on the events or links of a row.
func (l *leaf) parts(src source, cur cursor, n uint32) bool {
	row := model.SpanRow{Span: model.Span{Start: cur.start(n)}}
	if src == fromEvents {
		row.Events = cur.events(n)
	} else {
		row.Links = cur.links(n)
	}
	return l.constant(predicate.SpanRow{SpanRow: &row}).verdict == yes
}

func (b *binding) correlated(l *leaf, cur cursor, n, class uint32) bool {
	want := func(kind string) bool { return l.corr.Kind == "" || l.corr.Kind == kind }
	if want(model.KeyTrace) && cur.traceID(n).String() == l.corr.ID {
		return true
	}
	c := &b.t.classes[class]
	for i, k := range b.t.shapes[c.shape] {
		if kind, ok := b.spec.Kind(k.name); ok && want(kind) && l.correlatedAs(kind, cur.attr(n, c.shape, i)) {
			return true
		}
	}
	if c.bits&hasEvents == 0 {
		return false
	}
	for _, ev := range cur.events(n) {
		for _, a := range ev.Attrs {
			if kind, ok := b.spec.Kind(a.Key); ok && want(kind) && l.correlatedAs(kind, a.Value) {
				return true
			}
		}
	}
	return false
}
