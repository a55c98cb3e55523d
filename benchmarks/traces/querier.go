package main

import (
	"fmt"
	"strings"
	"time"

	"braid/pkg/model"
)

// querierOf is a querier in a process of its own that asks the server.
func (s *server) querierOf(program string) *server {
	q := newServer(program, s.dir+".querier", nil)
	q.launch = func(q *server, ports [4]string) (string, []string, error) {
		return "/-/ready", []string{"--data-dir", q.dir, "--ingesters", s.grpc, "--http.listen", ports[0], "--otlp.http.listen", ports[1],
			"--grpc.listen", ports[2], "--otlp.grpc.listen", ports[3]}, nil
	}
	return q
}

// hugePages opens pages of a trace of n spans through a querier: CPU and memory
// of both processes.
func (s *server) hugePages(q *server, id model.TraceID, n int) error {
	for _, offset := range []int{0, 100, n / 2, n - 100} {
		began, c0, q0 := time.Now(), s.cpu(), q.cpu()
		body, err := q.get(fmt.Sprintf("/api/braid/v1/traces/%s?offset=%d&limit=100", id, offset))
		if err != nil {
			return err
		}
		if got := strings.Count(body, `"spanId"`); got < 100 {
			return fmt.Errorf("page at %d of the huge trace through a querier: %d ids: %.200s", offset, got, body)
		}
		fmt.Printf("%-52s %8.2f s, %.2f CPU-s there, %.2f here, peak memory %d and %d MiB\n", fmt.Sprintf("page of 100 spans at %d through a querier", offset),
			time.Since(began).Seconds(), (s.cpu() - c0).Seconds(), (q.cpu() - q0).Seconds(), s.peak()>>20, q.peak()>>20)
	}
	return nil
}
