package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"braid/pkg/model"
	"braid/pkg/otlp"
)

// server is a program under test, with all its APIs on loopback.
type server struct {
	bin, dir   string
	http, otlp string
	grpc       string
	args       []string
	// launch, of a program that is not Braid, tells how it is started.
	launch func(s *server, ports [4]string) (ready string, args []string, err error)
	// queryProfile, when set, is where a profile of each question goes.
	queryProfile string
	only         string // a part of the names of the questions to ask
	querier      string // program that opens the huge trace as well
	cmd          *exec.Cmd
	client       *http.Client
}

// newServer is a server that is yet to be started.
func newServer(bin, dir string, args []string) *server {
	return &server{bin: bin, dir: dir, args: args, client: &http.Client{Timeout: 2 * time.Minute}}
}

// bench measures the whole program: spans over OTLP/HTTP with gzip,
// questions over its HTTP APIs, and a restart after kill -9. CPU and memory are
// the server's, read from /proc.
func (s *server) bench(spans, batch, senders, rounds, huge int, profile string) error {
	if err := s.start(); err != nil {
		return err
	}
	defer s.kill()
	profiled := s.profile(profile)
	g := newGenerator(1, time.Now().Add(-time.Duration(spans/10_000+30)*time.Second).UnixNano())
	if err := os.WriteFile(filepath.Join(s.dir, begunFile), []byte(strconv.FormatInt(g.begun, 10)), 0o644); err != nil {
		return err
	}
	took, err := s.send(g, spans, batch, senders)
	if err != nil {
		return err
	}
	acked := s.cpu()
	s.idle()
	if err := profiled(); err != nil {
		return err
	}
	per := 1e6 / float64(g.spans)
	fmt.Printf("%d spans in %d traces, acknowledged in %.1f s wall\n", g.spans, g.traces, took.Seconds())
	fmt.Printf("%-52s %8.2f CPU-s a million\n", "until the last acknowledgement", acked.Seconds()*per)
	fmt.Printf("%-52s %8.2f CPU-s a million\n", "with what followed until idle", s.cpu().Seconds()*per)
	fmt.Printf("%-52s %8d MiB\n", "peak memory", s.peak()>>20)
	recent := g.recent
	if err := s.visible(g, batch); err != nil {
		return err
	}
	g.recent = recent // which peers are asked for as well
	table := s.questions(g)
	if err := s.ask("warm", table, rounds); err != nil {
		return err
	}
	if err := s.hugeTrace(huge, batch, senders); err != nil {
		return err
	}
	fmt.Printf("\n%-52s %8d MiB\n", "peak memory, questions included", s.peak()>>20)
	before, err := s.count(g)
	if err != nil {
		return err
	}
	s.kill()
	fmt.Printf("%-52s %8.1f bytes a span\n", "spans on disk", float64(size(filepath.Join(s.dir, "traces")))/float64(g.spans))
	fmt.Printf("%-52s %8.1f bytes a span\n", "ingest log not yet given back", float64(size(filepath.Join(s.dir, "ingestlog")))/float64(g.spans))
	if err := s.restart(); err != nil {
		return err
	}
	after, err := s.count(g)
	if err != nil {
		return err
	}
	fmt.Printf("%-52s %8v\n", "count of spans as before", before == after)
	return s.ask("first after a restart, files not cached", table, 1)
}

// restart starts the program again after kill, its files on the disk only.
func (s *server) restart() error {
	dropCaches(s.dir)
	began := time.Now()
	if err := s.start(); err != nil {
		return err
	}
	fmt.Printf("%-52s %8.2f s, %.2f CPU-s\n", "ready after kill -9", time.Since(began).Seconds(), s.cpu().Seconds())
	return nil
}

// count asks how many spans there are, over Tempo's API.
func (s *server) count(g *generator) (string, error) {
	body, err := s.get("/api/metrics/query?" + s.window(g, "q", "{} | count_over_time()"))
	n := body[strings.LastIndexByte(body, ':')+1:]
	if i := strings.LastIndex(body, `"value":`); i >= 0 {
		n = field(body[i:], `"value":`)
	}
	return strings.Trim(n, "}] \n"), err
}

// begunFile holds the time of the first span, in Unix nanoseconds.
const begunFile = "benchmark-begun"

// askKept asks a folder that an earlier run has left.
func (s *server) askKept(spans, batch, rounds int) error {
	raw, err := os.ReadFile(filepath.Join(s.dir, begunFile))
	if err != nil {
		return err
	}
	begun, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return err
	}
	g := newGenerator(1, begun)
	g.run(spans, batch)
	if err := s.start(); err != nil {
		return err
	}
	defer s.kill()
	s.idle()
	return s.ask("warm", s.questions(g), rounds)
}

