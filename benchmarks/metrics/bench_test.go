package metrics

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/otlp"
	"braid/pkg/tenant"
	"braid/pkg/tsdb"
)

const (
	interval = 15 * time.Second
	fleet    = 170
)

var epoch = time.Unix(1_700_000_000, 0)

// server is the way in without the network: gunzip, decode, append.
type server struct {
	store *tsdb.Store
	now   time.Time
	zr    *gzip.Reader
	body  bytes.Buffer
	pos   model.Position
}

func newServer(b testing.TB, labels ...string) *server {
	s := &server{now: epoch}
	var err error
	s.store, err = tsdb.Open(tsdb.Options{Dir: b.TempDir(), Now: func() time.Time { return s.now }, ResourceLabels: labels})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.store.Close()) })
	return s
}

func (s *server) take(b testing.TB, payload []byte) {
	if s.zr == nil {
		s.zr = new(gzip.Reader)
	}
	require.NoError(b, s.zr.Reset(bytes.NewReader(payload)))
	s.body.Reset()
	_, err := io.Copy(&s.body, s.zr)
	require.NoError(b, err)
	buf := otlp.Get()
	defer otlp.Put(buf)
	m, rej, err := otlp.DecodeMetrics(s.body.Bytes(), otlp.Protobuf, buf)
	require.NoError(b, err)
	require.Zero(b, rej.Count)
	s.pos++
	rej, err = s.store.AppendMetrics(context.Background(), tenant.Default, s.pos, m)
	require.NoError(b, err)
	require.Zero(b, rej.Count, rej.Message())
}

// exports makes the gzipped exports of a fleet at a time.
func exports(b testing.TB, f *Fleet, n int, at time.Time) [][]byte {
	out := make([][]byte, n)
	var z bytes.Buffer
	zw, err := gzip.NewWriterLevel(&z, gzip.BestSpeed)
	require.NoError(b, err)
	for i := range out {
		raw, err := f.Export(i, at)
		require.NoError(b, err)
		z.Reset()
		zw.Reset(&z)
		_, err = zw.Write(raw)
		require.NoError(b, err)
		require.NoError(b, zw.Close())
		out[i] = bytes.Clone(z.Bytes())
	}
	return out
}

// cpu is the CPU time of the process so far.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// run feeds steps exports of the whole fleet and returns the CPU spent taking
// them; making them is not counted.
func (s *server) run(b testing.TB, f *Fleet, n, steps int) (spent time.Duration) {
	for range steps {
		s.now = s.now.Add(interval)
		payloads := exports(b, f, n, s.now)
		runtime.GC()
		before := cpu()
		for _, p := range payloads {
			s.take(b, p)
		}
		spent += cpu() - before
	}
	return spent
}

func perMillion(d time.Duration, samples int) float64 { return d.Seconds() / float64(samples) * 1e6 }

func heapMB() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// BenchmarkSteady: known series, every resource attribute as a label.
func BenchmarkSteady(b *testing.B) {
	for b.Loop() {
		s := newServer(b, "*")
		f := NewFleet(fleet, 1, epoch)
		base := heapMB()
		first := s.run(b, f, fleet, 1)
		const steps = 10
		spent := s.run(b, f, fleet, steps)
		b.ReportMetric(perMillion(first, fleet*SamplesPerInstance), "new-cpu-s/Mseries")
		b.ReportMetric(perMillion(spent, steps*fleet*SamplesPerInstance), "cpu-s/Msample")
		b.ReportMetric(heapMB()-base, "heap-MB")
		b.ReportMetric(float64(fleet*SamplesPerInstance), "series")
	}
}

// diskBytes is the size of the blocks under a folder.
func diskBytes(b testing.TB, dir string) (total int64) {
	require.NoError(b, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		total += info.Size()
		return err
	}))
	return total
}
