package native

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"braid/pkg/correlation"
	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
	braidv1 "braid/proto/braid/v1"
)

const (
	pageSpans = 1000   // of a page that does not say
	maxPage   = 10_000 // spans or paths of one answer
	// keptWhole is up to how many spans a trace is read once, with all that its
	// spans hold; of a larger one the outline is read, then the spans of the page.
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
		for range maxLooks {
			var resp *braidv1.TraceResponse
			var stats *model.QueryStats
			if resp, stats, err = s.tracePage(ctx, t, req.GetTraceId(), from, n); !errors.Is(err, model.ErrChanged) {
				return resp, stats, err
			}
		}
		return nil, nil, &model.OverloadError{Reason: fmt.Sprintf("spans of trace %s are being moved: %v", clip(req.GetTraceId()), err), RetryAfter: time.Second}
	})
}

// maxLooks bounds how often a trace is looked at whose spans move to another
// place between its outline and the page.
const maxLooks = 4

// tracePage answers with n spans of a trace, parents first, from a place on.
func (s *Service) tracePage(ctx context.Context, t tenant.ID, text string, from, n int) (*braidv1.TraceResponse, *model.QueryStats, error) {
	tr, err := s.readTrace(ctx, t, &s.structures, "trace_id", text)
	if err != nil {
		return nil, nil, err
	}
	st := tr.shape(s, t)
	resp := st.head(tr.stats)
	end := min(st.spans(), from+n)
	if from < end {
		rows, err := s.fill(ctx, t, tr, st, st.order[from:end])
		if err != nil {
			return nil, nil, err
		}
		for i := range rows {
			resp.Spans = append(resp.Spans, encodeSpan(&rows[i]))
		}
	}
	if end < st.spans() {
		resp.NextOffset = int32(end)
	}
	return resp, tr.stats, nil
}

// trace is one trace as its source has it now.
type trace struct {
	id      model.TraceID
	outline *model.Outline  // without spans when its structure is known
	rows    []model.SpanRow // of a trace that is not large, all
	known   *structure      // of a large trace that was looked at before
	stats   *model.QueryStats
}

// readTrace finds a trace by any spelling of its id. A trace whose structure is
// in known comes without the spans of its outline; known may be nil.
func (s *Service) readTrace(ctx context.Context, t tenant.ID, known *structureMemo, field, text string) (*trace, error) {
	readings := model.TraceIDReadings(text)
	if len(readings) == 0 {
		return nil, fmt.Errorf("%w: %s %q is not a trace id; give hex digits, or another usual spelling", model.ErrInvalid, field, clip(text))
	}
	for _, id := range readings {
		tr := &trace{id: id, stats: &model.QueryStats{}}
		if known != nil {
			tr.known = known.get(t, id)
		}
		if err := s.open(ctx, t, tr); err != nil {
			return nil, err
		}
		if tr.outline != nil {
			return tr, nil
		}
	}
	return nil, fmt.Errorf("%w: no trace %s", model.ErrNotFound, readings[0])
}

// open reads the outline of a trace, and all of it when it is not large; nil is
// left where there is none.
func (s *Service) open(ctx context.Context, t tenant.ID, tr *trace) (err error) {
	src, ok := s.o.Traces.(query.OutlineSource)
	if ok {
		version := ""
		if tr.known != nil {
			version = tr.known.version
		}
		tr.outline, err = src.Outline(ctx, t, tr.id, version, keptWhole, tr.stats)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return fmt.Errorf("cannot read trace %s: %w", tr.id, err)
		}
		if tr.outline != nil {
			if tr.known != nil && tr.known.version != tr.outline.Version {
				tr.known = nil
			}
			if len(tr.outline.Spans) > maxTraceSpans {
				return tooLarge(tr.id)
			}
			return nil
		}
		tr.known = nil
	}
	var o model.Outliner
	for rows, err := range s.o.Traces.Trace(ctx, t, tr.id, tr.stats) {
		if err != nil {
			return fmt.Errorf("cannot read trace %s: %w", tr.id, err)
		}
		o.Add(rows)
		if len(o.Outline.Spans) > maxTraceSpans {
			return tooLarge(tr.id)
		}
		if tr.rows = append(tr.rows, rows...); len(o.Outline.Spans) > keptWhole {
			tr.rows = nil
		}
	}
	if len(o.Outline.Spans) > 0 {
		tr.outline = &o.Outline
	}
	return nil
}

