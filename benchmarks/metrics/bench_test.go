package metrics

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"braid/pkg/api/promapi"
	"braid/pkg/model"
	"braid/pkg/otlp"
	"braid/pkg/tenant"
	"braid/pkg/tsdb"
)

const (
	interval = 15 * time.Second
	fleet    = 170
)

// epoch is the start of a two-hour block.
var epoch = time.Unix(1_700_006_400, 0)

// server is the way in without the network: gunzip, decode, append.
type server struct {
	dir   string
	store *tsdb.Store
	now   time.Time
	zr    *gzip.Reader
	body  bytes.Buffer
	pos   model.Position
}

func newServer(b testing.TB, labels ...string) *server {
	s := &server{now: epoch, dir: b.TempDir()}
	s.open(b, labels...)
	b.Cleanup(func() { require.NoError(b, s.store.Close()) })
	return s
}

func (s *server) open(b testing.TB, labels ...string) {
	var err error
	s.store, err = tsdb.Open(tsdb.Options{Dir: s.dir, Now: func() time.Time { return s.now }, ResourceLabels: labels})
	require.NoError(b, err)
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
	return exportsOf(b, f, 0, n, at)
}

func exportsOf(b testing.TB, f *Fleet, from, to int, at time.Time) [][]byte {
	out := make([][]byte, to-from)
	var z bytes.Buffer
	zw, err := gzip.NewWriterLevel(&z, gzip.BestSpeed)
	require.NoError(b, err)
	for i := range out {
		raw, err := f.Export(from+i, at)
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

// collectEvery is how often the garbage of making exports is collected outside
// the measurement.
const collectEvery = 4

// run feeds steps exports of the whole fleet and returns the CPU spent taking
// them; making them is not counted.
func (s *server) run(b testing.TB, f *Fleet, n, steps int, every time.Duration) (spent time.Duration) {
	for i := range steps {
		s.now = s.now.Add(every)
		payloads := exports(b, f, n, s.now)
		if i%collectEvery == 0 {
			runtime.GC()
		}
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
		first := s.run(b, f, fleet, 1, interval)
		const steps = 10
		spent := s.run(b, f, fleet, steps, interval)
		b.ReportMetric(perMillion(first, fleet*SamplesPerInstance), "new-cpu-s/Mseries")
		b.ReportMetric(perMillion(spent, steps*fleet*SamplesPerInstance), "cpu-s/Msample")
		b.ReportMetric(heapMB()-base, "heap-MB")
		b.ReportMetric(peakMB(b), "peak-rss-MB")
		b.ReportMetric(float64(fleet*SamplesPerInstance), "series")
	}
}

// BenchmarkMillionSeries: 1,720 instances send for the first time, and once
// more.
func BenchmarkMillionSeries(b *testing.B) {
	const n = 1720
	for b.Loop() {
		s := newServer(b, "*")
		f := NewFleet(n, 1, epoch)
		var first, second time.Duration
		for step := range 2 {
			s.now = s.now.Add(interval)
			for i := 0; i < n; i += 40 {
				payloads := exportsOf(b, f, i, i+40, s.now)
				before := cpu()
				for _, p := range payloads {
					s.take(b, p)
				}
				if step == 0 {
					first += cpu() - before
				} else {
					second += cpu() - before
				}
			}
		}
		b.ReportMetric(perMillion(first, n*SamplesPerInstance), "new-cpu-s/Mseries")
		b.ReportMetric(perMillion(second, n*SamplesPerInstance), "cpu-s/Msample")
		b.ReportMetric(heapMB(), "heap-MB")
		b.ReportMetric(peakMB(b), "peak-rss-MB")
	}
}

// peakMB is the greatest resident set of the process, the making of exports
// included.
func peakMB(b testing.TB) float64 {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Maxrss) / 1024
}

// BenchmarkHours: 3.5 hours of a smaller fleet at 30 s, head compaction included;
// a block holds 240 samples a series.
func BenchmarkHours(b *testing.B) {
	const n, steps = 20, 420
	for b.Loop() {
		s := newServer(b, "*")
		spent := s.run(b, NewFleet(n, 1, epoch), n, steps, 30*time.Second)
		before := cpu()
		require.NoError(b, s.store.Admin(tenant.Default).Compact(context.Background()))
		spent += cpu() - before
		blocks, err := s.store.Admin(tenant.Default).BlockMetas()
		require.NoError(b, err)
		require.NotEmpty(b, blocks)
		var size, samples int64
		for _, m := range blocks {
			size += diskBytes(b, filepath.Join(s.dir, string(tenant.Default), "tsdb", m.ULID.String()))
			samples += int64(m.Stats.NumSamples)
		}
		b.ReportMetric(perMillion(spent, steps*n*SamplesPerInstance), "cpu-s/Msample")
		b.ReportMetric(float64(size)/float64(samples), "bytes/sample")
	}
}

// BenchmarkQueries asks over HTTP what dashboards ask; and restarts the store.
func BenchmarkQueries(b *testing.B) {
	s := newServer(b, "*")
	const steps = 50
	s.run(b, NewFleet(fleet, 1, epoch), fleet, steps, 30*time.Second)
	api, err := promapi.New(promapi.Options{Source: s.store})
	require.NoError(b, err)
	defer api.Close()
	span := url.Values{"start": {fmt.Sprint(s.now.Add(-20 * time.Minute).Unix())}, "end": {fmt.Sprint(s.now.Unix())}, "step": {"30"}}
	for _, q := range []struct{ name, path, query string }{
		{"rate_by_service", "query_range", `sum by (service_name)(rate(http_server_request_duration_seconds_count[5m]))`},
		{"quantile_by_route", "query_range", `histogram_quantile(0.99, sum by (le, http_route)(rate(http_server_request_duration_seconds_bucket[5m])))`},
		{"one_series", "query_range", `rate(app_events_3_total{k8s_pod_name="service-3-7d9c8b6f5-00015"}[5m])`},
		{"topk", "query", `topk(10, sum by (k8s_pod_name)(rate(app_events_1_total[5m])))`},
		{"regex", "query", `count(process_runtime_value_7_bytes{k8s_pod_name=~"service-.*-00(1|2)5.*"})`},
		{"labels", "labels", ``},
	} {
		b.Run(q.name, func(b *testing.B) {
			form := maps.Clone(span)
			form.Set("query", q.query)
			form.Set("time", fmt.Sprint(s.now.Unix()))
			before := cpu()
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				r := httptest.NewRequest("POST", "/api/v1/"+q.path, strings.NewReader(form.Encode()))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := httptest.NewRecorder()
				api.ServeHTTP(w, r)
				require.Equal(b, 200, w.Code, w.Body.String())
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64((cpu()-before).Microseconds())/1000/float64(b.N), "cpu-ms/query")
		})
	}
	b.Run("restart", func(b *testing.B) {
		require.NoError(b, s.store.Close())
		before := cpu()
		start := time.Now()
		s.open(b, "*")
		b.ReportMetric(time.Since(start).Seconds(), "ready-s")
		b.ReportMetric((cpu() - before).Seconds(), "cpu-s")
	})
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
