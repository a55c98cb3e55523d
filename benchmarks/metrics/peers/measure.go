package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"
	"golang.org/x/sync/errgroup"

	"braid/benchmarks/metrics"
)

// result is what a system took.
type result struct {
	name           string
	newSeries      time.Duration // CPU of the first step
	steady         time.Duration // CPU of the others
	peakMB         float64
	bytes          int64
	queries        []asked
	ready          time.Duration // after kill -9
	readyCPU       time.Duration
	lost, expected int64
}

type asked struct {
	p50, p99, cpu time.Duration
}

// measure runs one system from an empty folder to its second start.
func measure(ctx context.Context, s *system, l *load) (*result, error) {
	r := &result{name: s.name}
	var err error
	if s.dir, err = os.MkdirTemp("", "braid-peers-"); err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(s.dir) }()
	defer s.kill()
	if s.port, err = freePort(); err == nil {
		s.second, err = freePort()
	}
	if err != nil {
		return nil, err
	}
	if _, err = s.start(ctx); err != nil {
		return nil, err
	}
	say := func(what string) {
		fmt.Fprintf(os.Stderr, "%s %s: %s\n", time.Now().Format(time.TimeOnly), s.name, what)
	}
	say("ready for the load")
	fleet := metrics.NewFleet(l.instances, 1, l.start)
	for step := range l.steps {
		before := s.cpu()
		if err := s.send(ctx, l, fleet, l.start.Add(time.Duration(step+1)*l.every)); err != nil {
			return nil, err
		}
		if step == 0 || step == l.steps-1 {
			settle(ctx, s)
		}
		if spent := s.cpu() - before; step == 0 {
			r.newSeries = spent
		} else {
			r.steady += spent
		}
	}
	r.peakMB = s.peakMB()
	say("loaded")
	if r.queries, err = s.ask(ctx, l); err != nil {
		return nil, err
	}
	say("asked")
	dir, err := s.flush(ctx, s)
	if err != nil {
		return nil, err
	}
	if r.bytes, err = weigh(dir); err != nil {
		return nil, err
	}
	s.kill()
	if r.ready, err = s.start(ctx); err != nil {
		return nil, err
	}
	r.readyCPU = s.cpu()
	return r, s.count(ctx, l, r)
}

// settle waits until a second passes in which the server does next to nothing:
// what it does after it has answered belongs to the load as well.
func settle(ctx context.Context, s *system) {
	for range 30 {
		before := s.cpu()
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
		if s.cpu()-before < 50*time.Millisecond {
			return
		}
	}
}

// instancesPerWrite is how many exports make a remote-write request: about the
// 2,000 samples that Prometheus sends at once.
const instancesPerWrite = 3

// send sends one export of every instance; an instance is always sent by the
// same sender, in order.
func (s *system) send(ctx context.Context, l *load, f *metrics.Fleet, at time.Time) error {
	var g errgroup.Group
	for n := range l.senders {
		g.Go(func() error {
			for i := n * instancesPerWrite; i < l.instances; i += l.senders * instancesPerWrite {
				if err := s.sendSome(ctx, f, i, min(i+instancesPerWrite, l.instances), at); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (s *system) sendSome(ctx context.Context, f *metrics.Fleet, from, to int, at time.Time) error {
	if s.otlp {
		for i := from; i < to; i++ {
			if err := s.sendExport(ctx, f, i, at); err != nil {
				return err
			}
		}
		return nil
	}
	var req prompb.WriteRequest
	for i := from; i < to; i++ {
		req.Timeseries = append(req.Timeseries, f.Write(i, at)...)
	}
	raw, err := req.Marshal()
	if err != nil {
		return err
	}
	_, err = do(ctx, "POST", s.url("/api/v1/write"), bytes.NewReader(snappy.Encode(nil, raw)),
		"Content-Type", "application/x-protobuf", "Content-Encoding", "snappy", "X-Prometheus-Remote-Write-Version", "0.1.0")
	return err
}

func (s *system) sendExport(ctx context.Context, f *metrics.Fleet, i int, at time.Time) error {
	raw, err := f.Export(i, at)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := z.Write(raw); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	_, err = do(ctx, "POST", fmt.Sprintf("http://127.0.0.1:%d/v1/metrics", s.second), &b,
		"Content-Type", "application/x-protobuf", "Content-Encoding", "gzip")
	return err
}

// question is a query of dashboards.
type question struct{ name, path, query string }

var questions = []question{
	{"sum by (service)(rate), range", "query_range", `sum by (service_name)(rate(http_server_request_duration_seconds_count[5m]))`},
	{"histogram_quantile by route, range", "query_range", `histogram_quantile(0.99, sum by (le, http_route)(rate(http_server_request_duration_seconds_bucket[5m])))`},
	{"one series, range", "query_range", `rate(app_events_3_total{k8s_pod_name="service-3-7d9c8b6f5-00015"}[5m])`},
	{"topk of pods", "query", `topk(10, sum by (k8s_pod_name)(rate(app_events_1_total[5m])))`},
	{"regular expression over pods", "query", `count(process_runtime_value_7_bytes{k8s_pod_name=~"service-.*-00(1|2)5.*"})`},
	{"label names", "labels", ``},
}

// budget is how long one question may be asked over and over.
const budget = 8 * time.Second

func (s *system) ask(ctx context.Context, l *load) (out []asked, err error) {
	end := l.start.Add(time.Duration(l.steps) * l.every)
	for _, q := range questions {
		if l.queries == 0 {
			return nil, nil
		}
		form := url.Values{"start": {unix(end.Add(-20 * time.Minute))}, "end": {unix(end)}, "step": {"30"}, "time": {unix(end)}, "nocache": {"1"}}
		if q.query != "" {
			form.Set("query", q.query)
		}
		address := s.url("/api/v1/" + q.path + "?" + form.Encode())
		if _, err := get(ctx, address); err != nil { // warm
			return nil, err
		}
		var took []time.Duration
		before, began := s.cpu(), time.Now()
		for len(took) < l.queries && (len(took) < 5 || time.Since(began) < budget) {
			start := time.Now()
			if _, err := get(ctx, address); err != nil {
				return nil, err
			}
			took = append(took, time.Since(start))
		}
		spent := s.cpu() - before
		slices.Sort(took)
		out = append(out, asked{p50: took[len(took)/2], p99: took[len(took)*99/100], cpu: spent / time.Duration(len(took))})
	}
	return out, nil
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// count compares the samples that can be read with those that were acknowledged.
func (s *system) count(ctx context.Context, l *load, r *result) error {
	span := int(time.Duration(l.steps+2)*l.every/time.Second) + 60
	end := l.start.Add(time.Duration(l.steps) * l.every)
	form := url.Values{"query": {fmt.Sprintf(`sum(count_over_time(http_server_request_duration_seconds_bucket[%ds]))`, span)}, "time": {unix(end)}, "nocache": {"1"}}
	b, err := get(ctx, s.url("/api/v1/query?"+form.Encode()))
	if err != nil {
		return err
	}
	var a struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return err
	}
	found := int64(0)
	if len(a.Data.Result) > 0 {
		text, _ := a.Data.Result[0].Value[1].(string)
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return err
		}
		found = int64(f)
	}
	r.expected = int64(l.instances * l.steps * metrics.BucketsPerInstance)
	r.lost = max(0, r.expected-found)
	return nil
}