// start runs the program and waits until it is ready.
func (s *server) start() error {
	var ports [4]string
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		ports[i] = l.Addr().String()
		_ = l.Close()
	}
	s.http, s.otlp, s.grpc = "http://"+ports[0], "http://"+ports[1], ports[2]
	ready := "/-/ready"
	args := []string{"serve", "--data-dir", s.dir, "--http.listen", ports[0], "--otlp.http.listen", ports[1], "--grpc.listen", ports[2], "--otlp.grpc.listen", ports[3]}
	if s.launch != nil {
		var err error
		if ready, args, err = s.launch(s, ports); err != nil {
			return err
		}
	}
	s.cmd = exec.Command(s.bin, append(args, s.args...)...)
	s.cmd.Stderr = io.Discard
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for range 3000 {
		resp, err := s.client.Get(s.http + ready)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("the server is not ready after a minute")
}

func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// send writes spans from several connections at once.
func (s *server) send(g *generator, spans, batch, senders int) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	bodies := make(chan []byte, senders)
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for b := range bodies {
				if err := s.post(ctx, b); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	began := time.Now()
	for g.spans < spans && ctx.Err() == nil {
		select {
		case bodies <- pack(g.batch(batch)):
		case <-ctx.Done():
		}
	}
	close(bodies)
	wg.Wait()
	return time.Since(began), context.Cause(ctx)
}

// pack writes a request: OTLP protobuf, gzip at its fastest, as exporters do.
func pack(b *model.Spans) []byte {
	var rows []model.SpanRow
	for i := range b.Batches {
		for _, sp := range b.Batches[i].Spans {
			rows = append(rows, model.SpanRow{Resource: b.Batches[i].Resource, Scope: b.Batches[i].Scope, Span: sp})
		}
	}
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	_, _ = w.Write(otlp.EncodeTraces(rows))
	_ = w.Close()
	return out.Bytes()
}

func (s *server) post(ctx context.Context, body []byte) error {
	for range 600 {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.otlp+"/v1/traces", bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-protobuf")
		req.Header.Set("Content-Encoding", "gzip")
		resp, err := s.client.Do(req)
		if err != nil {
			return err
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusOK:
			return nil
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			time.Sleep(100 * time.Millisecond)
		default:
			return fmt.Errorf("the server answered %s: %s", resp.Status, text)
		}
	}
	return errors.New("the server refuses spans for a minute")
}

func (s *server) get(path string) (string, error) {
	resp, err := s.client.Get(s.http + path)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotFound {
		return "", fmt.Errorf("%s: %s: %.300s", path, resp.Status, body)
	}
	return string(body), nil
}

// profileSeconds is the length of one profile: until the spans are taken and
// merged there are several, FILE.0, FILE.1 and so on; go tool pprof adds them up.
const profileSeconds = 5

// profile takes CPU profiles of the server, each followed by one of its heap
// (FILE.0.heap), until the function that it returns is called.
func (s *server) profile(file string) (stop func() error) {
	if file == "" {
		return func() error { return nil }
	}
	end, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-end:
				done <- nil
				return
			default:
			}
			name := fmt.Sprintf("%s.%d", file, n)
			err := s.save(fmt.Sprintf("/debug/pprof/profile?seconds=%d", profileSeconds), name)
			if err == nil {
				err = s.save("/debug/pprof/heap", name+".heap")
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	return func() error {
		close(end)
		return <-done
	}
}

func (s *server) save(path, file string) error {
	body, err := s.get(path)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(body), 0o644)
}

// visible measures how long after the acknowledgement a trace is found.
func (s *server) visible(g *generator, batch int) error {
	if err := s.post(context.Background(), pack(g.batch(batch))); err != nil {
		return err
	}
	began := time.Now()
	for {
		byID, err := s.get("/api/v2/traces/" + g.recent.String())
		if err != nil {
			return err
		}
		found, err := s.get("/api/search?" + s.window(g, "q", fmt.Sprintf(`{ trace:id = "%s" }`, g.recent)))
		if err != nil {
			return err
		}
		if strings.Contains(byID, `"spanId"`) && strings.Contains(found, `"traceID"`) {
			fmt.Printf("%-52s %8.1f ms\n", "by id and by search after the acknowledgement", float64(time.Since(began).Microseconds())/1e3)
			return nil
		}
		if time.Since(began) > time.Minute {
			return errors.New("a trace is not found a minute after its acknowledgement")
		}
	}
}

type httpQuestion struct {
	name, path string
	// found is what each result has in the answer; empty where there is nothing
	// to find.
	found string
	tempo bool // Tempo has the API
}

