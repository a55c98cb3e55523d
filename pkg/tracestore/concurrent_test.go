package tracestore

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/predicate"
)

// TestEverythingAtOnce appends, flushes, merges and asks from many goroutines.
// A question sees at least the spans whose append had returned before it, each
// once, whatever moves from head to block to merged block meanwhile.
func TestEverythingAtOnce(t *testing.T) {
	w := newWorld(t, 700)
	ctx := context.Background()
	var mu sync.Mutex // guards w.m and seen
	seen := map[string]bool{}
	var writers, others sync.WaitGroup
	stop := make(chan struct{})
	for g := range 3 {
		writers.Go(func() {
			for i := range 12 {
				mu.Lock()
				spans, rows := w.m.batch(25)
				mu.Unlock()
				_, err := w.s.AppendSpans(ctx, acme, model.Position(1000*g+i+1), spans)
				if err != nil {
					continue // overloaded: the flusher is behind
				}
				mu.Lock()
				for _, x := range canonSpans(rows) {
					seen[x] = true
				}
				mu.Unlock()
			}
		})
	}
	others.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := w.s.Flush(ctx); err != nil {
				t.Error(err)
			}
			ten := w.s.tenant(acme, true)
			if blocks := ten.blocks(); n%3 == 2 && len(blocks) > 2 {
				ten.merging.Lock()
				if err := ten.mergeBlocks(ctx, blocks[:3]); err != nil {
					t.Error(err)
				}
				ten.merging.Unlock()
			}
		}
	})
	for range 2 {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				var must []string
				for x := range seen {
					must = append(must, x)
				}
				e := w.m.expr(1)
				mu.Unlock()
				got := collect(t, w.s, nil)
				for _, x := range must {
					if got[x] != 1 {
						t.Errorf("span seen %d times: %s", got[x], x)
						return
					}
				}
				if _, err := w.s.AggregateSpans(ctx, &predicate.Aggregation{Tenant: acme, Filter: e, By: []predicate.Field{predicate.Intrinsic(predicate.Name)}}); err != nil {
					t.Error(err)
				}
				if _, err := w.s.ServiceGraph(ctx, acme, model.TimeRange{}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	others.Wait()
	got := collect(t, w.s, nil)
	require.Equal(t, len(seen), len(got))
	require.NoError(t, w.s.Close())
}
