package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"braid/benchmarks/metrics"
)

// table prints the results as Markdown, a system a column.
func table(w io.Writer, l *load, results []*result) {
	series := l.instances * metrics.SamplesPerInstance
	samples := series * l.steps
	fmt.Fprintf(w, "%d instances, %d series, %d samples\n\n|", l.instances, series, samples)
	for _, r := range results {
		fmt.Fprintf(w, " | %s", r.name)
	}
	fmt.Fprintf(w, " |\n|---%s|\n", strings.Repeat("|---", len(results)))
	row := func(name string, f func(*result) string) {
		fmt.Fprintf(w, "| %s", name)
		for _, r := range results {
			fmt.Fprintf(w, " | %s", f(r))
		}
		fmt.Fprintln(w, " |")
	}
	row("new series, CPU-s a million", func(r *result) string { return perMillion(r.newSeries, series) })
	if l.steps > 1 {
		row("known series, CPU-s a million samples", func(r *result) string { return perMillion(r.steady, samples-series) })
	}
	row("peak RSS, MB", func(r *result) string { return fmt.Sprintf("%.0f", r.peakMB) })
	row("bytes a sample on disk, index included", func(r *result) string { return fmt.Sprintf("%.2f", float64(r.bytes)/float64(samples)) })
	for i, q := range questions {
		if l.queries > 0 {
			row(q.name+": CPU ms (p50 / p99 ms)", func(r *result) string {
				a := r.queries[i]
				return fmt.Sprintf("%s (%s / %s)", ms(a.cpu), ms(a.p50), ms(a.p99))
			})
		}
	}
	row("ready after kill -9, s (CPU-s)", func(r *result) string { return fmt.Sprintf("%.2f (%.2f)", r.ready.Seconds(), r.readyCPU.Seconds()) })
	row("acknowledged and lost", func(r *result) string { return fmt.Sprintf("%.2f %%", 100*float64(r.lost)/float64(r.expected)) })
}

func perMillion(d time.Duration, n int) string {
	return fmt.Sprintf("%.2f", d.Seconds()/float64(n)*1e6)
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }
