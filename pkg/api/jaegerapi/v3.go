package jaegerapi

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"braid/pkg/model"
	"braid/pkg/otlp"
	"braid/pkg/query/traceql"
	"braid/pkg/tenant"
)

func (a *API) servicesV3(r *http.Request, t tenant.ID) (any, error) {
	names, err := a.serviceNames(r.Context(), t)
	return map[string]any{"services": names}, err
}

func (a *API) operationsV3(r *http.Request, t tenant.ID) (any, error) {
	v := r.URL.Query()
	ops, err := a.operationsOf(r.Context(), t, v.Get("service"), first(v, "span_kind", "spanKind"))
	for i := range ops {
		if ops[i].SpanKind == "" {
			ops[i].SpanKind = "internal" // so says Jaeger, over HTTP only
		}
	}
	return map[string]any{"operations": ops}, err
}

// resultV3 wraps OTLP JSON as grpc-gateway wraps a streamed message.
func resultV3(rows []model.SpanRow) any {
	return map[string]any{"result": json.RawMessage(otlp.EncodeTracesJSON(rows))}
}

func (a *API) traceV3(r *http.Request, t tenant.ID) (any, error) {
	v := r.URL.Query()
	if _, err := rangeV3(first(v, "start_time", "startTime"), first(v, "end_time", "endTime")); err != nil {
		return nil, err
	}
	raw, err := parseRaw(first(v, "raw_traces", "rawTraces"))
	if err != nil {
		return nil, err
	}
	tr, err := a.opts.Engine.TraceByText(r.Context(), t, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return resultV3(unlessRaw(tr.Spans, raw)), nil
}

func (a *API) searchV3(r *http.Request, t tenant.ID) (any, error) {
	q, err := questionV3(r.URL.Query())
	if err != nil {
		return nil, err
	}
	found, err := a.find(r.Context(), t, q)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no traces: %w", model.ErrNotFound) // Jaeger answers so, not with an empty list
	}
	var rows []model.SpanRow
	for _, m := range found {
		rows = append(rows, unlessRaw(m.Spans, q.raw)...)
	}
	return resultV3(rows), nil
}

// param finds query.<name> in snake or camel case.
func param(v url.Values, snake ...string) string {
	for _, name := range snake {
		parts := strings.Split(name, "_")
		for i := 1; i < len(parts); i++ {
			parts[i] = strings.ToUpper(parts[i][:1]) + parts[i][1:]
		}
		if s := first(v, "query."+name, "query."+strings.Join(parts, "")); s != "" {
			return s
		}
	}
	return ""
}

// questionV3 reads query.*; the time range is required, as Jaeger has it.
func questionV3(v url.Values) (q *question, err error) {
	q = &question{service: param(v, "service_name"), operation: param(v, "operation_name"), limit: defaultLimit}
	low, high := param(v, "start_time_min"), param(v, "start_time_max")
	if low == "" || high == "" {
		return nil, invalid("query.start_time_min and query.start_time_max are required")
	}
	if q.rng, err = rangeV3(low, high); err != nil {
		return nil, err
	}
	if q.minDuration, q.maxDuration, err = parseDurations(param(v, "duration_min"), param(v, "duration_max")); err != nil {
		return nil, err
	}
	if s := param(v, "search_depth", "num_traces"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return nil, invalid("query.search_depth=%q: expected a number", s)
		}
		q.limit = min(max(n, 1), maxLimit)
	}
	if q.raw, err = parseRaw(param(v, "raw_traces")); err != nil {
		return nil, err
	}
	q.attributes, err = parseTags([]string{param(v, "attributes")}, nil)
	return q, err
}

func parseRaw(s string) (bool, error) {
	if s == "" {
		return false, nil
	}
	raw, err := strconv.ParseBool(s)
	if err != nil {
		return false, invalid("raw_traces=%q: expected true or false", s)
	}
	return raw, nil
}

// rangeV3 reads RFC 3339; a "+" that was not escaped has become a space.
func rangeV3(low, high string) (r model.TimeRange, err error) {
	for _, p := range []struct {
		text string
		to   *int64
	}{{low, &r.Start}, {high, &r.End}} {
		if p.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(p.text, " ", "+"))
		if err != nil {
			return r, invalid("time %q: expected RFC 3339 such as 2024-01-02T15:04:05Z", p.text)
		}
		*p.to = at.UnixNano()
	}
	if r.Start != 0 && r.End == 0 {
		r.End = math.MaxInt64
	}
	if r.End < r.Start {
		return r, invalid("the end of the time range lies before its start")
	}
	return r, nil
}

type summary struct {
	TraceID       string           `json:"traceId"`
	RootService   string           `json:"rootServiceName"`
	RootOperation string           `json:"rootOperationName"`
	Start         string           `json:"minStartTimeUnixNano"`
	End           string           `json:"maxEndTimeUnixNano"`
	Spans         int              `json:"spanCount"`
	Errors        int              `json:"errorSpanCount"`
	Orphans       int              `json:"orphanSpanCount"`
	Services      []summaryService `json:"services"`
}

type summaryService struct {
	Name   string `json:"name"`
	Spans  int    `json:"spanCount"`
	Errors int    `json:"errorSpanCount"`
}

// summariesV3 answers with a line for each trace that a search finds.
func (a *API) summariesV3(r *http.Request, t tenant.ID) (any, error) {
	q, err := questionV3(r.URL.Query())
	if err != nil {
		return nil, err
	}
	found, err := a.find(r.Context(), t, q)
	if err != nil {
		return nil, err
	}
	out := make([]summary, 0, len(found))
	for _, m := range found {
		out = append(out, summarise(m))
	}
	return map[string]any{"summaries": out}, nil
}

func summarise(m *model.TraceMatch) summary {
	var f model.TraceFacts
	for i := range m.Spans {
		f.Add(&m.Spans[i])
	}
	s := summary{TraceID: f.ID.String(), RootService: f.RootService, RootOperation: f.RootName,
		Start: strconv.FormatInt(f.Start, 10), End: strconv.FormatInt(f.End, 10), Spans: f.Spans, Errors: f.Errors,
		Services: []summaryService{}}
	for _, flag := range traceql.BuildTree(m.Spans).Flags {
		if flag&traceql.FlagOrphan != 0 {
			s.Orphans++
		}
	}
	for name, x := range f.Services {
		s.Services = append(s.Services, summaryService{name, x.Spans, x.Errors})
	}
	sort.Slice(s.Services, func(i, j int) bool { return s.Services[i].Name < s.Services[j].Name })
	return s
}
