package plugin

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// summary is one request in a list.
type summary struct {
	TraceID    string `json:"traceId"`
	RequestID  string `json:"requestId"`
	StartNs    int64  `json:"startNs,string"`
	DurationNs int64  `json:"durationNs,string"`
	Service    string `json:"service"`
	Route      string `json:"route"`
	Status     string `json:"status"`
	Error      bool   `json:"error"`
	Spans      int64  `json:"spans"`
	Errors     int64  `json:"errors"`
}

// requestTable lists requests; both ids lead to the whole request.
func (l linker) requestTable(list []summary) *data.Frame {
	n := len(list)
	times, durations := make([]time.Time, n), make([]int64, n)
	traces, requests, services, routes, statuses := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	failed, spans, errors := make([]bool, n), make([]int64, n), make([]int64, n)
	for i, r := range list {
		times[i], durations[i] = time.Unix(0, r.StartNs).UTC(), r.DurationNs
		traces[i], requests[i], services[i], routes[i], statuses[i] = r.TraceID, r.RequestID, r.Service, r.Route, r.Status
		failed[i], spans[i], errors[i] = r.Error, r.Spans, r.Errors
	}
	trace, request, duration := data.NewField("traceID", nil, traces), data.NewField("requestID", nil, requests), data.NewField("Duration", nil, durations)
	trace.Config = &data.FieldConfig{DisplayName: "Trace", Links: []data.DataLink{l.request("Request")}}
	request.Config = &data.FieldConfig{DisplayName: "Request", Links: []data.DataLink{l.request("Request")}}
	duration.Config = &data.FieldConfig{Unit: "ns"}
	f := data.NewFrame("Requests", data.NewField("Time", nil, times), trace, request, data.NewField("Service", nil, services), data.NewField("Route", nil, routes),
		data.NewField("Status", nil, statuses), duration, data.NewField("Failed", nil, failed), data.NewField("Spans", nil, spans), data.NewField("Errors", nil, errors))
	return f.SetMeta(&data.FrameMeta{Type: data.FrameTypeTable, TypeVersion: contract, PreferredVisualization: data.VisTypeTable})
}

// behind lists the requests behind a PromQL expression.
func (d *Datasource) behind(ctx context.Context, q question) (data.Frames, error) {
	var answer struct {
		Requests []struct {
			Request summary `json:"request"`
			Value   float64 `json:"value"`
			Reason  string  `json:"reason"`
		} `json:"requests"`
		Source   string   `json:"source"`
		Complete bool     `json:"complete"`
		Warnings []string `json:"warnings"`
	}
	body := map[string]any{"promql": q.Expr, "startNs": nanos(q.from), "endNs": nanos(q.to), "limit": q.Limit}
	if err := d.client.do(ctx, http.MethodPost, "/api/braid/v1/requests-behind", nil, body, &answer); err != nil {
		return nil, err
	}
	list := make([]summary, len(answer.Requests))
	values, reasons := make([]float64, len(list)), make([]string, len(list))
	for i, r := range answer.Requests {
		list[i], values[i], reasons[i] = r.Request, r.Value, r.Reason
	}
	f := d.links.requestTable(list)
	value, reason := data.NewField("Value", nil, values), data.NewField("Why", nil, reasons)
	reason.Config = &data.FieldConfig{Description: "exemplar, slow, failed or match; found by " + answer.Source}
	f.Fields = append(f.Fields, value, reason)
	notices(f, answer.Complete, answer.Warnings)
	return data.Frames{f}, nil
}