// port is the port of an address.
func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func (s *server) window(g *generator, kv ...string) string {
	v := url.Values{"start": {strconv.FormatInt(g.begun/1e9-1, 10)}, "end": {strconv.FormatInt(g.now/1e9+2, 10)}}
	for i := 0; i < len(kv); i += 2 {
		v.Set(kv[i], kv[i+1])
	}
	return v.Encode()
}

func (s *server) questions(g *generator) []httpQuestion {
	search := func(q string) string { return "/api/search?" + s.window(g, "q", q, "limit", "20") }
	series := func(q string) string { return "/api/metrics/query_range?" + s.window(g, "q", q, "step", "60s") }
	const span, trace, labels = `"spanId":`, `"traceID":`, `"samples":`
	return append([]httpQuestion{
		{"trace by id, recent", "/api/v2/traces/" + g.recent.String(), span, true},
		{"trace by id, old", "/api/v2/traces/" + g.old.String(), span, true},
		{"trace by id, unknown", "/api/v2/traces/0102030405060708090a0b0c0d0e0f10", "", true},
		{"service + operation + duration", search(`{ resource.service.name = "service-07" && name = "` + operation + `" && duration > 100ms }`), trace, true},
		{"status code 500, any service", search(`{ span.http.response.status_code = 500 }`), trace, true},
		{"user id, any service", search(`{ span.user.id = "user-001234" }`), trace, true},
		{"service && status >= 500 && duration > 10ms", search(`{ resource.service.name = "service-07" && span.http.response.status_code >= 500 && duration > 10ms }`), trace, true},
		{"structural >>", search(`{ resource.service.name = "service-07" } >> { status = error }`), trace, true},
		{"structural >, with a count", search(`{ kind = server } > { span.db.system = "postgresql" } | count() > 1`), trace, true},
		{"rate by service", series(`{ } | rate() by (resource.service.name)`), labels, true},
		{"p95 of duration by service", series(`{ } | quantile_over_time(duration, .95) by (resource.service.name)`), labels, true},
		{"tag values of http.route", "/api/v2/search/tag/span.http.route/values?" + s.window(g), `"value":`, true},
		{"tag names", "/api/v2/search/tags?" + s.window(g), `"tags":`, true},
		{"service graph (native)", fmt.Sprintf("/api/braid/v1/services?startNs=%d&endNs=%d", g.begun, g.now+2e9), `"service-`, false},
	}, append(jaegerQuestions(g, "/api"), jaegerV3Questions(g)...)...)
}

// ask prints a table: CPU of the server, wall time as the client sees it, how
// many results there were, and what the first answer took, which is not among
// the others: some programs remember answers. A question that found nothing, or
// that a peer answers with an error, has that in the place of its times.
func (s *server) ask(title string, table []httpQuestion, rounds int) error {
	fmt.Printf("\n%-52s %9s %9s %9s %7s %9s %9s %12s %9s\n", title, "CPU ms", "p50 ms", "p99 ms", "times", "KiB", "results", "first CPU ms", "first ms")
	for n, q := range table {
		if !strings.Contains(q.name, s.only) {
			continue
		}
		err := s.askOne(n, q, rounds)
		if err != nil && s.launch == nil && !errors.Is(err, errNothing) {
			return err
		}
		if err != nil {
			fmt.Printf("%-52s %s\n", q.name, strings.Join(strings.Fields(err.Error()), " "))
		}
	}
	return nil
}

// askOne prints the row of the nth question, asked so many times.
func (s *server) askOne(n int, q httpQuestion, rounds int) error {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	first := ""
	if rounds > 1 {
		c0, began := s.cpu(), time.Now()
		if _, err := s.answer(q); err != nil {
			return err
		}
		first = fmt.Sprintf(" %12.0f %9.2f", ms(s.cpu()-c0), ms(time.Since(began)))
	}
	profiled := make(chan error, 1)
	if s.queryProfile != "" && rounds > 1 {
		go func() {
			profiled <- s.save("/debug/pprof/profile?seconds=2", fmt.Sprintf("%s.%02d", s.queryProfile, n))
		}()
	} else {
		profiled <- nil
	}
	var body string
	var walls []time.Duration
	c0, began := s.cpu(), time.Now()
	for len(walls) < rounds && time.Since(began) < 4*time.Second || len(walls) == 0 {
		t := time.Now()
		var err error
		if body, err = s.answer(q); err != nil {
			return err
		}
		walls = append(walls, time.Since(t))
	}
	each := (s.cpu() - c0) / time.Duration(len(walls))
	if err := <-profiled; err != nil {
		return err
	}
	slices.Sort(walls)
	results := 0
	if q.found != "" {
		results = strings.Count(body, q.found)
	}
	fmt.Printf("%-52s %9.2f %9.2f %9.2f %7d %9d %9d%s\n", q.name, ms(each), ms(walls[len(walls)/2]), ms(walls[len(walls)*99/100]), len(walls), len(body)>>10, results, first)
	return nil
}

