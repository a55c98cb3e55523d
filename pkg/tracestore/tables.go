package tracestore

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/zeebo/xxh3"

	"braid/pkg/model"
)

// attrKey is a span attribute's name together with the type of its value.
type attrKey struct {
	name string
	kind model.ValueKind
}

// shape is the ordered list of the attributes of a span. Spans of one piece of
// code share it, so that a span need only keep the values.
type shape []attrKey

// The bits of class.bits: what a span of the class has at all.
const (
	hasEvents uint8 = 1 << iota
	hasLinks
	hasMessage
)

// class is everything about a span that it shares with thousands of others:
// who sent it, what it is called, and which attributes it carries. A filter is
// tried on the classes first; most are decided there, for all their spans.
type class struct {
	resource, scope, name, shape uint32
	kind, status, bits           uint8
}

// tables are what rows refer to by number: append-only, so that a copy is a
// snapshot.
type tables struct {
	strs      strtab
	resources []*model.Resource
	services  []string // of resources, by the same number
	scopes    []*model.Scope
	shapes    []shape
	classes   []class
}

// tableBuilder interns what tables hold. One writer.
type tableBuilder struct {
	tables
	names       *interner
	resourceOf  map[string]uint32
	scopeOf     map[string]uint32
	shapeOf     map[string]uint32
	classOf     map[class]uint32
	lastShapeOf []uint32              // by span name: the shape its last span had, +1
	recent      [recentClasses]uint32 // by hash: a class, +1

	recentResource [recentResources]uint32 // by hash: a resource, +1
	scratch        enc
}

func newTableBuilder() *tableBuilder {
	return &tableBuilder{
		names:      newInterner(),
		resourceOf: map[string]uint32{},
		scopeOf:    map[string]uint32{},
		shapeOf:    map[string]uint32{},
		classOf:    map[class]uint32{},
	}
}

// snapshot returns the tables as they are now. strs must be asked for here:
// the interner's copy moves on.
func (t *tableBuilder) snapshot() tables {
	s := t.tables
	s.strs = t.names.strtab
	return s
}

// resource numbers a resource. Few come again and again: the latest are compared
// before one is encoded.
func (t *tableBuilder) resource(r *model.Resource) uint32 {
	slot := &t.recentResource[hashResource(r)%recentResources]
	if *slot != 0 && sameResource(t.resources[*slot-1], r) {
		return *slot - 1
	}
	n := t.newResource(r)
	*slot = n + 1
	return n
}

const recentResources = 512

func hashResource(r *model.Resource) uint64 {
	if r == nil {
		return 0
	}
	h := uint64(0)
	for i := range r.Attrs {
		v := r.Attrs[i].Value
		h = (h ^ xxh3.HashString(v.Str()) ^ v.Num()) * 0x9e3779b97f4a7c15
	}
	return h >> 32
}

func sameResource(a, b *model.Resource) bool {
	return b != nil && a.SchemaURL == b.SchemaURL && a.DroppedAttrs == b.DroppedAttrs && slices.Equal(a.Attrs, b.Attrs)
}

func (t *tableBuilder) newResource(r *model.Resource) uint32 {
	t.scratch.b = t.scratch.b[:0]
	t.scratch.resource(r)
	if n, ok := t.resourceOf[string(t.scratch.b)]; ok {
		return n
	}
	n := uint32(len(t.resources))
	key := string(t.scratch.b)
	t.resourceOf[key] = n
	own := (&dec{b: []byte(key)}).resource()
	t.resources = append(t.resources, own)
	t.services = append(t.services, own.Service())
	return n
}

func (t *tableBuilder) scope(s *model.Scope) uint32 {
	t.scratch.b = t.scratch.b[:0]
	t.scratch.scope(s)
	if n, ok := t.scopeOf[string(t.scratch.b)]; ok {
		return n
	}
	n := uint32(len(t.scopes))
	key := string(t.scratch.b)
	t.scopeOf[key] = n
	t.scopes = append(t.scopes, (&dec{b: []byte(key)}).scope())
	return n
}

// shape numbers the list of attributes of a span with a name.
func (t *tableBuilder) shape(name uint32, a model.Attrs) uint32 {
	for int(name) >= len(t.lastShapeOf) {
		t.lastShapeOf = append(t.lastShapeOf, 0)
	}
	if n := t.lastShapeOf[name]; n > 0 && sameShape(t.shapes[n-1], a) {
		return n - 1
	}
	t.scratch.b = t.scratch.b[:0]
	for i := range a {
		t.scratch.str(a[i].Key)
		t.scratch.byte(byte(a[i].Value.Kind()))
	}
	n, ok := t.shapeOf[string(t.scratch.b)]
	if !ok {
		n = uint32(len(t.shapes))
		t.shapeOf[string(t.scratch.b)] = n
		s := make(shape, len(a))
		for i := range a {
			s[i] = attrKey{name: t.names.strtab.str(t.names.intern(a[i].Key)), kind: a[i].Value.Kind()}
		}
		t.shapes = append(t.shapes, s)
	}
	t.lastShapeOf[name] = n + 1
	return n
}

