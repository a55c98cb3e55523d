package model

import (
	"fmt"
	"math"
)

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

// Latency sums durations up, in nanoseconds. Zero counts those of nothing, and
// Buckets[i] those of bucket Low+i of a Sketch.
type Latency struct {
	Count, Sum uint64
	Zero       int64
	Low        int32
	Buckets    []int64
}

// Merge adds another. It may keep its buckets.
func (l *Latency) Merge(o *Latency) {
	l.Count, l.Sum, l.Zero = l.Count+o.Count, l.Sum+o.Sum, l.Zero+o.Zero
	if len(o.Buckets) == 0 {
		return
	}
	if len(l.Buckets) == 0 {
		l.Low, l.Buckets = o.Low, append([]int64(nil), o.Buckets...)
		return
	}
	low := min(l.Low, o.Low)
	high := max(l.Low+int32(len(l.Buckets)), o.Low+int32(len(o.Buckets)))
	if n := int(high - low); n > len(l.Buckets) {
		wider := make([]int64, n)
		copy(wider[l.Low-low:], l.Buckets)
		l.Low, l.Buckets = low, wider
	}
	for i, n := range o.Buckets {
		l.Buckets[int(o.Low-l.Low)+i] += n
	}
}

// Quantile returns the q-quantile in nanoseconds, as Sketch.Quantile does; NaN
// when empty.
func (l *Latency) Quantile(q float64) float64 {
	if l.Count == 0 || math.IsNaN(q) {
		return math.NaN()
	}
	rank := int64(math.Min(math.Max(q, 0), 1) * float64(l.Count-1))
	seen := l.Zero
	if seen > rank {
		return 0
	}
	for i, n := range l.Buckets {
		if seen += n; seen > rank {
			return sketchValue(l.Low + int32(i))
		}
	}
	return math.NaN()
}

// Sketch returns the distribution of the durations.
func (l *Latency) Sketch() *Sketch {
	out := &Sketch{Zero: uint64(l.Zero), Total: l.Count}
	for i, n := range l.Buckets {
		if n > 0 {
			if out.Positive == nil {
				out.Positive = map[int32]uint64{}
			}
			out.Positive[l.Low+int32(i)] = uint64(n)
		}
	}
	return out
}

// String draws an edge for logs and tests.
func (e GraphEdge) String() string {
	return fmt.Sprintf("%s -> %s %s calls=%d errors=%d client=%d/%d server=%d/%d", e.Client, e.Server, e.Type, e.Calls, e.Errors,
		e.ClientLatency.Count, e.ClientLatency.Sum, e.ServerLatency.Count, e.ServerLatency.Sum)
}
