package spanmetrics

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"braid/pkg/calls"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// settleBatch is how many traces are taken out of waiting at once: Observe waits
// meanwhile.
const settleBatch = 256

// maxJoined is up to how many spans a trace is read from the store when late
// spans of it come. Of larger ones late spans are counted by themselves, calls
// among them only.
const maxJoined = 20_000

// due is a trace whose spans are to be counted.
type due struct {
	id    model.TraceID
	spans []span
	old   []model.SpanRow // what the store had of it before
	born  int64
	hit   int64
}

// settleDue counts the spans of all traces that have waited enough.
func (g *Generator) settleDue(ctx context.Context, now time.Time) {
	g.mu.Lock()
	var list []tenant.ID
	for t := range g.tenants {
		list = append(list, t)
	}
	g.mu.Unlock()
	for _, t := range list {
		g.settleTenant(ctx, t, now)
	}
}

func (g *Generator) settleTenant(ctx context.Context, t tenant.ID, now time.Time) {
	ids := g.dueIDs(t, now)
	s := g.settlers[t]
	if s == nil {
		s = &settler{g: g, tenant: t}
		g.settlers[t] = s
	}
	s.tally, s.now = g.tally(t), now.UnixNano()
	defer s.shrink()
	for len(ids) > 0 && ctx.Err() == nil {
		n := min(len(ids), settleBatch)
		s.batch(ctx, ids[:n])
		ids = ids[n:]
	}
}

// maxKept is how many spans' memory a settler keeps for the next time.
const maxKept = 32 << 10

// shrink lets go what a settler took for unusually large traces.
func (s *settler) shrink() {
	if cap(s.spans) > maxKept || cap(s.items) > maxKept {
		s.spans, s.items, s.trace = nil, nil, calls.Trace{}
	}
	clear(s.items[:cap(s.items)])
	s.classes, s.texts = nil, nil
}

func (g *Generator) tally(t tenant.ID) *tally {
	ta := g.tallies[t]
	if ta == nil {
		ta = newTally(&g.opts)
		g.tallies[t] = ta
	}
	return ta
}

// dueIDs lists the traces that are quiet or have waited longest; all when too
// many spans wait.
func (g *Generator) dueIDs(t tenant.ID, now time.Time) []model.TraceID {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := g.tenants[t]
	quiet, longest := now.Add(-g.opts.Quiet).UnixNano(), now.Add(-g.opts.Longest).UnixNano()
	all := w.held > g.opts.MaxWaiting
	var ids []model.TraceID
	for id, tr := range w.traces {
		if all || tr.hit <= quiet || tr.born <= longest {
			ids = append(ids, id)
		}
	}
	return ids
}

// BeforeMerge looks for retries among the spans that wait: once the store has
// merged a retry away, it looks like the only one. The store calls it when it has
// chosen the blocks of a merge.
func (g *Generator) BeforeMerge(ctx context.Context, t tenant.ID) {
	g.ticking.Lock()
	defer g.ticking.Unlock()
	if g.store == nil {
		return
	}
	g.mu.Lock()
	w := g.tenants[t]
	if w == nil {
		g.mu.Unlock()
		return
	}
	ids := make([]model.TraceID, 0, len(w.traces))
	for id := range w.traces {
		ids = append(ids, id)
	}
	g.mu.Unlock()
	s := &settler{g: g, tenant: t}
	for len(ids) > 0 && ctx.Err() == nil {
		n := min(len(ids), settleBatch)
		s.dropRetries(ctx, ids[:n])
		ids = ids[n:]
	}
}

// dropRetries takes the spans that the store had before out of waiting. Spans
// that come meanwhile are in no block of the merge.
func (s *settler) dropRetries(ctx context.Context, ids []model.TraceID) {
	counts := s.g.store.SpanCounts(s.tenant, ids)
	var split []model.TraceID
	s.g.mu.Lock()
	for i, id := range ids {
		if tr := s.g.tenants[s.tenant].traces[id]; tr != nil && counts[i] > tr.n && counts[i] <= maxJoined {
			split = append(split, id)
		}
	}
	s.g.mu.Unlock()
	for _, id := range split {
		for range maxTries {
			list := s.take([]model.TraceID{id})
			if len(list[0].spans) == 0 || s.join(ctx, &list[0]) {
				s.restore(&list[0])
				break
			}
		}
	}
}

