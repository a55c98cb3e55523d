package ingestlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"braid/internal/vfs"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

const dir = "/log"

func open(t testing.TB, fsys vfs.FS, change ...func(*Options)) *Log {
	o := Options{Dir: dir, FS: fsys, SyncDelay: -1, ReserveBytes: -1}
	for _, c := range change {
		c(&o)
	}
	l, err := Open(o)
	require.NoError(t, err)
	return l
}

func rec(payload string) *Record {
	return &Record{Tenant: "acme", Signal: SignalLogs, Encoding: "application/x-protobuf gzip", Received: time.Unix(1, 2), Payload: []byte(payload)}
}

func appendOne(t testing.TB, l *Log, payload string) model.Position {
	ticket, err := l.Append(ctx, rec(payload))
	require.NoError(t, err)
	require.NoError(t, ticket.Wait(ctx))
	return ticket.Position()
}

type got struct {
	pos     model.Position
	payload string
}

func replay(t testing.TB, l *Log, from model.Position) ([]got, ReplayStats) {
	var out []got
	stats, err := l.Replay(ctx, from, func(pos model.Position, r *Record) error {
		require.Equal(t, rec(string(r.Payload)), r)
		out = append(out, got{pos, string(r.Payload)})
		return nil
	})
	require.NoError(t, err)
	require.EqualValues(t, len(out), stats.Records)
	return out, stats
}

func TestAppendedIsReplayedInOrder(t *testing.T) {
	for name, size := range map[string]int64{"one segment": 0, "a segment a record": 1} {
		t.Run(name, func(t *testing.T) {
			fsys := vfs.NewCrashable()
			set := func(o *Options) { o.SegmentBytes = size }
			l := open(t, fsys, set)
			var want []got
			for i := range 20 {
				text := fmt.Sprint("payload ", i)
				want = append(want, got{appendOne(t, l, text), text})
			}
			require.EqualValues(t, 1, want[0].pos)
			require.EqualValues(t, 20, want[19].pos)
			have, _ := replay(t, l, 0)
			require.Equal(t, want, have)
			require.NoError(t, l.Close())
			require.ErrorIs(t, l.Close(), ErrClosed)
			_, err := l.Append(ctx, rec(""))
			require.ErrorIs(t, err, ErrClosed)

			l = open(t, fsys, set)
			defer l.Close()
			have, stats := replay(t, l, 0)
			require.Equal(t, want, have)
			require.EqualValues(t, 1, stats.First)
			require.EqualValues(t, 20, stats.Last)
			have, _ = replay(t, l, 15)
			require.Equal(t, want[14:], have)
		})
	}
}

func TestLargeAndEmptyPayloads(t *testing.T) {
	fsys := vfs.NewCrashable()
	l := open(t, fsys, func(o *Options) { o.MaxPayloadBytes = 2 * mib })
	defer l.Close()
	for _, n := range []int{0, 1, writeBytes/2 - 60, writeBytes / 2, writeBytes, writeBytes + 1, 2 * mib} {
		appendOne(t, l, string(make([]byte, n)))
	}
	have, stats := replay(t, l, 0)
	require.Len(t, have, 7)
	require.Empty(t, stats.Damage)
	_, err := l.Append(ctx, rec(string(make([]byte, 2*mib+1))))
	require.ErrorIs(t, err, model.ErrInvalid)
	for _, bad := range []*Record{{}, {Tenant: "x", Encoding: string(make([]byte, 256))}} {
		_, err = l.Append(ctx, bad)
		require.ErrorIs(t, err, model.ErrInvalid)
	}
}

func TestPositionsNeverComeAgain(t *testing.T) {
	fsys := vfs.NewCrashable()
	var last model.Position
	for round := range 12 {
		l := open(t, fsys)
		for range round % 3 {
			p := appendOne(t, l, "x")
			require.Greater(t, p, last)
			last = p
		}
		if round%2 == 0 {
			require.NoError(t, l.TrimBefore(l.Stats().Next))
		}
		require.NoError(t, l.Close())
		require.LessOrEqual(t, l.Stats().Segments, 13)
	}
	l := open(t, fsys, func(o *Options) { o.After = 1 << 50 })
	require.Equal(t, model.Position(1<<50+1), appendOne(t, l, "x"))
	require.NoError(t, l.Close())
	l = open(t, fsys)
	require.Greater(t, appendOne(t, l, "x"), model.Position(1<<50+1))
	require.NoError(t, l.Close())
}

