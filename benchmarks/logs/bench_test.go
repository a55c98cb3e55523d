package logs

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"braid/pkg/logstore"
	"braid/pkg/model"
)

func records(b *testing.B) int {
	if s := os.Getenv("BRAID_BENCH_RECORDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			b.Fatalf("BRAID_BENCH_RECORDS: %v", err)
		}
		return n
	}
	return 1_000_000
}

// cpu returns the CPU time of the process so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak returns the greatest resident set so far, in MiB.
func peak() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Maxrss) / 1024
}

const perRequest = 1000

// generate makes all records and returns what that alone costs.
func generate(n int) time.Duration {
	start := cpu()
	g := New(1)
	for range n / perRequest {
		g.Batch(perRequest)
	}
	return cpu() - start
}

func fill(b *testing.B, dir string, n int) (*logstore.Store, Known) {
	s, err := logstore.Open(logstore.Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	g := New(1)
	var k Known
	for i := range n / perRequest {
		l := g.Batch(perRequest)
		k.Note(l)
		if _, err := s.AppendLogs(context.Background(), Tenant, model.Position(i+1), l); err != nil {
			b.Fatal(err)
		}
	}
	k.Choose()
	return s, k
}

func diskBytes(b *testing.B, dir string) int64 {
	var total int64
	var walk func(string)
	walk = func(d string) {
		entries, err := os.ReadDir(d)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() {
				walk(d + "/" + e.Name())
			} else if info, err := e.Info(); err == nil {
				total += info.Size()
			}
		}
	}
	walk(dir)
	return total
}

// BenchmarkIngest writes the records, flushes included.
func BenchmarkIngest(b *testing.B) {
	n := records(b)
	alone := generate(n)
	b.ResetTimer()
	for range b.N {
		dir := b.TempDir()
		start, wall := cpu(), time.Now()
		s, _ := fill(b, dir, n)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		used := cpu() - start - alone
		per := float64(n) / 1e6
		b.ReportMetric(used.Seconds()/per, "cpu-s/Mrec")
		b.ReportMetric(float64(diskBytes(b, dir))/float64(n), "B/rec")
		b.ReportMetric(time.Since(wall).Seconds()/per, "wall-s/Mrec")
		b.ReportMetric(peak(), "peak-MiB")
		if os.Getenv("BRAID_BENCH_FILES") != "" {
			files(b, dir, n)
		}
	}
}

// files logs the bytes a record of each file of the blocks.
func files(b *testing.B, dir string, n int) {
	sizes := map[string]int64{}
	var walk func(string)
	walk = func(d string) {
		entries, _ := os.ReadDir(d)
		for _, e := range entries {
			if e.IsDir() {
				walk(d + "/" + e.Name())
			} else if info, err := e.Info(); err == nil {
				sizes[e.Name()] += info.Size()
			}
		}
	}
	walk(dir)
	for name, size := range sizes {
		b.Logf("%s %.2f B/rec", name, float64(size)/float64(n))
	}
}

// shared is the store that the queries are asked of, made once a process.
var shared = struct {
	sync.Once
	store *logstore.Store
	known Known
	dir   string
	keep  bool
}{}

// filled returns the shared store. BRAID_BENCH_DIR names a folder in which it
// is kept from one run to the next.
func filled(b *testing.B) (*logstore.Store, Known) {
	shared.Do(func() {
		n := records(b)
		dir, note := os.Getenv("BRAID_BENCH_DIR"), ""
		if shared.keep = dir != ""; shared.keep {
			note = filepath.Join(dir, fmt.Sprintf("known-%d.json", n))
			dir = filepath.Join(dir, fmt.Sprintf("store-%d", n))
		} else {
			var err error
			if dir, err = os.MkdirTemp("", "braid-logs-bench"); err != nil {
				b.Fatal(err)
			}
		}
		shared.dir = dir
		if data, err := os.ReadFile(note); err == nil {
			if err := json.Unmarshal(data, &shared.known); err != nil {
				b.Fatal(err)
			}
			if shared.store, err = logstore.Open(logstore.Options{Dir: dir}); err != nil {
				b.Fatal(err)
			}
			return
		}
		shared.store, shared.known = fill(b, dir, n)
		if err := shared.store.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
		if note == "" {
			return
		}
		data, err := json.Marshal(shared.known)
		if err == nil {
			err = os.WriteFile(note, data, 0o600)
		}
		if err != nil {
			b.Fatal(err)
		}
	})
	if shared.store == nil {
		b.Fatal("the store could not be made")
	}
	return shared.store, shared.known
}

// BenchmarkQuery asks each question of the table, warm: CPU and wall time a
// query, bytes read, the rows found.
func BenchmarkQuery(b *testing.B) {
	s, known := filled(b)
	for _, q := range Queries(known) {
		b.Run(strings.ReplaceAll(q.Name, " ", "_"), func(b *testing.B) {
			var st model.QueryStats
			if _, err := q.Run(context.Background(), s, &st); err != nil {
				b.Fatal(err)
			}
			measure(b, q, func() *logstore.Store { return s })
		})
	}
}

// BenchmarkColdQuery asks them of a store that has just been opened, none of
// whose files is in the page cache.
func BenchmarkColdQuery(b *testing.B) {
	_, known := filled(b)
	for _, q := range Queries(known) {
		b.Run(strings.ReplaceAll(q.Name, " ", "_"), func(b *testing.B) {
			measure(b, q, func() *logstore.Store {
				if err := shared.store.Close(); err != nil {
					b.Fatal(err)
				}
				shared.store = nil
				evict(b, shared.dir)
				s, err := logstore.Open(logstore.Options{Dir: shared.dir})
				if err != nil {
					b.Fatal(err)
				}
				shared.store = s
				return s
			})
		})
	}
}

// measure runs a query N times, each on the store that prepare returns.
func measure(b *testing.B, q Query, prepare func() *logstore.Store) {
	var rows int
	var walls []time.Duration
	var stats model.QueryStats
	var used time.Duration
	for range b.N {
		s := prepare()
		start, t := cpu(), time.Now()
		var err error
		if rows, err = q.Run(context.Background(), s, &stats); err != nil {
			b.Fatal(err)
		}
		walls = append(walls, time.Since(t))
		used += cpu() - start
	}
	slices.Sort(walls)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(used.Microseconds())/1000/float64(b.N), "cpu-ms")
	b.ReportMetric(float64(walls[len(walls)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(walls[len(walls)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(stats.Bytes.Load())/float64(b.N)/1024, "KiB-read")
	b.ReportMetric(float64(rows), "rows")
}

// evict asks the system to forget the files of a folder.
func evict(b *testing.B, dir string) {
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	})
	if err != nil {
		b.Fatal(err)
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.store != nil {
		_ = shared.store.Close()
	}
	if shared.dir != "" && !shared.keep {
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}
