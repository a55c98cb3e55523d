// Package e2e tries the real programs from outside: built as users build them,
// fed over real OTLP, asked over HTTP and gRPC, killed and started again. Every
// test runs against `braid serve` and against ingester, querier and alerter as
// three processes, which must answer alike.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var bin string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run builds the programs once, or takes those of BRAID_BIN.
func run(m *testing.M) (int, error) {
	bin = os.Getenv("BRAID_BIN")
	if bin == "" {
		dir, err := os.MkdirTemp("", "braid-e2e-*")
		if err != nil {
			return 0, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./cmd/...")
		build.Dir = "../.."
		if out, err := build.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("cannot build: %w\n%s", err, out)
		}
		bin = dir
	}
	return m.Run(), nil
}

// process is one running program and the addresses that it greeted with.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	args []string
	log  *bytes.Buffer
	done chan struct{}

	http, grpc, otlpHTTP, otlpGRPC string
}

// startTimeout is generous: the machine may be busy with other tests.
const startTimeout = 60 * time.Second

var addressLine = regexp.MustCompile(`^\s+(UI and every query API|Health and metrics|Send OTLP/gRPC to|Send OTLP/HTTP to|gRPC)\s+(\S+)`)

// start runs a program and waits for its greeting, which comes when it is ready.
func start(t *testing.T, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, args: append([]string{program}, args...)}
	p.launch()
	t.Cleanup(func() {
		p.stop(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("log of %s:\n%s", program, p.log)
		}
	})
	return p
}

func (p *process) launch() {
	p.t.Helper()
	program := p.args[0]
	args := p.args[1:]
	if program == "braid" {
		args = append([]string{"serve"}, args...)
	}
	p.log, p.done = &bytes.Buffer{}, make(chan struct{})
	p.cmd = exec.Command(filepath.Join(bin, program), args...)
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, p.cmd.Start())
	ready := make(chan bool, 1)
	go func() {
		defer close(p.done)
		p.greeting(out, ready)
		_ = p.cmd.Wait()
	}()
	select {
	case ok := <-ready:
		require.True(p.t, ok, "%s ended before it was ready:\n%s", program, p.log)
	case <-time.After(startTimeout):
		_ = p.cmd.Process.Kill()
		p.t.Fatalf("%s is not ready after %s:\n%s", program, startTimeout, p.log)
	}
}

// greeting reads the addresses; the greeting ends with the line of the gRPC port.
func (p *process) greeting(out io.Reader, ready chan<- bool) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		m := addressLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		switch m[1] {
		case "UI and every query API", "Health and metrics":
			p.http = strings.TrimSuffix(m[2], "/health")
		case "Send OTLP/gRPC to":
			p.otlpGRPC = m[2]
		case "Send OTLP/HTTP to":
			p.otlpHTTP = m[2]
		case "gRPC":
			p.grpc = m[2]
			ready <- true
		}
	}
	select {
	case ready <- false:
	default:
	}
}

// stop ends the program with a signal and waits for it.
func (p *process) stop(sig syscall.Signal) {
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(startTimeout):
		_ = p.cmd.Process.Kill()
		p.t.Errorf("%s did not end after signal %v", p.args[0], sig)
	}
}

// kill ends the program as a power cut of the process: kill -9.
func (p *process) kill() { p.stop(syscall.SIGKILL) }

// system is a Braid to try: in one process or in three.
type system struct {
	name              string
	ingest, query     *process
	alert             *process
	otlpHTTP, httpURL string
}

// shapes runs a test against both shapes. flags go to the alerter's part too.
func shapes(t *testing.T, flags []string, try func(t *testing.T, s *system)) {
	listen := []string{"--http.listen", "127.0.0.1:0", "--grpc.listen", "127.0.0.1:0"}
	receive := []string{"--otlp.http.listen", "127.0.0.1:0", "--otlp.grpc.listen", "127.0.0.1:0"}
	// Options that are not used still have to be valid and apart.
	unused := []string{"--otlp.http.listen", "127.0.0.1:1", "--otlp.grpc.listen", "127.0.0.1:2"}
	join := func(parts ...[]string) (out []string) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	t.Run("one process", func(t *testing.T) {
		p := start(t, "braid", join(listen, receive, []string{"--data-dir", t.TempDir()}, flags)...)
		try(t, &system{name: "one", ingest: p, query: p, alert: p, otlpHTTP: p.otlpHTTP, httpURL: p.http})
	})
	t.Run("three processes", func(t *testing.T) {
		i := start(t, "ingester", join(listen, receive, []string{"--data-dir", t.TempDir()})...)
		// The alerter must be known to the querier, and the querier to the
		// alerter: the alerter's port is chosen beforehand.
		port := freePort(t)
		q := start(t, "querier", join(listen, unused, []string{"--data-dir", t.TempDir(), "--ingesters", i.grpc, "--alerter", "http://" + port})...)
		a := start(t, "alerter", join([]string{"--http.listen", port, "--grpc.listen", "127.0.0.1:0"}, unused,
			[]string{"--data-dir", t.TempDir(), "--querier", q.grpc, "--write", i.http}, flags)...)
		try(t, &system{name: "three", ingest: i, query: q, alert: a, otlpHTTP: i.otlpHTTP, httpURL: q.http})
	})
}

// ask sends a GET and returns status and body.
func ask(t *testing.T, url, who string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	if who != "" {
		r.Header.Set("X-Scope-OrgID", who)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}
