package tracestore

import (
	"context"
	"iter"

	"braid/pkg/model"
	"braid/pkg/tenant"
)

// batchRows is how many spans Trace yields at once.
const batchRows = 1000

// Trace yields the spans of one trace: see query.TraceSource.
func (s *Store) Trace(ctx context.Context, t tenant.ID, id model.TraceID, stats *model.QueryStats) iter.Seq2[[]model.SpanRow, error] {
	return func(yield func([]model.SpanRow, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(nil, err)
			return
		}
		ten := s.tenant(t, false)
		if ten == nil {
			return
		}
		v := ten.view(stats)
		defer v.release()
		var batch []model.SpanRow
		stopped := false
		v.joined(v.refs(id), nil, func(r *model.SpanRow) bool {
			batch = append(batch, *r)
			if len(batch) < batchRows {
				return true
			}
			if err := ctx.Err(); err != nil {
				stopped = true
				yield(nil, err)
				return false
			}
			stats.AddRows(int64(len(batch)))
			stopped = !yield(batch, nil)
			batch = nil
			return !stopped
		})
		if !stopped && len(batch) > 0 {
			stats.AddRows(int64(len(batch)))
			yield(batch, nil)
		}
	}
}
