package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// settings of a run.
type settings struct {
	dir     string
	records int // spans and log records together
	blocks  int // of each of the two stores
	lookups int
	curve   []int
}

// parts of the benchmark, in order.
var parts = []struct {
	name string
	run  func(context.Context, *settings) error
}{
	{"load", load}, {"lookup", lookup}, {"curve", curve}, {"heads", heads}, {"join", join}, {"outliers", outliers}, {"ingest", ingestCost},
}

func run(ctx context.Context) error {
	s := &settings{curve: []int{20, 50, 100, 200}}
	flag.StringVar(&s.dir, "dir", "", "folder for the stores; what is there already is used, and stays")
	flag.IntVar(&s.records, "records", 20_000_000, "spans and log records together")
	flag.IntVar(&s.blocks, "blocks", 200, "blocks of each of the two stores")
	flag.IntVar(&s.lookups, "lookups", 400, "look-ups of each kind")
	only := flag.String("parts", "load,lookup,curve,heads,join,outliers,ingest", "what to run, in this order")
	profile := flag.String("cpuprofile", "", "write a CPU profile of all parts here")
	flag.Parse()
	if s.dir == "" {
		return errors.New("cannot run: name a folder with -dir")
	}
	if s.blocks < 1 || s.records < 2*hops*s.blocks {
		return fmt.Errorf("cannot run: %d records are too few for %d blocks", s.records, s.blocks)
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	wanted := strings.Split(*only, ",")
	for _, p := range parts {
		if !slices.Contains(wanted, p.name) {
			continue
		}
		if err := p.run(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// requests is how many there are: each has hops spans and hops records.
func (s *settings) requests() int { return s.records / (2 * hops) }

func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func peak() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss << 10
}

// quantiles prints the spread of some durations.
func quantiles(name string, took []time.Duration, used time.Duration) {
	slices.Sort(took)
	at := func(q float64) float64 {
		return float64(took[min(len(took)-1, int(q*float64(len(took))))].Microseconds()) / 1000
	}
	fmt.Printf("%-44s %9.2f %9.2f %9.2f %9.2f %6d\n", name, at(0.5), at(0.95), at(0.99), float64((used/time.Duration(len(took))).Microseconds())/1000, len(took))
}

func header(what string) {
	fmt.Printf("\n%-44s %9s %9s %9s %9s %6s\n", what, "p50 ms", "p95 ms", "p99 ms", "CPU ms", "n")
}
