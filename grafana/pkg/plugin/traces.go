package plugin

import (
	"context"
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// metricsPipe finds the functions that make a TraceQL query answer series.
var metricsPipe = regexp.MustCompile(`\|\s*(rate|count_over_time|min_over_time|max_over_time|avg_over_time|sum_over_time|quantile_over_time|histogram_over_time|compare)\s*\(`)

func (d *Datasource) traceql(ctx context.Context, q question) (data.Frames, error) {
	if metricsPipe.MatchString(q.Expr) {
		return d.traceMetrics(ctx, q)
	}
	return d.traceSearch(ctx, q)
}

// traceMetrics asks for series. Intervals are answered at their ends.
func (d *Datasource) traceMetrics(ctx context.Context, q question) (data.Frames, error) {
	list, err := d.spanSeries(ctx, q.Expr, q.from, q.to, q.step)
	if err != nil {
		return nil, err
	}
	// The spans behind a series are one step away: the filter without its function.
	filter := strings.TrimSpace(q.Expr[:metricsPipe.FindStringIndex(q.Expr)[0]])
	hint := fieldHint{unit: traceUnit(q.Expr), links: []data.DataLink{d.links.to("Traces", map[string]any{"queryType": typeTraceQL, "expr": filter})}}
	return d.seriesFrames(q, list, nil, hint)
}

func (d *Datasource) spanSeries(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]series, error) {
	var answer struct {
		Series []struct {
			Labels []struct {
				Key   string         `json:"key"`
				Value map[string]any `json:"value"`
			} `json:"labels"`
			Samples []struct {
				At    int64   `json:"timestampMs,string"`
				Value float64 `json:"value"`
			} `json:"samples"`
		} `json:"series"`
	}
	params := url.Values{"q": {expr}, "step": {step.String()}, "start": {strconv.FormatInt(from.Unix(), 10)}, "end": {strconv.FormatInt(to.Unix(), 10)}}
	if err := d.client.get(ctx, "/api/metrics/query_range", params, &answer); err != nil {
		return nil, err
	}
	list := make([]series, 0, len(answer.Series))
	for _, s := range answer.Series {
		one := series{Metric: data.Labels{}}
		for _, l := range s.Labels {
			for _, v := range l.Value {
				text, err := json.Marshal(v)
				if err != nil {
					return nil, err
				}
				one.Metric[l.Key] = strings.Trim(string(text), `"`)
			}
		}
		for _, p := range s.Samples {
			one.Values = append(one.Values, point{at: time.UnixMilli(p.At).UTC(), value: p.Value})
		}
		list = append(list, one)
	}
	return list, nil
}

// traceUnit is seconds for what is computed of durations; counts have none.
func traceUnit(expr string) string {
	if durationMetric.MatchString(expr) {
		return "s"
	}
	return ""
}

var durationMetric = regexp.MustCompile(`\|\s*(min|max|avg|sum|quantile|histogram)_over_time\s*\(\s*(duration|traceDuration|span:duration|trace:duration)\b`)

// traceSearch lists traces as a table; its traceID leads to the request.
func (d *Datasource) traceSearch(ctx context.Context, q question) (data.Frames, error) {
	var answer struct {
		Traces []struct {
			ID       string `json:"traceID"`
			Service  string `json:"rootServiceName"`
			Name     string `json:"rootTraceName"`
			Start    int64  `json:"startTimeUnixNano,string"`
			Duration int64  `json:"durationMs"`
			SpanSets []struct {
				Matched int64 `json:"matched"`
			} `json:"spanSets"`
		} `json:"traces"`
	}
	params := url.Values{"q": {q.Expr}, "limit": {strconv.Itoa(q.Limit)}, "start": {strconv.FormatInt(q.from.Unix(), 10)}, "end": {strconv.FormatInt(q.to.Unix(), 10)}}
	if err := d.client.get(ctx, "/api/search", params, &answer); err != nil {
		return nil, err
	}
	n := len(answer.Traces)
	ids, services, names := make([]string, n), make([]string, n), make([]string, n)
	starts, durations, matched := make([]time.Time, n), make([]int64, n), make([]int64, n)
	for i, t := range answer.Traces {
		ids[i], services[i], names[i] = t.ID, t.Service, t.Name
		starts[i], durations[i] = time.Unix(0, t.Start).UTC(), t.Duration
		for _, set := range t.SpanSets {
			matched[i] += set.Matched
		}
	}
	duration := data.NewField("Duration", nil, durations)
	duration.Config = &data.FieldConfig{Unit: "ms"}
	id := data.NewField("traceID", nil, ids)
	id.Config = &data.FieldConfig{DisplayName: "Trace", Links: []data.DataLink{d.links.request("Request")}}
	f := data.NewFrame("Traces", id, data.NewField("Start time", nil, starts), data.NewField("Service", nil, services),
		data.NewField("Name", nil, names), duration, data.NewField("Spans that match", nil, matched))
	return data.Frames{f.SetMeta(&data.FrameMeta{PreferredVisualization: data.VisTypeTable})}, nil
}