var errNothing = errors.New("found nothing")

// answer asks once; it is an error when there is nothing in the answer that
// should be there.
func (s *server) answer(q httpQuestion) (string, error) {
	body, err := s.get(q.path)
	if err == nil && q.found != "" && !strings.Contains(body, q.found) {
		err = errNothing
	}
	return body, err
}

// cpu returns user and system time of the server: /proc counts ticks of 10 ms.
func (s *server) cpu() time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	u, _ := strconv.ParseInt(f[11], 10, 64)
	k, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(u+k) * 10 * time.Millisecond
}

func (s *server) peak() int64 {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(field(string(raw), "VmHWM:")), " kB"), 10, 64)
	return kib << 10
}

// field returns what follows a mark, up to the end of the line or a comma.
func field(text, mark string) string {
	_, rest, _ := strings.Cut(text, mark)
	if i := strings.IndexAny(rest, "\n,"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

// idle waits until merges are over: three seconds of almost no CPU.
func (s *server) idle() {
	quiet := 0
	for range 180 {
		c0 := s.cpu()
		time.Sleep(time.Second)
		if s.cpu()-c0 < 50*time.Millisecond {
			quiet++
		} else {
			quiet = 0
		}
		if quiet == 3 {
			return
		}
	}
}

// dropCaches asks the kernel to forget the files, so that the next reads come
// from the disk.
func dropCaches(dir string) {
	const dontNeed = 4
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if f, err := os.Open(path); err == nil {
			_ = f.Sync()
			_, _, _ = syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, dontNeed, 0, 0)
			_ = f.Close()
		}
		return nil
	})
}

// hugeTrace sends one trace of n spans, each the child of one before, and opens
// its first and its last page.
func (s *server) hugeTrace(n, batch, senders int) error {
	if n == 0 {
		return nil
	}
	g := newGenerator(2, time.Now().Add(-time.Hour).UnixNano())
	id := model.TraceID{0xbe, 1}
	r := g.services[0].resources[0]
	bodies := make(chan []byte, senders)
	errs := make(chan error, senders)
	for range senders {
		go func() {
			var err error
			for b := range bodies {
				if err == nil {
					err = s.post(context.Background(), b)
				}
			}
			errs <- err
		}()
	}
	began, c0 := time.Now(), s.cpu()
	for i := 0; i < n; {
		var spans []model.Span
		for ; len(spans) < batch && i < n; i++ {
			sp := model.Span{TraceID: id, Name: "step", Kind: model.SpanKindInternal, Start: g.now + int64(i)*1000, End: g.now + int64(n)*1000}
			binary.BigEndian.PutUint64(sp.SpanID[:], uint64(i+1))
			binary.BigEndian.PutUint64(sp.ParentID[:], uint64((i+1)/2))
			sp.Attrs = model.Attrs{{Key: "step", Value: model.Int(int64(i))}}
			spans = append(spans, sp)
		}
		bodies <- pack(&model.Spans{Batches: []model.SpanBatch{{Resource: r, Scope: g.services[0].scope, Spans: spans}}})
	}
	close(bodies)
	for range senders {
		if err := <-errs; err != nil {
			return err
		}
	}
	fmt.Printf("\none trace of %d spans: acknowledged in %.1f s, %.2f CPU-s\n", n, time.Since(began).Seconds(), (s.cpu() - c0).Seconds())
	for _, offset := range []int{0, n - 100} {
		began, c0 = time.Now(), s.cpu()
		body, err := s.get(fmt.Sprintf("/api/braid/v1/traces/%s?offset=%d&limit=100", id, offset))
		if err != nil {
			return err
		}
		if got := strings.Count(body, `"spanId"`); got < 100 {
			return fmt.Errorf("page at %d of the huge trace: %d ids: %.200s", offset, got, body)
		}
		fmt.Printf("%-52s %8.2f s, %.2f CPU-s, peak memory %d MiB\n", fmt.Sprintf("page of 100 spans at %d", offset), time.Since(began).Seconds(), (s.cpu() - c0).Seconds(), s.peak()>>20)
	}
	if s.querier == "" {
		return nil
	}
	q := s.querierOf(s.querier)
	defer func() { _ = os.RemoveAll(q.dir) }()
	defer q.kill()
	if err := q.start(); err != nil {
		return err
	}
	return s.hugePages(q, id, n)
}
