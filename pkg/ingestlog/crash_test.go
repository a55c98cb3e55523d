package ingestlog

import (
	"encoding/binary"
	"flag"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
	"braid/pkg/model"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew")

func putCRC(segmentHeader []byte) {
	binary.LittleEndian.PutUint32(segmentHeader[28:], crc32.Checksum(segmentHeader[:28], castagnoli))
}

// TestPowerLossKeepsEveryAcknowledgedRequest appends from several goroutines
// while power is lost again and again at random operations. What was
// acknowledged must be replayed, once, in order, as it was; no position may
// ever be given out twice.
func TestPowerLossKeepsEveryAcknowledgedRequest(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 15 {
		disk := vfs.NewCrashable()
		// written are all payloads by position; given and acked those that were
		// given out and acknowledged while the power was still on.
		acked, given, written := map[model.Position]string{}, map[model.Position]bool{}, map[model.Position]string{}
		trimmed := model.Position(0)
		for life := range 6 {
			var mu sync.Mutex
			var after *vfs.Crashable
			countdown := 3 + rng.IntN(120)
			crashRNG := rand.New(rand.NewPCG(seed, rng.Uint64()))
			fsys := vfs.WithFaults(disk, func(op vfs.Op) error {
				mu.Lock()
				defer mu.Unlock()
				if countdown--; countdown == 0 {
					after = disk.CrashClone(crashRNG)
				}
				return nil
			})
			l := open(t, fsys, func(o *Options) { o.SegmentBytes = 300 })
			replayed := map[model.Position]string{}
			have, stats := replay(t, l, 0)
			require.True(t, slices.IsSortedFunc(have, func(a, b got) int { return int(a.pos) - int(b.pos) }))
			for _, g := range have {
				require.NotContains(t, replayed, g.pos)
				replayed[g.pos] = g.payload
				require.Equal(t, written[g.pos], g.payload)
			}
			for pos, text := range acked {
				if pos >= trimmed {
					require.Equal(t, text, replayed[pos], "life %d, position %d is lost: %v", life, pos, stats.Damage)
				}
			}
			var wg sync.WaitGroup
			for g := range 3 {
				wg.Go(func() {
					for i := range 15 {
						text := fmt.Sprint(life, g, i, strings.Repeat("x", i*7))
						ticket, err := l.Append(ctx, rec(text))
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						written[ticket.Position()] = text
						if after == nil {
							if given[ticket.Position()] {
								t.Errorf("position %d is given out twice", ticket.Position())
							}
							given[ticket.Position()] = true
						}
						mu.Unlock()
						if err := ticket.Wait(ctx); err != nil {
							t.Error(err)
						}
						mu.Lock()
						if after == nil { // the power was still on when we knew
							acked[ticket.Position()] = text
						}
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			mu.Lock()
			on := after == nil
			mu.Unlock()
			if on && life%2 == 1 {
				trimmed = l.Stats().Durable - 20
				require.NoError(t, l.TrimBefore(trimmed))
			}
			require.NoError(t, l.Close())
			if after == nil {
				after = disk.CrashClone(crashRNG)
			}
			disk = after
		}
	}
}

// sample writes a small log of one segment and returns the segment's bytes.
func sample(t testing.TB, payloads ...string) (name string, data []byte) {
	fsys := vfs.NewCrashable()
	l := open(t, fsys)
	for _, p := range payloads {
		appendOne(t, l, p)
	}
	require.NoError(t, l.Close())
	name = filepath.Join(dir, segmentName(1))
	data, err := fsys.ReadFile(name)
	require.NoError(t, err)
	return name, data
}

// with opens a log over a segment of given bytes.
func with(t testing.TB, name string, data []byte) *Log {
	fsys := vfs.NewCrashable()
	require.NoError(t, fsys.MkdirAll(dir))
	f, err := fsys.Create(name)
	require.NoError(t, err)
	_, err = f.Write(data)
	require.NoError(t, err)
	return open(t, fsys)
}

var five = []string{"one", "two, a longer one", "", "four", "five five"}

func TestCutAtAnyByteLosesOnlyTheTornRecord(t *testing.T) {
	name, data := sample(t, five...)
	ends := []int{segmentHeader}
	for _, p := range five {
		ends = append(ends, ends[len(ends)-1]+int(rec(p).size()))
	}
	require.Equal(t, len(data), ends[5])
	for cut := range data {
		l := with(t, name, data[:cut])
		have, stats := replay(t, l, 0)
		whole := 0
		for whole < 5 && ends[whole+1] <= cut {
			whole++
		}
		require.Len(t, have, whole, "cut at %d", cut)
		if cut > segmentHeader && !slices.Contains(ends, cut) {
			require.Len(t, stats.Damage, 1)
			require.EqualValues(t, ends[whole], stats.Damage[0].Offset)
			require.Contains(t, stats.Damage[0].String(), name)
		}
		require.Greater(t, appendOne(t, l, "next"), model.Position(5))
		require.NoError(t, l.Close())
	}
}

func TestEveryFlippedByteCostsAtMostItsRecord(t *testing.T) {
	name, data := sample(t, five...)
	for i := range data {
		bad := slices.Clone(data)
		bad[i] ^= byte(1 << (i % 8))
		l := with(t, name, bad)
		have, stats := replay(t, l, 0)
		if i < segmentHeader {
			require.Len(t, have, 5, "the header is not needed to read")
		} else {
			require.Len(t, have, 4, "flip at %d", i)
		}
		require.Len(t, stats.Damage, 1, "flip at %d", i)
		require.EqualValues(t, 1, l.Stats().Damaged)
		for _, g := range have {
			require.Equal(t, five[g.pos-1], g.payload)
		}
		require.NoError(t, l.Close())
	}
}

func TestZeroedPagesAreSkipped(t *testing.T) {
	var payloads []string
	for i := range 3000 {
		payloads = append(payloads, fmt.Sprint("payload number ", i, strings.Repeat(" ", i%300)))
	}
	fsys := vfs.NewCrashable()
	l := open(t, fsys)
	for i := 0; i < len(payloads); i += 100 {
		var tickets []*Ticket
		for _, p := range payloads[i : i+100] {
			ticket, err := l.Append(ctx, rec(p))
			require.NoError(t, err)
			tickets = append(tickets, ticket)
		}
		for _, ticket := range tickets {
			require.NoError(t, ticket.Wait(ctx))
		}
	}
	require.NoError(t, l.Close())
	name := filepath.Join(dir, segmentName(1))
	data, err := fsys.ReadFile(name)
	require.NoError(t, err)
	for _, page := range []int{0, 1, 17, 18, 60} {
		clear(data[page*4096 : (page+1)*4096])
	}
	l = with(t, name, data)
	defer l.Close()
	have, stats := replay(t, l, 0)
	require.Len(t, stats.Damage, 3, "%v", stats.Damage)
	require.Greater(t, len(have), 3000-150)
	require.Less(t, len(have), 3000)
	for _, g := range have {
		require.Equal(t, payloads[g.pos-1], g.payload)
	}
}

// TestRecordInsideAPayloadIsNotTakenForOne sends the bytes of a log as a
// payload and damages the record around them.
func TestRecordInsideAPayloadIsNotTakenForOne(t *testing.T) {
	_, inner := sample(t, "forged 1", "forged 2", "forged 3", "forged 4")
	name, data := sample(t, "first", string(inner), "last")
	data[segmentHeader+int(rec("first").size())+9] ^= 1
	l := with(t, name, data)
	defer l.Close()
	have, _ := replay(t, l, 0)
	require.Equal(t, []got{{1, "first"}, {3, "last"}}, have)
}

// fault runs requests against a disk that fails from some point on.
func TestFailingDiskIsSaidAndSurvived(t *testing.T) {
	for name, kind := range map[string]struct {
		op  string
		err error
	}{
		"disk full":          {"write", syscall.ENOSPC},
		"disk full half way": {"write", &vfs.PartialWrite{N: 60, Err: syscall.ENOSPC}},
		"write EIO":          {"write", syscall.EIO},
		"sync EIO":           {"sync", syscall.EIO},
		"read-only remount":  {"all", syscall.EROFS},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := vfs.NewCrashable()
				var mu sync.Mutex
				broken, syncs := false, map[string]int{}
				fsys := vfs.WithFaults(disk, func(op vfs.Op) error {
					mu.Lock()
					defer mu.Unlock()
					if !broken {
						return nil
					}
					if op.Kind == "sync" {
						syncs[op.Path]++
					}
					if op.Kind == kind.op || kind.op == "all" && op.Kind != "open" && op.Kind != "read" && op.Kind != "stat" {
						return kind.err
					}
					return nil
				})
				l := open(t, fsys, func(o *Options) { o.ReserveBytes = 100 })
				pos := appendOne(t, l, "before")
				mu.Lock()
				broken = true
				mu.Unlock()
				bad, err := l.Append(ctx, rec("lost"))
				require.NoError(t, err)
				var over *model.OverloadError
				require.ErrorAs(t, bad.Wait(ctx), &over)
				require.Positive(t, over.RetryAfter)
				_, err = l.Append(ctx, rec("refused"))
				require.ErrorAs(t, err, &over)
				require.Error(t, l.Stats().ReadOnly)
				require.Zero(t, l.Stats().QueuedBytes)
				have, _ := replay(t, l, 0)
				require.Equal(t, []got{{pos, "before"}}, have, "reading goes on")
				if strings.HasPrefix(name, "disk full") {
					_, err := disk.Stat(filepath.Join(dir, reserveName))
					require.Error(t, err, "the reserve is given back")
				}
				time.Sleep(30 * time.Second)
				mu.Lock()
				require.LessOrEqual(t, syncs[filepath.Join(dir, segmentName(1))], 1, "a failed sync is not tried again")
				broken = false
				mu.Unlock()
				time.Sleep(maxProbe)
				require.NoError(t, l.Stats().ReadOnly)
				again := appendOne(t, l, "after")
				require.Greater(t, again, bad.Position())
				have, _ = replay(t, l, 0)
				require.Equal(t, []got{{pos, "before"}, {again, "after"}}, have)
				require.NoError(t, l.Close())
				l = open(t, disk.CrashClone(nil))
				have, _ = replay(t, l, 0)
				require.Equal(t, []got{{pos, "before"}, {again, "after"}}, have)
				require.NoError(t, l.Close())
			})
		})
	}
}

func TestOpenOnAFullDiskServesReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewCrashable()
		l := open(t, disk)
		appendOne(t, l, "before")
		require.NoError(t, l.Close())
		var mu sync.Mutex
		full := true
		l = open(t, vfs.WithFaults(disk, func(op vfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if full && op.Kind == "write" {
				return syscall.ENOSPC
			}
			return nil
		}))
		have, _ := replay(t, l, 0)
		require.Len(t, have, 1)
		_, err := l.Append(ctx, rec("x"))
		require.ErrorAs(t, err, new(*model.OverloadError))
		mu.Lock()
		full = false
		mu.Unlock()
		time.Sleep(maxProbe)
		appendOne(t, l, "x")
		require.NoError(t, l.Close())
	})
}

