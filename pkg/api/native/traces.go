package native

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"braid/pkg/correlation"
	"braid/pkg/criticalpath"
	"braid/pkg/model"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
	braidv1 "braid/proto/braid/v1"
)

const (
	pageSpans = 1000   // of a page that does not say
	maxPage   = 10_000 // spans or paths of one answer
	// keptWhole is up to how many spans a trace is read once, with all that its
	// spans hold; a larger one is read for its structure, then for the page.
	keptWhole = 20_000
	// maxTraceSpans bounds the traces whose structure is computed.
	maxTraceSpans = 2_000_000
)

// page reads offset and limit.
func page(offset, limit int32) (from, n int, err error) {
	if offset < 0 || limit < 0 {
		return 0, 0, fmt.Errorf("%w: offset %d, limit %d: both must be 0 or more", model.ErrInvalid, offset, limit)
	}
	if limit == 0 {
		limit = pageSpans
	}
	return int(offset), int(min(limit, maxPage)), nil
}

// Trace implements braidv1.BraidServer.
func (s *Service) Trace(ctx context.Context, req *braidv1.TraceRequest) (*braidv1.TraceResponse, error) {
	return guarded(ctx, s, "trace", req.GetTraceId(), func(ctx context.Context, t tenant.ID) (*braidv1.TraceResponse, *model.QueryStats, error) {
		from, n, err := page(req.GetOffset(), req.GetLimit())
		if err != nil {
			return nil, nil, err
		}
		tr, err := s.readTrace(ctx, t, "trace_id", req.GetTraceId())
		if err != nil {
			return nil, nil, err
		}
		resp := tr.encode()
		end := min(len(tr.rows), from+n)
		if from < end {
			rows, err := s.fill(ctx, t, tr, tr.tree.Order[from:end])
			if err != nil {
				return nil, nil, err
			}
			for i := range rows {
				resp.Spans = append(resp.Spans, encodeSpan(&rows[i]))
			}
		}
		if end < len(tr.rows) {
			resp.NextOffset = int32(end)
		}
		return resp, tr.stats, nil
	})
}

// trace is one trace and what its structure says.
type trace struct {
	id       model.TraceID
	rows     []model.SpanRow // without attributes, events and links when slim
	slim     bool
	tree     *traceql.Tree
	self     []int64
	depth    []int32
	path     []criticalpath.Segment
	critical map[int32]int64 // ns by span
	facts    model.TraceFacts
	stats    *model.QueryStats
}

