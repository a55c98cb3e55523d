package tracestore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
	"braid/pkg/block"
	"braid/pkg/model"
	"braid/pkg/predicate"
)

// collect returns every span of a store, as text.
func collect(t *testing.T, s *Store, stats *model.QueryStats) map[string]int {
	t.Helper()
	out := map[string]int{}
	for m, err := range s.SelectSpans(context.Background(), &predicate.SpanQuery{Tenant: acme, Tree: true, Stats: stats}) {
		require.NoError(t, err)
		for _, x := range canonSpans(m.Spans) {
			out[x]++
		}
	}
	return out
}

// sameSpans is require.Equal that shows the first difference only.
func sameSpans(t *testing.T, want, got map[string]int, when string) {
	t.Helper()
	require.Equal(t, len(want), len(got), when)
	for span, n := range want {
		require.Equal(t, n, got[span], "%s: %s", when, span)
	}
}

// TestPowerLossLosesNothingThatTheLogDoesNotHave cuts the power at random
// moments, flushes and merges among them, replays the requests that the store
// said it would need, and expects every span once.
func TestPowerLossLosesNothingThatTheLogDoesNotHave(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, 500+seed)
			rng := rand.New(rand.NewPCG(seed, 2))
			requests := map[model.Position]*model.Spans{}
			type crash struct {
				fs     *vfs.Crashable
				oldest model.Position
				last   model.Position
			}
			var crashes []crash
			cut := func() {
				c := crash{last: w.pos, oldest: w.pos + 1}
				if p, ok := w.s.OldestNeeded(); ok {
					c.oldest = p
				}
				c.fs = w.o.FS.(*vfs.Crashable).CrashClone(rng)
				crashes = append(crashes, c)
			}
			for range 6 {
				spans, _ := w.m.batch(20)
				w.pos++
				requests[w.pos] = spans
				_, err := w.s.AppendSpans(context.Background(), acme, w.pos, spans)
				require.NoError(t, err)
				cut()
				done := make(chan error, 1)
				merge, flush := rng.IntN(3) == 0, rng.IntN(2) == 0
				go func() {
					var err error
					if flush {
						err = w.s.Flush(context.Background())
					}
					ten := w.s.tenant(acme, true)
					if blocks := ten.blocks(); err == nil && merge && len(blocks) > 1 {
						err = ten.mergeBlocks(context.Background(), blocks)
					}
					done <- err
				}()
				for range 4 {
					cut()
				}
				require.NoError(t, <-done)
				cut()
			}
			want := collect(t, w.s, nil)
			require.NoError(t, w.s.Close())
			for i, c := range crashes {
				s := open(t, Options{FS: c.fs})
				for pos := c.oldest; pos <= w.pos; pos++ {
					_, err := s.AppendSpans(context.Background(), acme, pos, requests[pos])
					require.NoError(t, err)
				}
				stats := &model.QueryStats{}
				sameSpans(t, want, collect(t, s, stats), fmt.Sprintf("crash %d, replayed from %d of %d", i, c.oldest, w.pos))
				require.Empty(t, stats.Warnings())
				require.NoError(t, s.Close())
			}
		})
	}
}

func TestReplayOfAHeldPositionTakesNothing(t *testing.T) {
	w := newWorld(t, 77)
	spans, _ := w.m.batch(10)
	_, err := w.s.AppendSpans(context.Background(), acme, 5, spans)
	require.NoError(t, err)
	oldest, ok := w.s.OldestNeeded()
	require.True(t, ok)
	require.Equal(t, model.Position(5), oldest)
	require.NoError(t, w.s.Flush(context.Background()))
	_, ok = w.s.OldestNeeded()
	require.False(t, ok)
	w.reopen()
	defer func() { require.NoError(t, w.s.Close()) }()
	other, _ := w.m.batch(10)
	_, err = w.s.AppendSpans(context.Background(), acme, 5, other)
	require.NoError(t, err)
	_, ok = w.s.OldestNeeded()
	require.False(t, ok)
	require.Nil(t, w.s.tenant(acme, true).head)
}

// TestFlippedBytesAreFoundAndSetAside flips bytes all over a block. The store
// opens, and answers with all of the block, or without it and says so.
func TestFlippedBytesAreFoundAndSetAside(t *testing.T) {
	w, b, _ := flushed(t, 8, 2600)
	want := collect(t, w.s, nil)
	content := map[string][]byte{}
	for _, name := range []string{fileSpans, fileSidecar, fileIDs, block.MetaName} {
		raw, err := w.o.FS.ReadFile(b.Path(name))
		require.NoError(t, err)
		content[name] = raw
	}
	require.NoError(t, w.s.Close())
	rng := rand.New(rand.NewPCG(8, 8))
	found := 0
	for name, raw := range content {
		for range 12 {
			fsys := vfs.NewCrashable()
			require.NoError(t, fsys.MkdirAll(b.Dir))
			for n, c := range content {
				c = append([]byte(nil), c...)
				if n == name {
					c[rng.IntN(len(c))] ^= byte(1 + rng.IntN(255))
				}
				f, err := fsys.Create(filepath.Join(b.Dir, n))
				require.NoError(t, err)
				_, err = f.Write(c)
				require.NoError(t, err)
				require.NoError(t, f.Close())
			}
			s := open(t, Options{FS: fsys})
			stats := &model.QueryStats{}
			got := collect(t, s, stats)
			aside := s.tenant(acme, false) == nil || len(s.tenant(acme, false).blocks()) == 0
			if aside || len(stats.Warnings()) > 0 {
				found++
				for span := range got {
					require.Positive(t, want[span], span)
				}
			} else {
				sameSpans(t, want, got, fmt.Sprintf("a flipped byte of %q of %d bytes", name, len(raw)))
			}
			for id := range w.m.traces {
				for _, err := range s.Trace(context.Background(), acme, w.m.traces[id], stats) {
					require.NoError(t, err)
				}
			}
			require.NoError(t, s.Maintain(context.Background()))
			require.NoError(t, s.Close())
		}
	}
	require.Greater(t, found, 12)
}

// TestDamagedBlockIsLeftAndTheRestAnswers damages a page of an open block: the
// question that meets it warns, and maintenance sets the block aside.
func TestDamagedBlockIsLeftAndTheRestAnswers(t *testing.T) {
	w, b, raw := flushed(t, 9, 2600)
	good := len(w.rows)
	w.bulk(100, 60)
	require.NoError(t, w.s.Flush(context.Background()))
	side, err := b.sidecar()
	require.NoError(t, err)
	raw[side.chunks[0][side.fixedAt[colStart]].off+20] ^= 0xff
	f, err := w.o.FS.Create(b.Path(fileSpans))
	require.NoError(t, err)
	_, err = f.Write(raw)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	stats := &model.QueryStats{}
	got := len(collect(t, w.s, stats))
	require.GreaterOrEqual(t, got, len(w.rows)-good)
	require.Less(t, got, len(w.rows))
	require.NotEmpty(t, stats.Warnings())
	require.Contains(t, stats.Warnings()[0], string(b.ID))
	require.NoError(t, w.s.Maintain(context.Background()))
	require.Len(t, w.s.tenant(acme, true).blocks(), 1)
	_, err = w.o.FS.Stat(filepath.Join(filepath.Dir(b.Dir), "bad-"+string(b.ID)))
	require.NoError(t, err)
	w.reopen()
	require.Equal(t, len(w.rows)-good, len(collect(t, w.s, nil)))
	require.NoError(t, w.s.Close())
}