// services is the service map as a node graph: two frames, nodes and edges.
func (d *Datasource) services(ctx context.Context, q question) (data.Frames, error) {
	var answer struct {
		Nodes []struct {
			Name, Type       string
			Requests, Errors float64 `json:",string"`
			ErrorShare       float64 `json:"errorShare"`
			P95              float64 `json:"p95Ms"`
		} `json:"nodes"`
		Edges []struct {
			Client, Server string
			Calls, Errors  float64 `json:",string"`
			P95            float64 `json:"p95Ms"`
		} `json:"edges"`
	}
	params := url.Values{"startNs": {nanos(q.from)}, "endNs": {nanos(q.to)}}
	if err := d.client.get(ctx, "/api/braid/v1/services", params, &answer); err != nil {
		return nil, err
	}
	nodes := data.NewFrame("nodes", data.NewField("id", nil, []string{}), data.NewField("title", nil, []string{}), data.NewField("subtitle", nil, []string{}),
		data.NewField("mainstat", nil, []float64{}), data.NewField("secondarystat", nil, []float64{}), data.NewField("arc__errors", nil, []float64{}), data.NewField("arc__success", nil, []float64{}))
	for _, n := range answer.Nodes {
		share := 0.0
		if n.Requests > 0 {
			share = min(1, n.Errors/n.Requests)
		}
		nodes.AppendRow(n.Name, n.Name, n.Type, n.P95, n.Requests, share, 1-share)
	}
	edges := data.NewFrame("edges", data.NewField("id", nil, []string{}), data.NewField("source", nil, []string{}), data.NewField("target", nil, []string{}),
		data.NewField("mainstat", nil, []float64{}), data.NewField("secondarystat", nil, []float64{}))
	for _, e := range answer.Edges {
		edges.AppendRow(e.Client+"_"+e.Server, e.Client, e.Server, e.P95, e.Calls)
	}
	label := func(f *data.Frame, field, name, unit string) {
		if one, _ := f.FieldByName(field); one != nil {
			one.Config = &data.FieldConfig{DisplayName: name, Unit: unit}
		}
	}
	for _, f := range []*data.Frame{nodes, edges} {
		label(f, "mainstat", "p95", "ms")
		label(f, "secondarystat", "calls", "short")
		f.SetMeta(&data.FrameMeta{PreferredVisualization: data.VisTypeNodeGraph})
	}
	nodes.Fields[0].Config = &data.FieldConfig{Links: d.links.ofService("${__data.fields.id}")}
	edges.Fields[0].Config = &data.FieldConfig{Links: []data.DataLink{d.links.to("Requests over this edge", map[string]any{
		"queryType": typeTraceQL, "expr": `{resource.service.name="${__data.fields.source}"} >> {resource.service.name="${__data.fields.target}"}`})}}
	nodes.Fields[5].Config = &data.FieldConfig{Color: map[string]any{"mode": "fixed", "fixedColor": "red"}, DisplayName: "errors"}
	nodes.Fields[6].Config = &data.FieldConfig{Color: map[string]any{"mode": "fixed", "fixedColor": "green"}, DisplayName: "success"}
	return data.Frames{nodes, edges}, nil
}

// federated joins signals on a correlation id; rows come as a table, a plan as
// one cell of text.
func (d *Datasource) federated(ctx context.Context, q question) (data.Frames, error) {
	var answer struct {
		Columns  []struct{ Name, Type string }
		Rows     []struct{ Values []string }
		Plan     string
		Complete bool
		Warnings []string
	}
	body := map[string]any{"text": q.Expr, "startNs": nanos(q.from), "endNs": nanos(q.to), "limit": q.Limit, "explain": q.Explain}
	if err := d.client.do(ctx, "POST", "/api/braid/v1/query", nil, body, &answer); err != nil {
		return nil, err
	}
	f := data.NewFrame("")
	if q.Explain {
		f.Fields = append(f.Fields, data.NewField("plan", nil, []string{answer.Plan}))
		return data.Frames{f}, nil
	}
	for i, c := range answer.Columns {
		cells := make([]string, len(answer.Rows))
		for r, row := range answer.Rows {
			if i < len(row.Values) {
				cells[r] = row.Values[i]
			}
		}
		field, err := column(c.Name, c.Type, cells)
		if err != nil {
			return nil, backend.DownstreamErrorf("column %s: %w", c.Name, err)
		}
		if c.Type == "id" {
			field.Config = &data.FieldConfig{Links: []data.DataLink{d.links.request("Request")}}
		}
		f.Fields = append(f.Fields, field)
	}
	f.SetMeta(&data.FrameMeta{PreferredVisualization: data.VisTypeTable})
	notices(f, answer.Complete || q.Explain, answer.Warnings)
	return data.Frames{f}, nil
}

// column gives cells the type that the server names; an empty cell is no value.
func column(name, kind string, cells []string) (*data.Field, error) {
	number := func(unit string) (*data.Field, error) {
		values := make([]*float64, len(cells))
		for i, c := range cells {
			if c == "" {
				continue
			}
			v, err := strconv.ParseFloat(c, 64)
			if err != nil {
				return nil, err
			}
			values[i] = &v
		}
		f := data.NewField(name, nil, values)
		f.Config = &data.FieldConfig{Unit: unit}
		return f, nil
	}
	switch kind {
	case "int", "double":
		return number("")
	case "bool":
		values := make([]*bool, len(cells))
		for i, c := range cells {
			if c == "" {
				continue
			}
			v, err := strconv.ParseBool(c)
			if err != nil {
				return nil, err
			}
			values[i] = &v
		}
		return data.NewField(name, nil, values), nil
	case "duration":
		return number("ns")
	case "time":
		values := make([]*time.Time, len(cells))
		for i, c := range cells {
			if c == "" {
				continue
			}
			ns, err := strconv.ParseInt(c, 10, 64)
			if err != nil {
				return nil, err
			}
			at := time.Unix(0, ns).UTC()
			values[i] = &at
		}
		return data.NewField(name, nil, values), nil
	}
	return data.NewField(name, nil, cells), nil
}