func tooLarge(id model.TraceID) error {
	return fmt.Errorf("%w: trace %s has more than %d spans; search it with TraceQL, for example { trace:id = \"%s\" && duration > 1s }", model.ErrTooMuch, id, maxTraceSpans, id)
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
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
func (s *Service) fill(ctx context.Context, t tenant.ID, tr *trace, st *structure, order []int32) ([]correlation.SpanNode, error) {
	rows, err := s.whole(ctx, t, tr, st, order)
	if err != nil {
		return nil, err
	}
	out := make([]correlation.SpanNode, len(order))
	for k, i := range order {
		n := correlation.SpanNode{SpanRow: rows[k], Depth: int(st.depth[i]), Parent: int(st.parent[i]), Self: st.self[i], Critical: st.critical[i]}
		for _, f := range flagNames {
			if st.flags[i]&f.flag != 0 {
				n.Flags = append(n.Flags, f.name)
			}
		}
		if n.End < n.Start {
			n.Flags = append(n.Flags, correlation.FlagNegEnd)
		}
		out[k] = n
	}
	return out, nil
}

// whole reads the rows of spans: where their source says that they are or, when
// it does not, out of the whole trace.
func (s *Service) whole(ctx context.Context, t tenant.ID, tr *trace, st *structure, order []int32) ([]model.SpanRow, error) {
	out := make([]model.SpanRow, len(order))
	switch {
	case tr.rows != nil:
		for k, i := range order {
			out[k] = tr.rows[i]
		}
	case st.version != "":
		at := make([]uint64, len(order))
		for k, i := range order {
			at[k] = st.at[i]
		}
		return s.o.Traces.(query.OutlineSource).SpansAt(ctx, t, tr.id, st.version, at, tr.stats)
	default:
		wanted := map[model.SpanID][]int{}
		for k, i := range order {
			x := &tr.outline.Spans[i]
			out[k].Span = model.Span{TraceID: tr.id, SpanID: x.ID, ParentID: x.Parent, Start: x.Start, End: x.End, Kind: x.Kind, Status: x.Status,
				Name: tr.outline.Operations[x.Operation].Name}
			wanted[x.ID] = append(wanted[x.ID], k)
		}
		for rows, err := range s.o.Traces.Trace(ctx, t, tr.id, tr.stats) {
			if err != nil {
				return nil, fmt.Errorf("cannot read trace %s: %w", tr.id, err)
			}
			for r := range rows {
				list := wanted[rows[r].SpanID]
				if at := slices.IndexFunc(list, func(k int) bool {
					return out[k].Start == rows[r].Start && out[k].End == rows[r].End && out[k].Kind == rows[r].Kind
				}); at >= 0 {
					out[list[at]] = rows[r]
					wanted[rows[r].SpanID] = slices.Delete(list, at, at+1)
				}
			}
		}
	}
	return out, nil
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
		a, err := s.readTrace(ctx, t, nil, "a", req.GetA())
		if err != nil {
			return nil, nil, err
		}
		b, err := s.readTrace(ctx, t, nil, "b", req.GetB())
		if err != nil {
			return nil, nil, err
		}
		paths := traceql.CompareTraces(a.outline, b.outline)
		if req.GetSort() == "slower" {
			paths = traceql.SlowerPaths(paths)
		}
		resp := &braidv1.CompareTracesResponse{A: outline(a), B: outline(b), TotalPaths: int32(len(paths)),
			Warnings: append(a.stats.Warnings(), b.stats.Warnings()...)}
		resp.Complete = len(resp.Warnings) == 0 && len(paths) <= n
		for _, p := range paths[:min(n, len(paths))] {
			resp.Paths = append(resp.Paths, encodePath(p))
		}
		return resp, b.stats, nil
	})
}

func outline(tr *trace) *braidv1.TraceOutline {
	f := factsOf(tr.id, tr.outline, traceql.TreeOf(tr.outline.Spans))
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
