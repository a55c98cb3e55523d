package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"braid/benchmarks/logs"
)

// question is one request; all servers are asked the same of the same records.
type question struct {
	name string
	url  string
}

// texts are the questions: a LogQL query and the LogsQL one that means the same.
// An empty one cannot be asked there.
func texts(k logs.Known, span time.Duration) [][3]string {
	all := fmt.Sprintf("[%ds]", int64(span.Seconds())+1)
	count := func(name, logql, logsql string) [3]string {
		return [3]string{name, "sum(count_over_time(" + logql + all + "))", logsql + " | stats count() n"}
	}
	step := fmt.Sprintf("%ds", int64(span.Seconds())/60+1)
	return [][3]string{
		{"rare word, rows", `{service_name=~".+"} |= "` + logs.RareWord + `"`, logs.RareWord},
		count("frequent word, count", `{service_name=~".+"} |= "INFO"`, `INFO`),
		{"frequent word, newest 100", `{service_name=~".+"} |= "INFO"`, `INFO`},
		count("phrase, count", `{service_name=~".+"} |= "connection timeout"`, `"connection timeout"`),
		count("substring, count", `{service_name=~".+"} |= "cketRespon"`, `~"cketRespon"`),
		count("digit substring, count", `{service_name=~".+"} |= "_12345"`, `~"_12345"`),
		count("regexp with a literal, count", "{service_name=~\".+\"} |~ `PacketResponder \\d+ for block blk_\\d+7`", "~`PacketResponder \\d+ for block blk_\\d+7`"),
		count("regexp without a literal, count", "{service_name=~\".+\"} |~ `\\d{3}\\.\\d{2}\\s`", "~`\\d{3}\\.\\d{2}\\s`"),
		count("word ignoring case, count", `{service_name=~".+"} |~ "(?i)error"`, `i(error)`),
		{"user id, rows", `{service_name=~".+"} | user_id="` + k.User + `"`, `user.id:="` + k.User + `"`},
		{"request id", `{service_name=~".+"} | request_id="` + k.Request + `"`, `request.id:="` + k.Request + `"`},
		{"trace id", `{service_name=~".+"} | trace_id="` + k.Trace.String() + `"`, `trace_id:="` + k.Trace.String() + `"`},
		{"service and severity, newest 100", `{service_name="` + k.Service + `"} | severity_number>=17`, `service.name:="` + k.Service + `" severity:in(ERROR,FATAL)`},
		{"newest 100 of all", `{service_name=~".+"}`, `*`},
		{"histogram by severity", `sum by (detected_level) (count_over_time({service_name=~".+"}[` + step + `]))`, `* | stats by (_time:` + step + `, severity) count() n`},
		{"top 10 routes", `topk(10, sum by (http_route) (count_over_time({service_name=~".+"}` + all + `)))`, `* | stats by (http.route) count() n | sort by (n desc) limit 10`},
		{"top 10 users", `topk(10, sum by (user_id) (count_over_time({service_name=~".+"}` + all + `)))`, `* | stats by (user.id) count() n | sort by (n desc) limit 10`},
		{"quantile by service", `quantile_over_time(0.99, {service_name=~".+"} | unwrap duration_ms ` + all + `) by (service_name)`, `* | stats by (service.name) quantile(0.99, duration_ms) q`},
	}
}

// span is the time of the records, with the end open for the last of them.
func span(k logs.Known, start int64) time.Duration { return time.Duration(k.End - start) }

