package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// system is a server under load.
type system struct {
	name    string
	program string
	otlp    bool // fed by OTLP instead of remote write
	// args returns the command line for a data folder and two free ports.
	args func(dir string, port, second int) []string
	// ready is the path that answers 200 when the server may be asked.
	ready string
	// flush makes everything be on disk and returns the folder to weigh.
	flush func(ctx context.Context, s *system) (string, error)

	dir          string
	port, second int
	cmd          *exec.Cmd
}

func (s *system) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", s.port, path) }

// start runs the program until it is ready and returns how long that took.
func (s *system) start(ctx context.Context) (time.Duration, error) {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { _ = log.Close() }()
	s.cmd = exec.Command(s.program, s.args(s.dir, s.port, s.second)...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	for {
		if _, err := get(ctx, s.url(s.ready)); err == nil {
			return time.Since(began), nil
		}
		select {
		case err := <-ended:
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return 0, fmt.Errorf("%s ended before it was ready: %w\n%s", s.name, err, text[max(0, len(text)-2000):])
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// kill ends the program as a power switch would, and waits until it is gone.
func (s *system) kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	for s.cmd.Process.Signal(syscall.Signal(0)) == nil {
		time.Sleep(time.Millisecond)
	}
	s.cmd = nil
}

// cpu is the CPU time that the process has used so far.
func (s *system) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// The name, in brackets, may hold blanks.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	const utime, stime, tick = 11, 12, 10 * time.Millisecond
	u, _ := strconv.ParseInt(fields[utime], 10, 64)
	k, _ := strconv.ParseInt(fields[stime], 10, 64)
	return time.Duration(u+k) * tick
}

// peakMB is the greatest resident set so far.
func (s *system) peakMB() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func get(ctx context.Context, url string) ([]byte, error) { return do(ctx, http.MethodGet, url, nil) }

func do(ctx context.Context, method, url string, body io.Reader, header ...string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, b[:min(len(b), 500)])
	}
	return b, err
}

// weigh is the size of the files below a folder.
func weigh(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}
