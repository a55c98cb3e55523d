package fanout

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"braid/pkg/calls"
	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

var _ query.GraphSource = (*Traces)(nil)

const (
	// maxGraphIDs bounds the trace ids that one part is asked for, and maxJoined
	// the traces that are joined for one graph.
	maxGraphIDs = 1_000_000
	maxJoined   = 10_000
	joiners     = 8
	// aroundRange is how far from the range the other side of a call is looked for.
	aroundRange = int64(3600e9)
)

// ServiceGraph adds up what the parts count; a part that keeps no graph is asked
// for its spans. A trace that two of them hold spans of is counted as a whole:
// what each counted of it is taken off.
func (t *Traces) ServiceGraph(ctx context.Context, tn tenant.ID, r model.TimeRange, stats *model.QueryStats) (*model.ServiceGraph, error) {
	graphs, err := gather(ctx, t.Parts, stats, func(ctx context.Context, s query.TraceSource) (*model.ServiceGraph, error) {
		return graphOf(ctx, s, tn, r, stats)
	})
	if err != nil || len(graphs) == 1 {
		return first(graphs), err
	}
	g := calls.NewGraph()
	for _, x := range graphs {
		g.Add(x)
	}
	if err := t.joinCalls(ctx, g, tn, r, stats); err != nil {
		return nil, err
	}
	if g.Dropped > 0 {
		stats.Warn("the service graph has more than %d edges, %d calls are left out; ask for a shorter range", calls.MaxEdges, g.Dropped)
	}
	return g.Result(), nil
}

func first[T any](list []*T) *T {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// TraceIDs joins the lists of the parts.
func (t *Traces) TraceIDs(ctx context.Context, tn tenant.ID, r model.TimeRange, limit int) ([]model.TraceID, error) {
	lists, err := t.traceIDs(ctx, tn, r, limit, nil)
	if err != nil {
		return nil, err
	}
	out := slices.Concat(lists...)
	slices.SortFunc(out, compareIDs)
	if out = slices.Compact(out); len(out) > limit {
		return nil, fmt.Errorf("%w: more than %d traces are in the range; ask for a shorter one", model.ErrTooMuch, limit)
	}
	return out, nil
}

func (t *Traces) traceIDs(ctx context.Context, tn tenant.ID, r model.TimeRange, limit int, stats *model.QueryStats) ([][]model.TraceID, error) {
	return gather(ctx, t.Parts, stats, func(ctx context.Context, s query.TraceSource) ([]model.TraceID, error) {
		return idsOf(ctx, s, tn, r, limit, stats)
	})
}

func compareIDs(a, b model.TraceID) int { return bytes.Compare(a[:], b[:]) }

// joinCalls puts the calls of whole traces in the place of those of their pieces.
func (t *Traces) joinCalls(ctx context.Context, g *calls.Graph, tn tenant.ID, r model.TimeRange, stats *model.QueryStats) error {
	wide := r
	if !r.All() {
		wide = model.TimeRange{Start: r.Start - aroundRange, End: r.End + aroundRange}
	}
	lists, err := t.traceIDs(ctx, tn, wide, maxGraphIDs, stats)
	if errors.Is(err, model.ErrTooMuch) {
		stats.Warn("calls of traces that several sources hold spans of are counted by their pieces: the range has too many traces; ask for a shorter one")
		return nil
	}
	if err != nil {
		return err
	}
	shared := inTwo(lists)
	if len(shared) > maxJoined {
		stats.Warn("of %d traces that several sources hold spans of, %d were joined, the calls of the others are counted by their pieces; ask for a shorter range, or send the spans of a trace to one source",
			len(shared), maxJoined)
		shared = shared[:maxJoined]
	}
	var mu sync.Mutex
	eg, ectx := errgroup.WithContext(ctx)
	eg.SetLimit(joiners)
	for _, id := range shared {
		eg.Go(func() error {
			parts, err := t.pieces(ectx, tn, id, stats)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for _, p := range parts {
				countTrace(g, r, p, -1)
			}
			countTrace(g, r, dropRepeats(sorted(slices.Concat(parts...))), 1)
			return nil
		})
	}
	return eg.Wait()
}

// inTwo returns the ids that are in two of the lists at least.
func inTwo(lists [][]model.TraceID) []model.TraceID {
	all := slices.Concat(lists...)
	slices.SortFunc(all, compareIDs)
	var out []model.TraceID
	for i := 1; i < len(all); i++ {
		if all[i] == all[i-1] && (len(out) == 0 || out[len(out)-1] != all[i]) {
			out = append(out, all[i])
		}
	}
	return out
}

// pieces returns what each part holds of a trace, in the order of a trace.
func (t *Traces) pieces(ctx context.Context, tn tenant.ID, id model.TraceID, stats *model.QueryStats) ([][]model.SpanRow, error) {
	return gather(ctx, t.Parts, stats, func(ctx context.Context, s query.TraceSource) ([]model.SpanRow, error) {
		var out []model.SpanRow
		for batch, err := range s.Trace(ctx, tn, id, stats) {
			if err != nil {
				return nil, err
			}
			out = append(out, batch...)
		}
		return sorted(out), nil
	})
}

// sorted is the order in which every part counts: by start and id, and what
// follows makes the order of spans that share both repeatable.
func sorted(rows []model.SpanRow) []model.SpanRow {
	slices.SortStableFunc(rows, func(a, b model.SpanRow) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), bytes.Compare(a.SpanID[:], b.SpanID[:]), cmp.Compare(a.End, b.End),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return rows
}

func countTrace(g *calls.Graph, r model.TimeRange, rows []model.SpanRow, sign int64) {
	var tr calls.Trace
	tr.Reset()
	for i := range rows {
		s := &rows[i]
		tr.Add(s.SpanID, s.ParentID, calls.Span{Service: s.Resource.Service(), Kind: s.Kind, Failed: s.Status == model.StatusError,
			Start: s.Start, Duration: s.Duration(), Root: s.ParentID.IsZero()})
	}
	tr.Resolve()
	tr.Count(sign, calls.InRange(g, r), func(i int) (string, string) { return calls.Peer(rows[i].Kind, rows[i].Attrs) })
}
