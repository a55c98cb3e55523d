package tsdb

import (
	"context"
	"errors"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
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
	t.readers.RLock()
	inner, err := t.db.Querier(mint, maxt)
	if err != nil {
		t.readers.RUnlock()
		return nil, err
	}
	return &querier{Querier: inner, held: &t.readers}, nil
}

// ChunkQuerier returns a reader of encoded chunks of [mint, maxt].
func (q queryable) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	t := q.s.lookup(q.id)
	if t == nil {
		return storage.NoopChunkedQuerier(), nil
	}
	t.readers.RLock()
	inner, err := t.db.ChunkQuerier(mint, maxt)
	if err != nil {
		t.readers.RUnlock()
		return nil, err
	}
	return &chunkQuerier{ChunkQuerier: inner, held: &t.readers}, nil
}

// querier keeps the database open until it is closed.
type querier struct {
	storage.Querier
	held *sync.RWMutex
	once sync.Once
}

// Close implements storage.Querier; it may be called more than once.
func (q *querier) Close() (err error) {
	q.once.Do(func() {
		defer q.held.RUnlock()
		err = q.Querier.Close()
	})
	return err
}

// SearchLabelNames implements storage.Searcher.
func (q *querier) SearchLabelNames(ctx context.Context, hints *storage.SearchHints, ms ...*labels.Matcher) storage.SearchResultSet {
	if s, ok := q.Querier.(storage.Searcher); ok {
		return s.SearchLabelNames(ctx, hints, ms...)
	}
	return storage.ErrSearchResultSet(errNoSearch)
}

// SearchLabelValues implements storage.Searcher.
func (q *querier) SearchLabelValues(ctx context.Context, name string, hints *storage.SearchHints, ms ...*labels.Matcher) storage.SearchResultSet {
	if s, ok := q.Querier.(storage.Searcher); ok {
		return s.SearchLabelValues(ctx, name, hints, ms...)
	}
	return storage.ErrSearchResultSet(errNoSearch)
}

var errNoSearch = errors.New("the blocks of this tenant cannot be searched")

type chunkQuerier struct {
	storage.ChunkQuerier
	held *sync.RWMutex
	once sync.Once
}

// Close implements storage.ChunkQuerier; it may be called more than once.
func (q *chunkQuerier) Close() (err error) {
	q.once.Do(func() {
		defer q.held.RUnlock()
		err = q.ChunkQuerier.Close()
	})
	return err
}