// maxTries bounds how often a trace of which more comes all the time is read.
const maxTries = 4

// restore puts spans back to wait.
func (s *settler) restore(d *due) {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	s.g.tenants[s.tenant].restore(d)
}

// settler counts traces of one tenant. Its memory serves again and again.
type settler struct {
	g       *Generator
	tenant  tenant.ID
	tally   *tally
	now     int64
	classes []class
	texts   []string
	spans   []span
	trace   calls.Trace
	items   []item
}

// item is a span of the trace that is being counted.
type item struct {
	id, parent      model.SpanID
	start, duration int64
	service, peer   string
	typ             string
	class           uint32
	kind            model.SpanKind
	failed, fresh   bool
	took            bool // the call that it was counted for has found its other side
}

// batch takes traces out of waiting and counts them.
func (s *settler) batch(ctx context.Context, ids []model.TraceID) {
	list := s.take(ids)
	counts := s.g.store.SpanCounts(s.tenant, ids)
	for i := range list {
		d := &list[i]
		if n := len(d.spans); (counts[i] != n || twins(d.spans)) && counts[i] > 0 && counts[i] <= maxJoined {
			if !s.join(ctx, d) {
				continue
			}
		}
		s.count(d)
	}
}

func (s *settler) take(ids []model.TraceID) []due {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	w := s.g.tenants[s.tenant]
	list := make([]due, len(ids))
	s.spans = s.spans[:0]
	for i, id := range ids {
		if tr := w.traces[id]; tr != nil {
			list[i].born, list[i].hit = tr.born, tr.hit
		}
		from := len(s.spans)
		s.spans = w.take(id, s.spans)
		list[i].id, list[i].spans = id, s.spans[from:len(s.spans):len(s.spans)]
	}
	// What was added to the tables stays as it is while a span points at it.
	s.classes, s.texts = w.classes, w.texts
	s.g.dirty = true
	return list
}

// identity is what tells the spans of a trace apart.
type identity struct {
	id, parent      model.SpanID
	start, duration int64
}

func identityOf(r *model.SpanRow) identity {
	return identity{r.SpanID, r.ParentID, r.Start, r.Duration()}
}

// fewSpans is up to how many spans comparing each with each is quickest.
const fewSpans = 32

// twins reports whether two spans may be the same.
func twins(list []span) bool {
	if len(list) > fewSpans {
		seen := make(map[identity]struct{}, len(list))
		for i := range list {
			seen[list[i].identity()] = struct{}{}
		}
		return len(seen) < len(list)
	}
	for i := range list {
		for k := range list[:i] {
			if list[i].ID == list[k].ID && list[i].identity() == list[k].identity() {
				return true
			}
		}
	}
	return false
}

func (x *span) identity() identity { return identity{x.ID, x.Parent, x.Start, x.Duration} }

// join separates the spans that are new to the store from retries, and finds
// those that it had before. When more have come meanwhile the trace goes back
// to wait with them, and join returns false.
func (s *settler) join(ctx context.Context, d *due) bool {
	whole, parts, err := s.g.store.TraceParts(ctx, s.tenant, d.id)
	if s.putBack(d) {
		return false
	}
	if err != nil {
		s.g.opts.Logger.Warn("cannot read a trace to join late spans to; they are counted by themselves", "tenant", s.tenant, "trace", d.id, "err", err)
		return true
	}
	waiting, raw, seen := map[identity][]span{}, map[identity]int{}, map[identity]int{}
	for _, x := range d.spans {
		k := x.identity()
		waiting[k] = append(waiting[k], x)
	}
	for _, p := range parts {
		for i := range p {
			raw[identityOf(&p[i])]++
		}
	}
	for i := range whole {
		seen[identityOf(&whole[i])]++
	}
	var fresh []span
	for k, list := range waiting {
		before := max(0, raw[k]-len(list)) // parts that had it
		n := min(len(list), max(0, seen[k]-before))
		if raw[k] == 0 {
			n = len(list) // dropped since
		}
		fresh = append(fresh, list[:n]...)
		seen[k] -= n
	}
	for i := range whole {
		if k := identityOf(&whole[i]); seen[k] > 0 {
			seen[k]--
			d.old = append(d.old, whole[i])
		}
	}
	s.g.metrics.retries.Add(float64(len(d.spans) - len(fresh)))
	d.spans = fresh
	return true
}