// TestSideEffects holds the order of what is done to the disk.
func TestSideEffects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var out strings.Builder
		fsys := vfs.WithFaults(vfs.NewCrashable(), func(op vfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			switch op.Kind {
			case "create", "write", "sync", "syncdir", "rename", "remove", "mkdir", "lock", "close", "truncate":
				fmt.Fprintln(&out, op)
			}
			return nil
		})
		say := func(s string) { mu.Lock(); fmt.Fprintln(&out, "#", s); mu.Unlock() }
		say("open")
		l := open(t, fsys, func(o *Options) { o.SegmentBytes, o.ReserveBytes = 100, 10 })
		say("append")
		appendOne(t, l, "one")
		say("append into a new segment")
		appendOne(t, l, "two")
		say("trim")
		require.NoError(t, l.TrimBefore(2))
		say("trim all")
		require.NoError(t, l.TrimBefore(3))
		synctest.Wait()
		require.NoError(t, l.TrimBefore(3))
		say("close")
		require.NoError(t, l.Close())
		say("open again")
		l = open(t, fsys, func(o *Options) { o.ReserveBytes = 10 })
		require.NoError(t, l.Close())
		const path = "testdata/side_effects.txt"
		if *rewrite {
			require.NoError(t, os.WriteFile(path, []byte(out.String()), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), out.String())
	})
}

