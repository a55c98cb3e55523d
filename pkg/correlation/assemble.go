package correlation

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"braid/pkg/model"
)

// Entry is one moment of the timeline: a span's start or a log record.
type Entry struct {
	Time   int64 // Unix ns, moved so that causes come before effects
	Span   int   // index into Whole.Spans, -1 for a log
	Log    int   // index into Whole.Logs, -1 for a span
	Depth  int
	Skewed bool
}

// maxGaps bounds the gaps of one kind that are told one by one.
const maxGaps = 20

// finish puts what was found in order and says what is missing.
func (w *walk) finish(ctx context.Context) *Whole {
	spans := w.sortedSpans()
	t := buildTree(spans)
	out := &Whole{ID: w.id, Kinds: w.kinds, Spans: t.nodes, Logs: w.sortedLogs(), Exemplars: w.sortedExemplars(),
		Requests: w.requests, Stats: w.stats, Gaps: w.gaps}
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
	out.Services = servicesOf(out)
	out.Timeline = timeline(t, out.Logs)
	out.Gaps = append(out.Gaps, w.missing(out)...)
	if w.f.opts.Alerts != nil && out.Found() && !out.Range.All() {
		alerts, err := w.f.opts.Alerts.AlertsDuring(ctx, w.t, out.Range)
		if err != nil {
			w.stats.Warn("alerts are not shown: %v", err)
		}
		out.Alerts = concerning(alerts, out.Services)
	}
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

// servicesOf lists the services in the order in which they were first called.
func servicesOf(w *Whole) []ServicePart {
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
	for i := range w.Spans {
		s := &w.Spans[i]
		p := part(s.Resource.Service(), s.Start+s.Shift)
		p.Spans++
		if s.Status == model.StatusError {
			p.Errors++
		}
	}
	for i := range w.Logs {
		l := &w.Logs[i]
		p := part(l.Resource.Service(), l.Time)
		p.Logs++
		if l.Severity >= 17 {
			p.Errors++
		}
	}
	depth := map[string]int{}
	for i := range w.Spans {
		name := w.Spans[i].Resource.Service()
		if d, ok := depth[name]; !ok || w.Spans[i].Depth < d {
			depth[name] = w.Spans[i].Depth
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

// timeline merges spans and logs so that a parent comes before its children
// and a span before its logs, even where clocks disagree.
func timeline(t *tree, logs []model.LogRow) []Entry {
	out := make([]Entry, 0, len(t.nodes)+len(logs))
	type id struct {
		trace model.TraceID
		span  model.SpanID
	}
	byID := make(map[id]int, len(t.nodes))
	for i := range t.nodes {
		n := &t.nodes[i]
		if _, dup := byID[id{n.TraceID, n.SpanID}]; !dup {
			byID[id{n.TraceID, n.SpanID}] = i
		}
		out = append(out, Entry{Time: n.Start + n.Shift, Span: i, Log: -1, Depth: n.Depth, Skewed: n.Shift != 0})
	}
	for i := range logs {
		e := Entry{Time: logs[i].Time, Span: -1, Log: i}
		if s, ok := byID[id{logs[i].TraceID, logs[i].SpanID}]; ok {
			n := &t.nodes[s]
			e.Depth = n.Depth + 1
			e.Time = max(logs[i].Time+n.Shift, n.Start+n.Shift)
			e.Skewed = e.Time != logs[i].Time
		}
		out = append(out, e)
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].Time != out[j].Time {
			return out[i].Time < out[j].Time
		}
		return out[i].Depth < out[j].Depth
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
	if keep := w.f.opts.Retention(w.t); keep > 0 && out.Range.End > 0 && w.f.opts.Now().Sub(time.Unix(0, out.Range.End)) > keep {
		return []Gap{{Kind: "expired", Message: fmt.Sprintf("no spans: they are kept for %s, and this request is older", keep)}}
	}
	if len(out.Logs) > 0 && !sampled {
		return []Gap{{Kind: "sampled_out", Message: "no spans: the trace flags of the logs say that the trace was not sampled"}}
	}
	return []Gap{{Kind: "missing_spans", Message: "no spans of this trace were received: not exported, or dropped before they arrived"}}
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
