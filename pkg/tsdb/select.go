package tsdb

import (
	"github.com/prometheus/prometheus/storage"

	"braid/pkg/tenant"
)

// Queryable returns a tenant's series; a tenant that has none yet may get some
// later, so that the result may be kept.
func (s *Store) Queryable(id tenant.ID) storage.SampleAndChunkQueryable {
	return queryable{s, id}
}

type queryable struct {
	s  *Store
	id tenant.ID
}

// Querier returns a reader of [mint, maxt], Unix milliseconds.
func (q queryable) Querier(mint, maxt int64) (storage.Querier, error) {
	t := q.s.lookup(q.id)
	if t == nil {
		return storage.NoopQuerier(), nil
	}
	return t.db.Querier(mint, maxt)
}

// ChunkQuerier returns a reader of encoded chunks of [mint, maxt].
func (q queryable) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	t := q.s.lookup(q.id)
	if t == nil {
		return storage.NoopChunkedQuerier(), nil
	}
	return t.db.ChunkQuerier(mint, maxt)
}
