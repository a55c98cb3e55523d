package otlp

import (
	"encoding/base64"
	"encoding/binary"
	"math"

	"braid/pkg/model"
)

// group collects rows by resource and scope, in the order in which they first
// came: OTLP's envelope holds each once. Resources and scopes that are one
// pointer are one; a query's rows share them.
func group[R any](rows []R, of func(*R) (*model.Resource, *model.Scope)) []resourceGroup[R] {
	var out []resourceGroup[R]
	at := map[*model.Resource]int{}
	for i := range rows {
		res, scope := of(&rows[i])
		g, ok := at[res]
		if !ok {
			g = len(out)
			at[res] = g
			out = append(out, resourceGroup[R]{resource: res})
		}
		out[g].add(scope, &rows[i])
	}
	return out
}

type resourceGroup[R any] struct {
	resource *model.Resource
	scopes   []scopeGroup[R]
}

type scopeGroup[R any] struct {
	scope *model.Scope
	rows  []*R
}

func (g *resourceGroup[R]) add(scope *model.Scope, row *R) {
	for i := range g.scopes {
		if g.scopes[i].scope == scope {
			g.scopes[i].rows = append(g.scopes[i].rows, row)
			return
		}
	}
	g.scopes = append(g.scopes, scopeGroup[R]{scope: scope, rows: []*R{row}})
}

// encoder appends protobuf fields; zero values are left out, as proto3 does.
type encoder struct{ b []byte }

// message appends a nested message that fill writes.
func (e *encoder) message(num int32, fill func()) {
	e.b = appendTag(e.b, num, wireLen)
	mark := len(e.b)
	fill()
	e.b = insertLength(e.b, mark)
}

