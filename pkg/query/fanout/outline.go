package fanout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

var _ query.OutlineSource = (*Traces)(nil)

const (
	// outlineLooks bounds how often a trace is looked at whose spans move while
	// its outline is made.
	outlineLooks = 3
	// askers bounds the parts that are asked for spans at once.
	askers = 8
)

var errNoOutlines = fmt.Errorf("%w: a source makes no outlines of traces", errors.ErrUnsupported)

// Outline joins what the parts have of a trace. A trace of which no part has
// more than over spans has none, however many they have together.
// errors.ErrUnsupported means that a part makes no outlines, as older programs:
// Trace serves.
func (t *Traces) Outline(ctx context.Context, tn tenant.ID, id model.TraceID, known string, over int, stats *model.QueryStats) (*model.Outline, error) {
	if len(t.Parts) == 1 {
		src, ok := t.Parts[0].Source.(query.OutlineSource)
		if !ok {
			return nil, errNoOutlines
		}
		return src.Outline(ctx, tn, id, known, over, stats)
	}
	var err error
	for range outlineLooks {
		l := &look{t: t, tn: tn, id: id, stats: stats, outlines: make([]*model.Outline, len(t.Parts)), errs: make([]error, len(t.Parts))}
		var o *model.Outline
		if o, err = l.outline(ctx, known, over); !errors.Is(err, model.ErrChanged) {
			return o, err
		}
	}
	return nil, err
}

// look is one look at a trace: what each part said of it.
type look struct {
	t        *Traces
	tn       tenant.ID
	id       model.TraceID
	stats    *model.QueryStats
	outlines []*model.Outline // by part; nil: it has too few spans, or did not answer
	errs     []error
}

func (l *look) outline(ctx context.Context, known string, over int) (*model.Outline, error) {
	// A part without many spans says so; those of a trace that is large
	// elsewhere are asked for after that. With a known version it is large.
	before, again := versionsOf(known, len(l.t.Parts)), over > 0
	least := over
	if before != nil {
		least, again = 0, false
	}
	if err := l.ask(ctx, before, least, func(int) bool { return true }); err != nil {
		return nil, err
	}
	if before != nil && l.version() == known {
		return &model.Outline{Version: known}, l.settle(ctx)
	}
	if !slices.ContainsFunc(l.outlines, func(o *model.Outline) bool { return o != nil }) {
		return nil, nil // Trace says which part did not answer
	}
	if err := l.ask(ctx, nil, 0, func(i int) bool {
		if o := l.outlines[i]; o != nil {
			return len(o.Spans) == 0 // as it is known, but others are not
		}
		return again && l.errs[i] == nil
	}); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(l.outlines, func(o *model.Outline) bool { return o != nil && len(o.Spans) > over }) {
		return nil, nil
	}
	o, err := l.merge(ctx)
	if err != nil {
		return nil, err
	}
	return o, l.settle(ctx)
}

// ask asks parts for outlines of more than over spans. The errors of single
// parts are kept for settle, those that all would have are returned.
func (l *look) ask(ctx context.Context, known []*string, over int, which func(int) bool) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for i := range l.t.Parts {
		if !which(i) {
			continue
		}
		wg.Go(func() {
			version := ""
			if known != nil && known[i] != nil {
				version = *known[i]
			}
			l.outlines[i], l.errs[i] = l.outlineOf(inner, i, version, over)
			if errors.Is(l.errs[i], errors.ErrUnsupported) {
				cancel() // all is for nothing
			}
		})
	}
	wg.Wait()
	for _, kind := range []error{errors.ErrUnsupported, model.ErrInvalid, model.ErrTooMuch} {
		for _, err := range l.errs {
			if errors.Is(err, kind) {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (l *look) outlineOf(ctx context.Context, part int, known string, over int) (*model.Outline, error) {
	src, ok := l.t.Parts[part].Source.(query.OutlineSource)
	if !ok {
		return nil, errNoOutlines
	}
	o, err := src.Outline(ctx, l.tn, l.id, known, over, l.stats)
	if err != nil || o == nil {
		return nil, err
	}
	if o.Version == "" {
		return nil, fmt.Errorf("%w: a source does not tell whether a trace has changed", errors.ErrUnsupported)
	}
	return o, nil
}

func (l *look) settle(ctx context.Context) error { return settle(ctx, l.t.Parts, l.errs, l.stats) }

// version joins the versions of the parts: a list in JSON, with "" for a part
// without spans, null for one that did not answer.
func (l *look) version() string {
	list := make([]*string, len(l.outlines))
	for i, o := range l.outlines {
		switch {
		case l.errs[i] != nil:
		case o == nil:
			list[i] = new(string)
		default:
			list[i] = &o.Version
		}
	}
	text, _ := json.Marshal(list) // strings can always be written
	return string(text)
}

// versionsOf takes a version apart; nil when it is not one of so many parts.
func versionsOf(version string, parts int) (out []*string) {
	if json.Unmarshal([]byte(version), &out) != nil || len(out) != parts {
		return nil
	}
	return out
}

// SpansAt asks each part for its spans. A part that has gone away since has
// changed the trace, as far as the caller can see it: model.ErrChanged.
func (t *Traces) SpansAt(ctx context.Context, tn tenant.ID, id model.TraceID, version string, at []uint64, stats *model.QueryStats) ([]model.SpanRow, error) {
	parts := uint64(len(t.Parts))
	if parts == 1 {
		src, ok := t.Parts[0].Source.(query.OutlineSource)
		if !ok {
			return nil, errNoOutlines
		}
		return src.SpansAt(ctx, tn, id, version, at, stats)
	}
	versions := versionsOf(version, len(t.Parts))
	if versions == nil {
		return nil, fmt.Errorf("%w: trace %s is no longer held by the same sources", model.ErrChanged, id)
	}
	asked, places := make([][]uint64, parts), make([][]int, parts)
	for i, x := range at {
		p := x % parts
		if versions[p] == nil || *versions[p] == "" {
			return nil, fmt.Errorf("%w: %s has no spans of trace %s", model.ErrChanged, t.Parts[p].Name, id)
		}
		asked[p], places[p] = append(asked[p], x/parts), append(places[p], i)
	}
	out := make([]model.SpanRow, len(at))
	eg, ectx := errgroup.WithContext(ctx)
	eg.SetLimit(askers)
	for p := range t.Parts {
		if len(asked[p]) == 0 {
			continue
		}
		eg.Go(func() error {
			rows, err := t.spansOf(ectx, p, tn, id, *versions[p], asked[p], stats)
			if err != nil {
				return err
			}
			for k, i := range places[p] {
				out[i] = rows[k]
			}
			return nil
		})
	}
	if err := eg.Wait(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return out, nil
}

func (t *Traces) spansOf(ctx context.Context, part int, tn tenant.ID, id model.TraceID, version string, at []uint64, stats *model.QueryStats) ([]model.SpanRow, error) {
	p := t.Parts[part]
	src, ok := p.Source.(query.OutlineSource)
	if !ok {
		return nil, errNoOutlines
	}
	rows, err := src.SpansAt(ctx, tn, id, version, at, stats)
	var away *model.OverloadError
	switch {
	case errors.As(err, &away):
		return nil, fmt.Errorf("%w: %s did not answer: %w", model.ErrChanged, p.Name, err)
	case err != nil:
		return nil, fmt.Errorf("cannot read spans of trace %s from %s: %w", id, p.Name, err)
	case len(rows) != len(at):
		return nil, fmt.Errorf("cannot read spans of trace %s: %s has %d of %d", id, p.Name, len(rows), len(at))
	}
	return rows, nil
}
