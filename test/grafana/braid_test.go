// Package grafana_test holds Braid to what Grafana asks of it. No Grafana runs
// here: the tests send what its built-in data sources send (health checks,
// explore, drilldown, variables, panels of the provisioned dashboards) to a real
// `braid serve` that `braid generate` fed, and hold the answers to the shapes
// that those data sources parse.
package grafana_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
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

// fixture is the Braid that all tests of the package ask.
type fixture struct {
	http    string
	traceID string
	request string
	now     time.Time
}

var braid fixture

// startTimeout is generous: the machine may be busy with other tests.
const startTimeout = 60 * time.Second

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run builds Braid, or takes that of BRAID_BIN, starts and feeds it.
func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "braid-grafana-*")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin := os.Getenv("BRAID_BIN")
	if bin == "" {
		bin = filepath.Join(dir, "bin")
		build := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "./cmd/braid")
		build.Dir = "../.."
		if out, err := build.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("cannot build: %w\n%s", err, out)
		}
	}
	config := filepath.Join(dir, "braid.yaml")
	// Own metrics often, so that rates of them exist at once.
	if err := os.WriteFile(config, []byte("self: {interval: 1s}\n"), 0o600); err != nil {
		return 0, err
	}
	server := exec.Command(filepath.Join(bin, "braid"), "serve", "--config", config, "--data-dir", filepath.Join(dir, "data"),
		"--http.listen", "127.0.0.1:0", "--grpc.listen", "127.0.0.1:0", "--otlp.http.listen", "127.0.0.1:0", "--otlp.grpc.listen", "127.0.0.1:0")
	var log bytes.Buffer
	server.Stderr = &log
	out, err := server.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := server.Start(); err != nil {
		return 0, fmt.Errorf("cannot start braid: %w", err)
	}
	defer func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait()
	}()
	otlp, err := greeting(out)
	if err == nil {
		err = feed(filepath.Join(bin, "braid"), otlp)
	}
	if err == nil {
		err = awaitOwnMetrics()
	}
	if err != nil {
		return 0, fmt.Errorf("%w; log of braid:\n%s", err, log.String())
	}
	return m.Run(), nil
}

var (
	addressLine = regexp.MustCompile(`^\s+(UI and every query API|Send OTLP/HTTP to|gRPC)\s+(\S+)`)
	failedLine  = regexp.MustCompile(`failed checkout\s+(\S+)\s+\(trace ([0-9a-f]{32})\)`)
)

// greeting reads the addresses that Braid names when it is ready.
func greeting(out io.Reader) (otlp string, err error) {
	found := make(chan string, 1)
	go func() {
		defer close(found)
		otlp := ""
		for lines := bufio.NewScanner(out); lines.Scan(); {
			m := addressLine.FindStringSubmatch(lines.Text())
			switch {
			case m == nil:
			case m[1] == "gRPC":
				found <- otlp
			case m[1] == "Send OTLP/HTTP to":
				otlp = m[2]
			default:
				braid.http = m[2]
			}
		}
	}()
	select {
	case otlp, ok := <-found:
		if !ok {
			return "", fmt.Errorf("braid ended before it was ready")
		}
		return otlp, nil
	case <-time.After(startTimeout):
		return "", fmt.Errorf("braid is not ready after %s", startTimeout)
	}
}

func feed(program, endpoint string) error {
	out, err := exec.Command(program, "generate", "--endpoint", endpoint, "--backfill", "40m", "--backfill-only", "--incident", "--seed", "7").CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot generate: %w\n%s", err, out)
	}
	m := failedLine.FindStringSubmatch(string(out))
	if m == nil {
		return fmt.Errorf("generate named no failed checkout:\n%s", out)
	}
	braid.request, braid.traceID = m[1], m[2]
	return nil
}

// awaitOwnMetrics waits until Braid kept its own metrics often enough for rates
// after the data came.
func awaitOwnMetrics() error {
	deadline := time.Now().Add(startTimeout)
	q := url.Values{"query": {`count_over_time(braid_logstore_appended_records_total[5m]) >= 4 and increase(braid_logstore_appended_records_total[5m]) > 0`}}
	for {
		resp, err := http.Get(braid.http + "/api/v1/query?" + q.Encode())
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return err
		}
		if strings.Contains(string(body), `"value"`) {
			braid.now = time.Now()
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("braid keeps no metrics of itself: %s", body)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// call is one request as a data source sends it.
type call struct {
	method string // GET when empty
	path   string
	params url.Values
	header map[string]string
}

// send sends a call through one base path and returns status and body.
func (c call) send(t *testing.T) (int, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	method, target, body := c.method, braid.http+c.path, io.Reader(nil)
	if method == "" {
		method = http.MethodGet
	}
	if method == http.MethodPost {
		body = strings.NewReader(c.params.Encode())
	} else if len(c.params) > 0 {
		target += "?" + c.params.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	require.NoError(t, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range c.header {
		r.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	out, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, out
}

// read sends a call that must succeed and decodes its JSON.
func (c call) read(t *testing.T, into any) {
	t.Helper()
	status, body := c.send(t)
	require.Equal(t, http.StatusOK, status, "%s: %s", c.path, body)
	require.NoError(t, json.Unmarshal(body, into), "%s: %s", c.path, body)
}

// window is the time that the tests ask about: all that was generated.
func window() (from, to time.Time) { return braid.now.Add(-45 * time.Minute), braid.now }
