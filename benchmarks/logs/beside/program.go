package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"braid/benchmarks/logs"
)

// program is a server that this command starts, measures and kills.
type program struct {
	name, path string
	// args returns the command line for a data folder and four free ports.
	args func(dir string, ports []string) []string
	// prepare writes what the program reads at its start into the folder; optional.
	prepare func(dir string, ports []string) error
	// ready is the path that answers 200 when the server may be asked.
	ready string
	// flush is the path that makes the server store what it holds; optional.
	flush string
	// use fills in where records go and questions are asked.
	use func(o *options, ports []string)
	// folders are those of the data folder that hold records.
	folders []string

	dir   string
	ports []string
	cmd   *exec.Cmd
}

func braid(path string) *program {
	return &program{name: "Braid", path: path, ready: "/-/ready", folders: []string{"logs", "ingestlog"},
		args: func(dir string, p []string) []string {
			return []string{"serve", "--data-dir", dir, "--http.listen", p[0], "--otlp.http.listen", p[1], "--grpc.listen", p[2], "--otlp.grpc.listen", p[3]}
		},
		use: func(o *options, p []string) {
			o.send, o.loki, o.victoria = "http://"+p[1]+"/v1/logs", "http://"+p[0], ""
		}}
}

func victoriaLogs(path string) *program {
	return &program{name: "VictoriaLogs", path: path, ready: "/health", folders: []string{"."},
		args: func(dir string, p []string) []string {
			return []string{"-storageDataPath=" + dir, "-httpListenAddr=" + p[0]}
		},
		use: func(o *options, p []string) {
			o.send, o.loki, o.victoria = "http://"+p[0]+"/insert/opentelemetry/v1/logs", "", "http://"+p[0]
			o.headers.Set("VL-Stream-Fields", "service.name")
		}}
}

// measure runs a program from an empty folder to its second start: what taking
// the records cost, the questions warm, the restart after kill -9, the
// questions once more with nothing in the page cache.
func (p *program) measure(ctx context.Context, o options, start int64) (err error) {
	if p.dir, err = os.MkdirTemp(o.dir, "braid-beside-"); err != nil {
		return err
	}
	if o.keep {
		fmt.Printf("\nthe folder of %s: %s\n", p.name, p.dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(p.dir)) }()
	}
	defer p.kill()
	o.headers = o.headers.Clone()
	if err := p.start(ctx, &o); err != nil {
		return err
	}
	fmt.Printf("\n## %s\n\n", p.name)
	known, err := o.fill(ctx, start)
	if err != nil {
		return err
	}
	before, err := o.count(ctx, known, start)
	if err != nil {
		return err
	}
	if err := o.ask(ctx, o.questions(known, start)); err != nil {
		return err
	}
	p.kill()
	for _, f := range p.folders {
		size, err := weigh(filepath.Join(p.dir, f))
		if err != nil {
			return err
		}
		fmt.Printf("on disk, %s: %.1f bytes a record\n", f, float64(size)/float64(o.records))
	}
	if err := evict(p.dir); err != nil {
		return err
	}
	begun := time.Now()
	if err := p.start(ctx, &o); err != nil {
		return err
	}
	took, used := time.Since(begun), usageOf(o.pid).cpu
	after, err := o.count(ctx, known, start)
	if err != nil {
		return err
	}
	fmt.Printf("ready after kill -9: %.2f s, %.2f CPU-seconds; records sent %d, found before %d, after %d\n\nOnce each, files not cached:\n\n",
		took.Seconds(), used.Seconds(), o.records, before, after)
	if err := evict(p.dir); err != nil {
		return err
	}
	o.times = 0
	return o.ask(ctx, o.questions(known, start))
}

// start runs the program until it is ready.
func (p *program) start(ctx context.Context, o *options) error {
	p.ports = p.ports[:0]
	for range 4 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		p.ports = append(p.ports, l.Addr().String())
		if err := l.Close(); err != nil {
			return err
		}
	}
	if p.prepare != nil {
		if err := p.prepare(p.dir, p.ports); err != nil {
			return err
		}
	}
	p.cmd = exec.Command(p.path, p.args(p.dir, p.ports)...)
	p.cmd.Stdout, p.cmd.Stderr = io.Discard, io.Discard
	if err := p.cmd.Start(); err != nil {
		return err
	}
	o.pid = p.cmd.Process.Pid
	p.use(o, p.ports)
	if p.flush != "" {
		o.flush = "http://" + p.ports[0] + p.flush
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.ports[0]+p.ready, nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after two minutes: %w", p.name, ctx.Err())
		}
	}
}

// kill ends the program as a power switch would.
func (p *program) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// idle waits until three seconds pass in which the server does next to nothing:
// what it does after it has answered belongs to the load as well.
func (o *options) idle(ctx context.Context) error {
	quiet := 0
	for range 180 {
		before := usageOf(o.pid).cpu
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		if quiet++; usageOf(o.pid).cpu-before > 50*time.Millisecond {
			quiet = 0
		}
		if quiet == 3 {
			break
		}
	}
	return nil
}

// lastNumber is the count in an answer of either server: its last number in quotes.
var lastNumber = regexp.MustCompile(`"(\d+)"[^"\d]*$`)

// count asks how many records there are.
func (o *options) count(ctx context.Context, k logs.Known, start int64) (int64, error) {
	target := ""
	if o.victoria != "" {
		target = victoriaURL(o.victoria, k, start, "* | stats count() n")
	} else {
		q := fmt.Sprintf(`sum(count_over_time({service_name=~".+"}[%ds]))`, int64(span(k, start).Seconds())+1)
		target = o.loki + "/loki/api/v1/query?" + url.Values{"query": {q}, "time": {strconv.FormatInt(k.End, 10)}}.Encode()
	}
	body, err := o.body(ctx, target)
	if err != nil {
		return 0, err
	}
	text, _, _ := strings.Cut(string(body), `"stats"`) // Loki's own numbers come behind
	if i := strings.Index(text, `"value"`); i >= 0 {
		text = text[i:]
	}
	m := lastNumber.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("no count in the answer %.300q", body)
	}
	return strconv.ParseInt(m[1], 10, 64)
}

func weigh(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return size, err
}

// evict asks the system to forget the files of a folder.
func evict(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
	})
}