// outliers is "what is different" as a table: attributes that set the selection
// apart, the most telling first.
func (d *Datasource) outliers(ctx context.Context, q question) (data.Frames, error) {
	signal := q.Signal
	switch signal {
	case "":
		signal = "traces"
	case "traces", "logs":
	default:
		return nil, badQuery("no such signal %q: it is traces or logs", signal)
	}
	var answer struct {
		Outliers []struct {
			Field          string  `json:"field"`
			Value          string  `json:"value"`
			SelectionCount int64   `json:"selectionCount,string"`
			BaselineCount  int64   `json:"baselineCount,string"`
			SelectionShare float64 `json:"selectionShare"`
			BaselineShare  float64 `json:"baselineShare"`
			Score          float64 `json:"score"`
		} `json:"outliers"`
		SelectionRows int64    `json:"selectionRows,string"`
		BaselineRows  int64    `json:"baselineRows,string"`
		Sampled       bool     `json:"sampled"`
		Error         float64  `json:"error"`
		Warnings      []string `json:"warnings"`
	}
	body := map[string]any{"signal": signal, "selection": q.Expr, "baseline": q.interpolate(q.Baseline), "startNs": nanos(q.from), "endNs": nanos(q.to), "limit": q.Limit}
	if err := d.client.do(ctx, http.MethodPost, "/api/braid/v1/outliers", nil, body, &answer); err != nil {
		return nil, err
	}
	n := len(answer.Outliers)
	fields, values := make([]string, n), make([]string, n)
	here, rest, scores := make([]float64, n), make([]float64, n), make([]float64, n)
	counts, others, queries := make([]int64, n), make([]int64, n), make([]string, n)
	for i, o := range answer.Outliers {
		queries[i] = suchQuery(signal, o.Field, o.Value)
		fields[i], values[i], here[i], rest[i], scores[i] = o.Field, o.Value, o.SelectionShare, o.BaselineShare, o.Score
		counts[i], others[i] = o.SelectionCount, o.BaselineCount
	}
	column := func(name string, values any, config data.FieldConfig) *data.Field {
		f := data.NewField(name, nil, values)
		f.Config = &config
		return f
	}
	language := map[string]string{"traces": typeTraceQL, "logs": typeLogQL}[signal]
	one, zero := data.ConfFloat64(1), data.ConfFloat64(0)
	f := data.NewFrame("What is different", data.NewField("Attribute", nil, fields), data.NewField("Value", nil, values),
		column("In the selection", here, data.FieldConfig{Unit: "percentunit", Min: &zero, Max: &one}),
		column("In the rest", rest, data.FieldConfig{Unit: "percentunit", Min: &zero, Max: &one}),
		column("Score", scores, data.FieldConfig{Description: "Standard deviations between the two shares; below zero: rarer in the selection"}),
		data.NewField("Count", nil, counts), data.NewField("Count in the rest", nil, others),
		column("Query", queries, data.FieldConfig{Links: []data.DataLink{d.links.to("Ask for these", map[string]any{"queryType": language, "expr": "${__value.raw}"})}}))
	f.SetMeta(&data.FrameMeta{Type: data.FrameTypeTable, TypeVersion: contract, PreferredVisualization: data.VisTypeTable,
		Custom: map[string]any{"selectionRows": answer.SelectionRows, "baselineRows": answer.BaselineRows}})
	if answer.Sampled {
		answer.Warnings = append(answer.Warnings, "Counted on a sample: shares may be off by "+percent(answer.Error)+".")
	}
	notices(f, true, answer.Warnings)
	return data.Frames{f}, nil
}

// suchQuery asks for what has an attribute: its name is TraceQL's; of log lines
// it is a label of the selector or of the record.
func suchQuery(signal, field, value string) string {
	if signal == "logs" {
		return `{service_name=~".+"} | ` + notLabel.ReplaceAllString(scoped.ReplaceAllString(field, ""), "_") + "=" + strconv.Quote(value)
	}
	if field == "status" || field == "kind" {
		return "{" + field + "=" + value + "}"
	}
	return "{" + field + "=" + strconv.Quote(value) + "}"
}

var (
	scoped   = regexp.MustCompile(`^(resource|scope|log|attribute)\.`)
	notLabel = regexp.MustCompile(`\W`)
)
