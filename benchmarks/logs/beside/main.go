package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"

	"braid/benchmarks/logs"
	"braid/pkg/model"
	"braid/pkg/otlp"
)

type options struct {
	send, loki, victoria string
	records, perRequest  int
	connections, times   int
	pid                  int
	headers              http.Header
	settle               time.Duration
	server, logsProgram  string
	lokiProgram, flush   string
	dir                  string
	keep                 bool
	only                 *regexp.Regexp
	end                  time.Time
	// profile and queryProfile, when set, are where profiles of a Braid go.
	profile, queryProfile string
}

func main() {
	var o options
	o.headers = http.Header{}
	flag.StringVar(&o.send, "send", "", "URL to post the records to, e.g. http://127.0.0.1:4318/v1/logs; empty: send nothing")
	flag.StringVar(&o.loki, "loki", "", "base URL of a server that speaks Loki's API, to ask")
	flag.StringVar(&o.victoria, "victorialogs", "", "base URL of a VictoriaLogs, to ask")
	flag.IntVar(&o.records, "records", 1_000_000, "records to send")
	flag.IntVar(&o.perRequest, "request", 1000, "records a request")
	flag.IntVar(&o.connections, "connections", 2, "requests at once")
	flag.IntVar(&o.times, "times", 10, "how often each question is asked")
	flag.IntVar(&o.pid, "pid", 0, "process id of the server on this machine: its CPU time and memory are told")
	flag.DurationVar(&o.settle, "settle", 20*time.Second, "how long to wait after sending before CPU time is read: what is merged meanwhile counts")
	flag.StringVar(&o.server, "server", "", "Braid's program, to start, measure and kill instead of a server that runs")
	flag.StringVar(&o.logsProgram, "victoria-logs", "", "VictoriaLogs' program, likewise; all are measured one after the other")
	flag.StringVar(&o.lokiProgram, "loki-program", "", "Loki's program, likewise")
	flag.StringVar(&o.dir, "dir", "", "where the folders of programs that are started are made and removed; default: the system's for temporary files")
	flag.BoolVar(&o.keep, "keep", false, "leave the folders of programs that were started, and say where they are")
	flag.StringVar(&o.profile, "cpuprofile", "", "write CPU profiles of a Braid that takes the records here, FILE.0 and so on, each beside one of its heap, FILE.0.heap")
	flag.StringVar(&o.queryProfile, "queryprofile", "", "ask a Braid each question for two seconds and write a CPU profile of that, FILE.00 and so on")
	flag.Func("only", "ask only the questions whose names this regular expression matches", func(s string) (err error) {
		o.only, err = regexp.Compile(s)
		return err
	})
	flag.Func("end", "when the last record was made, as 2006-01-02T15:04:05Z; default: the beginning of this hour", func(s string) (err error) {
		o.end, err = time.Parse(time.RFC3339, s)
		return err
	})
	flag.Func("header", "a header of every request, as Name: value; may be repeated", func(s string) error {
		name, value, ok := strings.Cut(s, ":")
		if !ok {
			return fmt.Errorf("%q is not Name: value", s)
		}
		o.headers.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		return nil
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, &o); err != nil {
		fmt.Fprintln(os.Stderr, "beside:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options) error {
	// The same seed, number and end give the same records, so that questions can be
	// asked in a run of their own.
	if o.end.IsZero() {
		o.end = time.Now().Truncate(time.Hour)
	}
	start := o.end.UnixNano() - int64(o.records)*int64(time.Millisecond) - int64(time.Minute)
	var programs []*program
	if o.server != "" {
		programs = append(programs, braid(o.server))
	}
	if o.logsProgram != "" {
		programs = append(programs, victoriaLogs(o.logsProgram))
	}
	if o.lokiProgram != "" {
		programs = append(programs, loki(o.lokiProgram))
	}
	for _, p := range programs {
		if err := p.measure(ctx, *o, start); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if len(programs) > 0 {
		return nil
	}
	known, err := o.fill(ctx, start)
	if err != nil {
		return err
	}
	return o.ask(ctx, o.questions(known, start))
}

// questions are the table's in the language of the server.
func (o *options) questions(known logs.Known, start int64) []question {
	switch {
	case o.loki != "":
		return lokiQuestions(o.loki, known, start)
	case o.victoria != "":
		return victoriaQuestions(o.victoria, known, start)
	}
	return nil
}

// fill makes the records, and posts them when there is somewhere to.
func (o *options) fill(ctx context.Context, start int64) (logs.Known, error) {
	var known logs.Known
	g := logs.NewAt(1, start)
	before, begun := usageOf(o.pid), time.Now()
	stopProfile := func() error { return nil }
	if o.send != "" && o.profile != "" && o.loki != "" {
		stopProfile = o.profileWhile(ctx)
	}
	work, sending := errgroup.WithContext(ctx)
	bodies := make(chan []byte, 2*o.connections)
	if o.send != "" {
		for range o.connections {
			work.Go(func() error {
				for body := range bodies {
					if err := o.post(sending, o.send, body); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	work.Go(func() error {
		defer close(bodies)
		for sent := 0; sent < o.records; sent += o.perRequest {
			batch := g.Batch(min(o.perRequest, o.records-sent))
			known.Note(batch)
			if o.send == "" {
				continue
			}
			select {
			case bodies <- encode(batch):
			case <-sending.Done():
				return context.Cause(sending)
			}
		}
		return nil
	})
	if err := errors.Join(work.Wait(), stopProfile()); err != nil {
		return known, err
	}
	known.Choose()
	if o.send == "" {
		return known, nil
	}
	took, acked := time.Since(begun), usageOf(o.pid)
	if o.flush != "" {
		if err := o.post(ctx, o.flush, nil); err != nil {
			return known, err
		}
	}
	select {
	case <-time.After(o.settle):
	case <-ctx.Done():
		return known, ctx.Err()
	}
	if err := o.idle(ctx); err != nil {
		return known, err
	}
	after := usageOf(o.pid)
	per := 1e6 / float64(o.records)
	fmt.Printf("sent %d records in %s: CPU-seconds of the server a million: %.2f until the last answer, %.2f until it rests; peak memory %d MiB\n\n",
		o.records, took.Round(time.Millisecond), (acked.cpu-before.cpu).Seconds()*per, (after.cpu-before.cpu).Seconds()*per, after.peak>>20)
	return known, nil
}

// encode makes the gzipped body of a request.
func encode(l *model.Logs) []byte {
	var rows []model.LogRow
	for i := range l.Batches {
		b := &l.Batches[i]
		for j := range b.Records {
			rows = append(rows, model.LogRow{Resource: b.Resource, Scope: b.Scope, LogRecord: b.Records[j]})
		}
	}
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	_, _ = z.Write(otlp.EncodeLogs(rows)) // a buffer takes all
	_ = z.Close()
	return out.Bytes()
}

// post sends a body, again while the server is busy.
func (o *options) post(ctx context.Context, target string, body []byte) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header = o.headers.Clone()
		req.Header.Set("Content-Type", "application/x-protobuf")
		req.Header.Set("Content-Encoding", "gzip")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		text, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
		_ = res.Body.Close()
		switch res.StatusCode {
		case http.StatusOK, http.StatusNoContent:
			return nil
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return ctx.Err()
			}
		default:
			return fmt.Errorf("%s answers %s: %s", target, res.Status, text)
		}
	}
}
