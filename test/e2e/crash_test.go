package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// perRequest is how many records, spans and series one request carries.
const perRequest = 5

// acked are the numbers of requests that were answered 200, by signal.
type acked struct {
	mu   sync.Mutex
	sent map[string][]int // guarded by mu
}

func (a *acked) add(signal string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent[signal] = append(a.sent[signal], n)
}

// payload makes request n of a signal: its number is in every record of it.
func payload(signal string, n int) []byte {
	at := now()
	var body []byte
	switch signal {
	case "logs":
		l := plog.NewLogs()
		rl := l.ResourceLogs().AppendEmpty()
		rl.Resource().Attributes().PutStr("service.name", "crash")
		sl := rl.ScopeLogs().AppendEmpty()
		for i := range perRequest {
			r := sl.LogRecords().AppendEmpty()
			r.SetTimestamp(at)
			r.Body().SetStr(fmt.Sprintf("request n%d record %d", n, i))
		}
		body, _ = plogotlp.NewExportRequestFromLogs(l).MarshalProto()
	case "traces":
		t := ptrace.NewTraces()
		rs := t.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", "crash")
		ss := rs.ScopeSpans().AppendEmpty()
		for i := range perRequest {
			s := ss.Spans().AppendEmpty()
			s.SetTraceID([16]byte{1, byte(n >> 16), byte(n >> 8), byte(n)})
			s.SetSpanID([8]byte{1, byte(i)})
			s.SetName(fmt.Sprintf("n%d", n))
			s.SetStartTimestamp(at)
			s.SetEndTimestamp(at + 1000)
		}
		body, _ = ptraceotlp.NewExportRequestFromTraces(t).MarshalProto()
	case "metrics":
		m := pmetric.NewMetrics()
		rm := m.ResourceMetrics().AppendEmpty()
		rm.Resource().Attributes().PutStr("service.name", "crash")
		g := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		g.SetName("crash_value")
		gauge := g.SetEmptyGauge()
		for i := range perRequest {
			p := gauge.DataPoints().AppendEmpty()
			p.SetTimestamp(at)
			p.SetDoubleValue(float64(n))
			p.Attributes().PutStr("n", strconv.Itoa(n))
			p.Attributes().PutStr("i", strconv.Itoa(i))
		}
		body, _ = pmetricotlp.NewExportRequestFromMetrics(m).MarshalProto()
	}
	return body
}

// TestKill9LosesNothingAcknowledged sends all three signals from several
// clients, kills the program while they do, starts it again, four times; then
// every acknowledged record is there, once.
func TestKill9LosesNothingAcknowledged(t *testing.T) {
	p := start(t, "braid", "--data-dir", t.TempDir(), "--http.listen", "127.0.0.1:0", "--grpc.listen", "127.0.0.1:0",
		"--otlp.http.listen", "127.0.0.1:0", "--otlp.grpc.listen", "127.0.0.1:0")
	got := &acked{sent: map[string][]int{}}
	r := rand.New(rand.NewPCG(1, 9))
	next := 0
	for range 4 {
		stop := make(chan struct{})
		var wg sync.WaitGroup
		var mu sync.Mutex
		for _, signal := range []string{"logs", "traces", "metrics", "logs", "traces", "metrics"} {
			wg.Add(1)
			go func() {
				defer wg.Done()
				client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
				for {
					select {
					case <-stop:
						return
					default:
					}
					mu.Lock()
					next++
					n := next
					mu.Unlock()
					resp, err := client.Post(p.otlpHTTP+"/v1/"+signal, "application/x-protobuf", bytes.NewReader(payload(signal, n)))
					if err != nil {
						return // killed
					}
					_ = resp.Body.Close()
					if resp.StatusCode == 200 {
						got.add(signal, n)
					}
				}
			}()
		}
		time.Sleep(time.Duration(100+r.IntN(400)) * time.Millisecond)
		p.kill()
		close(stop)
		wg.Wait()
		p.launch()
	}
	for _, signal := range []string{"logs", "traces", "metrics"} {
		require.NotEmpty(t, got.sent[signal])
		t.Logf("%s: %d requests acknowledged", signal, len(got.sent[signal]))
	}

	_, body := ask(t, p.http+"/api/v1/query?query="+url.QueryEscape("count by (n) (last_over_time(crash_value[1h]))"), "")
	counts := vector(t, body, "n")
	for _, n := range got.sent["metrics"] {
		require.EqualValues(t, perRequest, counts[strconv.Itoa(n)], "series of acknowledged request %d", n)
	}
	for _, n := range got.sent["traces"] {
		id := fmt.Sprintf("01%02x%02x%02x%024x", byte(n>>16), byte(n>>8), byte(n), 0)
		code, body := ask(t, p.http+"/api/v2/trace/"+id, "")
		require.Equal(t, 200, code, "trace of acknowledged request %d: %s", n, body)
		require.Equal(t, perRequest, strings.Count(body, fmt.Sprintf(`"n%d"`, n)), body)
	}
	lines := map[string]int{}
	for _, line := range logLines(t, p, `{service_name="crash"}`) {
		lines[line]++
	}
	for _, n := range got.sent["logs"] {
		for i := range perRequest {
			require.Equal(t, 1, lines[fmt.Sprintf("request n%d record %d", n, i)], "records of acknowledged request %d", n)
		}
	}
}

func vector(t *testing.T, body, label string) map[string]float64 {
	t.Helper()
	var res struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &res), body)
	out := map[string]float64{}
	for _, s := range res.Data.Result {
		v, err := strconv.ParseFloat(fmt.Sprint(s.Value[1]), 64)
		require.NoError(t, err)
		out[s.Metric[label]] = v
	}
	return out
}

// logLines pages through all lines of a query, oldest first.
func logLines(t *testing.T, p *process, query string) (lines []string) {
	t.Helper()
	const page = 5000
	from := time.Now().Add(-time.Hour).UnixNano()
	seen := map[string]bool{}
	for {
		_, body := ask(t, fmt.Sprintf("%s/loki/api/v1/query_range?query=%s&limit=%d&direction=forward&start=%d&end=%d", p.http, url.QueryEscape(query), page,
			from, time.Now().Add(time.Hour).UnixNano()), "")
		var res struct {
			Data struct{ Result []struct{ Values [][]string } }
		}
		require.NoError(t, json.Unmarshal([]byte(body), &res), body)
		n, last := 0, from
		for _, s := range res.Data.Result {
			for _, v := range s.Values {
				n++
				at, err := strconv.ParseInt(v[0], 10, 64)
				require.NoError(t, err)
				last = max(last, at)
				// A page begins at the last moment of the one before: what was
				// there already is told by time and line. A line that is stored
				// twice has two times, or stands twice within a page.
				if key := v[0] + v[1]; !seen[key] || at != from {
					seen[key] = true
					lines = append(lines, v[1])
				}
			}
		}
		if n < page || last == from {
			return lines
		}
		from = last
	}
}
