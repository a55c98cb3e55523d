package tracestore

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// TraceIDs lists the traces of all heads and blocks that have spans in a range:
// see query.GraphSource.
func (s *Store) TraceIDs(ctx context.Context, t tenant.ID, r model.TimeRange, limit int) ([]model.TraceID, error) {
	ten := s.tenant(t, false)
	if ten == nil {
		return nil, nil
	}
	v := ten.view(nil)
	defer v.release()
	var out []model.TraceID
	settle := func() error {
		if len(out) <= limit {
			return nil
		}
		slices.SortFunc(out, compareIDs)
		if out = slices.Compact(out); len(out) > limit {
			return fmt.Errorf("%w: more than %d traces are in the range; ask for a shorter one", model.ErrTooMuch, limit)
		}
		return nil
	}
	for _, h := range v.heads {
		if len(h.rows) == 0 || !r.Overlaps(h.lo, h.hi) {
			continue
		}
		for i := range h.trs {
			out = append(out, h.trs[i].id)
		}
		if err := settle(); err != nil {
			return nil, err
		}
	}
	for _, b := range v.blocks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !b.Overlaps(r) {
			continue
		}
		ids, err := b.traceIDs()
		if err != nil {
			v.warn(b, err)
			continue
		}
		out = append(out, ids...)
		if err := settle(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, compareIDs)
	return slices.Compact(out), nil
}

func compareIDs(a, b model.TraceID) int { return bytes.Compare(a[:], b[:]) }
