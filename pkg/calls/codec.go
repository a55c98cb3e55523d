package calls

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"braid/pkg/model"
)

// Append writes a graph behind dst: uv is an unsigned varint, sv a zigzag one.
//
//	sv low and high start, sv dropped
//	uv count of names, then uv length and bytes of each
//	uv count of edges, then each: uv client, server, type (names); sv calls, failed; latency of client and server
//	uv count of services, then each: uv name; sv spans, failed, requests, failed requests; latency
//	latency: sv count, sum, zero; sv first bucket, uv buckets, then sv of each
func (g *Graph) Append(dst []byte) []byte {
	w := writer{b: dst, numbers: map[string]uint64{}}
	edges, services := g.sorted()
	for _, k := range edges {
		w.number(k.client)
		w.number(k.server)
		w.number(k.kind)
	}
	for _, name := range services {
		w.number(name)
	}
	w.sv(g.Lo)
	w.sv(g.Hi)
	w.sv(g.Dropped)
	w.uv(uint64(len(w.names)))
	for _, name := range w.names {
		w.uv(uint64(len(name)))
		w.b = append(w.b, name...)
	}
	w.uv(uint64(len(edges)))
	for _, k := range edges {
		e := g.edges[k]
		w.uv(w.numbers[k.client])
		w.uv(w.numbers[k.server])
		w.uv(w.numbers[k.kind])
		w.sv(e.calls)
		w.sv(e.failed)
		w.latency(&e.client)
		w.latency(&e.server)
	}
	w.uv(uint64(len(services)))
	for _, name := range services {
		c := g.services[name]
		w.uv(w.numbers[name])
		for _, n := range []int64{c.spans, c.failed, c.requests, c.requestsFailed} {
			w.sv(n)
		}
		w.latency(&c.latency)
	}
	return w.b
}

// sorted makes what Append writes the same for equal graphs.
func (g *Graph) sorted() (edges []edgeKey, services []string) {
	for k := range g.edges {
		edges = append(edges, k)
	}
	for name := range g.services {
		services = append(services, name)
	}
	slices.SortFunc(edges, func(a, b edgeKey) int {
		return cmp.Or(cmp.Compare(a.client, b.client), cmp.Compare(a.server, b.server), cmp.Compare(a.kind, b.kind))
	})
	slices.Sort(services)
	return edges, services
}

type writer struct {
	b       []byte
	names   []string
	numbers map[string]uint64
}

func (w *writer) uv(v uint64) { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) sv(v int64)  { w.b = binary.AppendVarint(w.b, v) }

func (w *writer) number(name string) {
	if _, ok := w.numbers[name]; !ok {
		w.numbers[name] = uint64(len(w.names))
		w.names = append(w.names, name)
	}
}

func (w *writer) latency(l *latencyCount) {
	if len(l.shared) > 0 {
		sum := &latencyCount{}
		sum.merge(l, 1)
		l = sum
	}
	counts, low := l.counts, l.low
	for len(counts) > 0 && counts[0] == 0 {
		counts, low = counts[1:], low+1
	}
	for len(counts) > 0 && counts[len(counts)-1] == 0 {
		counts = counts[:len(counts)-1]
	}
	if len(counts) == 0 {
		low = 0
	}
	w.sv(l.n)
	w.sv(l.sum)
	w.sv(l.zero)
	w.sv(int64(low))
	w.uv(uint64(len(counts)))
	for _, n := range counts {
		w.sv(n)
	}
}

var errGraph = errors.New("bytes of a service graph end too early or name what is not there")

// ReadGraph reads what Append wrote, and returns what follows it. No input makes
// it panic or take memory without bound.
func ReadGraph(b []byte) (*Graph, []byte, error) {
	r := reader{b: b}
	g := NewGraph()
	g.Lo, g.Hi, g.Dropped = r.sv(), r.sv(), r.sv()
	names := make([]string, r.count(1))
	for i := range names {
		names[i] = string(r.take(r.uv()))
	}
	name := func() string {
		n := r.uv()
		if n >= uint64(len(names)) {
			r.failed = true
			return ""
		}
		return names[n]
	}
	for n := r.count(15); n > 0 && !r.failed; n-- {
		k, e := edgeKey{name(), name(), name()}, &edgeCount{}
		e.calls, e.failed = r.sv(), r.sv()
		r.latency(&e.client)
		r.latency(&e.server)
		g.edges[k] = e
	}
	for n := r.count(10); n > 0 && !r.failed; n-- {
		s, c := name(), &serviceCount{}
		c.spans, c.failed, c.requests, c.requestsFailed = r.sv(), r.sv(), r.sv(), r.sv()
		r.latency(&c.latency)
		g.services[s] = c
	}
	if r.failed {
		return nil, nil, errGraph
	}
	return g, r.b, nil
}

type reader struct {
	b      []byte
	failed bool
}

func (r *reader) uv() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.failed = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) sv() int64 {
	v := r.uv()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.b, r.failed = nil, true
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

// count reads a number of things that take at least size bytes each.
func (r *reader) count(size int) int {
	n := r.uv()
	if n > uint64(len(r.b)/size) {
		r.b, r.failed = nil, true
		return 0
	}
	return int(n)
}

func (r *reader) latency(l *latencyCount) {
	l.n, l.sum, l.zero = r.sv(), r.sv(), r.sv()
	low := r.sv()
	n := r.count(1)
	if n == 0 {
		return
	}
	if !model.DurationBuckets(low, n) {
		r.b, r.failed = nil, true
		return
	}
	l.low, l.counts = int32(low), make([]int64, n)
	for i := range l.counts {
		l.counts[i] = r.sv()
	}
}