func sameShape(s shape, a model.Attrs) bool {
	if len(s) != len(a) {
		return false
	}
	for i := range s {
		if s[i].kind != a[i].Value.Kind() || s[i].name != a[i].Key {
			return false
		}
	}
	return true
}

// recentClasses is how many classes are found without asking the map.
const (
	recentBits    = 11
	recentClasses = 1 << recentBits
)

func (t *tableBuilder) class(c class) uint32 {
	h := (uint64(c.name)<<40 ^ uint64(c.resource)<<20 ^ uint64(c.shape)<<8 ^ uint64(c.scope)<<4 ^ uint64(c.status)<<2 ^ uint64(c.bits)) * 0x9e3779b97f4a7c15
	slot := &t.recent[h>>(64-recentBits)]
	if *slot != 0 && t.classes[*slot-1] == c {
		return *slot - 1
	}
	n, ok := t.classOf[c]
	if !ok {
		n = uint32(len(t.classes))
		t.classOf[c] = n
		t.classes = append(t.classes, c)
	}
	*slot = n + 1
	return n
}

// adopt numbers a class of other tables in these.
func (t *tableBuilder) adopt(o *tables, c uint32) uint32 {
	from := o.classes[c]
	from.resource = t.resource(o.resources[from.resource])
	from.scope = t.scope(o.scopes[from.scope])
	from.name = t.names.intern(o.strs.str(from.name))
	from.shape = t.adoptShape(o.shapes[from.shape])
	return t.class(from)
}

func (t *tableBuilder) adoptShape(s shape) uint32 {
	a := make(model.Attrs, len(s))
	for i := range s {
		a[i] = model.Attr{Key: s[i].name, Value: model.Raw(s[i].kind, 0, "")}
	}
	return t.shape(0, a)
}

// encode writes the tables for a sidecar.
func (t *tables) encode(e *enc) {
	e.uv(uint64(t.strs.len()))
	for i := 1; i < t.strs.len(); i++ {
		e.str(t.strs.str(uint32(i)))
	}
	e.uv(uint64(len(t.resources)))
	for _, r := range t.resources {
		e.resource(r)
	}
	e.uv(uint64(len(t.scopes)))
	for _, s := range t.scopes {
		e.scope(s)
	}
	e.uv(uint64(len(t.shapes)))
	for _, s := range t.shapes {
		e.uv(uint64(len(s)))
		for _, k := range s {
			e.str(k.name)
			e.byte(byte(k.kind))
		}
	}
	e.uv(uint64(len(t.classes)))
	for _, c := range t.classes {
		e.uv(uint64(c.resource))
		e.uv(uint64(c.scope))
		e.uv(uint64(c.name))
		e.uv(uint64(c.shape))
		e.raw(c.kind, c.status, c.bits)
	}
}

// decodeTables reads what encode wrote and checks that every number refers to
// something.
func decodeTables(d *dec) (*tables, error) {
	t := &tables{strs: newStrtab()}
	n := d.count(1)
	for i := 1; i < n && d.err == nil; i++ {
		t.strs.data = append(t.strs.data, d.take(d.uv())...)
		t.strs.ends = append(t.strs.ends, uint32(len(t.strs.data)))
	}
	for n := d.count(3); n > 0 && d.err == nil; n-- {
		r := d.resource()
		t.resources = append(t.resources, r)
		t.services = append(t.services, r.Service())
	}
	for n := d.count(5); n > 0 && d.err == nil; n-- {
		t.scopes = append(t.scopes, d.scope())
	}
	for n := d.count(1); n > 0 && d.err == nil; n-- {
		s := make(shape, 0, min(64, len(d.b)))
		for k := d.count(2); k > 0 && d.err == nil; k-- {
			s = append(s, attrKey{name: d.str(), kind: model.ValueKind(d.byte())})
		}
		t.shapes = append(t.shapes, s)
	}
	for n := d.count(7); n > 0 && d.err == nil; n-- {
		c := class{resource: d.u32(), scope: d.u32(), name: d.u32(), shape: d.u32(), kind: d.byte(), status: d.byte(), bits: d.byte()}
		if int(c.resource) >= len(t.resources) || int(c.scope) >= len(t.scopes) ||
			int(c.name) >= t.strs.len() || int(c.shape) >= len(t.shapes) {
			d.fail()
		}
		t.classes = append(t.classes, c)
	}
	return t, d.err
}

// hash32 mixes a span's identity for open addressing.
func hash32(span model.SpanID, trace uint32) uint32 {
	h := binary.LittleEndian.Uint64(span[:]) ^ uint64(trace)*0x9e3779b97f4a7c15
	h *= 0xff51afd7ed558ccd
	return uint32(h >> 32)
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