func TestStartsWithoutTrafficDoNotGrowTheFolder(t *testing.T) {
	fsys := vfs.NewCrashable()
	for range 5 {
		require.NoError(t, open(t, fsys).Close())
	}
	entries, err := fsys.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2) // the lock and one segment
}

func TestTrimRemovesWholeSegmentsOnly(t *testing.T) {
	fsys := vfs.NewCrashable()
	synctest.Test(t, func(t *testing.T) {
		l := open(t, fsys, func(o *Options) { o.SegmentBytes = 1 })
		defer l.Close()
		for range 10 {
			appendOne(t, l, "x")
		}
		require.Equal(t, 10, l.Stats().Segments)
		require.NoError(t, l.TrimBefore(4))
		have, _ := replay(t, l, 0)
		require.EqualValues(t, 4, have[0].pos)
		require.NoError(t, l.TrimBefore(1))
		require.Equal(t, 7, l.Stats().Segments)
		require.NoError(t, l.TrimBefore(11))
		synctest.Wait() // the writer begins a new segment
		require.NoError(t, l.TrimBefore(11))
		require.Equal(t, 1, l.Stats().Segments)
		have, _ = replay(t, l, 0)
		require.Empty(t, have)
		require.EqualValues(t, 11, appendOne(t, l, "x"))
	})
}

func TestSecondProcessIsRefused(t *testing.T) {
	d := t.TempDir()
	l, err := Open(Options{Dir: d, ReserveBytes: 1000})
	require.NoError(t, err)
	_, err = Open(Options{Dir: d})
	require.ErrorContains(t, err, fmt.Sprintf("another process holds it (pid %d)", os.Getpid()))
	require.NoError(t, l.Close())
	l, err = Open(Options{Dir: d, ReserveBytes: 1000})
	require.NoError(t, err)
	appendOne(t, l, "x")
	require.NoError(t, l.Close())
	info, err := os.Stat(filepath.Join(d, "reserve"))
	require.NoError(t, err)
	require.EqualValues(t, 1000, info.Size())
}

func TestNewerVersionIsRefused(t *testing.T) {
	fsys := vfs.NewCrashable()
	require.NoError(t, open(t, fsys).Close())
	h := encodeSegmentHeader(5, 7)
	h[8] = formatVersion + 1
	putCRC(h)
	f, err := fsys.Create(filepath.Join(dir, segmentName(5)))
	require.NoError(t, err)
	_, err = f.Write(h)
	require.NoError(t, err)
	_, err = Open(Options{Dir: dir, FS: fsys})
	require.ErrorIs(t, err, ErrVersion)
}

func TestManyAtOnceShareSyncs(t *testing.T) {
	l, err := Open(Options{Dir: t.TempDir(), ReserveBytes: -1, SegmentBytes: 20_000, Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	var mu sync.Mutex
	want := map[model.Position]string{}
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 50 {
				text := fmt.Sprint(g, " ", i)
				pos := appendOne(t, l, text)
				mu.Lock()
				want[pos] = text
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	stats := l.Stats()
	require.EqualValues(t, 800, stats.Records)
	require.Less(t, stats.Syncs, int64(400))
	require.Zero(t, stats.QueuedBytes)
	have, _ := replay(t, l, 0)
	require.Len(t, have, 800)
	for _, g := range have {
		require.Equal(t, want[g.pos], g.payload)
	}
	require.NoError(t, l.Close())
}

func TestSyncDelayGathersOnlyUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, vfs.NewCrashable(), func(o *Options) { o.SyncDelay = 50 * time.Millisecond })
		time.Sleep(time.Second)
		start := time.Now()
		appendOne(t, l, "idle: at once")
		require.Zero(t, time.Since(start))
		for range 10 {
			appendOne(t, l, "busy: one a delay")
		}
		require.Equal(t, 500*time.Millisecond, time.Since(start))
		ticket, err := l.Append(ctx, rec("full: at once"))
		require.NoError(t, err)
		big, err := l.Append(ctx, rec(string(make([]byte, gatherBytes))))
		require.NoError(t, err)
		require.NoError(t, ticket.Wait(ctx))
		require.NoError(t, big.Wait(ctx))
		require.Equal(t, 500*time.Millisecond, time.Since(start))
		last, err := l.Append(ctx, rec("closing: at once"))
		require.NoError(t, err)
		require.NoError(t, l.Close())
		require.NoError(t, last.Wait(ctx))
		require.Equal(t, 500*time.Millisecond, time.Since(start))
	})
}

func TestQueueIsBoundedAndGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, vfs.NewCrashable(), func(o *Options) { o.SyncDelay, o.MaxQueueBytes = time.Hour, 1000 })
		defer l.Close()
		appendOne(t, l, "x")
		synctest.Wait()
		first, err := l.Append(ctx, rec(string(make([]byte, 700))))
		require.NoError(t, err)
		_, err = l.Append(ctx, rec(string(make([]byte, 700))))
		var over *model.OverloadError
		require.True(t, errors.As(err, &over))
		require.Positive(t, over.RetryAfter)
		gone, cancel := context.WithCancel(ctx)
		cancel()
		require.ErrorIs(t, first.Wait(gone), context.Canceled)
		require.Zero(t, l.Stats().QueuedBytes, "a withdrawn request frees its room")
		second, err := l.Append(ctx, rec("y"))
		require.NoError(t, err)
		require.NoError(t, second.Wait(ctx))
		have, _ := replay(t, l, 0)
		require.Equal(t, []got{{1, "x"}, {3, "y"}}, have)
	})
}

func TestFullLogRefusesUntilTrimmed(t *testing.T) {
	l := open(t, vfs.NewCrashable(), func(o *Options) { o.MaxBytes, o.SegmentBytes = 600, 100 })
	defer l.Close()
	var err error
	n := 0
	for ; err == nil; n++ {
		var ticket *Ticket
		if ticket, err = l.Append(ctx, rec("0123456789")); err == nil {
			require.NoError(t, ticket.Wait(ctx))
		}
	}
	require.ErrorAs(t, err, new(*model.OverloadError))
	require.NoError(t, l.TrimBefore(model.Position(n)))
	appendOne(t, l, "room again")
}

func TestReplayStopsOnErrorAndCancel(t *testing.T) {
	l := open(t, vfs.NewCrashable())
	defer l.Close()
	for range 3 {
		appendOne(t, l, "x")
	}
	boom := errors.New("boom")
	n := 0
	_, err := l.Replay(ctx, 0, func(model.Position, *Record) error { n++; return boom })
	require.ErrorIs(t, err, boom)
	require.Equal(t, 1, n)
	gone, cancel := context.WithCancel(ctx)
	_, err = l.Replay(gone, 0, func(model.Position, *Record) error { cancel(); return nil })
	require.ErrorIs(t, err, context.Canceled)
}

func TestRecordKeepsWhatItIsGiven(t *testing.T) {
	l := open(t, vfs.NewCrashable())
	defer l.Close()
	want := &Record{Tenant: tenant.Default, Signal: 200, Encoding: "", Received: time.Unix(0, -5), Payload: []byte{}}
	ticket, err := l.Append(ctx, want)
	require.NoError(t, err)
	require.NoError(t, ticket.Wait(ctx))
	_, err = l.Replay(ctx, 0, func(_ model.Position, r *Record) error { require.Equal(t, want, r); return nil })
	require.NoError(t, err)
}

// TestStalledDiskBoundsTheQueue holds a sync for 30 seconds: senders are told
// to come back, those who give up get their payload back, nothing is lost.
func TestStalledDiskBoundsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stall atomic.Bool
		l := open(t, vfs.WithFaults(vfs.NewCrashable(), func(op vfs.Op) error {
			if op.Kind == "sync" && stall.Load() {
				time.Sleep(30 * time.Second)
			}
			return nil
		}), func(o *Options) { o.MaxQueueBytes = 5000 })
		defer l.Close()
		stall.Store(true)
		start := time.Now()
		var tickets []*Ticket
		var refused error
		for refused == nil {
			ticket, err := l.Append(ctx, rec(string(make([]byte, 400))))
			if refused = err; err == nil {
				tickets = append(tickets, ticket)
			}
			synctest.Wait()
		}
		require.ErrorAs(t, refused, new(*model.OverloadError))
		require.LessOrEqual(t, l.Stats().QueuedBytes, int64(5000))
		require.Zero(t, time.Since(start), "a refusal does not wait")
		impatient, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		require.ErrorIs(t, tickets[0].Wait(impatient), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		for _, ticket := range tickets {
			require.NoError(t, ticket.Wait(ctx))
		}
		stall.Store(false)
		have, _ := replay(t, l, 0)
		require.Len(t, have, len(tickets))
	})
}
