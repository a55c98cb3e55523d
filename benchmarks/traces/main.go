package main

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"

	"braid/pkg/model"
	"braid/pkg/predicate"
	"braid/pkg/spanmetrics"
	"braid/pkg/tenant"
	"braid/pkg/tracestore"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	spans := flag.Int("spans", 1_000_000, "spans to take")
	dir := flag.String("dir", "", "folder for the store; removed before and after, unless -keep is set")
	profile := flag.String("cpuprofile", "", "write a CPU profile of taking the spans here; with -server several, beside profiles of its heap")
	queryProfile := flag.String("queryprofile", "", "write a CPU profile of the questions here; with -server one a question, FILE.00 and so on")
	batch := flag.Int("batch", 400, "spans a request")
	flush := flag.Bool("flush", true, "write everything to disk before the questions; false asks the head")
	rounds := flag.Int("rounds", 200, "times that each question is asked, within 4 s")
	program := flag.String("server", "", "measure this program (bin/braid) over HTTP instead of the store by itself")
	peers := map[*string]peer{
		flag.String("victoria-traces", "", "measure VictoriaTraces' program in the same way"): victoriaTraces,
		flag.String("tempo", "", "measure Tempo's program in the same way"):                   tempo,
		flag.String("jaeger", "", "measure Jaeger's program, on badger, in the same way"):     jaeger,
	}
	senders := flag.Int("senders", 4, "connections that send at once, with -server")
	huge := flag.Int("huge", 0, "spans of one huge trace to send and open by pages, with -server")
	querier := flag.String("querier", "", "open the huge trace through this program (bin/querier) as well, in a process of its own")
	red := flag.Bool("spanmetrics", true, "count the spans into series as well, without -server")
	keep := flag.Bool("keep", false, "leave the folder; when it is there, ask what it holds instead of sending again")
	lose := flag.Bool("lose", false, "kill a program right after the last acknowledgement and tell what is gone, instead of measuring it")
	only := flag.String("only", "", "ask only the questions that have this in their name")
	flag.Parse()
	if *dir == "" {
		return fmt.Errorf("cannot run: name a folder with -dir")
	}
	_, err := os.Stat(*dir)
	kept := *keep && err == nil
	if !kept {
		if err := os.RemoveAll(*dir); err != nil {
			return err
		}
	}
	if !*keep {
		defer os.RemoveAll(*dir)
	}
	if *program != "" {
		s := newServer(*program, *dir, flag.Args())
		s.queryProfile, s.only, s.querier = *queryProfile, *only, *querier
		if *lose {
			return s.lost("/api/v2/traces/", *spans, *batch, *senders)
		}
		if kept {
			return s.askKept(*spans, *batch, *rounds)
		}
		return s.bench(*spans, *batch, *senders, *rounds, *huge, *profile)
	}
	for program, p := range peers {
		if *program != "" && *lose {
			s := newServer(*program, *dir, nil)
			s.launch = p.launch
			return s.lost(p.byID, *spans, *batch, *senders)
		}
		if *program != "" {
			return p.bench(*program, *dir, *spans, *batch, *senders, *rounds, *only)
		}
	}
	o := tracestore.Options{Dir: *dir, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	var counter *spanmetrics.Generator
	if *red {
		counter, err = spanmetrics.New(spanmetrics.Options{Dir: *dir + ".red", Write: func(context.Context, tenant.ID, []spanmetrics.Sample) error { return nil }})
		if err != nil {
			return err
		}
		defer os.RemoveAll(*dir + ".red")
		o.Observe, o.BeforeMerge = counter.Observe, counter.BeforeMerge
	}
	s, err := tracestore.Open(o)
	if err != nil {
		return err
	}
	if counter != nil {
		counter.Attach(s)
		counter.Start()
		defer func() { _ = counter.Close(context.Background()) }()
	}
	g := newGenerator(1, start)
	if kept {
		g.run(*spans, *batch)
	} else if g, err = ingest(s, *spans, *batch, *flush, *dir, *profile); err != nil {
		return err
	}
	if *queryProfile != "" {
		f, err := os.Create(*queryProfile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if err := questions(s, g, *rounds, *only); err != nil {
		return err
	}
	return s.Close()
}

// start is the time of the first span: a fixed one, so that loads are equal.
const start = int64(1_760_000_000_000_000_000)

func ingest(s *tracestore.Store, spans, batch int, flush bool, dir, profile string) (*generator, error) {
	dry := newGenerator(1, start)
	c0 := cpu()
	dry.run(spans, batch)
	making := cpu() - c0
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return nil, err
		}
		defer pprof.StopCPUProfile()
	}
	g := newGenerator(1, start)
	c0, began := cpu(), time.Now()
	ctx := context.Background()
	for pos := model.Position(1); g.spans < spans; pos++ {
		b := g.batch(batch)
		for {
			_, err := s.AppendSpans(ctx, tenant.Default, pos, b)
			if _, busy := err.(*model.OverloadError); busy {
				time.Sleep(20 * time.Millisecond)
				continue
			}
			if err != nil {
				return nil, err
			}
			break
		}
	}
	if flush {
		if err := s.Flush(ctx); err != nil {
			return nil, err
		}
	}
	took := cpu() - c0 - making
	c0 = cpu()
	if err := s.Maintain(ctx); err != nil {
		return nil, err
	}
	merging := cpu() - c0
	per := 1e6 / float64(g.spans)
	fmt.Printf("%d spans in %d traces, %.1f s wall\n", g.spans, g.traces, time.Since(began).Seconds())
	fmt.Printf("%-44s %8.2f CPU-s a million\n", "append and flush", took.Seconds()*per)
	fmt.Printf("%-44s %8.2f CPU-s a million\n", "merges", merging.Seconds()*per)
	fmt.Printf("%-44s %8.1f bytes a span\n", "on disk", float64(size(dir))/float64(g.spans))
	fmt.Printf("%-44s %8d MiB\n", "peak memory", peak()>>20)
	return g, nil
}