func lokiQuestions(base string, k logs.Known, start int64) (out []question) {
	for _, t := range texts(k, span(k, start)) {
		v := url.Values{"query": {t[1]}, "limit": {"100"}, "direction": {"backward"}}
		path := "/loki/api/v1/query_range"
		switch {
		case t[0] == "histogram by severity":
			v.Set("step", fmt.Sprintf("%ds", int64(span(k, start).Seconds())/60+1))
			fallthrough
		case strings.HasPrefix(t[1], "{"):
			v.Set("start", strconv.FormatInt(start, 10))
			v.Set("end", strconv.FormatInt(k.End, 10))
		default:
			path = "/loki/api/v1/query"
			v.Set("time", strconv.FormatInt(k.End, 10))
		}
		out = append(out, question{t[0], strings.TrimSuffix(base, "/") + path + "?" + v.Encode()})
	}
	return out
}

func victoriaQuestions(base string, k logs.Known, start int64) (out []question) {
	for _, t := range texts(k, span(k, start)) {
		out = append(out, question{t[0], victoriaURL(base, k, start, t[2])})
	}
	return out
}

func victoriaURL(base string, k logs.Known, start int64, query string) string {
	stamp := func(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
	v := url.Values{"query": {query}, "start": {stamp(start)}, "end": {stamp(k.End)}}
	if !strings.Contains(query, "|") {
		v.Set("limit", "100")
	}
	return strings.TrimSuffix(base, "/") + "/select/logsql/query?" + v.Encode()
}

// ask asks each question some times after once to warm up; once, if it is 0 times.
func (o *options) ask(ctx context.Context, list []question) error {
	fmt.Printf("| question | CPU ms | p50 ms | p99 ms | answer bytes |\n|---|---|---|---|---|\n")
	for n, q := range list {
		if o.only != nil && !o.only.MatchString(q.name) {
			continue
		}
		size, err := int64(0), error(nil)
		if o.times > 0 {
			if _, err = o.get(ctx, q.url); err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
		}
		profiled := make(chan error, 1)
		atLeast := time.Duration(0)
		if o.queryProfile != "" && o.loki != "" && o.times > 0 {
			atLeast = profileOfQuestion
			go func() { profiled <- o.saveProfile(ctx, cpuProfile(atLeast), fmt.Sprintf("%s.%02d", o.queryProfile, n)) }()
		} else {
			profiled <- nil
		}
		before, asked := usageOf(o.pid), time.Now()
		var walls []time.Duration
		for len(walls) < max(1, o.times) || time.Since(asked) < atLeast {
			begun := time.Now()
			if size, err = o.get(ctx, q.url); err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
			walls = append(walls, time.Since(begun))
		}
		used := usageOf(o.pid).cpu - before.cpu
		if err := <-profiled; err != nil {
			return err
		}
		slices.Sort(walls)
		fmt.Printf("| %s | %.1f | %.1f | %.1f | %d |\n", q.name, ms(used)/float64(len(walls)), ms(walls[len(walls)/2]), ms(walls[len(walls)*99/100]), size)
	}
	fmt.Printf("\npeak memory of the server: %d MiB\n", usageOf(o.pid).peak>>20)
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// get returns how long an answer is.
func (o *options) get(ctx context.Context, target string) (int64, error) {
	body, err := o.body(ctx, target)
	return int64(len(body)), err
}

// maxAnswer bounds what is taken of an answer.
const maxAnswer = 256 << 20

func (o *options) body(ctx context.Context, target string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	req.Header = o.headers.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
		return nil, fmt.Errorf("%s: %s", res.Status, text)
	}
	return io.ReadAll(io.LimitReader(res.Body, maxAnswer))
}

// usage is what a process has used so far.
type usage struct {
	cpu  time.Duration
	peak int64 // bytes resident at most
}

// tick is what the kernel counts CPU time in, for programs.
const tick = 10 * time.Millisecond

// usageOf reads the usage of a process from /proc; zero without one.
func usageOf(pid int) (u usage) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u
	}
	// the name of the program, in parentheses, may hold anything
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, i := range []int{11, 12} { // user and system
		if i < len(fields) {
			n, _ := strconv.ParseInt(fields[i], 10, 64)
			u.cpu += time.Duration(n) * tick
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			u.peak = n << 10
		}
	}
	return u
}
