package correlation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"braid/pkg/model"
)

// Entry is one moment of the timeline: a span's start, a log record, an
// exemplar or the start of an alert. One of the four indexes is set, the others
// are -1.
type Entry struct {
	Time     int64 // Unix ns, moved so that causes come before effects
	Span     int   // index into Whole.Spans
	Log      int   // index into Whole.Logs
	Exemplar int   // index into Whole.Exemplars
	Alert    int   // index into Whole.Alerts
	Depth    int
	Skewed   bool
}

// maxGaps bounds the gaps of one kind that are told one by one.
const maxGaps = 20

// finish puts what was found in order and says what is missing.
func (w *walk) finish(ctx context.Context) *Whole {
	spans := w.sortedSpans()
	t := buildTree(spans)
	out := &Whole{ID: w.id, Kinds: w.kinds, Spans: t.nodes, Logs: w.sortedLogs(), Exemplars: w.sortedExemplars(),
		Requests: w.requests, Stats: w.stats, Gaps: w.gaps}
	for i := range out.Spans {
		out.Emitted.Spans = append(out.Emitted.Spans, w.spans[spanKeyOf(&out.Spans[i].SpanRow)].place)
	}
	for i := range out.Logs {
		out.Emitted.Logs = append(out.Emitted.Logs, w.logs[logKeyOf(&out.Logs[i])].place)
	}
	for i := range out.Exemplars {
		out.Emitted.Exemplars = append(out.Emitted.Exemplars, w.exemplars[exemplarKeyOf(&out.Exemplars[i])].place)
	}
	for k := range w.aliases {
		if !w.isKind(k) {
			out.Aliases = append(out.Aliases, k)
		}
	}
	sort.Slice(out.Aliases, func(i, j int) bool {
		a, b := out.Aliases[i], out.Aliases[j]
		return a.Kind < b.Kind || a.Kind == b.Kind && a.ID < b.ID
	})
	out.Range = rangeOf(out)
	clocks := clocksOf(t)
	out.Services = servicesOf(out, clocks)
	out.Gaps = append(out.Gaps, w.missing(out)...)
	if w.f.opts.Alerts != nil && out.Found() && !out.Range.All() {
		alerts, err := w.f.opts.Alerts.AlertsDuring(ctx, w.t, out.Range)
		switch {
		case errors.Is(err, ErrAlertsNotAsked):
			out.Gaps = append(out.Gaps, Gap{Kind: "not_asked", Message: err.Error()})
		case err != nil:
			w.stats.Warn("alerts are not shown: %v", err)
		}
		out.Alerts = concerning(alerts, out.Services)
	}
	out.Timeline = timeline(out, clocks)
	out.Warnings = w.stats.Warnings()
	for _, warning := range out.Warnings {
		out.Gaps = append(out.Gaps, Gap{Kind: "part_down", Message: warning})
	}
	out.Complete = len(out.Warnings) == 0
	for _, g := range out.Gaps {
		if g.Kind == "limit" {
			out.Complete = false
		}
	}
	return out
}

func rangeOf(w *Whole) model.TimeRange {
	var r model.TimeRange
	grow := func(from, to int64) {
		if r.All() {
			r = model.TimeRange{Start: from, End: to + 1}
			return
		}
		r.Start, r.End = min(r.Start, from), max(r.End, to+1)
	}
	for i := range w.Spans {
		grow(w.Spans[i].Start, max(w.Spans[i].Start, w.Spans[i].End))
	}
	for i := range w.Logs {
		grow(w.Logs[i].Time, w.Logs[i].Time)
	}
	for i := range w.Requests {
		grow(w.Requests[i].Start, w.Requests[i].Start+w.Requests[i].Duration)
	}
	if r.All() {
		for i := range w.Exemplars {
			grow(w.Exemplars[i].Time, w.Exemplars[i].Time)
		}
	}
	return r
}

// clocks tells how a request's times are moved so that causes come before
// effects: a record belongs to its span, or else to the clock of its service.
type clocks struct {
	nodes  []SpanNode
	byID   map[placeID]int
	shifts map[string]int64 // by service: that of its first span
	roots  map[model.TraceID]int64
}

