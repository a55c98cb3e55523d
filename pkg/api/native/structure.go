package native

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"braid/pkg/criticalpath"
	"braid/pkg/model"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
	braidv1 "braid/proto/braid/v1"
)

// structure is what only the whole of a trace tells, by span in the order of the
// trace. Immutable.
type structure struct {
	version  string // of the outline
	order    []int32
	parent   []int32
	depth    []int32
	self     []int64
	flags    []traceql.SpanFlag
	critical []bool
	at       []uint64 // where the source has the spans; nil: it does not tell
	facts    model.TraceFacts
	services []*braidv1.ServiceTime
	path     []*braidv1.PathSegment
	segments int // how many the path has in all
}

func (st *structure) spans() int { return len(st.order) }

// bytes tells about how much memory it takes.
func (st *structure) bytes() int { return 30*st.spans() + 300*len(st.path) + 1024 }

// structureOf computes it.
func structureOf(id model.TraceID, o *model.Outline) *structure {
	tree := traceql.TreeOf(o.Spans)
	st := &structure{version: o.Version, order: tree.Order, parent: tree.Parent, depth: tree.Depth(), self: tree.SelfTimes(), flags: tree.Flags,
		critical: make([]bool, len(o.Spans)), facts: factsOf(id, o, tree)}
	if o.Version != "" {
		st.at = make([]uint64, len(o.Spans))
		for i := range o.Spans {
			st.at[i] = o.Spans[i].At
		}
	}
	path := tree.CriticalPath()
	st.segments = len(path)
	for _, x := range path {
		st.critical[x.Span] = true
	}
	for _, x := range path[:min(len(path), maxPage)] {
		r := &o.Spans[x.Span]
		op := &o.Operations[r.Operation]
		st.path = append(st.path, &braidv1.PathSegment{SpanId: r.ID.String(), Service: text(op.Service), Name: text(op.Name),
			StartNs: ns(x.Start), DurationNs: ns(x.End - x.Start)})
	}
	st.services = serviceTimes(o, st.self, path)
	return st
}

func factsOf(id model.TraceID, o *model.Outline, tree *traceql.Tree) model.TraceFacts {
	f := model.TraceFacts{ID: id, Start: o.Spans[0].Start, End: o.Spans[0].End, Spans: len(o.Spans)}
	for i := range o.Spans {
		x := &o.Spans[i]
		f.Start, f.End = min(f.Start, x.Start), max(f.End, x.Start, x.End)
		if x.Status == model.StatusError {
			f.Errors++
		}
	}
	if root := tree.MainRoot(); root >= 0 {
		op := &o.Operations[o.Spans[root].Operation]
		f.RootService, f.RootName = op.Service, op.Name
	}
	return f
}

// serviceTimes adds up what each service did, the one that was waited for most
// first.
func serviceTimes(o *model.Outline, self []int64, path []criticalpath.Segment) []*braidv1.ServiceTime {
	byName := map[string]*braidv1.ServiceTime{}
	of := make([]*braidv1.ServiceTime, len(o.Operations))
	var out []*braidv1.ServiceTime
	for i := range o.Operations {
		name := o.Operations[i].Service
		if byName[name] == nil {
			byName[name] = &braidv1.ServiceTime{Service: text(name)}
			out = append(out, byName[name])
		}
		of[i] = byName[name]
	}
	for i := range o.Spans {
		x := &o.Spans[i]
		st := of[x.Operation]
		st.Spans++
		st.SelfNs += ns(self[i])
		if x.Status == model.StatusError {
			st.Errors++
		}
	}
	for _, x := range path {
		of[o.Spans[x.Span].Operation].CriticalNs += ns(x.End - x.Start)
	}
	slices.SortFunc(out, func(a, b *braidv1.ServiceTime) int {
		return cmp.Or(cmp.Compare(b.CriticalNs, a.CriticalNs), cmp.Compare(b.SelfNs, a.SelfNs), cmp.Compare(a.Service, b.Service))
	})
	return out
}

// head writes all but the spans.
func (st *structure) head(stats *model.QueryStats) *braidv1.TraceResponse {
	f := &st.facts
	out := &braidv1.TraceResponse{TraceId: f.ID.String(), RootService: text(f.RootService), RootName: text(f.RootName), StartNs: ns(f.Start),
		DurationNs: ns(f.End - f.Start), TotalSpans: int32(f.Spans), Errors: int32(f.Errors), Warnings: stats.Warnings(),
		CriticalPath: st.path, Services: st.services}
	out.Complete = len(out.Warnings) == 0
	if len(st.path) < st.segments {
		out.Warnings = append(out.Warnings, fmt.Sprintf("the critical path has %d segments, the first %d are shown", st.segments, len(st.path)))
	}
	return out
}

// shape returns the structure of a trace. That of a large one is kept for the
// pages that are asked for next.
func (tr *trace) shape(s *Service, t tenant.ID) *structure {
	if tr.known != nil {
		return tr.known
	}
	st := structureOf(tr.id, tr.outline)
	if st.version != "" && len(tr.stats.Warnings()) == 0 {
		s.structures.put(t, tr.id, st)
	}
	return st
}

const (
	// keepFor is how long a structure stays that nobody asks for, and keepBytes
	// how much memory all may take.
	keepFor   = time.Minute
	keepBytes = 64 << 20
)

// structureMemo keeps the structures of the large traces that are being looked
// at. The zero value is ready. Safe for concurrent use.
type structureMemo struct {
	mu   sync.Mutex
	kept []*keptStructure // the one used last at the end
}

type keptStructure struct {
	tenant tenant.ID
	id     model.TraceID
	st     *structure
	expiry *time.Timer
}

func (m *structureMemo) get(t tenant.ID, id model.TraceID) *structure {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := slices.IndexFunc(m.kept, func(k *keptStructure) bool { return k.tenant == t && k.id == id })
	if at < 0 {
		return nil
	}
	k := m.kept[at]
	k.expiry.Reset(keepFor)
	m.kept = append(slices.Delete(m.kept, at, at+1), k)
	return k.st
}

func (m *structureMemo) put(t tenant.ID, id model.TraceID, st *structure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(func(k *keptStructure) bool { return k.tenant == t && k.id == id })
	k := &keptStructure{tenant: t, id: id, st: st}
	k.expiry = time.AfterFunc(keepFor, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.drop(func(x *keptStructure) bool { return x == k })
	})
	m.kept = append(m.kept, k)
	for used := m.bytes(); used > keepBytes && len(m.kept) > 1; used = m.bytes() {
		oldest := m.kept[0]
		m.drop(func(x *keptStructure) bool { return x == oldest })
	}
}

// bytes needs mu, as does drop.
func (m *structureMemo) bytes() (n int) {
	for _, k := range m.kept {
		n += k.st.bytes()
	}
	return n
}

func (m *structureMemo) drop(gone func(*keptStructure) bool) {
	m.kept = slices.DeleteFunc(m.kept, func(k *keptStructure) bool {
		if gone(k) {
			k.expiry.Stop()
			return true
		}
		return false
	})
}
