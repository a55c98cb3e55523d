package fanout

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"braid/pkg/model"
)

// Part is one source with the name under which warnings speak of it.
type Part[S any] struct {
	Name   string
	Source S
}

// gather asks every part at once and collects what they answer, in the order
// of the parts. A failing part becomes a warning unless all fail.
func gather[S, R any](ctx context.Context, parts []Part[S], stats *model.QueryStats, ask func(context.Context, S) (R, error)) ([]R, error) {
	answers := make([]R, len(parts))
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, p := range parts {
		wg.Add(1)
		go func() {
			defer wg.Done()
			answers[i], errs[i] = ask(ctx, p.Source)
		}()
	}
	wg.Wait()
	var out []R
	for i := range parts {
		if errs[i] == nil {
			out = append(out, answers[i])
		}
	}
	return out, settle(ctx, parts, errs, stats)
}

// settle decides what the errors of the parts mean: nothing, warnings, or the
// failure of the question.
func settle[S any](ctx context.Context, parts []Part[S], errs []error, stats *model.QueryStats) error {
	failed := 0
	for i, err := range errs {
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		// What is the caller's fault is so for every part.
		if errors.Is(err, model.ErrInvalid) || errors.Is(err, model.ErrTooMuch) {
			return err
		}
		failed++
		stats.Warn("%s did not answer, the result is not whole: %v", parts[i].Name, err)
	}
	if failed > 0 && failed == len(parts) {
		return fmt.Errorf("cannot ask any of %d sources: %w", len(parts), errors.Join(errs...))
	}
	return nil
}

// prefetched is one batch of a sequence, or its error.
type prefetched[T any] struct {
	value T
	err   error
}

// prefetch runs a sequence ahead of its consumer by a batch, so that parts
// work at the same time. The channel is closed at the end; cancelling ctx ends
// the goroutine.
func prefetch[T any](ctx context.Context, wg *sync.WaitGroup, seq iter.Seq2[T, error]) <-chan prefetched[T] {
	ch := make(chan prefetched[T], 1)
	wg.Add(1)
	go func() {
		defer wg.Done()
		defer close(ch)
		for v, err := range seq {
			select {
			case ch <- prefetched[T]{v, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return ch
}
