package ingestlog

import (
	"fmt"
	"sync/atomic"
	"testing"

	"braid/pkg/model"
)

// BenchmarkAppend sends payloads of 32 KiB, a compressed request of some
// thousand records, from so many senders at once.
func BenchmarkAppend(b *testing.B) {
	for _, senders := range []int{1, 8, 64} {
		for _, noSync := range []bool{false, true} {
			b.Run(fmt.Sprintf("senders=%d/nosync=%v", senders, noSync), func(b *testing.B) {
				l, err := Open(Options{Dir: b.TempDir(), ReserveBytes: -1, NoSync: noSync})
				if err != nil {
					b.Fatal(err)
				}
				payload := make([]byte, 32<<10)
				b.SetBytes(int64(len(payload)))
				var left atomic.Int64
				left.Store(int64(b.N))
				done := make(chan error, senders)
				b.ResetTimer()
				for range senders {
					go func() {
						for left.Add(-1) >= 0 {
							t, err := l.Append(ctx, &Record{Tenant: "x", Payload: payload})
							if err == nil {
								err = t.Wait(ctx)
							}
							if err != nil {
								done <- err
								return
							}
						}
						done <- nil
					}()
				}
				for range senders {
					if err := <-done; err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				b.ReportMetric(float64(l.Stats().Syncs)/float64(b.N), "syncs/request")
				_ = l.TrimBefore(l.Stats().Next)
				_ = l.Close()
			})
		}
	}
}

func BenchmarkReplay(b *testing.B) {
	l, err := Open(Options{Dir: b.TempDir(), ReserveBytes: -1, NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	payload := make([]byte, 32<<10)
	var last *Ticket
	for range 1000 {
		if last, err = l.Append(ctx, &Record{Tenant: "x", Payload: payload}); err != nil {
			b.Fatal(err)
		}
	}
	if err := last.Wait(ctx); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(1000 * 32 << 10)
	for b.Loop() {
		if _, err := l.Replay(ctx, 0, func(model.Position, *Record) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
