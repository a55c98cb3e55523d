package spanmetrics

import (
	"slices"
	"sort"
	"strings"
	"time"

	"braid/pkg/calls"
	"braid/pkg/model"
)

// exemplar names the span behind a measurement; Value is in seconds.
type exemplar struct {
	Trace model.TraceID
	Span  model.SpanID
	Time  int64
	Value float64
}

// histogram counts seconds. Buckets has one more than the bounds: the rest.
// slow and last are the slowest and the latest since the last sample.
type histogram struct {
	Count   uint64
	Sum     float64
	Buckets []uint64
	slow    exemplar
	last    exemplar
}

func (h *histogram) add(bounds []float64, ns int64, x exemplar) {
	v := float64(ns) / 1e9
	if h.Buckets == nil {
		h.Buckets = make([]uint64, len(bounds)+1)
	}
	h.Buckets[sort.SearchFloat64s(bounds, v)]++
	h.Count++
	h.Sum += v
	x.Value = v
	if h.slow.Trace.IsZero() || v > h.slow.Value {
		h.slow = x
	}
	h.last = x
}

// counts is one operation's or edge's numbers. Changed is Unix nanoseconds.
type counts struct {
	Calls, Failed  uint64
	Client, Server histogram // an operation has only Server
	Changed        int64
	Begun          bool // its series have a first sample
}

// edge is who calls whom.
type edge struct{ Client, Server, Type string }

// tally is what has been counted for a tenant.
type tally struct {
	o     *Options
	ops   []*operation // by number of class; nil: none
	edges map[edge]*counts
}

type operation struct {
	class class
	counts
}

func newTally(o *Options) *tally { return &tally{o: o, edges: map[edge]*counts{}} }

func (ta *tally) span(c class, n uint32, duration int64, x exemplar, now int64) {
	for int(n) >= len(ta.ops) {
		ta.ops = append(ta.ops, nil)
	}
	op := ta.ops[n]
	if op == nil {
		op = &operation{class: c}
		ta.ops[n] = op
	}
	op.Calls++
	op.Server.add(ta.o.LatencyBuckets, duration, x)
	op.Changed = now
}

func (ta *tally) call(e edge, failed bool, client, server int64, cx, sx exemplar, now int64) {
	c := ta.edges[e]
	if c == nil {
		if len(ta.edges) >= ta.o.MaxOperations && e.Server != other {
			ta.call(edge{other, other, calls.TypeVirtual}, failed, client, server, cx, sx, now)
			return
		}
		c = &counts{}
		ta.edges[e] = c
	}
	c.Calls++
	if failed {
		c.Failed++
	}
	c.Client.add(ta.o.GraphBuckets, client, cx)
	c.Server.add(ta.o.GraphBuckets, server, sx)
	c.Changed = now
}

var kindLabels = [...]string{"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"}

var statusLabels = [...]string{"STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"}

func labelOf(names []string, n uint8) string {
	if int(n) < len(names) {
		return names[n]
	}
	return names[0]
}

// samples returns one sample of every series that has changed of late. A series
// that begins gets a zero one interval before, so that its first increase is
// seen.
func (ta *tally) samples(o *Options, now time.Time) []Sample {
	w := sampler{o: o, now: now.UnixNano(), zero: now.Add(-o.Interval).UnixNano()}
	old := now.Add(-idleAfter).UnixNano()
	for _, op := range ta.ops {
		if op == nil || op.Changed < old {
			continue
		}
		base := []model.Label{{Name: "service", Value: op.class.Service}, {Name: "span_kind", Value: labelOf(kindLabels[:], op.class.Kind)},
			{Name: "span_name", Value: op.class.Name}, {Name: "status_code", Value: labelOf(statusLabels[:], op.class.Status)}}
		values := strings.Split(op.class.Dims, "\x00")
		for i, d := range o.Dimensions {
			if i < len(values) && values[i] != "" {
				base = append(base, model.Label{Name: labelName(d), Value: values[i]})
			}
		}
		w.begin(base, &op.counts)
		w.one("traces_spanmetrics_calls_total", float64(op.Calls))
		w.histogram("traces_spanmetrics_latency", o.LatencyBuckets, &op.Server)
	}
	for e, c := range ta.edges {
		if c.Changed < old {
			continue
		}
		w.begin([]model.Label{{Name: "client", Value: e.Client}, {Name: "connection_type", Value: e.Type}, {Name: "server", Value: e.Server}}, c)
		w.one("traces_service_graph_request_total", float64(c.Calls))
		w.one("traces_service_graph_request_failed_total", float64(c.Failed))
		w.histogram("traces_service_graph_request_client_seconds", o.GraphBuckets, &c.Client)
		w.histogram("traces_service_graph_request_server_seconds", o.GraphBuckets, &c.Server)
	}
	return w.out
}

// labelName makes an attribute's name a label's.
func labelName(attr string) string {
	out := []byte(attr)
	for i, c := range out {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c >= '0' && c <= '9' && i > 0:
		default:
			out[i] = '_'
		}
	}
	return string(out)
}

type sampler struct {
	o         *Options
	now, zero int64
	base      []model.Label
	fresh     bool
	out       []Sample
}

func (w *sampler) begin(base []model.Label, c *counts) {
	w.base = append(base, w.o.Labels...)
	w.fresh, c.Begun = !c.Begun, true
}

func (w *sampler) one(name string, v float64, more ...model.Label) *Sample {
	ls := make([]model.Label, 0, len(w.base)+2)
	ls = append(ls, model.Label{Name: "__name__", Value: name})
	ls = append(append(ls, w.base...), more...)
	slices.SortFunc(ls, func(a, b model.Label) int { return strings.Compare(a.Name, b.Name) })
	if w.fresh {
		w.out = append(w.out, Sample{Labels: ls, Time: w.zero})
	}
	w.out = append(w.out, Sample{Labels: ls, Time: w.now, Value: v})
	return &w.out[len(w.out)-1]
}

func (w *sampler) histogram(name string, bounds []float64, h *histogram) {
	examples := []exemplar{h.slow}
	if h.last != h.slow {
		examples = append(examples, h.last)
	}
	h.slow, h.last = exemplar{}, exemplar{}
	total := uint64(0)
	for i := 0; i <= len(bounds); i++ {
		le := "+Inf"
		if i < len(bounds) {
			le = formatBound(bounds[i])
		}
		if h.Buckets != nil {
			total += h.Buckets[i]
		}
		s := w.one(name+"_bucket", float64(total), model.Label{Name: "le", Value: le})
		for _, x := range examples {
			if !x.Trace.IsZero() && sort.SearchFloat64s(bounds, x.Value) == i {
				s.Exemplars = append(s.Exemplars, model.Exemplar{Time: x.Time, Value: x.Value, TraceID: x.Trace, SpanID: x.Span})
			}
		}
	}
	w.one(name+"_count", float64(h.Count))
	w.one(name+"_sum", h.Sum)
}

// forget drops what has not changed since a time, if there is much.
func (ta *tally) forget(before int64) {
	if len(ta.edges) <= ta.o.MaxOperations/2 {
		return
	}
	for e, c := range ta.edges {
		if c.Changed < before {
			delete(ta.edges, e)
		}
	}
}
