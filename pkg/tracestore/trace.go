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

// SpanCounts returns how many spans the parts of the store hold of each of the
// traces: a retry that a block and the head hold counts twice. It reads no
// pages.
func (s *Store) SpanCounts(t tenant.ID, ids []model.TraceID) []int {
	out := make([]int, len(ids))
	ten := s.tenant(t, false)
	if ten == nil {
		return out
	}
	ten.mu.RLock()
	heads := append([]*headPart(nil), ten.waiting...)
	if ten.head != nil {
		heads = append(heads, ten.head)
	}
	for i, id := range ids {
		for _, h := range heads {
			if n, ok := h.set.traceOf[id]; ok {
				out[i] += int(h.set.trs[n].rows)
			}
		}
	}
	set := ten.set
	for _, b := range set.blocks {
		b.acquire()
	}
	ten.mu.RUnlock()
	var buf []*blockReader
	for i, id := range ids {
		hash := traceHash(id)
		buf = set.mayHold(&ten.dir, hash, buf)
		for _, b := range buf {
			if n, ok, err := b.lookup(id, hash); ok && err == nil {
				if side, err := b.sidecar(); err == nil {
					out[i] += int(side.traces.first[n+1] - side.traces.first[n])
				}
			}
		}
	}
	for _, b := range set.blocks {
		b.release()
	}
	return out
}

// TraceParts returns the spans of a trace as a query sees them, and as each part
// of the store holds them, retries included.
func (s *Store) TraceParts(ctx context.Context, t tenant.ID, id model.TraceID) (whole []model.SpanRow, parts [][]model.SpanRow, err error) {
	ten := s.tenant(t, false)
	if ten == nil {
		return nil, nil, nil
	}
	stats := &model.QueryStats{}
	v := ten.view(stats)
	defer v.release()
	refs := v.refs(id)
	read := func(refs []ref) (rows []model.SpanRow) {
		v.joined(refs, nil, func(r *model.SpanRow) bool {
			rows = append(rows, *r)
			return len(rows)%batchRows != 0 || ctx.Err() == nil
		})
		return rows
	}
	whole = read(refs)
	for _, r := range refs {
		parts = append(parts, read([]ref{r}))
	}
	return whole, parts, ctx.Err()
}
