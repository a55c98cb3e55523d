package model

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"
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

// Latency sums durations up, in nanoseconds. Zero counts those of nothing. A
// bucket of a Sketch has what all of Buckets say of it, added up.
type Latency struct {
	Count, Sum uint64
	Zero       int64
	Buckets    []LatencyBuckets
}

// LatencyBuckets has in Counts[i] what is in bucket Low+i of a Sketch, or, of a part,
// what that changes. Only read: parts share them.
type LatencyBuckets struct {
	Low    int32
	Counts []int64
}

// DurationBuckets reports whether n buckets from low on may be those of
// durations: who reads them from elsewhere makes room for all between two.
func DurationBuckets(low int64, n int) bool {
	const most = 1 << 15 // any int64 lies far within
	return low >= -most && low <= most-int64(n)
}

// Merge adds another.
func (l *Latency) Merge(o *Latency) {
	l.Count, l.Sum, l.Zero = l.Count+o.Count, l.Sum+o.Sum, l.Zero+o.Zero
	l.Buckets = slices.Concat(l.Buckets, o.Buckets)
}

// whole returns the buckets added up, in room if that is large enough.
func (l *Latency) whole(room []int64) (low int32, counts []int64) {
	if len(l.Buckets) == 1 {
		return l.Buckets[0].Low, l.Buckets[0].Counts
	}
	low, high := int32(math.MaxInt32), int32(math.MinInt32)
	for _, b := range l.Buckets {
		low, high = min(low, b.Low), max(high, b.Low+int32(len(b.Counts)))
	}
	if len(l.Buckets) == 0 {
		return 0, nil
	}
	if n := int(high - low); n <= cap(room) {
		counts = room[:n]
		clear(counts)
	} else {
		counts = make([]int64, n)
	}
	for _, b := range l.Buckets {
		to := counts[b.Low-low:][:len(b.Counts)]
		for i, n := range b.Counts {
			to[i] += n
		}
	}
	return low, counts
}

// latencyJSON is how a Latency is written: Buckets[i] is bucket Low+i of a Sketch
// of the Scale.
type latencyJSON struct {
	Scale      int
	Count, Sum uint64
	Zero       int64
	Low        int32
	Buckets    []int64
}

// MarshalJSON writes the buckets added up.
func (l Latency) MarshalJSON() ([]byte, error) {
	x := latencyJSON{Scale: SketchScale, Count: l.Count, Sum: l.Sum, Zero: l.Zero}
	x.Low, x.Buckets = l.whole(nil)
	return json.Marshal(x)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *Latency) UnmarshalJSON(b []byte) error {
	var x latencyJSON
	if err := json.Unmarshal(b, &x); err != nil {
		return err
	}
	*l = Latency{Count: x.Count, Sum: x.Sum, Zero: x.Zero}
	switch {
	case len(x.Buckets) == 0:
	case !DurationBuckets(int64(x.Low), len(x.Buckets)):
		return fmt.Errorf("bucket %d and %d behind it are of no duration", x.Low, len(x.Buckets)-1)
	case x.Scale == SketchScale:
		l.Buckets = []LatencyBuckets{{x.Low, x.Buckets}}
	case x.Scale != 0:
		return errScale(x.Scale)
	default:
		l.Buckets = formerBuckets(x.Low, x.Buckets)
	}
	return nil
}

// formerBuckets puts counts by the powers of formerGamma where they belong today.
func formerBuckets(low int32, counts []int64) []LatencyBuckets {
	lo, hi := sketchIndex(formerValue(low)), sketchIndex(formerValue(low+int32(len(counts))-1))
	out := make([]int64, hi-lo+1)
	for i, n := range counts {
		out[sketchIndex(formerValue(low+int32(i)))-lo] += n
	}
	return []LatencyBuckets{{lo, out}}
}

// Quantile returns the q-quantile in nanoseconds, as Sketch.Quantile does; NaN
// when empty.
func (l *Latency) Quantile(q float64) float64 {
	if math.IsNaN(q) {
		return q
	}
	out := [1]float64{}
	l.quantiles([]float64{q}, out[:])
	return out[0]
}

// Quantiles returns the median, the 95th and the 99th percentile, as Quantile
// does.
func (l *Latency) Quantiles() (p50, p95, p99 float64) {
	out := [3]float64{}
	l.quantiles([]float64{0.5, 0.95, 0.99}, out[:])
	return out[0], out[1], out[2]
}

// quantileRoom has room to add buckets up: a nanosecond to a day are 1,600 of them.
var quantileRoom = sync.Pool{New: func() any { return new([2048]int64) }}

// quantiles finds the quantiles, which ascend, in one go.
func (l *Latency) quantiles(q, out []float64) {
	for i := range out {
		out[i] = math.NaN()
	}
	if l.Count == 0 {
		return
	}
	rank := func() int64 { return int64(math.Min(math.Max(q[0], 0), 1) * float64(l.Count-1)) }
	room := quantileRoom.Get().(*[2048]int64)
	defer quantileRoom.Put(room)
	low, counts := l.whole(room[:])
	seen, next := l.Zero, rank()
	value := func(v float64) (done bool) {
		for seen > next {
			if out[0], q, out = v, q[1:], out[1:]; len(q) == 0 {
				return true
			}
			next = rank()
		}
		return false
	}
	if value(0) {
		return
	}
	for i, n := range counts {
		if seen += n; seen > next && value(sketchValue(low+int32(i))) {
			return
		}
	}
}

// Sketch returns the distribution of the durations.
func (l *Latency) Sketch() *Sketch {
	out := &Sketch{Zero: uint64(l.Zero), Total: l.Count}
	low, counts := l.whole(nil)
	for i, n := range counts {
		if n > 0 {
			if out.Positive == nil {
				out.Positive = map[int32]uint64{}
			}
			out.Positive[low+int32(i)] = uint64(n)
		}
	}
	return out
}

// String draws an edge for logs and tests.
func (e GraphEdge) String() string {
	return fmt.Sprintf("%s -> %s %s calls=%d errors=%d client=%d/%d server=%d/%d", e.Client, e.Server, e.Type, e.Calls, e.Errors,
		e.ClientLatency.Count, e.ClientLatency.Sum, e.ServerLatency.Count, e.ServerLatency.Sum)
}