func (e *encoder) str(num int32, s string) {
	if s == "" {
		return
	}
	e.b = binary.AppendUvarint(appendTag(e.b, num, wireLen), uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) id(num int32, id []byte, zero bool) {
	if zero {
		return
	}
	e.b = binary.AppendUvarint(appendTag(e.b, num, wireLen), uint64(len(id)))
	e.b = append(e.b, id...)
}

func (e *encoder) varint(num int32, v uint64) {
	if v != 0 {
		e.b = binary.AppendUvarint(appendTag(e.b, num, wireVarint), v)
	}
}

func (e *encoder) fixed64(num int32, v uint64) {
	if v != 0 {
		e.b = binary.LittleEndian.AppendUint64(appendTag(e.b, num, wireI64), v)
	}
}

func (e *encoder) fixed32(num int32, v uint32) {
	if v != 0 {
		e.b = binary.LittleEndian.AppendUint32(appendTag(e.b, num, wireI32), v)
	}
}

// time writes Unix nanoseconds; times before 1970 have no OTLP form.
func (e *encoder) time(num int32, ns int64) { e.fixed64(num, uint64(max(ns, 0))) }

func (e *encoder) attrs(num int32, attrs model.Attrs) {
	for i := range attrs {
		e.message(num, func() {
			e.str(1, attrs[i].Key)
			e.message(2, func() { e.value(attrs[i].Value) })
		})
	}
}

// value writes an AnyValue's field; arrays and maps are read back from their
// JSON text.
func (e *encoder) value(v model.Value) {
	switch v.Kind() {
	case model.KindString:
		e.text(v.Str())
	case model.KindBool:
		e.b = binary.AppendUvarint(appendTag(e.b, 2, wireVarint), v.Num())
	case model.KindInt:
		e.b = binary.AppendUvarint(appendTag(e.b, 3, wireVarint), v.Num())
	case model.KindDouble:
		e.b = binary.LittleEndian.AppendUint64(appendTag(e.b, 4, wireI64), v.Num())
	case model.KindBytes:
		e.b = binary.AppendUvarint(appendTag(e.b, 7, wireLen), uint64(len(v.Str())))
		e.b = append(e.b, v.Str()...)
	case model.KindArray, model.KindMap:
		mark := len(e.b)
		s := scanner{b: unalias(v.Str())}
		e.json(&s)
		if s.end(); s.err != nil { // not JSON: it stays what it is, text
			e.b = e.b[:mark]
			e.text(v.Str())
		}
	}
}

// text writes a stringValue, also an empty one: it is not the same as none.
func (e *encoder) text(s string) {
	e.b = binary.AppendUvarint(appendTag(e.b, 1, wireLen), uint64(len(s)))
	e.b = append(e.b, s...)
}

// json writes one JSON value as an AnyValue's field.
func (e *encoder) json(s *scanner) {
	switch s.peek() {
	case '{':
		e.message(6, func() {
			first := true
			for ok := s.open('{'); ok && s.more(&first, '}'); {
				e.message(1, func() {
					e.str(1, string(s.key()))
					e.message(2, func() { e.json(s) })
				})
			}
		})
	case '[':
		e.message(5, func() {
			first := true
			for ok := s.open('['); ok && s.more(&first, ']'); {
				e.message(1, func() { e.json(s) })
			}
		})
	case '"':
		e.text(string(s.str()))
	case 't':
		s.word("true")
		e.value(model.Bool(true))
	case 'f':
		s.word("false")
		e.value(model.Bool(false))
	case 'n':
		s.word("null")
	default:
		e.value(model.FromJSON(s.number()))
	}
}

func (e *encoder) resource(r *model.Resource) {
	if r == nil {
		return
	}
	e.message(1, func() {
		e.attrs(1, r.Attrs)
		e.varint(2, uint64(r.DroppedAttrs))
	})
}

func (e *encoder) scope(s *model.Scope) {
	if s == nil {
		return
	}
	e.message(1, func() {
		e.str(1, s.Name)
		e.str(2, s.Version)
		e.attrs(3, s.Attrs)
		e.varint(4, uint64(s.DroppedAttrs))
	})
}

// appendGroups writes groups as ResourceLogs or ResourceSpans.
func appendGroups[R any](e *encoder, groups []resourceGroup[R], row func(*R)) {
	for _, g := range groups {
		e.message(1, func() {
			e.resource(g.resource)
			for _, sg := range g.scopes {
				e.message(2, func() {
					e.scope(sg.scope)
					for _, r := range sg.rows {
						e.message(2, func() { row(r) })
					}
					if sg.scope != nil {
						e.str(3, sg.scope.SchemaURL)
					}
				})
			}
			if g.resource != nil {
				e.str(3, g.resource.SchemaURL)
			}
		})
	}
}

// appendValueJSON appends a value as OTLP JSON has it: {"stringValue":"…"}.
func appendValueJSON(dst []byte, v model.Value) []byte {
	switch v.Kind() {
	case model.KindString:
		return append(appendJSONString(append(dst, `{"stringValue":`...), v.Str()), '}')
	case model.KindBool:
		return append(append(append(dst, `{"boolValue":`...), v.Text()...), '}')
	case model.KindInt:
		return append(append(append(dst, `{"intValue":"`...), v.Text()...), `"}`...)
	case model.KindDouble:
		f := math.Float64frombits(v.Num())
		return append(appendJSONFloat(append(dst, `{"doubleValue":`...), f), '}')
	case model.KindBytes:
		dst = base64.StdEncoding.AppendEncode(append(dst, `{"bytesValue":"`...), unalias(v.Str()))
		return append(dst, `"}`...)
	case model.KindArray, model.KindMap:
		mark := len(dst)
		s := scanner{b: unalias(v.Str())}
		dst = appendNestedJSON(dst, &s)
		if s.end(); s.err != nil {
			return append(appendJSONString(append(dst[:mark], `{"stringValue":`...), v.Str()), '}')
		}
		return dst
	}
	return append(dst, "{}"...)
}

func appendNestedJSON(dst []byte, s *scanner) []byte {
	first := true
	switch s.peek() {
	case '{':
		dst = append(dst, `{"kvlistValue":{"values":[`...)
		for ok := s.open('{'); ok && s.more(&first, '}'); {
			if dst[len(dst)-1] != '[' {
				dst = append(dst, ',')
			}
			dst = appendJSONString(append(dst, `{"key":`...), string(s.key()))
			dst = append(appendNestedJSON(append(dst, `,"value":`...), s), '}')
		}
		return append(dst, `]}}`...)
	case '[':
		dst = append(dst, `{"arrayValue":{"values":[`...)
		for ok := s.open('['); ok && s.more(&first, ']'); {
			if dst[len(dst)-1] != '[' {
				dst = append(dst, ',')
			}
			dst = appendNestedJSON(dst, s)
		}
		return append(dst, `]}}`...)
	case '"':
		return appendValueJSON(dst, model.String(string(s.str())))
	case 't', 'f', 'n':
		start := s.p
		s.skip()
		return appendValueJSON(dst, model.FromJSON(s.b[min(start, s.p):s.p]))
	}
	return appendValueJSON(dst, model.FromJSON(s.number()))
}
