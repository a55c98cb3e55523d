package tracestore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"braid/pkg/block"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// Outline returns the structure of a large trace: see query.OutlineSource. It
// reads four narrow columns of the trace's rows, and whole spans only where two
// parts have what may be the same one.
func (s *Store) Outline(ctx context.Context, t tenant.ID, id model.TraceID, known string, over int, stats *model.QueryStats) (*model.Outline, error) {
	ten := s.tenant(t, false)
	if ten == nil {
		return nil, nil
	}
	v := ten.view(stats)
	defer v.release()
	refs := v.refs(id)
	n := 0
	for _, r := range refs {
		n += r.spans()
	}
	if n <= over {
		return nil, nil
	}
	version := v.version(refs)
	if version == known {
		return &model.Outline{Version: version}, nil
	}
	stats.AddRows(int64(n))
	o := outliner{v: v, refs: refs}
	o.Outline.Version = version
	o.Outline.Spans = make([]model.OutlineSpan, 0, n)
	if err := o.run(ctx); err != nil {
		return nil, err
	}
	return &o.Outline, nil
}

// version names the parts that hold a trace, and how much of a head's was seen:
// "b", the id of a block; "h", the number of a head, ":", the trace's rows.
func (v *view) version(refs []ref) string {
	var b strings.Builder
	for i, r := range refs {
		if i > 0 {
			b.WriteByte(' ')
		}
		if r.block != nil {
			fmt.Fprintf(&b, "b%s", r.block.ID)
		} else {
			fmt.Fprintf(&b, "h%d:%d", v.parts[slices.Index(v.heads, r.head)].number, r.head.trs[r.trace].rows)
		}
	}
	return b.String()
}

// outliner makes the outline of a trace out of its parts. A span's At is the
// number of its part in the version, and the row there.
type outliner struct {
	model.Outliner
	v    *view
	refs []ref
	run0 int // first span of the outline that is equal in start and id to the last
}

// outlineStream yields the spans of one part in the order of the trace.
type outlineStream struct {
	o    *outliner
	part uint64
	head *rows
	list []uint32
	cur  *pageCursor
	next uint32
	end  uint32
	ops  []uint32 // by class: number of the operation, +1
	span model.OutlineSpan
}

func (o *outliner) stream(part int) *outlineStream {
	r := o.refs[part]
	s := &outlineStream{o: o, part: uint64(part) << 32}
	if r.head != nil {
		s.head, s.list, s.ops = r.head, r.head.ofTrace(nil, r.trace), make([]uint32, len(r.head.classes))
	} else {
		if s.cur = r.cur; s.cur == nil {
			s.cur = newPageCursor(r.block, r.side, 0, o.v.stats)
		}
		s.ops = make([]uint32, len(r.side.classes))
		s.next, s.end = r.side.traces.first[r.trace], r.side.traces.first[r.trace+1]
	}
	return s
}

// advance loads the next span; false at the end, or when the part cannot be read.
func (s *outlineStream) advance() bool {
	switch {
	case len(s.list) > 0:
		n := s.list[0]
		s.list = s.list[1:]
		r := &s.head.rows[n]
		s.span = model.OutlineSpan{ID: r.spanID, Parent: r.parent, Start: r.start, End: r.end, At: s.part | uint64(n)}
		s.class(&s.head.tables, r.class)
	case s.next < s.end:
		n, c := s.next, s.cur
		s.next++
		c.turn(int(n / pageRows))
		start := c.start(n)
		s.span = model.OutlineSpan{ID: c.spanID(n), Parent: c.parentID(n), Start: start, End: start + c.fixed(colDuration).int(int(n-c.base)), At: s.part | uint64(n)}
		s.class(&c.side.tables, c.side.class.at(n))
		if c.fault != nil {
			s.o.v.warn(c.pr.b, c.fault)
			return false
		}
	default:
		return false
	}
	return true
}

// class adds what the span's class says.
func (s *outlineStream) class(t *tables, n uint32) {
	c := &t.classes[n]
	if s.ops[n] == 0 {
		s.ops[n] = s.o.Operation(model.Operation{Service: t.services[c.resource], Name: t.strs.str(c.name)}) + 1
	}
	s.span.Operation, s.span.Kind, s.span.Status = s.ops[n]-1, model.SpanKind(c.kind), model.StatusCode(c.status)
}

// outlineStep is after how many spans the context is looked at.
const outlineStep = 4096

