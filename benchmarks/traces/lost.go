package main

import (
	"fmt"
	"strings"
	"time"

	"braid/pkg/model"
)

// lost kills a program as soon as it has acknowledged the last span, starts it
// again, and tells how many traces are no longer there, or not in full.
func (s *server) lost(byID string, spans, batch, senders int) error {
	if err := s.start(); err != nil {
		return err
	}
	defer s.kill()
	g := newGenerator(1, time.Now().Add(-time.Duration(spans/10_000+30)*time.Second).UnixNano())
	sizes := map[model.TraceID]int{}
	g.made = func(id model.TraceID, n int) { sizes[id] = n }
	if _, err := s.send(g, spans, batch, senders); err != nil {
		return err
	}
	s.kill()
	if err := s.start(); err != nil {
		return err
	}
	if s.launch != nil {
		time.Sleep(settle)
	}
	s.idle()
	gone, short := 0, 0
	for id, n := range sizes {
		body, err := s.get(byID + id.String())
		if err != nil {
			return err
		}
		// OTLP's JSON and Jaeger's each have one of these a span.
		switch found := strings.Count(body, `"startTimeUnixNano":`) + strings.Count(body, `"operationName":`); {
		case found == 0:
			gone++
		case found < n:
			short++
		}
	}
	fmt.Printf("%d spans in %d traces, killed after the last acknowledgement: %d traces are gone, %d lack spans\n", g.spans, g.traces, gone, short)
	return nil
}
