package rule

import (
	"context"
	"errors"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// fresh makes each selection one of a querier of its own. The rules package
// restores the state of all rules of a group by one querier, a rule after the
// other; a querier over several stores takes no further selection once the first
// has been read.
type fresh struct{ storage.Queryable }

// Querier implements storage.Queryable.
func (f fresh) Querier(mint, maxt int64) (storage.Querier, error) {
	return &freshQuerier{of: f.Queryable, mint: mint, maxt: maxt}, nil
}

type freshQuerier struct {
	of         storage.Queryable
	mint, maxt int64

	mu   sync.Mutex
	open []storage.Querier // guarded by mu
}

func (q *freshQuerier) one() (storage.Querier, error) {
	one, err := q.of.Querier(q.mint, q.maxt)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open = append(q.open, one)
	return one, nil
}

// Select implements storage.Querier.
func (q *freshQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	one, err := q.one()
	if err != nil {
		return storage.ErrSeriesSet(err)
	}
	return one.Select(ctx, sorted, hints, matchers...)
}

// LabelValues implements storage.Querier.
func (q *freshQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	one, err := q.one()
	if err != nil {
		return nil, nil, err
	}
	return one.LabelValues(ctx, name, hints, matchers...)
}

// LabelNames implements storage.Querier.
func (q *freshQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	one, err := q.one()
	if err != nil {
		return nil, nil, err
	}
	return one.LabelNames(ctx, hints, matchers...)
}

// Close implements storage.Querier.
func (q *freshQuerier) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	var errs []error
	for _, one := range q.open {
		errs = append(errs, one.Close())
	}
	q.open = nil
	return errors.Join(errs...)
}