// run merges the parts in the order of the trace.
func (o *outliner) run(ctx context.Context) error {
	var streams []*outlineStream
	for part := range o.refs {
		if s := o.stream(part); s.advance() {
			streams = append(streams, s)
		}
	}
	several := len(streams) > 1
	for len(streams) > 0 {
		least := streams[0]
		for _, s := range streams[1:] {
			if o.compare(&s.span, &least.span) < 0 {
				least = s
			}
		}
		if !several || !o.repeated(&least.span) {
			o.Outline.Spans = append(o.Outline.Spans, least.span)
		}
		if !least.advance() {
			streams = slices.DeleteFunc(streams, func(x *outlineStream) bool { return x == least })
		}
		if len(o.Outline.Spans)%outlineStep == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// compare is compareSpans.
func (o *outliner) compare(a, b *model.OutlineSpan) int {
	if a.Start != b.Start {
		return cmp.Compare(a.Start, b.Start)
	}
	if c := cmp.Or(bytes.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.End, b.End), cmp.Compare(a.Kind, b.Kind)); c != 0 || a.Operation == b.Operation {
		return c
	}
	return cmp.Compare(o.Outline.Operations[a.Operation].Name, o.Outline.Operations[b.Operation].Name)
}

// repeated reports whether a span is equal in everything to one before it.
func (o *outliner) repeated(x *model.OutlineSpan) bool {
	spans := o.Outline.Spans
	if o.run0 >= len(spans) || spans[o.run0].Start != x.Start || spans[o.run0].ID != x.ID {
		o.run0 = len(spans)
		return false
	}
	for i := o.run0; i < len(spans); i++ {
		p := &spans[i]
		if p.End != x.End || p.Parent != x.Parent || p.Operation != x.Operation || p.Kind != x.Kind || p.Status != x.Status {
			continue
		}
		a, errA := o.v.spanAt(o.refs[p.At>>32], uint32(p.At))
		b, errB := o.v.spanAt(o.refs[x.At>>32], uint32(x.At))
		if errA == nil && errB == nil && sameSpan(&a, &b) {
			return true
		}
	}
	return false
}

// spanAt reads one row of a part.
func (v *view) spanAt(r ref, row uint32) (model.SpanRow, error) {
	if r.head != nil {
		return r.head.span(row), nil
	}
	cur := v.show(r)
	cur.turn(int(row / pageRows))
	out := cur.span(row, nil)
	return out, cur.fault
}

// SpansAt returns spans of an outline in whole: see query.OutlineSource.
func (s *Store) SpansAt(ctx context.Context, t tenant.ID, id model.TraceID, version string, at []uint64, stats *model.QueryStats) ([]model.SpanRow, error) {
	ten := s.tenant(t, false)
	if ten == nil {
		return nil, fmt.Errorf("%w: trace %s is no longer there", model.ErrChanged, id)
	}
	v := ten.view(stats)
	defer v.release()
	refs, err := v.partsOf(id, version)
	if err != nil {
		return nil, err
	}
	order := make([]int, len(at)) // by place: rows of a page one after the other
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(at[a], at[b]) })
	out := make([]model.SpanRow, len(at))
	for k, i := range order {
		if k%batchRows == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		part, row := at[i]>>32, uint32(at[i])
		if part >= uint64(len(refs)) || int(row) >= refs[part].rows() {
			return nil, fmt.Errorf("%w: trace %s has no span at %d", model.ErrChanged, id, at[i])
		}
		if out[i], err = v.spanAt(refs[part], row); err != nil {
			return nil, fmt.Errorf("cannot read spans of trace %s: %w", id, err)
		}
		if out[i].TraceID != id {
			return nil, fmt.Errorf("%w: trace %s has no span at %d", model.ErrChanged, id, at[i])
		}
	}
	stats.AddRows(int64(len(at)))
	return out, nil
}

// rows returns how many rows the whole part has.
func (r ref) rows() int {
	if r.head != nil {
		return len(r.head.rows)
	}
	return r.side.rows
}

// partsOf finds the parts that a version names: rows stay where they are as long
// as a part is there.
func (v *view) partsOf(id model.TraceID, version string) ([]ref, error) {
	var out []ref
	for name := range strings.FieldsSeq(version) {
		kind, name := name[0], name[1:]
		gone := fmt.Errorf("%w: spans of trace %s have moved", model.ErrChanged, id)
		if kind == 'b' {
			at := slices.IndexFunc(v.blocks, func(b *blockReader) bool { return b.ID == block.ID(name) })
			if at < 0 {
				return nil, gone
			}
			side, err := v.sidecar(v.blocks[at])
			if err != nil {
				return nil, fmt.Errorf("cannot read spans of trace %s: %w", id, err)
			}
			out = append(out, ref{block: v.blocks[at], side: side})
			continue
		}
		number, _, _ := strings.Cut(name, ":")
		n, err := strconv.ParseUint(number, 10, 64)
		at := slices.IndexFunc(v.parts, func(h *headPart) bool { return h.number == n })
		if kind != 'h' || err != nil || at < 0 {
			return nil, gone
		}
		out = append(out, ref{head: v.heads[at]})
	}
	return out, nil
}
