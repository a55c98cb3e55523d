package model

import "fmt"

// ServiceEdge says that one service calls another: one line of the service
// graph. Calls and Errors count spans.
type ServiceEdge struct {
	Parent, Child string
	Calls, Errors uint64
}

// ServiceGraph is who called whom, computed from spans.
type ServiceGraph struct {
	Edges    []GraphEdge
	Services []GraphService
}

// GraphEdge counts the calls of one service to another. A call is a span of
// kind server or consumer, or of another service than its parent, with its
// parent; or a span of kind client or producer that names a peer and has no
// child of another service and none of kind server or consumer. Type is one of
// those of pkg/calls.
type GraphEdge struct {
	Client, Server, Type string
	Calls, Errors        uint64
	// ClientLatency and ServerLatency are the durations that each side saw.
	ClientLatency, ServerLatency Latency
}

// GraphService counts the spans of a service. Requests are its entry spans:
// those of kind server or consumer, and roots.
type GraphService struct {
	Name                    string
	Spans, Errors           uint64
	Requests, RequestErrors uint64
	Latency                 Latency // of the requests
	// Lonely services call nobody and are called by nobody.
	Lonely bool
}

// Latency sums durations up, in nanoseconds; Sketch is their distribution.
type Latency struct {
	Count, Sum uint64
	Sketch     *Sketch
}

// String draws an edge for logs and tests.
func (e GraphEdge) String() string {
	return fmt.Sprintf("%s -> %s %s calls=%d errors=%d client=%d/%d server=%d/%d", e.Client, e.Server, e.Type, e.Calls, e.Errors,
		e.ClientLatency.Count, e.ClientLatency.Sum, e.ServerLatency.Count, e.ServerLatency.Sum)
}
