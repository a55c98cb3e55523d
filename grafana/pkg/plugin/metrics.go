package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"sort"
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
	frames, err := m.frames(q)
	if err != nil || q.Instant {
		return frames, err
	}
	exemplars, err := d.exemplars(ctx, params)
	if err != nil {
		return nil, err
	}
	return append(frames, exemplars...), nil
}

// frames turns series into frames: one for each ("time series multi"), or with
// an instant one number for each ("numeric multi").
func (m matrix) frames(q question) (data.Frames, error) {
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
	kind := data.FrameTypeTimeSeriesMulti
	if q.Instant {
		kind = data.FrameTypeNumericMulti
	}
	frames := make(data.Frames, 0, len(list))
	for _, s := range list {
		if s.Value != nil {
			s.Values = []point{*s.Value}
		}
		frames = append(frames, seriesFrame(s, kind, q.Legend))
	}
	if len(frames) == 0 {
		frames = data.Frames{data.NewFrame("").SetMeta(&data.FrameMeta{Type: kind, TypeVersion: data.FrameTypeVersion{0, 1}})}
	}
	for _, w := range append(m.Warnings, m.Infos...) {
		frames[0].AppendNotices(data.Notice{Severity: data.NoticeSeverityWarning, Text: w})
	}
	return frames, nil
}

func seriesFrame(s series, kind data.FrameType, legend string) *data.Frame {
	times, values := make([]time.Time, len(s.Values)), make([]float64, len(s.Values))
	for i, p := range s.Values {
		times[i], values[i] = p.at, p.value
	}
	name := legendOf(s.Metric, legend)
	value := data.NewField(data.TimeSeriesValueFieldName, s.Metric, values)
	value.Config = &data.FieldConfig{DisplayNameFromDS: name}
	f := data.NewFrame(name, data.NewField(data.TimeSeriesTimeFieldName, nil, times), value)
	return f.SetMeta(&data.FrameMeta{Type: kind, TypeVersion: data.FrameTypeVersion{0, 1}, PreferredVisualization: data.VisTypeGraph})
}

var legendPart = regexp.MustCompile(`\{\{\s*([^{}\s]+)\s*\}\}`)

// legendOf writes a series as the legend says, or as PromQL does.
func legendOf(labels data.Labels, legend string) string {
	if legend != "" && legend != "__auto" {
		return legendPart.ReplaceAllStringFunc(legend, func(m string) string { return labels[legendPart.FindStringSubmatch(m)[1]] })
	}
	var parts []string
	for k, v := range labels {
		if k != "__name__" {
			parts = append(parts, k+"="+strconv.Quote(v))
		}
	}
	sort.Strings(parts)
	if len(parts) == 0 {
		return labels["__name__"]
	}
	return labels["__name__"] + "{" + strings.Join(parts, ", ") + "}"
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
	f := data.NewFrame("exemplar", data.NewField("Time", nil, times), data.NewField("Value", nil, values),
		data.NewField("trace_id", nil, ids), data.NewField("service_name", nil, services))
	return data.Frames{f.SetMeta(&data.FrameMeta{DataTopic: data.DataTopicAnnotations, Custom: map[string]string{"resultType": "exemplar"}})}, nil
}
