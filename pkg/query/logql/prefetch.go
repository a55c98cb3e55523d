package logql

import (
	"context"
	"fmt"
	"iter"

	"braid/pkg/model"
)

// prefetchBatches is how far the source may be ahead of the evaluation.
const prefetchBatches = 2

// fetched is one step of a sequence.
type fetched struct {
	rows []model.LogRow
	err  error
}

// prefetch runs a sequence on a goroutine of its own, so that the source reads
// on while its rows are looked at. The goroutine has ended when the sequence
// has, however that comes about.
func prefetch(ctx context.Context, open func(context.Context) iter.Seq2[[]model.LogRow, error]) iter.Seq2[[]model.LogRow, error] {
	return func(yield func([]model.LogRow, error) bool) {
		inner, cancel := context.WithCancel(ctx)
		ch := make(chan fetched, prefetchBatches)
		go func() {
			defer close(ch)
			defer func() {
				// A fault in a source fails one query, as it would on the query's
				// own goroutine, where the server catches it.
				if r := recover(); r != nil {
					ch <- fetched{err: fmt.Errorf("the source failed: %v", r)}
				}
			}()
			for rows, err := range open(inner) {
				select {
				case ch <- fetched{rows, err}:
				case <-inner.Done():
					return
				}
			}
		}()
		defer func() {
			cancel()
			for range ch { // until the goroutine has ended
			}
		}()
		for f := range ch {
			if !yield(f.rows, f.err) {
				return
			}
		}
		if ctx.Err() != nil {
			yield(nil, context.Cause(ctx))
		}
	}
}
