package promapi

import (
	"context"
	"errors"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"braid/pkg/tenant"
)

// Making an instance of Prometheus's API takes tens of milliseconds, so most
// paths are answered by one instance for all tenants. Prometheus's interfaces
// have no room for a tenant beside the context, so here, between ServeHTTP and
// the adapters below, and nowhere else, the tenant travels in the context.
type requestKey struct{}

type requestInfo struct {
	tenant tenant.ID
	stats  bool // the answer shall say what it cost
	// spending is nil when the tenant has no budget of samples or bytes.
	spending *spending
}

func withRequest(ctx context.Context, info requestInfo) context.Context {
	return context.WithValue(ctx, requestKey{}, info)
}

var errNoTenant = errors.New("the request has lost its tenant")

func tenantOf(ctx context.Context) (tenant.ID, error) {
	info, ok := ctx.Value(requestKey{}).(requestInfo)
	if !ok {
		return "", errNoTenant
	}
	return info.tenant, nil
}

// wantsStats reports whether samples must be counted one by one.
func wantsStats(ctx context.Context) bool {
	info, _ := ctx.Value(requestKey{}).(requestInfo)
	return info.stats
}

// sharedQueryable finds the tenant when a querier is first asked.
type sharedQueryable struct{ source Source }

// Querier implements storage.Queryable.
func (s sharedQueryable) Querier(mint, maxt int64) (storage.Querier, error) {
	return &sharedQuerier{lazy: lazy[storage.Querier]{open: func(id tenant.ID) (storage.Querier, error) {
		return s.source.Queryable(id).Querier(mint, maxt)
	}}}, nil
}

// ChunkQuerier implements storage.ChunkQueryable.
func (s sharedQueryable) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	return &sharedChunkQuerier{lazy: lazy[storage.ChunkQuerier]{open: func(id tenant.ID) (storage.ChunkQuerier, error) {
		return s.source.Queryable(id).ChunkQuerier(mint, maxt)
	}}}, nil
}

// lazy opens a querier once.
type lazy[Q storage.LabelQuerier] struct {
	open func(tenant.ID) (Q, error)
	mu   sync.Mutex
	done bool // guarded by mu, as q and err
	q    Q
	err  error
}

func (l *lazy[Q]) get(ctx context.Context) (Q, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.done {
		l.done = true
		var id tenant.ID
		if id, l.err = tenantOf(ctx); l.err == nil {
			l.q, l.err = l.open(id)
		}
	}
	return l.q, l.err
}

// LabelValues implements storage.LabelQuerier.
func (l *lazy[Q]) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	q, err := l.get(ctx)
	if err != nil {
		return nil, nil, err
	}
	return q.LabelValues(ctx, name, hints, ms...)
}

// LabelNames implements storage.LabelQuerier.
func (l *lazy[Q]) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	q, err := l.get(ctx)
	if err != nil {
		return nil, nil, err
	}
	return q.LabelNames(ctx, hints, ms...)
}

// Close implements storage.LabelQuerier.
func (l *lazy[Q]) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.done || l.err != nil {
		return nil
	}
	return l.q.Close()
}

type sharedQuerier struct{ lazy[storage.Querier] }

// Select implements storage.Querier.
func (s *sharedQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	q, err := s.get(ctx)
	if err != nil {
		return storage.ErrSeriesSet(err)
	}
	return meter(ctx, q.Select(ctx, sorted, hints, ms...))
}

type sharedChunkQuerier struct{ lazy[storage.ChunkQuerier] }

// Select implements storage.ChunkQuerier.
func (s *sharedChunkQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.ChunkSeriesSet {
	q, err := s.get(ctx)
	if err != nil {
		return storage.ErrChunkSeriesSet(err)
	}
	return q.Select(ctx, sorted, hints, ms...)
}