// putBack returns a trace to waiting if more of it has come.
func (s *settler) putBack(d *due) bool {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	w := s.g.tenants[s.tenant]
	if w.traces[d.id] == nil {
		return false
	}
	w.restore(d)
	return true
}

// compareSpans is the order in which calls are looked for.
func compareSpans(a, b span) int {
	if a.Start != b.Start {
		return cmp.Compare(a.Start, b.Start)
	}
	return cmp.Or(bytes.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.Duration, b.Duration), cmp.Compare(a.Kind, b.Kind))
}

// count adds a trace to the tally.
func (s *settler) count(d *due) {
	s.items = s.items[:0]
	slices.Reverse(d.spans) // into the order of arrival, which is mostly that of time
	if !slices.IsSortedFunc(d.spans, compareSpans) {
		slices.SortFunc(d.spans, compareSpans)
	}
	for i := range d.spans {
		x := &d.spans[i]
		s.items = append(s.items, item{id: x.ID, parent: x.Parent, start: x.Start, duration: x.Duration, service: s.texts[x.Service],
			peer: s.texts[x.Peer], typ: callTypes[x.Typ], class: x.Class, kind: model.SpanKind(x.Kind), failed: x.Failed, fresh: true})
	}
	for i := range d.old {
		r := &d.old[i]
		it := item{id: r.SpanID, parent: r.ParentID, start: r.Start, duration: r.Duration(), service: r.Resource.Service(),
			kind: r.Kind, failed: r.Status == model.StatusError}
		if calls.Calls(r.Kind) {
			it.peer, it.typ = calls.Peer(r.Kind, r.Attrs)
		}
		s.items = append(s.items, it)
	}
	if len(d.old) > 0 {
		slices.SortFunc(s.items, func(a, b item) int {
			return cmp.Or(cmp.Compare(a.start, b.start), bytes.Compare(a.id[:], b.id[:]), cmp.Compare(a.duration, b.duration), cmp.Compare(a.kind, b.kind))
		})
	}
	s.trace.Reset()
	for i := range s.items {
		it := &s.items[i]
		s.trace.Add(it.id, it.parent, calls.Span{Service: it.service, Start: it.start, Duration: it.duration, Kind: it.kind, Failed: it.failed, Root: it.parent.IsZero()})
		if it.fresh {
			s.tally.span(s.classes[it.class], it.class, it.duration, s.exemplar(d.id, it), s.now)
		}
	}
	s.trace.Resolve()
	s.trace.Mark()
	s.countCalls(d.id)
	s.g.metrics.spans.Add(float64(len(d.spans)))
}

func (s *settler) exemplar(id model.TraceID, it *item) exemplar {
	return exemplar{Trace: id, Span: it.id, Time: min(it.start+it.duration, s.now)}
}

// countCalls counts the calls of which a side is new.
func (s *settler) countCalls(id model.TraceID) {
	var answered []bool // once it is asked for
	for i := range s.items {
		it := &s.items[i]
		if s.trace.IsCall(i) {
			client := &s.items[s.trace.Spans[i].Parent]
			if it.fresh && !client.fresh && client.peer != "" && answered == nil {
				answered = s.answered()
			}
			switch {
			case !it.fresh && !client.fresh:
			case !client.fresh && client.peer != "" && !client.took && !answered[s.trace.Spans[i].Parent]:
				client.took = true // it was counted when it seemed to have no answer
			default:
				s.tally.call(edge{client.service, it.service, s.trace.TypeOf(i)}, s.trace.Failed(i), client.duration, it.duration,
					s.exemplar(id, client), s.exemplar(id, it), s.now)
			}
		}
		if it.fresh && it.peer != "" && s.trace.Lonely(i) {
			// The server's side is what its client saw of it.
			x := s.exemplar(id, it)
			s.tally.call(edge{it.service, it.peer, it.typ}, it.failed, it.duration, it.duration, x, x, s.now)
		}
	}
}

// answered tells of every span whether an old one answers it.
func (s *settler) answered() []bool {
	out := make([]bool, len(s.items))
	for i := range s.items {
		if !s.items[i].fresh && s.trace.IsCall(i) {
			out[s.trace.Spans[i].Parent] = true
		}
	}
	return out
}
