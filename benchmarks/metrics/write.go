package metrics

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
)

// Write advances instance i by one interval and returns what Export says, as
// the series of a remote-write request: the names, the labels and the values
// are those that the export becomes when every resource attribute is a label.
// The result is valid until the next call for the same instance.
func (f *Fleet) Write(i int, at time.Time) []prompb.TimeSeries {
	in := &f.instances[i]
	in.advance()
	if in.written == nil {
		in.written = in.series()
	}
	n, ms := 0, at.UnixMilli()
	put := func(v float64) {
		in.written[n].Samples[0] = prompb.Sample{Value: v, Timestamp: ms}
		n++
	}
	for h := range in.hist {
		sum := uint64(0)
		for _, c := range in.hist[h] {
			sum += c
			put(float64(sum))
		}
		put(float64(sum))
		put(in.sum[h])
	}
	for _, v := range in.counter {
		put(v)
	}
	for _, v := range in.gauge {
		put(v)
	}
	put(1) // target_info
	return in.written
}

// series makes the series of an instance in the order that Write fills them.
func (in *instance) series() (out []prompb.TimeSeries) {
	resource := in.resourceLabels()
	add := func(name string, kv ...string) {
		b := labels.NewBuilder(resource)
		b.Set(labels.MetricName, name)
		for i := 0; i < len(kv); i += 2 {
			b.Set(kv[i], kv[i+1])
		}
		out = append(out, prompb.TimeSeries{Labels: prompb.FromLabels(b.Labels(), nil), Samples: make([]prompb.Sample, 1)})
	}
	histogram := func(name string, kv []string) {
		for b := range boundCount {
			add(name+"_bucket", append(kv, "le", strconv.FormatFloat(bounds[b], 'f', -1, 64))...)
		}
		add(name+"_bucket", append(kv, "le", "+Inf")...)
		add(name+"_count", kv...)
		add(name+"_sum", kv...)
	}
	for n := range routes {
		histogram("http_server_request_duration_seconds", routeAttrs(n, "_"))
	}
	for n := range clients {
		histogram("rpc_client_duration_seconds", clientAttrs(n, "_"))
	}
	for n := range counters {
		add(fmt.Sprintf("app_events_%d_total", n), "kind", "normal")
	}
	for n := range gauges {
		add(fmt.Sprintf("process_runtime_value_%d_bytes", n), "pool", "heap")
	}
	add("target_info")
	return out
}

func (in *instance) resourceLabels() labels.Labels {
	kv := in.resourceAttrs("_")
	job := kv[3] + "/" + kv[1] // namespace and name
	return labels.FromStrings(append(kv, "job", job, "instance", kv[7])...)
}
