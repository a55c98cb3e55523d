package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// load is what every system gets.
type load struct {
	instances, steps int
	every            time.Duration
	start            time.Time
	senders          int
	queries          int
}

func main() {
	var l load
	only := flag.String("only", "braid,braid-otlp,prometheus,victoria-metrics", "systems to run, in this order")
	braidProgram := flag.String("braid", "bin/braid", "Braid's program")
	prometheusProgram := flag.String("prometheus", "prometheus", "Prometheus's program")
	victoriaProgram := flag.String("victoria-metrics", "victoria-metrics", "VictoriaMetrics' program")
	flag.IntVar(&l.instances, "instances", 170, "instances of the fleet, of about 580 series each")
	flag.IntVar(&l.steps, "steps", 20, "exports of each instance; the first makes the series")
	flag.DurationVar(&l.every, "every", 15*time.Second, "time between the exports, as their timestamps have it")
	flag.IntVar(&l.senders, "senders", 2, "connections that send at once")
	flag.IntVar(&l.queries, "queries", 40, "most times that each query is asked; 0: none")
	flag.Parse()
	// The newest timestamp is a minute old, whatever the clock does meanwhile.
	l.start = time.Now().Add(-time.Minute - time.Duration(l.steps)*l.every).Truncate(time.Second)

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	known := map[string]*system{"braid": braid(*braidProgram, "Braid", false), "braid-otlp": braid(*braidProgram, "Braid, OTLP", true),
		"prometheus": prometheus(*prometheusProgram), "victoria-metrics": victoria(*victoriaProgram)}
	var results []*result
	failed := false
	for name := range strings.SplitSeq(*only, ",") {
		s, ok := known[name]
		if !ok {
			fmt.Fprintf(os.Stderr, "system %q is not known: braid, braid-otlp, prometheus or victoria-metrics\n", name)
			os.Exit(2)
		}
		if _, err := exec.LookPath(s.program); err != nil {
			fmt.Fprintf(os.Stderr, "%s is left out: %v\n", s.name, err)
			continue
		}
		r, err := measure(ctx, s, &l)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", s.name, err)
			failed = true
			break
		}
		results = append(results, r)
	}
	table(os.Stdout, &l, results)
	if failed {
		os.Exit(1)
	}
}
