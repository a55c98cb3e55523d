package plugin

import (
	"context"
	"encoding/json"
	"net/url"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// attribute is one of a span or a log record.
type attribute struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
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
		Text string `json:"text"`
	} `json:"gaps"`
	Complete bool     `json:"complete"`
	Warnings []string `json:"warnings"`
}

// request answers an id of any kind with the whole request: the trace, the log
// lines of all services, and a table of the services. It needs no time range.
func (d *Datasource) request(ctx context.Context, q question) (data.Frames, error) {
	var c correlated
	if err := d.client.get(ctx, "/api/braid/v1/correlate/"+url.PathEscape(q.Expr), nil, &c); err != nil {
		return nil, err
	}
	trace, err := c.trace()
	if err != nil {
		return nil, err
	}
	logs, err := c.logs()
	if err != nil {
		return nil, err
	}
	table := c.table()
	notices(table, c.Complete, c.Warnings)
	for _, gap := range c.Gaps {
		table.AppendNotices(data.Notice{Severity: data.NoticeSeverityInfo, Text: gap.Text})
	}
	return data.Frames{trace, logs, table}, nil
}

// keyValue is how the trace view takes tags.
type keyValue struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// trace is the frame of Grafana's trace view: times in milliseconds.
func (c correlated) trace() (*data.Frame, error) {
	f := data.NewFrame("Trace",
		data.NewField("traceID", nil, []string{}), data.NewField("spanID", nil, []string{}), data.NewField("parentSpanID", nil, []*string{}),
		data.NewField("operationName", nil, []string{}), data.NewField("serviceName", nil, []string{}), data.NewField("kind", nil, []string{}),
		data.NewField("statusCode", nil, []int64{}), data.NewField("statusMessage", nil, []string{}),
		data.NewField("startTime", nil, []float64{}), data.NewField("duration", nil, []float64{}),
		data.NewField("tags", nil, []json.RawMessage{}), data.NewField("serviceTags", nil, []json.RawMessage{}))
	code := map[string]int64{"ok": 1, "error": 2}
	for _, s := range c.Spans {
		tags, err := tagList(s.Attributes)
		if err != nil {
			return nil, err
		}
		resource, err := tagList(s.Resource)
		if err != nil {
			return nil, err
		}
		var parent *string
		if s.ParentID != "" {
			parent = &s.ParentID
		}
		f.AppendRow(s.TraceID, s.SpanID, parent, s.Name, s.Service, s.Kind, code[s.Status], s.StatusMessage,
			float64(s.StartNs)/1e6, float64(s.DurationNs)/1e6, tags, resource)
	}
	return f.SetMeta(&data.FrameMeta{PreferredVisualization: data.VisTypeTrace, Custom: map[string]string{"traceFormat": "otlp"}}), nil
}

func tagList(list []attribute) (json.RawMessage, error) {
	out := make([]keyValue, len(list))
	for i, a := range list {
		out[i] = keyValue(a)
	}
	return json.Marshal(out)
}

func (c correlated) logs() (*data.Frame, error) {
	list := make([]stream, 0, len(c.Logs))
	for _, l := range c.Logs {
		labels := map[string]string{"service_name": l.Service, "detected_level": l.Level}
		for k, v := range map[string]string{"trace_id": l.TraceID, "span_id": l.SpanID} {
			if v != "" {
				labels[k] = v
			}
		}
		for _, a := range l.Attributes {
			if text, ok := a.Value.(string); ok {
				labels[a.Key] = text
			}
		}
		list = append(list, stream{Labels: labels, Lines: []line{{at: time.Unix(0, l.TimeNs).UTC(), text: l.Body}}})
	}
	return logFrame(list)
}

func (c correlated) table() *data.Frame {
	f := data.NewFrame("Services", data.NewField("Service", nil, []string{}), data.NewField("First seen", nil, []time.Time{}),
		data.NewField("Spans", nil, []int64{}), data.NewField("Log lines", nil, []int64{}), data.NewField("Errors", nil, []int64{}))
	for _, s := range c.Services {
		f.AppendRow(s.Name, time.Unix(0, s.FirstNs).UTC(), s.Spans, s.Logs, s.Errors)
	}
	return f.SetMeta(&data.FrameMeta{PreferredVisualization: data.VisTypeTable})
}
