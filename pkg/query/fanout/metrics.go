package fanout

import (
	"context"
	"iter"
	"sort"

	"github.com/prometheus/prometheus/storage"

	"braid/pkg/model"
	"braid/pkg/query"
	"braid/pkg/tenant"
)

// Metrics asks several metric sources.
type Metrics struct {
	Parts []Part[query.MetricSource]
}

var _ query.MetricSource = (*Metrics)(nil)

// Queryable merges series by Prometheus's own merge querier. A part that fails
// is a warning of the PromQL answer.
func (m *Metrics) Queryable(t tenant.ID) storage.SampleAndChunkQueryable {
	return mergedQueryable{parts: m.Parts, t: t}
}

type mergedQueryable struct {
	parts []Part[query.MetricSource]
	t     tenant.ID
}

func (q mergedQueryable) Querier(mint, maxt int64) (storage.Querier, error) {
	var all []storage.Querier
	for _, p := range q.parts {
		one, err := p.Source.Queryable(q.t).Querier(mint, maxt)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return storage.NewMergeQuerier(nil, all, storage.ChainedSeriesMerge), nil
}

func (q mergedQueryable) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	var all []storage.ChunkQuerier
	for _, p := range q.parts {
		one, err := p.Source.Queryable(q.t).ChunkQuerier(mint, maxt)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return storage.NewMergeChunkQuerier(nil, all, storage.NewCompactingChunkSeriesMerger(storage.ChainedSeriesMerge)), nil
}

// Exemplars merges the parts' exemplars, oldest first.
func (m *Metrics) Exemplars(ctx context.Context, q *query.ExemplarQuery) iter.Seq2[[]model.ExemplarRow, error] {
	return func(yield func([]model.ExemplarRow, error) bool) {
		parts, err := gather(ctx, m.Parts, q.Stats, func(ctx context.Context, s query.MetricSource) ([]model.ExemplarRow, error) {
			var out []model.ExemplarRow
			for batch, err := range s.Exemplars(ctx, q) {
				if err != nil {
					return nil, err
				}
				out = append(out, batch...)
			}
			return out, nil
		})
		if err != nil {
			yield(nil, err)
			return
		}
		var all []model.ExemplarRow
		for _, p := range parts {
			all = append(all, p...)
		}
		sort.SliceStable(all, func(i, j int) bool { return all[i].Time < all[j].Time })
		if q.Limit > 0 && len(all) > q.Limit {
			all = all[:q.Limit]
		}
		if len(all) > 0 {
			yield(all, nil)
		}
	}
}

// Metadata joins the parts' metadata; the first part that knows a metric wins.
func (m *Metrics) Metadata(ctx context.Context, t tenant.ID, metric string, limit int) (map[string]model.MetricMeta, error) {
	parts, err := gather(ctx, m.Parts, nil, func(ctx context.Context, s query.MetricSource) (map[string]model.MetricMeta, error) {
		return s.Metadata(ctx, t, metric, limit)
	})
	if err != nil {
		return nil, err
	}
	out := map[string]model.MetricMeta{}
	for _, p := range parts {
		for name, meta := range p {
			if _, known := out[name]; !known && (limit <= 0 || len(out) < limit) {
				out[name] = meta
			}
		}
	}
	return out, nil
}
