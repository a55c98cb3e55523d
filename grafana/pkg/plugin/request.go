package plugin

import (
	"context"
	"encoding/json"
	"math"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// attribute is one of a span or a log record: text, and the type that it had.
type attribute struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Type  string `json:"type"`
}

// typed gives the value back its type. Integers that a browser would round stay
// text.
func (a attribute) typed() any {
	switch a.Type {
	case "bool":
		return a.Value == "true"
	case "int":
		if v, err := strconv.ParseInt(a.Value, 10, 64); err == nil && v > -1<<53 && v < 1<<53 {
			return v
		}
	case "double":
		if v, err := strconv.ParseFloat(a.Value, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v
		}
	case "array", "map":
		if json.Valid([]byte(a.Value)) {
			return json.RawMessage(a.Value)
		}
	}
	return a.Value
}

// correlated is Braid's answer about one id.
type correlated struct {
	Services []struct {
		Name    string `json:"name"`
		FirstNs int64  `json:"firstNs,string"`
		Spans   int64  `json:"spans"`
		Logs    int64  `json:"logs"`
		Errors  int64  `json:"errors"`
	} `json:"services"`
	Spans []struct {
		TraceID       string      `json:"traceId"`
		SpanID        string      `json:"spanId"`
		ParentID      string      `json:"parentId"`
		Name          string      `json:"name"`
		Service       string      `json:"service"`
		Kind          string      `json:"kind"`
		Status        string      `json:"status"`
		StatusMessage string      `json:"statusMessage"`
		StartNs       int64       `json:"startNs,string"`
		DurationNs    int64       `json:"durationNs,string"`
		Attributes    []attribute `json:"attributes"`
		Resource      []attribute `json:"resource"`
		Scope         string      `json:"scope"`
		Events        []struct {
			TimeNs     int64       `json:"timeNs,string"`
			Name       string      `json:"name"`
			Attributes []attribute `json:"attributes"`
		} `json:"events"`
		Links []struct {
			TraceID    string      `json:"traceId"`
			SpanID     string      `json:"spanId"`
			Attributes []attribute `json:"attributes"`
		} `json:"links"`
		Flags []string `json:"flags"`
	} `json:"spans"`
	Logs []struct {
		TimeNs     int64       `json:"timeNs,string"`
		Service    string      `json:"service"`
		Level      string      `json:"level"`
		Body       string      `json:"body"`
		TraceID    string      `json:"traceId"`
		SpanID     string      `json:"spanId"`
		Attributes []attribute `json:"attributes"`
	} `json:"logs"`
	Gaps []struct {
		Message string `json:"message"`
		Service string `json:"service"`
	} `json:"gaps"`
	Alerts []struct {
		Labels   map[string]string `json:"labels"`
		State    string            `json:"state"`
		StartsNs int64             `json:"startsNs,string"`
	} `json:"alerts"`
	Exemplars []struct {
		Series  map[string]string `json:"series"`
		Value   float64           `json:"value"`
		TimeNs  int64             `json:"timeNs,string"`
		TraceID string            `json:"traceId"`
	} `json:"exemplars"`
	// Requests are those that an id of many stands for.
	Requests []summary `json:"requests"`
	Near     []struct {
		Kind string `json:"kind"`
		ID   string `json:"id"`
	} `json:"near"`
	Complete bool     `json:"complete"`
	Warnings []string `json:"warnings"`
}

// maxTraces bounds the traces of one answer: each is a view of its own.
const maxTraces = 10

