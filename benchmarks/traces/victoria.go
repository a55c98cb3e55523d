package main

import (
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// benchVictoria gives VictoriaTraces the same load, and asks it what its Jaeger
// API can be asked. It acknowledges what is in memory, and finds a trace by id
// only when it has written it: it is left alone for a while first.
func benchVictoria(bin, dir string, spans, batch, senders, rounds int) error {
	s := &server{bin: bin, dir: dir, victoria: true, client: &http.Client{Timeout: 2 * time.Minute}}
	if err := s.start(); err != nil {
		return err
	}
	defer s.kill()
	g := newGenerator(1, time.Now().Add(-time.Duration(spans/10_000+30)*time.Second).UnixNano())
	took, err := s.send(g, spans, batch, senders)
	if err != nil {
		return err
	}
	acked := s.cpu()
	time.Sleep(40 * time.Second)
	s.idle()
	per := 1e6 / float64(g.spans)
	fmt.Printf("%d spans in %d traces, acknowledged in %.1f s wall\n", g.spans, g.traces, took.Seconds())
	fmt.Printf("%-52s %8.2f CPU-s a million\n", "until the last acknowledgement", acked.Seconds()*per)
	fmt.Printf("%-52s %8.2f CPU-s a million\n", "with what followed until idle", s.cpu().Seconds()*per)
	fmt.Printf("%-52s %8d MiB\n", "peak memory", s.peak()>>20)
	const api = "/select/jaeger/api"
	find := func(kv ...string) string {
		v := url.Values{"start": {fmt.Sprint(g.begun/1e3 - 1e6)}, "end": {fmt.Sprint(g.now/1e3 + 2e6)}, "limit": {"20"}}
		for i := 0; i < len(kv); i += 2 {
			v.Set(kv[i], kv[i+1])
		}
		return api + "/traces?" + v.Encode()
	}
	err = s.ask("warm", []httpQuestion{
		{"trace by id, recent", api + "/traces/" + g.recent.String()},
		{"trace by id, old", api + "/traces/" + g.old.String()},
		{"service + operation + duration", find("service", "service-07", "operation", "GET /api/v1/service-07/resource2/{id}", "minDuration", "100ms")},
		{"services", api + "/services"},
		{"operations of a service", api + "/services/service-07/operations"},
	}, rounds)
	if err != nil {
		return err
	}
	s.kill()
	fmt.Printf("\n%-52s %8.1f bytes a span\n", "on disk", float64(size(dir))/float64(g.spans))
	return nil
}