// readTrace finds a trace by any spelling of its id.
func (s *Service) readTrace(ctx context.Context, t tenant.ID, field, text string) (*trace, error) {
	readings := model.TraceIDReadings(text)
	if len(readings) == 0 {
		return nil, fmt.Errorf("%w: %s %q is not a trace id; give hex digits, or another usual spelling", model.ErrInvalid, field, clip(text))
	}
	for _, id := range readings {
		tr := &trace{id: id, stats: &model.QueryStats{}}
		for rows, err := range s.o.Traces.Trace(ctx, t, id, tr.stats) {
			if err != nil {
				return nil, fmt.Errorf("cannot read trace %s: %w", id, err)
			}
			tr.rows = append(tr.rows, rows...)
			if len(tr.rows) > maxTraceSpans {
				return nil, fmt.Errorf("%w: trace %s has more than %d spans; search it with TraceQL, for example { trace:id = \"%s\" && duration > 1s }", model.ErrTooMuch, id, maxTraceSpans, id)
			}
			if !tr.slim && len(tr.rows) > keptWhole {
				tr.slim = true
				slimDown(tr.rows)
			} else if tr.slim {
				slimDown(tr.rows[len(tr.rows)-len(rows):])
			}
		}
		if len(tr.rows) > 0 {
			tr.analyse()
			return tr, nil
		}
	}
	return nil, fmt.Errorf("%w: no trace %s", model.ErrNotFound, readings[0])
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// slimDown drops what the structure does not need.
func slimDown(rows []model.SpanRow) {
	for i := range rows {
		rows[i].Attrs, rows[i].Events, rows[i].Links = nil, nil, nil
	}
}

func (tr *trace) analyse() {
	tr.tree = traceql.BuildTree(tr.rows)
	tr.self = tr.tree.SelfTimes()
	tr.path = tr.tree.CriticalPath()
	tr.critical = map[int32]int64{}
	for _, x := range tr.path {
		tr.critical[x.Span] += x.End - x.Start
	}
	tr.depth = tr.tree.Depth()
	tr.facts = model.TraceFacts{ID: tr.id, Start: tr.rows[0].Start, End: tr.rows[0].End, Spans: len(tr.rows)}
	for i := range tr.rows {
		r := &tr.rows[i]
		tr.facts.Start, tr.facts.End = min(tr.facts.Start, r.Start), max(tr.facts.End, r.Start, r.End)
		if r.Status == model.StatusError {
			tr.facts.Errors++
		}
	}
	if root := tr.tree.MainRoot(); root >= 0 {
		tr.facts.RootService, tr.facts.RootName = tr.rows[root].Resource.Service(), tr.rows[root].Name
	}
}

// flagNames are the words for the flags of a span.
var flagNames = []struct {
	flag traceql.SpanFlag
	name string
}{
	{traceql.FlagOrphan, correlation.FlagOrphan}, {traceql.FlagSkewed, correlation.FlagSkew},
	{traceql.FlagCycle, correlation.FlagCycle}, {traceql.FlagShared, "shared-id"},
}

// fill returns the spans of a page in whole.
func (s *Service) fill(ctx context.Context, t tenant.ID, tr *trace, order []int32) ([]correlation.SpanNode, error) {
	whole := map[int32]model.SpanRow{}
	if tr.slim {
		wanted := map[model.SpanID][]int32{}
		for _, i := range order {
			wanted[tr.rows[i].SpanID] = append(wanted[tr.rows[i].SpanID], i)
		}
		for rows, err := range s.o.Traces.Trace(ctx, t, tr.id, tr.stats) {
			if err != nil {
				return nil, fmt.Errorf("cannot read trace %s: %w", tr.id, err)
			}
			for k := range rows {
				for _, i := range wanted[rows[k].SpanID] {
					if _, have := whole[i]; !have && rows[k].Start == tr.rows[i].Start && rows[k].End == tr.rows[i].End && rows[k].Kind == tr.rows[i].Kind {
						whole[i] = rows[k]
						break
					}
				}
			}
		}
	}
	out := make([]correlation.SpanNode, len(order))
	for k, i := range order {
		row := tr.rows[i]
		if r, ok := whole[i]; ok {
			row = r
		}
		n := correlation.SpanNode{SpanRow: row, Depth: int(tr.depth[i]), Parent: int(tr.tree.Parent[i]), Self: tr.self[i]}
		_, n.Critical = tr.critical[i]
		for _, f := range flagNames {
			if tr.tree.Flags[i]&f.flag != 0 {
				n.Flags = append(n.Flags, f.name)
			}
		}
		if row.End < row.Start {
			n.Flags = append(n.Flags, correlation.FlagNegEnd)
		}
		out[k] = n
	}
	return out, nil
}

// encode writes all but the spans.
func (tr *trace) encode() *braidv1.TraceResponse {
	f := &tr.facts
	out := &braidv1.TraceResponse{TraceId: tr.id.String(), RootService: text(f.RootService), RootName: text(f.RootName), StartNs: ns(f.Start),
		DurationNs: ns(f.End - f.Start), TotalSpans: int32(f.Spans), Errors: int32(f.Errors), Warnings: tr.stats.Warnings()}
	out.Complete = len(out.Warnings) == 0
	for _, x := range tr.path {
		r := &tr.rows[x.Span]
		out.CriticalPath = append(out.CriticalPath, &braidv1.PathSegment{SpanId: r.SpanID.String(), Service: text(r.Resource.Service()), Name: text(r.Name),
			StartNs: ns(x.Start), DurationNs: ns(x.End - x.Start)})
		if len(out.CriticalPath) == maxPage {
			out.Warnings = append(out.Warnings, fmt.Sprintf("the critical path has %d segments, the first %d are shown", len(tr.path), maxPage))
			break
		}
	}
	services := map[string]*braidv1.ServiceTime{}
	for i := range tr.rows {
		name := tr.rows[i].Resource.Service()
		st := services[name]
		if st == nil {
			st = &braidv1.ServiceTime{Service: text(name)}
			services[name] = st
			out.Services = append(out.Services, st)
		}
		st.Spans++
		st.SelfNs += ns(tr.self[i])
		st.CriticalNs += ns(tr.critical[int32(i)])
		if tr.rows[i].Status == model.StatusError {
			st.Errors++
		}
	}
	slices.SortFunc(out.Services, func(a, b *braidv1.ServiceTime) int {
		return cmp.Or(cmp.Compare(b.CriticalNs, a.CriticalNs), cmp.Compare(b.SelfNs, a.SelfNs), cmp.Compare(a.Service, b.Service))
	})
	return out
}

// CompareTraces implements braidv1.BraidServer.
func (s *Service) CompareTraces(ctx context.Context, req *braidv1.CompareTracesRequest) (*braidv1.CompareTracesResponse, error) {
	return guarded(ctx, s, "compare-traces", req.GetA()+" "+req.GetB(), func(ctx context.Context, t tenant.ID) (*braidv1.CompareTracesResponse, *model.QueryStats, error) {
		_, n, err := page(0, req.GetLimit())
		if err == nil && !slices.Contains([]string{"", "path", "slower"}, req.GetSort()) {
			err = fmt.Errorf("%w: sort %q; use path or slower", model.ErrInvalid, req.GetSort())
		}
		if err != nil {
			return nil, nil, err
		}
		a, err := s.readTrace(ctx, t, "a", req.GetA())
		if err != nil {
			return nil, nil, err
		}
		b, err := s.readTrace(ctx, t, "b", req.GetB())
		if err != nil {
			return nil, nil, err
		}
		paths := traceql.CompareTraces(a.rows, b.rows)
		if req.GetSort() == "slower" {
			paths = traceql.SlowerPaths(paths)
		}
		resp := &braidv1.CompareTracesResponse{A: a.outline(), B: b.outline(), TotalPaths: int32(len(paths)),
			Warnings: append(a.stats.Warnings(), b.stats.Warnings()...)}
		resp.Complete = len(resp.Warnings) == 0 && len(paths) <= n
		for _, p := range paths[:min(n, len(paths))] {
			resp.Paths = append(resp.Paths, encodePath(p))
		}
		return resp, b.stats, nil
	})
}

func (tr *trace) outline() *braidv1.TraceOutline {
	f := &tr.facts
	return &braidv1.TraceOutline{TraceId: tr.id.String(), RootService: text(f.RootService), RootName: text(f.RootName), StartNs: ns(f.Start),
		DurationNs: ns(f.End - f.Start), Spans: int32(f.Spans), Errors: int32(f.Errors)}
}

func encodePath(p traceql.PathDiff) *braidv1.PathDiff {
	out := &braidv1.PathDiff{A: encodePathStats(p.A), B: encodePathStats(p.B)}
	for _, s := range p.Path {
		out.Path = append(out.Path, &braidv1.PathStep{Service: text(s.Service), Operation: text(s.Operation), Kind: s.Kind.String()})
	}
	return out
}

func encodePathStats(s traceql.PathStats) *braidv1.PathStats {
	return &braidv1.PathStats{Spans: int32(s.Spans), Errors: int32(s.Errors), DurationNs: ns(s.Duration), SelfNs: ns(s.Self)}
}