// size is what the files take on the disk: not the holes of those that are
// longer than what was written to them, nor the rest of the last page.
func size(dir string) (n int64) {
	_ = walk(dir, func(info os.FileInfo) {
		taken := info.Size()
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			taken = min(taken, st.Blocks*512)
		}
		n += taken
	})
	return n
}

func walk(dir string, visit func(os.FileInfo)) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := dir + "/" + e.Name()
		if e.IsDir() {
			if err := walk(path, visit); err != nil {
				return err
			}
			continue
		}
		if info, err := e.Info(); err == nil {
			visit(info)
		}
	}
	return nil
}

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

// question is one row of the table; ask returns how many results it had.
type question struct {
	name string
	ask  func(stats *model.QueryStats) (int, error)
}

func questions(s *tracestore.Store, g *generator, rounds int, only string) error {
	fmt.Printf("\n%-44s %9s %9s %9s %8s %9s %9s\n", "question", "CPU ms", "p50 ms", "p99 ms", "results", "rows", "KiB read")
	for _, q := range table(s, g) {
		if !strings.Contains(q.name, only) {
			continue
		}
		var walls []time.Duration
		var stats *model.QueryStats
		results := 0
		if _, err := q.ask(nil); err != nil { // warm
			return fmt.Errorf("cannot ask %q: %w", q.name, err)
		}
		runtime.GC()
		c0, begun := cpu(), time.Now()
		for len(walls) < rounds && time.Since(begun) < 4*time.Second {
			stats = &model.QueryStats{}
			began := time.Now()
			n, err := q.ask(stats)
			if err != nil {
				return fmt.Errorf("cannot ask %q: %w", q.name, err)
			}
			walls = append(walls, time.Since(began))
			results = n
		}
		each := (cpu() - c0) / time.Duration(len(walls))
		slices.Sort(walls)
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		fmt.Printf("%-44s %9.2f %9.2f %9.2f %8d %9d %9d\n", q.name, ms(each), ms(walls[len(walls)/2]), ms(walls[len(walls)*99/100]), results, stats.Rows.Load(), stats.Bytes.Load()>>10)
		for _, w := range stats.Warnings() {
			fmt.Println("  warning:", w)
		}
	}
	return nil
}

