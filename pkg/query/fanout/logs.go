package fanout

import (
	"context"
	"iter"
	"sync"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/query"
)

// Logs asks several log sources.
type Logs struct {
	Parts []Part[query.LogSource]
}

var _ query.LogSource = (*Logs)(nil)

// mergeBatch is how many rows are yielded at once.
const mergeBatch = 512

// SelectLogs merges the parts' sequences. Rows with equal times come in the
// order of the parts (reversed when newest first), then as each part has them.
func (l *Logs) SelectLogs(ctx context.Context, q *predicate.LogQuery) iter.Seq2[[]model.LogRow, error] {
	return func(yield func([]model.LogRow, error) bool) {
		asker := ctx
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		cursors := make([]*logCursor, len(l.Parts))
		for i, p := range l.Parts {
			rank := i
			if q.Order == predicate.NewestFirst {
				rank = len(l.Parts) - i
			}
			cursors[i] = &logCursor{ch: prefetch(ctx, &wg, p.Source.SelectLogs(ctx, q)), rank: rank}
		}
		errs := make([]error, len(cursors))
		var batch []model.LogRow
		for left := q.Limit; q.Limit == 0 || left > 0; left-- {
			best := -1
			for i, c := range cursors {
				if !c.fill() {
					errs[i] = c.err
					continue
				}
				if best < 0 || c.before(cursors[best], q.Order) {
					best = i
				}
			}
			if best < 0 {
				break
			}
			batch = append(batch, cursors[best].take())
			if len(batch) == mergeBatch {
				if !yield(batch, nil) {
					return
				}
				batch = nil
			}
		}
		if len(batch) > 0 && !yield(batch, nil) {
			return
		}
		err := settle(ctx, l.Parts, errs, q.Stats)
		if asker.Err() != nil { // parts end without a word when nobody listens
			err = context.Cause(asker)
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

type logCursor struct {
	ch   <-chan prefetched[[]model.LogRow]
	rows []model.LogRow
	err  error
	done bool
	rank int
}

// fill makes sure that a row is at hand; false at the end or after an error.
func (c *logCursor) fill() bool {
	for len(c.rows) == 0 && !c.done {
		p, ok := <-c.ch
		if !ok || p.err != nil {
			c.done, c.err = true, p.err
			break
		}
		c.rows = p.value
	}
	return len(c.rows) > 0
}

func (c *logCursor) take() model.LogRow {
	r := c.rows[0]
	c.rows = c.rows[1:]
	return r
}

func (c *logCursor) before(o *logCursor, order predicate.Order) bool {
	a, b := c.rows[0].Time, o.rows[0].Time
	if a != b {
		return (a > b) == (order == predicate.NewestFirst)
	}
	return c.rank < o.rank
}

// AggregateLogs adds the parts' partial results.
func (l *Logs) AggregateLogs(ctx context.Context, q *predicate.Aggregation) (*model.Aggregate, error) {
	parts, err := gather(ctx, l.Parts, q.Stats, func(ctx context.Context, s query.LogSource) (*model.Aggregate, error) {
		return s.AggregateLogs(ctx, q)
	})
	if err != nil {
		return nil, err
	}
	return mergeAggregates(parts), nil
}

// LogFields adds the parts' counts.
func (l *Logs) LogFields(ctx context.Context, q *predicate.FieldQuery) ([]predicate.FieldInfo, error) {
	parts, err := gather(ctx, l.Parts, q.Stats, func(ctx context.Context, s query.LogSource) ([]predicate.FieldInfo, error) {
		return s.LogFields(ctx, q)
	})
	if err != nil {
		return nil, err
	}
	return mergeFields(parts, q.Limit), nil
}