type placeID struct {
	trace model.TraceID
	span  model.SpanID
}

func clocksOf(t *tree) *clocks {
	c := &clocks{nodes: t.nodes, byID: make(map[placeID]int, len(t.nodes)), shifts: map[string]int64{}, roots: map[model.TraceID]int64{}}
	for i := range t.nodes {
		n := &t.nodes[i]
		if _, dup := c.byID[placeID{n.TraceID, n.SpanID}]; !dup {
			c.byID[placeID{n.TraceID, n.SpanID}] = i
		}
		if _, known := c.shifts[n.Resource.Service()]; !known {
			c.shifts[n.Resource.Service()] = n.Shift
		}
		if at, known := c.roots[n.TraceID]; !known || n.Start+n.Shift < at {
			c.roots[n.TraceID] = n.Start + n.Shift
		}
	}
	return c
}

// place returns when something happened by the common clock, and how deep in
// the request. What belongs to a span does not come before it, what belongs to
// a trace not before the trace's first span.
func (c *clocks) place(trace model.TraceID, span model.SpanID, service string, at int64) (int64, int) {
	if i, ok := c.byID[placeID{trace, span}]; ok && !span.IsZero() {
		n := &c.nodes[i]
		return max(at, n.Start) + n.Shift, n.Depth + 1
	}
	at += c.shifts[service]
	if root, ok := c.roots[trace]; ok && !trace.IsZero() {
		at = max(at, root)
	}
	return at, 0
}

func (c *clocks) log(l *model.LogRow) (int64, int) {
	return c.place(l.TraceID, l.SpanID, l.Resource.Service(), l.Time)
}

// servicesOf lists the services in the order in which they were first called.
func servicesOf(w *Whole, c *clocks) []ServicePart {
	byName := map[string]*ServicePart{}
	part := func(name string, at int64) *ServicePart {
		p := byName[name]
		if p == nil {
			p = &ServicePart{Name: name, First: at}
			byName[name] = p
		}
		p.First = min(p.First, at)
		return p
	}
	depth := map[string]int{}
	for i := range w.Spans {
		s := &w.Spans[i]
		p := part(s.Resource.Service(), s.Start+s.Shift)
		p.Spans++
		if s.Status == model.StatusError {
			p.Errors++
		}
		if d, ok := depth[p.Name]; !ok || s.Depth < d {
			depth[p.Name] = s.Depth
		}
	}
	for i := range w.Logs {
		l := &w.Logs[i]
		at, _ := c.log(l)
		p := part(l.Resource.Service(), at)
		p.Logs++
		if l.Severity >= 17 {
			p.Errors++
		}
	}
	out := make([]ServicePart, 0, len(byName))
	for _, p := range byName {
		out = append(out, *p)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if a.First != b.First {
			return a.First < b.First
		}
		if depth[a.Name] != depth[b.Name] {
			return depth[a.Name] < depth[b.Name]
		}
		return a.Name < b.Name
	})
	return out
}

// timeline merges everything so that a parent comes before its children and a
// span before its logs and exemplars, even where clocks disagree.
func timeline(w *Whole, c *clocks) []Entry {
	out := make([]Entry, 0, len(w.Spans)+len(w.Logs)+len(w.Exemplars)+len(w.Alerts))
	for i := range w.Alerts {
		out = append(out, Entry{Time: w.Alerts[i].Starts, Span: -1, Log: -1, Exemplar: -1, Alert: i})
	}
	for i := range w.Spans {
		n := &w.Spans[i]
		out = append(out, Entry{Time: n.Start + n.Shift, Span: i, Log: -1, Exemplar: -1, Alert: -1, Depth: n.Depth, Skewed: n.Shift != 0})
	}
	for i := range w.Logs {
		at, depth := c.log(&w.Logs[i])
		out = append(out, Entry{Time: at, Span: -1, Log: i, Exemplar: -1, Alert: -1, Depth: depth, Skewed: at != w.Logs[i].Time})
	}
	for i := range w.Exemplars {
		e := &w.Exemplars[i]
		at, depth := c.place(e.TraceID, e.SpanID, "", e.Time)
		out = append(out, Entry{Time: at, Span: -1, Log: -1, Exemplar: i, Alert: -1, Depth: depth, Skewed: at != e.Time})
	}
	// Of things at one moment the outer comes first, and a span before what
	// belongs to its trace only.
	rank := func(e *Entry) int {
		if e.Span >= 0 || e.Alert >= 0 {
			return e.Depth
		}
		return max(1, e.Depth)
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].Time != out[j].Time {
			return out[i].Time < out[j].Time
		}
		return rank(&out[i]) < rank(&out[j])
	})
	return out
}

