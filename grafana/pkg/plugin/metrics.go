package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// matrix is the answer of Prometheus's and Loki's APIs.
type matrix struct {
	Data struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	} `json:"data"`
	Warnings []string `json:"warnings"`
	Infos    []string `json:"infos"`
}

// point is [seconds, "value"].
type point struct {
	at    time.Time
	value float64
}

func (p *point) UnmarshalJSON(text []byte) error {
	var at float64
	var value string
	if err := json.Unmarshal(text, &[2]any{&at, &value}); err != nil {
		return fmt.Errorf("cannot read a sample: %w", err)
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return fmt.Errorf("cannot read the value of a sample: %w", err)
	}
	p.at, p.value = time.UnixMilli(int64(math.Round(at*1000))).UTC(), v
	return nil
}

// series is one line of a chart.
type series struct {
	Metric data.Labels `json:"metric"`
	Value  *point      `json:"value"`
	Values []point     `json:"values"`
	// Native histograms.
	Histogram  *distribution  `json:"histogram"`
	Histograms []distribution `json:"histograms"`
}

func (d *Datasource) promql(ctx context.Context, q question) (data.Frames, error) {
	params := url.Values{"query": {q.Expr}}
	path := "/api/v1/query_range"
	if q.Instant {
		path = "/api/v1/query"
		params.Set("time", seconds(q.to))
	} else {
		from, to := q.aligned()
		params.Set("start", seconds(from))
		params.Set("end", seconds(to))
		params.Set("step", strconv.FormatFloat(q.step.Seconds(), 'f', -1, 64))
	}
	var m matrix
	if err := d.client.get(ctx, path, params, &m); err != nil {
		return nil, err
	}
	list, err := m.series()
	if err != nil {
		return nil, err
	}
	hint := d.hint(ctx, q.Expr)
	hint.links = []data.DataLink{d.links.to("Requests behind", map[string]any{"queryType": typeBehind, "expr": q.Expr})}
	frames, err := d.seriesFrames(q, list, m.notes(), hint)
	if err != nil || q.Instant || (q.Exemplar != nil && !*q.Exemplar) || (q.Format != formatMulti && q.Format != formatWide) {
		return frames, err
	}
	exemplars, err := d.exemplars(ctx, params)
	if err != nil {
		return nil, err
	}
	return append(frames, exemplars...), nil
}

// notes are warnings and hints of the server.
func (m matrix) notes() []string { return append(m.Warnings, m.Infos...) }

// series reads what the answer has: of a scalar one series without labels.
func (m matrix) series() ([]series, error) {
	var list []series
	switch m.Data.Type {
	case "scalar":
		one := point{}
		if err := json.Unmarshal(m.Data.Result, &one); err != nil {
			return nil, backend.DownstreamError(err)
		}
		list = []series{{Value: &one}}
	case "vector", "matrix":
		if err := json.Unmarshal(m.Data.Result, &list); err != nil {
			return nil, backend.DownstreamErrorf("cannot understand a %s: %w", m.Data.Type, err)
		}
	default:
		return nil, badQuery("a %s is nothing to draw", m.Data.Type)
	}
	for i := range list {
		s := &list[i]
		if s.Value != nil {
			s.Values = []point{*s.Value}
		}
		if s.Histogram != nil {
			s.Histograms = []distribution{*s.Histogram}
		}
	}
	return list, nil
}

// UnmarshalJSON reads [seconds, {"buckets": [[boundaries, "low", "high", "count"]]}].
func (h *distribution) UnmarshalJSON(text []byte) error {
	var at float64
	var body struct {
		Buckets [][4]json.RawMessage `json:"buckets"`
	}
	if err := json.Unmarshal(text, &[2]any{&at, &body}); err != nil {
		return fmt.Errorf("cannot read a histogram: %w", err)
	}
	h.at = time.UnixMilli(int64(math.Round(at * 1000))).UTC()
	for _, raw := range body.Buckets {
		var b bucket
		for i, to := range []*float64{&b.low, &b.high, &b.count} {
			v, err := strconv.ParseFloat(strings.Trim(string(raw[i+1]), `"`), 64)
			if err != nil {
				return fmt.Errorf("cannot read a bucket: %w", err)
			}
			*to = v
		}
		h.buckets = append(h.buckets, b)
	}
	return nil
}

// exemplars returns one frame of all exemplars of the queried series, with the
// trace id as a field of its own so that links can be made on it.
func (d *Datasource) exemplars(ctx context.Context, params url.Values) (data.Frames, error) {
	var answer struct {
		Data []struct {
			Labels    data.Labels `json:"seriesLabels"`
			Exemplars []struct {
				Labels    data.Labels `json:"labels"`
				Value     float64     `json:"value,string"`
				Timestamp float64     `json:"timestamp"`
			} `json:"exemplars"`
		} `json:"data"`
	}
	if err := d.client.get(ctx, "/api/v1/query_exemplars", params, &answer); err != nil {
		return nil, err
	}
	var times []time.Time
	var values []float64
	var ids, services []string
	for _, s := range answer.Data {
		for _, e := range s.Exemplars {
			times = append(times, time.UnixMilli(int64(e.Timestamp*1000)).UTC())
			values = append(values, e.Value)
			ids = append(ids, e.Labels["trace_id"])
			services = append(services, s.Labels["service_name"])
		}
	}
	if len(times) == 0 {
		return nil, nil
	}
	trace := data.NewField("trace_id", nil, ids)
	trace.Config = &data.FieldConfig{Links: []data.DataLink{d.links.request("Request")}}
	f := data.NewFrame("exemplar", data.NewField("Time", nil, times), data.NewField("Value", nil, values),
		trace, data.NewField("service_name", nil, services))
	return data.Frames{f.SetMeta(&data.FrameMeta{DataTopic: data.DataTopicAnnotations, Custom: map[string]string{"resultType": "exemplar"}})}, nil
}