// request answers an id of any kind with the whole request: its traces, the log
// lines of all services, a table of the services, and its exemplars; of an id
// that stands for many requests (a user, a session) their list. It needs no time
// range.
func (d *Datasource) request(ctx context.Context, q question) (data.Frames, error) {
	var c correlated
	if err := d.client.get(ctx, "/api/braid/v1/correlate/"+url.PathEscape(q.Expr), nil, &c); err != nil {
		return nil, err
	}
	frames, err := c.traces(d.links)
	if err != nil {
		return nil, err
	}
	if len(c.Requests) > 0 {
		frames = append(frames, d.links.requestTable(c.Requests))
	}
	if len(c.Logs) > 0 {
		logs, err := c.lines(d.links)
		if err != nil {
			return nil, err
		}
		frames = append(frames, logs)
	}
	table := c.table(d.links)
	if len(c.Exemplars) > 0 {
		frames = append(frames, c.exemplars(d.links))
	}
	if len(c.Alerts) > 0 {
		frames = append(frames, c.alerts())
	}
	notices(table, c.Complete, c.Warnings)
	for _, gap := range c.Gaps {
		text := gap.Message
		if gap.Service != "" && !strings.Contains(text, gap.Service) {
			text = gap.Service + ": " + text
		}
		table.AppendNotices(data.Notice{Severity: data.NoticeSeverityInfo, Text: text})
	}
	if len(frames) == 0 {
		text := "Nothing is known of " + q.Expr + "."
		for _, n := range c.Near {
			text += " Like it: " + n.ID + " (" + n.Kind + ")."
		}
		table.AppendNotices(data.Notice{Severity: data.NoticeSeverityWarning, Text: text})
	}
	return append(frames, table), nil
}

// keyValue is how the trace view takes tags.
type keyValue struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

func tagList(list []attribute) []keyValue {
	out := make([]keyValue, len(list))
	for i, a := range list {
		out[i] = keyValue{a.Key, a.typed()}
	}
	return out
}

// traceEvent and traceReference are what the trace view calls logs and
// references of a span.
type traceEvent struct {
	Timestamp float64    `json:"timestamp"`
	Name      string     `json:"name,omitempty"`
	Fields    []keyValue `json:"fields"`
}

type traceReference struct {
	TraceID string     `json:"traceID"`
	SpanID  string     `json:"spanID"`
	Tags    []keyValue `json:"tags,omitempty"`
}

// traces makes a frame of Grafana's trace view for each trace, that with the most
// spans first. Times are in milliseconds.
func (c correlated) traces(l linker) (data.Frames, error) {
	var order []string
	sizes := map[string]int{}
	for _, s := range c.Spans {
		if sizes[s.TraceID] == 0 {
			order = append(order, s.TraceID)
		}
		sizes[s.TraceID]++
	}
	sort.SliceStable(order, func(i, k int) bool { return sizes[order[i]] > sizes[order[k]] })
	var frames data.Frames
	for _, id := range order[:min(len(order), maxTraces)] {
		f, err := c.trace(id, l)
		if err != nil {
			return nil, err
		}
		frames = append(frames, f)
	}
	return frames, nil
}

func (c correlated) trace(id string, l linker) (*data.Frame, error) {
	traceID := data.NewField("traceID", nil, []string{})
	traceID.Config = &data.FieldConfig{Links: l.ofSpan()}
	f := data.NewFrame("Trace", traceID, data.NewField("spanID", nil, []string{}), data.NewField("parentSpanID", nil, []*string{}),
		data.NewField("operationName", nil, []string{}), data.NewField("serviceName", nil, []string{}), data.NewField("kind", nil, []string{}),
		data.NewField("statusCode", nil, []int64{}), data.NewField("statusMessage", nil, []string{}), data.NewField("instrumentationLibraryName", nil, []string{}),
		data.NewField("startTime", nil, []float64{}), data.NewField("duration", nil, []float64{}),
		data.NewField("tags", nil, []json.RawMessage{}), data.NewField("serviceTags", nil, []json.RawMessage{}),
		data.NewField("logs", nil, []json.RawMessage{}), data.NewField("references", nil, []json.RawMessage{}), data.NewField("warnings", nil, []json.RawMessage{}))
	code := map[string]int64{"ok": 1, "error": 2}
	for _, s := range c.Spans {
		if s.TraceID != id {
			continue
		}
		events, references := make([]traceEvent, len(s.Events)), make([]traceReference, len(s.Links))
		for i, e := range s.Events {
			events[i] = traceEvent{float64(e.TimeNs) / 1e6, e.Name, tagList(e.Attributes)}
		}
		for i, r := range s.Links {
			references[i] = traceReference{r.TraceID, r.SpanID, tagList(r.Attributes)}
		}
		// Grafana colours a span as failed by this tag.
		tags := tagList(s.Attributes)
		if s.Status == "error" {
			tags = append(tags, keyValue{"error", true})
		}
		var nested [5]json.RawMessage
		for i, v := range []any{tags, tagList(s.Resource), events, references, append([]string{}, s.Flags...)} {
			text, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			nested[i] = text
		}
		var parent *string
		if s.ParentID != "" {
			parent = &s.ParentID
		}
		f.AppendRow(s.TraceID, s.SpanID, parent, s.Name, s.Service, s.Kind, code[s.Status], s.StatusMessage, s.Scope,
			float64(s.StartNs)/1e6, float64(s.DurationNs)/1e6, nested[0], nested[1], nested[2], nested[3], nested[4])
	}
	return f.SetMeta(&data.FrameMeta{PreferredVisualization: data.VisTypeTrace, Custom: map[string]string{"traceFormat": "otlp"}}), nil
}