// missing says what the request ought to have and has not.
func (w *walk) missing(out *Whole) []Gap {
	var gaps []Gap
	if len(out.Requests) > 0 {
		return nil
	}
	orphans := 0
	for i := range out.Spans {
		s := &out.Spans[i]
		if !contains(s.Flags, FlagOrphan) {
			continue
		}
		if orphans++; orphans <= maxGaps {
			gaps = append(gaps, Gap{Kind: "missing_parent", Service: s.Resource.Service(), SpanID: s.SpanID.String(),
				Message: fmt.Sprintf("span %q of %s names parent %s, which was not received", s.Name, s.Resource.Service(), s.ParentID)})
		}
	}
	if orphans > maxGaps {
		gaps = append(gaps, Gap{Kind: "missing_parent", Message: fmt.Sprintf("%d more spans lack their parent", orphans-maxGaps)})
	}
	if len(out.Spans) == 0 {
		return append(gaps, w.noSpans(out)...)
	}
	if keep := w.f.opts.LogRetention(w.t); len(out.Logs) == 0 && w.older(out.Range, keep) {
		gaps = append(gaps, Gap{Kind: "expired", Message: fmt.Sprintf("no log records: they are kept for %s, and this request is older", keep)})
	}
	for _, s := range out.Services {
		if s.Logs > 0 && s.Spans == 0 {
			gaps = append(gaps, Gap{Kind: "missing_spans", Service: s.Name,
				Message: fmt.Sprintf("service %s logged %d records but sent no span: not instrumented, or its spans were sampled out", s.Name, s.Logs)})
		}
	}
	return gaps
}

// noSpans explains a request of which only logs or exemplars are known.
func (w *walk) noSpans(out *Whole) []Gap {
	traced, sampled := false, false
	for i := range out.Logs {
		if !out.Logs[i].TraceID.IsZero() {
			traced = true
			sampled = sampled || out.Logs[i].Flags&1 == 1
		}
	}
	for i := range out.Exemplars {
		traced = traced || !out.Exemplars[i].TraceID.IsZero()
	}
	if !traced {
		return nil
	}
	if keep := w.f.opts.Retention(w.t); w.older(out.Range, keep) {
		return []Gap{{Kind: "expired", Message: fmt.Sprintf("no spans: they are kept for %s, and this request is older", keep)}}
	}
	if len(out.Logs) > 0 && !sampled {
		return []Gap{{Kind: "sampled_out", Message: "no spans: the trace flags of the logs say that the trace was not sampled"}}
	}
	return []Gap{{Kind: "missing_spans", Message: "no spans of this trace were received: not exported, or dropped before they arrived"}}
}

// older reports whether a range ended longer ago than things are kept; 0 keeps
// them for ever.
func (w *walk) older(r model.TimeRange, keep time.Duration) bool {
	return keep > 0 && r.End > 0 && w.f.opts.Now().Sub(time.Unix(0, r.End)) > keep
}

// serviceLabels name the service that an alert is about.
var serviceLabels = []string{"service_name", "service", "job", "resource_service_name", "resource.service.name"}

// concerning keeps the alerts about one of the request's services.
func concerning(alerts []Alert, services []ServicePart) []Alert {
	var out []Alert
	for _, a := range alerts {
		for _, label := range serviceLabels {
			name := a.Labels[label]
			if i := lastSlash(name); i >= 0 {
				name = name[i+1:]
			}
			if name != "" && slices.ContainsFunc(services, func(s ServicePart) bool { return s.Name == name }) {
				out = append(out, a)
				break
			}
		}
	}
	return out
}
