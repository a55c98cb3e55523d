package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// partHealth is the state of one part, as /health shows it.
type partHealth struct {
	Status string `json:"status"` // healthy, degraded, unhealthy
	Reason string `json:"reason,omitempty"`
	WayOut string `json:"way_out,omitempty"`
}

// check asks a part how it is. An empty reason means healthy.
type check func() partHealth

// wellness knows whether the process may be given work, and how its parts are.
// It is the collector of braid_part_healthy: the parts are asked at every
// scrape, so that an alert on it does not wait for somebody to look at /health.
type wellness struct {
	mu     sync.Mutex
	state  string // guarded by mu; "" means ready
	checks map[string]check
}

var partHealthy = prometheus.NewDesc("braid_part_healthy", "Whether a part works: 1 healthy, 0.5 degraded, 0 unhealthy.", []string{"part"}, nil)

func newHealth(reg prometheus.Registerer) *wellness {
	h := &wellness{state: "starting", checks: map[string]check{}}
	reg.MustRegister(h)
	return h
}

// Describe implements prometheus.Collector.
func (h *wellness) Describe(ch chan<- *prometheus.Desc) { ch <- partHealthy }

// Collect implements prometheus.Collector.
func (h *wellness) Collect(ch chan<- prometheus.Metric) {
	for name, p := range h.report().Parts {
		value := map[string]float64{"healthy": 1, "degraded": 0.5}[p.Status]
		ch <- prometheus.MustNewConstMetric(partHealthy, prometheus.GaugeValue, value, name)
	}
}

func (h *wellness) set(state string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state = state
}

func (h *wellness) waiting(step string) { h.set("starting: " + step) }
func (h *wellness) ready()              { h.set("") }
func (h *wellness) stopping()           { h.set("stopping") }

func (h *wellness) add(part string, c check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks[part] = c
}

// fromError makes a check of a function that returns what is wrong.
func fromError(f func() error, wayOut string) check {
	return func() partHealth {
		if err := f(); err != nil {
			return partHealth{Status: "unhealthy", Reason: err.Error(), WayOut: wayOut}
		}
		return partHealth{Status: "healthy"}
	}
}

// fromBlocks makes a check of a store that keeps blocks: whether what it takes
// becomes blocks, and whether all of them can be read.
func fromBlocks(failing func() error, damage func() (int, error)) check {
	return func() partHealth {
		if err := failing(); err != nil {
			return partHealth{Status: "unhealthy", Reason: err.Error(),
				WayOut: "free disk space, or look at the disk; what was taken is in memory and the ingest log, and is written by itself"}
		}
		if n, last := damage(); n > 0 {
			return partHealth{Status: "degraded", Reason: fmt.Sprintf("%d blocks were found damaged since the start, the last one: %v", n, last),
				WayOut: "restore them from a backup: docs/operations.md; the rest answers, and answers say what they miss"}
		}
		return partHealth{Status: "healthy"}
	}
}

type healthReport struct {
	Status string                `json:"status"`
	State  string                `json:"state"`
	Parts  map[string]partHealth `json:"parts"`
}

func (h *wellness) report() healthReport {
	h.mu.Lock()
	state := h.state
	names := make([]string, 0, len(h.checks))
	checks := make(map[string]check, len(h.checks))
	for n, c := range h.checks {
		names = append(names, n)
		checks[n] = c
	}
	h.mu.Unlock()
	sort.Strings(names)
	out := healthReport{Status: "healthy", State: "ready", Parts: map[string]partHealth{}}
	for _, n := range names {
		p := checks[n]()
		out.Parts[n] = p
		if p.Status == "unhealthy" || p.Status == "degraded" && out.Status == "healthy" {
			out.Status = p.Status
		}
	}
	if state != "" {
		out.State, out.Status = state, "unhealthy"
	}
	return out
}

// handleHealth answers /health: always 200, the state is in the body.
func (h *wellness) handleHealth(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, h.report())
}

// handleReady answers /-/ready: may this process be given work?
func (h *wellness) handleReady(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	state := h.state
	h.mu.Unlock()
	if state != "" {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "Braid is not ready: "+state, http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("Braid is ready.\n"))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
}