func (c correlated) lines(l linker) (*data.Frame, error) {
	list := make([]stream, 0, len(c.Logs))
	for _, r := range c.Logs {
		labels := map[string]string{"service_name": r.Service, "detected_level": r.Level}
		for k, v := range map[string]string{"trace_id": r.TraceID, "span_id": r.SpanID} {
			if v != "" {
				labels[k] = v
			}
		}
		for _, a := range r.Attributes {
			labels[a.Key] = a.Value
		}
		list = append(list, stream{Labels: labels, Lines: []line{{at: time.Unix(0, r.TimeNs).UTC(), text: r.Body}}})
	}
	return l.logFrame(list)
}

func (c correlated) table(l linker) *data.Frame {
	service := data.NewField("Service", nil, []string{})
	service.Config = &data.FieldConfig{Links: l.ofService("${__value.raw}")}
	f := data.NewFrame("Services", service, data.NewField("First seen", nil, []time.Time{}),
		data.NewField("Spans", nil, []int64{}), data.NewField("Log lines", nil, []int64{}), data.NewField("Errors", nil, []int64{}))
	for _, s := range c.Services {
		f.AppendRow(s.Name, time.Unix(0, s.FirstNs).UTC(), s.Spans, s.Logs, s.Errors)
	}
	return f.SetMeta(&data.FrameMeta{Type: data.FrameTypeTable, TypeVersion: contract, PreferredVisualization: data.VisTypeTable})
}

// exemplars lists where the request shows in metrics; each leads to its series.
func (c correlated) exemplars(l linker) *data.Frame {
	series := data.NewField("Series", nil, []string{})
	series.Config = &data.FieldConfig{Links: []data.DataLink{l.to("Series", map[string]any{"queryType": typePromQL, "expr": "${__value.raw}"})}}
	f := data.NewFrame("Exemplars", data.NewField("Time", nil, []time.Time{}), series, data.NewField("Value", nil, []float64{}), data.NewField("trace_id", nil, []string{}))
	for _, e := range c.Exemplars {
		f.AppendRow(time.Unix(0, e.TimeNs).UTC(), selectorOf(e.Series), e.Value, e.TraceID)
	}
	return f.SetMeta(&data.FrameMeta{Type: data.FrameTypeTable, TypeVersion: contract, PreferredVisualization: data.VisTypeTable})
}

// selectorOf writes the labels of a series as a PromQL selector.
func selectorOf(labels map[string]string) string {
	var parts []string
	for k, v := range labels {
		if k != "__name__" {
			parts = append(parts, k+"="+strconv.Quote(v))
		}
	}
	return labels["__name__"] + "{" + strings.Join(sorted(parts), ",") + "}"
}

func (c correlated) alerts() *data.Frame {
	f := data.NewFrame("Alerts", data.NewField("Since", nil, []time.Time{}), data.NewField("Alert", nil, []string{}), data.NewField("State", nil, []string{}), data.NewField("Labels", nil, []string{}))
	for _, a := range c.Alerts {
		f.AppendRow(time.Unix(0, a.StartsNs).UTC(), a.Labels["alertname"], a.State, selectorOf(a.Labels))
	}
	return f.SetMeta(&data.FrameMeta{Type: data.FrameTypeTable, TypeVersion: contract, PreferredVisualization: data.VisTypeTable})
}