func table(s *tracestore.Store, g *generator) []question {
	ctx := context.Background()
	all := model.TimeRange{Start: start / 1e9 * 1e9, End: (g.now/1e9 + 60) * 1e9}
	resource := func(k string) predicate.Field { return predicate.Field{Scope: predicate.ScopeResource, Name: k} }
	record := func(k string) predicate.Field { return predicate.Field{Scope: predicate.ScopeRecord, Name: k} }
	is := func(f predicate.Field, op predicate.Op, v model.Value) predicate.Expr {
		return predicate.Compare{Field: f, Op: op, Value: v}
	}
	service := is(resource("service.name"), predicate.Eq, model.String("service-07"))
	byID := func(id model.TraceID) func(*model.QueryStats) (int, error) {
		return func(st *model.QueryStats) (int, error) { return countRows(s.Trace(ctx, tenant.Default, id, st)) }
	}
	find := func(q predicate.SpanQuery) func(*model.QueryStats) (int, error) {
		return func(st *model.QueryStats) (int, error) {
			one := q
			one.Tenant, one.Range, one.Stats, one.Limit = tenant.Default, all, st, 20
			if !one.Tree {
				one.SpansPerTrace = 3
			}
			return countTraces(s.SelectSpans(ctx, &one))
		}
	}
	add := func(q predicate.Aggregation) func(*model.QueryStats) (int, error) {
		return func(st *model.QueryStats) (int, error) {
			one := q
			one.Tenant, one.Range, one.Stats = tenant.Default, all, st
			a, err := s.AggregateSpans(ctx, &one)
			if err != nil {
				return 0, err
			}
			return len(a.Groups), nil
		}
	}
	values := func(f predicate.Field, filter predicate.Expr) func(*model.QueryStats) (int, error) {
		return func(st *model.QueryStats) (int, error) {
			v, err := s.SpanFields(ctx, &predicate.FieldQuery{Tenant: tenant.Default, Range: all, Filter: filter, Field: &f, Stats: st})
			return len(v), err
		}
	}
	filters := func(e ...predicate.Expr) predicate.SpanQuery { return predicate.SpanQuery{Filters: e} }
	status := record("http.response.status_code")
	duration := predicate.Intrinsic(predicate.Duration)
	step := int64(60e9)
	return []question{
		{"trace by id, recent", byID(g.recent)},
		{"trace by id, old", byID(g.old)},
		{"trace by id, unknown", byID(model.TraceID{1, 2, 3})},
		{"service + operation + duration", find(filters(predicate.And{service, is(predicate.Intrinsic(predicate.Name), predicate.Eq, model.String("GET /api/v1/service-07/resource2/{id}")), is(duration, predicate.Gt, model.Int(100e6))}))},
		{"service + operation + duration, none", find(filters(predicate.And{service, is(predicate.Intrinsic(predicate.Name), predicate.Eq, model.String("GET /api/v1/service-07/resource2/{id}")), is(duration, predicate.Gt, model.Int(100e9))}))},
		{"status code 500, any service", find(filters(is(status, predicate.Eq, model.Int(500))))},
		{"status code 599, any service, none", find(filters(is(status, predicate.Eq, model.Int(599))))},
		{"user id, any service", find(filters(is(record("user.id"), predicate.Eq, model.String("user-001234"))))},
		{"user id, correlated", find(filters(predicate.Correlated{Kind: model.KeyUser, ID: "user-001234"}))},
		{"service && status >= 500 && duration > 10ms", find(filters(predicate.And{service, is(status, predicate.Gte, model.Int(500)), is(duration, predicate.Gt, model.Int(10e6))}))},
		{"structure, both sides, whole trees", find(predicate.SpanQuery{Filters: []predicate.Expr{service, is(predicate.Intrinsic(predicate.Status), predicate.Eq, model.String("error"))}, Require: []uint64{3}, Tree: true, Project: []predicate.Field{}})},
		{"rate by service", add(predicate.Aggregation{By: []predicate.Field{resource("service.name")}, Step: step})},
		{"rate by operation of one service", add(predicate.Aggregation{Filter: service, By: []predicate.Field{predicate.Intrinsic(predicate.Name)}, Step: step})},
		{"p95 of duration by service", add(predicate.Aggregation{By: []predicate.Field{resource("service.name")}, Step: step, Measure: predicate.Quantiles, Of: duration})},
		{"count by status code", add(predicate.Aggregation{By: []predicate.Field{status}})},
		{"operations of a service", values(predicate.Intrinsic(predicate.Name), service)},
		{"services", values(resource("service.name"), nil)},
		{"values of http.route", values(record("http.route"), nil)},
		{"service graph", func(st *model.QueryStats) (int, error) {
			g, err := s.ServiceGraph(ctx, tenant.Default, all, st)
			if err != nil {
				return 0, err
			}
			return len(g.Edges), nil
		}},
		{"field names", func(st *model.QueryStats) (int, error) {
			v, err := s.SpanFields(ctx, &predicate.FieldQuery{Tenant: tenant.Default, Range: all, Stats: st})
			return len(v), err
		}},
	}
}

func countRows(seq iter.Seq2[[]model.SpanRow, error]) (n int, err error) {
	for rows, err := range seq {
		if err != nil {
			return n, err
		}
		n += len(rows)
	}
	return n, nil
}

func countTraces(seq iter.Seq2[*model.TraceMatch, error]) (n int, err error) {
	for _, err := range seq {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