func TestSegmentOfVersion1StaysReadable(t *testing.T) {
	const path = "testdata/v1.log"
	if *rewrite {
		_, data := sample(t, five...)
		require.NoError(t, os.WriteFile(path, data, 0o644))
	}
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	l := with(t, filepath.Join(dir, segmentName(1)), data)
	defer l.Close()
	have, stats := replay(t, l, 0)
	require.Empty(t, stats.Damage)
	require.Len(t, have, 5)
}

func FuzzSegment(f *testing.F) {
	_, data := sample(f, five...)
	f.Add(data)
	f.Add(data[40:])
	f.Add([]byte(strings.Repeat(recordMagic, 100)))
	f.Fuzz(func(t *testing.T, data []byte) {
		sc, err := newScanner(strings.NewReader(string(data)), int64(len(data)), func(off, n int64, _ string) {
			if off < 0 || n < 0 || off+n > int64(len(data)) {
				t.Fatalf("damage %d+%d of %d bytes", off, n, len(data))
			}
		})
		if err != nil {
			return
		}
		last := model.Position(0)
		for {
			pos, r, err := sc.next(ctx, 0)
			if err != nil {
				return
			}
			if r == nil || pos <= last {
				t.Fatalf("record %v at %d after %d", r, pos, last)
			}
			last = pos
		}
	})
}
